-- Takes the alerts and their figures back.

DROP TABLE source_hours;
DROP TABLE alert_figures;
DROP TABLE alerts;

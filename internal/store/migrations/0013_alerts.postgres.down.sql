-- Takes the alerts, their figures and the import's progress back.

DROP TABLE source_hours;
DROP TABLE alert_figures;
DROP TABLE alerts;

-- Takes lists' memory away; the tables of the original system stay.

DROP TABLE list_settings;
DROP TABLE list_runs;
DROP TABLE list_holdings;
DROP TABLE list_intents;
DROP TABLE list_rules;

-- Takes back the console's figures and indexes.
DROP INDEX sync_log_failed;
DROP INDEX webhook_events_skipped;
DROP INDEX webhook_events_contact;
DROP INDEX webhook_events_kind;
DROP INDEX webhook_events_type;
DROP INDEX webhook_events_source;
DROP INDEX webhook_events_received;
DROP INDEX webhook_events_processed;
DROP TABLE minute_figures;

-- Takes back the indexes of the sync log.
DROP INDEX sync_log_skipped;
DROP INDEX sync_log_direction;
DROP INDEX sync_log_target;
DROP INDEX sync_log_source;

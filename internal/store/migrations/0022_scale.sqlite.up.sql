-- The sync log is found by any of its ids, by direction and by what was skipped
-- without reading a million lines; plain CREATE INDEX, since a migration is one
-- transaction: lines of the log wait for some seconds while it runs, events are
-- taken on.
CREATE INDEX sync_log_source ON sync_log (source_id, seq);
CREATE INDEX sync_log_target ON sync_log (target_id, seq) WHERE target_id IS NOT NULL;
CREATE INDEX sync_log_direction ON sync_log (direction, seq);
CREATE INDEX sync_log_skipped ON sync_log (seq) WHERE status = 'skipped';

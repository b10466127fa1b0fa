-- Takes back what the up step made; what people decided about conflicts is lost.
DROP INDEX sync_conflicts_changed;
DROP INDEX sync_conflicts_asked;
DROP INDEX sync_conflicts_field;
DROP INDEX sync_conflicts_state;
ALTER TABLE sync_conflicts DROP COLUMN settled;
ALTER TABLE sync_conflicts DROP COLUMN changed_at;
ALTER TABLE sync_conflicts DROP COLUMN outcome;
ALTER TABLE sync_conflicts DROP COLUMN reason;
ALTER TABLE sync_conflicts DROP COLUMN decided_at;
ALTER TABLE sync_conflicts DROP COLUMN decided_by;
ALTER TABLE sync_conflicts DROP COLUMN choice;
ALTER TABLE sync_conflicts DROP COLUMN state;

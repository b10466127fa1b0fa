-- A field that a person edits often is no ping-pong: the breaker must know whether
-- a write repeats an earlier value.
ALTER TABLE sync_writes ADD COLUMN value_hash TEXT NOT NULL DEFAULT '';

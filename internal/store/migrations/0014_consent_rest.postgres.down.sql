-- Takes back what the up step added.
ALTER TABLE sync_writes DROP COLUMN value_hash;

-- Takes back what the up step made.
DROP INDEX webhook_dedupe_repeated;
ALTER TABLE webhook_dedupe DROP COLUMN repeated_at;
ALTER TABLE webhook_dedupe DROP COLUMN repeats;
ALTER TABLE replays DROP COLUMN reason;
ALTER TABLE replays DROP COLUMN action;

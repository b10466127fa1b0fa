-- Many events can be quarantined, released and ended as one, not only replayed; and
-- how often a delivery came again is counted.
ALTER TABLE replays ADD COLUMN action TEXT NOT NULL DEFAULT 'replay'; -- replay, release, quarantine, mark-done
ALTER TABLE replays ADD COLUMN reason TEXT;

ALTER TABLE webhook_dedupe ADD COLUMN repeats BIGINT NOT NULL DEFAULT 0; -- deliveries that were refused as duplicates
ALTER TABLE webhook_dedupe ADD COLUMN repeated_at TIMESTAMPTZ;
CREATE INDEX webhook_dedupe_repeated ON webhook_dedupe (event_id) WHERE repeats > 0;

-- The console's figures over time, and the indexes that keep its lists fast with
-- a million events.

CREATE TABLE minute_figures (
    minute     TIMESTAMP PRIMARY KEY, -- its beginning; minutes without anything are missing but for the newest
    received   BIGINT NOT NULL,
    finished   BIGINT NOT NULL, -- ended as done or skipped
    given_up   BIGINT NOT NULL, -- ended in quarantine
    within_1s  BIGINT NOT NULL, -- of the done ones, by the time from receipt to end
    within_10s BIGINT NOT NULL,
    within_60s BIGINT NOT NULL,
    slower     BIGINT NOT NULL,
    slowest_ms BIGINT NOT NULL,
    written    BIGINT NOT NULL, -- lines of the sync log
    refused    BIGINT NOT NULL,
    backlog    BIGINT NOT NULL  -- open events when it ended
);

CREATE INDEX webhook_events_processed ON webhook_events (processed_at) WHERE processed_at IS NOT NULL;
CREATE INDEX webhook_events_received ON webhook_events (received_at);
CREATE INDEX webhook_events_source ON webhook_events (source, seq);
CREATE INDEX webhook_events_type ON webhook_events (event_type, seq);
CREATE INDEX webhook_events_kind ON webhook_events (kind, seq);
CREATE INDEX webhook_events_contact ON webhook_events (contact_id, seq) WHERE contact_id IS NOT NULL;
CREATE INDEX webhook_events_skipped ON webhook_events (seq) WHERE status = 'skipped';
CREATE INDEX sync_log_failed ON sync_log (seq) WHERE status = 'error';

-- The original system's event table with its six indexes, and a job table with
-- the columns and indexes that a job engine keeps.
CREATE TABLE webhook_events (
  id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  received_at   timestamptz NOT NULL DEFAULT now(),
  source        text NOT NULL,
  event_type    text NOT NULL,
  entity_type   text NOT NULL,
  entity_id     text NOT NULL,
  payload_json  jsonb NOT NULL,
  dedupe_key    text NOT NULL UNIQUE,
  status        text NOT NULL DEFAULT 'pending',
  error_message text,
  processed_at  timestamptz
);
CREATE INDEX ON webhook_events (status);
CREATE INDEX ON webhook_events (source, status);
CREATE INDEX ON webhook_events (received_at);
CREATE INDEX ON webhook_events (entity_type, entity_id);
CREATE TABLE job (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  state        text NOT NULL DEFAULT 'available',
  kind         text NOT NULL,
  queue        text NOT NULL,
  priority     smallint NOT NULL DEFAULT 1,
  attempt      smallint NOT NULL DEFAULT 0,
  max_attempts smallint NOT NULL,
  args         jsonb NOT NULL,
  metadata     jsonb NOT NULL DEFAULT '{}',
  created_at   timestamptz NOT NULL DEFAULT now(),
  scheduled_at timestamptz NOT NULL DEFAULT now(),
  attempted_at timestamptz,
  finalized_at timestamptz,
  errors       jsonb[]
);
CREATE INDEX ON job (kind);
CREATE INDEX ON job (state, queue, priority, scheduled_at, id);
CREATE INDEX ON job (state, finalized_at) WHERE finalized_at IS NOT NULL;
CREATE INDEX ON job USING gin (args);
CREATE INDEX ON job USING gin (metadata);

-- The spine: what arrives (events, dedupe keys), in which order it is handled
-- (lanes), who it is about (mappings), what was done (sync_log), and the tables
-- that operators of the original system query by name.

CREATE TABLE webhook_events (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT, -- order of acceptance within a lane
    id              TEXT NOT NULL UNIQUE,
    received_at     TIMESTAMP NOT NULL,
    source          TEXT NOT NULL,
    route           TEXT NOT NULL,
    event_type      TEXT NOT NULL,
    kind            TEXT NOT NULL,
    entity_type     TEXT NOT NULL,
    entity_id       TEXT NOT NULL,
    contact_id      TEXT,
    phone           TEXT,
    delivery_id     TEXT,
    occurred_at     TIMESTAMP,
    dedupe_key      TEXT NOT NULL,
    status          TEXT NOT NULL DEFAULT 'pending',
    reason          TEXT,
    attempts        INTEGER NOT NULL DEFAULT 0,
    next_attempt_at TIMESTAMP,
    error_message   TEXT,
    processed_at    TIMESTAMP,
    lane            TEXT NOT NULL,
    person_id       TEXT,
    verified        TEXT NOT NULL,
    headers         TEXT NOT NULL DEFAULT '{}',
    payload_json    TEXT,  -- the body, byte for byte, when it is JSON text
    payload_raw     BLOB,  -- the body when it is not JSON text that the column above can hold
    trace           TEXT   -- W3C traceparent of the request that brought it
);
CREATE INDEX webhook_events_lane ON webhook_events (lane, seq) WHERE status IN ('pending', 'processing', 'error');
CREATE INDEX webhook_events_unfinished ON webhook_events (status, seq) WHERE status NOT IN ('done', 'skipped');
CREATE INDEX webhook_events_entity ON webhook_events (entity_id, seq);
CREATE INDEX webhook_events_person ON webhook_events (person_id, seq) WHERE person_id IS NOT NULL;

CREATE TABLE webhook_dedupe (
    key        TEXT PRIMARY KEY,
    event_id   TEXT NOT NULL,
    expires_at TIMESTAMP NOT NULL
);
CREATE INDEX webhook_dedupe_expiry ON webhook_dedupe (expires_at);

CREATE TABLE webhook_attempts (
    event_id TEXT NOT NULL,
    attempt  INTEGER NOT NULL,
    at       TIMESTAMP NOT NULL,
    outcome  TEXT NOT NULL,
    error    TEXT,
    PRIMARY KEY (event_id, attempt, at)
);

CREATE TABLE lanes (
    key         TEXT PRIMARY KEY,
    queued      BIGINT NOT NULL DEFAULT 0, -- open events
    nudges      BIGINT NOT NULL DEFAULT 0, -- convergences asked for without an event
    fence       BIGINT NOT NULL DEFAULT 0, -- grows with every lease; a finish with an older one fails
    owner       TEXT,
    lease_until TIMESTAMP,
    wake_at     TIMESTAMP, -- not before this time, because the head event waits for a retry
    rung_at     TIMESTAMP  -- when a drain job was last inserted
);
CREATE INDEX lanes_waiting ON lanes (rung_at) WHERE queued + nudges > 0;

CREATE TABLE contact_mappings (
    id                 TEXT PRIMARY KEY, -- the person
    aloware_contact_id TEXT,
    ghl_contact_id     TEXT,
    verity_contact_id  TEXT,
    phone_number       TEXT,
    email              TEXT,
    status             TEXT NOT NULL DEFAULT 'active',
    last_synced_at     TIMESTAMP,
    sync_direction     TEXT NOT NULL DEFAULT 'bidirectional',
    ended_at           TIMESTAMP,
    ended_reason       TEXT,
    merged_into        TEXT,
    apart_from         TEXT NOT NULL DEFAULT '[]', -- people an operator said are somebody else
    version            BIGINT NOT NULL DEFAULT 1,
    created_at         TIMESTAMP NOT NULL,
    updated_at         TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX contact_mappings_aloware ON contact_mappings (aloware_contact_id) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX contact_mappings_ghl ON contact_mappings (ghl_contact_id) WHERE ended_at IS NULL;
CREATE INDEX contact_mappings_aloware_any ON contact_mappings (aloware_contact_id);
CREATE INDEX contact_mappings_ghl_any ON contact_mappings (ghl_contact_id);
CREATE INDEX contact_mappings_phone ON contact_mappings (phone_number);
CREATE INDEX contact_mappings_email ON contact_mappings (email);

CREATE TABLE contact_phones (
    person_id TEXT NOT NULL,
    phone     TEXT NOT NULL, -- an earlier or further number; the current one is in contact_mappings
    PRIMARY KEY (person_id, phone)
);
CREATE INDEX contact_phones_phone ON contact_phones (phone);

CREATE TABLE phone_locks (
    phone TEXT PRIMARY KEY,
    taken BIGINT NOT NULL
);

CREATE TABLE message_mappings (
    id                 TEXT PRIMARY KEY,
    texting_message_id TEXT UNIQUE,
    ghl_message_id     TEXT UNIQUE,
    aloware_message_id TEXT UNIQUE,
    verity_message_id  TEXT UNIQUE,
    carrier_message_id TEXT UNIQUE,
    conversation_id    TEXT,
    ghl_contact_id     TEXT,
    aloware_contact_id TEXT,
    person_id          TEXT,
    from_number        TEXT,
    to_number          TEXT,
    direction          TEXT,
    created_at         TIMESTAMP NOT NULL,
    updated_at         TIMESTAMP NOT NULL
);

CREATE TABLE sync_log (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT,
    id             TEXT NOT NULL UNIQUE,
    direction      TEXT NOT NULL,
    entity_type    TEXT NOT NULL,
    entity_id      TEXT NOT NULL,
    source_id      TEXT NOT NULL,
    target_id      TEXT,
    status         TEXT NOT NULL,
    started_at     TIMESTAMP NOT NULL,
    finished_at    TIMESTAMP,
    error_message  TEXT,
    correlation_id TEXT, -- the event that caused it
    person_id      TEXT,
    fields         TEXT, -- names of what was written, comma separated
    decisions      TEXT  -- JSON: what was decided in this run, by which rule
);
CREATE INDEX sync_log_entity ON sync_log (entity_id, seq);
CREATE INDEX sync_log_person ON sync_log (person_id, seq);
CREATE INDEX sync_log_correlation ON sync_log (correlation_id);

CREATE TABLE sync_state (
    direction         TEXT NOT NULL,
    entity_type       TEXT NOT NULL,
    cursor_updated_at TIMESTAMP,
    cursor_id         TEXT,
    last_run_at       TIMESTAMP,
    last_success_at   TIMESTAMP,
    PRIMARY KEY (direction, entity_type)
);

CREATE TABLE optout_registry (
    id            TEXT PRIMARY KEY,
    phone_number  TEXT NOT NULL UNIQUE,
    status        TEXT NOT NULL,
    source        TEXT NOT NULL,
    reason        TEXT,
    last_event_at TIMESTAMP NOT NULL,
    created_at    TIMESTAMP NOT NULL,
    updated_at    TIMESTAMP NOT NULL
);

CREATE TABLE reconcile_runs (
    id            TEXT PRIMARY KEY,
    job_name      TEXT NOT NULL,
    started_at    TIMESTAMP NOT NULL,
    finished_at   TIMESTAMP,
    status        TEXT NOT NULL,
    totals        TEXT NOT NULL DEFAULT '{}',
    error_message TEXT
);
CREATE INDEX reconcile_runs_started ON reconcile_runs (job_name, started_at);

CREATE TABLE agent_directory (
    agent_key                      TEXT PRIMARY KEY,
    display_name                   TEXT NOT NULL,
    ghl_owner_id                   TEXT,
    ghl_owner_email                TEXT,
    ghl_assigned_agent_field_value TEXT,
    required_tag                   TEXT,
    aloware_user_id                TEXT,
    is_active                      BOOLEAN NOT NULL DEFAULT TRUE,
    created_at                     TIMESTAMP NOT NULL,
    updated_at                     TIMESTAMP NOT NULL
);

CREATE TABLE call_list_registry (
    agent_key         TEXT NOT NULL,
    list_key          TEXT NOT NULL,
    aloware_list_id   TEXT,
    aloware_list_name TEXT NOT NULL UNIQUE,
    created_at        TIMESTAMP NOT NULL,
    updated_at        TIMESTAMP NOT NULL,
    PRIMARY KEY (agent_key, list_key)
);

CREATE TABLE contact_list_memberships (
    contact_id TEXT NOT NULL,
    agent_key  TEXT NOT NULL,
    list_key   TEXT NOT NULL,
    status     TEXT NOT NULL,
    reason     TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (contact_id, agent_key, list_key)
);

CREATE TABLE contact_agent_state (
    contact_id               TEXT PRIMARY KEY,
    agent_key                TEXT NOT NULL,
    last_aloware_list_status TEXT,
    created_at               TIMESTAMP NOT NULL,
    updated_at               TIMESTAMP NOT NULL
);

CREATE TABLE ghl_oauth_tokens (
    location_id   TEXT PRIMARY KEY,
    company_id    TEXT,
    access_token  TEXT NOT NULL, -- sealed with DF_ENCRYPTION_KEY
    refresh_token TEXT,          -- sealed with DF_ENCRYPTION_KEY
    token_type    TEXT NOT NULL DEFAULT 'Bearer',
    user_type     TEXT,
    scope         TEXT,
    expires_at    TIMESTAMP NOT NULL,
    created_at    TIMESTAMP NOT NULL,
    updated_at    TIMESTAMP NOT NULL
);

CREATE TABLE rate_accounts (
    name       TEXT PRIMARY KEY,
    tat        BIGINT NOT NULL, -- µs; see egress.State
    held_until BIGINT NOT NULL  -- µs
);

CREATE TABLE audit_log (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      TIMESTAMP NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    target  TEXT NOT NULL,
    details TEXT NOT NULL DEFAULT '{}'
);

CREATE VIEW texting_webhook_events AS
    SELECT * FROM webhook_events WHERE source = 'texting';
CREATE VIEW broadcast_webhook_events AS
    SELECT e.*, e.entity_id AS broadcast_id FROM webhook_events e WHERE source = 'broadcast';

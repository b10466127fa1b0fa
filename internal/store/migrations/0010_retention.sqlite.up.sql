-- What is too old goes, and a person can be erased, while an opt-out outlives
-- both: of an erased number only a keyed hash is kept, by which it is still known.

CREATE TABLE erased_numbers (
    hash          TEXT PRIMARY KEY, -- of the number, slow on purpose and salted
    status        TEXT NOT NULL,    -- as in optout_registry
    call_status   TEXT,
    source        TEXT NOT NULL,
    reason        TEXT,
    last_event_at TIMESTAMP NOT NULL,
    holds         TEXT NOT NULL,    -- JSON: as in consent_holds
    erased_at     TIMESTAMP NOT NULL
);

CREATE TABLE erasure_salt (
    name TEXT PRIMARY KEY, -- numbers
    salt TEXT NOT NULL     -- hex; made with the first erasure and never changed
);

CREATE TABLE retention_marks (
    name TEXT PRIMARY KEY, -- payloads of a source
    mark TEXT NOT NULL     -- id of the last event that was looked at
);

CREATE INDEX effects_age ON effects (updated_at) WHERE state IN ('done', 'failed');
CREATE INDEX message_mappings_age ON message_mappings (created_at);
CREATE INDEX sync_issues_age ON sync_issues (at) WHERE NOT open;
CREATE INDEX effects_bodies ON effects (updated_at) WHERE request <> '{}';

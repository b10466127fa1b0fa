-- One row for each call, since its deliveries come in pieces, in any order and
-- more than once, and together make one call log and one note in GHL.
CREATE TABLE calls (
    id                 TEXT PRIMARY KEY, -- Aloware's id of the communication
    person_id          TEXT NOT NULL,
    ghl_contact_id     TEXT NOT NULL DEFAULT '',
    aloware_contact_id TEXT NOT NULL DEFAULT '',
    phone              TEXT NOT NULL,    -- the customer's
    started_at         TIMESTAMP NOT NULL,
    facts              TEXT NOT NULL,    -- JSON: what is known, each with the time it was said
    recording          TEXT NOT NULL DEFAULT '', -- sealed with DF_ENCRYPTION_KEY
    recording_at       TIMESTAMP,      -- when we first had it
    ghl_message_id     TEXT NOT NULL DEFAULT '',
    ghl_note_id        TEXT NOT NULL DEFAULT '',
    note_hash          TEXT NOT NULL DEFAULT '', -- of the note as it was written last
    attached           BOOLEAN NOT NULL DEFAULT FALSE, -- the recording is on the call log
    tags               TEXT NOT NULL DEFAULT '[]', -- JSON: those that this call put on the contact
    created_at         TIMESTAMP NOT NULL,
    updated_at         TIMESTAMP NOT NULL
);
CREATE INDEX calls_person ON calls (person_id, started_at);
CREATE INDEX calls_started ON calls (started_at, id);
CREATE INDEX calls_phone ON calls (phone, started_at);

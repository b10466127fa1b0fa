-- Calls: one call is told in up to six deliveries in any order, so what they say
-- together, and what GHL was made to show of it, has one row.

CREATE TABLE calls (
    id             TEXT PRIMARY KEY, -- Aloware's communication id
    version        INTEGER NOT NULL, -- raised by every change
    person_id      TEXT NOT NULL,
    ghl_contact_id TEXT,             -- whose log and note are at GHL
    ghl_message_id TEXT,             -- of the call log; NULL while there is none
    ghl_note_id    TEXT,             -- of the note; NULL while there is none
    customer       TEXT,             -- E.164
    direction      TEXT,             -- inbound, outbound; NULL while unknown
    outcome        TEXT,             -- completed, missed, voicemail, …; NULL while not over
    disposition    TEXT,             -- the account's own word
    agent          TEXT,             -- the agent's name, once it was found
    facts          TEXT NOT NULL,    -- JSON: the join of the deliveries, without addresses of recordings
    recording      TEXT,             -- sealed: where the recording is
    voicemail      TEXT,             -- sealed: where the voicemail is
    links_until    TIMESTAMP,        -- when the links that GHL was given end
    written        TEXT NOT NULL,    -- JSON: what GHL was made to show last
    at             TIMESTAMP NOT NULL, -- when it began, or when we first heard of it
    created_at     TIMESTAMP NOT NULL,
    updated_at     TIMESTAMP NOT NULL
);
CREATE INDEX calls_at ON calls (at, id);
CREATE INDEX calls_person ON calls (person_id, at);
CREATE INDEX calls_customer ON calls (customer, at);
CREATE INDEX calls_contact ON calls (ghl_contact_id);

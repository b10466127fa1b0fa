-- Consent: who said what about being texted and called, kept as evidence in a
-- hash chain, with the current state per number beside it, because an opt-out
-- must be provable for years and must reach every other system.

ALTER TABLE optout_registry ADD COLUMN call_status TEXT; -- status is that of texts; NULL means the same for calls

CREATE TABLE consent_holds (
    phone  TEXT NOT NULL,
    scope  TEXT NOT NULL, -- sms, call
    holder TEXT NOT NULL, -- whose no it is: text (the person's own words), operator, ghl, aloware
    out_at TIMESTAMP,   -- the latest no, by the time of the act
    in_at  TIMESTAMP,   -- the latest yes that answers this holder's no
    PRIMARY KEY (phone, scope, holder)
);

CREATE TABLE consent_chain (
    name TEXT PRIMARY KEY,
    seq  BIGINT NOT NULL,
    hash TEXT NOT NULL
);
INSERT INTO consent_chain (name, seq, hash)
    VALUES ('main', 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE TABLE consent_events (
    seq        BIGINT PRIMARY KEY, -- 1, 2, 3, … without gaps
    id         TEXT NOT NULL UNIQUE,
    key        TEXT UNIQUE,        -- the same key is the same act
    phone      TEXT NOT NULL,
    kind       TEXT NOT NULL,      -- stop, start, help, note
    scopes     TEXT NOT NULL,      -- comma separated
    holder     TEXT NOT NULL,
    actor      TEXT NOT NULL,
    at         TIMESTAMP NOT NULL, -- when it happened
    heard_at   TIMESTAMP NOT NULL, -- when we heard
    source     TEXT NOT NULL,
    words      TEXT NOT NULL,
    rule       TEXT NOT NULL,
    certain    BOOLEAN NOT NULL,
    message_id TEXT NOT NULL,
    event_id   TEXT NOT NULL,
    person_id  TEXT NOT NULL,
    prev_hash  TEXT NOT NULL,
    hash       TEXT NOT NULL
);
CREATE INDEX consent_events_phone ON consent_events (phone, seq);
CREATE INDEX consent_events_heard ON consent_events (heard_at, seq);

CREATE TABLE consent_flags (
    side        TEXT NOT NULL,
    contact     TEXT NOT NULL, -- the contact's id at the side
    do_not_text BOOLEAN,       -- as last seen; NULL when never shown
    do_not_call BOOLEAN,
    asked_text  BOOLEAN,       -- what we asked the side to hold and have not seen yet
    asked_call  BOOLEAN,
    at          TIMESTAMP NOT NULL,
    PRIMARY KEY (side, contact)
);

CREATE TABLE consent_fanout (
    phone        TEXT NOT NULL,
    target       TEXT NOT NULL,
    generation   BIGINT NOT NULL, -- raised whenever the target is asked anew
    state        TEXT NOT NULL,   -- pending, failed (tried again at next_try_at), absent, done
    attempts     INTEGER NOT NULL,
    next_try_at  TIMESTAMP NOT NULL,
    last_error   TEXT NOT NULL,
    since        TIMESTAMP NOT NULL, -- when we heard what asked for it
    confirmed_at TIMESTAMP,
    PRIMARY KEY (phone, target)
);
CREATE INDEX consent_fanout_due ON consent_fanout (next_try_at) WHERE state <> 'done';

CREATE TABLE consent_incidents (
    key         TEXT PRIMARY KEY,
    phone       TEXT NOT NULL,
    scope       TEXT NOT NULL,
    at          TIMESTAMP NOT NULL, -- when the person was contacted
    seen_at     TIMESTAMP NOT NULL,
    out_since   TIMESTAMP NOT NULL,
    source      TEXT NOT NULL,
    message_id  TEXT NOT NULL,
    event_id    TEXT NOT NULL,
    person_id   TEXT NOT NULL,
    resolved_at TIMESTAMP,
    resolved_by TEXT NOT NULL DEFAULT '',
    note        TEXT NOT NULL DEFAULT ''
);
CREATE INDEX consent_incidents_open ON consent_incidents (seen_at) WHERE resolved_at IS NULL;

CREATE TABLE consent_reviews (
    event_id    TEXT PRIMARY KEY, -- consent_events.id that a person should look at
    kind        TEXT NOT NULL,
    phone       TEXT NOT NULL,
    at          TIMESTAMP NOT NULL,
    resolved_at TIMESTAMP,
    resolved_by TEXT NOT NULL DEFAULT '',
    note        TEXT NOT NULL DEFAULT ''
);
CREATE INDEX consent_reviews_open ON consent_reviews (at) WHERE resolved_at IS NULL;

-- Lists: which call lists a person should be on, by which rule, and which of
-- them Aloware is known to have, because Aloware shows its lists to nobody.

CREATE TABLE list_rules (
    version    BIGINT PRIMARY KEY,
    rules      TEXT NOT NULL, -- JSON
    state      TEXT NOT NULL, -- in_force, waiting (for approval), declined, replaced
    author     TEXT NOT NULL,
    note       TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    decided_at TIMESTAMP,
    decided_by TEXT
);
CREATE UNIQUE INDEX list_rules_in_force ON list_rules (state) WHERE state = 'in_force';

CREATE TABLE list_intents (
    person_id          TEXT PRIMARY KEY,
    contact_id         TEXT NOT NULL, -- at GHL
    aloware_contact_id TEXT NOT NULL,
    agent_key          TEXT NOT NULL, -- empty when nobody can say
    state              TEXT NOT NULL, -- settled, off, blocked, braked, failed, ended
    detail             TEXT NOT NULL, -- why it is in this state, safe text
    facts              TEXT NOT NULL, -- JSON: what the rules were asked about
    intent             TEXT NOT NULL, -- JSON: what each rule said and what follows
    wanted             TEXT NOT NULL, -- the wanted set as one text
    approved           TEXT NOT NULL DEFAULT '', -- a wanted set that may be applied whatever the brake says
    rules_version      BIGINT NOT NULL,
    tries              INTEGER NOT NULL DEFAULT 0,
    sequence           TEXT NOT NULL DEFAULT '{}', -- JSON: the sequence that we put the person into
    recheck_at         TIMESTAMP, -- when a rule that asks for time changes its mind
    moved_at           TIMESTAMP, -- when lists were last moved or left, consent aside
    created_at         TIMESTAMP NOT NULL,
    updated_at         TIMESTAMP NOT NULL
);
CREATE INDEX list_intents_recheck ON list_intents (recheck_at) WHERE recheck_at IS NOT NULL;
CREATE INDEX list_intents_moved ON list_intents (moved_at) WHERE moved_at IS NOT NULL;
CREATE INDEX list_intents_open ON list_intents (state) WHERE state <> 'settled';

CREATE TABLE list_holdings (
    aloware_contact_id TEXT PRIMARY KEY,
    person_id          TEXT NOT NULL, -- whose the contact was when it was written
    lists              TEXT NOT NULL, -- JSON: what Aloware has, as far as known
    redo               BOOLEAN NOT NULL DEFAULT FALSE, -- an operator asked to write all of it anew
    updated_at         TIMESTAMP NOT NULL
);

CREATE TABLE list_runs (
    id            TEXT PRIMARY KEY,
    kind          TEXT NOT NULL, -- rebuild, rules, settings, brake
    state         TEXT NOT NULL, -- waiting, done, declined
    rules_version BIGINT NOT NULL,
    totals        TEXT NOT NULL, -- JSON
    created_by    TEXT NOT NULL,
    created_at    TIMESTAMP NOT NULL,
    decided_by    TEXT,
    decided_at    TIMESTAMP
);
CREATE INDEX list_runs_waiting ON list_runs (created_at) WHERE state = 'waiting';

CREATE TABLE list_settings (
    name  TEXT PRIMARY KEY, -- converged: what everybody was converged to last
    value TEXT NOT NULL
);

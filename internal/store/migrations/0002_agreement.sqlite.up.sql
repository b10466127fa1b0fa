-- What was agreed and what was left open: the memory of convergence. Values in
-- these tables are personal data and are erased with the person.

CREATE TABLE contact_agreements (
    person_id  TEXT NOT NULL,
    side       TEXT NOT NULL,
    contact_id TEXT NOT NULL,
    fields     TEXT NOT NULL, -- JSON: what the side held when both last agreed
    tags       TEXT,          -- JSON array; NULL when tags were never agreed on
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (person_id, side)
);

CREATE TABLE sync_conflicts (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT,
    id             TEXT NOT NULL UNIQUE,
    person_id      TEXT NOT NULL,
    field          TEXT NOT NULL,
    kind           TEXT NOT NULL,
    base           TEXT NOT NULL, -- JSON by side
    seen           TEXT NOT NULL, -- JSON by side
    chosen         TEXT,
    value          TEXT,
    rule           TEXT NOT NULL,
    correlation_id TEXT,
    at             TIMESTAMP NOT NULL
);
CREATE INDEX sync_conflicts_person ON sync_conflicts (person_id, seq);

CREATE TABLE sync_issues (
    person_id  TEXT NOT NULL,
    topic      TEXT NOT NULL,
    kind       TEXT NOT NULL,
    side       TEXT NOT NULL,
    field      TEXT NOT NULL,
    want       TEXT,
    got        TEXT,
    contact_id TEXT,
    tries      INTEGER NOT NULL,
    open       BOOLEAN NOT NULL,
    detail     TEXT,
    since      TIMESTAMP NOT NULL,
    at         TIMESTAMP NOT NULL,
    PRIMARY KEY (person_id, topic)
);
CREATE INDEX sync_issues_open ON sync_issues (at) WHERE open;

CREATE TABLE sync_writes (
    person_id TEXT NOT NULL,
    side      TEXT NOT NULL,
    field     TEXT NOT NULL,
    at        TIMESTAMP NOT NULL
);
CREATE INDEX sync_writes_person ON sync_writes (person_id, at);
CREATE INDEX sync_writes_age ON sync_writes (at);

CREATE TABLE normalisations (
    side     TEXT NOT NULL,
    field    TEXT NOT NULL,
    change   TEXT NOT NULL, -- what the side does to the value: case, space, …
    times    BIGINT NOT NULL,
    given    TEXT NOT NULL, -- the latest example
    held     TEXT NOT NULL,
    first_at TIMESTAMP NOT NULL,
    last_at  TIMESTAMP NOT NULL,
    PRIMARY KEY (side, field, change)
);

CREATE TABLE people_reviews (
    key         TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,
    person_id   TEXT NOT NULL,
    side        TEXT NOT NULL,
    contact_id  TEXT,
    phone       TEXT,
    email       TEXT,
    candidates  TEXT NOT NULL DEFAULT '[]',
    at          TIMESTAMP NOT NULL,
    resolved_at TIMESTAMP
);

CREATE TABLE people_undo (
    id          TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,
    reason      TEXT NOT NULL,
    actor       TEXT NOT NULL,
    at          TIMESTAMP NOT NULL,
    before_rows TEXT NOT NULL,
    after_rows  TEXT NOT NULL,
    undone_at   TIMESTAMP
);

-- What goes on to Verity has a fate of its own, apart from that of the event in
-- its lane; and a broadcast is one record in GHL, however often it is announced.
CREATE TABLE forwards (
    event_id   TEXT PRIMARY KEY,
    status     TEXT NOT NULL, -- pending, done, failed (tried again), refused, given_up
    attempts   INTEGER NOT NULL DEFAULT 0,
    error      TEXT NOT NULL DEFAULT '',
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX forwards_open ON forwards (created_at, event_id) WHERE status <> 'done';
CREATE INDEX forwards_age ON forwards (created_at, event_id);

CREATE TABLE broadcasts (
    id          TEXT PRIMARY KEY, -- Verity's
    as_of       TIMESTAMPTZ NOT NULL, -- when the figures were true
    figures     TEXT NOT NULL,        -- JSON
    origin      TEXT NOT NULL,        -- payload, verity
    record_id   TEXT NOT NULL DEFAULT '', -- GHL's
    record_hash TEXT NOT NULL DEFAULT '', -- of the record as it was written last
    records     INTEGER NOT NULL DEFAULT 0, -- how many records were made, should one be deleted in GHL
    events      BIGINT NOT NULL DEFAULT 0,  -- how many events announced it
    created_at  TIMESTAMPTZ NOT NULL,
    updated_at  TIMESTAMPTZ NOT NULL
);
CREATE INDEX broadcasts_age ON broadcasts (updated_at, id);

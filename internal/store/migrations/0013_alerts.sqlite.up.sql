-- Alerts: what is wrong with the system as a whole is remembered, so that it is
-- told once, not after every restart; with the figures that rules judge, since
-- no process sees all.

CREATE TABLE alerts (
    id              TEXT PRIMARY KEY,
    rule            TEXT NOT NULL,
    subject         TEXT NOT NULL, -- what it is about: a source, an upstream, …; empty for the whole system
    severity        TEXT NOT NULL, -- warning, critical
    state           TEXT NOT NULL, -- open, acknowledged, resolved
    summary         TEXT NOT NULL, -- safe text
    times           BIGINT NOT NULL, -- how often it began, counted until it has been away for the cooldown
    opened_at       TIMESTAMP NOT NULL,
    seen_at         TIMESTAMP NOT NULL, -- when the rule last found it
    acknowledged_at TIMESTAMP,
    acknowledged_by TEXT,
    resolved_at     TIMESTAMP,
    resolved_by     TEXT, -- empty when it went away by itself
    note            TEXT,
    told            TEXT NOT NULL, -- what the receiver was told last: nothing, warning, critical, resolved
    told_at         TIMESTAMP,
    tell_at         TIMESTAMP, -- when to tell; NULL when there is nothing to tell
    tell_tries      INTEGER NOT NULL DEFAULT 0,
    tell_error      TEXT,
    version         BIGINT NOT NULL
);
CREATE UNIQUE INDEX alerts_open ON alerts (rule, subject) WHERE state <> 'resolved';
CREATE INDEX alerts_state ON alerts (state, id);
CREATE INDEX alerts_tell ON alerts (tell_at) WHERE tell_at IS NOT NULL;

CREATE TABLE alert_figures (
    name    TEXT NOT NULL,
    subject TEXT NOT NULL,
    slot    TIMESTAMP NOT NULL, -- beginning of the minute
    n       BIGINT NOT NULL,
    PRIMARY KEY (name, subject, slot)
);
CREATE INDEX alert_figures_age ON alert_figures (slot);

CREATE TABLE source_hours (
    source TEXT NOT NULL,
    hour   TIMESTAMP NOT NULL, -- beginning of an hour in which we listened throughout
    events BIGINT NOT NULL,
    PRIMARY KEY (source, hour)
);

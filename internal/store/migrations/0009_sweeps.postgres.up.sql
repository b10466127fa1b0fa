-- What sweeps found: which people differ since when, which changes no webhook
-- announced, how far each walk came; and replays, which are worked by a job.
ALTER TABLE sync_state ADD COLUMN walk_top TIMESTAMPTZ; -- newest row of the walk under way, whose page is cursor_id

ALTER TABLE reconcile_runs ADD COLUMN beat_at TIMESTAMPTZ; -- last sign of life; NULL for runs of the original system
CREATE UNIQUE INDEX reconcile_runs_one ON reconcile_runs (job_name) WHERE status = 'running' AND beat_at IS NOT NULL;

CREATE TABLE drift (
    subject TEXT NOT NULL, -- a person's id, or ghl:<contact id> of a contact that is nobody's yet
    side    TEXT NOT NULL, -- whose news has not come through
    field   TEXT NOT NULL, -- empty when the contact as a whole is missing on the other side
    kind    TEXT NOT NULL, -- contact, field, tags
    since   TIMESTAMPTZ NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (subject, side, field)
);
CREATE INDEX drift_field ON drift (kind, field, since);

CREATE TABLE sweep_findings (
    source     TEXT NOT NULL,
    kind       TEXT NOT NULL, -- of the webhook that should have come
    entity_id  TEXT NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    person_id  TEXT,
    found_at   TIMESTAMPTZ NOT NULL,
    verdict    TEXT NOT NULL, -- waiting, announced, missed
    judged_at  TIMESTAMPTZ,
    PRIMARY KEY (source, kind, entity_id, changed_at)
);
CREATE INDEX sweep_findings_waiting ON sweep_findings (found_at) WHERE verdict = 'waiting';
CREATE INDEX sweep_findings_verdict ON sweep_findings (verdict, found_at);

CREATE TABLE replays (
    id          TEXT PRIMARY KEY,
    filter      TEXT NOT NULL, -- JSON
    actor       TEXT NOT NULL,
    status      TEXT NOT NULL, -- running, done, stopped, error
    until_seq   BIGINT NOT NULL, -- events that came later are not replayed
    cursor_seq  BIGINT NOT NULL DEFAULT 0,
    events      BIGINT NOT NULL, -- how many there are to replay
    replayed    BIGINT NOT NULL DEFAULT 0,
    superseded  BIGINT NOT NULL DEFAULT 0,
    passed_over BIGINT NOT NULL DEFAULT 0,
    started_at  TIMESTAMPTZ NOT NULL,
    beat_at     TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,
    error       TEXT
);
CREATE INDEX replays_running ON replays (beat_at) WHERE status = 'running';

CREATE INDEX calls_logged ON calls (ghl_message_id) WHERE ghl_message_id <> '';

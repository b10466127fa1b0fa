-- Appointments and opportunities of GHL, each with how it stands and its history,
-- so that "no-show" and "deleted" are more than one event among many.
CREATE TABLE crm_items (
    kind           TEXT NOT NULL, -- appointment, opportunity
    id             TEXT NOT NULL, -- GHL's
    person_id      TEXT NOT NULL,
    ghl_contact_id TEXT NOT NULL,
    standing       TEXT NOT NULL, -- in one word
    starts_at      TIMESTAMP,   -- of an appointment
    told           TEXT NOT NULL, -- JSON: all that was told of it, in order of the acts
    changed_at     TIMESTAMP NOT NULL,
    created_at     TIMESTAMP NOT NULL,
    updated_at     TIMESTAMP NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX crm_items_person ON crm_items (person_id, kind, changed_at);
CREATE INDEX crm_items_changed ON crm_items (kind, changed_at, id);
CREATE VIEW appointments AS SELECT * FROM crm_items WHERE kind = 'appointment';
CREATE VIEW opportunities AS SELECT * FROM crm_items WHERE kind = 'opportunity';

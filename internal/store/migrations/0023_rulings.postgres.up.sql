-- A person may accept what a rule decided about a conflict, or ask for the other
-- side's value; what was chosen, by whom and why, and what came of it, stands with
-- the conflict. Rows of before, and those that the release before adds, are open.
ALTER TABLE sync_conflicts ADD COLUMN state TEXT NOT NULL DEFAULT 'open'; -- open, accepted, asked, applied, overtaken, refused
ALTER TABLE sync_conflicts ADD COLUMN choice TEXT;     -- keep, ghl, aloware
ALTER TABLE sync_conflicts ADD COLUMN decided_by TEXT;
ALTER TABLE sync_conflicts ADD COLUMN decided_at TIMESTAMPTZ;
ALTER TABLE sync_conflicts ADD COLUMN reason TEXT;
ALTER TABLE sync_conflicts ADD COLUMN outcome TEXT;    -- what came of an asked value, safe text
ALTER TABLE sync_conflicts ADD COLUMN changed_at TIMESTAMPTZ; -- when the state last changed
ALTER TABLE sync_conflicts ADD COLUMN settled TEXT;    -- JSON by side: what each showed once the rule had been carried out

CREATE INDEX sync_conflicts_state ON sync_conflicts (state, seq);
CREATE INDEX sync_conflicts_field ON sync_conflicts (field, seq);
CREATE INDEX sync_conflicts_asked ON sync_conflicts (person_id) WHERE state = 'asked';
CREATE INDEX sync_conflicts_changed ON sync_conflicts (changed_at) WHERE changed_at IS NOT NULL;

package messages

import (
	"context"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/effects"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// Report notes how far a text came. A report may come before the text itself; it
// is kept then, and counts when the text is put into the conversation.
func (d *Desk) Report(ctx context.Context, lease people.Lease, p people.Person, t Text) (effects.Outcome, error) {
	m, known, err := d.recognise(ctx, t)
	if err != nil {
		return effects.Trouble(err)
	}
	if !known {
		m = d.early(p, t)
	}
	before := m.Status
	m = d.advance(d.withIDs(m, t), t)
	if err := d.Ledger.Write(ctx, lease, Entry{Message: &m}); err != nil {
		return effects.Trouble(err)
	}
	if known && m.Status == before {
		return effects.Skipped("the text has come further already"), nil
	}
	return effects.Outcome{Status: df.Done}, nil
}

// early is the message of a report that came before its text. It has no words
// yet, and no hash of any.
func (d *Desk) early(p people.Person, t Text) store.Message {
	m := store.Message{ID: d.NewID(), Source: t.Source, CreatedAt: d.Clock()}
	m = d.fill(m, p, t)
	m.Status, m.StatusReason, m.BodyHash = "", "", ""
	return m
}

// advance takes over the state that a text brings, if it is a later one, and
// plans to tell GHL.
func (d *Desk) advance(m store.Message, t Text) store.Message {
	if t.Direction == Inbound || t.Status == "" || !d.Later(t.Status, Status(m.Status)) {
		return m
	}
	m.Status, m.StatusReason, m.UpdatedAt = string(t.Status), "", d.Clock()
	if t.Status == Unsent || t.Status == Canceled {
		m.StatusReason = "the carrier did not deliver the text"
		if t.ErrorCode != "" {
			m.StatusReason += " (code " + t.ErrorCode + ")"
		}
	}
	return d.plan(m)
}

// plan makes GHL be told when there is something to tell.
func (d *Desk) plan(m store.Message) store.Message {
	if m.GHLID != "" && untold(m) {
		m.TellAt, m.TellTries, m.TellError = d.Clock(), 0, ""
	}
	return m
}

package messages

import (
	"context"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/effects"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// outboxWindow is how long after we sent a text a report without our ids may
// still be taken for one about it.
const outboxWindow = time.Hour

// Record puts a text that came in, or that went out elsewhere, into the person's
// conversation at GHL, once. The person has a contact at GHL, unless GHL is not
// configured. An error means that the lane was lost.
func (d *Desk) Record(ctx context.Context, lease people.Lease, p people.Person, t Text) (effects.Outcome, error) {
	m, known, err := d.recognise(ctx, t)
	if err != nil {
		return effects.Trouble(err)
	}
	if !known {
		m = store.Message{ID: d.NewID(), Source: t.Source, CreatedAt: d.Clock()}
	}
	if known && m.GHLID != "" {
		return d.again(ctx, lease, m, t)
	}
	m = d.fill(m, p, t)
	switch {
	case t.empty():
		return d.decline(ctx, lease, m, t, "the text has neither words nor pictures")
	case d.GHL == nil:
		return d.decline(ctx, lease, m, t, "GHL is not configured")
	case p.GHLContactID == "":
		return effects.Outcome{Status: df.Quarantined, Reason: "no contact at GHL could be found or made; see the person's issues"}, nil
	}
	return d.log(ctx, lease, m, t)
}

// recognise finds the message that a text is: by its ids, else, for a text that
// went out, by its words among those that we sent. Verity does not echo GHL's
// id, and reports the carrier's.
func (d *Desk) recognise(ctx context.Context, t Text) (store.Message, bool, error) {
	m, known, err := d.known(ctx, t)
	if known || err != nil || t.Direction != Outbound || t.Source != df.SourceTexting || t.empty() {
		return m, known, err
	}
	return d.Ledger.Sent(ctx, t.Customer, hash(t.Body), d.Clock().Add(-outboxWindow))
}

// again is for a text that is in the conversation: one that we sent for an
// agent, or one that is announced once more.
func (d *Desk) again(ctx context.Context, lease people.Lease, m store.Message, t Text) (effects.Outcome, error) {
	m = d.advance(d.withIDs(m, t), t)
	entry := Entry{Message: &m}
	reason := "the text is in GHL already"
	if m.Source == df.SourceGHL {
		reason = "our own text, sent for an agent in GHL"
	}
	entry.Log = append(entry.Log, d.row(t.Event, direction(t.Source), m, "skipped", reason))
	if err := d.Ledger.Write(ctx, lease, entry); err != nil {
		return effects.Trouble(err)
	}
	return effects.Skipped(reason), nil
}

func direction(source df.Source) df.Direction {
	if source == df.SourceAloware {
		return df.AlowareToGHL
	}
	return df.TextingToGHL
}

// withIDs adds the ids that a text brings. The first report of a text of ours
// that names an id we do not have names the carrier's.
func (d *Desk) withIDs(m store.Message, t Text) store.Message {
	if t.Source == df.SourceAloware {
		m.AlowareID = t.id()
		return m
	}
	if t.ID != "" && m.Source == df.SourceGHL && t.ID != m.VerityID && m.CarrierID == "" {
		m.CarrierID = t.ID
	}
	if m.TextingID == "" {
		m.TextingID = t.id()
	}
	for _, id := range t.OtherIDs {
		if m.CarrierID == "" && id != m.VerityID && id != m.TextingID {
			m.CarrierID = id
		}
	}
	m.UpdatedAt = d.Clock()
	return m
}

// fill takes over what the text says.
func (d *Desk) fill(m store.Message, p people.Person, t Text) store.Message {
	m = d.advance(d.withIDs(m, t), t)
	m.PersonID, m.GHLContactID, m.AlowareContactID = p.ID, p.GHLContactID, p.AlowareContactID
	m.From, m.To = t.ends()
	m.Direction, m.BodyHash, m.OccurredAt, m.UpdatedAt = string(t.Direction), hash(t.Body), t.at(), d.Clock()
	return m
}

// decline keeps a text that does not go to GHL, and why.
func (d *Desk) decline(ctx context.Context, lease people.Lease, m store.Message, t Text, reason string) (effects.Outcome, error) {
	entry := Entry{Message: &m, Log: append(d.toAloware(t, m), d.row(t.Event, direction(t.Source), m, "skipped", reason))}
	if err := d.Ledger.Write(ctx, lease, entry); err != nil {
		return effects.Trouble(err)
	}
	return effects.Skipped(reason), nil
}

// toAloware says honestly what becomes of a text in Aloware when texts are wanted
// there: its API has no way to log a text that took place elsewhere.
func (d *Desk) toAloware(t Text, m store.Message) []store.SyncRow {
	if !d.ToAloware || t.Source != df.SourceTexting {
		return nil
	}
	row := d.row(t.Event, df.TextingToAloware, m, "skipped", "Aloware's API cannot log a text that took place elsewhere")
	row.TargetID = m.AlowareContactID
	return []store.SyncRow{row}
}

const kindLog = "log_text"

// log makes the text appear in the conversation, once.
func (d *Desk) log(ctx context.Context, lease people.Lease, m store.Message, t Text) (effects.Outcome, error) {
	e, err := d.Ledger.Effect(ctx, kindLog+":"+string(t.Source)+":"+t.id())
	if err != nil {
		return effects.Trouble(err)
	}
	e.Kind, e.PersonID, e.EventID, e.Request = kindLog, m.PersonID, t.Event.ID, "{}"
	if effects.State(e.State) == effects.Done {
		return effects.Skipped("the text is in GHL already"), nil
	}
	begun := effects.State(e.State) == effects.Claimed || effects.State(e.State) == effects.Unknown
	if at := e.UpdatedAt.Add(d.settle()); begun && d.Clock().Before(at) {
		return effects.Outcome{Status: df.Failed, Error: "an earlier try may still be under way", RetryAt: at}, nil
	}
	if m.ConversationID, err = d.GHL.Conversation(ctx, m.GHLContactID); err != nil {
		return effects.Trouble(err)
	}
	if begun {
		if there, err := d.lookUp(ctx, lease, &e, m, t); there || err != nil {
			return settled(err)
		}
	}
	if err := d.claim(ctx, lease, &e, effects.Claim, &m); err != nil {
		return effects.Trouble(err)
	}
	m.GHLID, err = d.GHL.Log(ctx, Logging{ConversationID: m.ConversationID, ContactID: m.GHLContactID, Direction: t.Direction,
		Body: t.Body, Media: t.Media, AltID: t.id(), At: t.at()})
	if kept := d.finish(ctx, lease, &e, m, t, err); kept != nil {
		return effects.Trouble(kept)
	}
	return settled(err)
}

// settled is the lane's answer to a call: done, or what its error asks for. What
// nobody knows is looked up soon.
func settled(err error) (effects.Outcome, error) {
	if err == nil {
		return effects.Outcome{Status: df.Done}, nil
	}
	return effects.Trouble(err)
}

// lookUp finds out whether an earlier try put the text there.
func (d *Desk) lookUp(ctx context.Context, lease people.Lease, e *store.Effect, m store.Message, t Text) (bool, error) {
	if effects.State(e.State) == effects.Claimed {
		if err := d.move(ctx, lease, e, effects.Orphan, Entry{}); err != nil {
			return false, err
		}
	}
	id, err := d.GHL.Logged(ctx, m.ConversationID, t.id())
	if err != nil {
		return false, err
	}
	if id == "" {
		return false, d.move(ctx, lease, e, effects.Absent, Entry{})
	}
	m.GHLID = id
	return true, d.move(ctx, lease, e, effects.Found, d.logged(m, t, "found in the conversation after a lost answer"))
}

// finish writes down how the call ended.
func (d *Desk) finish(ctx context.Context, lease people.Lease, e *store.Effect, m store.Message, t Text, called error) error {
	// What was sent was sent, whoever has stopped waiting for us meanwhile.
	saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if called == nil {
		return d.move(saving, lease, e, effects.Succeed, d.logged(m, t, ""))
	}
	e.Error = effects.Safe(called)
	return d.move(saving, lease, e, effects.Ended(called), Entry{Log: []store.SyncRow{
		d.row(t.Event, direction(t.Source), m, "error", e.Error),
	}})
}

// logged is the entry for a text that is in the conversation now.
func (d *Desk) logged(m store.Message, t Text, message string) Entry {
	m = d.plan(m)
	return Entry{Message: &m, Log: append(d.toAloware(t, m), d.row(t.Event, direction(t.Source), m, "success", message))}
}

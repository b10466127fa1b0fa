package messages

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/effects"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

const kindSend = "send_text"

// ends are both ends of a text that is to be sent. They are settled with the
// first try: another try with other ends would be another text.
type ends struct {
	To   df.Phone `json:"to"`
	From df.Phone `json:"from,omitempty"`
}

// Deliver sends a text that an agent wrote in GHL, once, however often GHL asks
// for it. What is not sent is shown to the agent as failed, with the reason. An
// error means that the lane was lost.
func (d *Desk) Deliver(ctx context.Context, lease people.Lease, p people.Person, o Order) (effects.Outcome, error) {
	e, m, err := d.open(ctx, p, o)
	if err != nil {
		return effects.Trouble(err)
	}
	switch effects.State(e.State) {
	case effects.Done:
		return effects.Skipped("the text was sent already"), nil
	case effects.Claimed:
		if err := d.move(ctx, lease, &e, effects.Orphan, Entry{}); err != nil {
			return effects.Trouble(err)
		}
	}
	sent, err := d.recall(e, p, o)
	if err != nil {
		return effects.Trouble(err)
	}
	if reason, retry := d.forbidden(ctx, p, o, sent.To); reason != "" {
		if retry {
			return d.putOff(ctx, lease, &e, m, o, &df.CallError{Upstream: "consent", Operation: "ask the gate", Outcome: df.RetryLater,
				Code: df.CodeUnavailable, Message: reason}, false)
		}
		return d.refuse(ctx, lease, &e, m, o, reason, false)
	}
	if effects.State(e.State) == effects.New {
		if sent.From, err = d.Ledger.WrittenTo(ctx, sent.To); err != nil {
			return effects.Trouble(err)
		}
		request, _ := json.Marshal(sent) // plain texts always encode
		e.Request = string(request)
	}
	m.From, m.To = sent.From, sent.To
	return d.send(ctx, lease, e, m, o, sent)
}

// open finds what is known of the text.
func (d *Desk) open(ctx context.Context, p people.Person, o Order) (store.Effect, store.Message, error) {
	e, err := d.Ledger.Effect(ctx, kindSend+":"+o.MessageID)
	if err != nil {
		return e, store.Message{}, err
	}
	if effects.State(e.State) == effects.New {
		e.Kind, e.PersonID, e.EventID, e.Request = kindSend, p.ID, o.Event.ID, "{}"
	}
	m, known, err := d.Ledger.Message(ctx, store.MessageKey{GHLID: o.MessageID})
	if err != nil || known {
		return e, m, err
	}
	now := d.Clock()
	return e, store.Message{ID: d.NewID(), GHLID: o.MessageID, GHLContactID: p.GHLContactID, AlowareContactID: p.AlowareContactID,
		PersonID: p.ID, To: o.To, Direction: string(Outbound), Source: df.SourceGHL, BodyHash: hash(o.Body),
		OccurredAt: o.Event.ReceivedAt, CreatedAt: now, UpdatedAt: now}, nil
}

// recall returns the ends of the text, as the first try had them.
func (d *Desk) recall(e store.Effect, p people.Person, o Order) (ends, error) {
	var sent ends
	if effects.State(e.State) != effects.New {
		if err := json.Unmarshal([]byte(e.Request), &sent); err != nil {
			return sent, err
		}
	}
	if sent.To == "" {
		sent.To = o.To
	}
	if sent.To == "" {
		sent.To = p.Phone
	}
	return sent, nil
}

// forbidden says why the text must not go out, in words for the agent, or
// nothing. retry says that this may be another moment later.
func (d *Desk) forbidden(ctx context.Context, p people.Person, o Order, to df.Phone) (reason string, retry bool) {
	switch {
	case o.Channel != "" && !strings.EqualFold(o.Channel, "SMS"):
		return "only texts can be sent by this provider", false
	case strings.TrimSpace(o.Body) == "" && len(o.Media) == 0:
		return "the text is empty", false
	case to == "":
		return "the contact has no phone number that can be texted", false
	case d.Sender == nil:
		return "texting is not configured: VERITY_API_KEY is missing", false
	}
	decision := d.Gate.May(ctx, consent.Question{Channel: consent.ChannelSMS, Phone: string(to), PersonID: p.ID})
	switch decision.Reason {
	case consent.Clear:
		return "", false
	case consent.OptedOut:
		return optedOut, false
	case consent.Unavailable:
		return "consent cannot be checked", true
	case consent.Quiet, consent.NoZone:
		return "nobody is texted at this hour", false
	}
	return "this number cannot be texted", false
}

const optedOut = "the customer has opted out of texts"

// send makes one attempt.
func (d *Desk) send(ctx context.Context, lease people.Lease, e store.Effect, m store.Message, o Order, sent ends) (effects.Outcome, error) {
	step, again := effects.Claim, effects.State(e.State) == effects.Unknown
	if again {
		step = effects.Resend // Verity knows the text by its key
	}
	if err := d.claim(ctx, lease, &e, step, &m); err != nil {
		return effects.Trouble(err)
	}
	receipt, err := d.Sender.Send(ctx, o.MessageID, sent.To, sent.From, o.Body, o.Media)
	saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	switch outcome, _ := df.OutcomeOf(err); {
	case err == nil:
		return d.taken(saving, lease, &e, m, o, receipt)
	case outcome == df.Refused:
		reason := "Verity refuses the text"
		if df.IsCode(err, CodeOptedOut) {
			reason = optedOut
		}
		return d.refuse(saving, lease, &e, m, o, reason, again)
	}
	return d.putOff(saving, lease, &e, m, o, err, again)
}

// taken notes that Verity took the text.
func (d *Desk) taken(ctx context.Context, lease people.Lease, e *store.Effect, m store.Message, o Order, r Receipt) (effects.Outcome, error) {
	m.VerityID, m.UpdatedAt, e.Error = r.MessageID, d.Clock(), ""
	if d.Later(Queued, Status(m.Status)) || Status(m.Status) == Unsent {
		m.Status, m.StatusReason = string(Queued), "" // an operator had a failed one sent again
	}
	m = d.plan(m)
	entry := Entry{Message: &m, Log: []store.SyncRow{d.row(o.Event, df.GHLToTexting, m, "success", "")}}
	if err := d.move(ctx, lease, e, effects.Succeed, entry); err != nil {
		return effects.Trouble(err)
	}
	return effects.Outcome{Status: df.Done}, nil
}

// refuse ends a text that must not, or cannot, be sent; the agent reads why. Of a
// text that an earlier try may have sent (again says that this was a second one),
// that is said too, and a person looks at it.
func (d *Desk) refuse(
	ctx context.Context, lease people.Lease, e *store.Effect, m store.Message, o Order, reason string, again bool,
) (effects.Outcome, error) {
	doubt, claimed := again || effects.State(e.State) == effects.Unknown, effects.State(e.State) == effects.Claimed
	outcome := effects.Skipped("not sent: " + reason)
	if doubt {
		reason += "; whether an earlier try sent it is not known"
		outcome = effects.Outcome{Status: df.Quarantined, Reason: reason}
	}
	e.Error = reason
	m.Status, m.StatusReason, m.UpdatedAt = string(Unsent), reason, d.Clock()
	m = d.plan(m)
	entry := Entry{Message: &m, Log: []store.SyncRow{d.row(o.Event, df.GHLToTexting, m, "skipped", reason)}}
	var err error
	switch {
	case claimed && doubt:
		err = d.move(ctx, lease, e, effects.Lose, entry)
	case claimed:
		err = d.move(ctx, lease, e, effects.Fail, entry)
	default:
		err = d.Ledger.Write(ctx, lease, entry)
	}
	if err != nil {
		return effects.Trouble(err)
	}
	return outcome, nil
}

// putOff ends an attempt that may be made again, unless the text has become too
// old to be wanted. What an earlier try may have sent stays unknown, whatever
// became of this one.
func (d *Desk) putOff(
	ctx context.Context, lease people.Lease, e *store.Effect, m store.Message, o Order, called error, again bool,
) (effects.Outcome, error) {
	if effects.State(e.State) == effects.Claimed {
		step := effects.Ended(called)
		if again {
			step = effects.Lose
		}
		e.Error = effects.Safe(called)
		entry := Entry{Log: []store.SyncRow{d.row(o.Event, df.GHLToTexting, m, "error", e.Error)}}
		if err := d.move(ctx, lease, e, step, entry); err != nil {
			return effects.Trouble(err)
		}
	}
	if d.Clock().Sub(o.Event.ReceivedAt) > d.giveUp() {
		return d.refuse(ctx, lease, e, m, o, "the texting system did not answer in time", false)
	}
	_, retryAt := df.OutcomeOf(called)
	return effects.Outcome{Status: df.Failed, Error: effects.Safe(called), RetryAt: retryAt}, nil
}

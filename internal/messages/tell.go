package messages

import (
	"context"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/effects"
	"github.com/df-middleware/dfm/internal/store"
)

const (
	tellTopic = "ghl/message-status"
	tellLease = time.Minute
	tellFirst = 5 * time.Second // GHL answers 403 for 5 to 10 s after a delivery
	tellMost  = time.Hour
	tellTime  = 24 * time.Hour // after which nobody looks at the state any more
)

// shownAs is how GHL calls a text's state, or "" when it need not be told. That
// an agent's text is under way is told; of a text that was only logged, only how
// it ended.
func shownAs(m store.Message) string {
	switch Status(m.Status) {
	case Delivered:
		return "delivered"
	case Read:
		return "read"
	case Unsent, Canceled:
		return "failed"
	case Queued, Sending, Sent:
		if m.Source == df.SourceGHL {
			return "pending"
		}
	}
	return ""
}

func untold(m store.Message) bool {
	return Direction(m.Direction) == Outbound && shownAs(m) != "" && shownAs(m) != m.ToldStatus
}

// Tell tells GHL how far texts came: those that are due, at most limit. It returns
// how many it tried. Any number of instances may call it at once.
func (d *Desk) Tell(ctx context.Context, limit int) (int, error) {
	if d.GHL == nil {
		return 0, nil
	}
	now := d.Clock()
	due, err := d.Ledger.Tellings(ctx, now, now.Add(tellLease), limit)
	if err != nil {
		return 0, err
	}
	for _, m := range due {
		if err := d.tell(ctx, m); err != nil {
			return len(due), err
		}
	}
	return len(due), nil
}

// tell makes one attempt and writes down what became of it.
func (d *Desk) tell(ctx context.Context, m store.Message) error {
	seen, status := m.Status, shownAs(m)
	var err error
	if untold(m) {
		err = d.GHL.SetStatus(ctx, m.GHLID, status, m.StatusReason)
	}
	if ctx.Err() != nil {
		return ctx.Err() // the claim runs out and somebody tries again
	}
	now := d.Clock()
	m.UpdatedAt, m.TellAt, m.TellError = now, time.Time{}, ""
	var issue *store.Issue
	switch {
	case err == nil:
		m.TellTries = 0
		if status != "" {
			m.ToldStatus = status
		}
	default:
		m.TellError = effects.Safe(err)
		m.TellAt = d.tellAgain(m, err, now)
		if m.TellAt.IsZero() || df.IsCode(err, df.CodeUnconfigured) {
			issue = &store.Issue{PersonID: m.PersonID, Topic: tellTopic, Kind: "not_told", Side: df.SideGHL, Open: true,
				Detail: "GHL could not be told how far a text came: " + m.TellError, At: now}
		}
	}
	return d.Ledger.Told(ctx, m, seen, issue)
}

// tellAgain is when to try again: after 5, 10, 20 … seconds up to an hour, for a
// day. The zero time is never.
func (d *Desk) tellAgain(m store.Message, err error, now time.Time) time.Time {
	outcome, asked := df.OutcomeOf(err)
	if outcome == df.Refused || now.Sub(m.CreatedAt) > tellTime {
		return time.Time{}
	}
	pause := min(tellFirst<<min(max(m.TellTries-1, 0), 12), tellMost)
	if df.IsCode(err, df.CodeUnconfigured) {
		pause = tellMost
	}
	if at := now.Add(pause); at.After(asked) {
		return at
	}
	return asked
}

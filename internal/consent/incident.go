package consent

import (
	"context"
	"fmt"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Contacted is an outbound text or call that was seen, whoever made it: we, a
// person in GHL or Aloware, a campaign.
type Contacted struct {
	Phone     df.Phone
	Scope     Scope
	At        time.Time // when it happened
	SeenAt    time.Time
	Source    string
	MessageID string // the source's id of the message or call
	EventID   string
	PersonID  string
}

// Detect looks at an outbound text or call and keeps an Incident when the number
// was out at the time. It goes by what was said until then, not by how the
// number stands now, and forgives what was under way within the policy's grace.
// It reports whether there is an incident that is news. A text that comes before
// the opt-out reached us is found when Detect is called for it afterwards.
func (r *Recorder) Detect(ctx context.Context, tx store.Tx, c Contacted) (bool, error) {
	if c.Phone == "" {
		return false, nil
	}
	if c.At.IsZero() {
		c.At = c.SeenAt
	}
	before, at, err := r.standings(ctx, tx, c.Phone, c.At)
	if err != nil {
		return false, fmt.Errorf("look for contact after opt-out: %w", err)
	}
	if !before.Out(c.Scope) || !at.Out(c.Scope) {
		return false, nil
	}
	key := c.Source + ":" + c.MessageID
	if c.MessageID == "" {
		key = "event:" + c.EventID
	}
	return store.InsertIncident(ctx, tx, store.Incident{
		Key: key + ":" + string(c.Scope) + ":" + string(c.Phone), Phone: string(c.Phone), Scope: string(c.Scope), At: c.At,
		SeenAt: c.SeenAt, OutSince: before.Since(c.Scope), Source: c.Source, MessageID: c.MessageID, EventID: c.EventID,
		PersonID: c.PersonID,
	})
}

// standings returns how the number stood a grace before the time, and at it. A
// number without evidence is one that another release wrote: its row tells.
func (r *Recorder) standings(ctx context.Context, tx store.Tx, phone df.Phone, at time.Time) (before, then Standing, err error) {
	filter := store.ConsentFilter{Phones: []string{string(phone)}, After: beforeAll, Limit: pageSize}
	events := 0
	for {
		page, err := store.ConsentEvents(ctx, tx, filter)
		if err != nil {
			return before, then, err
		}
		for _, e := range page {
			act := actOf(e)
			if !act.At.After(at.Add(-r.Policy.grace())) {
				before = before.Join(act)
			}
			if !act.At.After(at) {
				then = then.Join(act)
			}
			filter.After = e.Seq
		}
		events += len(page)
		if len(page) < pageSize {
			break
		}
	}
	if events > 0 {
		return before, then, nil
	}
	now, err := standing(ctx, tx, phone)
	if since := later(now.Since(SMS), now.Since(Call)); since.After(at.Add(-r.Policy.grace())) {
		return Standing{}, Standing{}, err
	}
	return now, now, err
}

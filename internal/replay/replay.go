package replay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// Superseded is the reason that an event is given which did not end well and has
// nothing to say any more.
const Superseded = "superseded: the sides have agreed since"

// Looker looks at people; *converge.Converger is one.
type Looker interface {
	Look(ctx context.Context, personID string) (converge.View, error)
	Compare(agreed converge.Agreed, seen map[df.Side]df.Contact) converge.Proposal
}

// Desk counts and works replays.
type Desk struct {
	Store  *store.Store
	Looker Looker
	Clock  df.Clock
	NewID  func() string
	Log    *slog.Logger
}

// Asked is what is to be done to which events.
type Asked struct {
	Action string // one of store.BulkActions
	Filter store.EventFilter
	Actor  string
	Reason string
	// UntilSeq and Most are what was confirmed: events that came after the one, and
	// more events than the other, are not touched. Zero confirms what there is.
	UntilSeq, Most int64
}

// Grown means that more events fit by now than were confirmed.
type Grown struct{ Confirmed, Found int64 }

func (g Grown) Error() string {
	return fmt.Sprintf("%d events fit by now; %d were confirmed", g.Found, g.Confirmed)
}

// Estimate is what an action would come to.
type Estimate struct {
	Events     int64               `json:"events"` // all that fit and can be acted on
	ByStatus   map[df.Status]int64 `json:"byStatus"`
	Superseded int64               `json:"superseded"` // of these, those about which nothing is done
	People     int64               `json:"people"`
	// Writes is how many calls would write something to another system: those
	// that the people looked at need, and one for each event that has an effect
	// and did not end well. It is exact if everybody was looked at.
	Writes   int64 `json:"outboundWrites"`
	LookedAt int   `json:"peopleLookedAt"`
	Exact    bool  `json:"exact"`
	UntilSeq int64 `json:"untilSeq"` // the newest event that was counted over
}

// lookMost is how many people an estimate looks at: it is somebody's request.
const lookMost = 50

// reopens reports whether an action puts events back into their lanes.
func reopens(action string) bool { return action == store.BulkReplay || action == store.BulkRelease }

// Estimate counts, and for what puts events back looks at the people as they are
// now. It changes nothing.
func (d *Desk) Estimate(ctx context.Context, asked Asked) (Estimate, error) {
	count, err := d.Store.CountReplay(ctx, asked.Filter, asked.Action, asked.UntilSeq)
	if err != nil {
		return Estimate{}, err
	}
	e := Estimate{Events: count.Events, ByStatus: count.ByStatus, People: count.People, UntilSeq: count.UntilSeq}
	if !reopens(asked.Action) {
		e.Exact = true
		return e, nil
	}
	e.Superseded, e.Writes = count.Superseded, count.Unfinished
	who, err := d.Store.ReplayPeople(ctx, asked.Filter, asked.Action, count.UntilSeq, lookMost)
	if err != nil {
		return e, err
	}
	for _, id := range who {
		view, err := d.Looker.Look(ctx, id)
		if errors.Is(err, people.ErrNotFound) {
			continue
		}
		if err != nil {
			break // what is known so far is worth telling
		}
		e.LookedAt++
		if len(view.Seen) == 2 {
			e.Writes += int64(len(d.Looker.Compare(view.Agreed, view.Seen).Writes))
		}
	}
	e.Exact = int64(e.LookedAt) == count.Current
	return e, nil
}

// Start makes a replay, or the like, that a job will work off, along with what is
// to be kept of the asking. It fails with Grown.
func (d *Desk) Start(ctx context.Context, asked Asked, along func(store.Tx, store.Replay) error) (store.Replay, error) {
	count, err := d.Store.CountReplay(ctx, asked.Filter, asked.Action, asked.UntilSeq)
	if err != nil {
		return store.Replay{}, err
	}
	if asked.UntilSeq > 0 && count.Events > asked.Most {
		return store.Replay{}, Grown{Confirmed: asked.Most, Found: count.Events}
	}
	now := d.Clock()
	r := store.Replay{ID: d.NewID(), Action: asked.Action, Filter: asked.Filter, Actor: asked.Actor, Reason: asked.Reason,
		Status: store.ReplayRunning, UntilSeq: count.UntilSeq, Events: count.Events, StartedAt: now, BeatAt: time.Unix(0, 0)} // nobody has worked on it
	err = d.Store.InTx(ctx, func(tx store.Tx) error {
		if err := store.InsertReplay(ctx, tx, r); err != nil {
			return err
		}
		return along(tx, r)
	})
	return r, err
}

// dead is how long a replay's worker may give no sign of life.
const dead = time.Minute

// page is how many events are replayed before the place is kept. The pause after
// each leaves the lanes to live traffic.
const (
	page  = 50
	pause = 100 * time.Millisecond
)

// Work works off all replays that nobody is working on.
func (d *Desk) Work(ctx context.Context) error {
	for {
		now := d.Clock()
		r, ok, err := d.Store.ClaimReplay(ctx, now, now.Add(-dead))
		if err != nil || !ok {
			return err
		}
		r.BeatAt = store.Kept(now)
		if err := d.work(ctx, r); err != nil && !errors.Is(err, store.ErrStale) {
			return err
		}
	}
}

// work works off one replay. ErrStale means that it was stopped or is somebody
// else's by now.
func (d *Desk) work(ctx context.Context, r store.Replay) error {
	for {
		// No more than there were when it was asked for: an event that came to fit
		// since was not confirmed.
		most := int(min(page, r.Events-r.Replayed-r.Superseded-r.PassedOver))
		var events []store.ReplayEvent
		var err error
		if most > 0 {
			events, err = d.Store.ReplayEvents(ctx, r, most)
		}
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := d.one(ctx, &r, e); err != nil {
				return err
			}
			r.Cursor = e.Seq
		}
		now := d.Clock()
		if len(events) < page {
			r.Status, r.FinishedAt = store.ReplayDone, now
		}
		if err := d.Store.SaveReplay(ctx, r, now); err != nil || r.Status != store.ReplayRunning {
			return err
		}
		r.BeatAt = store.Kept(now)
		if err := rest(ctx); err != nil {
			return err
		}
	}
}

func rest(ctx context.Context) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// one acts on one event. Whatever was reopened or ended meanwhile is passed over.
func (d *Desk) one(ctx context.Context, r *store.Replay, e store.ReplayEvent) error {
	past := e.Superseded && reopens(r.Action)
	err := d.act(ctx, *r, e, past)
	switch {
	case errors.Is(err, store.ErrState), errors.Is(err, store.ErrNotFound):
		r.PassedOver++
	case err != nil:
		return err
	case past:
		r.Superseded++
	default:
		r.Replayed++
	}
	return nil
}

func (d *Desk) act(ctx context.Context, r store.Replay, e store.ReplayEvent, past bool) error {
	switch {
	case r.Action == store.BulkQuarantine:
		return d.Store.CloseEvent(ctx, e.ID, df.Quarantined, r.Reason, d.Clock())
	case r.Action == store.BulkMarkDone:
		return d.Store.CloseEvent(ctx, e.ID, df.Done, r.Reason, d.Clock())
	case past && (e.Status == df.Quarantined || e.Status == df.Failed):
		return d.Store.Supersede(ctx, e.ID, Superseded, d.Clock())
	case past:
		return nil
	case e.Status == df.Failed:
		return d.Store.RetryNow(ctx, e.ID, d.Clock())
	}
	return d.Store.Reopen(ctx, e.ID, d.Clock())
}

package replay

import (
	"context"
	"errors"
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

// Estimate is what a replay would come to.
type Estimate struct {
	Events     int64 `json:"events"` // to be replayed
	Superseded int64 `json:"superseded"`
	People     int64 `json:"people"`
	// Writes is how many calls would write something to another system: those
	// that the people looked at need, and one for each event that has an effect
	// and did not end well. It is exact if everybody was looked at.
	Writes   int64 `json:"outboundWrites"`
	LookedAt int   `json:"peopleLookedAt"`
	Exact    bool  `json:"exact"`
}

// lookMost is how many people an estimate looks at: it is somebody's request.
const lookMost = 50

// Estimate counts, and looks at the people as they are now. It changes nothing.
func (d *Desk) Estimate(ctx context.Context, filter store.EventFilter) (Estimate, error) {
	count, err := d.Store.CountReplay(ctx, filter)
	if err != nil {
		return Estimate{}, err
	}
	e := Estimate{Events: count.Events - count.Superseded, Superseded: count.Superseded, People: count.People, Writes: count.Unfinished}
	who, err := d.Store.ReplayPeople(ctx, filter, count.UntilSeq, lookMost)
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
	e.Exact = int64(e.LookedAt) == e.People
	return e, nil
}

// Start makes a replay that a job will work off, along with what is to be kept of
// the asking.
func (d *Desk) Start(ctx context.Context, filter store.EventFilter, actor string, along func(store.Tx, store.Replay) error) (store.Replay, error) {
	count, err := d.Store.CountReplay(ctx, filter)
	if err != nil {
		return store.Replay{}, err
	}
	now := d.Clock()
	r := store.Replay{ID: d.NewID(), Filter: filter, Actor: actor, Status: store.ReplayRunning, UntilSeq: count.UntilSeq,
		Events: count.Events, StartedAt: now, BeatAt: time.Unix(0, 0)} // nobody has worked on it
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
		events, err := d.Store.ReplayEvents(ctx, r.Filter, r.Cursor, r.UntilSeq, page)
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

// one replays one event. Whatever was reopened or ended meanwhile is passed over.
func (d *Desk) one(ctx context.Context, r *store.Replay, e store.ReplayEvent) error {
	var err error
	switch {
	case e.Superseded && (e.Status == df.Quarantined || e.Status == df.Failed):
		err = d.Store.Supersede(ctx, e.ID, Superseded, d.Clock())
	case e.Superseded:
	case e.Status == df.Failed:
		err = d.Store.RetryNow(ctx, e.ID, d.Clock())
	default:
		err = d.Store.Reopen(ctx, e.ID, d.Clock())
	}
	switch {
	case errors.Is(err, store.ErrState), errors.Is(err, store.ErrNotFound):
		r.PassedOver++
	case err != nil:
		return err
	case e.Superseded:
		r.Superseded++
	default:
		r.Replayed++
	}
	return nil
}

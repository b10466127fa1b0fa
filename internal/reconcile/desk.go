package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Lister lists GHL's contacts, those that changed last first, a page at a time.
type Lister interface {
	// Read returns the contact whole; a row of the list may leave things out.
	Read(ctx context.Context, ref df.Ref) (df.Contact, error)
	Listed(ctx context.Context, cursor string, limit int) (page []df.Contact, next string, err error)
}

// Looker looks at people; *converge.Converger is one.
type Looker interface {
	Look(ctx context.Context, personID string) (converge.View, error)
	Compare(agreed converge.Agreed, seen map[df.Side]df.Contact) converge.Proposal
}

// Exporter lists GHL's texts and calls, the newest first, a page at a time, as the
// events that their webhooks would have been.
type Exporter interface {
	Exported(ctx context.Context, cursor string, limit int) (page []Message, next string, err error)
}

// Message is a text or call as GHL exports it.
type Message struct {
	ID      string
	AddedAt time.Time
	Ours    bool // we logged it there ourselves
	// Event makes the event that its webhook would have been.
	Event func(ctx context.Context) (df.Event, error)
}

// Accepter takes events in as the inbox does, with what they say about consent.
type Accepter interface {
	Accept(ctx context.Context, deliveries []store.Delivery, now time.Time) ([]store.Accepted, error)
}

// Desk sweeps. Lister and Exporter are nil when GHL is not configured.
type Desk struct {
	Store    *store.Store
	Looker   Looker
	Lister   Lister
	Exporter Exporter
	Accepter Accepter
	// Meet makes a person of a GHL contact that nobody has. It returns "" when
	// there is no such contact any more.
	Meet func(ctx context.Context, contactID string) (personID string, err error)
	// Aloware reports whether contacts are kept at Aloware at all.
	Aloware bool

	// GHLEvery and AlowareEvery space out a sweep's calls.
	GHLEvery, AlowareEvery time.Duration
	// Slice is how many people one sweep looks at on both sides.
	Slice int

	Clock df.Clock
	NewID func() string
	Log   *slog.Logger
	// Stopped is told that a sweep has ended; nil for nobody.
	Stopped func(Totals, error)
}

// pageSize is how many things a page of a walk has.
const pageSize = 100

// dead is how long a run may give no sign of life.
const dead = 5 * time.Minute

// Totals is what a run came to. It is kept in reconcile_runs.totals.
type Totals struct {
	Pages     int `json:"pages"`     // of GHL's contacts
	Contacts  int `json:"contacts"`  // listed by GHL and looked at
	People    int `json:"people"`    // looked at on both sides
	Differ    int `json:"differ"`    // of these, people with a difference
	Unknown   int `json:"unknown"`   // contacts that were nobody's
	Messages  int `json:"messages"`  // texts and calls that GHL exported
	Unheard   int `json:"unheard"`   // of these, put among the events
	Nudged    int `json:"nudged"`    // people asked to converge
	Announced int `json:"announced"` // findings whose webhook was late
	Missed    int `json:"missed"`    // findings whose webhook did not come
}

// Add returns the sum of two runs' totals.
func (t Totals) Add(u Totals) Totals {
	return Totals{t.Pages + u.Pages, t.Contacts + u.Contacts, t.People + u.People, t.Differ + u.Differ, t.Unknown + u.Unknown,
		t.Messages + u.Messages, t.Unheard + u.Unheard, t.Nudged + u.Nudged, t.Announced + u.Announced, t.Missed + u.Missed}
}

// The jobs of reconcile_runs.
const (
	JobSweep   = "sweep"
	JobMeasure = "measure"
)

// Sweep looks at everything that may have changed and asks for the convergence of
// whoever differs. One part that fails does not keep the others from being done;
// each goes on next time where it was cut off. It returns store.ErrRunning while
// another sweep is under way.
func (d *Desk) Sweep(ctx context.Context) (Totals, error) {
	return d.run(ctx, JobSweep, []part{d.contacts, d.people, d.messages, d.mend, d.remind, d.judge})
}

// Measure looks and mends nothing, so that the drift that is kept is what there is
// now, as far as one sweep reaches. It reads no messages, since hearing one is
// acting on it.
func (d *Desk) Measure(ctx context.Context) (Totals, error) {
	return d.run(ctx, JobMeasure, []part{d.contacts, d.people})
}

// WalkOf names a walk, as sync_state does.
type WalkOf struct {
	Direction  df.Direction
	EntityType string
}

var (
	overContacts = WalkOf{df.GHLToAloware, "contact"}
	overPeople   = WalkOf{df.AlowareToGHL, "contact"}
	overMessages = WalkOf{df.GHLToAloware, "message"}
)

// Walks lists the walks of a sweep: GHL's contacts, the people, GHL's messages.
func Walks() []WalkOf { return []WalkOf{overContacts, overPeople, overMessages} }

// part is one part of a run. It adds to the totals what it did and calls beat
// after every page.
type part func(ctx context.Context, r *run) error

// run is one run under way.
type run struct {
	id        string
	totals    Totals
	beat      func(ctx context.Context) error
	ghl, alow *Pace
}

func (d *Desk) run(ctx context.Context, job string, parts []part) (Totals, error) {
	now := d.Clock()
	r := &run{id: d.NewID(), ghl: &Pace{Every: d.GHLEvery}, alow: &Pace{Every: d.AlowareEvery}}
	if err := d.Store.StartRun(ctx, r.id, job, now, now.Add(-dead)); err != nil {
		return Totals{}, err
	}
	r.beat = func(ctx context.Context) error { return d.Store.BeatRun(ctx, r.id, r.totals, d.Clock()) }
	var failed error
	for _, part := range parts {
		if err := part(ctx, r); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	failure := ""
	if failed != nil {
		failure = safe(failed)
		d.Log.Warn("a sweep could not do everything", "job", job, "error", failure)
	}
	err := d.Store.FinishRun(context.WithoutCancel(ctx), r.id, r.totals, failure, d.Clock())
	if d.Stopped != nil {
		d.Stopped(r.totals, failed)
	}
	return r.totals, errors.Join(failed, err)
}

// safe is what may be kept of why a run failed.
func safe(err error) string {
	var call *df.CallError
	switch {
	case errors.As(err, &call):
		return call.Error()
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "stopped; the next run goes on from the cursor"
	}
	return "failed on our side; see the log"
}

// mend asks for the convergence of everybody who differs without a reason, and
// makes people of contacts that are nobody's.
func (d *Desk) mend(ctx context.Context, r *run) error {
	var failed error
	after := ""
	for {
		subjects, err := d.Store.DriftSubjects(ctx, after, pageSize)
		if err != nil {
			return errors.Join(failed, err)
		}
		for _, subject := range subjects {
			after = subject
			if err := d.mendOne(ctx, r, subject); err != nil && failed == nil {
				failed = err
			}
			if err := ctx.Err(); err != nil {
				return errors.Join(failed, err)
			}
		}
		if err := r.beat(ctx); err != nil {
			return err
		}
		if len(subjects) < pageSize {
			return failed
		}
	}
}

// remind asks for the convergence of those for whom a person asked for a value
// that does not stand yet.
func (d *Desk) remind(ctx context.Context, r *run) error {
	if _, err := d.Store.OvertakeEnded(ctx, d.Clock()); err != nil {
		return err
	}
	after := ""
	for {
		people, err := d.Store.AskedPeople(ctx, after, pageSize)
		if err != nil {
			return err
		}
		for _, id := range people {
			after = id
			if err := d.mendOne(ctx, r, id); err != nil {
				return err
			}
		}
		if len(people) < pageSize {
			return r.beat(ctx)
		}
	}
}

// repairCalls is about what a convergence costs each account.
const repairCalls = 3

func (d *Desk) mendOne(ctx context.Context, r *run, subject string) error {
	if err := errors.Join(r.ghl.Wait(ctx, repairCalls), r.alow.Wait(ctx, repairCalls)); err != nil {
		return err
	}
	person := subject
	if contactID, nobody := ContactOf(subject); nobody {
		var err error
		if person, err = d.Meet(ctx, contactID); err != nil {
			return fmt.Errorf("meet a contact that was nobody's: %w", err)
		}
		if err := d.Store.ForgetDrift(ctx, subject); err != nil || person == "" {
			return err
		}
	}
	r.totals.Nudged++
	return d.Store.Nudge(ctx, store.PersonLane(person), d.Clock())
}

// judge says of findings that have waited long enough whether their webhook came.
func (d *Desk) judge(ctx context.Context, r *run) error {
	for _, source := range []df.Source{df.SourceGHL, df.SourceAloware} {
		for {
			found, err := d.Store.WaitingFindings(ctx, source, d.Clock().Add(-Grace(source)), pageSize)
			if err != nil {
				return err
			}
			for _, f := range found {
				announced, err := d.Store.Announced(ctx, f, f.ChangedAt.Add(-Skew))
				if err != nil {
					return err
				}
				verdict := store.FindingMissed
				if announced {
					verdict = store.FindingAnnounced
					r.totals.Announced++
				} else {
					r.totals.Missed++
				}
				if err := d.Store.JudgeFinding(ctx, f, verdict, d.Clock()); err != nil {
					return err
				}
			}
			if len(found) < pageSize {
				break
			}
		}
	}
	return nil
}

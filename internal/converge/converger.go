package converge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

// Converger brings the sides into agreement about one person at a time. A side
// that is not configured is missing from Sides; nothing about it is forgotten.
type Converger struct {
	Sides  map[df.Side]Side
	Ledger Ledger
	People *people.Directory
	// Rules is the policy; what the sides can take is asked of them.
	Rules  Rules
	Limits Limits
	Clock  df.Clock
	Log    *slog.Logger
	// NoCreate names sides where no contact is ever created, only found.
	NoCreate map[df.Side]bool
}

// Work asks for one convergence.
type Work struct {
	PersonID string
	Lease    Lease
	EventID  string // the event that caused it, for sync_log; empty for sweeps
	// Deleted names the contacts that a side announced as deleted. Another
	// contact's deletion, as after a merge, is no news about this person.
	Deleted map[df.Side][]string
	// Phones are numbers that events named. They are only where to look:
	// Aloware finds contacts by phone alone, so a number that was changed there
	// is learned from its announcement, and only if the same contact has it.
	Phones []df.Phone
	// Meet asks for a contact at GHL though no side has one, because the person
	// has written to us: found by the phone, or made from it.
	Meet bool
}

// Result is what one convergence came to.
type Result struct {
	Person     people.Person
	Decisions  []Decision
	Conflicts  []Conflict
	Issues     []Issue
	Writes     int // upstream writes, creations and retirements that were sent
	RetryAt    time.Time
	Ended      bool                   // the person is ended, now or before
	MergedInto string                 // the person to go on with, when this one was merged
	Superseded map[df.Side]bool       // announced deletions of contacts that are still there
	Seen       map[df.Side]df.Contact // the contacts as they were seen last, where they were
	SeenAt     time.Time              // before they were read
}

// Settled reports whether nothing is left to try again.
func (r Result) Settled() bool { return r.RetryAt.IsZero() }

// reruns bounds how often a run starts anew because the person's row was
// changed under it, as when an event links a contact meanwhile.
const reruns = 3

// Reconcile converges a person without any event, as a sweep does.
func (c *Converger) Reconcile(ctx context.Context, lease Lease, personID string) (Result, error) {
	return c.Person(ctx, Work{PersonID: personID, Lease: lease})
}

// Person converges one person. An error is one of people.ErrNotFound,
// people.ErrLeaseLost, or what a side or the store answered, to be judged by
// df.OutcomeOf; what was settled before it has been saved. A Result with RetryAt
// set was saved too and wants to be run again then.
func (c *Converger) Person(ctx context.Context, work Work) (Result, error) {
	var writes int
	for attempt := 0; ; attempt++ {
		result, err := c.once(ctx, work)
		writes += result.Writes
		result.Writes = writes
		lost := errors.Is(err, people.ErrStale) || errors.Is(err, people.ErrTaken) || errors.Is(err, people.ErrEnded)
		if !lost || attempt == reruns {
			return result, err
		}
	}
}

func (c *Converger) once(ctx context.Context, work Work) (Result, error) {
	state, err := c.Ledger.Load(ctx, work.PersonID)
	if err != nil {
		return Result{}, fmt.Errorf("load person: %w", err)
	}
	if state.Person.Status == people.Ended {
		return Result{Person: state.Person, Ended: true, MergedInto: state.Person.MergedInto}, nil
	}
	r := c.newRun(work, state)
	err = r.converge(ctx)
	c.Log.Debug("converged", "person", work.PersonID, "event", work.EventID, "writes", r.result.Writes,
		"issues", len(r.result.Issues), "error", err)
	r.complain(err)
	switch {
	case ctx.Err() != nil, errors.Is(err, people.ErrLeaseLost), errors.Is(err, people.ErrStale):
		return r.result, err // stopped in the middle; the next run reads what is true
	case err != nil && len(r.record.Log) == 0 && len(r.record.Issues) == 0:
		return r.result, err // nothing was done that must be kept
	}
	if saveErr := r.save(ctx); saveErr != nil {
		return r.result, fmt.Errorf("save convergence: %w", saveErr)
	}
	return r.result, err
}

// complain logs what went wrong on our side: the event's history only says that
// something did.
func (r *run) complain(err error) {
	var call *df.CallError
	var known *df.Error
	for _, expected := range []error{people.ErrLeaseLost, people.ErrStale, people.ErrTaken, people.ErrNotFound, people.ErrEnded, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, expected) {
			return
		}
	}
	if err != nil && !errors.As(err, &call) && !errors.As(err, &known) {
		r.Log.Error("a convergence failed on our side", "person", r.work.PersonID, "event", r.work.EventID, "error", err)
	}
}

// run is one convergence under way.
type run struct {
	*Converger
	work   Work
	state  State
	rules  Rules
	person people.Person
	agreed Agreed
	seen   map[df.Side]df.Contact
	// planned is what was seen when the writes under way were planned. Reading
	// back one side may show a newer edit there; what was written to the other
	// is agreed with the older value, so that the edit is still a change.
	planned map[df.Side]df.Contact
	gone    map[df.Side]bool
	issues  map[string]Issue
	held    map[place]Trip
	parked  map[place]bool   // not to be written again in this run
	odd     map[place]oddity // what a side made of a value, seen once
	losers  map[df.Field]Conflict
	first   map[df.Field]Conflict  // the first of several in one run
	obeyed  map[df.Field]obedience // rulings whose value had to be written
	kept    map[place]bool         // what was written and kept
	record  Record
	result  Result
}

// place is one field at one side.
type place struct {
	side  df.Side
	field df.Field
}

func (p place) topic() string { return string(p.side) + "/" + string(p.field) }

// oddity is a value and what a side made of it.
type oddity struct{ given, held string }

func (c *Converger) newRun(work Work, state State) *run {
	r := &run{Converger: c, work: work, state: state, person: state.Person.Clone(), agreed: state.Agreed.Clone(),
		rules: c.Rules, seen: map[df.Side]df.Contact{}, gone: map[df.Side]bool{}, issues: map[string]Issue{},
		held: map[place]Trip{}, parked: map[place]bool{}, odd: map[place]oddity{}, losers: map[df.Field]Conflict{},
		first: map[df.Field]Conflict{}, obeyed: map[df.Field]obedience{}, kept: map[place]bool{}}
	r.rules.Can = map[df.Side]Ability{}
	for name, side := range c.Sides {
		if side != nil {
			r.rules.Can[name] = AbilityOf(side)
		}
	}
	for _, issue := range state.Issues {
		r.issues[issue.Topic] = issue
	}
	for _, trip := range c.Limits.Breaker.Held(state.Recent, c.Clock()) {
		r.held[place{trip.Side, trip.Field}] = trip
	}
	r.result.Superseded, r.result.Seen, r.result.SeenAt = map[df.Side]bool{}, r.seen, c.Clock()
	return r
}

// converge does the run's work up to, and without, saving.
func (r *run) converge(ctx context.Context) error {
	if err := r.read(ctx); err != nil {
		return err
	}
	if stop, err := r.missing(ctx); stop || err != nil {
		return err
	}
	if err := r.link(ctx); err != nil {
		return err
	}
	err := r.settle(ctx)
	r.conclude()
	return err
}

// settle plans and writes until there is nothing to write.
func (r *run) settle(ctx context.Context) error {
	for round := 0; ; round++ {
		p := Plan(r.agreed, r.seen, r.rules, r.rulings(round)...)
		r.obey(p)
		writes := r.permitted(p)
		r.adopt(p)
		r.planned = maps.Clone(r.seen)
		if len(writes) == 0 {
			return nil
		}
		if round == r.Limits.Rounds {
			r.retry(r.Limits.RetryAfter) // somebody edits faster than we write
			return nil
		}
		for _, side := range turns(p) {
			patch, ok := writes[side]
			if !ok || patch.Empty() {
				continue
			}
			if err := r.write(ctx, side, patch); err != nil {
				return err
			}
			r.wrote(p, side, patch, writes)
		}
	}
}

// adopt takes over what a proposal settles without writing. What waits for a
// write is told once the write is settled.
func (r *run) adopt(p Proposal) {
	r.agreed = p.Next
	waiting := map[df.Field]bool{}
	for _, patch := range p.Writes {
		for f := range patch.Set {
			waiting[f] = true
		}
	}
	for _, conflict := range p.Conflicts {
		if waiting[conflict.Field] {
			if _, again := r.first[conflict.Field]; !again {
				r.first[conflict.Field] = conflict
			}
			r.losers[conflict.Field] = conflict
		} else {
			r.record.Conflicts = append(r.record.Conflicts, conflict)
		}
	}
	r.result.Decisions = append(r.result.Decisions, p.Decisions...)
}

// permitted takes out of a proposal what is held back or has been tried.
func (r *run) permitted(p Proposal) map[df.Side]df.Patch {
	writes := make(map[df.Side]df.Patch, len(p.Writes))
	for side, patch := range p.Writes {
		kept := df.Patch{Set: map[df.Field]string{}}
		for field, value := range patch.Set {
			if r.allows(place{side, field}) {
				kept.Set[field] = value
			}
		}
		if len(patch.AddTags)+len(patch.RemoveTags) > 0 && r.allows(place{side, TagsField}) {
			kept.AddTags, kept.RemoveTags = patch.AddTags, patch.RemoveTags
		}
		if !kept.Empty() {
			writes[side] = kept
		}
	}
	r.withhold(p, writes)
	return writes
}

func (r *run) allows(p place) bool {
	if r.parked[p] {
		return false
	}
	trip, held := r.held[p]
	if !held {
		return true
	}
	r.parked[p] = true
	r.decide(Decision{Action: Hold, Side: p.side, Field: p.field, Rule: "ping_pong",
		Detail: "written too often; held until " + trip.Until.UTC().Format(time.RFC3339)})
	if known, ok := r.issues[p.topic()]; ok && known.Kind == IssuePingPong && known.Since.Equal(trip.At) {
		return false
	}
	r.raise(Issue{Topic: p.topic(), Kind: IssuePingPong, Side: p.side, Field: p.field, Open: true, Since: trip.At,
		Detail: "written too often in a short time; another program may be syncing the same pair"})
	conflict := Conflict{Field: p.field, Kind: "ping_pong", Rule: "breaker", Base: map[df.Side]string{}, Seen: map[df.Side]string{}}
	for _, side := range order {
		conflict.Base[side] = r.agreed[side].Fields[p.field]
		conflict.Seen[side] = r.seen[side].Get(p.field)
	}
	conflict.Settled = maps.Clone(conflict.Seen)
	r.record.Conflicts = append(r.record.Conflicts, conflict)
	return false
}

// done settles a field that was written: both values are agreed, and whoever
// lost is told.
func (r *run) done(p place) {
	r.agreed.settle(p.field, r.basis(p.side))
	if conflict, ok := r.losers[p.field]; ok {
		conflict.Settled = map[df.Side]string{}
		for side, snapshot := range r.agreed {
			if held, ok := snapshot.Fields[p.field]; ok {
				conflict.Settled[side] = held
			}
		}
		r.record.Conflicts = append(r.record.Conflicts, conflict)
		delete(r.losers, p.field)
		delete(r.first, p.field)
	}
}

// basis is what a write to the side is agreed on: what the side shows now, and
// what the other one showed when the write was planned.
func (r *run) basis(side df.Side) map[df.Side]df.Contact {
	basis := maps.Clone(r.planned)
	basis[side] = r.seen[side]
	return basis
}

func (r *run) decide(d Decision) { r.result.Decisions = append(r.result.Decisions, d) }

// raise keeps an issue and tells the caller of it.
func (r *run) raise(issue Issue) { r.result.Issues = append(r.result.Issues, r.keep(issue)) }

// keep keeps an issue, with the time since when it lasts.
func (r *run) keep(issue Issue) Issue {
	issue.At = r.Clock()
	if known, ok := r.issues[issue.Topic]; ok && known.Kind == issue.Kind && issue.Since.IsZero() {
		issue.Since = known.Since
	}
	if issue.Since.IsZero() {
		issue.Since = issue.At
	}
	r.forget(issue.Topic)
	r.issues[issue.Topic] = issue
	r.record.Issues = append(r.record.Issues, issue)
	return issue
}

// resolve ends the issue of a topic, if there is one.
func (r *run) resolve(topic string) {
	if _, ok := r.issues[topic]; ok {
		r.forget(topic)
		delete(r.issues, topic)
		r.record.Resolved = append(r.record.Resolved, topic)
	}
}

// forget drops what the record said of a topic, so that its last word counts.
func (r *run) forget(topic string) {
	r.record.Issues = slices.DeleteFunc(r.record.Issues, func(issue Issue) bool { return issue.Topic == topic })
	r.record.Resolved = slices.DeleteFunc(r.record.Resolved, func(known string) bool { return known == topic })
}

// retry asks for another run, the earliest time wins.
func (r *run) retry(after time.Duration) {
	at := r.Clock().Add(after)
	if r.result.RetryAt.IsZero() || at.Before(r.result.RetryAt) {
		r.result.RetryAt = at
	}
}

// log adds a row to sync_log.
func (r *run) log(side df.Side, started time.Time, fields []string, err error, message string) {
	entry := LogEntry{Direction: df.DirectionTo(side), EntityID: r.person.ID, SourceID: r.person.ContactID(side.Other()),
		TargetID: r.person.ContactID(side), Status: "success", StartedAt: started, FinishedAt: r.Clock(),
		Message: message, Fields: fields, CorrelationID: r.work.EventID}
	if err != nil {
		entry.Status, entry.Message = "error", safeText(err)
	}
	r.record.Log = append(r.record.Log, entry)
}

// safeText is what may be kept of an error.
func safeText(err error) string {
	var call *df.CallError
	if errors.As(err, &call) {
		return call.Error()
	}
	return df.AsError(err).Error()
}

// save writes the run's record in one call.
func (r *run) save(ctx context.Context) error {
	now := r.Clock()
	if r.person.Status == people.Active {
		r.rekey()
	}
	if r.complete() {
		r.person.LastSyncedAt = now
	}
	r.person.UpdatedAt = now
	r.record.Person, r.record.Agreed, r.record.At = r.person, r.agreed, now
	r.explain()
	if err := r.Ledger.Save(ctx, r.work.Lease, r.record); err != nil {
		return err
	}
	r.result.Person, r.result.Conflicts = r.person, r.record.Conflicts
	return nil
}

// explain puts the decisions on the run's last log entry. A run that an event
// caused and that decided something without writing gets an entry that says so.
func (r *run) explain() {
	decisions := r.result.Decisions
	if len(decisions) == 0 {
		return
	}
	if len(r.record.Log) == 0 && r.work.EventID == "" && len(r.record.Conflicts) == 0 && len(r.record.Ruled) == 0 {
		return // a sweep that found nothing new
	}
	if len(r.record.Log) == 0 {
		r.log(decisions[0].Side, r.Clock(), nil, nil, "nothing to write")
		r.record.Log[0].Status = "skipped"
	}
	r.record.Log[len(r.record.Log)-1].Decisions = decisions
}

// complete reports whether both sides were seen and nothing is left to write.
func (r *run) complete() bool {
	return len(r.seen) == len(order) && len(r.parked) == 0 && r.result.Settled() &&
		Plan(r.agreed, r.seen, r.rules).Quiet()
}

// rekey makes the phone and e-mail that the sides now hold the person's own. A
// number that only one side holds stays known, so that texts from it are found.
func (r *run) rekey() {
	winner := r.rules.For(df.PhoneNumber).winner()
	for _, side := range []df.Side{winner.Other(), winner} {
		if contact, ok := r.seen[side]; ok {
			r.person = people.Rekey(r.person, contact.Phone())
		}
	}
	winner = r.rules.For(df.Email).winner()
	for _, side := range []df.Side{winner, winner.Other()} {
		if email := Form(df.Email, r.seen[side].Get(df.Email)); email != "" {
			r.person.Email = email
			return
		}
	}
}

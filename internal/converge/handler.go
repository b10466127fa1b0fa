package converge

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

// personLane is how lanes of people begin. Whatever converges a person runs in
// that person's lane; any other lane only finds out whose its events are.
const personLane = "person:"

// PersonLane returns the lane of a person.
func PersonLane(personID string) string { return personLane + personID }

// Outcome is what became of one event. Its fields are those of the queue's
// result, in the same order.
type Outcome struct {
	EventID  string
	Status   df.Status // Done, Skipped, Quarantined or Failed (try again at RetryAt)
	Reason   string    // why it was skipped or quarantined, safe text
	Error    string    // what failed, safe text
	RetryAt  time.Time // zero leaves the time to the queue
	PersonID string
	MoveTo   string // the lane the event belongs to; it goes there, still open
	// Postponed says that nothing was tried because the upstream's budget is
	// used up: the event waits until RetryAt, and no try is counted.
	Postponed bool
}

// Effects is what happens once for an event, as for a text. It is asked in the
// lane of the person that the event is about.
type Effects interface {
	// Wants reports whether the event causes an effect, and whether the person
	// must have a contact at GHL for it.
	Wants(e df.Event) (wanted, contact bool)
	// Owner names the person of a wanted event that names neither a contact
	// nor a number, or nobody.
	Owner(ctx context.Context, e df.Event) (personID string, err error)
	// Witness is shown every event before anything is done about it. An error
	// means that nothing may be done yet.
	Witness(ctx context.Context, personID string, e df.Event) error
	// Do brings the effect about. An error means that the lane was lost.
	Do(ctx context.Context, lease Lease, person people.Person, e df.Event) (Outcome, error)
}

// Follower is what follows a convergence, once for a turn and under its lease, by
// what the convergence saw: a person's lists, for one.
type Follower interface {
	// Asks reports whether the event asks for a convergence for the follower's
	// sake, though it changes no contact.
	Asks(e df.Event) bool
	// Follow is called after a convergence that was saved. An error is one to
	// try the turn's events again after.
	Follow(ctx context.Context, lease Lease, result Result, events []df.Event) error
}

// Handler turns the events of a lane into convergences, and those that cause
// something that happens once into effects, all in the order of the events.
type Handler struct {
	Converger *Converger
	Effects   []Effects // each is asked about every event, in this order
	Followers []Follower
	// Saw is shown the contacts that a convergence read, also one that failed,
	// before anything follows it; nil for nobody. An error means that nothing may
	// follow yet.
	Saw func(ctx context.Context, personID string, result Result) error
}

// Handle works off the events of one lane, oldest first, and answers for each.
// In a person's lane all events that say "something changed" together cost one
// convergence, and so do nudges, which ask for one without an event. In any
// other lane events are only sent on to the lanes of their people. An error
// means that nothing was decided, as when the lease was lost.
func (h *Handler) Handle(ctx context.Context, lease Lease, events []df.Event, nudges int64) ([]Outcome, error) {
	personID, isPerson := strings.CutPrefix(lease.Lane, personLane)
	if isPerson {
		return h.person(ctx, lease, personID, events, nudges > 0)
	}
	outcomes := make([]Outcome, 0, len(events))
	for _, event := range events {
		outcome, err := h.send(ctx, lease, event)
		if err != nil {
			return nil, err
		}
		if outcome.MoveTo == "" {
			// It ends here: nobody else will look at what it carries, such as
			// a do-not-contact flag of somebody who is not synced any more.
			if err := h.witness(ctx, outcome.PersonID, event); err != nil {
				return nil, err
			}
		}
		outcomes = append(outcomes, outcome)
	}
	return outcomes, nil
}

// witness shows the event to whoever must see every event.
func (h *Handler) witness(ctx context.Context, personID string, e df.Event) error {
	for _, effects := range h.Effects {
		if err := effects.Witness(ctx, personID, e); err != nil {
			return err
		}
	}
	return nil
}

// changesContact reports whether the event hints at a change of a contact's
// state: GHL's contact events, and whatever carries an Aloware contact.
func changesContact(e df.Event) bool {
	switch e.Notice.Kind {
	case df.KindContactCreated, df.KindContactUpdated, df.KindContactDeleted,
		df.KindContactTags, df.KindContactDND, df.KindContactDisposed:
		return e.Source == df.SourceGHL || e.Source == df.SourceAloware
	}
	return e.Source == df.SourceAloware && e.Notice.Contact != nil
}

// asks reports whether the event asks for a convergence.
func (h *Handler) asks(e df.Event) bool {
	return changesContact(e) || slices.ContainsFunc(h.Followers, func(f Follower) bool { return f.Asks(e) })
}

// causes reports whether the event causes an effect, and whether that needs the
// person's contact at GHL.
func (h *Handler) causes(e df.Event) (wanted, contact bool) {
	for _, effects := range h.Effects {
		w, c := effects.Wants(e)
		wanted, contact = wanted || w, contact || c
	}
	return wanted, contact
}

// useless says why nothing is done about an event.
const useless = "changes no contact"

func skipped(e df.Event, personID, reason string) Outcome {
	return Outcome{EventID: e.ID, Status: df.Skipped, Reason: reason, PersonID: personID}
}

// send finds the person that an event is about and names that person's lane.
func (h *Handler) send(ctx context.Context, lease Lease, e df.Event) (Outcome, error) {
	wanted, _ := h.causes(e)
	switch {
	case e.Notice.Skip != "":
		return skipped(e, "", e.Notice.Skip), nil
	case !h.asks(e) && !wanted:
		return skipped(e, "", useless), nil
	}
	if owner, err := h.owner(ctx, e, wanted); owner != "" || err != nil {
		if err != nil {
			return failed(e, "", err), nil
		}
		return Outcome{EventID: e.ID, PersonID: owner, MoveTo: PersonLane(owner)}, nil
	}
	clue, gone, err := h.clue(ctx, e)
	if err != nil {
		return failed(e, "", err), nil
	}
	if gone {
		return skipped(e, "", "the contact is not there any more"), nil
	}
	match, err := h.Converger.People.Identify(ctx, lease, clue)
	switch {
	case errors.Is(err, people.ErrLeaseLost), ctx.Err() != nil && err != nil:
		return Outcome{}, err
	case errors.Is(err, people.ErrNobody), errors.Is(err, people.ErrUnknown):
		return skipped(e, "", unwrapped(err).Error()), nil
	case errors.Is(err, people.ErrAmbiguous):
		return Outcome{EventID: e.ID, Status: df.Quarantined, Reason: "several people fit; see the review list"}, nil
	case err != nil:
		return failed(e, "", err), nil
	case match.Person.Status == people.Ended:
		return skipped(e, match.Person.ID, "the person ended: "+match.Person.EndedReason), nil
	}
	return Outcome{EventID: e.ID, PersonID: match.Person.ID, MoveTo: PersonLane(match.Person.ID)}, nil
}

// owner names the person of an event that only says which message it is about.
func (h *Handler) owner(ctx context.Context, e df.Event, wanted bool) (string, error) {
	if !wanted || e.Notice.Phone != "" || e.Notice.ContactID != "" {
		return "", nil
	}
	for _, effects := range h.Effects {
		if w, _ := effects.Wants(e); !w {
			continue
		}
		if personID, err := effects.Owner(ctx, e); personID != "" || err != nil {
			return personID, err
		}
	}
	return "", nil
}

// do brings about what the event causes, one effect after the other. The first
// that fails or is refused decides, and what comes after it waits for the next
// try; each must know itself what it did already. The event is done if anything
// was done about it, and skipped if all had a reason to do nothing.
func (h *Handler) do(ctx context.Context, lease Lease, p people.Person, e df.Event) (Outcome, error) {
	var all Outcome
	for _, effects := range h.Effects {
		if w, _ := effects.Wants(e); !w {
			continue
		}
		outcome, lost := effects.Do(ctx, lease, p, e)
		switch {
		case lost != nil:
			return Outcome{}, lost
		case outcome.Status == df.Failed || outcome.Status == df.Quarantined:
			return outcome, nil
		case all.Status == "" || outcome.Status == df.Done:
			all = outcome
		}
	}
	return all, nil
}

func unwrapped(err error) error {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err
}

// clue says who the event is about. A GHL contact that nobody has yet is read
// first: the payload may be weeks old, and a phone that is not the contact's
// any more would join two people. Aloware has no look-up by id.
func (h *Handler) clue(ctx context.Context, e df.Event) (clue people.Clue, gone bool, err error) {
	clue = people.ClueOf(e.Source, e.Notice)
	if e.Notice.Kind == df.KindMessageStatus {
		clue.OnlyKnown = true // how a text fared is no reason to meet anybody
	}
	side := h.Converger.Sides[df.SideGHL]
	if clue.Side != df.SideGHL || clue.ContactID == "" || clue.OnlyKnown || side == nil {
		return clue, false, nil
	}
	_, known, err := h.Converger.People.Known(ctx, clue.Side, clue.ContactID)
	if known || err != nil {
		return clue, false, err
	}
	contact, err := readOne(ctx, side, df.Ref{ID: clue.ContactID, Phone: clue.Phone})
	switch {
	case df.IsCode(err, df.CodeNotFound):
		return clue, true, nil
	case df.IsCode(err, df.CodeUnconfigured):
		return clue, false, nil
	case err != nil:
		return clue, false, err
	}
	clue.Phone, clue.Email = contact.Phone(), Form(df.Email, contact.Get(df.Email))
	return clue, false, nil
}

// turn is one turn at a person's lane.
type turn struct {
	work     Work
	converge bool // something asks for convergence
	effects  bool // something causes an effect
	contact  bool // an effect needs the contact at GHL
}

// read finds out what the events ask for.
func (h *Handler) read(lease Lease, id string, events []df.Event, nudged bool) turn {
	t := turn{work: Work{PersonID: id, Lease: lease, Deleted: map[df.Side][]string{}}, converge: nudged}
	for _, e := range events {
		wanted, contact := h.causes(e)
		t.effects, t.contact = t.effects || wanted, t.contact || contact
		if !h.asks(e) {
			continue
		}
		t.converge = true
		if t.work.EventID == "" {
			t.work.EventID = e.ID
		}
		if phone := e.Notice.Phone; phone != "" && !slices.Contains(t.work.Phones, phone) {
			t.work.Phones = append([]df.Phone{phone}, t.work.Phones...) // the newest first
		}
		if e.Notice.Kind == df.KindContactDeleted {
			side := df.Side(e.Source)
			t.work.Deleted[side] = append(t.work.Deleted[side], e.Notice.ContactID)
		}
	}
	return t
}

// person converges a person once for all events that hint at a change, and once
// more when a text needs a contact at GHL that the person does not have. Then
// each event gets its answer, in order. What stands behind an event that failed
// is left for later, so that effects keep their order.
func (h *Handler) person(ctx context.Context, lease Lease, id string, events []df.Event, nudged bool) ([]Outcome, error) {
	for _, e := range events {
		if err := h.witness(ctx, id, e); err != nil {
			return nil, err
		}
	}
	t := h.read(lease, id, events, nudged)
	result, err := h.converge(ctx, t)
	if err := h.saw(ctx, id, result); err != nil {
		return nil, err
	}
	if err != nil && (errors.Is(err, people.ErrLeaseLost) || ctx.Err() != nil || len(events) == 0) {
		return nil, err
	}
	if err == nil && len(events) == 0 && !result.Settled() {
		return nil, &df.CallError{Upstream: "converge", Operation: "reconcile", Outcome: df.RetryLater,
			RetryAt: result.RetryAt, Code: df.CodeNotWritten, Message: "not yet in agreement"}
	}
	following, lost := h.follow(ctx, lease, t, result, events, err)
	if lost != nil {
		return nil, lost
	}
	outcomes := make([]Outcome, 0, len(events))
	for _, e := range events {
		outcome, lost := h.answer(ctx, lease, e, id, result, err)
		if lost != nil {
			return nil, lost
		}
		if following != nil && outcome.Status == df.Done && h.asks(e) {
			outcome = failed(e, id, following)
		}
		outcomes = append(outcomes, outcome)
		if outcome.Status == df.Failed && t.effects {
			break
		}
	}
	return outcomes, nil
}

func (h *Handler) saw(ctx context.Context, id string, result Result) error {
	if h.Saw == nil || len(result.Seen) == 0 || ctx.Err() != nil {
		return nil
	}
	return h.Saw(ctx, id, result)
}

// follow lets the followers work after a convergence that was saved. A failure is
// the turn's when it has no event that could be tried again.
func (h *Handler) follow(ctx context.Context, lease Lease, t turn, result Result, events []df.Event, err error) (following, lost error) {
	if err != nil || !t.converge {
		return nil, nil
	}
	for _, follower := range h.Followers {
		err := follower.Follow(ctx, lease, result, events)
		if err != nil && (errors.Is(err, people.ErrLeaseLost) || ctx.Err() != nil || len(events) == 0) {
			return nil, err
		}
		following = errors.Join(following, err)
	}
	return following, nil
}

// converge makes the convergence that the turn asks for. A turn that only has
// effects for somebody whom GHL knows needs none.
func (h *Handler) converge(ctx context.Context, t turn) (Result, error) {
	if t.effects {
		state, err := h.Converger.Ledger.Load(ctx, t.work.PersonID)
		if err != nil {
			return Result{}, err
		}
		p := state.Person
		if t.contact && p.GHLContactID == "" && p.Status != people.Ended {
			t.converge, t.work.Meet = true, true
		}
		if !t.converge {
			return Result{Person: p, Ended: p.Status == people.Ended, MergedInto: p.MergedInto}, nil
		}
	}
	if !t.converge {
		return Result{}, nil
	}
	return h.Converger.Person(ctx, t.work)
}

// answer says what became of one event. An event that both changes a contact and
// causes an effect, as an Aloware text does, has its effect once the change is
// settled. A text does not wait for a side that is down, unless the person's
// contact at GHL is still to be made.
func (h *Handler) answer(ctx context.Context, lease Lease, e df.Event, id string, result Result, err error) (Outcome, error) {
	wanted, contact := h.causes(e)
	if !h.asks(e) && !wanted {
		return skipped(e, id, useless), nil
	}
	stop := judge(e, id, result, err)
	switch {
	case !wanted, stop.MoveTo != "", stop.Status == df.Skipped:
		return stop, nil
	case err != nil, h.asks(e) && stop.Status != df.Done:
		return stop, nil
	case contact && result.Person.GHLContactID == "" && stop.Status == df.Failed:
		return stop, nil
	}
	outcome, lost := h.do(ctx, lease, result.Person, e)
	outcome.EventID, outcome.PersonID = e.ID, id
	return outcome, lost
}

// judge says what the convergence means for one of its events.
func judge(e df.Event, id string, result Result, err error) Outcome {
	done := Outcome{EventID: e.ID, Status: df.Done, PersonID: id}
	switch {
	case errors.Is(err, people.ErrNotFound):
		return Outcome{EventID: e.ID, Status: df.Quarantined, Reason: "the person is not known", PersonID: id}
	case err != nil:
		return failed(e, id, err)
	case result.MergedInto != "":
		return Outcome{EventID: e.ID, PersonID: result.MergedInto, MoveTo: PersonLane(result.MergedInto)}
	case result.Ended && result.Decisions == nil:
		return skipped(e, id, "the person ended: "+result.Person.EndedReason)
	case supersedes(result, e):
		return skipped(e, id, "superseded: the contact is still there")
	case !result.Settled():
		done.Status, done.Error, done.RetryAt = df.Failed, "not yet in agreement; see the person's issues", result.RetryAt
	}
	return done
}

// supersedes reports whether the event announced a deletion that is not true.
func supersedes(result Result, e df.Event) bool {
	side := df.Side(e.Source)
	return e.Notice.Kind == df.KindContactDeleted && result.Superseded[side] &&
		e.Notice.ContactID == result.Person.ContactID(side)
}

// failed turns an error into what the lane needs: another try, or a person's
// attention. Wrong credentials are retried, since they are mended by an
// operator without any event's being at fault.
func failed(e df.Event, personID string, err error) Outcome {
	outcome, retryAt := df.OutcomeOf(err)
	if outcome == df.Refused && !df.IsCode(err, df.CodeUnauthorized) {
		return Outcome{EventID: e.ID, Status: df.Quarantined, Reason: safeText(err), PersonID: personID}
	}
	return Outcome{EventID: e.ID, Status: df.Failed, Error: safeText(err), RetryAt: retryAt, PersonID: personID,
		Postponed: df.IsCode(err, df.CodeRateLimited)}
}

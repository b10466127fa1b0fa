package lists

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// Dialer is what the room needs of Aloware. Every error is, or wraps, a
// *df.CallError. All calls but Enroll may be repeated.
type Dialer interface {
	// AddToLists puts the contact that has the number on lists. Where nobody
	// has it a contact is made, so the caller has just seen one.
	AddToLists(ctx context.Context, phone df.Phone, listIDs ...string) error
	RemoveFromAllLists(ctx context.Context, contactID string) error
	// Enroll puts the contact into a sequence. Without force one that is in it
	// already is refused, by which a call that got no answer is looked up.
	Enroll(ctx context.Context, phone df.Phone, sequenceID string, force bool) error
	Disenroll(ctx context.Context, phone df.Phone) error
}

// Opportunities tells a GHL contact's opportunities, their stages named.
type Opportunities interface {
	OpportunitiesOf(ctx context.Context, contactID string) ([]Opportunity, error)
}

// Gate says whether somebody may be on a list.
type Gate interface {
	May(ctx context.Context, q consent.Question) consent.Decision
}

// Desk keeps people's lists as they should be. Store, Gate, Clock, NewID and Log
// are required.
type Desk struct {
	Store         *store.Store
	Gate          Gate
	Dialer        Dialer        // nil when Aloware is not configured
	Urgent        Dialer        // the same, out of the budget's share for opt-outs
	Opportunities Opportunities // nil when GHL is not configured

	Vocabulary   Vocabulary
	DefaultAgent string
	AgentField   df.Field // the custom field that names the agent, or empty
	// Apply says that Aloware is written to. Without it everything is decided
	// and kept, and nothing is sent.
	Apply bool
	// Sequences says which sequence a status means; nil turns them off.
	Sequences Sequences
	Brake     Brake

	Clock df.Clock
	NewID func() string
	Log   *slog.Logger

	recent recentProof
}

// Turn is what a convergence saw of a person.
type Turn struct {
	Person  people.Person
	GHL     *df.Contact // nil when not seen
	Aloware *df.Contact // nil when not seen
	Ended   bool
	EventID string // what caused it, empty for sweeps
	// Asked says that an event spoke of the person's opportunities.
	Asked bool
}

// The states of a person's lists. Settled is as wanted; Off is decided and not
// sent, since the dialer's lists are turned off; Blocked cannot be brought about
// until somebody mends something; Braked waits for approval; Failed is tried
// again; Ended is of somebody who is gone.
const (
	Settled = "settled"
	Off     = "off"
	Blocked = "blocked"
	Braked  = "braked"
	Failed  = "failed"
	Ended   = "ended"
)

// opportunitiesLast is how long what GHL said about opportunities is believed
// when no event spoke of them.
const opportunitiesLast = 6 * time.Hour

// maxTries bounds how often the same change is tried. Then an operator is told,
// and the person's next event or a rebuild tries again.
const maxTries = 8

// work is one person's lists under way.
type work struct {
	turn    Turn
	lease   people.Lease
	row     store.ListIntent // as it was
	agent   store.AgentState // as it was
	setup   Setup
	version int64
	holding Holding
	heldRow store.ListHolding

	facts     Facts
	intent    Intent
	state     string
	detail    string
	moved     bool
	tries     int
	enrolment Enrolment
	problems  []Problem // of applying
	log       []store.SyncRow
}

// Follow brings a person's lists and sequence in line with what was just seen, in
// the person's lane. A person whose lists agree costs no call. An error is one to
// try again after, or people.ErrLeaseLost; what only an operator can mend is kept
// as an issue and is no error.
func (d *Desk) Follow(ctx context.Context, lease people.Lease, turn Turn) error {
	w, err := d.load(ctx, lease, turn)
	if err != nil {
		return err
	}
	if turn.Ended {
		return d.end(ctx, w)
	}
	if turn.GHL == nil {
		return nil // what cannot be seen is not "no tags"
	}
	if err := d.decide(ctx, w); err != nil {
		return err
	}
	err = errors.Join(d.bring(ctx, w), d.enrol(ctx, w))
	if err != nil && (errors.Is(err, people.ErrLeaseLost) || ctx.Err() != nil) {
		return err
	}
	return d.close(ctx, w, err)
}

// load reads all that is known about the person's lists.
func (d *Desk) load(ctx context.Context, lease people.Lease, turn Turn) (*work, error) {
	w := &work{turn: turn, lease: lease}
	var err error
	w.row, err = store.ListIntentOf(ctx, d.Store, turn.Person.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if err := read(w.row.Facts, &w.facts); err != nil {
		return nil, err
	}
	if err := read(w.row.Sequence, &w.enrolment); err != nil {
		return nil, err
	}
	if w.setup, w.version, err = d.Setup(ctx); err != nil {
		return nil, err
	}
	w.agent, err = store.AgentStateOf(ctx, d.Store, turn.Person.GHLContactID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	w.heldRow, w.holding, err = d.held(ctx, turn.Person.AlowareContactID, turn.Person)
	return w, err
}

func read(text string, to any) error {
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), to); err != nil {
		return fmt.Errorf("read what is kept about lists: %w", err)
	}
	return nil
}

func written(value any) string {
	text, _ := json.Marshal(value) // plain structs always encode
	return string(text)
}

// held reads which lists an Aloware contact is on. One that we never wrote to is
// on those that contact_list_memberships says, as after an import.
func (d *Desk) held(ctx context.Context, alowareID string, p people.Person) (store.ListHolding, Holding, error) {
	row, err := store.ListHoldingOf(ctx, d.Store, alowareID)
	if err == nil {
		h := Holding{Redo: row.Redo}
		err = read(row.Lists, &h.Lists)
		return row, h, err
	}
	if !errors.Is(err, store.ErrNotFound) || p.GHLContactID == "" {
		return row, Holding{}, ignoreMissing(err)
	}
	members, err := store.ListMembersOf(ctx, d.Store, p.GHLContactID)
	if err != nil {
		return row, Holding{}, err
	}
	registry, err := store.CallLists(ctx, d.Store)
	var h Holding
	for _, m := range members {
		for _, l := range registry {
			if l.AgentKey == m.AgentKey && l.ListKey == m.ListKey && l.AlowareID != "" {
				h.Lists = append(h.Lists, Held{AgentKey: m.AgentKey, ListKey: m.ListKey, ListID: l.AlowareID})
			}
		}
	}
	return row, h, err
}

func ignoreMissing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// Setup reads what is the same for everybody, and the version of the rules.
func (d *Desk) Setup(ctx context.Context) (Setup, int64, error) {
	s := Setup{Vocabulary: d.Vocabulary, DefaultAgent: d.DefaultAgent, Rules: DefaultRules(d.Vocabulary)}
	kept, err := store.ListRulesInForce(ctx, d.Store)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return s, 0, err
	default:
		s.Rules = Rules{}
		if err := read(kept.Rules, &s.Rules); err != nil {
			return s, 0, err
		}
	}
	agents, err := d.Store.Agents(ctx)
	if err != nil {
		return s, 0, err
	}
	for _, a := range agents {
		s.Agents = append(s.Agents, Agent{a.Key, a.DisplayName, a.GHLOwnerID, a.GHLOwnerEmail, a.GHLFieldValue, a.RequiredTag,
			a.AlowareUserID, a.Active})
	}
	registry, err := store.CallLists(ctx, d.Store)
	for _, l := range registry {
		s.Lists = append(s.Lists, List{l.AgentKey, l.ListKey, l.AlowareID, l.Name})
	}
	return s, kept.Version, err
}

// decide gathers the facts and asks the rules.
func (d *Desk) decide(ctx context.Context, w *work) error {
	if err := d.gather(ctx, w); err != nil {
		return err
	}
	w.intent = Desired(w.facts, w.setup, d.Clock())
	var before Intent
	if err := read(w.row.Intent, &before); err != nil {
		return err
	}
	for _, m := range w.intent.Wanted {
		if slices.Contains(before.Refused, m.ListID) && !w.holding.Redo {
			w.intent.Refused = append(w.intent.Refused, m.ListID)
			w.problems = append(w.problems, refusedList(m))
		}
	}
	if w.row.Wanted == w.intent.Key() {
		w.tries = w.row.Tries
	}
	return nil
}

// gather makes facts of what was seen.
func (d *Desk) gather(ctx context.Context, w *work) error {
	seen, now := w.turn.GHL, d.Clock()
	facts := Facts{Tags: df.Tags(seen.Tags...), CreatedAt: seen.CreatedAt, Opportunities: w.facts.Opportunities, AskedAt: w.facts.AskedAt}
	facts.Owner = Owner{Assigned: seen.Get(df.Owner), Unknown: !seen.Known(df.Owner)}
	if d.AgentField != "" {
		facts.Owner.Field = strings.TrimSpace(seen.Get(d.AgentField))
	}
	if w.turn.Aloware != nil {
		facts.ListStatus = strings.TrimSpace(w.turn.Aloware.Get(ListStatus))
	}
	if w.setup.Rules.asksStages() && d.Opportunities != nil && (w.turn.Asked || now.Sub(facts.AskedAt) >= opportunitiesLast) {
		found, err := d.Opportunities.OpportunitiesOf(ctx, seen.ID)
		if err != nil {
			return fmt.Errorf("read the person's opportunities: %w", err)
		}
		facts.Opportunities, facts.AskedAt = found, now
	}
	barred, err := d.barred(ctx, w.turn, consent.ChannelList)
	facts.Barred = barred
	w.facts = facts
	return err
}

// barred says why consent lets the person on no list, or "". When consent cannot
// be read that is an error: nobody is added, and nobody is taken off for it.
func (d *Desk) barred(ctx context.Context, turn Turn, channel consent.Channel) (string, error) {
	q := consent.Question{Channel: channel, Phone: string(turn.Person.Phone), PersonID: turn.Person.ID}
	if turn.Aloware != nil && turn.Aloware.Phone() != "" {
		q.Phone = string(turn.Aloware.Phone())
	}
	decision := d.Gate.May(ctx, q)
	switch {
	case decision.Allowed:
		return "", nil
	case decision.Reason == consent.Unavailable:
		return "", &df.CallError{Upstream: "consent", Operation: "ask whether the person may be listed", Outcome: df.RetryLater,
			Code: df.CodeUnavailable, Message: "consent cannot be read, so nobody is added", Err: decision.Err}
	case decision.Reason == consent.Quiet, decision.Reason == consent.NoZone:
		return "", nil // a matter of the hour, not of the person
	case decision.Reason == consent.BadPhone:
		return "no phone number by which an opt-out could be looked up", nil
	}
	return "opted out (" + decision.Rule + ")", nil
}

// close keeps what came of the turn.
func (d *Desk) close(ctx context.Context, w *work, failed error) error {
	now := d.Clock()
	row := w.row
	row.PersonID, row.ContactID, row.AlowareContactID = w.turn.Person.ID, w.turn.Person.GHLContactID, w.turn.Person.AlowareContactID
	row.AgentKey, row.State, row.Detail, row.Tries = w.intent.Agent.Key, w.state, w.detail, w.tries
	row.Facts, row.Intent, row.Sequence = written(w.facts), written(w.intent), written(w.enrolment)
	row.Wanted, row.RulesVersion, row.RecheckAt = w.intent.Key(), w.version, w.intent.RecheckAt
	if failed != nil && !df.IsCode(failed, df.CodeRateLimited) {
		row.State, row.Detail, row.Tries = Failed, safe(failed), w.tries+1
		if row.Tries >= maxTries {
			row.State, failed = Blocked, nil
			w.problems = append(w.problems, Problem{NotApplied,
				"Aloware could not be brought in line in several tries; the next event of the person, or a rebuild, tries again: " + row.Detail})
		}
	}
	if failed == nil && row.State != Failed && row.State != Blocked {
		row.Tries = 0
	}
	if w.moved {
		row.MovedAt = now
	}
	if same(row, w.row) && len(w.log) == 0 {
		return failed
	}
	if row.CreatedAt.IsZero() {
		row.CreatedAt = now
	}
	row.UpdatedAt = now
	if err := d.save(ctx, w, row); err != nil {
		return err
	}
	return failed
}

// same reports whether there is nothing new to keep.
func same(now, before store.ListIntent) bool {
	now.UpdatedAt, now.CreatedAt, now.Approved = before.UpdatedAt, before.CreatedAt, before.Approved
	now.RecheckAt, before.RecheckAt = now.RecheckAt.UTC().Truncate(time.Microsecond), before.RecheckAt.UTC()
	return reflect.DeepEqual(now, before)
}

// safe is what may be kept of an error.
func safe(err error) string {
	var call *df.CallError
	if errors.As(err, &call) {
		return call.Error()
	}
	return df.AsError(err).Error()
}

package lists

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// fakeDialer plays Aloware for one contact per phone. next fails the calls to
// come, in order, by operation.
type fakeDialer struct {
	lists     map[string]map[string]bool // by phone
	sequences map[string]string
	calls     []string
	next      map[string][]error
	refuses   []string // list and sequence ids that do not exist
	during    func(operation string)
}

func (f *fakeDialer) call(operation string) error {
	f.calls = append(f.calls, operation)
	if f.during != nil {
		f.during(operation)
	}
	if errs := f.next[operation]; len(errs) > 0 {
		f.next[operation] = errs[1:]
		return errs[0]
	}
	return nil
}

func refuse(operation, text string) error {
	return &df.CallError{Upstream: "aloware", Operation: operation, Outcome: df.Refused, Status: 422, Code: df.CodeInvalid, Message: text}
}

func (f *fakeDialer) AddToLists(_ context.Context, phone df.Phone, ids ...string) error {
	if err := f.call("add"); err != nil {
		return err
	}
	for _, id := range ids {
		if slices.Contains(f.refuses, id) {
			return refuse("write contact", "The selected list ids is invalid.")
		}
	}
	for _, id := range ids {
		if f.lists[string(phone)] == nil {
			f.lists[string(phone)] = map[string]bool{}
		}
		f.lists[string(phone)][id] = true
	}
	return nil
}

func (f *fakeDialer) RemoveFromAllLists(_ context.Context, contactID string) error {
	if err := f.call("clear"); err != nil {
		return err
	}
	delete(f.lists, phoneOfContact(contactID))
	return nil
}

func (f *fakeDialer) Enroll(_ context.Context, phone df.Phone, id string, force bool) error {
	err := f.call("enroll")
	switch {
	case df.IsCode(err, df.CodeTimeout):
		f.sequences[string(phone)] = id // it took effect, and the answer was lost
		return err
	case err != nil:
		return err
	case slices.Contains(f.refuses, id):
		return refuse("enroll in sequence", "The selected sequence id is invalid.")
	case f.sequences[string(phone)] == id && !force:
		return refuse("enroll in sequence", "The contact is already enrolled.")
	}
	f.sequences[string(phone)] = id
	return nil
}

func (f *fakeDialer) Disenroll(_ context.Context, phone df.Phone) error {
	if err := f.call("disenroll"); err != nil {
		return err
	}
	delete(f.sequences, string(phone))
	return nil
}

func phoneOfContact(alowareID string) string { return "+1500555" + alowareID }

// fakeGate lets everybody through but those in out.
type fakeGate struct {
	out  map[string]bool
	down bool
}

func (g *fakeGate) May(_ context.Context, q consent.Question) consent.Decision {
	switch {
	case g.down:
		return consent.Decision{Reason: consent.Unavailable, Err: errors.New("no database")}
	case g.out[q.Phone]:
		return consent.Decision{Reason: consent.OptedOut, Rule: "call: [text]"}
	}
	return consent.Decision{Allowed: true, Reason: consent.Clear}
}

type kit struct {
	t      *testing.T
	store  *store.Store
	dialer *fakeDialer
	gate   *fakeGate
	desk   *Desk
	at     time.Time
}

func newKit(t *testing.T, s *store.Store) *kit {
	t.Helper()
	k := &kit{t: t, store: s, at: now, gate: &fakeGate{out: map[string]bool{}},
		dialer: &fakeDialer{lists: map[string]map[string]bool{}, sequences: map[string]string{}, next: map[string][]error{}}}
	k.desk = &Desk{Store: s, Gate: k.gate, Dialer: k.dialer, Vocabulary: Vocabulary{ListKeys: keys, TagMode: TagsIgnoreCase},
		DefaultAgent: "UNASSIGNED", Apply: true, Brake: Brake{Percent: 100}, Clock: func() time.Time { return k.at },
		NewID: df.IDs(time.Now), Log: slog.New(slog.DiscardHandler)}
	for _, key := range []string{"DANA", "ELI"} {
		k.must(s.SaveAgent(t.Context(), store.Agent{Key: key, DisplayName: key, RequiredTag: "Owner: " + key, Active: true}, false, now))
	}
	for i, agent := range []string{"DANA", "ELI"} {
		for j, key := range keys {
			k.must(s.SaveCallList(t.Context(), store.CallList{AgentKey: agent, ListKey: key, AlowareID: fmt.Sprintf("%d%d", i+1, j), Name: ListName(agent, key), UpdatedAt: now}))
		}
	}
	return k
}

func (k *kit) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

// person makes the n-th person, known at both sides.
func (k *kit) person(n int) people.Person {
	k.t.Helper()
	aloware := fmt.Sprintf("%04d", n)
	p := people.Person{ID: fmt.Sprintf("p%04d", n), GHLContactID: "g" + aloware, AlowareContactID: aloware, Phone: df.Phone(phoneOfContact(aloware)),
		Status: people.Active, CreatedAt: now, UpdatedAt: now, SyncDirection: people.Bidirectional}
	k.must(k.store.InTx(k.t.Context(), func(tx store.Tx) error { return store.InsertPerson(k.t.Context(), tx, people.ToRow(p)) }))
	return p
}

// turn is what a convergence of the person sees.
func (k *kit) turn(p people.Person, owner string, tags ...string) Turn {
	ghl := df.Contact{ID: p.GHLContactID, Tags: tags, Fields: map[df.Field]string{df.Owner: owner}}
	aloware := df.Contact{ID: p.AlowareContactID, Fields: map[df.Field]string{df.PhoneNumber: string(p.Phone)}}
	return Turn{Person: p, GHL: &ghl, Aloware: &aloware}
}

// follow runs the desk in a turn of the person's lane.
func (k *kit) follow(turn Turn) error {
	k.t.Helper()
	ctx, lane := k.t.Context(), store.PersonLane(turn.Person.ID)
	k.must(k.store.Nudge(ctx, lane, k.at))
	held, ok, err := k.store.TakeTurn(ctx, lane, "test", 10, k.at, k.at.Add(time.Minute))
	k.must(err)
	if !ok {
		k.t.Fatal("the lane is somebody else's")
	}
	failed := k.desk.Follow(ctx, people.Lease(held.Lease), turn)
	_, err = k.store.FinishTurn(ctx, held.Lease, nil, held.Nudges, k.at, time.Time{})
	k.must(err)
	return failed
}

func (k *kit) on(p people.Person) string {
	return strings.Join(slices.Sorted(maps.Keys(k.dialer.lists[string(p.Phone)])), " ")
}

func (k *kit) explain(p people.Person) Explanation {
	k.t.Helper()
	e, err := k.desk.Explain(k.t.Context(), p.ID)
	k.must(err)
	return e
}

func (k *kit) issues(p people.Person) map[string]string {
	k.t.Helper()
	found, err := k.store.Issues(k.t.Context(), store.IssueFilter{PersonID: p.ID})
	k.must(err)
	kinds := map[string]string{}
	for _, i := range found {
		if i.Open {
			kinds[i.Topic] = i.Kind
		}
	}
	return kinds
}

// members are the lists of contact_list_memberships: key to status.
func (k *kit) members(p people.Person) map[string]string {
	k.t.Helper()
	all := map[string]string{}
	k.must(k.store.Each(k.t.Context(), `SELECT agent_key, list_key, status FROM contact_list_memberships WHERE contact_id = $1`,
		[]any{p.GHLContactID}, func(row store.Row) error {
			var agent, list, status string
			err := row.Scan(&agent, &list, &status)
			all[agent+"/"+list] = status
			return err
		}))
	return all
}

var timeout = &df.CallError{Upstream: "aloware", Operation: "x", Outcome: df.Unclear, Code: df.CodeTimeout}
var outage = &df.CallError{Upstream: "aloware", Operation: "x", Outcome: df.RetryLater, Status: 503, Code: df.CodeUnavailable}

func TestTheLedgersTellTheTruthAboutAPersonsLists(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		k := newKit(t, s)
		p := k.person(1)
		k.must(k.follow(k.turn(p, "DANA", "HOT", "CALL_NOW")))
		if got := k.members(p); k.on(p) != "10 13" || got["DANA/HOT"] != "active" || got["DANA/CALL_NOW"] != "active" {
			t.Fatalf("on %q, kept %v", k.on(p), got)
		}
		k.must(k.follow(k.turn(p, "ELI", "HOT")))
		state, err := store.AgentStateOf(t.Context(), s, p.GHLContactID)
		k.must(err)
		if got := k.members(p); k.on(p) != "23" || got["DANA/HOT"] != "removed" || got["ELI/HOT"] != "active" || state.AgentKey != "ELI" {
			t.Errorf("on %q, kept %v for %+v", k.on(p), got, state)
		}
		calls := len(k.dialer.calls)
		k.must(k.follow(k.turn(p, "ELI", "HOT")))
		if len(k.dialer.calls) != calls || len(k.explain(p).Intent.Said) == 0 {
			t.Errorf("calls %v", k.dialer.calls)
		}
	})
}

// D-67: failed removals were marked as removed, and what failed was never tried
// again.
func TestWhatDidNotHappenIsNotKeptAsDone(t *testing.T) {
	k := newKit(t, storetest.SQLite(t))
	p := k.person(1)
	k.must(k.follow(k.turn(p, "DANA", "HOT", "CALL_NOW")))
	for _, failure := range []error{outage, timeout} {
		k.dialer.next["clear"] = []error{failure}
		if err := k.follow(k.turn(p, "DANA", "HOT")); err == nil {
			t.Fatal("the failure is swallowed")
		}
		if got := k.members(p); got["DANA/CALL_NOW"] != "active" || k.explain(p).State != Failed {
			t.Errorf("kept %v", got)
		}
	}
	// Cut off between leaving all and being added again.
	k.dialer.next["add"] = []error{timeout}
	if err := k.follow(k.turn(p, "DANA", "HOT")); err == nil {
		t.Fatal("the failure is swallowed")
	}
	k.must(k.follow(k.turn(p, "DANA", "HOT")))
	if got := k.members(p); k.on(p) != "13" || got["DANA/CALL_NOW"] != "removed" || k.explain(p).State != Settled {
		t.Errorf("on %q, kept %v", k.on(p), got)
	}
}

func TestNothingIsTriedForEver(t *testing.T) {
	k := newKit(t, storetest.SQLite(t))
	p := k.person(1)
	for n := range maxTries {
		k.dialer.next["add"] = []error{outage}
		err := k.follow(k.turn(p, "DANA", "HOT"))
		if last := n == maxTries-1; (err == nil) != last {
			t.Fatalf("try %d: %v", n, err)
		}
	}
	if k.issues(p)["lists/apply"] != NotApplied || k.explain(p).State != Blocked {
		t.Errorf("issues %v", k.issues(p))
	}
	k.must(k.follow(k.turn(p, "DANA", "HOT"))) // the next event tries again
	if k.on(p) != "13" || len(k.issues(p)) > 0 {
		t.Errorf("on %q, issues %v", k.on(p), k.issues(p))
	}
}

// A list id that Aloware does not have keeps nobody off the others.
func TestARefusedListIsAnIssueAndTheRestIsDone(t *testing.T) {
	k := newKit(t, storetest.SQLite(t))
	k.dialer.refuses = []string{"13"}
	p := k.person(1)
	k.must(k.follow(k.turn(p, "DANA", "HOT", "CALL_NOW")))
	if k.on(p) != "10" || k.issues(p)["lists/list"] != UnknownList || k.explain(p).State != Blocked {
		t.Fatalf("on %q, issues %v", k.on(p), k.issues(p))
	}
	calls := len(k.dialer.calls)
	k.must(k.follow(k.turn(p, "DANA", "HOT", "CALL_NOW")))
	if len(k.dialer.calls) != calls {
		t.Errorf("tried again: %v", k.dialer.calls[calls:])
	}
	k.must(k.store.SaveCallList(t.Context(), store.CallList{AgentKey: "DANA", ListKey: "HOT", AlowareID: "77", Name: "DF_DANA_HOT", UpdatedAt: now}))
	k.must(k.follow(k.turn(p, "DANA", "HOT", "CALL_NOW")))
	if k.on(p) != "10 77" || len(k.issues(p)) > 0 {
		t.Errorf("on %q, issues %v", k.on(p), k.issues(p))
	}
}

func TestAnUnknownAgentLeavesTheListsAlone(t *testing.T) {
	k := newKit(t, storetest.SQLite(t))
	p := k.person(1)
	k.must(k.follow(k.turn(p, "DANA", "HOT")))
	turn := k.turn(p, "", "HOT")
	delete(turn.GHL.Fields, df.Owner) // a user that no agent stands for
	k.must(k.follow(turn))
	if k.on(p) != "13" || k.issues(p)["lists/agent"] != UnknownAgent || k.explain(p).State != Blocked {
		t.Errorf("on %q, issues %v", k.on(p), k.issues(p))
	}
}

// D-32: an opted-out person stayed on the dialer's lists. And an opt-out that
// comes while somebody is being added wins.
func TestAnOptOutWinsHoweverItComes(t *testing.T) {
	k := newKit(t, storetest.SQLite(t))
	p, q := k.person(1), k.person(2)
	k.must(k.follow(k.turn(p, "DANA", "HOT")))
	k.gate.out[string(p.Phone)] = true
	k.must(k.follow(k.turn(p, "DANA", "HOT", "CALL_NOW")))
	if k.on(p) != "" || k.members(p)["DANA/HOT"] != "removed" {
		t.Errorf("on %q", k.on(p))
	}
	k.dialer.during = func(operation string) {
		if operation == "add" {
			k.gate.out[string(q.Phone)] = true
		}
	}
	k.must(k.follow(k.turn(q, "DANA", "HOT")))
	if k.on(q) != "" || len(k.explain(q).Held) > 0 {
		t.Errorf("overtaken by an opt-out, and on %q", k.on(q))
	}
}

func TestWhenConsentCannotBeReadNobodyIsAdded(t *testing.T) {
	k := newKit(t, storetest.SQLite(t))
	p := k.person(1)
	k.gate.down = true
	err := k.follow(k.turn(p, "DANA", "HOT"))
	if outcome, _ := df.OutcomeOf(err); err == nil || outcome != df.RetryLater || len(k.dialer.calls) > 0 {
		t.Errorf("%v, calls %v", err, k.dialer.calls)
	}
}

// What an import left in contact_list_memberships is what a person is on.
func TestMembershipsOfTheOriginalAreTakenOver(t *testing.T) {
	k := newKit(t, storetest.SQLite(t))
	p := k.person(1)
	k.must(k.store.InTx(t.Context(), func(tx store.Tx) error {
		return store.SaveListMember(t.Context(), tx, store.ListMember{ContactID: p.GHLContactID, AgentKey: "DANA", ListKey: "HOT", Active: true, UpdatedAt: now})
	}))
	k.dialer.lists[string(p.Phone)] = map[string]bool{"13": true}
	k.must(k.follow(k.turn(p, "ELI", "HOT")))
	if got := k.members(p); k.on(p) != "23" || got["DANA/HOT"] != "removed" {
		t.Errorf("on %q, kept %v", k.on(p), got)
	}
}

func TestWhoEndedLeavesTheLists(t *testing.T) {
	k := newKit(t, storetest.SQLite(t))
	p := k.person(1)
	k.must(k.follow(k.turn(p, "DANA", "HOT")))
	turn := Turn{Person: people.End(p, now, "deleted in GHL"), Ended: true}
	k.must(k.follow(turn))
	k.must(k.follow(turn))
	if k.on(p) != "" || k.members(p)["DANA/HOT"] != "removed" || k.explain(p).State != Ended || slices.Compact(k.dialer.calls)[1] != "clear" {
		t.Errorf("on %q, %v", k.on(p), k.dialer.calls)
	}
}

func (k *kit) withStatus(turn Turn, status string) Turn {
	turn.Aloware.Fields[ListStatus] = status
	return turn
}

func TestAStatusPutsThePersonIntoItsSequence(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		k := newKit(t, s)
		k.desk.Sequences = Sequences{"Hot": {ID: "7"}, "Cold": {ID: "8"}, "Gone": {ID: "9"}}
		k.dialer.refuses = []string{"9"}
		p := k.person(1)
		in := func() string { return k.dialer.sequences[string(p.Phone)] }
		k.must(k.follow(k.withStatus(k.turn(p, "DANA"), "Hot")))
		k.must(k.follow(k.withStatus(k.turn(p, "DANA"), "Hot")))
		if in() != "7" || len(k.dialer.calls) != 1 {
			t.Fatalf("in %q, %v", in(), k.dialer.calls)
		}
		// The answer is lost though it took effect: nobody is enrolled twice.
		k.dialer.next["enroll"] = []error{timeout}
		if err := k.follow(k.withStatus(k.turn(p, "DANA"), "Cold")); err == nil {
			t.Fatal("the lost answer counts as done")
		}
		k.must(k.follow(k.withStatus(k.turn(p, "DANA"), "Cold")))
		state, err := store.AgentStateOf(t.Context(), s, p.GHLContactID)
		k.must(err)
		if want := []string{"enroll", "disenroll", "enroll", "enroll"}; in() != "8" || state.ListStatus != "Cold" || !slices.Equal(k.dialer.calls, want) {
			t.Errorf("in %q, %v, %+v", in(), k.dialer.calls, state)
		}
		k.must(k.follow(k.withStatus(k.turn(p, "DANA"), "Strange")))
		if in() != "8" || k.issues(p)["lists/sequence"] != UnknownSequence {
			t.Errorf("in %q, issues %v", in(), k.issues(p))
		}
		k.must(k.follow(k.withStatus(k.turn(p, "DANA"), "Gone")))
		if k.issues(p)["lists/sequence"] != UnknownSequence {
			t.Errorf("issues %v", k.issues(p))
		}
		k.must(k.follow(k.withStatus(k.turn(p, "DANA"), "")))
		if in() != "" || len(k.issues(p)) > 0 {
			t.Errorf("in %q, issues %v", in(), k.issues(p))
		}
	})
}

// D-70: sequences asked nobody for consent. And a later opt-in puts nobody into a
// sequence by itself.
func TestNobodyWhoSaidStopIsEnrolled(t *testing.T) {
	k := newKit(t, storetest.SQLite(t))
	k.desk.Sequences = Sequences{"Hot": {ID: "7"}}
	p := k.person(1)
	k.gate.out[string(p.Phone)] = true
	k.must(k.follow(k.withStatus(k.turn(p, "DANA"), "Hot")))
	k.gate.out = map[string]bool{}
	k.must(k.follow(k.withStatus(k.turn(p, "DANA"), "Hot")))
	if len(k.dialer.calls) != 0 {
		t.Errorf("calls %v", k.dialer.calls)
	}
	k.must(k.follow(k.withStatus(k.turn(p, "DANA"), "")))
	k.must(k.follow(k.withStatus(k.turn(p, "DANA"), "Hot")))
	if k.dialer.sequences[string(p.Phone)] != "7" {
		t.Errorf("a new status after the opt-in: %v", k.dialer.calls)
	}
	k.gate.out[string(p.Phone)] = true
	k.must(k.follow(k.withStatus(k.turn(p, "DANA"), "Hot")))
	if k.dialer.sequences[string(p.Phone)] != "" {
		t.Errorf("still in a sequence: %v", k.dialer.calls)
	}
}

// Turning sequences on texts many at once, and waits for approval; statuses that
// people set are daily work, however many.
func TestEnrolmentsThatNobodyAskedForJustNowAreHeldLikeMoves(t *testing.T) {
	k := newKit(t, storetest.SQLite(t))
	k.desk.Sequences, k.desk.Brake = Sequences{"Hot": {ID: "7"}}, Brake{Percent: 20, Least: 2}
	enrolled := func(from, to int, eventID string) (n int) {
		for i := from; i <= to; i++ {
			p := k.person(i)
			turn := k.withStatus(k.turn(p, "DANA"), "Hot")
			turn.EventID = eventID
			k.must(k.follow(turn))
			if k.dialer.sequences[string(p.Phone)] == "7" {
				n++
			} else if k.explain(p).State != Braked {
				t.Errorf("%+v", k.explain(p))
			}
		}
		return n
	}
	if n := enrolled(1, 5, "event"); n != 5 {
		t.Errorf("%d of 5 were enrolled by events", n)
	}
	if n := enrolled(6, 10, ""); n != 2 {
		t.Errorf("%d of 5 were enrolled by a sweep, want 2", n)
	}
}

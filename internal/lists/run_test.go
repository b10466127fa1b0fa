package lists

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// crowd makes n people who are DANA's and on HOT.
func (k *kit) crowd(n int) []people.Person {
	k.t.Helper()
	all := make([]people.Person, n)
	for i := range all {
		all[i] = k.person(i + 1)
		k.must(k.follow(k.turn(all[i], "DANA", "HOT")))
	}
	return all
}

// nudged drains the lanes that were rung, as a worker would, with what turn says
// of each person.
func (k *kit) nudged(all []people.Person, turn func(people.Person) Turn) (n int) {
	k.t.Helper()
	for _, p := range all {
		held, ok, err := k.store.TakeTurn(k.t.Context(), store.PersonLane(p.ID), "test", 10, k.at, k.at.Add(time.Minute))
		k.must(err)
		if !ok {
			continue
		}
		n++
		k.must(k.desk.Follow(k.t.Context(), people.Lease(held.Lease), turn(p)))
		_, err = k.store.FinishTurn(k.t.Context(), held.Lease, nil, held.Nudges, k.at, time.Time{})
		k.must(err)
	}
	return n
}

const coldRules = `{"rules":[{"name":"cold only","when":{"tags":["COLD"]},"on":["HOT"]}]}`

// A mistake in the rules must not empty every list before anybody looks.
func TestRulesThatWouldMoveManyWaitForApproval(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		k := newKit(t, s)
		k.desk.Brake = Brake{Percent: 20, Least: 2}
		all := k.crowd(6)
		ctx := t.Context()
		dry, err := k.desk.SetRules(ctx, PutRules{Rules: []byte(coldRules), DryRun: true, Replaces: -1})
		k.must(err)
		if dry.State != DryRun || dry.Removed != 6 || len(dry.Moves) != 6 || dry.Moves[0].Why == "" || dry.RunID != "" {
			t.Fatalf("%+v", dry)
		}
		waits, err := k.desk.SetRules(ctx, PutRules{Rules: []byte(coldRules), By: "ada", Replaces: 0})
		k.must(err)
		if waits.State != RunWaiting || waits.Version != 1 {
			t.Fatalf("%+v", waits)
		}
		same := func(p people.Person) Turn { return k.turn(p, "DANA", "HOT") }
		if _, version, err := k.desk.Setup(ctx); err != nil || version != 0 || k.nudged(all, same) != 0 {
			t.Fatalf("version %d is in force, %v", version, err)
		}
		k.must(k.desk.Decline(ctx, waits.RunID, "ada"))
		if _, err := k.desk.Approve(ctx, waits.RunID, "ada"); err == nil {
			t.Error("a declined run was approved")
		}
		waits, err = k.desk.SetRules(ctx, PutRules{Rules: []byte(coldRules), By: "ada", Replaces: -1})
		k.must(err)
		done, err := k.desk.Approve(ctx, waits.RunID, "bob")
		k.must(err)
		if _, version, err := k.desk.Setup(ctx); err != nil || version != 2 || done.Removed != 6 {
			t.Fatalf("version %d, %+v, %v", version, done, err)
		}
		if n := k.nudged(all, same); n != 6 {
			t.Errorf("%d converge", n)
		}
		for _, p := range all {
			if k.on(p) != "" {
				t.Errorf("still on %q, %+v", k.on(p), k.explain(p))
			}
		}
		if _, err := k.desk.SetRules(ctx, PutRules{Rules: []byte(coldRules), Replaces: 0}); !isConflict(err) {
			t.Errorf("rules that nobody has seen were replaced: %v", err)
		}
	})
}

func isConflict(err error) bool { return err != nil && df.AsError(err).Code == "CONFLICT" }

// Single changes add up as well: an agent who is lost from the directory, or a
// GHL that shows no tags for a while, must not empty the lists one by one.
func TestTooManySingleMovesAreHeldUntilApproved(t *testing.T) {
	k := newKit(t, storetest.SQLite(t))
	k.desk.Brake = Brake{Percent: 20, Least: 2}
	all := k.crowd(6)
	for _, p := range all {
		k.must(k.follow(k.turn(p, "DANA")))
	}
	held := 0
	for _, p := range all {
		if k.on(p) != "" {
			held++
			if k.explain(p).State != Braked {
				t.Errorf("%+v", k.explain(p))
			}
		}
	}
	runs, err := k.store.ListRuns(t.Context(), 10)
	k.must(err)
	if held != 4 || len(runs) != 1 || runs[0].Kind != RunBrake || runs[0].State != RunWaiting {
		t.Fatalf("%d held, %+v", held, runs)
	}
	// An opt-out is not held.
	k.gate.out[string(all[5].Phone)] = true
	k.must(k.follow(k.turn(all[5], "DANA")))
	if k.on(all[5]) != "" {
		t.Error("the brake holds an opt-out")
	}
	_, err = k.desk.Approve(t.Context(), runs[0].ID, "ada")
	k.must(err)
	if n := k.nudged(all, func(p people.Person) Turn { return k.turn(p, "DANA") }); n != 3 {
		t.Errorf("%d converge", n)
	}
	for _, p := range all {
		if k.on(p) != "" {
			t.Errorf("still on %q", k.on(p))
		}
	}
}

// D-71: a rebuild emptied lists of which nothing was known, and a list key alone
// was ignored.
func TestARebuildShowsFirstAndTouchesOnlyWhatDiffers(t *testing.T) {
	k := newKit(t, storetest.SQLite(t))
	all := k.crowd(3)
	ctx := t.Context()
	k.dialer.lists[string(all[0].Phone)] = map[string]bool{} // lost at Aloware, where nobody can see it
	calls := len(k.dialer.calls)
	report, err := k.desk.Run(ctx, Rebuild{DryRun: true})
	k.must(err)
	if report.Unchanged != 3 || len(k.dialer.calls) != calls {
		t.Errorf("%+v", report)
	}
	same := func(p people.Person) Turn { return k.turn(p, "DANA", "HOT") }
	_, err = k.desk.Run(ctx, Rebuild{By: "ada"})
	k.must(err)
	if n := k.nudged(all, same); n != 0 {
		t.Errorf("%d of those who agree converge", n)
	}
	report, err = k.desk.Run(ctx, Rebuild{By: "ada", Force: true, ListKey: "HOT"})
	k.must(err)
	if n := k.nudged(all, same); n != 3 || report.People != 3 || k.on(all[0]) != "13" {
		t.Errorf("%d converge, on %q, %+v", n, k.on(all[0]), report)
	}
	if n := k.nudged(all, same); n != 0 {
		t.Errorf("%d converge again", n)
	}
	if report, err = k.desk.Run(ctx, Rebuild{DryRun: true, ListKey: "CALL_NOW"}); err != nil || report.People != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	stranger := k.person(9)
	if report, err = k.desk.Run(ctx, Rebuild{By: "ada"}); err != nil || report.Unread != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	if n := k.nudged([]people.Person{stranger}, same); n != 1 || k.on(stranger) != "13" {
		t.Errorf("%d strangers are read, on %q", n, k.on(stranger))
	}
}

func TestTheProofNamesEveryDifferenceWithItsReason(t *testing.T) {
	k := newKit(t, storetest.SQLite(t))
	all := k.crowd(2)
	k.desk.Apply = false
	k.must(k.follow(k.turn(all[0], "ELI", "HOT")))
	proof, err := k.desk.Prove(t.Context())
	k.must(err)
	for _, l := range proof.Lists {
		switch l.AgentKey + "/" + l.ListKey {
		case "DANA/HOT":
			if l.Should != 1 || l.Does != 2 || l.Extra != 1 || len(l.Differences) != 1 || l.Differences[0].Why == "" || l.LastWritten.IsZero() {
				t.Errorf("%+v", l)
			}
		case "ELI/HOT":
			if l.Should != 1 || l.Does != 0 || l.Missing != 1 || l.Differences[0].Why != "rule tag HOT" || l.Differences[0].State != Off {
				t.Errorf("%+v", l)
			}
		default:
			if l.Should+l.Does+l.Missing+l.Extra != 0 {
				t.Errorf("%+v", l)
			}
		}
	}
	text, err := json.Marshal(proof)
	if err != nil || len(text) == 0 {
		t.Error(err)
	}
}

// A change of what is the same for everybody makes everybody converge, once. And
// who was a new lead long enough is looked at again.
func TestSettingsAndTimeMakePeopleConverge(t *testing.T) {
	k := newKit(t, storetest.SQLite(t))
	all := k.crowd(2)
	ctx := t.Context()
	k.must(k.desk.Converge(ctx))
	same := func(p people.Person) Turn { return k.turn(p, "DANA", "HOT") }
	k.nudged(all, same)
	k.must(k.desk.Converge(ctx))
	if n := k.nudged(all, same); n != 0 {
		t.Errorf("%d converge though nothing changed", n)
	}
	k.must(k.store.SaveCallList(ctx, store.CallList{AgentKey: "DANA", ListKey: "HOT", AlowareID: "66", Name: "DF_DANA_HOT", UpdatedAt: now}))
	k.must(k.desk.Converge(ctx))
	if n := k.nudged(all, same); n != 2 || k.on(all[0]) != "66" {
		t.Errorf("%d converge, on %q", n, k.on(all[0]))
	}
	young := func(p people.Person) Turn {
		turn := same(p)
		turn.GHL.CreatedAt = now.Add(-29 * 24 * time.Hour)
		return turn
	}
	k.must(k.follow(young(all[0])))
	if k.on(all[0]) != "11 66" {
		t.Errorf("on %q", k.on(all[0]))
	}
	k.at = now.Add(25 * time.Hour)
	k.must(k.desk.Converge(ctx))
	if n := k.nudged(all, young); n != 1 || k.on(all[0]) != "66" {
		t.Errorf("%d converge, on %q", n, k.on(all[0]))
	}
}

type deals struct {
	of    map[string][]Opportunity
	err   error
	asked int
}

func (d *deals) OpportunitiesOf(_ context.Context, contactID string) ([]Opportunity, error) {
	d.asked++
	return d.of[contactID], d.err
}

// Stages are asked for when an event spoke of them, and not at every convergence;
// a GHL that does not answer is not a person without opportunities.
func TestStagesAreReadWhenTheyMayHaveChanged(t *testing.T) {
	k := newKit(t, storetest.SQLite(t))
	d := &deals{of: map[string][]Opportunity{}}
	k.desk.Opportunities = d
	p := k.person(1)
	d.of[p.GHLContactID] = []Opportunity{stageOf("Hot", "open")}
	k.must(k.follow(k.turn(p, "DANA")))
	k.must(k.follow(k.turn(p, "DANA")))
	if k.on(p) != "13" || d.asked != 1 {
		t.Fatalf("on %q, asked %d times", k.on(p), d.asked)
	}
	spoken := k.turn(p, "DANA")
	spoken.Asked, d.err = true, outage
	if err := k.follow(spoken); err == nil || k.on(p) != "13" {
		t.Errorf("on %q, %v", k.on(p), err)
	}
	d.err, d.of[p.GHLContactID] = nil, []Opportunity{stageOf("Closed", "open")}
	k.must(k.follow(spoken))
	if k.on(p) != "" {
		t.Errorf("on %q", k.on(p))
	}
	k.at = k.at.Add(opportunitiesLast)
	k.must(k.follow(k.turn(p, "DANA")))
	if d.asked != 4 {
		t.Errorf("asked %d times", d.asked)
	}
}

package converge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

const (
	annPhone df.Phone = "+12025550101"
	bobPhone df.Phone = "+12025550102"
)

func annFields() fields {
	return fields{df.FirstName: "Ann", df.Email: "ann@example.test", df.PhoneNumber: string(annPhone), df.City: "Rome"}
}

// linked returns a world with one person whom both sides hold and agree about.
func linked(t rapid.TB) *world {
	w := newWorld(t)
	w.ghl.has("g1", annFields(), "lead")
	w.aloware.has("7", annFields(), "lead")
	w.person(people.Person{ID: "p", GHLContactID: "g1", AlowareContactID: "7", Phone: annPhone})
	w.converge(t)
	if w.ghl.writes+w.aloware.writes != 0 {
		t.Fatal("equal contacts were written")
	}
	return w
}

// quiet fails the test unless another reconcile writes nothing.
func (w *world) quiet(t rapid.TB) {
	t.Helper()
	before := w.upstream()
	for range 2 {
		if r := w.converge(t); r.Writes != 0 || !r.Settled() {
			t.Fatalf("a further reconcile wrote %d times, retry at %v; %+v", r.Writes, r.RetryAt, r.Decisions)
		}
	}
	if after := w.upstream(); after != before {
		t.Fatalf("a further reconcile went from %s to %s", before, after)
	}
}

// upstream counts what both sides were made to do.
func (w *world) upstream() string {
	return fmt.Sprintf("%d+%d created, %d+%d written", w.ghl.creates, w.aloware.creates, w.ghl.writes, w.aloware.writes)
}

func TestAChangeCostsOneWriteAndThenSilence(t *testing.T) {
	w := linked(t)
	w.ghl.edit("g1", fields{df.City: "Oslo"})
	r := w.converge(t)
	if w.aloware.get("7", df.City) != "Oslo" || w.aloware.writes != 1 || w.ghl.writes != 0 || r.Writes != 1 {
		t.Fatalf("%s", w.upstream())
	}
	if got := w.aloware.patches[0]; len(got.Set) != 1 {
		t.Errorf("wrote more than what differs: %v", got)
	}
	// D-37: every update was answered by a write, so that the echo fed itself.
	w.quiet(t)
	entry := w.store.log[len(w.store.log)-1]
	if entry.Direction != df.GHLToAloware || entry.Status != "success" || entry.TargetID != "7" || !slices.Equal(entry.Fields, []string{"city"}) || len(entry.Decisions) != 1 {
		t.Errorf("sync_log %+v", entry)
	}
}

func TestAnEmptyFieldMovesToo(t *testing.T) {
	w := linked(t)
	w.aloware.edit("7", fields{df.City: ""})
	w.converge(t)
	if w.ghl.get("g1", df.City) != "" || w.ghl.writes != 1 {
		t.Fatalf("city %q, %s", w.ghl.get("g1", df.City), w.upstream())
	}
	w.quiet(t)
}

func TestASideThatRewritesIsLearnedAndNotFought(t *testing.T) {
	tests := map[string]struct {
		habit  func(string) string
		change Change
	}{
		"upper case": {strings.ToUpper, LetterCase},
		"truncation": {func(v string) string { return v[:min(len(v), 18)] }, Truncation},
		"no spaces":  {func(v string) string { return strings.ReplaceAll(v, " ", "") }, Spacing},
		"its own":    {func(string) string { return "something else" }, Opaque},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := linked(t)
			w.aloware.habit = func(f df.Field, v string) string {
				if f == df.City {
					return test.habit(v)
				}
				return v
			}
			w.ghl.edit("g1", fields{df.City: "Saint Petersburg upon Neva"})
			w.converge(t)
			if len(w.store.learned) != 1 || w.store.learned[0].Change != test.change {
				t.Fatalf("learned %+v", w.store.learned)
			}
			if w.ghl.writes != 0 {
				t.Error("the rewritten value came back")
			}
			w.quiet(t)
			// The other side's next edit still moves.
			w.aloware.edit("7", fields{df.City: "Oslo"})
			w.converge(t)
			if w.ghl.get("g1", df.City) != "Oslo" {
				t.Errorf("city %q", w.ghl.get("g1", df.City))
			}
			w.quiet(t)
		})
	}
}

func TestAnAcceptedWriteThatIsNotKeptIsTriedAndGivenUp(t *testing.T) {
	w := linked(t)
	w.aloware.drops = func(f df.Field) bool { return f == df.City }
	w.ghl.edit("g1", fields{df.City: "Oslo", df.FirstName: "Anne"})
	for try := 1; try < w.c.Limits.Tries; try++ {
		if r := w.converge(t); r.Settled() || r.Writes != 1 {
			t.Fatalf("try %d: %d writes, settled %v", try, r.Writes, r.Settled())
		}
	}
	if r := w.converge(t); !r.Settled() || len(r.Issues) != 1 || !r.Issues[0].Open || r.Issues[0].Kind != IssueNotWritten {
		t.Fatalf("last try: %+v", r)
	}
	if w.aloware.get("7", df.FirstName) != "Anne" || w.ghl.get("g1", df.City) != "Oslo" {
		t.Error("the other field was not written, or the change was undone")
	}
	w.quiet(t)
	w.aloware.drops = nil
	w.ghl.edit("g1", fields{df.City: "Bern"})
	w.converge(t)
	if w.aloware.get("7", df.City) != "Bern" || len(w.store.issues["p"]) != 0 {
		t.Errorf("the next change: %q, issues %v", w.aloware.get("7", df.City), w.store.issues["p"])
	}
}

func TestDroppedTagsAreTriedAndGivenUp(t *testing.T) {
	w := linked(t)
	w.aloware.drops = func(f df.Field) bool { return f == TagsField }
	w.ghl.tag("g1", "lead", "hot")
	for range w.c.Limits.Tries {
		w.converge(t)
	}
	w.quiet(t)
	if !slices.Equal(w.ghl.contacts["g1"].Tags, []string{"hot", "lead"}) {
		t.Errorf("tags %v", w.ghl.contacts["g1"].Tags)
	}
}

func TestARefusedFieldDoesNotHoldUpTheOthers(t *testing.T) {
	for name, message := range map[string]string{"named": "email must be an email", "not named": "Bad Request"} {
		t.Run(name, func(t *testing.T) {
			w := linked(t)
			w.aloware.refuse = func(p df.Patch) error {
				if _, ok := p.Set[df.Email]; ok {
					return w.aloware.fail(df.CodeInvalid, df.Refused, message)
				}
				return nil
			}
			w.ghl.edit("g1", fields{df.City: "Oslo", df.Email: "new@example.test", df.State: "O"})
			w.ghl.tag("g1", "lead", "hot")
			r := w.converge(t)
			if w.aloware.get("7", df.City) != "Oslo" || w.aloware.get("7", df.State) != "O" || !hasTag(w.aloware.contacts["7"].Tags, "hot") {
				t.Errorf("aloware has %v", w.aloware.contacts["7"])
			}
			if len(r.Issues) != 1 || r.Issues[0].Kind != IssueRefused || r.Issues[0].Field != df.Email || !r.Settled() {
				t.Errorf("issues %+v", r.Issues)
			}
			if w.ghl.get("g1", df.Email) != "new@example.test" {
				t.Error("the refused change was undone")
			}
			w.quiet(t)
		})
	}
}

func TestAConcurrentEditIsSeenAndDecided(t *testing.T) {
	w := linked(t)
	w.ghl.edit("g1", fields{df.City: "Oslo"})
	w.aloware.meanwhile = func() { w.aloware.edit("7", fields{df.City: "Bern", df.State: "BE"}) }
	w.converge(t)
	if w.aloware.get("7", df.City) != "Oslo" || w.ghl.get("g1", df.State) != "BE" {
		t.Errorf("aloware city %q, ghl state %q", w.aloware.get("7", df.City), w.ghl.get("g1", df.State))
	}
	if len(w.store.conflicts) != 1 || w.store.conflicts[0].Seen[df.SideAloware] != "Bern" {
		t.Errorf("conflicts %+v", w.store.conflicts)
	}
	w.quiet(t)
}

func TestAConflictIsRecordedOnceWithItsBase(t *testing.T) {
	w := linked(t)
	w.ghl.edit("g1", fields{df.City: "Oslo"})
	w.aloware.edit("7", fields{df.City: "Bern"})
	w.aloware.fault = func(op string) (error, bool) {
		if op == "write" {
			return w.aloware.fail(df.CodeRateLimited, df.RetryLater, ""), false
		}
		return nil, false
	}
	if _, err := w.c.Reconcile(t.Context(), Lease{}, "p"); !df.IsCode(err, df.CodeRateLimited) {
		t.Fatalf("error %v", err)
	}
	w.aloware.fault = nil
	w.converge(t)
	w.quiet(t)
	if len(w.store.conflicts) != 1 {
		t.Fatalf("conflicts %+v", w.store.conflicts)
	}
	k := w.store.conflicts[0]
	if k.Base[df.SideGHL] != "Rome" || k.Base[df.SideAloware] != "Rome" || k.Chosen != df.SideGHL || k.Value != "Oslo" || k.Rule != string(PreferGHL) {
		t.Errorf("conflict %+v", k)
	}
}

// D-47: a failed look-up was taken for "not found", and an outage made
// duplicates in bulk.
func TestAnOutageIsNotAnAbsence(t *testing.T) {
	w := newWorld(t)
	w.ghl.has("g1", annFields())
	w.aloware.has("7", annFields())
	w.person(people.Person{ID: "p", GHLContactID: "g1", Phone: annPhone})
	for _, op := range []string{"find", "read"} {
		w.aloware.fault = func(called string) (error, bool) {
			if called == op {
				return w.aloware.fail(df.CodeUnavailable, df.RetryLater, ""), false
			}
			return nil, false
		}
		if _, err := w.c.Reconcile(t.Context(), Lease{}, "p"); err == nil {
			t.Fatalf("%s failed and nobody noticed", op)
		}
	}
	w.aloware.fault = nil
	w.converge(t)
	if w.aloware.creates != 0 || w.store.rows["p"].AlowareContactID != "7" {
		t.Errorf("%s, linked to %q", w.upstream(), w.store.rows["p"].AlowareContactID)
	}
	w.quiet(t)
}

func TestASideThatIsAwayLosesNothing(t *testing.T) {
	away := map[string]func(*world){
		"not wired":      func(w *world) { delete(w.c.Sides, df.SideAloware) },
		"not configured": func(w *world) { w.aloware.absent = true },
	}
	for name, leave := range away {
		t.Run(name, func(t *testing.T) {
			w := linked(t)
			leave(w)
			w.ghl.edit("g1", fields{df.City: "Oslo"})
			w.converge(t)
			w.aloware.absent = false
			w.c.Sides[df.SideAloware] = w.aloware
			w.aloware.edit("7", fields{df.State: "BE"})
			w.converge(t)
			if w.aloware.get("7", df.City) != "Oslo" || w.ghl.get("g1", df.State) != "BE" || len(w.store.conflicts) != 0 {
				t.Errorf("after it came back: %v, %v", w.aloware.contacts, w.store.conflicts)
			}
			w.quiet(t)
		})
	}
}

// D-91: a phone change in GHL made a second Aloware contact, because Aloware
// was looked up and written by different numbers.
func TestAPhoneChangeRekeysThePerson(t *testing.T) {
	w := linked(t)
	w.ghl.edit("g1", fields{df.PhoneNumber: string(bobPhone), df.City: "Oslo"})
	w.converge(t)
	p := w.store.rows["p"]
	if p.Phone != bobPhone || !p.Knows(annPhone) || len(w.aloware.contacts) != 1 || w.aloware.contacts["7"].Phone() != bobPhone {
		t.Fatalf("person %+v, aloware %v", p, w.aloware.contacts)
	}
	w.quiet(t)
}

func TestAPhoneThatAlowareDropsIsReadBackUnderTheOldNumber(t *testing.T) {
	w := linked(t)
	w.aloware.drops = func(f df.Field) bool { return f == df.PhoneNumber }
	w.ghl.edit("g1", fields{df.PhoneNumber: string(bobPhone), df.City: "Oslo"})
	r := w.converge(t)
	if len(r.Issues) != 1 || r.Issues[0].Kind != IssueNotWritten || w.aloware.get("7", df.City) != "Oslo" {
		t.Fatalf("issues %+v", r.Issues)
	}
	for range w.c.Limits.Tries {
		w.converge(t)
	}
	w.quiet(t)
}

func TestAConflictIsNotToldTwiceWhenTheFieldMovesAgain(t *testing.T) {
	w := linked(t)
	w.ghl.edit("g1", fields{df.City: "Oslo"})
	w.aloware.edit("7", fields{df.City: "Bern", df.LastName: "Lee"})
	w.ghl.meanwhile = func() { w.ghl.edit("g1", fields{df.City: "Turin"}) }
	w.converge(t)
	w.converge(t)
	if w.aloware.get("7", df.City) != "Turin" || len(w.store.conflicts) != 1 {
		t.Errorf("city %q, conflicts %+v", w.aloware.get("7", df.City), w.store.conflicts)
	}
	w.quiet(t)
}

func TestAPhoneThatAlowareCannotChangeStillRekeysThePerson(t *testing.T) {
	w := linked(t)
	w.aloware.readOnly = []df.Field{df.PhoneNumber}
	w.ghl.edit("g1", fields{df.PhoneNumber: string(bobPhone)})
	w.converge(t)
	w.ghl.edit("g1", fields{df.City: "Oslo"})
	w.converge(t)
	if w.store.rows["p"].Phone != bobPhone || w.aloware.get("7", df.City) != "Oslo" || w.aloware.creates != 0 {
		t.Errorf("phone %v, city %q, %s", w.store.rows["p"].Phone, w.aloware.get("7", df.City), w.upstream())
	}
	w.quiet(t)
}

func TestAPhoneChangedInAlowareIsFoundByItsAnnouncement(t *testing.T) {
	w := linked(t)
	w.aloware.edit("7", fields{df.PhoneNumber: string(bobPhone)})
	w.handle(t, "person:p", event("1", df.SourceAloware, df.KindContactUpdated, "7", bobPhone))
	if w.ghl.get("g1", df.PhoneNumber) != string(bobPhone) || w.store.rows["p"].Phone != bobPhone {
		t.Errorf("ghl %v, person %+v", w.ghl.contacts["g1"], w.store.rows["p"])
	}
	w.quiet(t)
}

// D-38: tags of a stale payload brought back what an agent had taken off; D-43:
// a PUT of one tag wiped the others.
func TestTagsMoveOneByOneInBothDirections(t *testing.T) {
	w := linked(t)
	w.ghl.tag("g1", "lead", "hot")
	w.aloware.tag("7", "lead", "called")
	w.converge(t)
	for _, tags := range [][]string{w.ghl.contacts["g1"].Tags, w.aloware.contacts["7"].Tags} {
		if !slices.Equal(tags, []string{"called", "hot", "lead"}) {
			t.Errorf("tags %v", tags)
		}
	}
	w.ghl.tag("g1", "hot", "called")
	w.converge(t)
	if hasTag(w.aloware.contacts["7"].Tags, "lead") {
		t.Error("the tag stayed")
	}
	w.quiet(t)
}

func TestTagsUnderAMirrorSurviveAFailedFirstMeeting(t *testing.T) {
	w := newWorld(t)
	w.c.Rules.Policy = FromGHL
	w.ghl.has("g1", annFields(), "a")
	w.aloware.has("7", annFields(), "b")
	w.person(people.Person{ID: "p", GHLContactID: "g1", AlowareContactID: "7", Phone: annPhone})
	w.aloware.fault = func(op string) (error, bool) {
		if op == "write" {
			return w.aloware.fail(df.CodeRateLimited, df.RetryLater, ""), false
		}
		return nil, false
	}
	if _, err := w.c.Reconcile(t.Context(), Lease{}, "p"); err == nil {
		t.Fatal("no error")
	}
	w.aloware.fault = nil
	w.converge(t)
	for _, tags := range [][]string{w.ghl.contacts["g1"].Tags, w.aloware.contacts["7"].Tags} {
		if !slices.Equal(tags, []string{"a", "b"}) {
			t.Errorf("tags %v", tags)
		}
	}
	w.quiet(t)
}

func TestTheBreakerHoldsAFieldThatAnotherProgramFights(t *testing.T) {
	w := linked(t)
	for i := range 20 {
		w.ghl.edit("g1", fields{df.City: fmt.Sprint("City ", i%2)})
		w.ghl.edit("g1", fields{df.State: "S"})
		w.converge(t)
		w.now = w.now.Add(time.Minute)
	}
	if w.aloware.writes > w.c.Limits.Breaker.Cap {
		t.Fatalf("%d writes", w.aloware.writes)
	}
	var trips int
	for _, k := range w.store.conflicts {
		if k.Kind == "ping_pong" {
			trips++
		}
	}
	if trips != 1 {
		t.Errorf("recorded %d times", trips)
	}
	w.now = w.now.Add(w.c.Limits.Breaker.Hold)
	w.converge(t)
	if w.aloware.get("7", df.City) != "City 1" {
		t.Errorf("after the hold: %q", w.aloware.get("7", df.City))
	}
	w.quiet(t)
}

// Six edits of one field within an hour once held it back for six.
func TestTheBreakerLeavesSomebodyAloneWhoEditsOften(t *testing.T) {
	w := linked(t)
	for i := range 20 {
		w.ghl.edit("g1", fields{df.City: fmt.Sprint("City ", i)})
		w.converge(t)
		w.now = w.now.Add(time.Minute)
		if got := w.aloware.get("7", df.City); got != fmt.Sprint("City ", i) {
			t.Fatalf("after edit %d Aloware has %q", i, got)
		}
	}
	w.quiet(t)
}

func TestAWorkerThatLostItsLeaseSavesNothing(t *testing.T) {
	w := linked(t)
	saves := w.store.saves
	w.store.fence["person:p"] = 5
	w.ghl.edit("g1", fields{df.City: "Oslo"})
	_, err := w.c.Person(t.Context(), Work{PersonID: "p", Lease: Lease{Lane: "person:p", Fence: 4}})
	if !errors.Is(err, people.ErrLeaseLost) || w.store.saves != saves {
		t.Fatalf("error %v, %d saves", err, w.store.saves-saves)
	}
	// The new owner finds equal values and writes nothing again.
	if _, err := w.c.Person(t.Context(), Work{PersonID: "p", Lease: Lease{Lane: "person:p", Fence: 5}}); err != nil || w.aloware.writes != 1 {
		t.Fatalf("error %v, %s", err, w.upstream())
	}
}

func TestARowThatChangedMeanwhileIsReadAnew(t *testing.T) {
	w := linked(t)
	w.ghl.edit("g1", fields{df.City: "Oslo"})
	w.store.beforeSave = func() {
		p := w.store.rows["p"]
		p.OtherPhones, p.Version = []df.Phone{bobPhone}, p.Version+1
		w.store.rows["p"] = p
	}
	w.converge(t)
	if p := w.store.rows["p"]; !p.Knows(bobPhone) || w.aloware.writes != 1 {
		t.Errorf("person %+v, %s", p, w.upstream())
	}
	w.quiet(t)
}

func TestATimedOutWriteIsLookedUpBeforeItIsRepeated(t *testing.T) {
	for _, applied := range []bool{true, false} {
		t.Run(fmt.Sprint("applied ", applied), func(t *testing.T) {
			w := linked(t)
			w.ghl.edit("g1", fields{df.City: "Oslo"})
			w.aloware.fault = func(op string) (error, bool) {
				if op == "write" {
					return w.aloware.fail(df.CodeTimeout, df.Unclear, ""), applied
				}
				return nil, false
			}
			_, err := w.c.Reconcile(context.Background(), Lease{}, "p")
			outcome, at := df.OutcomeOf(err)
			if applied && err != nil {
				t.Fatalf("read back as written, and still %v", err)
			}
			if !applied && (outcome != df.Unclear || !at.After(w.now) || len(w.store.issues["p"]) != 0) {
				t.Fatalf("outcome %v at %v, issues %v", outcome, at, w.store.issues["p"])
			}
			w.aloware.fault = nil
			w.converge(t)
			if w.aloware.get("7", df.City) != "Oslo" || w.aloware.writes != 1 {
				t.Errorf("%s", w.upstream())
			}
			w.quiet(t)
		})
	}
}

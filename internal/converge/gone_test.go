package converge

import (
	"slices"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

// deleted runs the convergence that follows GHL's announcement of a deletion.
func (w *world) deleted(t testing.TB) Result {
	t.Helper()
	r, err := w.c.Person(t.Context(), Work{PersonID: "p", EventID: "e", Deleted: map[df.Side][]string{df.SideGHL: {"g1"}}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestADeletionInGHLEndsThePersonAndRetiresTheOtherContact(t *testing.T) {
	w := linked(t)
	delete(w.ghl.contacts, "g1")
	if r := w.deleted(t); !r.Ended {
		t.Fatalf("%+v", r)
	}
	if p := w.store.rows["p"]; p.Status != people.Ended || p.EndedAt != w.now {
		t.Errorf("person %+v", p)
	}
	if _, there := w.aloware.contacts["7"]; !there || !slices.Equal(w.aloware.retired, []string{"7"}) {
		t.Errorf("retired %v, contacts %v", w.aloware.retired, w.aloware.contacts)
	}
	w.quiet(t)
	if w.ghl.creates != 0 {
		t.Error("resurrected")
	}
}

func TestAnAnnouncedDeletionThatIsNotTrueIsSuperseded(t *testing.T) {
	w := linked(t)
	r := w.deleted(t)
	if r.Ended || !r.Superseded[df.SideGHL] || len(w.aloware.retired) != 0 {
		t.Fatalf("%+v", r)
	}
}

func TestAnUnannouncedAbsenceIsBelievedOnlyAfterAWhile(t *testing.T) {
	w := linked(t)
	delete(w.ghl.contacts, "g1")
	w.aloware.edit("7", fields{df.City: "Oslo"})
	for range 3 {
		if r := w.converge(t); r.Ended || w.ghl.creates != 0 || len(w.aloware.retired) != 0 {
			t.Fatalf("%+v", r)
		}
		w.now = w.now.Add(time.Hour)
	}
	w.now = w.now.Add(w.c.Limits.MissingGrace)
	if r := w.converge(t); !r.Ended {
		t.Fatalf("%+v", r)
	}
}

func TestAnAbsenceThatEndsIsForgotten(t *testing.T) {
	w := linked(t)
	kept := w.ghl.contacts["g1"]
	delete(w.ghl.contacts, "g1")
	w.converge(t)
	w.ghl.contacts["g1"] = kept
	w.converge(t)
	delete(w.ghl.contacts, "g1")
	w.now = w.now.Add(w.c.Limits.MissingGrace)
	if r := w.converge(t); r.Ended {
		t.Fatal("the earlier absence counted")
	}
}

func TestAnAlowareContactThatIsGoneIsNotMadeAnew(t *testing.T) {
	w := linked(t)
	delete(w.aloware.contacts, "7")
	w.ghl.edit("g1", fields{df.City: "Oslo"})
	r := w.converge(t)
	if len(r.Issues) != 1 || r.Issues[0].Kind != IssueMissing || w.aloware.creates != 0 || w.ghl.writes != 0 {
		t.Fatalf("issues %+v, %s", r.Issues, w.upstream())
	}
	w.quiet(t)
	w.aloware.has("7", annFields(), "lead")
	w.converge(t)
	if w.aloware.get("7", df.City) != "Oslo" || len(w.store.issues["p"]) != 0 {
		t.Errorf("after it came back: %q, %v", w.aloware.get("7", df.City), w.store.issues["p"])
	}
}

// D-58: the mapping jumped to whatever contact the search returned.
func TestAnotherContactWithTheNumberIsNotTakenForOurs(t *testing.T) {
	w := linked(t)
	delete(w.aloware.contacts, "7")
	w.aloware.has("9", fields{df.FirstName: "Bob", df.PhoneNumber: string(annPhone)})
	w.ghl.edit("g1", fields{df.City: "Oslo"})
	w.converge(t)
	if w.store.rows["p"].AlowareContactID != "7" || w.aloware.writes != 0 || w.ghl.get("g1", df.FirstName) != "Ann" {
		t.Errorf("person %+v, %s", w.store.rows["p"], w.upstream())
	}
}

// D-92: a contact that GHL merged away stayed mapped for ever.
func TestAMergeInGHLMovesTheAlowareContactToTheWinner(t *testing.T) {
	w := linked(t)
	w.ghl.has("g2", annFields())
	w.person(people.Person{ID: "q", GHLContactID: "g2", Phone: annPhone})
	delete(w.ghl.contacts, "g1")
	r := w.deleted(t)
	if r.MergedInto != "q" || w.store.rows["q"].AlowareContactID != "7" || len(w.aloware.retired) != 0 {
		t.Fatalf("%+v, people %+v, retired %v", r, w.store.rows, w.aloware.retired)
	}
	if p := w.store.rows["p"]; p.Status != people.Ended || p.MergedInto != "q" {
		t.Errorf("loser %+v", p)
	}
}

func TestAfterAMergeInGHLTheWinnerConverges(t *testing.T) {
	w := linked(t)
	merged := annFields()
	merged[df.City] = "Oslo"
	w.ghl.has("g2", merged, "lead")
	w.person(people.Person{ID: "q", GHLContactID: "g2", Phone: annPhone})
	delete(w.ghl.contacts, "g1")
	deletion := event("1", df.SourceGHL, df.KindContactDeleted, "g1", annPhone)
	first := w.handle(t, "person:p", deletion)[0]
	if first.MoveTo != "person:q" {
		t.Fatalf("outcome %+v", first)
	}
	if got := w.handle(t, first.MoveTo, deletion)[0]; got.Status != df.Done || w.aloware.get("7", df.City) != "Oslo" {
		t.Errorf("outcome %+v, city %q", got, w.aloware.get("7", df.City))
	}
}

func TestANumberThatLivesOnIsNotSilenced(t *testing.T) {
	w := linked(t)
	for _, id := range []string{"g2", "g3"} {
		w.ghl.has(id, annFields())
	}
	delete(w.ghl.contacts, "g1")
	if r := w.deleted(t); !r.Ended || len(w.aloware.retired) != 0 {
		t.Fatalf("%+v, retired %v", r, w.aloware.retired)
	}
}

func TestASearchThatStillShowsTheDeletedContactNamesNoHeir(t *testing.T) {
	w := linked(t)
	w.ghl.ghost = w.ghl.contacts["g1"]
	delete(w.ghl.contacts, "g1")
	w.deleted(t)
	if !slices.Equal(w.aloware.retired, []string{"7"}) {
		t.Errorf("retired %v", w.aloware.retired)
	}
}

func TestARetirementThatFails(t *testing.T) {
	t.Run("for now keeps the person", func(t *testing.T) {
		w := linked(t)
		delete(w.ghl.contacts, "g1")
		w.aloware.fault = func(op string) (error, bool) {
			if op == "retire" {
				return w.aloware.fail(df.CodeUnavailable, df.RetryLater, ""), false
			}
			return nil, false
		}
		_, err := w.c.Person(t.Context(), Work{PersonID: "p", Deleted: map[df.Side][]string{df.SideGHL: {"g1"}}})
		if !df.IsCode(err, df.CodeUnavailable) || w.store.rows["p"].Status != people.Active {
			t.Fatalf("error %v, person %+v", err, w.store.rows["p"])
		}
		w.aloware.fault = nil
		w.deleted(t)
		if !slices.Equal(w.aloware.retired, []string{"7"}) {
			t.Errorf("retired %v", w.aloware.retired)
		}
	})
	t.Run("for good is an operator's", func(t *testing.T) {
		w := linked(t)
		delete(w.ghl.contacts, "g1")
		w.c.Sides[df.SideAloware] = struct{ Side }{w.aloware} // cannot retire
		if r := w.deleted(t); !r.Ended || len(r.Issues) != 1 || r.Issues[0].Kind != IssueNotRetired || !r.Issues[0].Open {
			t.Fatalf("%+v", r)
		}
	})
}

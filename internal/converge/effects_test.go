package converge

import (
	"context"
	"slices"
	"testing"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

// fakeEffects notes what it is asked for. Texts are wanted and need a contact at
// GHL, reports are wanted and do not.
type fakeEffects struct {
	witnessed []string
	did       []string
	people    []people.Person
	answers   map[string]Outcome
	owner     string
	lost      error
}

func (f *fakeEffects) Wants(e df.Event) (wanted, contact bool) {
	return e.Notice.Kind == df.KindMessage || e.Notice.Kind == df.KindMessageStatus, e.Notice.Kind == df.KindMessage
}

func (f *fakeEffects) Owner(context.Context, df.Event) (string, error) { return f.owner, nil }

func (f *fakeEffects) Witness(_ context.Context, _ string, e df.Event) error {
	f.witnessed = append(f.witnessed, e.ID)
	return nil
}

func (f *fakeEffects) Do(_ context.Context, _ Lease, p people.Person, e df.Event) (Outcome, error) {
	f.did, f.people = append(f.did, e.ID), append(f.people, p)
	if o, ok := f.answers[e.ID]; ok {
		return o, f.lost
	}
	return Outcome{Status: df.Done}, f.lost
}

func withEffects(w *world) *fakeEffects {
	f := &fakeEffects{answers: map[string]Outcome{}}
	w.h.Effects = append(w.h.Effects, f)
	return f
}

func text(id string) df.Event { return event(id, df.SourceTexting, df.KindMessage, "", annPhone) }

func TestTextsGoToTheirPersonsLane(t *testing.T) {
	w := linked(t)
	f := withEffects(w)
	report := event("2", df.SourceTexting, df.KindMessageStatus, "", "")
	f.owner = "p"
	got := w.handle(t, "phone:x", text("1"), report)
	for _, o := range got {
		if o.MoveTo != "person:p" {
			t.Errorf("outcome %+v", o)
		}
	}
	stranger := event("3", df.SourceTexting, df.KindMessageStatus, "", bobPhone)
	if got := w.handle(t, "phone:y", stranger)[0]; got.Status != df.Skipped || len(w.store.rows) != 1 {
		t.Errorf("a report made somebody known: %+v", got)
	}
}

// Events keep their order: a text that must be tried again holds back what came
// after it, and an ordinary text costs no convergence.
func TestEffectsKeepTheOrderOfTheirEvents(t *testing.T) {
	w := linked(t)
	f := withEffects(w)
	reads := w.ghl.reads
	f.answers["2"] = Outcome{Status: df.Failed, Error: "not now"}
	outcomes, err := w.h.Handle(t.Context(), Lease{Lane: "person:p"}, []df.Event{text("1"), text("2"), text("3")}, 0)
	if err != nil || len(outcomes) != 2 || outcomes[0].Status != df.Done || outcomes[1].Status != df.Failed {
		t.Fatalf("%+v, %v", outcomes, err)
	}
	if !slices.Equal(f.did, []string{"1", "2"}) || !slices.Equal(f.witnessed, []string{"1", "2", "3"}) || w.ghl.reads != reads {
		t.Errorf("did %v, witnessed %v, %d reads", f.did, f.witnessed, w.ghl.reads-reads)
	}
}

// D-49: a first text from a new number made a contact twice, or none.
func TestATextFromAStrangerMakesTheContactOnce(t *testing.T) {
	w := newWorld(t)
	f := withEffects(w)
	moved := w.handle(t, "phone:x", text("1"), text("2"))
	if moved[0].MoveTo == "" || moved[0].MoveTo != moved[1].MoveTo {
		t.Fatalf("%+v", moved)
	}
	for _, o := range w.handle(t, moved[0].MoveTo, text("1"), text("2")) {
		if o.Status != df.Done {
			t.Errorf("outcome %+v", o)
		}
	}
	w.handle(t, moved[0].MoveTo, text("3"))
	if w.ghl.creates != 1 || w.aloware.creates != 1 || len(f.did) != 3 || f.people[0].GHLContactID == "" || f.people[2].GHLContactID != f.people[0].GHLContactID {
		t.Errorf("%d and %d contacts made, did %v for %+v", w.ghl.creates, w.aloware.creates, f.did, f.people)
	}
}

func TestATextFindsTheContactThatIsThere(t *testing.T) {
	w := newWorld(t)
	f := withEffects(w)
	w.ghl.has("g1", annFields())
	moved := w.handle(t, "phone:x", text("1"))
	w.handle(t, moved[0].MoveTo, text("1"))
	if w.ghl.creates != 0 || len(f.people) != 1 || f.people[0].GHLContactID != "g1" {
		t.Errorf("%d made, %+v", w.ghl.creates, f.people)
	}
}

func TestATextOfSomebodyWhoEndedIsNotWorked(t *testing.T) {
	w := linked(t)
	f := withEffects(w)
	p := w.store.rows["p"]
	p.Status, p.EndedReason = people.Ended, "deleted in GHL"
	w.store.rows["p"] = p
	if got := w.handle(t, "person:p", text("1"))[0]; got.Status != df.Skipped || len(f.did) != 0 {
		t.Errorf("outcome %+v", got)
	}
	p.MergedInto = "q"
	w.store.rows["p"] = p
	if got := w.handle(t, "person:p", text("1"))[0]; got.MoveTo != "person:q" {
		t.Errorf("outcome %+v", got)
	}
}

// A call, say, may cause several things. What fails holds back what comes after
// it, and a refusal to do anything is only the event's fate if all refuse.
func TestEffectsOfOneEventAreBroughtAboutInOrder(t *testing.T) {
	w := linked(t)
	first, second := withEffects(w), withEffects(w)
	first.answers["1"] = Outcome{Status: df.Failed, Error: "not now"}
	first.answers["2"] = Outcome{Status: df.Skipped, Reason: "nothing to do"}
	if got := w.handle(t, "person:p", text("1"))[0]; got.Status != df.Failed || len(second.did) != 0 {
		t.Errorf("outcome %+v, the second did %v", got, second.did)
	}
	if got := w.handle(t, "person:p", text("2"))[0]; got.Status != df.Done || got.Reason != "" || !slices.Equal(second.did, []string{"2"}) {
		t.Errorf("outcome %+v, the second did %v", got, second.did)
	}
	second.answers["3"], first.answers["3"] = Outcome{Status: df.Skipped, Reason: "no"}, Outcome{Status: df.Skipped, Reason: "no either"}
	if got := w.handle(t, "person:p", text("3"))[0]; got.Status != df.Skipped || got.Reason != "no either" {
		t.Errorf("outcome %+v", got)
	}
}

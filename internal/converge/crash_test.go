package converge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

// stories are runs that may be interrupted anywhere. Each prepares a world and
// names the events that are then handled.
var stories = map[string]func(testing.TB) (*world, df.Event){
	"a lead is created": func(t testing.TB) (*world, df.Event) {
		return lead(t, annFields(), "lead"), event("1", df.SourceGHL, df.KindContactCreated, "g1", annPhone)
	},
	"an Aloware contact is created": func(t testing.TB) (*world, df.Event) {
		w := newWorld(t)
		w.aloware.has("7", annFields(), "called")
		w.person(people.Person{ID: "p", AlowareContactID: "7", Phone: annPhone})
		return w, event("1", df.SourceAloware, df.KindContactCreated, "7", annPhone)
	},
	"both sides changed": func(t testing.TB) (*world, df.Event) {
		w := linked(t)
		w.ghl.edit("g1", fields{df.City: "Oslo", df.State: "O"})
		w.aloware.edit("7", fields{df.City: "Bern", df.LastName: "Lee"})
		w.ghl.tag("g1", "hot")
		return w, event("1", df.SourceGHL, df.KindContactUpdated, "g1", annPhone)
	},
	"a value is rewritten": func(t testing.TB) (*world, df.Event) {
		w := linked(t)
		w.aloware.habit = func(_ df.Field, v string) string { return strings.ToUpper(v) }
		w.ghl.edit("g1", fields{df.City: "Oslo"})
		return w, event("1", df.SourceGHL, df.KindContactUpdated, "g1", annPhone)
	},
	"the phone changed": func(t testing.TB) (*world, df.Event) {
		w := linked(t)
		w.ghl.edit("g1", fields{df.PhoneNumber: string(bobPhone)})
		return w, event("1", df.SourceGHL, df.KindContactUpdated, "g1", annPhone)
	},
	"the contact was deleted": func(t testing.TB) (*world, df.Event) {
		w := linked(t)
		delete(w.ghl.contacts, "g1")
		return w, event("1", df.SourceGHL, df.KindContactDeleted, "g1", annPhone)
	},
	"two contacts were merged": func(t testing.TB) (*world, df.Event) {
		w := linked(t)
		w.ghl.has("g2", annFields(), "lead")
		w.person(people.Person{ID: "q", GHLContactID: "g2", Phone: annPhone})
		delete(w.ghl.contacts, "g1")
		return w, event("1", df.SourceGHL, df.KindContactDeleted, "g1", annPhone)
	},
}

// handleAll handles the event until it is settled, moving lanes as told.
func (w *world) handleAll(t testing.TB, e df.Event) {
	t.Helper()
	lane := "ghl:whatever"
	for range 10 {
		outcomes, err := w.h.Handle(context.Background(), Lease{Lane: lane}, []df.Event{e}, 0)
		if err != nil {
			t.Fatal(err)
		}
		switch o := outcomes[0]; {
		case o.MoveTo != "":
			lane = o.MoveTo
		case o.Status == df.Done || o.Status == df.Skipped:
			return
		}
	}
	t.Fatal("never settled")
}

// outline is what must come out the same, however often the process died.
func (w *world) outline() string {
	var b strings.Builder
	for _, s := range []*fakeSide{w.ghl, w.aloware} {
		for id, c := range s.contacts {
			fmt.Fprintf(&b, "%s %s %v %v; ", s.name, id, c.Fields, c.Tags)
		}
	}
	p := w.store.rows["p"]
	fmt.Fprintf(&b, "p %s %s %s %s; ", p.Status, p.GHLContactID, p.AlowareContactID, p.Phone)
	fmt.Fprintf(&b, "retired %v; %s", w.aloware.retired, w.upstream())
	return b.String()
}

// Whenever the process dies, before or after the effect of any call, the next
// run ends where an undisturbed one would have, with not one upstream write more.
func TestDyingAtAnyCallChangesNothing(t *testing.T) {
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			calm, e := story(t)
			prepared := calm.calls
			calm.handleAll(t, e)
			want := calm.outline()
			total := calm.calls
			for at := prepared + 1; at <= total; at++ {
				for _, late := range []bool{false, true} {
					w, e := story(t)
					w.dieAt, w.dieLate = at, late
					lane := "ghl:whatever"
					for range 3 {
						outcomes, err := w.h.Handle(context.Background(), Lease{Lane: lane}, []df.Event{e}, 0)
						if err == nil && outcomes[0].MoveTo != "" {
							lane = outcomes[0].MoveTo
						}
					}
					if !w.dead {
						t.Fatalf("call %d was never made", at)
					}
					w.restart()
					w.handleAll(t, e)
					if got := w.outline(); sortedWords(got) != sortedWords(want) {
						t.Fatalf("died at call %d (late %v):\n got %s\nwant %s", at, late, got, want)
					}
				}
			}
		})
	}
}

// sortedWords makes outlines comparable, since maps list their contacts in any
// order.
func sortedWords(text string) string {
	words := strings.Split(text, "; ")
	slices.Sort(words)
	return strings.Join(words, "; ")
}

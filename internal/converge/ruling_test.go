package converge

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/df"
)

// houston is the conflict that most tests are about: GHL had Houston, Aloware had
// El Paso, and GHL won.
func houston(choice df.Side) Ruling {
	return Ruling{ConflictID: "k", Field: df.City, Choice: choice, Chosen: df.SideGHL,
		Seen:    map[df.Side]string{df.SideGHL: "Houston", df.SideAloware: "El Paso"},
		Settled: map[df.Side]string{df.SideGHL: "Houston", df.SideAloware: "HOUSTON"}, At: noon}
}

func TestWhatARulingPlans(t *testing.T) {
	const ghl, aloware = df.SideGHL, df.SideAloware
	old := houston(aloware) // of the release before, which did not keep what was settled
	old.Settled = nil
	pong := houston(aloware)
	pong.Chosen, pong.Settled = "", map[df.Side]string{ghl: "Houston", aloware: "El Paso"}
	notKept := houston(ghl)
	notKept.Settled = map[df.Side]string{ghl: "Houston", aloware: "El Paso"}
	tests := []struct {
		name   string
		ruling Ruling
		seen   [2]string
		writes map[df.Side]string
		ended  RulingState
	}{
		{"the other side's value goes to both", houston(aloware), [2]string{"Houston", "HOUSTON"}, map[df.Side]string{ghl: "El Paso", aloware: "El Paso"}, ""},
		{"what the rule chose stands already", houston(ghl), [2]string{"Houston", "HOUSTON"}, nil, Applied},
		{"one side has it by now", houston(aloware), [2]string{"El Paso", "HOUSTON"}, map[df.Side]string{aloware: "El Paso"}, ""},
		{"both have it by now", houston(aloware), [2]string{"El Paso", "El Paso"}, nil, Applied},
		{"somebody wrote something else in GHL", houston(aloware), [2]string{"Austin", "HOUSTON"}, nil, Overtaken},
		{"somebody wrote something else in Aloware", houston(aloware), [2]string{"Houston", "Austin"}, nil, Overtaken},
		{"somebody changed the case", houston(aloware), [2]string{"houston", "HOUSTON"}, nil, Overtaken},
		{"somebody wrote the losing value again", houston(ghl), [2]string{"Houston", "El Paso"}, nil, Overtaken},
		{"a side does not show the field", houston(aloware), [2]string{"Houston", "-"}, nil, Overtaken},
		{"of an old conflict either value counts", old, [2]string{"Houston", "Houston"}, map[df.Side]string{ghl: "El Paso", aloware: "El Paso"}, ""},
		{"an old conflict is overtaken too", old, [2]string{"Houston", "Austin"}, nil, Overtaken},
		{"nothing was chosen", pong, [2]string{"Houston", "El Paso"}, map[df.Side]string{ghl: "El Paso"}, ""},
		{"what the rule chose was never kept", notKept, [2]string{"Houston", "El Paso"}, map[df.Side]string{aloware: "Houston"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			of := func(v string) fields {
				if v == "-" {
					return fields{}
				}
				return fields{df.City: v}
			}
			seen := sides(of(test.seen[0]), of(test.seen[1]))
			agreed := agreedOn(fields{df.City: "Houston"}, fields{df.City: "HOUSTON"})
			p := Plan(agreed, seen, rules(Merge), test.ruling)
			var state RulingState
			for _, end := range p.Ended {
				state = end.State
			}
			if state != test.ended {
				t.Errorf("ended %q, want %q", state, test.ended)
			}
			if test.ended == Overtaken {
				// The field is decided as if nobody had ruled.
				if plain := Plan(agreed, seen, rules(Merge)); !reflect.DeepEqual(p.Writes, plain.Writes) {
					t.Errorf("writes %v, without a ruling %v", p.Writes, plain.Writes)
				}
				return
			}
			got := map[df.Side]string{}
			for side, patch := range p.Writes {
				got[side] = patch.Set[df.City]
			}
			if !maps.Equal(got, test.writes) || len(p.Conflicts) != 0 {
				t.Errorf("writes %v, want %v; conflicts %v", got, test.writes, p.Conflicts)
			}
		})
	}
}

func TestWhatConsentOrIdentityOwnsIsBarred(t *testing.T) {
	r := rules(Merge)
	r.Fields = map[df.Field]FieldRule{df.State: Never}
	values := map[df.Side]string{df.SideGHL: "a", df.SideAloware: "b"}
	for field, want := range map[df.Field]Barred{
		TagsField: BarredTags, df.PhoneNumber: BarredPhone, "dnd": BarredConsent, "dndSettings": BarredConsent, "optedOut": BarredConsent,
		df.State: BarredNever, df.Company: BarredReadOnly, df.City: "", df.Email: "", df.CustomField("shoe"): "",
	} {
		ruling := Ruling{ConflictID: "k", Field: field, Choice: df.SideAloware, Chosen: df.SideGHL, Seen: values}
		if got := ruling.Bar(r); got != want {
			t.Errorf("%s is barred by %q, want %q", field, got, want)
		}
		seen := sides(fields{field: "a"}, fields{field: "a"})
		p := Plan(agreedOn(fields{field: "a"}, fields{field: "a"}), seen, r, ruling)
		if want != "" && (!p.Quiet() || len(p.Ended) != 1 || p.Ended[0].State != Declined || want.Says() == "") {
			t.Errorf("%s: planned %v, ended %v", field, p.Writes, p.Ended)
		}
	}
	ruling := Ruling{Field: df.City, Choice: df.SideAloware, Seen: map[df.Side]string{df.SideGHL: "a"}}
	if got := ruling.Bar(r); got != BarredNoValue {
		t.Errorf("a value that was not there is barred by %q", got)
	}
}

func TestTheLaterOfTwoRulingsCounts(t *testing.T) {
	first, second := houston(df.SideAloware), houston(df.SideAloware)
	second.ConflictID, second.At = "k2", noon.Add(time.Minute)
	second.Seen = map[df.Side]string{df.SideGHL: "Houston", df.SideAloware: "Waco"}
	for _, order := range [][]Ruling{{first, second}, {second, first}} {
		p := Plan(agreedOn(nil, nil), sides(fields{df.City: "Houston"}, fields{df.City: "HOUSTON"}), rules(Merge), order...)
		if p.Writes[df.SideGHL].Set[df.City] != "Waco" || len(p.Ended) != 1 || p.Ended[0].ConflictID != "k" || p.Ended[0].State != Overtaken {
			t.Errorf("writes %v, ended %v", p.Writes, p.Ended)
		}
	}
}

// conflicted returns a world whose person's city was in conflict, with the conflict.
func conflicted(t rapid.TB) (*world, Ruling) {
	w := linked(t)
	w.ghl.edit("g1", fields{df.City: "Houston"})
	w.aloware.edit("7", fields{df.City: "El Paso"})
	w.converge(t)
	if len(w.store.conflicts) != 1 || w.aloware.get("7", df.City) != "Houston" {
		t.Fatalf("conflicts %+v", w.store.conflicts)
	}
	return w, w.ruling(0, df.SideAloware)
}

// ruling makes a ruling of one of the conflicts on record.
func (w *world) ruling(i int, choice df.Side) Ruling {
	k := w.store.conflicts[i]
	return Ruling{ConflictID: fmt.Sprint("k", i), Field: k.Field, Choice: choice, Chosen: k.Chosen, Seen: k.Seen, Settled: k.Settled, At: w.now}
}

func (w *world) ask(r Ruling) { w.store.rulings[r.ConflictID] = r }

func (w *world) stands(t rapid.TB, value string, state RulingState) {
	t.Helper()
	if g, a := w.ghl.get("g1", df.City), w.aloware.get("7", df.City); g != value || a != value {
		t.Errorf("the sides hold %q and %q, want %q", g, a, value)
	}
	if got := w.store.ended["k0"].State; got != state {
		t.Errorf("the ruling ended as %q, want %q: %s", got, state, w.store.ended["k0"].Detail)
	}
}

func TestTheOtherSidesValueIsWrittenOnceToEachAndThenSilence(t *testing.T) {
	w, ruling := conflicted(t)
	before := w.upstream()
	w.quiet(t)
	w.ask(ruling)
	r := w.converge(t)
	w.stands(t, "El Paso", Applied)
	if r.Writes != 2 || w.ghl.writes != 1 || w.aloware.writes != 2 || len(w.store.conflicts) != 1 {
		t.Errorf("from %s to %s, conflicts %+v", before, w.upstream(), w.store.conflicts)
	}
	w.quiet(t)
	entry := w.store.log[len(w.store.log)-1]
	if len(entry.Decisions) != 2 || entry.Decisions[0].Action != Obey {
		t.Errorf("the log tells %+v", entry.Decisions)
	}
}

// A side that keeps every value in its own way is no newer word, neither when the
// rule's value is written nor when the other one is.
func TestARulingHoldsWhereASideRewrites(t *testing.T) {
	for _, choice := range order {
		w := linked(t)
		w.aloware.habit = func(_ df.Field, v string) string { return "~" + v[:min(3, len(v))] }
		w.ghl.edit("g1", fields{df.City: "Houston"})
		w.aloware.edit("7", fields{df.City: "El Paso"})
		w.converge(t)
		// The ledger once kept what Aloware made of our write as the value that lost.
		if k := w.store.conflicts; len(k) != 1 || k[0].Seen[df.SideAloware] != "El Paso" || k[0].Settled[df.SideAloware] != "~Hou" {
			t.Fatalf("on record is %+v", k)
		}
		w.ask(w.ruling(0, choice))
		w.converge(t)
		if state := w.store.ended["k0"].State; choice == df.SideGHL && state != Applied || state == "" {
			t.Errorf("%s: ended as %q", choice, state)
		}
		w.quiet(t)
	}
}

// What a side makes of the value is agreed with what the other one gets, and does
// not come back to it as a change.
func TestARulingDoesNotEchoFromASideThatRewrites(t *testing.T) {
	for _, loud := range order {
		for _, choice := range order {
			w := linked(t)
			side := map[df.Side]*fakeSide{df.SideGHL: w.ghl, df.SideAloware: w.aloware}[loud]
			side.habit = func(_ df.Field, v string) string { return strings.ToUpper(v) }
			if choice == df.SideGHL {
				w.c.Rules.Fields = map[df.Field]FieldRule{df.City: PreferAloware}
			}
			w.ghl.edit("g1", fields{df.City: "Houston"})
			w.aloware.edit("7", fields{df.City: "El Paso"})
			w.converge(t)
			ruling := w.ruling(0, choice)
			w.ask(ruling)
			if r := w.converge(t); r.Writes != 2 || w.store.ended["k0"].State != Applied {
				t.Errorf("%s is loud, %s is chosen: %d writes, %v", loud, choice, r.Writes, w.store.ended)
			}
			for name, got := range map[df.Side]string{df.SideGHL: w.ghl.get("g1", df.City), df.SideAloware: w.aloware.get("7", df.City)} {
				want := ruling.Seen[choice]
				if name == loud {
					want = strings.ToUpper(want)
				}
				if got != want {
					t.Errorf("%s is loud, %s is chosen: %s has %q", loud, choice, name, got)
				}
			}
			w.quiet(t)
		}
	}
}

func TestARulingDoesNotOverwriteANewerWord(t *testing.T) {
	for name, edit := range map[string]func(w *world){
		"in GHL before the run":     func(w *world) { w.ghl.edit("g1", fields{df.City: "Austin"}) },
		"in Aloware before the run": func(w *world) { w.aloware.edit("7", fields{df.City: "Austin"}) },
		"in GHL between write and reading back": func(w *world) {
			w.ghl.meanwhile = func() { w.ghl.edit("g1", fields{df.City: "Austin"}) }
		},
		"in Aloware between write and reading back": func(w *world) {
			w.aloware.meanwhile = func() { w.aloware.edit("7", fields{df.City: "Austin"}) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, ruling := conflicted(t)
			w.ask(ruling)
			edit(w)
			w.converge(t)
			w.stands(t, "Austin", Overtaken)
			w.quiet(t)
		})
	}
}

func TestARulingWaitsWhileAPlaceIsHeld(t *testing.T) {
	w, ruling := conflicted(t)
	for range w.c.Limits.Breaker.Cap {
		w.store.written["p"] = append(w.store.written["p"], Written{Side: df.SideAloware, Field: df.City, At: w.now, Value: "same"})
	}
	w.ask(ruling)
	w.converge(t)
	w.stands(t, "Houston", "") // not half of it
	w.now = w.now.Add(w.c.Limits.Breaker.Hold + time.Minute)
	w.converge(t)
	w.stands(t, "El Paso", Applied)
	w.quiet(t)
}

func TestARulingOutlivesASideThatIsDown(t *testing.T) {
	for _, down := range order {
		w, ruling := conflicted(t)
		w.ask(ruling)
		side := map[df.Side]*fakeSide{df.SideGHL: w.ghl, df.SideAloware: w.aloware}[down]
		side.fault = func(op string) (error, bool) {
			if op == "write" {
				return side.fail(df.CodeUnavailable, df.RetryLater, ""), false
			}
			return nil, false
		}
		if _, err := w.c.Reconcile(context.Background(), Lease{}, "p"); err == nil || len(w.store.ended) != 0 {
			t.Fatalf("%s is down: %v, ended %v", down, err, w.store.ended)
		}
		side.fault = nil
		w.converge(t)
		w.stands(t, "El Paso", Applied)
		w.quiet(t)
	}
}

func TestAValueThatASideRefusesIsWrittenNowhere(t *testing.T) {
	w, ruling := conflicted(t)
	w.ghl.refuse = func(p df.Patch) error { return w.ghl.fail(df.CodeInvalid, df.Refused, "city is no city") }
	w.ask(ruling)
	w.converge(t)
	w.stands(t, "Houston", Declined)
	w.quiet(t)
}

func TestAValueThatIsNotKeptIsTriedAndGivenUp(t *testing.T) {
	w, ruling := conflicted(t)
	w.ghl.drops = func(f df.Field) bool { return f == df.City }
	w.ask(ruling)
	for range w.c.Limits.Tries - 1 {
		if r := w.converge(t); r.Settled() || len(w.store.ended) != 0 {
			t.Fatalf("settled %v, ended %v", r.Settled(), w.store.ended)
		}
	}
	w.converge(t)
	w.stands(t, "Houston", Declined)
	w.quiet(t)
}

// Wherever the process dies, the value stands in the end, and is written at most
// once to each side.
func TestARulingOutlivesACrashAtAnyCall(t *testing.T) {
	for _, late := range []bool{false, true} {
		for at := 1; ; at++ {
			w, ruling := conflicted(t)
			w.ask(ruling)
			writes := w.ghl.writes + w.aloware.writes
			w.dieAt, w.dieLate = w.calls+at, late
			_, err := w.c.Reconcile(context.Background(), Lease{}, "p")
			alive := !w.dead
			if alive && err != nil {
				t.Fatal(err)
			}
			w.restart()
			w.converge(t)
			w.stands(t, "El Paso", Applied)
			if n := w.ghl.writes + w.aloware.writes - writes; n != 2 {
				t.Errorf("died at call %d, late %v: %d writes", at, late, n)
			}
			w.quiet(t)
			if alive {
				break
			}
		}
	}
}

// Whatever two people write before, between and after, and however often it is
// run: the chosen value stands on both sides, or a newer word does, and then
// nothing is written any more.
func TestARulingEndsInOneValueAndSilence(t *testing.T) {
	cities := []string{"Houston", "El Paso", "Austin", "houston", ""}
	rapid.Check(t, func(t *rapid.T) {
		w := linked(t)
		w.c.Rules.Policy = rapid.SampledFrom([]Policy{Merge, FromGHL, FromAloware}).Draw(t, "policy")
		w.ghl.edit("g1", fields{df.City: "Houston"})
		w.aloware.edit("7", fields{df.City: "El Paso"})
		w.converge(t)
		choice := rapid.SampledFrom(order[:]).Draw(t, "choice")
		ruling := w.ruling(0, choice)
		if rapid.Bool().Draw(t, "old") {
			ruling.Settled = nil
		}
		winner := ruling.Seen[ruling.Chosen]
		w.ask(ruling)
		edited, still := "", true
		if rapid.Bool().Draw(t, "somebody edits") {
			still = false
			edited = rapid.SampledFrom(cities).Filter(func(v string) bool { return v != winner }).Draw(t, "city")
			side, id := w.ghl, "g1"
			if rapid.Bool().Draw(t, "at aloware") {
				side, id = w.aloware, "7"
			}
			side.edit(id, fields{df.City: edited})
			defer func(newer bool) {
				chosen := ruling.Seen[choice]
				mirrored := w.c.Rules.For(df.City).mirrors(side.name)
				got := w.ghl.get("g1", df.City)
				if newer && !mirrored && got != edited {
					t.Errorf("the newer %q was overwritten with %q", edited, got)
				}
				if edited == chosen && got != chosen {
					t.Errorf("%q was chosen and written, and %q stands", chosen, got)
				}
			}(ruling.Settled != nil || !slices.Contains([]string{"Houston", "El Paso"}, edited))
		}
		w.converge(t)
		if g, a := w.ghl.get("g1", df.City), w.aloware.get("7", df.City); !Same(df.City, g, a) {
			t.Errorf("the sides hold %q and %q", g, a)
		} else if still && g != ruling.Seen[choice] {
			t.Errorf("%q stands, chosen was %q", g, ruling.Seen[choice])
		}
		if w.store.ended["k0"].State == "" {
			t.Error("the ruling has no end")
		}
		w.quiet(t)
	})
}

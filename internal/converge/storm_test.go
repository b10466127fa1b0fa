package converge

import (
	"context"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

// mischief makes calls of a side fail as real ones do, by a drawn plan.
func mischief(t *rapid.T, w *world, s *fakeSide) func(string) (error, bool) {
	plan := rapid.SliceOfN(rapid.IntRange(0, 11), 0, 60).Draw(t, "mischief at "+string(s.name))
	return func(string) (error, bool) {
		if len(plan) == 0 {
			return nil, false
		}
		what := plan[0]
		plan = plan[1:]
		switch what {
		case 0:
			return s.fail(df.CodeRateLimited, df.RetryLater, ""), false
		case 1:
			return s.fail(df.CodeUnavailable, df.RetryLater, ""), false
		case 2:
			return s.fail(df.CodeTimeout, df.Unclear, ""), true
		case 3:
			return s.fail(df.CodeTimeout, df.Unclear, ""), false
		}
		return nil, false
	}
}

var stormValues = []string{"", "Ann", "Bob", "carol", "Rome", "OSLO"}

// act does one random thing to the world.
func act(t *rapid.T, w *world) {
	side, id := w.ghl, "g1"
	if rapid.Bool().Draw(t, "at Aloware") {
		p := w.store.rows["p"]
		side, id = w.aloware, p.AlowareContactID
	}
	if _, there := side.contacts[id]; !there {
		return
	}
	switch rapid.IntRange(0, 5).Draw(t, "act") {
	case 0, 1:
		f := rapid.SampledFrom([]df.Field{df.FirstName, df.City, df.State}).Draw(t, "field")
		side.edit(id, fields{f: rapid.SampledFrom(stormValues).Draw(t, "value")})
	case 2:
		side.tag(id, rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "c"})).Draw(t, "tags")...)
	case 3, 4:
		side.meanwhile = duringWrite(t, side, id)
	case 5:
		side.edit(id, fields{df.PhoneNumber: string(rapid.SampledFrom([]df.Phone{annPhone, bobPhone}).Draw(t, "phone"))})
	}
}

// duringWrite draws an edit that falls between a write to the side and its
// being read back.
func duringWrite(t *rapid.T, side *fakeSide, id string) func() {
	f := rapid.SampledFrom([]df.Field{df.FirstName, df.City, df.State}).Draw(t, "field during a write")
	v := rapid.SampledFrom(stormValues).Draw(t, "value during a write")
	tagged := rapid.Bool().Draw(t, "a tag too")
	return func() {
		side.edit(id, fields{f: v})
		if tagged {
			side.tag(id, append(side.contacts[id].Tags, "d")...)
		}
	}
}

// Invariant 3: whatever happened and failed, one calm stretch of reconciles
// brings both sides together, with one contact on each, and then is silent.
func TestAfterTheStormBothSidesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := lead(t, annFields(), "a")
		w.c.Rules.Policy = rapid.SampledFrom([]Policy{Merge, FromGHL, FromAloware}).Draw(t, "policy")
		w.c.Limits.Breaker = Breaker{}
		w.ghl.fault, w.aloware.fault = mischief(t, w, w.ghl), mischief(t, w, w.aloware)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			act(t, w)
			if rapid.Bool().Draw(t, "converges") {
				if rapid.IntRange(0, 9).Draw(t, "dies") == 0 {
					w.dieAt, w.dieLate = w.calls+rapid.IntRange(1, 6).Draw(t, "after"), rapid.Bool().Draw(t, "late")
				}
				_, _ = w.c.Person(context.Background(), w.announced())
				w.restart()
			}
			w.now = w.now.Add(time.Minute)
		}
		w.ghl.fault, w.aloware.fault = nil, nil
		w.ghl.meanwhile, w.aloware.meanwhile = nil, nil
		if _, err := w.c.Person(context.Background(), w.announced()); err != nil {
			t.Fatal(err)
		}
		w.quiet(t)
		agree(t, w)
	})
}

// announced is the work that Aloware's webhooks ask for: they carry the number.
func (w *world) announced() Work {
	work := Work{PersonID: "p"}
	for _, c := range w.aloware.contacts {
		work.Phones = append(work.Phones, c.Phone())
	}
	return work
}

func agree(t *rapid.T, w *world) {
	if len(w.ghl.contacts) != 1 || len(w.aloware.contacts) != 1 {
		t.Fatalf("contacts %v, %v", w.ghl.contacts, w.aloware.contacts)
	}
	p := w.store.rows["p"]
	g, a := w.ghl.contacts[p.GHLContactID], w.aloware.contacts[p.AlowareContactID]
	for _, f := range df.Fields() {
		if _, alike := Rewrite(f, g.Get(f), a.Get(f)); !alike {
			t.Fatalf("%s: %q at GHL, %q at Aloware", f, g.Get(f), a.Get(f))
		}
	}
	if !slices.Equal(g.Tags, a.Tags) {
		t.Fatalf("tags %v and %v", g.Tags, a.Tags)
	}
	if p.Phone != g.Phone() {
		t.Fatalf("the person is found by %v, GHL has %v", p.Phone, g.Phone())
	}
}

// A side that drops, rewrites, hides and refuses what it likes still brings no
// run to write for ever.
func TestAnyDeterministicSideFallsSilent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.c.Limits.Breaker = Breaker{}
		w.c.Rules.Policy = rapid.SampledFrom([]Policy{Merge, FromGHL, FromAloware}).Draw(t, "policy")
		for _, s := range []*fakeSide{w.ghl, w.aloware} {
			oddSide(t, s)
		}
		draw := func(label string) fields {
			set := fields{df.PhoneNumber: string(annPhone)}
			for _, f := range []df.Field{df.FirstName, df.City, df.State} {
				set[f] = rapid.SampledFrom(stormValues).Draw(t, label+string(f))
			}
			return set
		}
		w.ghl.has("g1", draw("ghl "), "a")
		w.aloware.has("7", draw("aloware "), "b")
		w.person(people.Person{ID: "p", GHLContactID: "g1", AlowareContactID: "7", Phone: annPhone})
		for range 3 {
			for range 2 * w.c.Limits.Tries * (w.c.Limits.Rounds + 1) {
				w.converge(t)
				w.now = w.now.Add(time.Minute)
			}
			w.quiet(t)
			w.ghl.edit("g1", fields{df.City: rapid.SampledFrom(stormValues).Draw(t, "edit ghl")})
			w.aloware.edit("7", fields{df.City: rapid.SampledFrom(stormValues).Draw(t, "edit aloware")})
		}
	})
}

// oddSide draws a side that does strange things, the same each time.
func oddSide(t *rapid.T, s *fakeSide) {
	drawn := func(label string) []df.Field {
		return rapid.SliceOfN(rapid.SampledFrom([]df.Field{df.FirstName, df.City, df.State, TagsField}), 0, 2).Draw(t, string(s.name)+label)
	}
	dropped, mangled, refused := drawn(" drops"), drawn(" mangles"), drawn(" refuses")
	s.hidden, s.readOnly = drawn(" hides"), drawn(" only reads")
	s.keepsTags = rapid.Bool().Draw(t, "keeps tags")
	s.drops = func(f df.Field) bool { return slices.Contains(dropped, f) }
	s.habit = func(f df.Field, v string) string {
		if slices.Contains(mangled, f) && v != "" {
			return "mangled at " + string(s.name) + v[:1]
		}
		return v
	}
	s.refuse = func(p df.Patch) error {
		for _, f := range p.FieldNames() {
			if slices.Contains(refused, df.Field(f)) {
				return s.fail(df.CodeInvalid, df.Refused, "no")
			}
		}
		return nil
	}
}

package converge

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/df"
)

// The generators draw from few fields and few, nearly equal values, so that
// changes, echoes, spellings and conflicts all meet.
var (
	someFields = []df.Field{df.FirstName, df.Email, df.PhoneNumber, df.Company, df.Address, df.CustomField("shoe")}
	someValues = map[df.Field][]string{
		df.Email:       {"", "a@example.test", "A@example.test", "b@example.test"},
		df.PhoneNumber: {"", "+12025550101", "(202) 555-0101", "+12025550102", "ask Bob"},
	}
	otherValues = []string{"", "Ann", "ANN", " ann", "Änn", "Bob", "a rather long value indeed", "a rather long value inde"}
	someTags    = []string{"a", "b", "C", "SYS:mark"}
)

func drawContact(t *rapid.T, label, id string) df.Contact {
	c := df.Contact{ID: id, Fields: drawFields(t, label)}
	if rapid.Bool().Draw(t, label+" shows tags") {
		c.Tags = df.Tags(rapid.SliceOf(rapid.SampledFrom(someTags)).Draw(t, label+" tags")...)
	}
	return c
}

func drawFields(t *rapid.T, label string) fields {
	drawn := fields{}
	for _, f := range someFields {
		values := someValues[f]
		if values == nil {
			values = otherValues
		}
		if i := rapid.IntRange(-1, len(values)-1).Draw(t, label+" "+string(f)); i >= 0 {
			drawn[f] = values[i]
		}
	}
	return drawn
}

func drawAgreed(t *rapid.T) Agreed {
	agreed := Agreed{}
	for side, id := range map[df.Side]string{df.SideGHL: "g1", df.SideAloware: "7"} {
		if c := drawContact(t, "agreed "+string(side), id); rapid.IntRange(0, 5).Draw(t, "met") > 0 {
			agreed[side] = Snapshot{ContactID: id, Fields: c.Fields, Tags: c.Tags}
		}
	}
	return agreed
}

func drawRules(t *rapid.T) Rules {
	r := Rules{Policy: rapid.SampledFrom([]Policy{Merge, FromGHL, FromAloware}).Draw(t, "policy"),
		Fields: map[df.Field]FieldRule{}, Can: map[df.Side]Ability{}}
	for _, f := range append(slices.Clone(someFields), TagsField) {
		if rule := rapid.SampledFrom([]FieldRule{"", "", PreferGHL, PreferAloware, MirrorGHL, MirrorAloware, Never}).Draw(t, "rule"); rule != "" {
			r.Fields[f] = rule
		}
	}
	for _, side := range order {
		not := rapid.SliceOfN(rapid.SampledFrom(someFields), 0, 2).Draw(t, "not writable")
		a := able(not...)
		a.RemoveTags = rapid.Bool().Draw(t, "removes tags")
		r.Can[side] = a
	}
	return r
}

func drawSeen(t *rapid.T) map[df.Side]df.Contact {
	return map[df.Side]df.Contact{df.SideGHL: drawContact(t, "ghl", "g1"), df.SideAloware: drawContact(t, "aloware", "7")}
}

// habit is what a side does to the values it is given.
type habit func(string) string

var habits = map[string]habit{
	"exact": func(v string) string { return v },
	"upper": strings.ToUpper,
	"trim":  strings.TrimSpace,
	"cut":   func(v string) string { return v[:min(len(v), 20)] },
	"space": func(v string) string { return strings.ReplaceAll(v, " ", "") },
}

// apply does to the contact what the side would, showing only what it shows.
func apply(c df.Contact, p df.Patch, h habit) df.Contact {
	c = c.Clone()
	for f, v := range p.Set {
		if _, shown := c.Fields[f]; shown {
			c.Fields[f] = h(v)
		}
	}
	if c.Tags != nil {
		kept := slices.DeleteFunc(c.Tags, func(tag string) bool { return hasTag(p.RemoveTags, tag) })
		c.Tags = df.Tags(append(kept, p.AddTags...)...)
	}
	return c
}

// settled applies a proposal and agrees on everything that it wrote.
func settled(p Proposal, seen map[df.Side]df.Contact, h map[df.Side]habit) (Agreed, map[df.Side]df.Contact) {
	next := maps.Clone(seen)
	for side, patch := range p.Writes {
		next[side] = apply(next[side], patch, h[side])
	}
	agreed := p.Next.Clone()
	for _, patch := range p.Writes {
		for f := range patch.Set {
			agreed.settle(f, next)
		}
		for _, tag := range append(slices.Clone(patch.AddTags), patch.RemoveTags...) {
			agreed.settleTag(df.TagKey(tag), next)
		}
	}
	return agreed, next
}

func TestPlanIsStillAfterOneRound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		agreed, seen, r := drawAgreed(t), drawSeen(t), drawRules(t)
		h := map[df.Side]habit{}
		for _, side := range order {
			h[side] = habits[rapid.SampledFrom(slices.Sorted(maps.Keys(habits))).Draw(t, "habit of "+string(side))]
		}
		next, now := settled(Plan(agreed, seen, r), seen, h)
		if again := Plan(next, now, r); !again.Quiet() || len(again.Conflicts) > 0 {
			t.Fatalf("after one round still planned: %+v\nconflicts %+v", again.Writes, again.Conflicts)
		}
	})
}

func TestACrashBeforeTheRecordCostsNoSecondWrite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		agreed, seen, r := drawAgreed(t), drawSeen(t), drawRules(t)
		r.Policy, r.Fields = Merge, nil
		exact := map[df.Side]habit{df.SideGHL: habits["exact"], df.SideAloware: habits["exact"]}
		p := Plan(agreed, seen, r)
		_, now := settled(p, seen, exact)
		again := Plan(agreed, now, r) // the old snapshots: the record was lost
		for side, patch := range again.Writes {
			for f := range patch.Set {
				if seen[side].Known(f) {
					t.Fatalf("%s would be written %s again: %+v, first %+v", side, f, patch, p.Writes[side])
				}
			}
			if seen[side].Tags != nil && len(patch.AddTags)+len(patch.RemoveTags) > 0 {
				t.Fatalf("tags would be written again: %+v", patch)
			}
		}
	})
}

func TestPlanInventsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		agreed, seen, r := drawAgreed(t), drawSeen(t), drawRules(t)
		p := Plan(agreed, seen, r)
		for side, patch := range p.Writes {
			other := seen[side.Other()]
			for f, v := range patch.Set {
				switch {
				case r.For(f) == Never:
					t.Fatalf("wrote %s, which is opted out", f)
				case !r.Can[side].writable(f):
					t.Fatalf("wrote %s to %s, which does not take it", f, side)
				case !other.Known(f) || !Same(f, v, other.Get(f)):
					t.Fatalf("wrote %s = %q, which %s does not hold: %v", f, v, other.ID, other.Fields)
				case v == "" && agreed.base(side.Other(), other.ID).Fields[f] == "" && r.For(f).winner() == side.Other() && !r.For(f).mirrors(side):
					t.Fatalf("cleared %s, which was never set and cleared", f)
				case f == df.PhoneNumber && !dialable(v):
					t.Fatalf("wrote %q as a phone", v)
				}
				if _, alsoBack := p.Writes[side.Other()].Set[f]; alsoBack {
					t.Fatalf("wrote %s both ways", f)
				}
			}
			for _, tag := range append(slices.Clone(patch.AddTags), patch.RemoveTags...) {
				if strings.HasPrefix(df.TagKey(tag), "sys:") {
					t.Fatalf("touched %q", tag)
				}
			}
			if len(patch.RemoveTags) > 0 && !r.Can[side].RemoveTags {
				t.Fatalf("removed tags from %s, which cannot", side)
			}
		}
	})
}

// swap exchanges the two sides in everything.
func swap(side df.Side) df.Side { return side.Other() }

var swapped = map[FieldRule]FieldRule{PreferGHL: PreferAloware, PreferAloware: PreferGHL,
	MirrorGHL: MirrorAloware, MirrorAloware: MirrorGHL, Never: Never}

func TestPlanTreatsTheSidesAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		agreed, seen, r := drawAgreed(t), drawSeen(t), drawRules(t)
		mirrored := Rules{Fields: map[df.Field]FieldRule{}, Can: map[df.Side]Ability{}}
		for _, f := range append(slices.Clone(someFields), TagsField) {
			mirrored.Fields[f] = swapped[r.For(f)]
		}
		agreedBack, seenBack := Agreed{}, map[df.Side]df.Contact{}
		for _, side := range order {
			mirrored.Can[swap(side)] = r.Can[side]
			seenBack[swap(side)] = seen[side]
			if s, ok := agreed[side]; ok {
				agreedBack[swap(side)] = s
			}
		}
		there, back := Plan(agreed, seen, r), Plan(agreedBack, seenBack, mirrored)
		if len(there.Writes) != len(back.Writes) || len(there.Conflicts) != len(back.Conflicts) {
			t.Fatalf("%+v\nis not the mirror of\n%+v", there, back)
		}
		for side, patch := range there.Writes {
			if other := back.Writes[swap(side)]; !reflect.DeepEqual(patch.Set, other.Set) ||
				!reflect.DeepEqual(tagKeys(patch.AddTags), tagKeys(other.AddTags)) ||
				!reflect.DeepEqual(tagKeys(patch.RemoveTags), tagKeys(other.RemoveTags)) {
				t.Fatalf("%s gets %+v, its mirror %+v", side, patch, other)
			}
		}
	})
}

func tagKeys(tags []string) []string {
	keys := []string{}
	for _, tag := range tags {
		keys = append(keys, df.TagKey(tag))
	}
	return keys
}

func TestPlanChangesNoneOfItsArguments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		agreed, seen, r := drawAgreed(t), drawSeen(t), drawRules(t)
		kept, shown := agreed.Clone(), map[df.Side]df.Contact{}
		for side, c := range seen {
			shown[side] = c.Clone()
		}
		Plan(agreed, seen, r)
		if !reflect.DeepEqual(kept, agreed) || !reflect.DeepEqual(shown, seen) {
			t.Fatal("the arguments were changed")
		}
	})
}

func TestMergedTagsAreTheThreeWayMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) []string {
			return df.Tags(rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "c", "d"})).Draw(t, label)...)
		}
		base, g, a := draw("base"), draw("ghl"), draw("aloware")
		agreed, seen := Agreed{}, map[df.Side]df.Contact{df.SideGHL: {ID: "g1", Tags: g}, df.SideAloware: {ID: "7", Tags: a}}
		for side, c := range seen {
			agreed[side] = Snapshot{ContactID: c.ID, Tags: base}
		}
		_, now := settled(Plan(agreed, seen, rules(Merge)), seen, map[df.Side]habit{})
		var want []string
		for _, tag := range []string{"a", "b", "c", "d"} {
			if hasTag(base, tag) && hasTag(g, tag) && hasTag(a, tag) || !hasTag(base, tag) && (hasTag(g, tag) || hasTag(a, tag)) {
				want = append(want, tag)
			}
		}
		for side, c := range now {
			if !slices.Equal(c.Tags, want) {
				t.Fatalf("%s has %v, want %v of base %v, ghl %v, aloware %v", side, c.Tags, want, base, g, a)
			}
		}
	})
}

package lists

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// dialerLists plays what Aloware has, and calls that may be cut off at any point.
type dialerLists map[string]bool

func (d dialerLists) does(c Change, after int) (done bool) {
	steps := 0
	step := func(f func()) bool {
		if steps == after {
			return false
		}
		steps++
		f()
		return true
	}
	if c.Clear && !step(func() { clear(d) }) {
		return false
	}
	return len(c.Add) == 0 || step(func() {
		for _, m := range c.Add {
			d[m.ListID] = true
		}
	})
}

func drawWanted(t *rapid.T) []Membership {
	ids := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"1", "2", "3", "4"}), 0, 4, rapid.ID[string]).Draw(t, "wanted")
	wanted := make([]Membership, len(ids))
	for i, id := range ids {
		wanted[i] = Membership{AgentKey: "A", ListKey: "L" + id, ListID: id}
	}
	return wanted
}

// Whatever was wanted before and wherever the program died, one whole change more
// brings Aloware to what is wanted, and the next asks for nothing.
func TestAChangeHealsWhereverItWasCutOff(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		there, known := dialerLists{}, Holding{}
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			wanted := drawWanted(t)
			c := Diff(known, wanted)
			before := known
			known = during(known, c)
			if there.does(c, rapid.IntRange(0, 3).Draw(t, "dies after")) {
				known = settledBy(before, c)
			}
		}
		wanted := drawWanted(t)
		c := Diff(known, wanted)
		there.does(c, 9)
		known = settledBy(known, c)
		want := map[string]bool{}
		for _, m := range wanted {
			want[m.ListID] = true
		}
		if !maps.Equal(want, there) {
			t.Fatalf("Aloware has %v, want %v", there, want)
		}
		if c := Diff(known, wanted); !c.Empty() {
			t.Fatalf("asks for %+v again", c)
		}
	})
}

// settledBy is what is known after a change that went through.
func settledBy(h Holding, c Change) Holding {
	if c.Clear {
		h = cleared()
	}
	return h.with(c.Add)
}

func TestADiffCostsWhatItMust(t *testing.T) {
	t.Parallel()
	m := func(id string) Membership { return Membership{"A", "L" + id, id, "r"} }
	held := func(ids ...string) Holding {
		var h Holding
		for _, id := range ids {
			h.Lists = append(h.Lists, Held{AgentKey: "A", ListKey: "L" + id, ListID: id})
		}
		return h
	}
	for _, c := range []struct {
		name   string
		held   Holding
		wanted []Membership
		clear  bool
		add    []string
	}{
		{"nothing", held(), nil, false, nil},
		{"agrees", held("1", "2"), []Membership{m("2"), m("1")}, false, nil},
		{"one more", held("1"), []Membership{m("1"), m("2")}, false, []string{"2"}},
		{"one less: all are left, the rest is added again", held("1", "2"), []Membership{m("1")}, true, []string{"1"}},
		{"none any more", held("1"), nil, true, nil},
		{"not sure and wanted: once more", Holding{Lists: []Held{{"A", "L1", "1", true}}}, []Membership{m("1")}, false, []string{"1"}},
		{"not sure and not wanted: off", Holding{Lists: []Held{{"A", "L1", "1", true}}}, nil, true, nil},
		{"written anew", Holding{Lists: held("1").Lists, Redo: true}, []Membership{m("1")}, true, []string{"1"}},
	} {
		got := Diff(c.held, c.wanted)
		var add []string
		for _, one := range got.Add {
			add = append(add, one.ListID)
		}
		if got.Clear != c.clear || !slices.Equal(add, c.add) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

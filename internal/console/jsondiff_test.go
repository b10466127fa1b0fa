package console

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawJSON draws a value out of few names and leaves, so that two have much alike.
func drawJSON(t *rapid.T, depth int) any {
	switch kind := rapid.IntRange(0, 5).Draw(t, "kind"); {
	case kind == 0 && depth > 0:
		object := map[string]any{}
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c/d", "~"}), 0, 3, rapid.ID).Draw(t, "names") {
			object[name] = drawJSON(t, depth-1)
		}
		return object
	case kind == 1 && depth > 0:
		array := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "length") {
			array = append(array, drawJSON(t, depth-1))
		}
		return array
	}
	return rapid.SampledFrom([]any{nil, true, json.Number("1"), json.Number("1.0"), json.Number("12345678901234567890"), "", "text", "<&\""}).Draw(t, "leaf")
}

func encoded(t *rapid.T, value any) []byte {
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func unlike(changes []jsonChange) []jsonChange {
	return slices.DeleteFunc(slices.Clone(changes), func(c jsonChange) bool { return c.Kind == "same" })
}

func TestNothingDiffersFromItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := encoded(t, drawJSON(t, 3))
		if found := unlike(diffJSON(raw, raw)); len(found) > 0 {
			t.Fatalf("%s differs from itself: %+v", raw, found)
		}
	})
}

func TestADifferenceIsToldOncePerPathAndTheSameFromBothSides(t *testing.T) {
	mirror := map[string]string{"added": "removed", "removed": "added", "changed": "changed", "same": "same"}
	rapid.Check(t, func(t *rapid.T) {
		a, b := encoded(t, drawJSON(t, 3)), encoded(t, drawJSON(t, 3))
		there, back := diffJSON(a, b), diffJSON(b, a)
		paths := map[string]bool{}
		for _, c := range there {
			if paths[c.Path] {
				t.Fatalf("%s is told twice: %+v", c.Path, there)
			}
			paths[c.Path] = true
		}
		if len(there) != len(back) {
			t.Fatalf("%d there, %d back", len(there), len(back))
		}
		for i, c := range there {
			if want := (jsonChange{c.Path, mirror[c.Kind], c.After, c.Before}); back[i] != want {
				t.Fatalf("back it is %+v, there %+v", back[i], c)
			}
		}
		if same := compact(valueOf(a)) == compact(valueOf(b)); same != (len(unlike(there)) == 0) {
			t.Fatalf("%s and %s: alike %v, yet %+v", a, b, same, there)
		}
	})
}

func TestWhatAComparisonSays(t *testing.T) {
	got := unlike(diffJSON([]byte(`{"id":10000000000000001,"tags":["a","b"],"old":{"x":1},"a/b":1}`),
		[]byte(`{ "a/b":2,"id":10000000000000002,"tags":["a"],"new":[]}`)))
	want := []jsonChange{{"/a~1b", "changed", "1", "2"}, {"/id", "changed", "10000000000000001", "10000000000000002"},
		{"/new", "added", "", "[]"}, {"/old", "removed", `{"x":1}`, ""}, {"/tags/1", "removed", `"b"`, ""}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	if got := diffJSON([]byte("not json"), []byte(`{"a":1}`)); len(got) != 1 || got[0].Kind != "changed" || !strings.Contains(got[0].Before, "not json") {
		t.Errorf("%+v", got)
	}
}

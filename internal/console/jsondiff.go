package console

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// jsonChange is one path at which two bodies differ, or one that both have alike.
type jsonChange struct {
	Path   string // "/contact/tags/0"; "" is the whole body
	Kind   string // added, removed, changed, same
	Before string // compact JSON, "" when there is none
	After  string
}

// diffJSON compares two bodies value by value. Each path is reported once, in the
// order of the paths; objects and arrays are gone into where both have one, and
// reported whole where only one does. The order of names and the spacing make no
// difference; numbers are compared as they are written, so none loses a digit. A
// body that is no JSON is one text.
func diffJSON(a, b []byte) []jsonChange {
	var changes []jsonChange
	compareJSON("", valueOf(a), valueOf(b), &changes)
	return changes
}

// valueOf reads a body.
func valueOf(raw []byte) any {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var value any
	if !json.Valid(raw) || dec.Decode(&value) != nil {
		return string(raw)
	}
	return value
}

func compareJSON(path string, a, b any, changes *[]jsonChange) {
	switch left := a.(type) {
	case map[string]any:
		if right, ok := b.(map[string]any); ok && len(left)+len(right) > 0 {
			compareObjects(path, left, right, changes)
			return
		}
	case []any:
		if right, ok := b.([]any); ok && len(left)+len(right) > 0 {
			compareArrays(path, left, right, changes)
			return
		}
	}
	change := jsonChange{Path: path, Kind: "same", Before: compact(a), After: compact(b)}
	if change.Before != change.After {
		change.Kind = "changed"
	}
	*changes = append(*changes, change)
}

func compareObjects(path string, a, b map[string]any, changes *[]jsonChange) {
	names := slices.Concat(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		below := path + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		left, hadIt := a[name]
		right, hasIt := b[name]
		switch {
		case !hadIt:
			*changes = append(*changes, jsonChange{below, "added", "", compact(right)})
		case !hasIt:
			*changes = append(*changes, jsonChange{below, "removed", compact(left), ""})
		default:
			compareJSON(below, left, right, changes)
		}
	}
}

func compareArrays(path string, a, b []any, changes *[]jsonChange) {
	for i := range max(len(a), len(b)) {
		below := path + "/" + strconv.Itoa(i)
		switch {
		case i >= len(a):
			*changes = append(*changes, jsonChange{below, "added", "", compact(b[i])})
		case i >= len(b):
			*changes = append(*changes, jsonChange{below, "removed", compact(a[i]), ""})
		default:
			compareJSON(below, a[i], b[i], changes)
		}
	}
}

// compact writes a value as JSON, its names in order.
func compact(value any) string {
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return "" // what was read always encodes
	}
	return strings.TrimSuffix(out.String(), "\n")
}

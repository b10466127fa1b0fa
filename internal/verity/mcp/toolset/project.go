package toolset

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

// maxFields bounds a projection.
const maxFields = 100

// project keeps of a JSON value what the fields name: paths of members with
// dots between them, which go through lists as if they were not there. Values
// stay as they are, byte for byte. It returns the fields that were not found.
func project(body []byte, fields []string) (kept json.RawMessage, missing []string) {
	root := &fieldTree{}
	for _, field := range fields[:min(len(fields), maxFields)] {
		root.add(field)
	}
	out, found := root.apply(body, "")
	for _, field := range fields[:min(len(fields), maxFields)] {
		if !slices.Contains(found, clearPath(field)) {
			missing = append(missing, cut(field, 60))
		}
	}
	if out == nil {
		out = json.RawMessage("null")
	}
	return out, missing
}

// fieldTree is the wanted members, by name; one without members of its own is
// wanted whole.
type fieldTree struct {
	members map[string]*fieldTree
}

func clearPath(field string) string {
	return strings.Trim(strings.ReplaceAll(strings.TrimPrefix(strings.TrimSpace(field), "$"), "[]", ""), ".")
}

func (t *fieldTree) add(field string) {
	node := t
	for name := range strings.SplitSeq(clearPath(field), ".") {
		if node.members == nil {
			node.members = map[string]*fieldTree{}
		}
		if node.members[name] == nil {
			node.members[name] = &fieldTree{}
		}
		node = node.members[name]
	}
}

// apply returns what is wanted of a value, nil for nothing, and the paths that
// were found.
func (t *fieldTree) apply(value []byte, at string) (kept json.RawMessage, found []string) {
	if t.members == nil {
		return value, []string{at}
	}
	switch strictjson.KindOf(value) {
	case strictjson.Array:
		return t.applyList(value, at)
	case strictjson.Object:
		return t.applyObject(value, at)
	}
	return nil, nil
}

func (t *fieldTree) applyList(value []byte, at string) (json.RawMessage, []string) {
	out := json.RawMessage("[")
	var found []string
	_ = strictjson.Elements(value, func(i int, item []byte) error {
		kept, more := t.apply(item, at)
		for _, path := range more {
			if !slices.Contains(found, path) {
				found = append(found, path)
			}
		}
		if kept == nil {
			kept = json.RawMessage("{}")
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, kept...)
		return nil
	})
	return append(out, ']'), found
}

func (t *fieldTree) applyObject(value []byte, at string) (json.RawMessage, []string) {
	out := json.RawMessage("{")
	var found []string
	_ = strictjson.Members(value, func(name string, member []byte) error {
		inner := t.members[name]
		if inner == nil {
			return nil
		}
		path := strings.TrimPrefix(at+"."+name, ".")
		kept, more := inner.apply(member, path)
		found = append(found, more...)
		if kept == nil {
			return nil
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(strictjson.AppendString(out, name), ':')
		out = append(out, kept...)
		return nil
	})
	return append(out, '}'), found
}

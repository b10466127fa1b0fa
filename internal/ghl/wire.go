package ghl

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/payload"
)

// object is a JSON object read without expectations. GHL's real payloads differ
// from its documents in types and nesting, and a field of the wrong type must
// not cost us the rest, so both webhooks and answers are read through it.
type object map[string]any

// parseObject reads exactly one JSON object.
func parseObject(raw []byte) (object, error) { return payload.Object(raw) }

// text returns the first of the keys that holds text or a number that is not
// blank, trimmed.
func (o object) text(keys ...string) string {
	for _, key := range keys {
		if s := payload.Word(o[key]); s != "" {
			return s
		}
	}
	return ""
}

// id returns the first of the keys that can be an id. GHL's ids are opaque text
// of up to 64 characters, but numbers occur in payloads that people compose.
func (o object) id(keys ...string) string {
	for _, key := range keys {
		if id := payload.ID(o[key]); id != "" {
			return id
		}
	}
	return ""
}

// child returns the first of the keys that holds an object, or nil.
func (o object) child(keys ...string) object {
	for _, key := range keys {
		if c, ok := o[key].(map[string]any); ok {
			return c
		}
	}
	return nil
}

// inside returns the object under the first key that holds one, else o itself:
// the same answer comes wrapped from one version of the API and flat from another.
func (o object) inside(keys ...string) object {
	if c := o.child(keys...); c != nil {
		return c
	}
	return o
}

// list returns the objects in the first of the keys that holds an array.
func (o object) list(keys ...string) []object {
	for _, key := range keys {
		items, ok := o[key].([]any)
		if !ok {
			continue
		}
		objects := make([]object, 0, len(items))
		for _, item := range items {
			if c, ok := item.(map[string]any); ok {
				objects = append(objects, c)
			}
		}
		return objects
	}
	return nil
}

// texts returns the words of an array, or of a comma list, and false when the
// key holds neither. Items may be text or objects with a name.
func (o object) texts(key string) ([]string, bool) {
	switch v := o[key].(type) {
	case string:
		return strings.Split(v, ","), true
	case []any:
		words := make([]string, 0, len(v))
		for _, item := range v {
			word := payload.Word(item)
			if named, ok := item.(map[string]any); ok {
				word = object(named).text("name")
			}
			if word != "" {
				words = append(words, word)
			}
		}
		return words, true
	}
	return nil, false
}

// flag returns a truth value, and false for ok when the key holds none.
func (o object) flag(key string) (value, ok bool) {
	switch v := o[key].(type) {
	case bool:
		return v, true
	case string:
		switch strings.ToLower(v) {
		case "true":
			return true, true
		case "false":
			return false, true
		}
	}
	return false, false
}

// number returns the key's whole number, or 0.
func (o object) number(key string) int {
	n, err := json.Number(payload.Word(o[key])).Float64()
	if err != nil || n > 1e15 || n < -1e15 {
		return 0
	}
	return int(n)
}

// time returns the first of the keys that holds a time with a zone, or an epoch
// in seconds or milliseconds.
func (o object) time(keys ...string) time.Time {
	for _, key := range keys {
		if t := parseTime(o[key]); !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

func parseTime(value any) time.Time {
	text := payload.Word(value)
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t.UTC()
	}
	n, err := json.Number(text).Int64()
	switch {
	case err != nil || n <= 0 || n > 1e14:
		return time.Time{}
	case n > 1e11:
		return time.UnixMilli(n).UTC()
	case n > 1e8:
		return time.Unix(n, 0).UTC()
	}
	return time.Time{}
}

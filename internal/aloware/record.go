package aloware

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// record is a JSON object whose keys are folded, so that contact_id, contactId
// and Zapier's "Contact Id" are the same key.
type record map[string]any

// fold lower-cases a name and keeps only letters and digits of ASCII.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		default:
			return -1
		}
	}, name)
}

var errNoObject = errors.New("not a JSON object")

// parseRecord reads one JSON object and nothing after it. Numbers keep their
// digits: Aloware's ids are numbers in some payloads and strings in others.
func parseRecord(raw []byte) (record, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil || object == nil {
		return nil, errNoObject
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errNoObject
	}
	return newRecord(object), nil
}

// newRecord folds the keys. Of two that fold alike, the one that sorts last
// (lower case after capitals, so Aloware's own spelling) counts.
func newRecord(object map[string]any) record {
	r := make(record, len(object))
	for _, key := range slices.Sorted(maps.Keys(object)) {
		r[fold(key)] = object[key]
	}
	return r
}

// object returns the object under the first key that holds one, or nil.
func (r record) object(keys ...string) record {
	for _, key := range keys {
		if object, ok := r[key].(map[string]any); ok {
			return newRecord(object)
		}
	}
	return nil
}

// text returns the value of the first key that holds text, a number or a flag
// and is not empty; all else is "".
func (r record) text(keys ...string) string {
	for _, key := range keys {
		if text, _ := scalar(r[key]); text != "" {
			return text
		}
	}
	return ""
}

// scalar returns a value as text; ok is false for lists and objects. A JSON null
// is known to be empty.
func scalar(value any) (text string, ok bool) {
	switch v := value.(type) {
	case nil:
		return "", true
	case string:
		return strings.TrimSpace(v), true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		return digits(v), true
	default:
		return "", false
	}
}

// digits writes a whole number without exponent or fraction.
func digits(number json.Number) string {
	text := number.String()
	if !strings.ContainsAny(text, ".eE") {
		return text
	}
	f, err := number.Float64()
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return text
	}
	return strconv.FormatInt(int64(f), 10)
}

// flag reads 0, 1, true, false, yes and no, as numbers, words or flags. It
// returns nil for anything else, so that nonsense never clears a flag.
func (r record) flag(key string) *bool {
	text, ok := scalar(r[key])
	if !ok {
		return nil
	}
	var value bool
	switch strings.ToLower(text) {
	case "1", "true", "yes":
		value = true
	case "0", "false", "no":
	default:
		return nil
	}
	return &value
}

// at returns the time under the first key that holds one.
func (r record) at(keys ...string) time.Time {
	for _, key := range keys {
		if at := parseTime(r.text(key)); !at.IsZero() {
			return at
		}
	}
	return time.Time{}
}

// parseTime reads Aloware's times, which have no zone and are UTC, as well as
// times that name their zone. It returns the zero time for anything else.
func parseTime(text string) time.Time {
	for _, layout := range [...]string{time.DateTime, time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00"} {
		if at, err := time.Parse(layout, text); err == nil && at.Year() > 1970 && at.Year() < 9000 {
			return at.UTC()
		}
	}
	return time.Time{}
}

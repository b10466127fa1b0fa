package payload

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

// ErrNoObject says that a body is not one JSON object.
var ErrNoObject = errors.New("not a JSON object")

// Object reads one JSON object and nothing after it, else ErrNoObject. Numbers
// keep their digits, as json.Number: an id may be a number longer than a float
// can hold.
func Object(raw []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil || object == nil {
		return nil, ErrNoObject
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, ErrNoObject
	}
	return object, nil
}

// Fold lower-cases a name and keeps only letters and digits of ASCII, so that
// contact_id, contactId and Zapier's "Contact Id" are the same name.
func Fold(name string) string {
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

// Folded returns the object with its own keys folded, not those of objects
// within. Of two keys that fold alike the one that sorts last counts, which is
// the one in lower case.
func Folded(object map[string]any) map[string]any {
	folded := make(map[string]any, len(object))
	for _, key := range slices.Sorted(maps.Keys(object)) {
		folded[Fold(key)] = object[key]
	}
	return folded
}

// Scalar returns a value as trimmed text: words, a flag, or a number, whole ones
// without exponent or fraction. Null is known to be empty; ok is false for lists
// and objects.
func Scalar(value any) (text string, ok bool) {
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

// Word returns words or a number as trimmed text, and "" for all else.
func Word(value any) string {
	if _, flag := value.(bool); flag {
		return ""
	}
	text, _ := Scalar(value)
	return text
}

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

// LongestID is the longest text that counts as an id, in bytes.
const LongestID = 128

// ID returns a value that can be an id, text or a number in one short word, and
// "" for all else. The original dropped ids that were numbers.
func ID(value any) string {
	text := Word(value)
	if len(text) > LongestID || strings.ContainsFunc(text, notInID) {
		return ""
	}
	return text
}

func notInID(r rune) bool { return r <= ' ' || r == 0x7f || r == 0xfffd }

// layouts are the notations of times that upstreams were seen to use.
var layouts = [...]string{time.RFC3339Nano, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00"}

// Written reads times that name their zone, and times without one as UTC. It
// returns the zero time for anything else, and for what no event of ours can have
// happened at.
func Written(text string) time.Time {
	for _, layout := range layouts {
		if at, err := time.Parse(layout, text); err == nil && at.Year() > 1970 && at.Year() < 9000 {
			return at.UTC()
		}
	}
	return time.Time{}
}

// Time reads what Written reads, and unix seconds or milliseconds.
func Time(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return Written(text)
	case n > 1e11 && n < 1e14:
		return time.UnixMilli(n).UTC()
	case n > 1e8 && n <= 1e11:
		return time.Unix(n, 0).UTC()
	}
	return time.Time{}
}

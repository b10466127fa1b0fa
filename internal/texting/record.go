package texting

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

// record is a JSON object, or a form, whose keys are folded, so that messageId,
// message_id and MessageID are the same key. Senders differ in types as well, so
// everything is read through it without expectations.
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
// digits, since an id may be a number.
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
// counts, so that the answer is always the same.
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

// text returns the value of the first key that holds text or a number and is not
// blank, trimmed.
func (r record) text(keys ...string) string {
	for _, key := range keys {
		if text := scalar(r[key]); text != "" {
			return text
		}
	}
	return ""
}

// scalar returns text, trimmed, or a number as text, and "" for all else.
func scalar(value any) string {
	switch v := value.(type) {
	case string:
		return strings.TrimSpace(v)
	case json.Number:
		return digits(v)
	}
	return ""
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

const (
	longestID   = 128
	longestName = 100
)

// id returns the first of the keys that can be an id: text or a number, short,
// in one word. The original dropped ids that were numbers.
func (r record) id(keys ...string) string {
	for _, key := range keys {
		if text := scalar(r[key]); text != "" && len(text) <= longestID && !strings.ContainsFunc(text, notInID) {
			return text
		}
	}
	return ""
}

func notInID(r rune) bool { return r <= ' ' || r == 0x7f || r == 0xfffd }

// name returns the first of the keys that holds text that can be a name.
func (r record) name(keys ...string) string {
	for _, key := range keys {
		text, _ := r[key].(string)
		if text = strings.TrimSpace(text); text != "" && len(text) <= longestName {
			return text
		}
	}
	return ""
}

// layers are a message's records, from the innermost to the root. What the
// message does not say is looked for around it.
type layers []record

// layersOf goes inward from the root through the objects under the keys, in turn,
// each where it is present.
func layersOf(root record, keys ...string) layers {
	l := layers{root}
	for _, key := range keys {
		if inner := l.object(key); inner != nil {
			l = slices.Insert(l, 0, inner)
		}
	}
	return l
}

func (l layers) text(keys ...string) string {
	for _, r := range l {
		if text := r.text(keys...); text != "" {
			return text
		}
	}
	return ""
}

func (l layers) id(keys ...string) string {
	for _, r := range l {
		if id := r.id(keys...); id != "" {
			return id
		}
	}
	return ""
}

func (l layers) object(key string) record {
	for _, r := range l {
		if object := r.object(key); object != nil {
			return object
		}
	}
	return nil
}

// words returns the text under the first key that holds any, as it is: these are
// somebody's words.
func (l layers) words(keys ...string) string {
	for _, r := range l {
		for _, key := range keys {
			if text, ok := r[key].(string); ok && strings.TrimSpace(text) != "" {
				return text
			}
		}
	}
	return ""
}

// at returns the time under the first key that holds one.
func (l layers) at(keys ...string) time.Time {
	for _, r := range l {
		for _, key := range keys {
			if at := parseTime(r.text(key)); !at.IsZero() {
				return at
			}
		}
	}
	return time.Time{}
}

// parseTime reads times that name their zone, times without one as UTC, and unix
// seconds or milliseconds. It returns the zero time for anything else.
func parseTime(text string) time.Time {
	at := time.Time{}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		switch {
		case n > 1e11 && n < 1e14:
			at = time.UnixMilli(n)
		case n > 1e8 && n < 1e11:
			at = time.Unix(n, 0)
		}
		return at.UTC()
	}
	for _, layout := range [...]string{time.RFC3339Nano, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00"} {
		if at, err := time.Parse(layout, text); err == nil && at.Year() > 1970 && at.Year() < 9000 {
			return at.UTC()
		}
	}
	return at
}

func firstText(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

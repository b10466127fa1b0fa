package aloware

import (
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/payload"
)

// record is a JSON object whose keys are folded, so that contact_id, contactId
// and Zapier's "Contact Id" are the same key.
type record map[string]any

// parseRecord reads one JSON object and nothing after it. Aloware's ids are
// numbers in some payloads and strings in others.
func parseRecord(raw []byte) (record, error) {
	object, err := payload.Object(raw)
	if err != nil {
		return nil, err
	}
	return newRecord(object), nil
}

func newRecord(object map[string]any) record { return payload.Folded(object) }

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
		if text, _ := payload.Scalar(r[key]); text != "" {
			return text
		}
	}
	return ""
}

// flag reads 0, 1, true, false, yes and no, as numbers, words or flags. It
// returns nil for anything else, so that nonsense never clears a flag.
func (r record) flag(key string) *bool {
	text, ok := payload.Scalar(r[key])
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

// at returns the time under the first key that holds one. Aloware's times have no
// zone and are UTC.
func (r record) at(keys ...string) time.Time {
	for _, key := range keys {
		if at := payload.Written(r.text(key)); !at.IsZero() {
			return at
		}
	}
	return time.Time{}
}

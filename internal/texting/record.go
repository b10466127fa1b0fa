package texting

import (
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/payload"
)

// record is a JSON object, or a form, whose keys are folded, so that messageId,
// message_id and MessageID are the same key. Senders differ in types as well, so
// everything is read through it without expectations.
type record map[string]any

// parseRecord reads one JSON object and nothing after it.
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

// text returns the value of the first key that holds text or a number and is not
// blank, trimmed.
func (r record) text(keys ...string) string {
	for _, key := range keys {
		if text := payload.Word(r[key]); text != "" {
			return text
		}
	}
	return ""
}

const longestName = 100

// id returns the first of the keys that can be an id.
func (r record) id(keys ...string) string {
	for _, key := range keys {
		if id := payload.ID(r[key]); id != "" {
			return id
		}
	}
	return ""
}

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
			if at := payload.Time(r.text(key)); !at.IsZero() {
				return at
			}
		}
	}
	return time.Time{}
}

func firstText(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

package ghl

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/payload"
)

// customMap knows which custom field of GHL each configured field is. Values are
// read and written by field id; names and keys are what people configure.
type customMap struct {
	client *Client
	names  map[df.Field]string // our field → GHL's field id, key or name
	// optional is a field that need not exist: nobody is told that it is
	// missing, and nothing fails because it cannot be looked for.
	optional df.Field
	clock    df.Clock
	log      *slog.Logger

	mu      sync.Mutex
	fields  map[df.Field]CustomField
	missing bool // the optional field is not there
	readAt  time.Time
}

// How long the definitions are believed, and how soon they are read again when a
// configured field is missing among them.
const (
	definitionsLast  = 10 * time.Minute
	definitionsRetry = time.Minute
)

// resolve returns the definitions of the configured fields that exist. When they
// cannot be read again, the ones read before are still used.
func (m *customMap) resolve(ctx context.Context) (map[df.Field]CustomField, error) {
	if len(m.names) == 0 {
		return nil, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	age := m.clock().Sub(m.readAt)
	known := len(m.fields)
	if m.missing {
		known++
	}
	if m.fields != nil && (age < definitionsRetry || age < definitionsLast && known == len(m.names)) {
		return m.fields, nil
	}
	defined, err := m.client.ListCustomFields(ctx)
	if err != nil {
		if outcome, _ := df.OutcomeOf(err); outcome == df.Refused && m.fields == nil && len(m.names) == 1 && m.optional != "" {
			m.fields, m.readAt = map[df.Field]CustomField{}, m.clock()
		}
		if m.fields != nil {
			m.log.LogAttrs(ctx, slog.LevelWarn, "custom fields of GHL cannot be read again", slog.Any("error", err))
			return m.fields, nil
		}
		return nil, fmt.Errorf("resolve custom fields: %w", err)
	}
	m.fields, m.missing = make(map[df.Field]CustomField, len(m.names)), false
	m.readAt = m.clock()
	for field, name := range m.names {
		found, ok := pickField(defined, name)
		if !ok && field == m.optional {
			m.missing = true
			continue
		}
		if !ok {
			m.log.LogAttrs(ctx, slog.LevelWarn, "a configured custom field does not exist in GHL, or is there twice",
				slog.String("field", string(field)))
			continue
		}
		m.fields[field] = found
	}
	return m.fields, nil
}

// pickField finds the field that is meant by an id, a key with or without
// "contact.", or a name. A name that two fields have means neither.
func pickField(defined []CustomField, name string) (CustomField, bool) {
	tests := []func(CustomField) bool{
		func(f CustomField) bool { return f.ID == name },
		func(f CustomField) bool {
			return strings.TrimPrefix(f.Key, "contact.") == strings.TrimPrefix(name, "contact.")
		},
		func(f CustomField) bool { return strings.EqualFold(strings.TrimSpace(f.Name), strings.TrimSpace(name)) },
	}
	for _, test := range tests {
		var found []CustomField
		for _, field := range defined {
			if field.ID != "" && test(field) {
				found = append(found, field)
			}
		}
		if len(found) > 0 {
			return found[0], len(found) == 1
		}
	}
	return CustomField{}, false
}

// listSeparator joins the choices of a field that takes several.
const listSeparator = ", "

func (f CustomField) multiple() bool {
	switch f.DataType {
	case "CHECKBOX", "MULTIPLE_OPTIONS", "TEXTBOX_LIST":
		return true
	}
	return false
}

// read returns a value as text, and false for one that has no text, like a file.
func (f CustomField) read(value any) (string, bool) {
	switch v := value.(type) {
	case nil:
		return "", true
	case bool:
		return strconv.FormatBool(v), true
	case string, json.Number:
		text := payload.Word(v)
		if f.DataType == "DATE" && text != "" {
			return date(text)
		}
		return text, true
	case []any:
		words := make([]string, 0, len(v))
		for _, item := range v {
			word := payload.Word(item)
			if word == "" {
				return "", false
			}
			words = append(words, word)
		}
		return strings.Join(words, listSeparator), true
	}
	return "", false
}

// write returns the JSON value that stands for text in a field of this type, and
// false when there is none.
func (f CustomField) write(text string) (any, bool) {
	switch {
	case f.DataType == "FILE_UPLOAD":
		return nil, false
	case f.multiple():
		words := []string{}
		for word := range strings.SplitSeq(text, ",") {
			if word = strings.TrimSpace(word); word != "" && !slices.Contains(words, word) {
				words = append(words, word)
			}
		}
		return words, true
	case text != "" && (f.DataType == "NUMERICAL" || f.DataType == "MONETORY"):
		var number json.Number
		if json.Unmarshal([]byte(text), &number) != nil || strings.HasPrefix(text, `"`) {
			return nil, false
		}
		return number, true
	}
	return text, true
}

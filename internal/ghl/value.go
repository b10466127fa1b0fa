package ghl

import "encoding/json"

// Value is a property of an update. The zero Value is left out of the request,
// so that GHL leaves the field alone; Set("") clears the field.
type Value struct {
	set  bool
	text string
}

// Set returns the Value that writes text, or clears the field when text is empty.
func Set(text string) Value { return Value{set: true, text: text} }

// IsZero reports whether the property is left out.
func (v Value) IsZero() bool { return !v.set }

// MarshalJSON writes null for a cleared field, as GHL's nullable properties want.
func (v Value) MarshalJSON() ([]byte, error) {
	if v.text == "" {
		return []byte("null"), nil
	}
	return json.Marshal(v.text)
}

// Text is like Value for a property that GHL does not let be null: it is cleared
// with empty text.
type Text Value

// IsZero reports whether the property is left out.
func (t Text) IsZero() bool { return !t.set }

// MarshalJSON writes the text.
func (t Text) MarshalJSON() ([]byte, error) { return json.Marshal(t.text) }

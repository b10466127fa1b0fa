package payload

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestABodyIsExactlyOneObject(t *testing.T) {
	for _, raw := range []string{"", "null", "[]", `"x"`, "1", `{"a":1`, `{} {}`, `{}x`, "\xff"} {
		if object, err := Object([]byte(raw)); !errors.Is(err, ErrNoObject) {
			t.Errorf("%q was read as %v, %v", raw, object, err)
		}
	}
	object, err := Object([]byte(` {"id": 12345678901234567890} ` + "\n"))
	if err != nil || ID(object["id"]) != "12345678901234567890" {
		t.Errorf("an id of twenty digits came back as %v, %v", object, err)
	}
}

func TestNamesAreFolded(t *testing.T) {
	for name, want := range map[string]string{"contact_id": "contactid", "Contact Id": "contactid", "contactId": "contactid", "E-Mail ✓ 2": "email2", "": ""} {
		if got := Fold(name); got != want {
			t.Errorf("%q folds to %q, want %q", name, got, want)
		}
	}
	if got := Folded(map[string]any{"ID": "capital", "id": "small", "i_d": "split"}); len(got) != 1 || got["id"] != "small" {
		t.Errorf("the sender's own spelling does not count: %v", got)
	}
}

func TestValuesAsText(t *testing.T) {
	tests := []struct {
		value      any
		text, word string
		ok         bool
	}{
		{nil, "", "", true},
		{"  so ", "so", "so", true},
		{true, "true", "", true},
		{json.Number("7e2"), "700", "700", true},
		{json.Number("7.0"), "7", "7", true},
		{json.Number("7.5"), "7.5", "7.5", true},
		{json.Number("1e400"), "1e400", "1e400", true},
		{[]any{"a"}, "", "", false},
		{map[string]any{}, "", "", false},
	}
	for _, test := range tests {
		text, ok := Scalar(test.value)
		if text != test.text || ok != test.ok || Word(test.value) != test.word {
			t.Errorf("%#v: %q, %v, word %q", test.value, text, ok, Word(test.value))
		}
	}
}

func TestWhatCanBeAnID(t *testing.T) {
	for _, id := range []any{"ocQHyuzHvysMo5N5VsXc", json.Number("42"), strings.Repeat("x", LongestID), "ü"} {
		if ID(id) == "" {
			t.Errorf("%v is no id", id)
		}
	}
	for _, id := range []any{nil, "", "  ", true, "two words", "a\x00b", "a\nb", "\ufffd", strings.Repeat("x", LongestID+1), []any{"a"}} {
		if got := ID(id); got != "" {
			t.Errorf("%v is an id: %q", id, got)
		}
	}
}

func TestTimes(t *testing.T) {
	want := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, text := range []string{"2026-03-04 05:06:07", "2026-03-04T05:06:07", "2026-03-04T05:06:07Z", "2026-03-04T00:06:07-05:00",
		"2026-03-04 07:06:07+02:00", "1772600767", "1772600767000"} {
		if got := Time(text); !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%q is %v", text, got)
		}
	}
	for _, text := range []string{"", "0", "-1", "12", "soon", "1970-01-01 00:00:00", "9999-01-01 00:00:00", "99999999999999999999", "0000-00-00 00:00:00"} {
		if got := Time(text); !got.IsZero() {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func FuzzObject(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,2.5e3,null,true]},"A":"x"}`))
	f.Add([]byte(`{"t":"2026-03-04 05:06:07"}{}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		object, err := Object(raw)
		if err != nil {
			return
		}
		if !json.Valid(raw) {
			t.Fatalf("%q is no JSON and was read", raw)
		}
		for key, value := range Folded(object) {
			if Fold(key) != key {
				t.Fatalf("%q is not folded", key)
			}
			if id := ID(value); len(id) > LongestID || id != strings.TrimSpace(id) {
				t.Fatalf("%q is an id", id)
			}
			text, _ := Scalar(value)
			if at := Time(text); !at.IsZero() && (at.Year() < 1971 || at.Year() > 9000) {
				t.Fatalf("%q is the time %v", text, at)
			}
		}
	})
}

package ghl

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Custom fields were read and written by name, which GHL does not know (D-45).
// Their ids are asked for once, and again when one is missing or time has passed.
func TestCustomFieldIdsAreResolvedOnceAndRefreshed(t *testing.T) {
	f := newFake(t)
	f.contacts["c1"] = map[string]any{"id": "c1"}
	now := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	asked := func() int {
		return len(slices.DeleteFunc(f.lines(), func(line string) bool { return !strings.Contains(line, "customFields") }))
	}
	steps := []struct {
		names map[string]string
		pass  time.Duration
		want  int
	}{
		{map[string]string{"case": "Case Number"}, 9 * time.Minute, 1}, {map[string]string{"case": "Case Number"}, 11 * time.Minute, 2},
		{map[string]string{"gone": "no such"}, 59 * time.Second, 1}, {map[string]string{"gone": "no such"}, 61 * time.Second, 2},
	}
	for _, step := range steps {
		before := asked()
		s := NewSide(SideOptions{Client: f.client(), Agents: directory{}, CustomFields: step.names, Clock: clock})
		for _, pass := range []time.Duration{0, 0, step.pass} {
			now = now.Add(pass)
			if _, err := s.Read(t.Context(), df.Ref{ID: "c1"}); err != nil {
				t.Fatal(err)
			}
		}
		if got := asked() - before; got != step.want {
			t.Errorf("%v after %v: asked %d times, want %d", step.names, step.pass, got, step.want)
		}
	}
	s := NewSide(SideOptions{Client: f.client(), Agents: directory{}, CustomFields: map[string]string{"case": "cf1"}, Clock: clock})
	fail := false
	f.answer = func(w http.ResponseWriter, r *http.Request, _ map[string]any) bool {
		if fail && strings.Contains(r.URL.Path, "customFields") {
			refuse(w, 500, "")
			return true
		}
		return false
	}
	if _, err := s.Read(t.Context(), df.Ref{ID: "c1"}); err != nil {
		t.Fatal(err)
	}
	fail, now = true, now.Add(time.Hour)
	if c, err := s.Read(t.Context(), df.Ref{ID: "c1"}); err != nil || !c.Known(df.CustomField("case")) {
		t.Errorf("an outage lost what was known: %v", err)
	}
	fresh := NewSide(SideOptions{Client: f.client(), Agents: directory{}, CustomFields: map[string]string{"case": "cf1"}, Clock: clock})
	if _, err := fresh.Read(t.Context(), df.Ref{ID: "c1"}); !df.IsCode(err, df.CodeUnavailable) {
		t.Errorf("nothing known and no answer: %v", err)
	}
}

func TestDatesAndCountries(t *testing.T) {
	for text, want := range map[string]string{"1980-03-04": "1980-03-04", "03/04/1980": "1980-03-04", "3.4.1980": "1980-03-04",
		"1980_03_04": "1980-03-04", "1980/3/4": "1980-03-04", "1980-03-04 00:00:00": "1980-03-04", "2000-01-05T00:00:00.000Z": "2000-01-05",
		"2000-01-05T00:00:00+05:30": "2000-01-05", "": "", "13/13/1980": "-", "1980": "-", "318211200000": "-"} {
		got, ok := normalise(df.DateOfBirth, text, "")
		if ok != (want != "-") || ok && got != want {
			t.Errorf("%q: %q, %v", text, got, ok)
		}
	}
	for text, want := range map[string]string{" us ": "US", "DE": "DE", "USA": "-", "1A": "-", "ÜS": "-"} {
		got, ok := normalise(df.Country, text, "")
		if ok != (want != "-") || ok && got != want {
			t.Errorf("%q: %q, %v", text, got, ok)
		}
	}
}

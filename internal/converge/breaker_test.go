package converge

import (
	"fmt"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

var noon = time.Date(2026, 8, 24, 12, 0, 0, 0, time.UTC)

func TestBreakerHoldsWhatGoesBackAndForth(t *testing.T) {
	b := Breaker{Window: time.Hour, Cap: 3, Hold: 6 * time.Hour}
	at := func(field df.Field, minutes ...int) []Written {
		var writes []Written
		for _, m := range minutes {
			writes = append(writes, Written{Side: df.SideAloware, Field: field, At: noon.Add(time.Duration(m) * time.Minute)})
		}
		return writes
	}
	valued := func(values ...string) []Written {
		var writes []Written
		for i, value := range values {
			writes = append(writes, Written{Side: df.SideAloware, Field: df.City, At: noon.Add(time.Duration(i) * time.Minute), Value: value})
		}
		return writes
	}
	tests := []struct {
		name   string
		recent []Written
		now    int // minutes after noon
		held   bool
	}{
		{"nothing written", nil, 0, false},
		{"below the cap", at(df.City, 0, 10), 20, false},
		{"at the cap", at(df.City, 0, 10, 20), 21, true},
		{"in any order", at(df.City, 20, 0, 10), 21, true},
		{"spread out", at(df.City, 0, 50, 100), 101, false},
		{"held for a while", at(df.City, 0, 10, 20), 20 + 359, true},
		{"and then let go", at(df.City, 0, 10, 20), 20 + 360, false},
		{"a later lone write does not let go early", at(df.City, 0, 10, 20, 300), 301, true},
		{"somebody who edits a field again and again", valued("a", "b", "c", "d", "e"), 6, false},
		{"one that is put back each time", valued("a", "a", "a"), 6, true},
		{"fields are counted apart", append(at(df.City, 0, 10), at(df.State, 20)...), 21, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			trips := b.Held(test.recent, noon.Add(time.Duration(test.now)*time.Minute))
			if held := len(trips) == 1; held != test.held || len(trips) > 1 {
				t.Errorf("held: %+v", trips)
			}
		})
	}
	six := Breaker{Window: time.Hour, Cap: 6, Hold: 6 * time.Hour}
	if trips := six.Held(valued("a", "b", "a", "b", "a", "b"), noon.Add(6*time.Minute)); len(trips) != 1 {
		t.Errorf("two programs that each insist are not held: %v", trips)
	}
	if trips := six.Held(valued("a", "b", "c", "a", "d", "e"), noon.Add(6*time.Minute)); len(trips) != 0 {
		t.Errorf("somebody who edits is held: %v", trips)
	}
	counter := make([]string, 30)
	for i := range counter {
		counter[i] = fmt.Sprint(i)
	}
	if trips := six.Held(valued(counter...), noon.Add(time.Hour)); len(trips) != 1 || len(six.Held(valued(counter[1:]...), noon.Add(time.Hour))) != 0 {
		t.Errorf("a counter that never stops: %v", trips)
	}
	if trips := (Breaker{}).Held(at(df.City, 0, 0, 0, 0), noon); trips != nil {
		t.Errorf("the zero breaker tripped: %v", trips)
	}
}

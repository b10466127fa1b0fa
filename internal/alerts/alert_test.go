package alerts

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/store"
)

var start = time.Date(2030, 1, 7, 12, 0, 0, 0, time.UTC) // a Monday

var testRule = Rule{Name: "r", Calm: 10 * time.Minute, Cooldown: time.Hour}

// step is one judgement, some time after the beginning, and what is then true.
type step struct {
	after   time.Duration
	find    Severity // "" finds nothing
	ack     bool     // somebody acknowledges it before
	resolve bool     // or resolves it
	refused bool     // the receiver cannot be told
	state   string
	times   int64
	message string // what the receiver hears at this step
}

func TestTheLifeOfAnAlert(t *testing.T) {
	m := time.Minute
	cases := map[string][]step{
		"it begins, lasts and ends, and is told twice": {
			{after: 0, find: Warning, state: Open, times: 1, message: "warning"},
			{after: 1 * m, find: Warning, state: Open, times: 1},
			{after: 5 * m, state: Open, times: 1},
			{after: 10 * m, state: Open, times: 1},
			{after: 11 * m, state: Resolved, times: 1, message: "resolved"},
			{after: 12 * m, state: Resolved, times: 1},
		},
		"it gets worse, which is told, and better, which is not": {
			{after: 0, find: Warning, state: Open, times: 1, message: "warning"},
			{after: 1 * m, find: Critical, state: Open, times: 1, message: "critical"},
			{after: 2 * m, find: Warning, state: Open, times: 1},
		},
		"what begins again within the cooldown is the same and is told only if it lasts": {
			{after: 0, find: Warning, state: Open, times: 1, message: "warning"},
			{after: 10 * m, state: Resolved, times: 1, message: "resolved"},
			{after: 20 * m, find: Warning, state: Open, times: 2},
			{after: 69 * m, find: Warning, state: Open, times: 2},
			{after: 70 * m, find: Warning, state: Open, times: 2, message: "warning"},
		},
		"what comes and goes within the cooldown is not told at all": {
			{after: 0, find: Warning, state: Open, times: 1, message: "warning"},
			{after: 10 * m, state: Resolved, times: 1, message: "resolved"},
			{after: 20 * m, find: Warning, state: Open, times: 2},
			{after: 30 * m, state: Resolved, times: 2},
			{after: 75 * m, state: Resolved, times: 2},
		},
		"what begins again as something worse is told at once": {
			{after: 0, find: Warning, state: Open, times: 1, message: "warning"},
			{after: 10 * m, state: Resolved, times: 1, message: "resolved"},
			{after: 20 * m, find: Critical, state: Open, times: 2, message: "critical"},
		},
		"what begins after the cooldown is a new alert": {
			{after: 0, find: Warning, state: Open, times: 1, message: "warning"},
			{after: 10 * m, state: Resolved, times: 1, message: "resolved"},
			{after: 70 * m, find: Warning, state: Open, times: 1, message: "warning"},
		},
		"an acknowledged alert is silent until it gets worse": {
			{after: 0, find: Warning, state: Open, times: 1, message: "warning"},
			{after: 1 * m, ack: true, find: Warning, state: Acknowledged, times: 1},
			{after: 2 * m, find: Critical, state: Open, times: 1, message: "critical"},
		},
		"an acknowledged alert ends aloud": {
			{after: 0, find: Warning, state: Open, times: 1, message: "warning"},
			{after: 1 * m, ack: true, find: Warning, state: Acknowledged, times: 1},
			{after: 11 * m, state: Resolved, times: 1, message: "resolved"},
		},
		"what somebody resolved and is still wrong opens again, quietly": {
			{after: 0, find: Warning, state: Open, times: 1, message: "warning"},
			{after: 1 * m, resolve: true, find: Warning, state: Open, times: 2},
			{after: 61 * m, find: Warning, state: Open, times: 2},
		},
		"a receiver that was away hears the latest only": {
			{after: 0, find: Warning, refused: true, state: Open, times: 1},
			{after: 1 * m, find: Critical, state: Open, times: 1, message: "critical"},
		},
		"a receiver that missed all of it hears nothing": {
			{after: 0, find: Warning, refused: true, state: Open, times: 1},
			{after: 10 * m, state: Resolved, times: 1},
			{after: 30 * m, state: Resolved, times: 1},
		},
		"a receiver that fails is tried again, less and less often": {
			{after: 0, find: Warning, refused: true, state: Open, times: 1},
			{after: 1 * m, find: Warning, refused: true, state: Open, times: 1},
			{after: 2 * m, find: Warning, state: Open, times: 1}, // not yet: two minutes' pause
			{after: 3 * m, find: Warning, state: Open, times: 1, message: "warning"},
		},
	}
	for name, steps := range cases {
		t.Run(name, func(t *testing.T) {
			var last *store.Alert
			for i, s := range steps {
				now := start.Add(s.after)
				a, message := play(last, s, now)
				last = a
				if a.State != s.state || a.Times != s.times || message != s.message {
					t.Fatalf("step %d: %s, %d times, told %q; want %s, %d times, told %q", i, a.State, a.Times, message, s.state, s.times, s.message)
				}
			}
		})
	}
}

// play does one step as Watch and an operator would.
func play(last *store.Alert, s step, now time.Time) (*store.Alert, string) {
	if last != nil && s.ack {
		acknowledged := Acknowledge(*last, "admin", "", now)
		last = &acknowledged
	}
	if last != nil && s.resolve {
		over := Resolve(*last, "admin", "", now)
		last = &over
	}
	var finding *Finding
	if s.find != "" {
		finding = &Finding{Severity: s.find, Summary: "something"}
	}
	if next, changed := Next(testRule, last, finding, now); changed {
		last = &next
	}
	if last == nil || last.TellAt.IsZero() || last.TellAt.After(now) {
		return last, ""
	}
	if s.refused {
		failed := told(*last, "no answer", now)
		return &failed, ""
	}
	message := wanted(*last)
	done := told(*last, "", now)
	return &done, message
}

// Whatever happens: the receiver never hears of an end whose beginning it did
// not hear, never hears the same twice in a row, and is not told again that
// something began within the cooldown unless it got worse.
func TestLawsOfTelling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var last *store.Alert
		now, before, toldAt, worse := start, toldNothing, time.Time{}, false
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "minutes")) * time.Minute)
			s := step{
				find:    rapid.SampledFrom([]Severity{"", "", Warning, Warning, Critical}).Draw(t, "found"),
				refused: rapid.IntRange(0, 3).Draw(t, "refused") == 0,
			}
			if last != nil && last.State == Open {
				s.ack = rapid.IntRange(0, 9).Draw(t, "ack") == 0
				s.resolve = !s.ack && rapid.IntRange(0, 9).Draw(t, "resolve") == 0
			}
			worse = worse || s.find == Critical
			fresh := last == nil || last.State == Resolved && now.Sub(last.ResolvedAt) >= testRule.Cooldown
			next, message := play(last, s, now)
			last = next
			if message == "" {
				continue
			}
			if fresh && message != Resolved {
				before, toldAt = toldNothing, time.Time{}
			}
			switch {
			case message == before:
				t.Fatalf("told %q twice in a row", message)
			case message == Resolved && before == toldNothing:
				t.Fatal("told the end of what never began")
			case !worse && message != Resolved && before == Resolved && now.Sub(toldAt) < testRule.Cooldown:
				t.Fatalf("told again after %s", now.Sub(toldAt))
			}
			before, toldAt, worse = message, now, false
		}
	})
}

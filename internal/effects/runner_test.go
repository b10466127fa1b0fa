package effects_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/effects"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

// errDied is what a call panics with to play a process that ends in its middle.
var errDied = errors.New("died")

// upstream makes things, and loses answers and callers.
type upstream struct {
	now   time.Time
	made  []string
	kept  []string
	fault func() string
}

func (u *upstream) once(key string) effects.Once {
	return effects.Once{
		Key: key, Kind: "test", EventID: "e",
		Call: func(context.Context) (string, error) {
			return u.answer(func() string { u.made = append(u.made, fmt.Sprint("id", len(u.made))); return u.made[len(u.made)-1] })
		},
		Look: func(context.Context) (string, error) {
			return u.answer(func() string {
				if len(u.made) == 0 {
					return ""
				}
				return u.made[0]
			})
		},
		Keep: func(_ context.Context, _ store.Tx, id string) error { u.kept = append(u.kept, id); return nil },
	}
}

func (u *upstream) answer(effect func() string) (string, error) {
	lost := &df.CallError{Upstream: "ghl", Operation: "test", Outcome: df.Unclear, Code: df.CodeTimeout}
	switch u.fault() {
	case "lost before":
		return "", lost
	case "lost after":
		effect()
		return "", lost
	case "refused":
		lost.Outcome, lost.Code = df.RetryLater, df.CodeUnavailable
		return "", lost
	case "died before":
		panic(errDied)
	case "died after":
		effect()
		panic(errDied)
	}
	return effect(), nil
}

// do asks for it in a process that may die.
func do(ctx context.Context, r effects.Runner, lease people.Lease, o effects.Once) (err error) {
	defer func() {
		if cause := recover(); cause == any(errDied) {
			err = errDied
		} else if cause != nil {
			panic(cause)
		}
	}()
	return r.Do(ctx, lease, o)
}

func scripted(faults ...string) func() string {
	return func() string {
		if len(faults) == 0 {
			return ""
		}
		fault := faults[0]
		faults = faults[1:]
		return fault
	}
}

// settled asks until it is there.
func settled(ctx context.Context, t rapid.TB, s *store.Store, u *upstream, key string) {
	r := effects.Runner{Store: s, Clock: func() time.Time { return u.now }}
	for range 60 {
		if do(ctx, r, people.Lease{}, u.once(key)) == nil {
			return
		}
		u.now = u.now.Add(effects.DefaultSettle / 2)
	}
	t.Fatalf("never settled: made %v, kept %v", u.made, u.kept)
}

func TestItHappensOnceWhateverGetsLostAndWhoeverDies(t *testing.T) {
	s, round := storetest.SQLite(t), 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		faults := rapid.SliceOfN(rapid.SampledFrom([]string{"", "lost before", "lost after", "refused", "died before", "died after"}), 0, 10).Draw(rt, "faults")
		u := &upstream{now: noon, fault: scripted(faults...)}
		key := fmt.Sprint("k", round)
		settled(t.Context(), rt, s, u, key)
		settled(t.Context(), rt, s, u, key)
		if len(u.made) != 1 || len(u.kept) != 1 || u.kept[0] != u.made[0] {
			rt.Fatalf("made %v, kept %v", u.made, u.kept)
		}
	})
}

// A call that may still be under way is not looked for: what is not there yet
// would be made twice.
func TestWhatMayBeUnderWayIsLeftAlone(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		for _, fault := range []string{"lost after", "died after"} {
			u := &upstream{now: noon, fault: scripted(fault)}
			r := effects.Runner{Store: s, Clock: func() time.Time { return u.now }}
			if err := do(t.Context(), r, people.Lease{}, u.once(fault)); err == nil {
				t.Fatal("no error")
			}
			u.now = noon.Add(effects.DefaultSettle - time.Second)
			outcome, at := df.OutcomeOf(do(t.Context(), r, people.Lease{}, u.once(fault)))
			if outcome != df.RetryLater || !at.Equal(noon.Add(effects.DefaultSettle)) || len(u.kept) != 0 {
				t.Errorf("%s: %v at %v, kept %v", fault, outcome, at, u.kept)
			}
			u.now = at
			if err := do(t.Context(), r, people.Lease{}, u.once(fault)); err != nil || len(u.made) != 1 || len(u.kept) != 1 {
				t.Errorf("%s: %v, made %v, kept %v", fault, err, u.made, u.kept)
			}
		}
	})
}

// Who has lost the lane neither calls nor keeps.
func TestALostLeaseEndsTheWork(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		u := &upstream{now: noon, fault: scripted()}
		r := effects.Runner{Store: s, Clock: func() time.Time { return u.now }}
		err := do(t.Context(), r, people.Lease{Lane: "lane", Fence: 1}, u.once("k"))
		if !errors.Is(err, people.ErrLeaseLost) || len(u.made) != 0 || len(u.kept) != 0 {
			t.Errorf("%v, made %v, kept %v", err, u.made, u.kept)
		}
		settled(t.Context(), t, s, u, "k")
		if len(u.made) != 1 {
			t.Errorf("made %v", u.made)
		}
	})
}

// What could not be kept was made all the same: it is found, not made again.
func TestWhatCouldNotBeKeptIsFound(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	u := &upstream{now: noon, fault: scripted()}
	r := effects.Runner{Store: s, Clock: func() time.Time { return u.now }}
	o := u.once("k")
	o.Keep = func(context.Context, store.Tx, string) error { return errors.New("disk full") }
	if err := r.Do(t.Context(), people.Lease{}, o); err == nil || len(u.made) != 1 {
		t.Fatalf("%v, made %v", err, u.made)
	}
	settled(t.Context(), t, s, u, "k")
	if len(u.made) != 1 || len(u.kept) != 1 {
		t.Errorf("made %v, kept %v", u.made, u.kept)
	}
}

package console

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

func TestTrafficGoesToTheSystemItBelongsTo(t *testing.T) {
	f := figures{
		Slots: []store.SlotCount{{Source: df.SourceGHL, Events: 2}, {Source: df.SourceGHL, Slot: 1, Events: 3}, {Source: df.SourceBroadcast, Events: 4}, {Source: "strange", Events: 9}},
		Syncs: []store.DirectionCount{
			{Direction: df.TextingToGHL, Status: "success", Lines: 5}, {Direction: df.AlowareToGHL, Status: "success", Lines: 6}, {Direction: df.AlowareToGHL, Status: "error", Lines: 1},
			{Direction: df.GHLToAloware, Status: "skipped", Lines: 7}, {Direction: "nonsense", Status: "success", Lines: 8},
		},
		Lately: []store.DirectionCount{{Direction: df.TextingToGHL, Status: "success", Lines: 2}, {Direction: df.AlowareToGHL, Status: "error", Lines: 1}},
	}
	want := []traffic{
		{Name: "ghl", Health: "ok", Received: 5, Written: 11, Failed: 1, Lately: rates{In: 3, Out: 2}, Writes: true}, {Name: "aloware", Health: "failed", Writes: true},
		{Name: "texting", Health: "not_configured", Writes: true}, {Name: "verity", Health: "not_configured", Received: 4},
	}
	for i, got := range trafficOf(f, []Connection{{Name: "ghl", Status: "ok"}, {Name: "aloware", Status: "failed"}, {Name: "database", Status: "ok"}}) {
		if got != want[i] {
			t.Errorf("%+v, want %+v", got, want[i])
		}
	}
	if got := trafficOf(f, nil)[0].Health; got != "checking" {
		t.Errorf("before the first check the health is %q", got)
	}
}

// Whatever is counted, nothing is drawn outside the picture or hidden behind
// something else.
func TestThePicturesStayWithinTheirFrames(t *testing.T) {
	systems := trafficOf(figures{}, nil)
	for _, p := range []picture{wide(systems, 0), tall(systems, 0)} {
		inside := func(b box) bool { return b.X >= 0 && b.Y >= 0 && b.X+b.W <= p.Width && b.Y+b.H <= p.Height }
		for _, s := range p.Spokes {
			if !inside(s.Box) || !inside(p.Hub) {
				t.Errorf("%s: %s sticks out", p.Kind, s.Name)
			}
			for _, a := range []arrow{s.In, s.Out} {
				if left := min(a.From, a.To); left < s.Box.X+s.Box.W && left < p.Hub.X+p.Hub.W && left >= s.Box.X && left >= p.Hub.X {
					t.Errorf("%s: an arrow of %s lies behind a box", p.Kind, s.Name)
				}
				if a.Y <= s.Box.Y || a.Y >= s.Box.Y+s.Box.H {
					t.Errorf("%s: an arrow of %s passes its box", p.Kind, s.Name)
				}
			}
		}
	}
}

func TestNumbersAreExact(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 7: "7", 999: "999", 1000: "1,000", -1234567: "-1,234,567", 1<<63 - 1: "9,223,372,036,854,775,807"} {
		if got := number(n); got != want {
			t.Errorf("%d is shown as %s", n, got)
		}
	}
}

func TestBodiesAreIndentedWithoutChangingANumber(t *testing.T) {
	for body, want := range map[string]string{
		`{"a":1.0,"b":12345678901234567890}`: "{\n  \"a\": 1.0,\n  \"b\": 12345678901234567890\n}", "no json": "no json", "": "",
	} {
		if got := pretty([]byte(body)); got != want {
			t.Errorf("%q is shown as %q", body, got)
		}
	}
}

// A slow upstream must not make every page slow: a page that only mentions
// health waits a moment and shows what is known.
func TestAPageDoesNotWaitForASlowCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		c := &checks{clock: time.Now, check: func(context.Context) []Connection {
			runs++
			time.Sleep(10 * time.Second)
			return []Connection{{Name: "ghl", Status: "ok"}}
		}}
		start := time.Now()
		if found, at := c.latest(t.Context(), glance); found != nil || !at.IsZero() || time.Since(start) != glance {
			t.Errorf("found %v at %v after %v", found, at, time.Since(start))
		}
		for range 3 {
			if found, _ := c.latest(t.Context(), checkTime); len(found) != 1 {
				t.Errorf("found %v", found)
			}
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		time.Sleep(checkEvery)
		if found, _ := c.latest(gone, checkTime); len(found) != 1 {
			t.Errorf("the last answer is forgotten: %v", found)
		}
		synctest.Wait()
		time.Sleep(checkTime)
		if runs != 2 {
			t.Errorf("%d checks, want 2", runs)
		}
	})
}

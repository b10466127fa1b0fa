package alerts_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/df-middleware/dfm/internal/alerts"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// listener is a receiver of alerts.
type listener struct {
	heard []string
	deaf  bool
}

func (l *listener) Send(_ context.Context, a store.Alert) error {
	if l.deaf {
		return errors.New("no answer")
	}
	l.heard = append(l.heard, a.Rule+" "+a.State+" "+a.Severity)
	return nil
}

// world is a store, a clock and a receiver; what is wrong is a field.
type world struct {
	*testing.T
	store *store.Store
	now   time.Time
	ear   *listener
	drift int64
	blind error // why the probe cannot see
}

func newWorld(t *testing.T, s *store.Store) *world {
	return &world{T: t, store: s, now: time.Date(2030, 1, 7, 12, 0, 0, 0, time.UTC), ear: &listener{}}
}

// check takes a sample with a watch of its own, as after a restart.
func (w *world) check(after time.Duration) error {
	w.now = w.now.Add(after)
	clock := func() time.Time { return w.now }
	watch := &alerts.Watch{
		Store: w.store, Rules: alerts.Rules(), Send: w.ear, Clock: clock, NewID: df.IDs(clock), Log: slog.New(slog.DiscardHandler),
		Probes: append(alerts.Probes(w.store), alerts.Probe{Name: alerts.ProbeDrift, Read: func(_ context.Context, s *alerts.Sample) error {
			s.Unexplained = w.drift
			return w.blind
		}}),
	}
	return watch.Check(w.Context())
}

func (w *world) must(after time.Duration) {
	w.Helper()
	if err := w.check(after); err != nil {
		w.Fatal(err)
	}
}

func (w *world) wantHeard(want ...string) {
	w.Helper()
	if strings.Join(w.ear.heard, "; ") != strings.Join(want, "; ") {
		w.Fatalf("heard %q, want %q", w.ear.heard, want)
	}
}

func TestARestartTellsNothingTwice(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		w.drift = 3
		for range 5 {
			w.must(time.Minute)
		}
		w.wantHeard("drift open warning")
		w.drift = 0
		for range 12 {
			w.must(time.Minute)
		}
		w.wantHeard("drift open warning", "drift resolved warning")
		kept, err := s.Alerts(t.Context(), store.AlertFilter{State: alerts.Resolved, Limit: 10})
		if err != nil || len(kept) != 1 || kept[0].ResolvedBy != "" {
			t.Fatalf("kept %+v, %v", kept, err)
		}
	})
}

func TestWhatCannotBeSeenIsNeitherWrongNorOver(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		w.drift = 3
		w.must(time.Minute)
		w.drift, w.blind = 0, errors.New("the table is locked")
		if err := w.check(time.Hour); err == nil {
			t.Error("nobody says that a probe failed")
		}
		open, unresolved, err := s.UnresolvedAlerts(t.Context())
		if err != nil || open != 1 || unresolved != 1 {
			t.Errorf("%d open, %d unresolved, %v; want the alert to stand", open, unresolved, err)
		}
	})
}

func TestAReceiverThatWasAwayIsToldLater(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		w.drift, w.ear.deaf = 3, true
		w.must(time.Minute)
		kept, err := s.Alerts(t.Context(), store.AlertFilter{Limit: 1})
		if err != nil || len(kept) != 1 || kept[0].TellTries != 1 || kept[0].TellError == "" {
			t.Fatalf("%+v, %v", kept, err)
		}
		w.ear.deaf = false
		w.must(time.Minute)
		w.wantHeard("drift open warning")
	})
}

func TestAnOperatorSettlesAnAlert(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		w.drift = 3
		w.must(time.Minute)
		kept, err := s.Alerts(t.Context(), store.AlertFilter{State: "unresolved", Rule: "drift", Limit: 1})
		if err != nil || len(kept) != 1 {
			t.Fatal(kept, err)
		}
		change := func(id, action string) (a store.Alert, err error) {
			err = s.InTx(t.Context(), func(tx store.Tx) error {
				a, err = alerts.Change(t.Context(), tx, id, action, "dana", "looking", w.now)
				return err
			})
			return a, err
		}
		if a, err := change(kept[0].ID, alerts.ActionAcknowledge); err != nil || a.State != alerts.Acknowledged || a.AcknowledgedBy != "dana" {
			t.Fatal(a, err)
		}
		w.must(time.Minute)
		if a, err := change(kept[0].ID, alerts.ActionResolve); err != nil || a.State != alerts.Resolved || a.Note != "looking" {
			t.Fatal(a, err)
		}
		if _, err := change(kept[0].ID, alerts.ActionResolve); !errors.Is(err, store.ErrState) {
			t.Errorf("resolved twice: %v", err)
		}
		if _, err := change("nobody", alerts.ActionResolve); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an unknown alert: %v", err)
		}
		if _, err := change(kept[0].ID, "shout"); err == nil {
			t.Error("shouting is no action")
		}
	})
}

// Hours are learned only when they were watched.
func TestUsualRatesAreLearnedFromWatchedHours(t *testing.T) {
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		event := df.Event{ID: df.IDs(func() time.Time { return w.now.Add(10 * time.Minute) })(), ReceivedAt: w.now.Add(10 * time.Minute),
			Source: df.SourceGHL, Route: "ghl", Status: df.Skipped, Raw: []byte("{}"), Verified: "ed25519"}
		if _, err := s.Accept(t.Context(), []store.Delivery{{Event: event, DedupeKey: "k", DedupeUntil: w.now}}, w.now); err != nil {
			t.Fatal(err)
		}
		for range 60 {
			w.must(time.Minute)
		}
		w.must(time.Minute)
		w.must(2 * time.Hour) // nobody watched the hour between
		hours, err := s.SourceHours(t.Context(), w.now.Add(-24*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		events := map[df.Source]int64{}
		for _, h := range hours {
			events[h.Source] += h.Events
			if h.Hour.Hour() != 12 {
				t.Errorf("learned from %s", h.Hour)
			}
		}
		if len(hours) != 4 || events[df.SourceGHL] != 1 || events[df.SourceTexting] != 0 {
			t.Errorf("learned %v", hours)
		}
	})
}

// memory is a place for figures that can fail.
type memory struct {
	counts, gauges []store.Figure
	err            error
}

func (m *memory) AddFigures(_ context.Context, counts, gauges []store.Figure) error {
	if m.err != nil {
		return m.err
	}
	m.counts, m.gauges = append(m.counts, counts...), append(m.gauges, gauges...)
	return nil
}

func TestATallyIsWrittenDownInTimeAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place := &memory{err: errors.New("the database is away")}
		tally := alerts.NewTally(place, time.Now, slog.New(slog.DiscardHandler))
		tally.Gauge("left", "ghl", func() (int64, bool) { return 7, true })
		tally.Gauge("left", "aloware", func() (int64, bool) { return 0, false })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { tally.Run(ctx); close(done) }()
		tally.Count("calls", "ghl")
		time.Sleep(16 * time.Second)
		synctest.Wait()
		place.err = nil
		tally.Count("calls", "ghl")
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if len(place.counts) != 1 || place.counts[0].N != 2 || place.counts[0].Slot.Second() != 0 {
			t.Errorf("counts %v, want both calls in one figure", place.counts)
		}
		if len(place.gauges) != 1 || place.gauges[0].N != 7 || place.gauges[0].Subject != "ghl" {
			t.Errorf("gauges %v", place.gauges)
		}
		tally.Count("calls", "aloware")
		cancel()
		<-done
		if len(place.counts) != 2 {
			t.Error("what was counted last is lost when the process ends")
		}
	})
}

// receiver plays the other end of ALERT_WEBHOOK_URL.
type receiver struct {
	call   egress.Call
	status int
}

func (r *receiver) Do(_ context.Context, call egress.Call) (egress.Answer, error) {
	r.call = call
	return egress.Answer{Status: r.status}, nil
}

func TestMessagesTakeTheReceiversForm(t *testing.T) {
	at := time.Date(2030, 1, 7, 12, 0, 0, 0, time.UTC)
	alert := store.Alert{ID: "a1", Rule: "error-rate", Subject: "ghl", Severity: "critical", State: alerts.Open, Summary: "30 of <100> failed", SeenAt: at, OpenedAt: at, Times: 1}
	r := &receiver{status: 200}
	w := alerts.Webhook{Caller: r, URL: "https://hooks.example.test/x", Console: "https://dfm.example.test"}
	if err := w.Send(t.Context(), alert); err != nil {
		t.Fatal(err)
	}
	var plain struct{ Level, Title, Message, Timestamp string }
	if err := json.Unmarshal(r.call.Body, &plain); err != nil || plain.Level != "critical" || plain.Title != "Critical: error-rate (ghl)" ||
		plain.Message != alert.Summary || plain.Timestamp != "2030-01-07T12:00:00Z" {
		t.Errorf("%s, %v", r.call.Body, err)
	}
	w.Slack = true
	alert.State = alerts.Resolved
	if err := w.Send(t.Context(), alert); err != nil {
		t.Fatal(err)
	}
	var slack map[string]string
	if err := json.Unmarshal(r.call.Body, &slack); err != nil || len(slack) != 1 || !strings.Contains(slack["text"], "*Resolved: error-rate (ghl)*") ||
		!strings.Contains(slack["text"], "&lt;100&gt;") || !strings.Contains(slack["text"], "<https://dfm.example.test/alerts|") {
		t.Errorf("%s, %v", r.call.Body, err)
	}
	r.status = 404
	if err := w.Send(t.Context(), alert); err == nil || strings.Contains(err.Error(), "hooks.example") {
		t.Errorf("a refusal: %v", err)
	}
}

func TestSlacksFormIsKnownByItsAddress(t *testing.T) {
	for address, want := range map[string]bool{
		"https://hooks.slack.com/services/T/B/x": true, "https://discord.example.test/api/webhooks/1/x/slack": true,
		"https://hooks.example.test/x": false, "": false, "::": false,
	} {
		if alerts.IsSlack(address) != want {
			t.Errorf("IsSlack(%q) is %v", address, !want)
		}
	}
}

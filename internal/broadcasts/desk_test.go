package broadcasts

import (
	"context"
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

// world is GHL's records and Verity's figures, with answers that get lost.
type world struct {
	t       testing.TB
	desk    *Desk
	now     time.Time
	records map[string]map[string]any
	made    int
	writes  int
	asked   int
	verity  Figures
	fault   func(call string) string
}

func newWorld(t testing.TB, s *store.Store) *world {
	w := &world{t: t, now: noon, records: map[string]map[string]any{}, fault: func(string) string { return "" }}
	clock := func() time.Time { return w.now }
	n := 0
	w.desk = &Desk{Store: s, Effects: effects.Runner{Store: s, Clock: clock}, GHL: w, Verity: w, Clock: clock,
		NewID: func() string { n++; return fmt.Sprintf("%s-%d-%d", t.Name(), time.Now().UnixNano(), n) }}
	return w
}

func (w *world) call(name string, effect func()) error {
	failure := &df.CallError{Upstream: "ghl", Operation: name, Outcome: df.Unclear, Code: df.CodeTimeout}
	switch w.fault(name) {
	case "before":
		return failure
	case "after":
		effect()
		return failure
	case "no":
		failure.Outcome, failure.Code = df.Refused, df.CodeInvalid
		return failure
	}
	effect()
	return nil
}

func (w *world) FindRecord(_ context.Context, id string) (string, error) {
	for record, properties := range w.records {
		if properties["broadcast_id"] == id {
			return record, w.call("find", func() {})
		}
	}
	return "", w.call("find", func() {})
}

func (w *world) CreateRecord(_ context.Context, properties map[string]any) (id string, err error) {
	err = w.call("create", func() { w.made++; w.writes++; id = fmt.Sprint("r", w.made); w.records[id] = properties })
	return id, err
}

func (w *world) UpdateRecord(_ context.Context, id string, properties map[string]any) error {
	if _, there := w.records[id]; !there {
		return &df.CallError{Upstream: "ghl", Operation: "update", Outcome: df.Refused, Code: df.CodeNotFound}
	}
	return w.call("update", func() { w.writes++; w.records[id] = properties })
}

func (w *world) Figures(context.Context, string) (Figures, error) {
	w.asked++
	return w.verity, w.call("figures", func() {})
}

// work plays a turn until it is settled.
func (w *world) work(id string, announced ...Announcement) effects.Outcome {
	w.t.Helper()
	for range 40 {
		outcome, err := w.desk.Work(w.t.Context(), people.Lease{}, id, announced)
		if err != nil {
			w.t.Fatal(err)
		}
		if outcome.Status != df.Failed {
			return outcome
		}
		w.now = w.now.Add(effects.DefaultSettle)
	}
	w.t.Fatal("never settled")
	return effects.Outcome{}
}

func told(minute int, sent int64) Announcement {
	a := Announcement{EventID: fmt.Sprint("e", minute), At: noon.Add(time.Duration(minute) * time.Minute)}
	a.Heard = a.At.Add(time.Second)
	if sent >= 0 {
		a.Figures = &Figures{Sent: sent}
	}
	return a
}

func (w *world) sent(id string) any {
	for _, properties := range w.records {
		if properties["broadcast_id"] == id {
			return properties["sent"]
		}
	}
	return nil
}

func TestWhatWaitsTogetherCostsOneWrite(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		if o := w.work("b1", told(1, 10), told(3, 30), told(2, 20)); o.Status != df.Done || w.writes != 1 || w.asked != 0 || w.sent("b1") != int64(30) {
			t.Errorf("%+v, %d writes, %v", o, w.writes, w.records)
		}
		if o := w.work("b1", told(3, 30)); o.Status != df.Done || w.writes != 1 {
			t.Errorf("the same again: %+v, %d writes", o, w.writes)
		}
		w.verity = Figures{Sent: 31}
		if o := w.work("b1", told(2, 99)); o.Status != df.Done || w.asked != 1 || w.sent("b1") != int64(31) {
			t.Errorf("what looks older is asked about: %+v, asked %d times, %v", o, w.asked, w.records)
		}
		w.now = noon.Add(time.Hour)
		w.verity = Figures{Sent: 44, Name: "Spring"}
		if o := w.work("b1", told(50, 40), told(60, -1)); o.Status != df.Done || w.asked != 2 || w.sent("b1") != int64(44) {
			t.Errorf("the newest carries none: %+v, asked %d times, %v", o, w.asked, w.records)
		}
		if o := w.work("b0", told(1, -1), told(1, 5)); o.Status != df.Done || w.asked != 3 || w.sent("b0") != int64(44) {
			t.Errorf("two at once, one without figures: %+v, asked %d times, %v", o, w.asked, w.records)
		}
		w.asked = 1
		if o := w.work("b1"); o.Status != df.Done || w.asked != 2 {
			t.Errorf("asked for anew: %+v, %d", o, w.asked)
		}
		b, err := store.BroadcastByID(t.Context(), s, "b1")
		if err != nil || b.Events != 7 || b.Origin != "verity" || b.RecordID != "r1" {
			t.Errorf("%+v, %v", b, err)
		}
		if list, err := s.Broadcasts(t.Context(), "", 5); err != nil || len(list) != 2 {
			t.Errorf("%v, %v", list, err)
		}
		if list, err := s.Broadcasts(t.Context(), "b1", 5); err != nil || len(list) != 1 {
			t.Errorf("the page after the last: %v, %v", list, err)
		}
	})
}

func TestABroadcastIsOneRecordWhateverGetsLost(t *testing.T) {
	s, round := storetest.SQLite(t), 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		id := fmt.Sprint("b-", round)
		w := newWorld(t, s)
		faults := rapid.SliceOfN(rapid.SampledFrom([]string{"", "", "before", "after"}), 0, 12).Draw(rt, "faults")
		w.fault = func(string) string {
			if len(faults) == 0 {
				return ""
			}
			fault := faults[0]
			faults = faults[1:]
			return fault
		}
		for i := range 4 {
			if o := w.work(id, told(i, int64(i))); o.Status != df.Done {
				rt.Fatalf("%+v", o)
			}
		}
		if w.made != 1 || w.sent(id) != int64(3) {
			rt.Fatalf("%d records: %v", w.made, w.records)
		}
	})
}

func TestADeletedRecordIsMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	w.work("b2", told(1, 1))
	clear(w.records)
	if o := w.work("b2", told(2, 2)); o.Status != df.Done || len(w.records) != 1 || w.sent("b2") != int64(2) {
		t.Errorf("%+v, %v", o, w.records)
	}
	w.records = map[string]map[string]any{"other": {"broadcast_id": "b3", "sent": int64(0)}}
	if o := w.work("b3", told(1, 7)); o.Status != df.Done || len(w.records) != 1 || w.sent("b3") != int64(7) {
		t.Errorf("one that was there already: %+v, %v", o, w.records)
	}
}

func TestWithoutFiguresOrGHL(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	w.desk.Verity = nil
	if o := w.work("b4", told(1, -1)); o.Status != df.Quarantined {
		t.Errorf("%+v", o)
	}
	if o := w.work("b4", told(1, 5), told(2, -1)); o.Status != df.Done || w.sent("b4") != int64(5) {
		t.Errorf("the best that is known: %+v, %v", o, w.records)
	}
	if o := w.work("b4", told(0, 3)); o.Status != df.Skipped || w.sent("b4") != int64(5) {
		t.Errorf("older figures overwrote newer ones: %+v, %v", o, w.records)
	}
	if o := w.work("b4", told(0, 3), told(9, -1)); o.Status != df.Skipped || w.sent("b4") != int64(5) {
		t.Errorf("so did those beside an announcement without: %+v, %v", o, w.records)
	}
	w.desk.GHL = nil
	if o := w.work("b5", told(1, 5)); o.Status != df.Skipped {
		t.Errorf("%+v", o)
	}
}

// What Verity was asked for is truer than the announcement that made us ask; a
// record that could not be written at once is written all the same.
func TestFiguresOfVeritysAreShownThoughGHLFailsAtFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	w.now, w.verity = noon.Add(time.Hour), Figures{Sent: 44}
	failures := 1
	w.fault = func(call string) string {
		if call == "find" && failures > 0 {
			failures--
			return "before"
		}
		return ""
	}
	if o := w.work("b6", told(1, -1)); o.Status != df.Done || w.sent("b6") != int64(44) || w.asked != 1 {
		t.Errorf("%+v, %v, asked %d times", o, w.records, w.asked)
	}
	if o := w.work("b6", told(1, -1)); o.Status != df.Skipped || w.writes != 1 {
		t.Errorf("the same again: %+v, %d writes", o, w.writes)
	}
}

// A clock that is ahead gives two announcements the wrong order; the figures of
// neither are taken then, Verity is asked.
func TestVerityIsAskedWhenAnAnnouncementOfTheTurnHasNoCredibleTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	w.now, w.verity = noon.Add(8*time.Second), Figures{Sent: 8}
	at := func(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }
	o := w.work("ahead",
		Announcement{EventID: "cut", At: at(3), Heard: at(3)}, // said 7, which had not been yet
		Announcement{EventID: "older", At: at(5), Heard: at(8), Figures: &Figures{Sent: 0}})
	if o.Status != df.Done || w.sent("ahead") != int64(8) || w.asked != 1 {
		t.Errorf("%+v, %v, asked %d times", o, w.records, w.asked)
	}
}

// A turn that is tried again announces nothing more than it did at first.
func TestAnEventIsCountedOnceHoweverOftenItIsTried(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		failures := 0
		w.fault = func(call string) string {
			if (call == "create" || call == "update") && failures > 0 {
				failures--
				return "before"
			}
			return ""
		}
		for i := range 3 {
			failures = 2
			w.work("b", told(2*i, int64(2*i)), told(2*i+1, int64(2*i+1)))
		}
		if b, err := store.BroadcastByID(t.Context(), s, "b"); err != nil || b.Events != 6 {
			t.Errorf("%+v, %v", b, err)
		}
	})
}

// Whatever Verity's clock says against ours, and in whatever order its webhooks
// arrive: what was known or announced once is never overwritten by older figures.
func TestFiguresNeverGoBackWhateverTheClocksSay(t *testing.T) {
	s, round := storetest.SQLite(t), 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		id := fmt.Sprint("clock-", round)
		w := newWorld(t, s)
		offset := time.Duration(rapid.IntRange(-90, 90).Draw(rt, "Verity's clock is ahead by")) * time.Second
		known, truth := int64(0), int64(0) // seconds since noon are the figures
		faults := rapid.SliceOfN(rapid.SampledFrom([]string{"", "", "", "before", "after"}), 0, 8).Draw(rt, "faults")
		w.fault = func(string) string {
			w.verity.Sent = int64(w.now.Sub(noon) / time.Second)
			if len(faults) == 0 {
				return ""
			}
			fault := faults[0]
			faults = faults[1:]
			return fault
		}
		for range rapid.IntRange(1, 6).Draw(rt, "turns") {
			var turn []Announcement
			for range rapid.IntRange(1, 3).Draw(rt, "announcements") {
				w.now = w.now.Add(time.Duration(rapid.IntRange(1, 30).Draw(rt, "pause")) * time.Second)
				heard := int64(w.now.Sub(noon) / time.Second)
				truth = rapid.Int64Range(max(0, heard-60), heard-1).Draw(rt, "true at")
				a := Announcement{EventID: fmt.Sprint(heard), At: noon.Add(time.Duration(truth)*time.Second + offset), Heard: w.now}
				if a.At.After(a.Heard) {
					a.At = a.Heard
				}
				if rapid.Bool().Draw(rt, "with figures") {
					a.Figures = &Figures{Sent: truth}
				}
				known, turn = max(known, truth), append(turn, a)
			}
			w.work(id, turn...)
			sent, _ := w.sent(id).(int64)
			if sent < known {
				rt.Fatalf("%d is shown, %d was known", sent, known)
			}
			known = sent
		}
	})
}

package calls

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/effects"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

const customer = df.Phone("+15005550111")

// world is GHL as it really answers: an answer may get lost before or after the
// call took effect, and the process may die there.
type world struct {
	t      testing.TB
	desk   *Desk
	now    time.Time
	logs   []Log
	notes  map[string]string // by id
	tags   []string
	played map[string]string // attachment by message id
	writes int               // of notes
	cannot bool              // no app is installed
	// fault says how the next call fails: "" not, "before" or "after" its
	// effect without an answer, "later" told so, "no" refused, "bare" that our
	// app is not installed. With "dies" and "dies after" our process ends, and
	// nothing it does afterwards reaches anybody.
	fault func(call string) string
	dead  bool
}

var errDied = errors.New("the process died")

type plainVault struct{}

func (plainVault) Seal(purpose string, plain []byte) (string, error) {
	return "sealed " + purpose + " " + string(plain), nil
}

func newWorld(t testing.TB, s *store.Store) *world {
	w := &world{t: t, now: noon, notes: map[string]string{}, played: map[string]string{}, fault: func(string) string { return "" }}
	clock := func() time.Time { return w.now }
	n := 0
	w.desk = &Desk{
		Store: s, Effects: effects.Runner{Store: s, Clock: clock}, GHL: w, Vault: plainVault{}, Rules: DefaultRules(), Clock: clock,
		Links: Links{Base: "https://dfm.example.test", Key: []byte("0123456789abcdef0123456789abcdef"), Life: time.Hour},
		NewID: func() string { n++; return fmt.Sprintf("%s-%d-%d", t.Name(), time.Now().UnixNano(), n) },
		Agent: func(_ context.Context, id string) (string, error) {
			return strings.Repeat("Agent ", min(1, len(id))) + id, nil
		},
	}
	return w
}

func (w *world) call(name string, effect func()) error {
	if w.dead {
		return errDied
	}
	failure := &df.CallError{Upstream: "ghl", Operation: name, Outcome: df.Unclear, Code: df.CodeTimeout}
	switch w.fault(name) {
	case "dies after":
		effect()
		fallthrough
	case "dies":
		w.dead = true
		return errDied
	case "bare":
		failure.Outcome, failure.Code = df.RetryLater, df.CodeUnconfigured
		return failure
	case "before":
		return failure
	case "after":
		effect()
		return failure
	case "later":
		failure.Outcome, failure.Code = df.RetryLater, df.CodeUnavailable
		return failure
	case "no":
		failure.Outcome, failure.Code = df.Refused, df.CodeInvalid
		return failure
	}
	effect()
	return nil
}

func (w *world) CanLog() bool { return !w.cannot }

func (w *world) LogCall(_ context.Context, log Log) (id string, err error) {
	err = w.call("log", func() { w.logs = append(w.logs, log); id = fmt.Sprint("m", len(w.logs)) })
	return id, err
}

func (w *world) LoggedCall(_ context.Context, _, callID string) (string, error) {
	for i, log := range w.logs {
		if log.CallID == callID {
			return fmt.Sprint("m", i+1), w.call("look", func() {})
		}
	}
	return "", w.call("look", func() {})
}

func (w *world) Attach(_ context.Context, id, link string) error {
	return w.call("attach", func() { w.played[id] = link })
}

func (w *world) AddNote(_ context.Context, _, text string) (id string, err error) {
	err = w.call("add note", func() { id = fmt.Sprint("n", len(w.notes)+1); w.notes[id] = text; w.writes++ })
	return id, err
}

func (w *world) UpdateNote(_ context.Context, _, id, text string) error {
	if _, there := w.notes[id]; !there {
		return &df.CallError{Upstream: "ghl", Operation: "update note", Outcome: df.Refused, Code: df.CodeNotFound}
	}
	return w.call("update note", func() { w.notes[id] = text; w.writes++ })
}

func (w *world) FindNote(_ context.Context, _, marker string) (string, error) {
	for id, text := range w.notes {
		if strings.Contains(text, marker) {
			return id, w.call("find note", func() {})
		}
	}
	return "", w.call("find note", func() {})
}

func (w *world) AddTags(_ context.Context, _ string, tags []string) error {
	return w.call("add tags", func() { w.tags = df.Tags(append(w.tags, tags...)...) })
}

func (w *world) RemoveTags(_ context.Context, _ string, tags []string) error {
	return w.call("remove tags", func() { w.tags = without(w.tags, tags) })
}

func (w *world) Zone(context.Context) *time.Location { return time.UTC }

// pieces are the deliveries of one completed call, as Aloware sends them.
func pieces(id string) []Delivery {
	base := func(minute int, more Facts) Delivery {
		f := Facts{Phone: at(minute, string(customer)), Direction: at(minute, Outbound), Started: at(minute, noon.Format(time.RFC3339)), Agent: at(minute, "9")}
		return Delivery{ID: id, ContactID: "7", Phone: customer, At: noon.Add(time.Duration(minute) * time.Minute), Facts: f.Join(more)}
	}
	recorded := base(2, Facts{Ending: at(2, "completed"), Talked: at(2, "63")})
	recorded.Recording = df.Secret("https://recordings.example.test/" + id)
	recorded.Facts[Recording] = at(2, HashOf(recorded.Recording))
	return []Delivery{
		base(0, nil), base(1, Facts{Ending: at(1, "completed"), Talked: at(1, "63")}), recorded,
		base(3, Facts{Ending: at(1, "completed"), Disposition: at(3, "Interested")}),
		base(4, Facts{Summary: at(4, "They agreed."), Transcript: at(4, "A: hi")}), base(4, nil),
	}
}

var ann = people.Person{ID: "p", GHLContactID: "g1", AlowareContactID: "7", Phone: customer, Status: people.Active}

// work plays one delivery until it is settled, as its lane would.
func (w *world) work(d Delivery) effects.Outcome {
	w.t.Helper()
	for range 40 {
		outcome, err := w.desk.Work(w.t.Context(), people.Lease{}, ann, df.Event{ID: "e"}, d)
		if err != nil {
			w.t.Fatal(err)
		}
		if outcome.Status != df.Failed && !w.dead {
			return outcome
		}
		w.dead = false // a new process
		w.now = w.now.Add(effects.DefaultSettle)
	}
	w.t.Fatal("the delivery never settled")
	return effects.Outcome{}
}

// D-18, D-44: each delivery of a call added a note of its own, or was dropped;
// D-93: a step that was done was done again when the next one failed.
func TestShuffledAndDoubledDeliveriesMakeOneLogAndOneNote(t *testing.T) {
	s := storetest.SQLite(t)
	round := 0
	var want string
	rapid.Check(t, func(rt *rapid.T) {
		round++
		one, two := fmt.Sprint("1-", round), fmt.Sprint("2-", round)
		deliveries := append(pieces(one), pieces(two)...)
		deliveries = append(deliveries, deliveries[rapid.IntRange(0, len(deliveries)-1).Draw(rt, "doubled")])
		deliveries = rapid.Permutation(deliveries).Draw(rt, "order")
		faults := rapid.SliceOfN(rapid.SampledFrom([]string{"", "", "", "before", "after", "later", "dies", "dies after"}), 0, 20).Draw(rt, "faults")
		w := newWorld(t, s)
		w.fault = func(string) string {
			if len(faults) == 0 {
				return ""
			}
			fault := faults[0]
			faults = faults[1:]
			return fault
		}
		for _, d := range deliveries {
			if o := w.work(d); o.Status != df.Done {
				rt.Fatalf("%+v", o)
			}
		}
		if len(w.logs) != 2 || len(w.notes) != 2 || len(w.played) != 2 {
			rt.Fatalf("%d logs, %d notes, %d recordings", len(w.logs), len(w.notes), len(w.played))
		}
		call, err := store.CallByID(t.Context(), s, one)
		if err != nil {
			rt.Fatal(err)
		}
		note := w.notes[call.GHLNoteID]
		link := w.played[call.GHLMessageID]
		plain := strings.ReplaceAll(strings.ReplaceAll(note, link, "LINK"), Marker(one), "MARKER")
		if want == "" {
			want = plain
		}
		if plain != want || !strings.Contains(note, link) || link == "" {
			rt.Fatalf("the order changed the note:\n%s\n\n%s", note, want)
		}
		if got := strings.Join(w.tags, "|"); got != "Call: Completed|Disposition: Interested|Outbound Call" {
			rt.Fatalf("tags %s", got)
		}
	})
	for _, part := range []string{"They agreed.", "Interested", "talked 1 min 3 s", "LINK"} {
		if !strings.Contains(want, part) {
			t.Errorf("the note lacks %q:\n%s", part, want)
		}
	}
}

func TestCallsOnEachEngine(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		all := pieces("77")
		if o := w.work(all[0]); o.Status != df.Done || len(w.notes)+len(w.logs)+len(w.tags) != 0 {
			t.Errorf("a call that only began is shown: %+v", o)
		}
		for _, d := range all[1:] {
			w.work(d)
		}
		writes := w.writes
		for _, d := range all {
			w.work(d)
		}
		if w.writes != writes || len(w.logs) != 1 {
			t.Errorf("the same again wrote %d notes, %d logs", w.writes-writes, len(w.logs))
		}
		call, err := store.CallByID(t.Context(), s, "77")
		if err != nil || call.PersonID != "p" || call.Phone != customer || !call.StartedAt.Equal(noon) || !call.Attached ||
			call.Recording != "sealed recording of call 77 https://recordings.example.test/77" {
			t.Errorf("%+v, %v", call, err)
		}
		if strings.Contains(string(call.Facts), "recordings.example.test") {
			t.Error("the link to the recording stands in the open")
		}
		for _, f := range []store.CallFilter{{PersonID: "p", Limit: 5}, {Phone: customer, From: noon, Until: noon.Add(time.Second), Limit: 5}} {
			if found, err := s.Calls(t.Context(), f); err != nil || len(found) != 1 {
				t.Errorf("%+v: %d, %v", f, len(found), err)
			}
		}
		if found, err := s.Calls(t.Context(), store.CallFilter{Before: store.CallPlace{At: call.StartedAt, ID: call.ID}, Limit: 5}); err != nil || len(found) != 0 {
			t.Errorf("the page after the last: %v, %v", found, err)
		}
	})
}

func TestAnAgentsDeletionOfTheNoteIsRespected(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	all := pieces("78")
	w.work(all[1])
	clear(w.notes)
	for _, d := range all {
		w.work(d)
	}
	if len(w.notes) != 0 {
		t.Errorf("the note came back: %v", w.notes)
	}
}

// A log that GHL refuses must not cost the note and the tags.
func TestARefusedLogIsShownAndCostsNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	w.fault = func(call string) string { return map[string]string{"log": "no"}[call] }
	if o := w.work(pieces("79")[1]); o.Status != df.Quarantined || len(w.notes) != 1 || len(w.tags) == 0 {
		t.Errorf("%+v, %d notes, tags %v", o, len(w.notes), w.tags)
	}
	w.cannot = true
	if o := w.work(pieces("80")[1]); o.Status != df.Done || len(w.logs) != 0 || len(w.notes) != 2 {
		t.Errorf("without an app: %+v, %d notes", o, len(w.notes))
	}
}

func TestACorrectedDispositionTakesItsTagAlong(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	said := func(id string, minute int, disposition string) Delivery {
		d := pieces(id)[1]
		d.Facts = d.Facts.Join(Facts{Disposition: at(minute, disposition)})
		return d
	}
	w.work(said("81", 1, "Busy"))
	w.work(said("82", 1, "Busy"))
	w.work(said("81", 2, "Interested"))
	if !slices.Contains(w.tags, "Disposition: Busy") || !slices.Contains(w.tags, "Disposition: Interested") {
		t.Errorf("the other call's tag went too: %v", w.tags)
	}
	w.work(said("82", 2, "Interested"))
	if slices.Contains(w.tags, "Disposition: Busy") {
		t.Errorf("nobody says so any more: %v", w.tags)
	}
}

func TestWithoutGHLOrAContactACallIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	stranger := ann
	stranger.GHLContactID = ""
	d := pieces("83")[1]
	if o, err := w.desk.Work(t.Context(), people.Lease{}, stranger, df.Event{ID: "e"}, d); err != nil || o.Status != df.Quarantined {
		t.Errorf("%+v, %v", o, err)
	}
	w.desk.GHL = nil
	if o := w.work(d); o.Status != df.Skipped {
		t.Errorf("%+v", o)
	}
	if call, err := store.CallByID(t.Context(), w.desk.Store, "83"); err != nil || !json.Valid(call.Facts) {
		t.Errorf("%+v, %v", call, err)
	}
}

func TestAWorkerThatLostItsLaneWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	_, err := w.desk.Work(t.Context(), people.Lease{Lane: "person:p", Fence: 3}, ann, df.Event{ID: "e"}, pieces("84")[1])
	if !errors.Is(err, people.ErrLeaseLost) || len(w.notes)+len(w.logs) != 0 {
		t.Errorf("%v, %d notes", err, len(w.notes))
	}
}

// The app may be configured and not installed: GHL then takes no log from us, the
// note tells of the call, and the log is made up for.
func TestWithoutOurAppTheNoteTellsOfTheCallAndTheLogIsMadeUpFor(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		w.fault = func(call string) string { return map[string]string{"log": "bare"}[call] }
		if o := w.work(pieces("85")[1]); o.Status != df.Done || len(w.logs) != 0 || len(w.notes) != 1 || len(w.tags) == 0 {
			t.Fatalf("%+v, %d logs, %d notes", o, len(w.logs), len(w.notes))
		}
		lines, err := s.SyncLog(t.Context(), store.SyncFilter{PersonID: ann.ID, Limit: 10})
		if err != nil || !slices.ContainsFunc(lines, func(r store.SyncRow) bool { return strings.Contains(r.Message, "GHL_CALL_PROVIDER_ID") }) {
			t.Errorf("nobody is told why there is no log: %+v, %v", lines, err)
		}
		w.fault = func(string) string { return "" } // installed
		if o := w.work(pieces("85")[1]); o.Status != df.Done || len(w.logs) != 1 || len(w.notes) != 1 {
			t.Errorf("%+v, %d logs, %d notes", o, len(w.logs), len(w.notes))
		}
	})
}

func TestALogThatTakesNoRecordingCostsNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	w.fault = func(call string) string { return map[string]string{"attach": "no"}[call] }
	if o := w.work(pieces("86")[2]); o.Status != df.Done || !strings.Contains(w.notes["n1"], "Recording: https://dfm.example.test") || len(w.tags) == 0 {
		t.Errorf("%+v\n%s", o, w.notes["n1"])
	}
}

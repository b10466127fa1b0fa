package calls

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/effects"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

const (
	customer = df.Phone("+15005550111")
	line     = df.Phone("+15005550199")
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

// fate is what becomes of one call of ours to GHL.
type fate int

const (
	well   fate = iota
	lost        // it took effect and the answer never came
	unsent      // nobody knows, and it took no effect
	later       // refused for the moment
	died        // our process dies before the call
	diedOn      // and here after it, before anything was kept
)

var errDied = errors.New("the process died")

type logged struct {
	id string
	Logging
}

type noted struct{ id, contact, body string }

// world is a desk between a real store and a GHL that lies as the real one does.
type world struct {
	desk *Desk
	now  time.Time
	p    people.Person

	fates   []fate // of the next calls that write
	dead    bool
	writes  int
	logs    []logged
	notes   []noted
	tags    map[string]bool
	noLog   bool  // our app is not installed
	refuses error // what Attach answers
	sealed  bool
}

func newWorld(s *store.Store, mark string) *world {
	w := &world{now: noon, tags: map[string]bool{}, p: people.Person{ID: "p-" + mark, GHLContactID: "g-" + mark, Phone: customer, Status: people.Active}}
	rules, _ := ParseRules("")
	n := 0
	clock := func() time.Time { return w.now }
	w.desk = &Desk{
		Store: s, Once: effects.Runner{Store: s, Clock: clock}, GHL: w, Sealer: wax{}, Office: w, Rules: rules, Clock: clock,
		NewID: func() string { n++; return fmt.Sprintf("%s-%d", mark, n) }, LinkTime: 24 * time.Hour,
		Link: func(callID string, audio Audio, until time.Time) string {
			return fmt.Sprintf("https://dfm.example.test/recordings/%s-%s-%d", audio, callID, until.Unix())
		},
		Log: slog.New(slog.DiscardHandler),
	}
	return w
}

// wax seals so that a test can look.
type wax struct{}

func (wax) Seal(purpose string, plain []byte) (string, error) {
	return fmt.Sprintf("%s|%x", purpose, plain), nil
}

func (wax) Open(purpose, sealed string) ([]byte, error) {
	var plain []byte
	_, err := fmt.Sscanf(sealed[len(purpose)+1:], "%x", &plain)
	return plain, err
}

// write makes one call that writes, and lets its fate decide.
func (w *world) write(effect func()) error {
	if w.dead {
		return errDied
	}
	w.writes++
	next := well
	if len(w.fates) > 0 {
		next, w.fates = w.fates[0], w.fates[1:]
	}
	failure := &df.CallError{Upstream: "ghl", Operation: "test", Outcome: df.Unclear, Code: df.CodeTimeout}
	switch next {
	case lost:
		effect()
		return failure
	case unsent:
		return failure
	case later:
		failure.Outcome, failure.Code = df.RetryLater, df.CodeUnavailable
		return failure
	case died, diedOn:
		if next == diedOn {
			effect()
		}
		w.dead = true
		return errDied
	}
	effect()
	return nil
}

func (w *world) Log(_ context.Context, l Logging) (string, error) {
	if w.noLog {
		return "", &df.CallError{Upstream: "ghl", Operation: "log call", Outcome: df.RetryLater, Code: df.CodeUnconfigured}
	}
	id := fmt.Sprintf("m%d", len(w.logs)+1)
	return id, w.write(func() { w.logs = append(w.logs, logged{id, l}) })
}

func (w *world) Logged(_ context.Context, contactID, altID string) (string, error) {
	if w.dead {
		return "", errDied
	}
	for _, l := range w.logs {
		if l.ContactID == contactID && l.AltID == altID {
			return l.id, nil
		}
	}
	return "", nil
}

func (w *world) Attach(_ context.Context, messageID string, urls []string) error {
	if w.refuses != nil {
		return w.refuses
	}
	return w.write(func() {
		i := slices.IndexFunc(w.logs, func(l logged) bool { return l.id == messageID })
		w.logs[i].Attachments = urls
	})
}

func (w *world) AddNote(_ context.Context, contactID, body string) (string, error) {
	id := fmt.Sprintf("n%d", len(w.notes)+1)
	return id, w.write(func() { w.notes = append(w.notes, noted{id, contactID, body}) })
}

func (w *world) FindNote(_ context.Context, contactID string, is func(string) bool) (string, error) {
	if w.dead {
		return "", errDied
	}
	for _, n := range w.notes {
		if n.contact == contactID && is(n.body) {
			return n.id, nil
		}
	}
	return "", nil
}

func (w *world) EditNote(_ context.Context, contactID, noteID, body string) error {
	i := slices.IndexFunc(w.notes, func(n noted) bool { return n.id == noteID && n.contact == contactID })
	if i < 0 {
		return &df.CallError{Upstream: "ghl", Operation: "update note", Outcome: df.Refused, Code: df.CodeNotFound}
	}
	return w.write(func() { w.notes[i].body = body })
}

func (w *world) Tag(_ context.Context, _ string, add, remove []string) error {
	return w.write(func() {
		for _, tag := range remove {
			delete(w.tags, tag)
		}
		for _, tag := range add {
			w.tags[tag] = true
		}
	})
}

func (w *world) Agent(_ context.Context, userID string) string {
	return map[string]string{"41": "Ann"}[userID]
}

func (w *world) Zone(context.Context) *time.Location { return time.FixedZone("CST", -6*3600) }

// hear hands a delivery to the desk as the lanes do: again until it is settled,
// by a new process after one that died.
func (w *world) hear(t testing.TB, said Call) Outcome {
	t.Helper()
	for range 40 {
		o, err := w.desk.Hear(t.Context(), people.Lease{}, w.p, df.Event{ID: "e", ReceivedAt: w.now}, said)
		if err == nil && !w.dead && o.Status != df.Failed {
			return o
		}
		w.dead = false
		w.now = w.now.Add(effects.DefaultSettle)
	}
	t.Fatal("never settled")
	return Outcome{}
}

// deliveries are those of one completed outbound call, as they were captured.
func deliveries(id string) []Call {
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	of := func(s int) Call {
		return Call{ID: id, StartedAt: noon, Direction: Said[Direction]{Outbound, at(s)}, Customer: Said[df.Phone]{customer, at(s)},
			Line: Said[df.Phone]{line, at(s)}, AgentID: Said[string]{"41", at(s)}}
	}
	ended := func(s int) Call {
		c := of(s)
		c.Ending, c.Over = Said[string]{Completed, at(s)}, true
		c.Seconds, c.TalkSeconds = Said[int64]{70, at(s)}, Said[int64]{63, at(s)}
		return c
	}
	recorded := ended(74)
	recorded.Recording, recorded.Recorded = Said[df.Secret]{"https://r.example.test/" + df.Secret(id), at(74)}, true
	disposed := ended(77)
	disposed.Disposition = Said[string]{"Interested", at(77)}
	first := ended(70)
	first.Disposition = Said[string]{"No Answer", at(70)} // set by itself, and wrong
	// A summary repeats little of its call, and its clock is that of the start.
	summed := Call{ID: id, Direction: Said[Direction]{Outbound, at(0)}, Over: true, Outcomes: []string{"Callback"},
		Summary: Said[string]{"They want to think about it.", at(0)}, Transcript: Said[string]{"Agent: hello", at(0)}}
	return []Call{of(0), first, recorded, disposed, summed, summed}
}

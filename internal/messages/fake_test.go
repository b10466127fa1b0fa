package messages

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/effects"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

const (
	customer = df.Phone("+15005550111")
	ours     = df.Phone("+15005550199")
	other    = df.Phone("+15005550198")
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

// errDied is what a process sees of itself when it dies: nothing. Calls fail with
// it so that the code under test unwinds.
var errDied = errors.New("the process died")

// mortal counts the calls that leave the code under test, and lets the process
// die at one of them, before or after its effect. What was done stays done.
type mortal struct {
	calls   int
	dieAt   int // 0 for never
	dieLate bool
	dead    bool
}

func (m *mortal) call(effect func() error) error {
	if m.dead {
		return errDied
	}
	m.calls++
	if m.calls != m.dieAt {
		return effect()
	}
	m.dead = true
	if m.dieLate {
		_ = effect()
	}
	return errDied
}

// world is a desk between a real ledger and upstreams that lie as real ones do.
type world struct {
	*mortal
	desk *Desk
	now  time.Time
	p    people.Person

	logged  []Logging // GHL's conversation
	told    []string  // "<message> <status>"
	sends   []send    // texts that really went out
	asked   int       // how often Verity was asked
	logErr  []error   // answers of the next calls; the effect happens first where lost is set
	sendErr []error
	tellErr []error
	opted   consent.Decision
}

type send struct {
	key      string
	to, from df.Phone
	body     string
	media    []string
}

// lost is an answer that never came, though the effect took place.
type lost struct{ error }

func unclear() error {
	return &df.CallError{Upstream: "test", Operation: "call", Outcome: df.Unclear, Code: df.CodeTimeout}
}

func later() error {
	return &df.CallError{Upstream: "test", Operation: "call", Outcome: df.RetryLater, Code: df.CodeUnavailable}
}

func refusedCall(code string) error {
	return &df.CallError{Upstream: "test", Operation: "call", Outcome: df.Refused, Code: code}
}

func newWorld(t testing.TB, s *store.Store) *world {
	w := &world{mortal: &mortal{}, now: noon, opted: consent.Decision{Allowed: true, Reason: consent.Clear},
		p: people.Person{ID: "p", GHLContactID: "g1", AlowareContactID: "7", Phone: customer, Status: people.Active}}
	n := 0
	ranks := map[Status]int{Queued: 1, Sending: 2, Sent: 3, Delivered: 9, Unsent: 9, Canceled: 9, Read: 10}
	w.desk = &Desk{
		Ledger: mortalLedger{Stored{s}, w.mortal}, GHL: fakeGHL{w}, Sender: fakeSender{w}, Gate: fakeGate{w},
		Later: func(now, before Status) bool { return ranks[now] > ranks[before] },
		Clock: func() time.Time { return w.now }, NewID: func() string { n++; return fmt.Sprintf("id-%d", n) },
		Log: slog.New(slog.DiscardHandler),
	}
	return w
}

// eachWorld runs a test on every engine.
func eachWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) { test(t, newWorld(t, s)) })
}

func take(queue *[]error) error {
	if len(*queue) == 0 {
		return nil
	}
	err := (*queue)[0]
	*queue = (*queue)[1:]
	return err
}

// perform lets a call have its effect unless its answer says that it had none.
func perform(err error, effect func()) error {
	var gone lost
	if err == nil || errors.As(err, &gone) {
		effect()
	}
	if errors.As(err, &gone) {
		return gone.error
	}
	return err
}

type fakeGHL struct{ w *world }

func (g fakeGHL) Conversation(_ context.Context, contactID string) (string, error) {
	return "c-" + contactID, g.w.call(func() error { return nil })
}

func (g fakeGHL) Log(_ context.Context, l Logging) (id string, err error) {
	err = g.w.call(func() error {
		return perform(take(&g.w.logErr), func() {
			g.w.logged = append(g.w.logged, l)
			id = fmt.Sprintf("m%d", len(g.w.logged))
		})
	})
	if err != nil {
		id = ""
	}
	return id, err
}

func (g fakeGHL) Logged(_ context.Context, _, altID string) (id string, err error) {
	err = g.w.call(func() error {
		for i, l := range g.w.logged {
			if l.AltID == altID {
				id = fmt.Sprintf("m%d", i+1)
			}
		}
		return nil
	})
	return id, err
}

func (g fakeGHL) SetStatus(_ context.Context, messageID, status, reason string) error {
	return g.w.call(func() error {
		return perform(take(&g.w.tellErr), func() { g.w.told = append(g.w.told, messageID+" "+status+" "+reason) })
	})
}

// fakeSender knows a text by its key, as Verity does, and insists that the same
// key is the same text.
type fakeSender struct{ w *world }

func (s fakeSender) Send(_ context.Context, key string, to, from df.Phone, body string, media []string) (r Receipt, err error) {
	err = s.w.call(func() error {
		s.w.asked++
		return perform(take(&s.w.sendErr), func() {
			this := send{key, to, from, body, media}
			for _, sent := range s.w.sends {
				if sent.key == key {
					if sent.to != to || sent.from != from || sent.body != body {
						panic("the same key with another text")
					}
					r = Receipt{MessageID: "v-" + key}
					return
				}
			}
			s.w.sends = append(s.w.sends, this)
			r = Receipt{MessageID: "v-" + key}
		})
	})
	return r, err
}

type fakeGate struct{ w *world }

func (g fakeGate) May(context.Context, consent.Question) consent.Decision { return g.w.opted }

// mortalLedger is the real ledger, in a process that may die at any call to it.
type mortalLedger struct {
	Stored
	m *mortal
}

func (l mortalLedger) Write(ctx context.Context, lease people.Lease, entry Entry) error {
	return l.m.call(func() error { return l.Stored.Write(ctx, lease, entry) })
}

func (l mortalLedger) Told(ctx context.Context, m store.Message, seen string, issue *store.Issue) error {
	return l.m.call(func() error { return l.Stored.Told(ctx, m, seen, issue) })
}

func (w *world) event(id string) df.Event {
	return df.Event{ID: id, Source: df.SourceTexting, ReceivedAt: w.now, Attempts: 1, Notice: df.Notice{EntityID: id}}
}

func (w *world) inbound(id, body string) Text {
	return Text{Event: w.event("e-" + id), Source: df.SourceTexting, ID: id, Direction: Inbound, Customer: customer, Ours: ours,
		Body: body, Status: "received", At: w.now.Add(-time.Minute)}
}

func (w *world) outbound(id, body string, status Status) Text {
	t := w.inbound(id, body)
	t.Direction, t.Status = Outbound, status
	return t
}

func (w *world) order(id, body string) Order {
	return Order{Event: w.event("e-" + id), MessageID: id, ContactID: "g1", Channel: "SMS", To: customer, Body: body}
}

// settle repeats what a lane would: the event again until it is not failed any
// more, the clock going on as the answer asks.
func (w *world) settle(t testing.TB, try func() (effects.Outcome, error)) effects.Outcome {
	t.Helper()
	for range 20 {
		o, err := try()
		if err == nil && o.Status != df.Failed {
			return o
		}
		w.now = w.now.Add(time.Minute)
	}
	t.Fatal("never settled")
	return effects.Outcome{}
}

func (w *world) mapping(t testing.TB, key store.MessageKey) store.Message {
	t.Helper()
	m, known, err := w.desk.Ledger.Message(t.Context(), key)
	if err != nil || !known {
		t.Fatalf("no message for %+v: %v", key, err)
	}
	return m
}

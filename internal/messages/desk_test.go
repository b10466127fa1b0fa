package messages

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/effects"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

func (w *world) record(t testing.TB, text Text) effects.Outcome {
	t.Helper()
	return w.settle(t, func() (effects.Outcome, error) { return w.desk.Record(t.Context(), people.Lease{}, w.p, text) })
}

func (w *world) deliver(t testing.TB, o Order) effects.Outcome {
	t.Helper()
	return w.settle(t, func() (effects.Outcome, error) { return w.desk.Deliver(t.Context(), people.Lease{}, w.p, o) })
}

func (w *world) report(t testing.TB, text Text) effects.Outcome {
	t.Helper()
	return w.settle(t, func() (effects.Outcome, error) { return w.desk.Report(t.Context(), people.Lease{}, w.p, text) })
}

func (w *world) tell(t testing.TB) {
	t.Helper()
	if _, err := w.desk.Tell(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
}

// D-53: the original passed no time, so that every text happened "now"; D-56: it
// lost pictures.
func TestATextIsLoggedOnceWithItsOwnTimeAndPictures(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		text := w.inbound("t1", "")
		text.Media = []string{"https://example.test/a.jpg"}
		if o := w.record(t, text); o.Status != df.Done {
			t.Fatalf("%+v", o)
		}
		again := text
		again.Event.ID = "e-again"
		if o := w.record(t, again); o.Status != df.Skipped {
			t.Errorf("%+v", o)
		}
		want := Logging{ConversationID: "c-g1", ContactID: "g1", Direction: Inbound, Media: text.Media, AltID: "t1", At: text.At}
		if len(w.logged) != 1 || !slices.Equal(w.logged[0].Media, want.Media) || w.logged[0].AltID != want.AltID ||
			!w.logged[0].At.Equal(want.At) || w.logged[0].Direction != Inbound || w.logged[0].ConversationID != want.ConversationID {
			t.Errorf("logged %+v", w.logged)
		}
		m := w.mapping(t, store.MessageKey{IDs: []string{"t1"}})
		if m.GHLID != "m1" || m.From != customer || m.To != ours || m.PersonID != "p" || m.ConversationID != "c-g1" {
			t.Errorf("mapping %+v", m)
		}
	})
}

// D-55: a first attempt that failed left a mapping without GHL's id, which no
// later success could fill.
func TestAFailedLoggingIsMadeUpFor(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.logErr = []error{later(), unclear(), lost{unclear()}}
		if o := w.record(t, w.inbound("t1", "hello")); o.Status != df.Done {
			t.Fatalf("%+v", o)
		}
		if m := w.mapping(t, store.MessageKey{IDs: []string{"t1"}}); m.GHLID == "" || len(w.logged) != 1 {
			t.Errorf("%d logged, mapping %+v", len(w.logged), m)
		}
	})
}

func TestALostAnswerIsLookedUpNotRepeated(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.logErr = []error{lost{unclear()}}
		first, err := w.desk.Record(t.Context(), people.Lease{}, w.p, w.inbound("t1", "hello"))
		if err != nil || first.Status != df.Failed {
			t.Fatalf("%+v, %v", first, err)
		}
		// At once, the call may still be under way: looking would prove nothing.
		soon, err := w.desk.Record(t.Context(), people.Lease{}, w.p, w.inbound("t1", "hello"))
		if err != nil || soon.Status != df.Failed || !soon.RetryAt.Equal(noon.Add(DefaultSettle)) {
			t.Errorf("%+v, %v", soon, err)
		}
		if o := w.record(t, w.inbound("t1", "hello")); o.Status != df.Done || len(w.logged) != 1 {
			t.Errorf("%+v, %d logged", o, len(w.logged))
		}
	})
}

// Before and after every call of every story the process dies; the next one ends
// where an undisturbed one would have, and nothing happened twice.
func TestDyingAtAnyCallDoesNothingTwice(t *testing.T) {
	t.Parallel()
	stories := map[string]func(ctx context.Context, w *world) (effects.Outcome, error){
		"a text is logged": func(ctx context.Context, w *world) (effects.Outcome, error) {
			return w.desk.Record(ctx, people.Lease{}, w.p, w.inbound("t1", "hello"))
		},
		"an agent's text is sent": func(ctx context.Context, w *world) (effects.Outcome, error) {
			return w.desk.Deliver(ctx, people.Lease{}, w.p, w.order("g-1", "hello"))
		},
		"an agent's text is refused": func(ctx context.Context, w *world) (effects.Outcome, error) {
			w.opted = consent.Decision{Reason: consent.OptedOut}
			return w.desk.Deliver(ctx, people.Lease{}, w.p, w.order("g-2", "hello"))
		},
	}
	eachWorld(t, func(t *testing.T, calm *world) {
		s := calm.desk.Ledger.(mortalLedger).Store
		for name, story := range stories {
			t.Run(name, func(t *testing.T) {
				wipe(t, s)
				w := newWorld(t, s)
				w.settle(t, func() (effects.Outcome, error) { return story(t.Context(), w) })
				total, logged, sent := w.calls, len(w.logged), len(w.sends)
				for at := 1; at <= total; at++ {
					for _, late := range []bool{false, true} {
						wipe(t, s)
						w := newWorld(t, s)
						w.dieAt, w.dieLate = at, late
						_, _ = story(t.Context(), w)
						if !w.dead {
							t.Fatalf("call %d was never made", at)
						}
						*w.mortal = mortal{} // a new process
						w.settle(t, func() (effects.Outcome, error) { return story(t.Context(), w) })
						if len(w.logged) != logged || len(w.sends) != sent {
							t.Errorf("died at call %d (late %v): %d logged, want %d; %d sent, want %d",
								at, late, len(w.logged), logged, len(w.sends), sent)
						}
					}
				}
			})
		}
	})
}

func wipe(t testing.TB, s *store.Store) {
	t.Helper()
	for _, table := range []string{"effects", "message_mappings", "sync_log", "sync_issues"} {
		if _, err := s.Exec(t.Context(), "DELETE FROM "+table); err != nil {
			t.Fatal(err)
		}
	}
}

// D-74: GHL's redelivery, or a time-out after Verity took the text, sent it twice.
func TestATextIsSentOnce(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.sendErr = []error{later(), lost{unclear()}, unclear()}
		if o := w.deliver(t, w.order("g-1", "hello")); o.Status != df.Done {
			t.Fatalf("%+v", o)
		}
		if o := w.deliver(t, w.order("g-1", "hello")); o.Status != df.Skipped {
			t.Errorf("redelivered: %+v", o)
		}
		if len(w.sends) != 1 || w.sends[0].key != "g-1" || w.asked != 4 {
			t.Errorf("sent %+v, asked %d times", w.sends, w.asked)
		}
		m := w.mapping(t, store.MessageKey{GHLID: "g-1"})
		if m.VerityID != "v-g-1" || m.Status != string(Queued) || m.Direction != "outbound" {
			t.Errorf("mapping %+v", m)
		}
	})
}

// D-94: a reply came from another number than the one the customer wrote to.
func TestAReplyComesFromTheNumberTheCustomerWroteTo(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.record(t, w.inbound("t1", "hello"))
		w.deliver(t, w.order("g-1", "hi"))
		// The customer writes to another number while a second try waits: it is
		// the same text, from the same number.
		w.sendErr = []error{lost{unclear()}}
		if o, err := w.desk.Deliver(t.Context(), people.Lease{}, w.p, w.order("g-2", "are you there?")); err != nil || o.Status != df.Failed {
			t.Fatalf("%+v, %v", o, err)
		}
		text := w.inbound("t2", "yes")
		text.Ours, text.At = other, w.now
		w.record(t, text)
		w.deliver(t, w.order("g-2", "are you there?"))
		w.deliver(t, w.order("g-3", "good"))
		var from []df.Phone
		for _, s := range w.sends {
			from = append(from, s.from)
		}
		if !slices.Equal(from, []df.Phone{ours, ours, other}) {
			t.Errorf("sent from %v", from)
		}
	})
}

// D-33: an opt-out on send was an HTTP 500 for GHL, and the agent saw nothing.
func TestWhatIsNotSentIsShownToTheAgent(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		set    func(w *world, o *Order)
		reason string
	}{
		{"opted out", func(w *world, _ *Order) { w.opted = consent.Decision{Reason: consent.OptedOut} }, optedOut},
		{"quiet hours", func(w *world, _ *Order) { w.opted = consent.Decision{Reason: consent.Quiet} }, "at this hour"},
		{"no provider", func(w *world, _ *Order) { w.desk.Sender = nil }, "not configured"},
		{"an e-mail", func(_ *world, o *Order) { o.Channel = "Email" }, "only texts"},
		{"no words", func(_ *world, o *Order) { o.Body = " " }, "empty"},
		{"no number", func(w *world, o *Order) { o.To, w.p.Phone = "", "" }, "no phone number"},
		{"Verity refuses", func(w *world, _ *Order) { w.sendErr = []error{refusedCall(df.CodeInvalid)} }, "Verity refuses"},
		{"the inner gate refuses", func(w *world, _ *Order) { w.sendErr = []error{refusedCall(CodeOptedOut)} }, optedOut},
	}
	eachWorld(t, func(t *testing.T, base *world) {
		s := base.desk.Ledger.(mortalLedger).Store
		for _, c := range cases {
			wipe(t, s)
			w := newWorld(t, s)
			o := w.order("g-1", "hello")
			c.set(w, &o)
			if got := w.deliver(t, o); got.Status != df.Skipped || !strings.Contains(got.Reason, c.reason) {
				t.Errorf("%s: %+v", c.name, got)
			}
			w.tell(t)
			if len(w.sends) != 0 || len(w.told) != 1 || !strings.HasPrefix(w.told[0], "g-1 failed ") || !strings.Contains(w.told[0], c.reason) {
				t.Errorf("%s: sent %v, told %q", c.name, w.sends, w.told)
			}
		}
	})
}

func TestWhenConsentCannotBeReadNothingIsSent(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.opted = consent.Decision{Reason: consent.Unavailable}
		o, err := w.desk.Deliver(t.Context(), people.Lease{}, w.p, w.order("g-1", "hello"))
		if err != nil || o.Status != df.Failed || w.asked != 0 {
			t.Fatalf("%+v, %v", o, err)
		}
		w.opted = consent.Decision{Allowed: true, Reason: consent.Clear}
		if o := w.deliver(t, w.order("g-1", "hello")); o.Status != df.Done || len(w.sends) != 1 {
			t.Errorf("%+v, sent %v", o, w.sends)
		}
	})
}

func TestATextThatCouldNotBeSentInTimeIsGivenUpAndTold(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		for range 30 {
			w.sendErr = append(w.sendErr, later())
		}
		order := w.order("g-1", "hello")
		if o := w.deliver(t, order); o.Status != df.Skipped || !strings.Contains(o.Reason, "in time") {
			t.Fatalf("%+v", o)
		}
		w.tell(t)
		if len(w.told) != 1 || w.now.Sub(noon) > DefaultGiveUp+2*time.Minute {
			t.Errorf("told %q after %v", w.told, w.now.Sub(noon))
		}
	})
}

// Of a text that may have gone out, that is said, and a person looks at it.
func TestDoubtIsNeverTurnedIntoNo(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.sendErr = []error{lost{unclear()}, later(), later()}
		order := w.order("g-1", "hello")
		for range 2 {
			if o, err := w.desk.Deliver(t.Context(), people.Lease{}, w.p, order); err != nil || o.Status != df.Failed {
				t.Fatalf("%+v, %v", o, err)
			}
		}
		w.opted = consent.Decision{Reason: consent.OptedOut}
		if o := w.deliver(t, order); o.Status != df.Quarantined || !strings.Contains(o.Reason, "not known") || len(w.sends) != 1 || w.asked != 2 {
			t.Errorf("%+v, sent %d, asked %d", o, len(w.sends), w.asked)
		}
	})
}

// D-40: an agent's text came back from Verity under the carrier's id and was put
// into the conversation a second time.
func TestOurOwnTextIsRecognised(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.deliver(t, w.order("g-1", "Hello\nDana"))
		w.deliver(t, w.order("g-2", "Hello again"))
		echo := w.outbound("carrier-1", "Hello Dana ", Sent) // by its words
		if o := w.record(t, echo); o.Status != df.Skipped {
			t.Errorf("%+v", o)
		}
		echo = w.outbound("carrier-2", "changed by the carrier", Sent)
		echo.Correlation = "g-2" // by GHL's id
		if o := w.record(t, echo); o.Status != df.Skipped {
			t.Errorf("%+v", o)
		}
		if len(w.logged) != 0 {
			t.Errorf("logged %+v", w.logged)
		}
		for ghl, carrier := range map[string]string{"g-1": "carrier-1", "g-2": "carrier-2"} {
			if m := w.mapping(t, store.MessageKey{IDs: []string{carrier}}); m.GHLID != ghl || m.CarrierID != carrier || m.VerityID != "v-"+ghl {
				t.Errorf("mapping %+v", m)
			}
		}
		// The same words a third time, from elsewhere, are another text.
		if o := w.record(t, w.outbound("carrier-3", "Hello Dana", Sent)); o.Status != df.Done || len(w.logged) != 1 {
			t.Errorf("%+v, logged %+v", o, w.logged)
		}
	})
}

// D-75: GHL was never told that a text was delivered or failed.
func TestDeliveryIsToldAndNeverBackwards(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.deliver(t, w.order("g-1", "hello"))
		w.tellErr = []error{later()} // the first seconds answer 403
		w.tell(t)
		w.tell(t) // not due yet
		w.now = w.now.Add(tellFirst)
		w.tell(t)
		w.report(t, w.outbound("v-g-1", "", Delivered))
		w.tell(t)
		if o := w.report(t, w.outbound("v-g-1", "", Sent)); o.Status != df.Skipped {
			t.Errorf("%+v", o)
		}
		w.report(t, w.outbound("v-g-1", "", Unsent))
		w.tell(t)
		if want := []string{"g-1 pending ", "g-1 delivered "}; !slices.Equal(w.told, want) {
			t.Errorf("told %q", w.told)
		}
	})
}

func TestAReportBeforeItsTextCounts(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		failed := w.outbound("t1", "", Unsent)
		failed.ErrorCode = "30003"
		w.report(t, failed)
		w.tell(t)
		if len(w.told) != 0 {
			t.Fatalf("told %q of a text that GHL does not have", w.told)
		}
		if o := w.record(t, w.outbound("t1", "hello", Sent)); o.Status != df.Done {
			t.Fatalf("%+v", o)
		}
		w.tell(t)
		if len(w.told) != 1 || !strings.Contains(w.told[0], "m1 failed") || !strings.Contains(w.told[0], "30003") {
			t.Errorf("told %q", w.told)
		}
	})
}

func TestWithoutTheAppAnOperatorIsTold(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		s := w.desk.Ledger.(mortalLedger).Store
		w.tellErr = []error{&df.CallError{Upstream: "ghl", Operation: "set message status", Outcome: df.RetryLater, Code: df.CodeUnconfigured}}
		w.deliver(t, w.order("g-1", "hello"))
		w.tell(t)
		issues, err := s.Issues(t.Context(), store.IssueFilter{PersonID: "p"})
		if err != nil || len(issues) != 1 || issues[0].Topic != tellTopic || !issues[0].Open {
			t.Fatalf("%+v, %v", issues, err)
		}
		w.now = w.now.Add(tellMost)
		w.tell(t)
		if issues, _ := s.Issues(t.Context(), store.IssueFilter{PersonID: "p"}); len(issues) != 0 || len(w.told) != 1 {
			t.Errorf("%+v, told %q", issues, w.told)
		}
	})
}

func TestWhatCannotBeLoggedSaysWhy(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		if o := w.record(t, w.inbound("t0", " ")); o.Status != df.Skipped {
			t.Errorf("%+v", o)
		}
		w.desk.ToAloware = true
		w.desk.GHL = nil
		if o := w.record(t, w.inbound("t1", "hello")); o.Status != df.Skipped || o.Reason != "GHL is not configured" {
			t.Errorf("%+v", o)
		}
		rows, err := w.desk.Ledger.(mortalLedger).Store.SyncLog(t.Context(), store.SyncFilter{Direction: df.TextingToAloware, Limit: 10})
		if err != nil || len(rows) != 1 || rows[0].Status != "skipped" || rows[0].TargetID != "7" {
			t.Errorf("%+v, %v", rows, err)
		}
		w.desk.GHL, w.p.GHLContactID = fakeGHL{w}, ""
		if o := w.record(t, w.inbound("t2", "hello")); o.Status != df.Quarantined {
			t.Errorf("%+v", o)
		}
	})
}

// A worker that lost its lane cannot claim anything.
func TestALostLaneStopsTheDesk(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		lease := people.Lease{Lane: "person:p", Fence: 7}
		if _, err := w.desk.Deliver(t.Context(), lease, w.p, w.order("g-1", "hello")); err == nil || len(w.sends) != 0 {
			t.Errorf("%v, sent %v", err, w.sends)
		}
	})
}

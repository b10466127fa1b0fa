package consent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// recorder records at ten minutes past noon.
func recorder() *Recorder {
	clock := func() time.Time { return minute(10) }
	return &Recorder{Targets: Targets(true, true), Clock: clock, NewID: df.IDs(clock)}
}

func keep(t testing.TB, s *store.Store, r *Recorder, acts ...Act) []Recorded {
	t.Helper()
	var done []Recorded
	err := s.InTx(t.Context(), func(tx store.Tx) (err error) {
		done, err = r.RecordAll(t.Context(), tx, acts)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func stopAct(phone df.Phone, at int) Act {
	return Act{Kind: Stop, Phone: phone, Holder: Text, Actor: "customer", At: minute(at), HeardAt: minute(at), Source: "texting",
		Words: "STOP", Rule: "keyword", Certain: true}
}

func startAct(phone df.Phone, at int) Act {
	act := stopAct(phone, at)
	act.Kind, act.Words = Start, "START"
	return act
}

func standingNow(t testing.TB, s *store.Store, phone df.Phone) Standing {
	t.Helper()
	states, err := s.Consents(t.Context(), string(phone))
	if err != nil {
		t.Fatal(err)
	}
	if state, ok := states[string(phone)]; ok {
		return StandingOf(state)
	}
	return Standing{}
}

func verified(t testing.TB, s *store.Store, links int64) Proof {
	t.Helper()
	proof, err := VerifyChain(t.Context(), s, noon)
	if err != nil || proof.Links != links {
		t.Fatalf("chain of %d links, %v; want %d", proof.Links, err, links)
	}
	return proof
}

func TestAStopIsStateEvidenceAndWorkInOneTransaction(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		r := recorder()
		broken := errors.New("the event could not be stored")
		err := s.InTx(t.Context(), func(tx store.Tx) error {
			changed, err := r.Record(t.Context(), tx, stopAct(ann, 1))
			if err != nil || !changed {
				t.Errorf("changed %v, %v", changed, err)
			}
			return broken
		})
		if !errors.Is(err, broken) || standingNow(t, s, ann).Out(SMS) {
			t.Fatalf("%v; a transaction that failed opted somebody out", err)
		}
		verified(t, s, 0)

		done := keep(t, s, r, stopAct(ann, 1))
		if !done[0].Changed || done[0].EventID == "" || done[0].Phone != ann || done[0].Kind != Stop {
			t.Errorf("recorded %+v", done)
		}
		if now := standingNow(t, s, ann); !now.Out(SMS) || !now.Out(Call) || !now.Since(SMS).Equal(minute(1)) {
			t.Error("the strict policy does not cover texts and calls")
		}
		verified(t, s, 1)
		rows, err := s.FanOuts(t.Context(), store.FanOutFilter{Phone: string(ann), Limit: 9})
		if err != nil || len(rows) != 5 || rows[0].State != StatePending || !rows[0].Since.Equal(minute(1)) {
			t.Errorf("%d targets asked, %v: %+v", len(rows), err, rows)
		}
		if again := keep(t, s, r, stopAct(ann, 2)); again[0].Changed {
			t.Error("a second STOP changed something")
		}
		events, _ := s.ConsentEvents(t.Context(), store.ConsentFilter{Phones: []string{string(ann)}, Limit: 9})
		if len(events) != 2 || events[0].Words != "STOP" || events[0].Scopes != "call,sms" || !events[0].At.Equal(minute(1)) {
			t.Errorf("evidence %+v", events)
		}
	})
}

func TestThePolicyMayKeepCallsApart(t *testing.T) {
	t.Parallel()
	s, r := storetest.SQLite(t), recorder()
	r.Policy.TextOnly = true
	keep(t, s, r, stopAct(ann, 1))
	if now := standingNow(t, s, ann); !now.Out(SMS) || now.Out(Call) {
		t.Errorf("out of texts %v, of calls %v", now.Out(SMS), now.Out(Call))
	}
}

// Registry, standing, chain and reference agree on both engines whatever is
// recorded in whatever order and grouping.
func TestRandomInterleavingsEndInTheJoin(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		r, round, links := recorder(), 0, int64(0)
		rapid.Check(t, func(rt *rapid.T) {
			if round++; round > 25 {
				return
			}
			one, two := df.Phone(fmt.Sprintf("+1202555%04d", 2*round)), df.Phone(fmt.Sprintf("+1202555%04d", 2*round+1))
			acts := rapid.SliceOfN(rapid.Custom(drawAct), 1, 8).Draw(rt, "acts")
			for i := range acts {
				acts[i].Phone = map[df.Phone]df.Phone{ann: one, bob: two}[acts[i].Phone]
			}
			for rest := acts; len(rest) > 0; {
				n := rapid.IntRange(1, len(rest)).Draw(rt, "together")
				keep(t, s, r, rest[:n]...)
				rest = rest[n:]
			}
			links += int64(len(acts))
			for _, phone := range []df.Phone{one, two} {
				states, err := s.Consents(t.Context(), string(phone))
				if err != nil {
					rt.Fatal(err)
				}
				state, ok := states[string(phone)]
				sms, call := reference(acts, phone, SMS), reference(acts, phone, Call)
				if ok && (state.Status == "opted_out") != sms || ok && (state.CallStatus == "opted_out") != call || !ok && (sms || call) {
					rt.Fatalf("registry %+v, want out of texts %v, of calls %v", state, sms, call)
				}
			}
		})
		verified(t, s, links)
	})
}

func TestManyInstancesMakeOneChain(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		r := recorder()
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for j := range 5 {
					one, two := df.Phone(fmt.Sprintf("+1202555%04d", (i+j)%4)), df.Phone(fmt.Sprintf("+1202555%04d", (i*j)%4))
					err := s.InTx(context.WithoutCancel(t.Context()), func(tx store.Tx) error {
						_, err := r.RecordAll(t.Context(), tx, []Act{stopAct(one, i), startAct(two, j)})
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		verified(t, s, 80)
	})
}

func TestTheSameActToldAgainLeavesNoSecondEvidence(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		r, act := recorder(), stopAct(ann, 1)
		act.Key = "texting:SM1:stop"
		first := keep(t, s, r, act, act)
		second := keep(t, s, r, act)
		if first[0].EventID == "" || first[1].EventID != "" || second[0].EventID != "" || second[0].Changed {
			t.Errorf("first %+v, second %+v", first, second)
		}
		verified(t, s, 1)
	})
}

func TestWhatIsNoActIsRefused(t *testing.T) {
	t.Parallel()
	s, r := storetest.SQLite(t), recorder()
	optIn := Act{Kind: Start, Phone: ann, Holder: Operator, HeardAt: noon}
	for name, test := range map[string]struct {
		act  Act
		want error
	}{
		"no phone":             {Act{Kind: Stop}, ErrPhone},
		"a phone to guess at":  {Act{Kind: Stop, Phone: "5005550111"}, ErrPhone},
		"no kind":              {Act{Phone: ann}, ErrKind},
		"an opt-in on a whim":  {optIn, ErrNoEvidence},
		"an opt-in by no name": {Act{Kind: Start, Phone: ann, Holder: Operator, Words: "web form 7"}, ErrNoEvidence},
	} {
		err := s.InTx(t.Context(), func(tx store.Tx) error {
			_, err := r.Record(t.Context(), tx, test.act)
			return err
		})
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	verified(t, s, 0)
}

func TestAStartFromTheFutureCannotOutrunEveryStop(t *testing.T) {
	t.Parallel()
	s, r := storetest.SQLite(t), recorder()
	mad := startAct(ann, 1)
	mad.At = minute(1).AddDate(50, 0, 0)
	keep(t, s, r, mad, stopAct(ann, 2))
	if !standingNow(t, s, ann).Out(SMS) {
		t.Error("a wrong clock keeps the number in for ever")
	}
}

// D-28: a wrongly opted-out customer was blocked for ever.
func TestAnOperatorMayOptInWithEvidence(t *testing.T) {
	t.Parallel()
	s, r := storetest.SQLite(t), recorder()
	keep(t, s, r, stopAct(ann, 1))
	done := keep(t, s, r, Act{Kind: Start, Phone: ann, Holder: Operator, Actor: "kim", HeardAt: minute(2),
		Words: "signed form of 2030-01-02", Source: "console", Rule: "operator", Scopes: Scopes()})
	if now := standingNow(t, s, ann); now.Out(SMS) || now.Out(Call) || !done[0].Changed {
		t.Error("still out")
	}
}

func TestRowsOfTheRegistryNameWhoeverChangedThemLast(t *testing.T) {
	t.Parallel()
	s, r := storetest.SQLite(t), recorder()
	dnc := Act{Kind: Stop, Phone: ann, Holder: Aloware, Scopes: Scopes(), At: minute(3), HeardAt: minute(3), Source: "aloware", Rule: "do_not_call"}
	keep(t, s, r, dnc, stopAct(ann, 1))
	states, err := s.Consents(t.Context(), string(ann))
	if err != nil {
		t.Fatal(err)
	}
	if row := states[string(ann)]; row.Source != "aloware" || row.Reason != "STOP (do_not_call)" || !row.LastEventAt.Equal(minute(3)) {
		t.Errorf("row %+v", row)
	}
	if holders := standingNow(t, s, ann).Holders(SMS); !slices.Equal(holders, []Holder{Aloware, Text}) {
		t.Errorf("holders %v", holders)
	}
}

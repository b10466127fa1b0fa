package consent

import (
	"fmt"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

func hear(t testing.TB, s *store.Store, r *Recorder, heard ...Heard) []Recorded {
	t.Helper()
	var done []Recorded
	err := s.InTx(t.Context(), func(tx store.Tx) (err error) {
		done, err = r.Hear(t.Context(), tx, heard)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// text is an inbound text at a minute past noon.
func text(at int, words string) Heard {
	return Heard{Source: df.SourceTexting, EventID: fmt.Sprint("event-", at), MessageID: fmt.Sprint("SM", at), HeardAt: minute(at),
		Text: words, Notice: df.Notice{Phone: ann, OccurredAt: minute(at)}}
}

// flags is a notice of a contact's flags at a minute past noon.
func flags(source df.Source, at int, dnt, dnc *bool) Heard {
	contact := &df.Contact{ID: "C1", Fields: map[df.Field]string{df.PhoneNumber: string(ann)}, DoNotText: dnt, DoNotCall: dnc}
	return Heard{Source: source, EventID: fmt.Sprint("event-", at), HeardAt: minute(at),
		Notice: df.Notice{Kind: df.KindContactUpdated, ContactID: "C1", Phone: ann, OccurredAt: minute(at), Contact: contact}}
}

var yes, no = ptr(true), ptr(false)

func ptr(b bool) *bool { return &b }

func TestTextsAreHeardAsTheyAreMeant(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		r := recorder()
		steps := []struct {
			words string
			out   bool
		}{
			{"see you this weekend", false},
			{"YES", false},
			{"please stop texting me", true},
			{"what is the dividend?", true},
			{"YES", false}, // the last no was by text, and this takes it back
			{"HELP", false},
			{"STOP", true},
			{"START", false},
			{"quit", true},
		}
		for i, step := range steps {
			hear(t, s, r, text(i, step.words))
			if out := standingNow(t, s, ann).Out(SMS); out != step.out {
				t.Errorf("after %q: out %v", step.words, out)
			}
		}
		reviews, err := s.ConsentReviews(t.Context(), 9)
		if err != nil || len(reviews) != 1 || reviews[0].Kind != "free_wording" {
			t.Errorf("reviews %+v, %v", reviews, err)
		}
		verified(t, s, 6) // what says nothing about consent leaves no evidence
		if done := hear(t, s, r, text(2, "please stop texting me")); done[0].Changed || done[0].EventID != "" {
			t.Errorf("an old message told again: %+v", done)
		}
		err = s.InTx(t.Context(), func(tx store.Tx) error {
			return store.ResolveConsentReview(t.Context(), tx, reviews[0].EventID, "kim", "really meant it", noon)
		})
		if left, _ := s.ConsentReviews(t.Context(), 9); err != nil || len(left) != 0 {
			t.Errorf("%v, still waiting: %+v", err, left)
		}
	})
}

func TestACarriersWordIsEvidence(t *testing.T) {
	t.Parallel()
	s, r := storetest.SQLite(t), recorder()
	refused := text(1, "")
	refused.Carrier, refused.Code = Stop, "21610"
	hear(t, s, r, refused)
	if !standingNow(t, s, ann).OutByText() {
		t.Error("21610 did not opt out")
	}
	hear(t, s, r, Heard{Source: df.SourceTexting, HeardAt: minute(2), Carrier: Start, Notice: df.Notice{Phone: ann, OccurredAt: minute(2)}})
	if standingNow(t, s, ann).Out(SMS) {
		t.Error("the carrier's START did not answer it")
	}
	hear(t, s, r, Heard{Source: df.SourceAloware, HeardAt: minute(3), Carrier: Stop, Code: "11", Notice: df.Notice{Phone: ann, OccurredAt: minute(3)}})
	hear(t, s, r, text(4, "START"))
	if !standingNow(t, s, ann).Out(SMS) {
		t.Error("a START cleared Aloware's do-not-contact")
	}
	hear(t, s, r, Heard{Source: df.SourceTexting, HeardAt: minute(5), Text: "STOP"})
	verified(t, s, 4) // a text without a readable number is nobody's
}

// D-30: an Aloware event with is_dnc false opted people in who had said STOP.
func TestAFlagThatTurnsFalseOptsNobodyIn(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		r := recorder()
		hear(t, s, r, text(1, "STOP"))
		hear(t, s, r, flags(df.SourceAloware, 2, nil, yes))
		hear(t, s, r, flags(df.SourceAloware, 3, nil, no))
		if now := standingNow(t, s, ann); !now.Out(SMS) || !now.Out(Call) {
			t.Error("opted in by a flag")
		}
		hear(t, s, r, text(4, "START"))
		if !standingNow(t, s, ann).Out(SMS) {
			t.Error("a START cleared a flag that somebody set at Aloware")
		}
		reviews, _ := s.ConsentReviews(t.Context(), 9)
		if len(reviews) != 1 || reviews[0].Kind != "flag_cleared" {
			t.Errorf("reviews %+v", reviews)
		}
		rows, _ := s.FanOuts(t.Context(), store.FanOutFilter{Phone: string(ann), Limit: 9})
		for _, row := range rows {
			if again := Target(row.Target).side() == df.SideAloware; (row.Generation == 2) != again {
				t.Errorf("%s was asked %d times", row.Target, row.Generation)
			}
		}
	})
}

func TestFlagsInAnyEventCountAndOnlyTheirChangesDo(t *testing.T) {
	t.Parallel()
	s, r := storetest.SQLite(t), recorder()
	if done := hear(t, s, r, flags(df.SourceGHL, 1, no, no)); len(done) != 0 {
		t.Errorf("a first look at somebody reachable: %+v", done)
	}
	if done := hear(t, s, r, flags(df.SourceGHL, 2, no, yes)); len(done) != 1 || !done[0].Changed {
		t.Errorf("GHL's call flag: %+v", done)
	}
	if now := standingNow(t, s, ann); now.Out(SMS) || !now.Out(Call) {
		t.Error("a call flag of GHL is about calls")
	}
	for at := range 3 {
		if done := hear(t, s, r, flags(df.SourceGHL, 3+at, no, yes)); len(done) != 0 {
			t.Errorf("nothing changed: %+v", done)
		}
	}
	if done := hear(t, s, r, flags(df.SourceTexting, 7, yes, yes)); len(done) != 0 {
		t.Errorf("a texting system has no flags: %+v", done)
	}
	hear(t, s, r, flags(df.SourceGHL, 8, yes, yes))
	if !standingNow(t, s, ann).Out(SMS) {
		t.Error("a text flag did not count")
	}
}

func TestAlowaresOptOutIsThePersonsOwnAndItsDNCIsNot(t *testing.T) {
	t.Parallel()
	s, r := storetest.SQLite(t), recorder()
	hear(t, s, r, flags(df.SourceAloware, 1, yes, no))
	hear(t, s, r, text(2, "START"))
	if standingNow(t, s, ann).Out(SMS) {
		t.Error("START did not answer is_opted_out")
	}
	hear(t, s, r, flags(df.SourceAloware, 3, yes, yes))
	hear(t, s, r, text(4, "START"))
	if now := standingNow(t, s, ann); !now.Out(SMS) || !now.Out(Call) {
		t.Error("START answered is_dnc, which means do-not-contact")
	}
}

func TestFromFlagsKnowsItsOwnEchoAndOldNews(t *testing.T) {
	t.Parallel()
	known := Flags{Text: no, Call: no, At: minute(5)}
	asked := Flags{Text: no, AskedText: yes, Call: no, At: minute(5)}
	kinds := func(h Heard, known Flags) (list []Kind) {
		acts, _ := FromFlags(df.Side(h.Source), h.Notice, known)
		for _, act := range acts {
			list = append(list, act.Kind)
		}
		return list
	}
	tests := []struct {
		name  string
		heard Heard
		known Flags
		want  string
	}{
		{"a change", flags(df.SourceGHL, 6, yes, no), known, "[stop]"},
		{"two changes", flags(df.SourceGHL, 6, yes, yes), known, "[stop stop]"},
		{"our own echo", flags(df.SourceGHL, 6, yes, no), asked, "[]"},
		{"not our echo", flags(df.SourceGHL, 6, yes, yes), asked, "[stop]"},
		{"an old yes", flags(df.SourceGHL, 4, no, no), Flags{Text: yes, Call: yes, At: minute(5)}, "[]"},
		{"an old no still counts", flags(df.SourceGHL, 4, yes, no), known, "[stop]"},
		{"turned false", flags(df.SourceGHL, 6, no, no), Flags{Text: yes, Call: no}, "[note]"},
		{"not shown", flags(df.SourceGHL, 6, nil, nil), Flags{Text: yes, Call: yes}, "[]"},
	}
	for _, test := range tests {
		if got := fmt.Sprint(kinds(test.heard, test.known)); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	_, next := FromFlags(df.SideGHL, flags(df.SourceGHL, 6, yes, nil).Notice, asked)
	if next.AskedText != nil || !*next.Text || !next.At.Equal(minute(6)) {
		t.Errorf("after the echo: %+v", next)
	}
	if again := kinds(flags(df.SourceGHL, 7, no, nil), next); fmt.Sprint(again) != "[note]" {
		t.Errorf("the echo was awaited twice: %v", again)
	}
}

func TestFlagsNeverOptIn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		maybe := rapid.SampledFrom([]*bool{nil, yes, no})
		var known Flags
		for at := range rapid.IntRange(1, 6).Draw(t, "notices") {
			h := flags(rapid.SampledFrom([]df.Source{df.SourceGHL, df.SourceAloware}).Draw(t, "source"), at, maybe.Draw(t, "text"), maybe.Draw(t, "call"))
			var acts []Act
			acts, known = FromFlags(df.Side(h.Source), h.Notice, known)
			for _, act := range acts {
				if act.Kind == Start {
					t.Fatalf("%+v", act)
				}
			}
		}
	})
}

// Two instances may each hear several people at once, in whatever order their
// deliveries came. Neither may wait for the other in a circle: a database ends
// that by refusing one of them, and InTx would run it again.
func TestBatchesInOppositeOrderDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		const rounds = 25
		var runs atomic.Int64
		both := func(round int, phones ...df.Phone) error {
			var batch []Heard
			for i, phone := range phones {
				said := text(round, "STOP")
				said.MessageID, said.Notice.Phone = fmt.Sprintf("SM%d-%s", round, phone), phone
				shows := flags(df.SourceAloware, round, yes, yes)
				shows.EventID = fmt.Sprintf("event-%d-%d", round, i)
				shows.Notice.Phone, shows.Notice.ContactID = phone, string(phone)
				shows.Notice.Contact = &df.Contact{ID: string(phone), Fields: map[df.Field]string{df.PhoneNumber: string(phone)}, DoNotText: yes}
				batch = append(batch, said, shows)
			}
			return s.InTx(t.Context(), func(tx store.Tx) error {
				runs.Add(1)
				_, err := recorder().Hear(t.Context(), tx, batch)
				return err
			})
		}
		const bob, cid = df.Phone("+15005550112"), df.Phone("+15005550113")
		var all errgroup.Group
		for round := range rounds {
			all.Go(func() error { return both(2*round, ann, bob, cid) })
			all.Go(func() error { return both(2*round+1, cid, bob, ann) })
		}
		if err := all.Wait(); err != nil || runs.Load() != 2*rounds {
			t.Errorf("%d transactions ran %d times: %v", 2*rounds, runs.Load(), err)
		}
	})
}

// What a reading shows is by our clock, announcements are by the side's and often
// by whole seconds: a reading must not make the next one look old. And what the
// first look shows of an opt-out that stands is no new word.
func TestFlagsThatAreReadLeaveTheSidesOwnClockAlone(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		r := recorder()
		shown := func(id string, read, on bool, at int) []Recorded {
			h := flags(df.SourceAloware, at, nil, &on)
			h.EventID, h.Read, h.Notice.ContactID, h.Notice.Contact.ID = "", read, id, id
			return hear(t, s, r, h)
		}
		shown("a1", false, true, 1)
		shown("a1", true, true, 5)
		shown("a1", false, false, 3) // announced later than it was read, by a slower clock
		if known, err := store.FlagsOf(t.Context(), s, df.SideAloware, "a1"); err != nil || known.Call == nil || *known.Call {
			t.Errorf("the announcement was taken for an old one: %+v, %v", known, err)
		}
		if done := shown("a2", true, true, 6); len(done) != 0 {
			t.Errorf("the flag of an opt-out that stands is evidence anew: %+v", done)
		}
		if done := shown("a1", true, true, 7); len(done) != 1 || done[0].Kind != Stop {
			t.Errorf("a flag that was set again is heard as %+v", done)
		}
	})
}

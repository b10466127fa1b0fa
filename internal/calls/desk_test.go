package calls

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
	"pgregory.net/rapid"
)

func eachWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) { test(t, newWorld(s, "a")) })
}

// D-18: each of a call's deliveries would have added a note of its own.
func TestSixDeliveriesMakeOneLogAndOneNote(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		for i, d := range deliveries("1") {
			if o := w.hear(t, d); o.Status == df.Quarantined || i == 0 && o.Status != df.Skipped || i > 0 && i < 5 && o.Status != df.Done {
				t.Errorf("delivery %d: %+v", i, o)
			}
		}
		if len(w.logs) != 1 || len(w.notes) != 1 {
			t.Fatalf("%d logs, %d notes", len(w.logs), len(w.notes))
		}
		l := w.logs[0]
		if l.AltID != "1" || l.Direction != Outbound || l.Status != "completed" || !l.At.Equal(noon) || l.Customer != customer || l.Line != line ||
			len(l.Attachments) != 1 || !strings.HasPrefix(l.Attachments[0], "https://dfm.example.test/recordings/recording-1-") {
			t.Errorf("%+v", l)
		}
		if body := w.notes[0].body; !strings.Contains(body, l.Attachments[0]) || !strings.Contains(body, "Agent: Ann") || strings.Contains(body, "r.example.test") {
			t.Errorf("%s", body)
		}
		want := []string{"Call: Completed", "Disposition: Interested", "Outbound Call"}
		if got := slices.Sorted(maps.Keys(w.tags)); !slices.Equal(got, want) {
			t.Errorf("tags %q, the wrong disposition's among them or ours missing", got)
		}
		writes := w.writes
		for _, d := range deliveries("1") {
			if o := w.hear(t, d); o.Status != df.Skipped {
				t.Errorf("once more: %+v", o)
			}
		}
		if w.writes != writes {
			t.Errorf("%d further writes for what GHL shows already", w.writes-writes)
		}
	})
}

// Shuffled, doubled, interleaved with another call of the same person, with
// answers lost and processes dying: one log and one note per call, and the same
// note and tags as in a quiet world.
func TestAnyOrderAndAnyTroubleMakeOneLogAndOneNotePerCall(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	calm := newWorld(s, "calm")
	for _, id := range []string{"c1", "c2"} {
		for _, d := range deliveries(id) {
			calm.hear(t, d)
		}
	}
	var runs atomic.Int64
	rapid.Check(t, func(r *rapid.T) {
		run := runs.Add(1)
		ids := []string{fmt.Sprintf("%d1", run), fmt.Sprintf("%d2", run)}
		w := newWorld(s, fmt.Sprintf("wild-%d", run))
		all := slices.Concat(deliveries(ids[0]), deliveries(ids[1]), deliveries(ids[0]))
		w.fates = rapid.SliceOfN(rapid.SampledFrom([]fate{well, well, lost, unsent, later, died, diedOn}), 0, 24).Draw(r, "fates")
		for _, d := range rapid.Permutation(all).Draw(r, "order") {
			if o := w.hear(t, d); o.Status == df.Quarantined {
				r.Fatalf("%+v", o)
			}
		}
		if len(w.logs) != 2 || len(w.notes) != 2 || !maps.Equal(w.tags, calm.tags) {
			r.Fatalf("%d logs, %d notes, tags %v instead of %v", len(w.logs), len(w.notes), w.tags, calm.tags)
		}
		for i, id := range ids {
			quiet := fmt.Sprintf("c%d", i+1)
			if got, want := w.noteOf(id), strings.ReplaceAll(calm.noteOf(quiet), quiet, id); got != want {
				r.Fatalf("note of %s\n%s\nin a quiet world\n%s", id, got, want)
			}
			l := w.logs[slices.IndexFunc(w.logs, func(l logged) bool { return l.AltID == id })]
			if len(l.Attachments) != 1 {
				r.Fatalf("attached to %s: %q", id, l.Attachments)
			}
		}
	})
}

// noteOf is the call's note without the time at which its links end.
func (w *world) noteOf(id string) string {
	i := slices.IndexFunc(w.notes, func(n noted) bool { return Marked(n.body, id) })
	var lines []string
	for text := range strings.SplitSeq(w.notes[i].body, "\n") {
		if strings.HasPrefix(text, "Recording: ") {
			text = text[:strings.LastIndex(text, "-")]
		}
		lines = append(lines, text)
	}
	return strings.Join(lines, "\n")
}

func TestALostAnswerIsLookedUpAndWhatWasNotSentIsMadeUpFor(t *testing.T) {
	for name, fates := range map[string][]fate{
		"the log's answer is lost": {lost}, "the note's answer is lost": {well, lost}, "neither was sent": {unsent, unsent},
		"died before the log": {died}, "died after the log": {diedOn}, "died after the note": {well, diedOn},
	} {
		t.Run(name, func(t *testing.T) {
			eachWorld(t, func(t *testing.T, w *world) {
				w.fates = fates
				w.hear(t, deliveries("1")[2])
				if len(w.logs) != 1 || len(w.notes) != 1 || len(w.tags) == 0 || len(w.logs[0].Attachments) != 1 {
					t.Errorf("%d logs, %d notes, %d tags", len(w.logs), len(w.notes), len(w.tags))
				}
			})
		})
	}
}

func TestWithoutOurAppTheNoteTellsOfTheCallAndTheLogIsMadeUpForLater(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.noLog = true
		if o := w.hear(t, deliveries("1")[1]); o.Status != df.Done || len(w.logs) != 0 || len(w.notes) != 1 || len(w.tags) == 0 {
			t.Fatalf("%+v: %d logs, %d notes", o, len(w.logs), len(w.notes))
		}
		lines, err := w.desk.Store.SyncLog(t.Context(), store.SyncFilter{PersonID: w.p.ID})
		if err != nil || len(lines) != 1 || !strings.Contains(lines[0].Message, "GHL_CALL_PROVIDER_ID") {
			t.Errorf("nobody is told why: %+v, %v", lines, err)
		}
		w.noLog = false // the app was installed
		if o := w.hear(t, deliveries("1")[1]); o.Status != df.Done || len(w.logs) != 1 || len(w.notes) != 1 {
			t.Errorf("%+v: %d logs, %d notes", o, len(w.logs), len(w.notes))
		}
	})
}

func TestACallIsKeptEvenWhenNothingCanBeShown(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.desk.GHL = nil
		if o := w.hear(t, deliveries("1")[3]); o.Status != df.Skipped || !strings.Contains(o.Reason, "not configured") {
			t.Errorf("%+v", o)
		}
		row, err := store.CallByID(t.Context(), w.desk.Store, "1")
		if err != nil || row.Outcome != Completed || row.Disposition != "Interested" || row.Customer != customer || row.PersonID != w.p.ID {
			t.Errorf("%+v, %v", row, err)
		}
		if owner, err := w.desk.Owner(t.Context(), "1"); owner != w.p.ID || err != nil {
			t.Errorf("owner %q, %v", owner, err)
		}
		if owner, err := w.desk.Owner(t.Context(), "2"); owner != "" || err != nil {
			t.Errorf("owner of an unknown call %q, %v", owner, err)
		}
		w.desk.GHL, w.p.GHLContactID = w, ""
		if o := w.hear(t, deliveries("1")[3]); o.Status != df.Quarantined {
			t.Errorf("%+v", o)
		}
	})
}

func TestWhatALogDoesNotTakeStandsInTheNote(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.refuses = &df.CallError{Upstream: "ghl", Operation: "set attachments", Outcome: df.Refused, Code: df.CodeInvalid, Status: 403}
		w.hear(t, deliveries("1")[1])
		if o := w.hear(t, deliveries("1")[2]); o.Status != df.Done || !strings.Contains(w.notes[0].body, "Recording: https://dfm.example.test") {
			t.Errorf("%+v\n%s", o, w.notes[0].body)
		}
	})
}

func TestADeletedNoteStaysDeleted(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.hear(t, deliveries("1")[1])
		w.notes = nil
		for _, d := range deliveries("1")[2:] {
			if o := w.hear(t, d); o.Status == df.Quarantined {
				t.Errorf("%+v", o)
			}
		}
		if len(w.notes) != 0 || len(w.logs) != 1 {
			t.Errorf("%d notes, %d logs", len(w.notes), len(w.logs))
		}
	})
}

// D-61: tags of the original were never revised.
func TestATagGoesWithItsReasonUnlessAnotherCallHasOne(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.hear(t, deliveries("1")[1])
		w.hear(t, deliveries("2")[1])
		if !w.tags["Disposition: No Answer"] {
			t.Fatalf("%v", w.tags)
		}
		w.hear(t, deliveries("1")[3])
		if !w.tags["Disposition: No Answer"] || !w.tags["Disposition: Interested"] {
			t.Errorf("another call's tag went: %v", w.tags)
		}
		w.hear(t, deliveries("2")[3])
		if w.tags["Disposition: No Answer"] {
			t.Errorf("a tag without a reason stayed: %v", w.tags)
		}
	})
}

func TestLinksAreRenewedOnceTheyEnded(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.hear(t, deliveries("1")[2])
		before := w.notes[0].body
		w.now = w.now.Add(23 * time.Hour)
		if w.hear(t, deliveries("1")[2]); w.notes[0].body != before {
			t.Error("a link was renewed before its end")
		}
		w.now = w.now.Add(2 * time.Hour)
		if w.hear(t, deliveries("1")[2]); w.notes[0].body == before || w.logs[0].Attachments[0] == "" {
			t.Error("a link that ended was offered again")
		}
	})
}

func TestWithoutAKeyNoAddressIsKept(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.desk.Sealer = nil
		w.hear(t, deliveries("1")[2])
		row, err := store.CallByID(t.Context(), w.desk.Store, "1")
		if err != nil || row.Recording != "" || len(w.logs[0].Attachments) != 0 || !strings.Contains(w.notes[0].body, "Recording: in Aloware") {
			t.Errorf("%+v, %v\n%s", row, err, w.notes[0].body)
		}
	})
}

func TestAWorkerThatLostItsLaneWritesNothing(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		_, err := w.desk.Hear(t.Context(), people.Lease{Lane: "person:p", Fence: 7}, w.p, df.Event{ID: "e", ReceivedAt: noon}, deliveries("1")[2])
		if err != people.ErrLeaseLost || w.writes != 0 {
			t.Errorf("%v, %d writes", err, w.writes)
		}
	})
}

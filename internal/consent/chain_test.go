package consent

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// evidence records a few acts with awkward words.
func evidence(t testing.TB, s *store.Store, r *Recorder) {
	t.Helper()
	odd := stopAct(bob, 2)
	odd.Words, odd.PersonID, odd.EventID, odd.MessageID = "=HYPERLINK(\"x\"), \"stop\"\r\n\\n ¡ya! 🛑 \x00<&>\xff", "p1", "e1", "SM1"
	keep(t, s, r, stopAct(ann, 1), odd, startAct(ann, 3), stopAct(ann, 4), stopAct(bob, 5))
}

func TestAnyTamperingWithTheEvidenceIsFound(t *testing.T) {
	t.Parallel()
	tampering := []struct{ name, statement string }{
		{"words edited", `UPDATE consent_events SET words = 'START' WHERE seq = 1`},
		{"kind edited", `UPDATE consent_events SET kind = 'start' WHERE seq = 4`},
		{"phone edited", `UPDATE consent_events SET phone = '+15005550133' WHERE seq = 2`},
		{"time edited", `UPDATE consent_events SET at = heard_at, heard_at = '2031-01-01 00:00:00+00:00' WHERE seq = 3`},
		{"certainty edited", `UPDATE consent_events SET certain = FALSE WHERE seq = 3`},
		{"message edited", `UPDATE consent_events SET message_id = 'SM9' WHERE seq = 2`},
		{"key edited", `UPDATE consent_events SET key = 'k' WHERE seq = 2`},
		{"actor edited", `UPDATE consent_events SET actor = 'kim' WHERE seq = 5`},
		{"hash edited", `UPDATE consent_events SET hash = prev_hash WHERE seq = 3`},
		{"first removed", `DELETE FROM consent_events WHERE seq = 1`},
		{"middle removed", `DELETE FROM consent_events WHERE seq = 3`},
		{"last removed", `DELETE FROM consent_events WHERE seq = 5`},
		{"all removed", `DELETE FROM consent_events`},
		{"last removed and head moved", `UPDATE consent_chain SET seq = 4`},
		{"two swapped", `UPDATE consent_events SET seq = CASE seq WHEN 2 THEN -3 ELSE -2 END WHERE seq IN (2, 3)`},
		{"one put in front", `UPDATE consent_events SET seq = 0 WHERE seq = 1`},
		{"one copied to the end", `INSERT INTO consent_events (seq, id, phone, kind, scopes, holder, actor, at, heard_at, source, words, rule,
			certain, message_id, event_id, person_id, prev_hash, hash) SELECT 6, 'x', phone, kind, scopes, holder, actor, at, heard_at, source,
			words, rule, certain, message_id, event_id, person_id, prev_hash, hash FROM consent_events WHERE seq = 5`},
		{"head edited", `UPDATE consent_chain SET hash = 'x'`},
	}
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		evidence(t, s, recorder())
		verified(t, s, 5)
		undo := errors.New("undo")
		for _, test := range tampering {
			err := s.InTx(t.Context(), func(tx store.Tx) error {
				if _, err := tx.Exec(t.Context(), test.statement); err != nil {
					t.Errorf("%s: %v", test.name, err)
				}
				if test.name == "two swapped" {
					if _, err := tx.Exec(t.Context(), `UPDATE consent_events SET seq = -seq WHERE seq < 0`); err != nil {
						t.Error(err)
					}
				}
				_, err := VerifyChain(t.Context(), store.New(within{s.Engine, tx}, nil), noon)
				var fault *Fault
				if !errors.As(err, &fault) || fault.Reason == "" || !strings.Contains(err.Error(), "broken") {
					t.Errorf("%s: %v", test.name, err)
				}
				return undo
			})
			if !errors.Is(err, undo) {
				t.Fatal(err)
			}
		}
		verified(t, s, 5)
	})
}

// within is an engine that reads inside a transaction.
type within struct {
	store.Engine
	store.Querier
}

func (w within) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	return w.Querier.Exec(ctx, query, args...)
}

func (w within) Row(ctx context.Context, query string, args ...any) store.Row {
	return w.Querier.Row(ctx, query, args...)
}

func (w within) Each(ctx context.Context, query string, args []any, scan func(store.Row) error) error {
	return w.Querier.Each(ctx, query, args, scan)
}

func TestAnExportProvesItself(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		evidence(t, s, recorder())
		whole := verified(t, s, 5)
		tests := []struct {
			name          string
			filter        Filter
			events, links int64
		}{
			{"everything", Filter{}, 5, 5},
			{"one number", Filter{Phone: bob}, 2, 4},
			{"a range", Filter{From: minute(3), Until: minute(5)}, 2, 3},
			{"nobody", Filter{Phone: "+15005550199"}, 0, 0},
		}
		for _, test := range tests {
			for _, format := range []Format{JSON, CSV} {
				var file bytes.Buffer
				wrote, err := Export(t.Context(), s, &file, test.filter, format, noon)
				if err != nil {
					t.Fatal(err)
				}
				read, err := VerifyExport(bytes.NewReader(file.Bytes()))
				if err != nil || read != wrote || read.Head != whole.Head || read.Events != test.events || read.Links != test.links {
					t.Errorf("%s as %s: wrote %+v, read %+v, %v", test.name, format, wrote, read, err)
				}
				if test.filter.Phone == bob && strings.Contains(file.String(), string(ann)) {
					t.Errorf("%s as %s tells about somebody else", test.name, format)
				}
			}
		}
	})
}

func TestNothingInAnExportCanBeAltered(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	evidence(t, s, recorder())
	for _, format := range []Format{JSON, CSV} {
		var file bytes.Buffer
		if _, err := Export(t.Context(), s, &file, Filter{Phone: ann}, format, noon); err != nil {
			t.Fatal(err)
		}
		good := file.String()
		for i := range len(good) - 1 {
			at, end := good[i], strings.LastIndex(good, "2030-01-02")
			if at == '\n' || at == ' ' || i >= end && i < end+len(chainTime) {
				continue // layout, and the time of the export, are not evidence
			}
			flipped := good[:i] + string(at^1) + good[i+1:]
			if _, err := VerifyExport(strings.NewReader(flipped)); err == nil {
				t.Fatalf("%s: a changed byte at %d passes: …%q…", format, i, flipped[max(0, i-20):min(len(flipped), i+20)])
			}
		}
		lines := strings.SplitAfter(good, "\n")
		for i := range lines {
			cut := strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), "")
			if _, err := VerifyExport(strings.NewReader(cut)); err == nil && lines[i] != "" {
				t.Errorf("%s: without line %d it passes", format, i)
			}
			if _, err := VerifyExport(strings.NewReader(strings.Join(lines[:i], ""))); err == nil && strings.Join(lines[i:], "") != "" {
				t.Errorf("%s: cut off before line %d it passes", format, i)
			}
		}
	}
	if _, err := Export(t.Context(), s, &bytes.Buffer{}, Filter{}, "xml", noon); !errors.Is(err, ErrFormat) {
		t.Errorf("a strange format: %v", err)
	}
}

func TestAnExportOfAPersonHoldsAllTheirNumbers(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	evidence(t, s, recorder())
	err := s.InTx(t.Context(), func(tx store.Tx) error {
		return store.InsertPerson(t.Context(), tx, store.Person{ID: "p1", GHLContactID: "C1", Phone: ann, OtherPhones: []df.Phone{bob},
			Status: "active", SyncDirection: "bidirectional", CreatedAt: noon, UpdatedAt: noon})
	})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if proof, err := Export(t.Context(), s, &file, Filter{PersonID: "p1"}, JSON, noon); err != nil || proof.Events != 5 {
		t.Errorf("%+v, %v", proof, err)
	}
	if _, err := Export(t.Context(), s, &file, Filter{PersonID: "nobody"}, JSON, noon); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
}

func TestACellOfASpreadsheetIsNoFormulaAndComesBackWhole(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "STOP", "=1+1", "+15005550111", "@x", "-1", "'quoted", "a\r\nb\\n", "\t=x", `\'`} {
		if got := uncell(cell(text)); got != text {
			t.Errorf("%q came back as %q", text, got)
		}
		if c := cell(text); c != "" && strings.ContainsRune("=+-@\t", rune(c[0])) {
			t.Errorf("%q is written as %q", text, c)
		}
	}
}

func FuzzVerifyExport(f *testing.F) {
	events := []store.ConsentEvent{eventOf(stopAct(ann, 1), "1"), eventOf(startAct(bob, 2), "2"), eventOf(stopAct(ann, 3), "3")}
	chained(events, 0, genesis)
	for _, format := range []Format{JSON, CSV} {
		f.Add(written(f, format, events))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		proof, err := VerifyExport(bytes.NewReader(file))
		if err != nil && proof != (Proof{}) {
			t.Errorf("%+v with %v", proof, err)
		}
	})
}

// written is an export of the events with the second one hidden.
func written(t testing.TB, format Format, events []store.ConsentEvent) []byte {
	t.Helper()
	var file bytes.Buffer
	buffered := bufio.NewWriter(&file)
	out, err := sinkFor(buffered, format)
	err = errors.Join(err, out.begin())
	for i, e := range events {
		content := bodyOf(e)
		r := record{Seq: e.Seq, Event: &content, Content: content.digest(), PrevHash: e.PrevHash, Hash: e.Hash}
		if i == 1 {
			r.Event = nil
		}
		err = errors.Join(err, out.record(r))
	}
	last := events[len(events)-1]
	err = errors.Join(err, out.end(head{Seq: last.Seq, Hash: last.Hash, Events: int64(len(events) - 1), At: noon.Format(chainTime)}), buffered.Flush())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyExport(bytes.NewReader(file.Bytes())); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/backup"
	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/sqlite"
)

// live is a database in use.
type live struct {
	path     string
	store    *store.Store
	recorder *consent.Recorder
}

func newLive(t *testing.T) *live {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dfm.db")
	engine, err := sqlite.Open(t.Context(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l := &live{path: path, store: store.New(engine, slog.New(slog.DiscardHandler))}
	t.Cleanup(func() { _ = l.store.Close() })
	if _, err := l.store.MigrateUp(t.Context(), time.Now); err != nil {
		t.Fatal(err)
	}
	l.recorder = &consent.Recorder{Targets: consent.Targets(true, true), Clock: time.Now, NewID: df.IDs(time.Now)}
	return l
}

// write makes one transaction: a link of the evidence and a line of the audit.
func (l *live) write(ctx context.Context, n int) error {
	return l.store.InTx(ctx, func(tx store.Tx) error {
		_, err := l.recorder.Record(ctx, tx, consent.Act{
			Kind: consent.Stop, Phone: df.Phone(fmt.Sprintf("+1202555%04d", n%10000)), Holder: consent.Text,
			HeardAt: time.Now(), Source: "texting", Words: "STOP", Rule: "stop", Certain: true, Key: fmt.Sprint("act-", n),
		})
		if err != nil {
			return err
		}
		return store.InsertAudit(ctx, tx, store.AuditRow{At: time.Now(), Actor: "test", Action: "storm", Target: fmt.Sprint(n),
			Details: map[string]any{"filling": strings.Repeat("x", 2000)}})
	})
}

func (l *live) fill(t *testing.T, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		if err := l.write(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
}

// storm writes until the returned function is called, which returns how many
// transactions there were.
func (l *live) storm(t *testing.T, from int) (stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	n := 0
	writing.Go(func() {
		for ctx.Err() == nil {
			if err := l.write(context.WithoutCancel(ctx), from+n); err != nil {
				t.Error(err)
				return
			}
			n++
		}
	})
	return func() int { cancel(); writing.Wait(); return n }
}

func verified(t *testing.T, file string) backup.Report {
	t.Helper()
	r, err := backup.Verify(t.Context(), file, time.Now)
	if err != nil || !r.OK {
		t.Fatalf("verify: %v, %q", err, r.Problems)
	}
	return r
}

// A backup in a storm of writes is of one moment: each transaction of the storm
// writes to two tables, and both or neither are in it. The storm is not held up.
func TestABackupInAStormIsOfOneMoment(t *testing.T) {
	t.Parallel()
	l := newLive(t)
	l.fill(t, 0, 200)
	stop := l.storm(t, 200)
	var last int64
	for i := range 5 {
		file := filepath.Join(t.TempDir(), "copy.db")
		made, err := backup.Create(t.Context(), l.path, file, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		got := verified(t, file)
		if got.Links != got.Tables["audit_log"] || got.Links != got.Tables["consent_events"] || got.Links < last || got.Head != made.Head {
			t.Errorf("backup %d: %d links, %d acts, %d audited, %d before", i, got.Links, got.Tables["consent_events"], got.Tables["audit_log"], last)
		}
		last = got.Links
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file has mode %v, %v", info.Mode(), err)
		}
		names, err := os.ReadDir(filepath.Dir(file))
		if err != nil || len(names) != 1 {
			t.Errorf("the folder holds %v, %v", names, err)
		}
	}
	if wrote := stop(); wrote == 0 || last <= 200 {
		t.Errorf("%d writes during the backups, the last of which has %d: nothing was proven", wrote, last)
	}
}

// A drill under load compares the restored database with the very moment of its
// backup, so that it neither passes nor fails by chance.
func TestADrillUnderLoadFindsNoDifference(t *testing.T) {
	t.Parallel()
	l := newLive(t)
	l.fill(t, 0, 50)
	stop := l.storm(t, 50)
	scratch := t.TempDir()
	done, err := backup.Drill(t.Context(), l.path, scratch, time.Now)
	stop()
	if err != nil || !done.OK || done.Links < 50 || done.Tables["consent_events"] != done.Links {
		t.Fatalf("%v: %+v", err, done)
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) != 0 {
		t.Errorf("the drill left %v, %v", left, err)
	}
}

func TestABackupIsNeverWrittenOverAFile(t *testing.T) {
	t.Parallel()
	l := newLive(t)
	file := filepath.Join(t.TempDir(), "mine")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Create(t.Context(), l.path, file, time.Now); err == nil {
		t.Error("it was overwritten")
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "mine" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := backup.Create(t.Context(), filepath.Join(t.TempDir(), "none.db"), filepath.Join(t.TempDir(), "x"), time.Now); err == nil || !strings.Contains(err.Error(), "there is no file") {
		t.Errorf("a database that is not there: %v", err)
	}
}

// What is wrong with a file is said in a sentence, and the file is left as it was.
func TestVerifyNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	l := newLive(t)
	l.fill(t, 0, 300)
	good := filepath.Join(t.TempDir(), "good.db")
	if _, err := backup.Create(t.Context(), l.path, good, time.Now); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for title, c := range map[string]struct {
		spoil func(t *testing.T, file string)
		want  string
	}{
		"pages overwritten": {func(t *testing.T, file string) {
			spoilt := bytes.Clone(whole)
			for i := len(spoilt) / 2; i < len(spoilt)/2+20_000; i++ {
				spoilt[i] = 0x5a
			}
			write(t, file, spoilt)
		}, "damaged"},
		"cut off":   {func(t *testing.T, file string) { write(t, file, whole[:len(whole)/2]) }, "damaged"},
		"empty":     {func(t *testing.T, file string) { write(t, file, nil) }, "no SQLite database"},
		"not a one": {func(t *testing.T, file string) { write(t, file, []byte(strings.Repeat("no database ", 900))) }, "no SQLite database"},
		"evidence rewritten": {func(t *testing.T, file string) {
			change(t, file, `UPDATE consent_events SET words = 'START' WHERE seq = 7`)
		}, "broken at 7: the content was changed"},
		"evidence cut": {func(t *testing.T, file string) {
			change(t, file, `DELETE FROM consent_events WHERE seq = 300`)
		}, "broken at 300: the link is missing"},
		"from a newer release": {func(t *testing.T, file string) {
			change(t, file, `INSERT INTO dfm_migrations (version, name, applied_at) VALUES (9000, 'x', '2030-01-01')`)
		}, "9000, which this release does not know"},
		"somebody else's": {func(t *testing.T, file string) { change(t, file, `DROP TABLE dfm_migrations`) }, "not one of dfm's"},
	} {
		t.Run(title, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "bad.db")
			write(t, file, whole)
			c.spoil(t, file)
			before, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r, err := backup.Verify(t.Context(), file, time.Now)
			if err != nil || r.OK || !strings.Contains(strings.Join(r.Problems, "\n"), c.want) {
				t.Errorf("%v, %q", err, r.Problems)
			}
			if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
				t.Errorf("verifying changed the file: %v", err)
			}
			target := filepath.Join(t.TempDir(), "dfm.db")
			if _, err := backup.Restore(t.Context(), file, target, true, time.Now); err == nil || !strings.Contains(err.Error(), "nothing was restored") {
				t.Errorf("it was restored: %v", err)
			}
		})
	}
	if _, err := backup.Verify(t.Context(), filepath.Join(t.TempDir(), "none"), time.Now); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// change changes a file behind the program's back.
func change(t *testing.T, file, statement string) {
	t.Helper()
	engine, err := sqlite.Open(t.Context(), file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestARestoreGoesThereAndBack(t *testing.T) {
	t.Parallel()
	l := newLive(t)
	l.fill(t, 0, 20)
	file := filepath.Join(t.TempDir(), "copy.db")
	made, err := backup.Create(t.Context(), l.path, file, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	l.fill(t, 20, 30)
	if err := l.store.Own(); err != nil { // as dfm serve does
		t.Fatal(err)
	}
	if _, err := backup.Restore(t.Context(), file, l.path, true, time.Now); err == nil || !strings.Contains(err.Error(), "in use by another dfm serve") {
		t.Fatalf("restored under a running server: %v", err)
	}
	if err := l.store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Restore(t.Context(), file, l.path, false, time.Now); !errors.Is(err, backup.ErrInTheWay) {
		t.Fatalf("replaced without being told to: %v", err)
	}
	if _, err := backup.Restore(t.Context(), l.path, l.path, true, time.Now); err == nil || !strings.Contains(err.Error(), "the database itself") {
		t.Fatalf("restored from itself: %v", err)
	}
	done, err := backup.Restore(t.Context(), file, l.path, true, time.Now)
	if err != nil || done.Head != made.Head || done.Links != 20 {
		t.Fatalf("%v: %+v", err, done)
	}
	if got := verified(t, l.path); got.Links != 20 || got.Head != made.Head {
		t.Errorf("restored to %d links", got.Links)
	}
	if got := verified(t, done.Kept); got.Links != 30 {
		t.Errorf("the old database has %d links", got.Links)
	}
	// And it works on: what is opened is the restored one.
	again, err := sqlite.Open(t.Context(), l.path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l.store = store.New(again, slog.New(slog.DiscardHandler))
	l.fill(t, 40, 41)
	if got := verified(t, l.path); got.Links != 21 {
		t.Errorf("after a further write there are %d links", got.Links)
	}
}

// A server that was killed leaves a write-ahead log. SQLite would play it into
// whatever file has the database's name.
func TestWhatAKilledServerLeftIsNotPlayedIntoTheRestoredFile(t *testing.T) {
	t.Parallel()
	for _, damaged := range []bool{false, true} {
		l := newLive(t)
		l.fill(t, 0, 10)
		file := filepath.Join(t.TempDir(), "copy.db")
		if _, err := backup.Create(t.Context(), l.path, file, time.Now); err != nil {
			t.Fatal(err)
		}
		l.fill(t, 10, 30)
		// What lies on disk now is what a power cut would leave.
		crashed := filepath.Join(t.TempDir(), "dfm.db")
		for _, end := range []string{"", "-wal"} {
			data, err := os.ReadFile(l.path + end)
			if err != nil {
				t.Fatal(err)
			}
			if damaged && end == "" {
				copy(data[100:], bytes.Repeat([]byte{0xff}, 3000))
			}
			write(t, crashed+end, data)
		}
		done, err := backup.Restore(t.Context(), file, crashed, true, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if got := verified(t, crashed); got.Links != 10 {
			t.Errorf("damaged %v: %d links after the restore", damaged, got.Links)
		}
		if !damaged {
			if got := verified(t, done.Kept); got.Links != 30 {
				t.Errorf("the old database lost what was in its log: %d links", got.Links)
			}
		}
	}
}

func TestAKeeperMakesWhatIsDueAndThrowsTheOldestAway(t *testing.T) {
	t.Parallel()
	l := newLive(t)
	l.fill(t, 0, 3)
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	folder := filepath.Join(t.TempDir(), "new", "folder")
	k := &backup.Keeper{Database: l.path, Folder: folder, Every: time.Hour, Keep: 2, Clock: func() time.Time { return now }}
	if last, err := k.Last(); err != nil || !last.IsZero() {
		t.Fatalf("%v, %v", last, err)
	}
	for range 4 {
		if made, err := k.Run(t.Context()); err != nil || made == nil || !made.OK {
			t.Fatalf("%v, %+v", err, made)
		}
		now = now.Add(59 * time.Minute)
		if made, err := k.Run(t.Context()); err != nil || made != nil {
			t.Fatalf("made one too early: %v, %+v", err, made)
		}
		now = now.Add(time.Minute)
	}
	write(t, filepath.Join(folder, "dfm-of-mine.db"), []byte("not ours"))
	found, err := k.List()
	if err != nil || len(found) != 2 || !found[1].At.Equal(now.Add(-time.Hour)) {
		t.Fatalf("%v, %v", found, err)
	}
	// One that fails throws nothing away.
	k.Database = filepath.Join(t.TempDir(), "gone.db")
	if _, err := k.Run(t.Context()); err == nil {
		t.Fatal("a database that is not there was backed up")
	}
	if found, err := k.List(); err != nil || len(found) != 2 {
		t.Errorf("%v, %v", found, err)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 3 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

package sqlite_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/sqlite"
)

func open(t *testing.T, path string) *sqlite.Engine {
	t.Helper()
	e, err := sqlite.Open(t.Context(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestAFileBelongsToOneProcessUntilItIsClosed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new folder", "d f.db")
	first, second := open(t, path), open(t, path)
	if err := first.Own(); err != nil {
		t.Fatal(err)
	}
	if err := second.Own(); err == nil || !strings.Contains(err.Error(), "PostgreSQL") {
		t.Errorf("two own it: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := second.Own(); err != nil {
		t.Errorf("after the first one left: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

// Every answered commit is on disk: write-ahead journal, synchronous FULL (2).
func TestTheFileIsOpenedForDurability(t *testing.T) {
	t.Parallel()
	e := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	var journal string
	if err := e.Row(t.Context(), "PRAGMA journal_mode").Scan(&journal); err != nil || journal != "wal" {
		t.Errorf("journal %q, %v", journal, err)
	}
	if err := e.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	err := e.InTx(t.Context(), func(tx store.Tx) error {
		var synchronous int
		err := tx.Row(t.Context(), "PRAGMA synchronous").Scan(&synchronous)
		if synchronous != 2 {
			t.Errorf("synchronous is %d, not FULL", synchronous)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	var queryOnly int
	if err := e.Row(t.Context(), "PRAGMA query_only").Scan(&queryOnly); err != nil || queryOnly != 1 {
		t.Errorf("readers can write: %d, %v", queryOnly, err)
	}
}

func TestAPathThatCannotBeWrittenIsNamed(t *testing.T) {
	t.Parallel()
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := sqlite.Open(t.Context(), filepath.Join(blocked, "x.db"), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "SQLite") {
		t.Errorf("%v", err)
	}
}

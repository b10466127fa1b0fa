// Package storetest gives tests an empty, migrated store on every engine there
// is: SQLite always, PostgreSQL when TEST_DATABASE_URL names a server (which
// script/test sees to). What passes on one must pass on the other.
package storetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/postgres"
	"github.com/df-middleware/dfm/internal/store/sqlite"
)

// EachEngine runs the test once per engine, in parallel, each time with a store
// of its own.
func EachEngine(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, SQLite(t))
	})
	if os.Getenv("TEST_DATABASE_URL") == "" {
		return
	}
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, Postgres(t))
	})
}

// SQLite returns a migrated store in a new file.
func SQLite(t testing.TB) *store.Store {
	t.Helper()
	engine, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return migrated(t, engine)
}

// Postgres returns a migrated store in a new schema of the test server, which
// is dropped when the test ends.
func Postgres(t testing.TB) *store.Store {
	t.Helper()
	engine, err := postgres.Open(t.Context(), PostgresURL(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return migrated(t, engine)
}

// PostgresURL makes a new schema on the test server and returns a URL that
// leads into it.
func PostgresURL(t testing.TB) string {
	t.Helper()
	server := os.Getenv("TEST_DATABASE_URL")
	if server == "" {
		t.Fatal("TEST_DATABASE_URL is not set; run ./script/test")
	}
	var suffix [6]byte
	_, _ = rand.Read(suffix[:])
	schema := "dfm_test_" + hex.EncodeToString(suffix[:])
	run(t, server, "CREATE SCHEMA "+schema)
	t.Cleanup(func() { run(t, server, "DROP SCHEMA "+schema+" CASCADE") })
	address, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	query := address.Query()
	query.Set("search_path", schema)
	address.RawQuery = query.Encode()
	return address.String()
}

func run(t testing.TB, server, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Error(err)
	}
}

func migrated(t testing.TB, engine store.Engine) *store.Store {
	t.Helper()
	s := store.New(engine, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.MigrateUp(t.Context(), time.Now); err != nil {
		t.Fatal(err)
	}
	return s
}

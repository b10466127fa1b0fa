package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/df-middleware/dfm/internal/store/storetest"
)

func TestTheOriginalIsImportedAtTheCommandLine(t *testing.T) {
	t.Parallel()
	if os.Getenv("TEST_DATABASE_URL") == "" {
		t.Skip("TEST_DATABASE_URL is not set: the original runs on PostgreSQL")
	}
	url := storetest.PostgresURL(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.PgConn().Exec(t.Context(), `CREATE TABLE optout_registry (id int, phone_number text, status text, source text, last_event_at timestamptz);
		INSERT INTO optout_registry VALUES (1, '+15005550111', 'opted_out', 'manual', now()), (2, '?', 'opted_out', 'manual', now())`).ReadAll(); err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{"DATABASE_URL": "sqlite:" + filepath.Join(t.TempDir(), "x.db"), "LEGACY_DATABASE_URL": url}
	if got := run(t, settings, "migrate", "up"); got.code != exitOK {
		t.Fatal(got)
	}
	dry := run(t, settings, "import-legacy", "--dry-run")
	if dry.code != exitOK || !strings.Contains(dry.out, "WOULD IMPORT") || !strings.Contains(dry.out, "Nothing was written.") ||
		!strings.Contains(dry.out, "optout_registry lacks reason") || !strings.Contains(dry.err, "optout_registry: 2 of 2") {
		t.Errorf("%+v", dry)
	}
	var report struct {
		DryRun bool
		Tables []struct {
			Table             string
			Imported, Refused int64
		}
	}
	got := run(t, settings, "import-legacy", "--json")
	if err := json.Unmarshal([]byte(got.out), &report); err != nil || got.code != exitOK || report.DryRun || report.Tables[1].Imported != 1 || report.Tables[1].Refused != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if got := run(t, settings, "export", "optouts", "--format", "csv"); !strings.Contains(got.out, "legacy import") {
		t.Errorf("%+v", got)
	}
}

package cli

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/app"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// keptWorld is a database with one person and one of the person's events.
func keptWorld(t *testing.T) map[string]string {
	t.Helper()
	ctx, at := t.Context(), time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	settings := map[string]string{"DATABASE_URL": "sqlite:" + filepath.Join(t.TempDir(), "x.db"), "LOG_LEVEL": "error"}
	if got := run(t, settings, "migrate", "up"); got.code != exitOK {
		t.Fatal(got)
	}
	config, err := app.Load(func(name string) (string, bool) { value, ok := settings[name]; return value, ok })
	if err != nil {
		t.Fatal(err)
	}
	db, err := app.OpenStore(ctx, config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	err = db.InTx(ctx, func(tx store.Tx) error {
		return store.InsertPerson(ctx, tx, store.Person{ID: "someone", GHLContactID: "C1", Phone: "+15005550111", Status: "active", CreatedAt: at, UpdatedAt: at})
	})
	if err == nil {
		_, err = db.Accept(ctx, []store.Delivery{{DedupeKey: "k", DedupeUntil: at, Event: df.Event{ID: "e1", Source: df.SourceGHL, ReceivedAt: at,
			Status: df.Skipped, PersonID: "someone", Notice: df.Notice{ContactID: "C1"}, Raw: []byte(`{"city":"Oslo"}`)}}}, at)
	}
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

func TestAPersonIsErasedAtTheCommandLine(t *testing.T) {
	t.Parallel()
	settings := keptWorld(t)
	counted := run(t, settings, "erase", "someone")
	if counted.code != exitOK || !strings.Contains(counted.out, "nothing was changed") || !strings.Contains(counted.out, "webhook_events") {
		t.Errorf("%+v", counted)
	}
	var done struct {
		DryRun  bool
		Erasure struct{ PersonID string }
	}
	got := run(t, settings, "erase", "--yes", "--reason", "a letter", "--json", "someone")
	if err := json.Unmarshal([]byte(got.out), &done); err != nil || done.DryRun || done.Erasure.PersonID != "someone" {
		t.Errorf("%+v, %v", got, err)
	}
	if got := run(t, settings, "erase", "someone"); got.code != exitFailed || !strings.Contains(got.err, "no such person") {
		t.Errorf("%+v", got)
	}
	if got := run(t, settings, "export", "events"); strings.Contains(got.out, "Oslo") || strings.Contains(got.out, "C1") {
		t.Errorf("%+v", got)
	}
}

func TestEventsAndPeopleAreExportedAsJSONLines(t *testing.T) {
	t.Parallel()
	settings := keptWorld(t)
	for kind, want := range map[string]string{"people": `"phoneNumber":"+15005550111"`, "events": `"payload":{"city":"Oslo"}`} {
		got := run(t, settings, "export", kind)
		if got.code != exitOK || strings.Count(got.out, "\n") != 1 || !json.Valid([]byte(got.out)) || !strings.Contains(got.out, want) {
			t.Errorf("%s: %+v", kind, got)
		}
	}
	if got := run(t, settings, "export", "events", "--source", "aloware"); got.code != exitOK || got.out != "" {
		t.Errorf("%+v", got)
	}
	if got := run(t, settings, "export", "events", "--from", "tomorrow"); got.code != exitFailed {
		t.Errorf("%+v", got)
	}
}

func TestExportedEvidenceIsVerified(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "evidence.json")
	if got := run(t, keptWorld(t), "export", "optouts", "--out", file); got.code != exitOK {
		t.Fatal(got)
	}
	if got := run(t, nil, "export", "verify", file); got.code != exitOK || !strings.Contains(got.out, "nothing was altered") {
		t.Errorf("%+v", got)
	}
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := run(t, nil, "export", "verify", file); got.code != exitFailed {
		t.Errorf("%+v", got)
	}
}

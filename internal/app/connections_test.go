package app

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/backup"
	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/store"
)

// found is what one check said.
func found(t *testing.T, a *App, name string) console.Connection {
	t.Helper()
	all := a.Connections(t.Context())
	i := slices.IndexFunc(all, func(c console.Connection) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("there is no check %q", name)
	}
	return all[i]
}

func wants(t *testing.T, a *App, name, status, text string) {
	t.Helper()
	if got := found(t, a, name); got.Status != status || !strings.Contains(got.Message, text) {
		t.Errorf("%s: %s, %q; want %s, %q", name, got.Status, got.Message, status, text)
	}
}

// The names are part of the admin API: programs look for them.
func TestChecksKeepTheirNames(t *testing.T) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		world := newWorld(t, sandbox.Config{})
		a := build(t, world, databaseURL, time.Now, nil)
		start(t, world, a)
		var names []string
		for _, c := range a.Connections(t.Context()) {
			names = append(names, c.Name)
			if !slices.Contains([]string{"ok", "warning", "not_configured"}, c.Status) {
				t.Errorf("in a healthy world %s is %s: %s", c.Name, c.Status, c.Message)
			}
			if c.Status != "not_configured" && c.Message == "" {
				t.Errorf("%s says nothing", c.Name)
			}
		}
		want := []string{"database", "ghl", "aloware", "verity", "texting", "clerk", "schema", "settings", "encryption", "base-url", "clock",
			"disk", "spill", "backup", "ghl-scopes", "ghl-app", "ghl-provider", "ghl-webhook-key", "ghl-broadcasts", "aloware-writes",
			"aloware-native", "verity-catalogue", "clerk-keys"}
		if !slices.Equal(names, want) {
			t.Errorf("the checks are %v", names)
		}
		if glance := a.Health(t.Context()); len(glance) != 6 {
			t.Errorf("the overview makes %d checks", len(glance))
		}
		out, err := a.outward(t.Context())
		if err != nil || len(out.Budgets) != 2 || len(out.Breakers) != 2 || out.Breakers[1].State != "closed" || out.Budgets[1].Now == 0 {
			t.Errorf("%v: %+v", err, out)
		}
	})
}

// A budget that another instance has used up, or that an upstream holds, is shown
// as it is in the database.
func TestBudgetsAreThoseOfAllInstances(t *testing.T) {
	world := newWorld(t, sandbox.Config{})
	a := build(t, world, "sqlite:"+filepath.Join(t.TempDir(), "dfm.db"), time.Now, nil)
	start(t, world, a)
	account, _ := a.sync.callers["ghl"].Budget()
	until := time.Now().Add(time.Hour)
	if err := (budget{a.store, a.clock}).Hold(t.Context(), account, until); err != nil { // as another instance would
		t.Fatal(err)
	}
	out, err := a.outward(t.Context())
	if err != nil || out.Budgets[1].Upstream != "ghl" || out.Budgets[1].Now != 0 || out.Budgets[1].HeldUntil.UnixMicro() != until.UnixMicro() {
		t.Errorf("%v: %+v", err, out.Budgets)
	}
}

// Two engines on one pair of systems write everything twice, and no call of
// Aloware's API tells that its own is on.
func TestAlowaresOwnIntegrationIsNoticedByWhatItMakes(t *testing.T) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		world := newWorld(t, sandbox.Config{})
		a := build(t, world, databaseURL, time.Now, nil)
		start(t, world, a)
		hear := func(kind df.Kind, intake string) {
			t.Helper()
			raw, err := json.Marshal(map[string]any{"event": "Contact", "body": map[string]any{"id": 7, "intake_source": intake}})
			if err != nil {
				t.Fatal(err)
			}
			e := df.Event{ID: a.newID(), ReceivedAt: a.clock(), Source: df.SourceAloware, Route: "aloware", Status: df.Skipped,
				Reason: "a test", Raw: raw, Notice: df.Notice{Kind: kind, Type: "Contact"}}
			if _, err := a.store.Accept(t.Context(), []store.Delivery{{Event: e, DedupeKey: e.ID, DedupeUntil: a.clock()}}, a.clock()); err != nil {
				t.Fatal(err)
			}
		}
		wants(t, a, "aloware-native", "ok", "nothing for 7 days")
		hear(df.KindContactCreated, "api")
		wants(t, a, "aloware-native", "ok", "in the 1 latest")
		hear(df.KindContactUpdated, "gohighlevel") // which was made before it was switched off
		wants(t, a, "aloware-native", "ok", "made before")
		hear(df.KindContactCreated, "GoHighLevel")
		wants(t, a, "aloware-native", "warning", "Switch it off in Aloware")
	})
}

func TestChecksSayWhatToDo(t *testing.T) {
	world := newWorld(t, sandbox.Config{})
	clock, spill, backups := &skipping{}, t.TempDir(), t.TempDir()
	path := filepath.Join(t.TempDir(), "dfm.db")
	a := build(t, world, "sqlite:"+path, clock.now, map[string]string{"DFM_SPILL_DIR": spill, "DFM_BACKUP_DIR": backups, "DFM_ROLES": "web,gateway"})
	start(t, world, a)
	wants(t, a, "spill", "ok", "no delivery")
	if err := os.WriteFile(filepath.Join(spill, "x.json.unreadable"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, a, "spill", "warning", "cannot be read")

	wants(t, a, "backup", "warning", "no backup yet")
	if _, err := (&backup.Keeper{Database: path, Folder: backups, Every: time.Hour, Keep: 1, Clock: clock.now}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	wants(t, a, "backup", "ok", "1 backups")
	a.config.BaseURL = a.URL("web")
	wants(t, a, "base-url", "ok", "leads to a web app")
	a.config.BaseURL = world.Verity.URL()
	wants(t, a, "base-url", "warning", "the proxy leads elsewhere")

	wants(t, a, "encryption", "ok", "0 under the previous")
	if _, _, err := a.store.LeaseToken(t.Context(), "x", "o", clock.now(), clock.now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	lost := store.SharedToken{Sealed: "v1.deadbeef.AAAA"}
	if err := a.store.SaveToken(t.Context(), "x", "o", lost, clock.now()); err != nil {
		t.Fatal(err)
	}
	wants(t, a, "encryption", "failed", "DF_ENCRYPTION_KEY_PREVIOUS")

	wants(t, a, "clock", "ok", "agrees")
	clock.skip(50 * time.Hour)
	wants(t, a, "clock", "warning", "ahead of that of")
	wants(t, a, "backup", "warning", "overdue")
}

// A token that may not make a call, and an object that nobody made, are named.
func TestGHLSaysWhatIsMissing(t *testing.T) {
	world := newWorld(t, sandbox.Config{})
	a := build(t, world, "sqlite:"+filepath.Join(t.TempDir(), "dfm.db"), time.Now, map[string]string{"GHL_API_KEY": "wrong-token"})
	start(t, world, a)
	for _, name := range []string{"ghl", "ghl-scopes", "ghl-broadcasts"} {
		if got := found(t, a, name); got.Status != "failed" || strings.Contains(got.Message, "wrong-token") {
			t.Errorf("%+v", got)
		}
	}
}

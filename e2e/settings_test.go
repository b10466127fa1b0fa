package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// All that is wrong with the settings is said at once, by name, never by value.
func TestWrongSettingsAreAllNamedAtOnce(t *testing.T) {
	t.Parallel()
	wrong := settings{
		"DATABASE_URL": "mysql://root@localhost/x", "PORT": "many", "WEB_PORT": "70000", "HOST": "nowhere in particular",
		"BASE_URL": "example.test", "DF_ENCRYPTION_KEY": "c2hvcnQ=", "DFM_ALLOW_UNSIGNED": "everybody",
		"DFM_ROLES": "web,king", "GHL_API_KEY": "e2e-pit-without-location", "GHL_CLIENT_ID": "half",
		"ALOWARE_BASE_URL": "ftp://aloware", "ALOWARE_WEBHOOK_BASIC_USER": "half", "JOB_RETRY_LIMIT": "-1",
		"JOB_RETRY_DELAY": "soon", "LOG_LEVEL": "loud", "LOG_FORMAT": "xml", "CONTACT_SOURCE_OF_TRUTH": "both",
		"VERITY_CATALOG_MODE": "maybe", "CORS_ALLOWED_ORIGINS": "example.test", "DFM_DEDUPE_WINDOW": "0",
		"GHL_RATE_PER_10S": "0", "DF_ADMIN_SECRET_FILE": "/nowhere/secret",
	}
	named := map[string]string{ // where the complaint has another name than the cause
		"GHL_API_KEY": "GHL_LOCATION_ID", "GHL_CLIENT_ID": "GHL_CLIENT_SECRET",
		"ALOWARE_WEBHOOK_BASIC_USER": "ALOWARE_WEBHOOK_BASIC_PASS",
	}
	for _, command := range [][]string{{"serve"}, {"doctor"}, {"migrate", "status"}} {
		got := dfm(t, wrong, command...)
		if got.code != 2 {
			t.Errorf("%v: exit %d", command, got.code)
		}
		for name, value := range wrong {
			if other, ok := named[name]; ok {
				name = other
			}
			if !strings.Contains(got.stderr, "  "+name+": ") {
				t.Errorf("%v does not name %s: %s", command, name, got.stderr)
			}
			if len(value) > 6 && strings.Contains(got.stderr, value) {
				t.Errorf("%v repeats the value of %s", command, name)
			}
		}
	}
	for _, usage := range [][]string{{}, {"fly"}, {"serve", "--wings"}, {"serve", "now"}, {"migrate"}, {"migrate", "sideways"}, {"keys", "revoke"}} {
		if got := dfm(t, basics(sqliteURL(t), t.TempDir()), usage...); got.code != 2 {
			t.Errorf("dfm %v: exit %d, %s", usage, got.code, got.stderr)
		}
	}
}

// NAME_FILE holds a secret that is not to stand in the environment, and .env is
// read; the environment wins over it.
func TestSettingsComeFromFilesToo(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	secret := filepath.Join(folder, "admin-secret")
	const inFile = "e2e-secret-in-a-file-97"
	if err := os.WriteFile(secret, []byte(inFile+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const inDotenv = "e2e-secret-in-dotenv-98"
	dotenv := "# comment\nexport X_DF_JOBS_SECRET='" + inDotenv + "'\nDF_MIDDLEWARE_API_KEY=overruled-99 # trailing\nLOG_LEVEL=\"debug\"\n"
	journal.secret("the secret in a file", inFile)
	journal.secret("the secret in .env", inDotenv)
	env := basics(sqliteURL(t), folder)
	delete(env, "DF_ADMIN_SECRET")
	delete(env, "X_DF_JOBS_SECRET")
	delete(env, "LOG_LEVEL")
	env["DF_ADMIN_SECRET_FILE"] = secret
	p := newProcess(t, env)
	if err := os.WriteFile(filepath.Join(p.folder, ".env"), []byte(dotenv), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start()
	for value, want := range map[string]int{inFile: 200, inDotenv: 401, adminSecret: 401} {
		if got := call(t, http.MethodGet, p.web()+"/api/admin/events", http.Header{"X-Df-Admin-Secret": {value}}, ""); got.status != want {
			t.Errorf("admin with %.12s…: %d", value, got.status)
		}
	}
	if got := call(t, http.MethodGet, p.web()+"/api/jobs/process-pending", http.Header{"X-Df-Jobs-Secret": {inDotenv}}, ""); got.status != 200 {
		t.Errorf("jobs with the secret of .env: %d", got.status)
	}
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, ".env"), []byte("this is no setting\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := dfmIn(t, broken, basics(sqliteURL(t), broken), "doctor"); got.code != 2 || !strings.Contains(got.stderr, "line 1") {
		t.Errorf("a broken .env: exit %d, %s", got.code, got.stderr)
	}
}

// migrate up, down, status; serve without migrating says what to run.
func TestMigrationsByHand(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		folder := t.TempDir()
		env := basics(databaseURL, folder).with(settings{"DFM_AUTO_MIGRATE": "false"})
		type step struct {
			Version   int
			AppliedAt *string
		}
		status := func() (applied, pending int) {
			got := dfm(t, env, "migrate", "--json", "status")
			var steps []step
			if err := json.Unmarshal([]byte(got.stdout), &steps); err != nil || got.code != 0 {
				t.Fatalf("exit %d, %v: %s%s", got.code, err, got.stdout, got.stderr)
			}
			for _, s := range steps {
				if s.AppliedAt != nil {
					applied++
				} else {
					pending++
				}
			}
			return applied, pending
		}
		if applied, pending := status(); applied != 0 || pending == 0 {
			t.Errorf("a new database has %d applied, %d pending", applied, pending)
		}
		behind := dfm(t, env, "serve")
		if behind.code != 1 || !strings.Contains(behind.stderr, "dfm migrate up") {
			t.Errorf("serve on an old schema: exit %d, %s", behind.code, behind.stderr)
		}
		if got := dfm(t, env, "migrate", "up"); got.code != 0 {
			t.Fatalf("up: exit %d, %s", got.code, got.stderr)
		}
		if got := dfm(t, env, "migrate", "up"); got.code != 0 || !strings.Contains(got.stdout, "up to date") {
			t.Errorf("up again: exit %d, %s%s", got.code, got.stdout, got.stderr)
		}
		all, pending := status()
		if pending != 0 {
			t.Errorf("%d pending after up", pending)
		}
		for range all {
			if got := dfm(t, env, "migrate", "down"); got.code != 0 {
				t.Fatalf("down: exit %d, %s", got.code, got.stderr)
			}
		}
		if applied, _ := status(); applied != 0 {
			t.Errorf("%d applied after all were taken back", applied)
		}
		if got := dfm(t, env, "migrate", "down"); got.code != 1 {
			t.Errorf("down of nothing: exit %d", got.code)
		}
		if got := dfm(t, env, "migrate", "up"); got.code != 0 {
			t.Fatalf("up after down: exit %d, %s", got.code, got.stderr)
		}
		p := serve(t, env)
		p.stop()
	})
}

// doctor looks at everything for real and says by its exit code what it found.
func TestDoctor(t *testing.T) {
	t.Parallel()
	world, upstreams := newWorld(t)
	env := upstreams.with(basics(sqliteURL(t), t.TempDir()))
	if got := dfm(t, env, "migrate", "up"); got.code != 0 {
		t.Fatal(got.stderr)
	}
	check := func(env settings) (int, map[string]string) {
		got := dfm(t, env, "doctor", "--json")
		var found []struct{ Name, Status, Message string }
		if err := json.Unmarshal([]byte(got.stdout), &found); err != nil {
			t.Fatalf("%v: %s%s", err, got.stdout, got.stderr)
		}
		states := map[string]string{}
		for _, c := range found {
			states[c.Name] = c.Status
			for name, value := range env {
				if isSecret(name) && len(value) > 6 && strings.Contains(c.Message, value) {
					t.Errorf("doctor prints %s", name)
				}
			}
		}
		return got.code, states
	}
	if code, states := check(env); code != 0 || states["database"] != "ok" || states["ghl"] != "ok" || states["aloware"] != "ok" {
		t.Errorf("all is well: exit %d, %v", code, states)
	}
	if code, states := check(env.with(settings{"ALOWARE_API_TOKEN": "a-wrong-token-100"})); code != 1 || states["aloware"] != "failed" || states["ghl"] != "ok" {
		t.Errorf("a wrong token: exit %d, %v", code, states)
	}
	empty := basics(sqliteURL(t), t.TempDir()).with(settings{"VERITY_BASE_URL": world.Verity.URL()})
	if code, states := check(empty); code != 0 || states["schema"] != "ok" || states["ghl"] != "not_configured" {
		t.Errorf("an empty database that serve would migrate: exit %d, %v", code, states)
	}
	if code, states := check(empty.with(settings{"DFM_AUTO_MIGRATE": "false"})); code != 1 || states["schema"] != "failed" {
		t.Errorf("an empty database that nobody migrates: exit %d, %v", code, states)
	}
	if err := world.GHL.Close(); err != nil {
		t.Fatal(err)
	}
	if code, states := check(env); code != 1 || states["ghl"] != "failed" {
		t.Errorf("GHL is away: exit %d, %v", code, states)
	}
}

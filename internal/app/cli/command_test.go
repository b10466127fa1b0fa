package cli

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// said is what a run printed and how it ended.
type said struct {
	out, err string
	code     int
}

func run(t *testing.T, settings map[string]string, args ...string) said {
	t.Helper()
	var out, err bytes.Buffer
	code := Run(t.Context(), Environment{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &err, Version: "1.2.3",
		Lookup: func(name string) (string, bool) { value, ok := settings[name]; return value, ok },
	}, args)
	return said{out.String(), err.String(), code}
}

func TestEveryCommandHelpsWithAnExample(t *testing.T) {
	t.Parallel()
	help := run(t, nil, "help")
	for _, c := range commands() {
		if !strings.Contains(help.out, c.name) {
			t.Errorf("help does not name %s", c.name)
		}
		for _, args := range [][]string{{c.name, "--help"}, {"help", c.name}} {
			got := run(t, nil, args...)
			if got.code != exitOK || !strings.Contains(got.out, "Example: dfm "+c.name) {
				t.Errorf("%v: %+v", args, got)
			}
		}
	}
}

func TestWrongUseIsTwoAndSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{}, {"bake"}, {"serve", "now"}, {"serve", "--nope"}, {"migrate"}, {"migrate", "sideways"}, {"catalog"}, {"catalog", "lint"},
		{"keys", "rotate"}, {"keys", "list", "id"}, {"users"}, {"users", "list", "id"}, {"users", "disable"},
		{"users", "set-password", "dana@example.test", "a password"}, {"export"}, {"mcp", "x"},
		{"export", "people", "--format", "csv"}, {"export", "verify"}, {"erase"}, {"erase", "--yes", "id"},
		{"backup"}, {"backup", "verify"}, {"backup", "create", "x"}, {"drift", "x"}, {"replay"}, {"replay", "--source", "ghl", "x"}, {"replay", "--from", "yesterday"},
		{"import-legacy"}, {"import-legacy", "--from", "postgres://x", "y"}, {"import-legacy", "--from", "postgres://x", "--replay-events", "all"},
	} {
		if got := run(t, map[string]string{"DATABASE_URL": "sqlite:" + filepath.Join(t.TempDir(), "x.db")}, args...); got.code != exitUsage {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

func TestBadSettingsAreListedTogether(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"serve", "doctor", "mcp"} {
		got := run(t, map[string]string{"PORT": "x", "HOST": "nowhere.example"}, command)
		if got.code != exitUsage || !strings.Contains(got.err, "PORT") || !strings.Contains(got.err, "HOST") || got.out != "" {
			t.Errorf("%s: %+v", command, got)
		}
	}
}

func TestFlagsMayStandBehindTheArguments(t *testing.T) {
	t.Parallel()
	settings := map[string]string{"DATABASE_URL": "sqlite:" + filepath.Join(t.TempDir(), "x.db"), "LOG_LEVEL": "error"}
	got := run(t, settings, "migrate", "up", "--json")
	var applied []struct{ Version int }
	if err := json.Unmarshal([]byte(got.out), &applied); err != nil || got.code != exitOK || len(applied) == 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	made := run(t, settings, "keys", "create", "--name", "billing", "--json")
	var key struct{ ID, Key string }
	if err := json.Unmarshal([]byte(made.out), &key); err != nil || !strings.HasPrefix(key.Key, "dfm_") {
		t.Fatalf("%+v, %v", made, err)
	}
	if got := run(t, settings, "keys", "list"); got.code != exitOK || !strings.Contains(got.out, "billing") || strings.Contains(got.out, key.Key) {
		t.Errorf("%+v", got)
	}
	if got := run(t, settings, "keys", "revoke", key.ID); got.code != exitOK {
		t.Errorf("%+v", got)
	}
	if got := run(t, settings, "migrate", "status"); got.code != exitOK || !strings.Contains(got.out, "0001_spine  applied") {
		t.Errorf("%+v", got)
	}
	if got := run(t, nil, "version", "--json"); got.code != exitOK || !strings.Contains(got.out, `"1.2.3"`) {
		t.Errorf("%+v", got)
	}
}

// Both read an empty database without a server, and change nothing.
func TestDriftAndADryReplayOfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	settings := map[string]string{"DATABASE_URL": "sqlite:" + filepath.Join(t.TempDir(), "x.db")}
	if got := run(t, settings, "migrate", "up"); got.code != exitOK {
		t.Fatalf("migrate: %+v", got)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"drift", "--strict"}, "No sweep has run yet."},
		{[]string{"drift", "--json"}, `"unexplained": 0`},
		{[]string{"replay", "--source", "ghl", "--dry-run"}, "0 events of 0 people fit"},
		{[]string{"replay", "--source", "ghl", "--dry-run", "--json"}, `"exact": true`},
		{[]string{"replay", "--source", "ghl"}, "0 events replayed, 0 superseded, 0 passed over (done)"},
	} {
		if got := run(t, settings, c.args...); got.code != exitOK || !strings.Contains(got.out, c.want) {
			t.Errorf("%v: %+v", c.args, got)
		}
	}
}

package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runWith runs a command with a text on standard input.
func runWith(t *testing.T, settings map[string]string, stdin string, args ...string) said {
	t.Helper()
	var out, err bytes.Buffer
	code := Run(t.Context(), Environment{
		Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &err, Version: "1.2.3",
		Lookup: func(name string) (string, bool) { value, ok := settings[name]; return value, ok },
	}, args)
	return said{out.String(), err.String(), code}
}

func TestUsersAreKeptAtTheCommandLine(t *testing.T) {
	t.Parallel()
	const first, second = "the first password", "the second password"
	settings := map[string]string{"DATABASE_URL": "sqlite:" + filepath.Join(t.TempDir(), "x.db"), "LOG_LEVEL": "error"}
	if got := run(t, settings, "migrate", "up"); got.code != exitOK {
		t.Fatal(got)
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(second+"\r\nmore\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dana := []string{"users", "create", "--name", "Dana", "--email", "Dana@example.test", "--role", "admin", "--json"}
	made := runWith(t, settings, first+"\n", dana...)
	var user userLine
	if err := json.Unmarshal([]byte(made.out), &user); err != nil || made.code != exitOK || user.Role != "admin" || user.Email != "dana@example.test" {
		t.Fatalf("%+v, %v", made, err)
	}
	for name, got := range map[string]said{
		"the same again":        runWith(t, settings, first, dana...),
		"no password":           runWith(t, settings, "", "users", "create", "--name", "X", "--email", "x@example.test"),
		"a short one":           runWith(t, settings, "short", "users", "set-password", user.ID),
		"a file that is none":   run(t, settings, "users", "set-password", "--password-file", file+"x", user.ID),
		"nobody":                run(t, settings, "users", "disable", "nobody@example.test"),
		"a role that is none":   runWith(t, settings, first, "users", "create", "--name", "X", "--email", "x@example.test", "--role", "root"),
		"an e-mail that is one": runWith(t, settings, first, "users", "create", "--name", "X", "--email", "dana@EXAMPLE.test"),
	} {
		if got.code != exitFailed || got.err == "" || strings.Contains(got.out+got.err, first) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := run(t, settings, "users", "set-password", "dana@example.test", "--password-file", file); got.code != exitOK || strings.Contains(got.out+got.err, second) {
		t.Errorf("%+v", got)
	}
	if got := run(t, settings, "users", "create", "--name", "Robin", "--email", "robin@example.test", "--clerk-user-id", "user_2robin"); got.code != exitOK {
		t.Errorf("by Clerk alone: %+v", got)
	}
	if got := run(t, settings, "users", "disable", user.ID); got.code != exitOK || !strings.Contains(got.out, "may not sign in") {
		t.Errorf("%+v", got)
	}
	if got := run(t, settings, "users", "list"); got.code != exitOK || !strings.Contains(got.out, "Robin") || !strings.Contains(got.out, "disabled") {
		t.Errorf("%+v", got)
	}
	var all []userLine
	if got := run(t, settings, "users", "list", "--json"); json.Unmarshal([]byte(got.out), &all) != nil || len(all) != 2 || !all[1].Disabled {
		t.Errorf("%+v", got)
	}
}

package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCompletionsKnowEveryCommandVerbAndFlag(t *testing.T) {
	t.Parallel()
	for shell := range shells {
		got := run(t, nil, "completion", shell)
		if got.code != exitOK {
			t.Fatalf("%s: %+v", shell, got)
		}
		for _, d := range describe() {
			for _, word := range append([]string{d.name}, d.verbs...) {
				if !strings.Contains(got.out, word) {
					t.Errorf("%s: %s: %s is missing", shell, d.name, word)
				}
			}
			for _, f := range d.flags {
				typed := "--" + f.name
				if shell == "fish" {
					typed = fmt.Sprintf("from %s' -l %s ", d.name, f.name)
				}
				if !strings.Contains(got.out, typed) {
					t.Errorf("%s: %s %s is missing", shell, d.name, typed)
				}
			}
		}
	}
	for _, args := range [][]string{{"completion"}, {"completion", "csh"}, {"completion", "bash", "zsh"}, {"man", "dfm"}} {
		if got := run(t, nil, args...); got.code != exitUsage {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

func TestVerbsAreReadFromTheArguments(t *testing.T) {
	t.Parallel()
	for args, want := range map[string][]string{
		"up|down|status": {"up", "down", "status"}, "lint|show [file or URL]": {"lint", "show"}, "<person id>": nil, "": nil, "[id]": nil,
	} {
		if got := verbsOf(args); !slices.Equal(got, want) {
			t.Errorf("%q: %v", args, got)
		}
	}
}

// written puts the completion script of a shell into a file.
func written(t *testing.T, shell string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "dfm."+shell)
	if err := os.WriteFile(file, []byte(run(t, nil, "completion", shell).out), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// shellSays runs a shell's script, or says that the shell is not here.
func shellSays(t *testing.T, name string, args ...string) []string {
	t.Helper()
	program, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not on this machine", name)
	}
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return strings.Fields(string(out))
}

// completed are lines that are typed, and what a shell must offer for the last
// word of each.
var completed = []struct {
	typed []string
	want  []string
}{
	{[]string{"mig"}, []string{"migrate"}},
	{[]string{"migrate", ""}, []string{"up", "down", "status"}},
	{[]string{"migrate", "--json", "d"}, []string{"down"}},
	{[]string{"migrate", "up", "d"}, nil},
	{[]string{"serve", "--r"}, []string{"--roles"}},
	{[]string{"serve", "--roles", ""}, nil},
	{[]string{"replay", "--source", "ghl", "--dr"}, []string{"--dry-run"}},
	{[]string{"keys", "--name", "list", "r"}, []string{"rotate", "revoke"}},
	{[]string{"help", "heal"}, []string{"health"}},
	{[]string{"version", "--"}, []string{"--json", "--help"}},
}

func TestBashCompletes(t *testing.T) {
	t.Parallel()
	script := written(t, "bash")
	for _, c := range completed {
		words := make([]string, len(c.typed))
		for i, word := range c.typed {
			words[i] = single(word)
		}
		ask := fmt.Sprintf(`set -u; source %s; COMP_WORDS=(dfm %s); COMP_CWORD=%d; _dfm; echo "${COMPREPLY[@]-}"`, script, strings.Join(words, " "), len(words))
		if got := shellSays(t, "bash", "--norc", "-c", ask); !slices.Equal(got, c.want) {
			t.Errorf("dfm %q: offers %v, want %v", c.typed, got, c.want)
		}
	}
}

func TestFishCompletes(t *testing.T) {
	t.Parallel()
	script := written(t, "fish")
	for _, c := range completed {
		if c.want == nil || c.typed[0] == "keys" { // fish offers files then, and takes a value for a verb
			continue
		}
		ask := fmt.Sprintf("source %s; complete -C %s | string split -f1 \\t; true", script, fishQuoted("dfm "+strings.Join(c.typed, " ")))
		got := shellSays(t, "fish", "--no-config", "-c", ask)
		for _, want := range c.want {
			if !slices.Contains(got, want) {
				t.Errorf("dfm %q: offers %v, want %v", c.typed, got, c.want)
			}
		}
	}
}

func TestZshTakesTheScript(t *testing.T) {
	t.Parallel()
	script := written(t, "zsh")
	if got := shellSays(t, "zsh", "-f", "-c", "autoload -U compinit; compinit -D; source "+script+"; echo $_comps[dfm]"); !slices.Equal(got, []string{"_dfm"}) {
		t.Errorf("zsh says %v", got)
	}
}

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestTheManualNamesEverything(t *testing.T) {
	t.Parallel()
	page := run(t, nil, "man")
	if page.code != exitOK {
		t.Fatalf("%+v", page)
	}
	for _, d := range describe() {
		_, section, found := strings.Cut(page.out, `.SS "dfm `+roff(d.name))
		if !found {
			t.Errorf("%s is missing", d.name)
			continue
		}
		section, _, _ = strings.Cut(section, "\n.SS ")
		for _, f := range d.flags {
			if !strings.Contains(section, roff("--"+f.name)) {
				t.Errorf("%s: --%s is missing", d.name, f.name)
			}
		}
	}
	for _, want := range []string{"DATABASE_URL", "sqlite:data/dfm.db", `"dfm 1.2.3"`, "SIGHUP"} {
		if !strings.Contains(page.out, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if strange := regexp.MustCompile(`(?m)^\.[A-Za-z]*[^A-Za-z\n].*$`).FindAllString(page.out, -1); len(strange) > 0 {
		for _, line := range strange {
			if !regexp.MustCompile(`^\.(TH|SH|SS|B|I) `).MatchString(line) {
				t.Errorf("no request of man(7): %s", line)
			}
		}
	}
}

func TestTextIsEscapedForRoff(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{".env": `\&.env`, "a-b": `a\-b`, `C:\x`: `C:\ex`, "'tis": `\&'tis`} {
		if got := roff(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// The programs that format manuals find nothing wrong with ours.
func TestFormattersTakeTheManual(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "dfm.1")
	if err := os.WriteFile(file, []byte(run(t, nil, "man").out), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, formatter := range [][]string{
		{"mandoc", "-T", "lint", "-W", "error", file}, {"man", "--warnings", "-l", file}, {"groff", "-man", "-ww", "-z", file},
	} {
		t.Run(formatter[0], func(t *testing.T) {
			program, err := exec.LookPath(formatter[0])
			if err != nil {
				t.Skipf("%s is not on this machine", formatter[0])
			}
			command := exec.CommandContext(t.Context(), program, formatter[1:]...)
			command.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "MANPAGER=cat"}
			var complaints strings.Builder
			command.Stderr = &complaints
			out, err := command.Output()
			if err != nil || complaints.Len() > 0 {
				t.Errorf("%v: %v\n%s%s", formatter, err, complaints.String(), out)
			}
		})
	}
}

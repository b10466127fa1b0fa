package tools

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// unfinished matches the marks that people leave on work to be done later.
// context.TODO is one of them: the caller's context was not passed on.
var unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)

// written are the kinds of files that people write and the program ships.
var written = []string{".go", ".sql", ".html", ".tmpl", ".js", ".css", ".sh"}

func TestNothingIsLeftUnfinished(t *testing.T) {
	keep := func(name string) bool {
		top := room(name)
		return top != "tools" && slices.Contains(written, path.Ext(name)) && !strings.HasSuffix(name, ".min.js")
	}
	for _, file := range tree(t, keep) {
		report(t, wordFaults(file))
	}
}

func TestPlantedMarksAreCaught(t *testing.T) {
	cases := []struct {
		name, text string
		want       int
	}{
		{"internal/df/a.go", "package df\n// TODO: later\n", 1},
		{"internal/df/a.go", "package df\nvar ctx = context.TODO()\n", 1},
		{"internal/console/static/app.js", "// FIXME\n", 1},
		{"internal/df/a.go", "package df\n// mentions TODOIST and autodoc\n", 0},
		{"internal/df/a_test.go", "package df\nconst invented = \"TODO\"\n", 0},
	}
	for _, c := range cases {
		if faults := wordFaults(source{name: c.name, text: []byte(c.text)}); len(faults) != c.want {
			t.Errorf("%s %q: faults = %q, want %d", c.name, c.text, faults, c.want)
		}
	}
}

// wordFaults lists the lines of production code that carry a mark.
func wordFaults(s source) []string {
	if s.inTest() {
		return nil
	}
	var faults []string
	for number, line := range bytes.Split(s.text, []byte("\n")) {
		if mark := unfinished.Find(line); mark != nil {
			faults = append(faults, fmt.Sprintf("%s:%d: %s: finish it or take it out", s.name, number+1, mark))
		}
	}
	return faults
}

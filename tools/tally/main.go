// Tally reads what `go test -json` prints on standard input, shows a short line
// for each package and everything about what failed, and appends the counts to
// a file:
//
//	go test -json ./... | tally -counts counts.txt
//
// Each run appends one line, "passed failed skipped". Subtests count, because a
// table test is as many tests as it has rows. A package that fails without a
// failing test (it did not build, panicked, or ran out of time) is one failure.
// Tally itself exits 0: whether the tests passed is go test's to say. But with
// -noskip a skipped test is a failed one, which go test does not know of: then
// tally exits 1.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
)

func main() {
	counts := flag.String("counts", "", "file to append the line \"passed failed skipped\" to")
	noSkip := flag.Bool("noskip", false, "count a skipped test as a failed one")
	flag.Parse()
	if err := run(os.Stdin, os.Stdout, *counts, *noSkip); err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer, countsFile string, noSkip bool) error {
	t := newTally(out)
	t.noSkip = noSkip
	if err := t.read(in); err != nil {
		return fmt.Errorf("read test events: %w", err)
	}
	t.finish()
	var skipped error
	if noSkip && len(t.skips) > 0 {
		skipped = fmt.Errorf("%s skipped where none may be", plural(len(t.skips)))
	}
	if countsFile == "" {
		return skipped
	}
	file, err := os.OpenFile(countsFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "%d %d %d\n", t.passed, t.failed, t.skipped)
	return errors.Join(skipped, err, file.Close())
}

// event is one line of test2json, the format that `go doc test2json` describes.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build-output
	FailedBuild string
	Test        string
	Output      string
	Elapsed     float64 // seconds
}

// maxKept bounds what is kept of one test's output, in bytes.
const maxKept = 64 << 10

// maxLine is the longest event that is read, in bytes.
const maxLine = 4 << 20

type tally struct {
	out                     io.Writer
	noSkip                  bool
	passed, failed, skipped int
	packages                map[string]*packageTally
	builds                  map[string]*strings.Builder
	skips                   []string
}

// packageTally is what is known of a package until it ends.
type packageTally struct {
	passed, failed, skipped int
	output                  map[string]*strings.Builder // by test; "" is the package's own
}

func newTally(out io.Writer) *tally {
	return &tally{
		out:      out,
		packages: map[string]*packageTally{},
		builds:   map[string]*strings.Builder{},
	}
}

// read takes events to the end. Lines that are no event (a download, a warning
// of the linker) are shown as they are.
func (t *tally) read(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Action == "" {
			fmt.Fprintln(t.out, lines.Text())
			continue
		}
		t.take(e)
	}
	return lines.Err()
}

func (t *tally) take(e event) {
	if e.Action == "build-output" {
		keep(t.builds, e.ImportPath, e.Output)
		return
	}
	if e.Package == "" {
		return
	}
	p := t.packages[e.Package]
	if p == nil {
		p = &packageTally{output: map[string]*strings.Builder{}}
		t.packages[e.Package] = p
	}
	switch {
	case e.Action == "output":
		keep(p.output, e.Test, e.Output)
	case e.Test != "":
		t.takeTest(p, e)
	default:
		t.takePackage(p, e)
	}
}

func (t *tally) takeTest(p *packageTally, e event) {
	switch e.Action {
	case "pass":
		p.passed++
		delete(p.output, e.Test)
	case "skip":
		if t.noSkip {
			p.failed++
			fmt.Fprintf(t.out, "FAIL  %s %s was skipped\n%s", e.Package, e.Test, indent(text(p.output, e.Test)))
		} else {
			p.skipped++
		}
		t.skips = append(t.skips, e.Package+" "+e.Test)
		delete(p.output, e.Test)
	case "fail":
		p.failed++
		fmt.Fprintf(t.out, "FAIL  %s %s\n%s", e.Package, e.Test, indent(text(p.output, e.Test)))
		delete(p.output, e.Test)
	}
}

func (t *tally) takePackage(p *packageTally, e event) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(t.out, "ok    %s  %.1fs  %s\n", e.Package, e.Elapsed, plural(p.passed))
	case "fail":
		t.failPackage(p, e)
	case "skip": // no test files
	default:
		return
	}
	t.close(e.Package, p)
}

// failPackage shows what the package itself printed, and what its unfinished
// tests did: after a panic that is where the trace is.
func (t *tally) failPackage(p *packageTally, e event) {
	fmt.Fprintf(t.out, "FAIL  %s  %.1fs  %s passed, %d failed\n", e.Package, e.Elapsed, plural(p.passed), p.failed)
	fmt.Fprint(t.out, indent(text(t.builds, e.FailedBuild)))
	if p.failed > 0 && len(p.output) <= 1 {
		return
	}
	names := make([]string, 0, len(p.output))
	for name := range p.output {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprint(t.out, indent(text(p.output, name)))
	}
	if p.failed == 0 {
		p.failed = 1
	}
}

func (t *tally) close(name string, p *packageTally) {
	t.passed += p.passed
	t.failed += p.failed
	t.skipped += p.skipped
	delete(t.packages, name)
}

// finish counts the packages that never ended: go test was stopped.
func (t *tally) finish() {
	for name, p := range t.packages {
		fmt.Fprintf(t.out, "FAIL  %s  did not end\n", name)
		p.failed++
		t.close(name, p)
	}
	for _, name := range t.skips {
		fmt.Fprintln(t.out, "skip ", name)
	}
}

func keep(into map[string]*strings.Builder, name, output string) {
	b := into[name]
	if b == nil {
		b = &strings.Builder{}
		into[name] = b
	}
	if b.Len() < maxKept {
		b.WriteString(output)
	}
}

func text(from map[string]*strings.Builder, name string) string {
	if b := from[name]; b != nil {
		return b.String()
	}
	return ""
}

func indent(s string) string {
	if s == "" {
		return ""
	}
	return "    " + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n    ") + "\n"
}

func plural(n int) string {
	if n == 1 {
		return "1 test"
	}
	return fmt.Sprintf("%d tests", n)
}

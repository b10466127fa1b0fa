package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTallyCountsWhatGoTestReports(t *testing.T) {
	cases := []struct {
		title   string
		events  string
		counts  string
		shows   []string
		conceal string
	}{
		{
			title: "passing tests are counted and their output is not shown",
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}
{"Action":"pass","Package":"p","Test":"TestA/row"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Elapsed":1.5}`,
			counts: "2 0 0\n", shows: []string{"ok    p  1.5s  2 tests"}, conceal: "chatter",
		},
		{
			title: "a failing test shows what it printed",
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"got 1, want 2\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Output":"FAIL\n"}
{"Action":"fail","Package":"p"}`,
			counts: "1 1 0\n", shows: []string{"FAIL  p TestA", "    got 1, want 2"},
		},
		{
			title: "a skipped test is named",
			events: `{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`,
			counts: "0 0 1\n", shows: []string{"skip  p TestA"},
		},
		{
			title: "a package that does not build is one failure with the compiler's words",
			events: `{"Action":"build-output","ImportPath":"p [p.test]","Output":"p.go:3: undefined: x\n"}
{"Action":"build-fail","ImportPath":"p [p.test]"}
{"Action":"start","Package":"p"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`,
			counts: "0 1 0\n", shows: []string{"undefined: x"},
		},
		{
			title: "a panic in a test that never ended is one failure with its trace",
			events: `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestB","Output":"panic: boom\n"}
{"Action":"fail","Package":"p"}`,
			counts: "1 1 0\n", shows: []string{"panic: boom"},
		},
		{
			title:  "a run that was stopped counts its open package as failed",
			events: `{"Action":"pass","Package":"p","Test":"TestA"}`,
			counts: "1 1 0\n", shows: []string{"did not end"},
		},
		{
			title: "a package without tests counts nothing",
			events: `go: downloading example.test/x v1.0.0
{"Action":"output","Package":"p","Output":"?   \tp\t[no test files]\n"}
{"Action":"skip","Package":"p"}`,
			counts: "0 0 0\n", shows: []string{"go: downloading"},
		},
	}
	for _, c := range cases {
		t.Run(c.title, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "counts")
			var out strings.Builder
			if err := run(strings.NewReader(c.events), &out, file, false); err != nil {
				t.Fatal(err)
			}
			counts, err := os.ReadFile(file)
			if err != nil || string(counts) != c.counts {
				t.Errorf("counts = %q, %v; want %q", counts, err, c.counts)
			}
			for _, want := range c.shows {
				if !strings.Contains(out.String(), want) {
					t.Errorf("output lacks %q:\n%s", want, out.String())
				}
			}
			if c.conceal != "" && strings.Contains(out.String(), c.conceal) {
				t.Errorf("output shows %q:\n%s", c.conceal, out.String())
			}
		})
	}
}

func TestTallyKeepsABoundedPartOfAnEndlessOutput(t *testing.T) {
	line := `{"Action":"output","Package":"p","Test":"TestA","Output":"` + strings.Repeat("x", 1000) + `\n"}` + "\n"
	events := strings.Repeat(line, 1000) + `{"Action":"fail","Package":"p","Test":"TestA"}` + "\n" + `{"Action":"fail","Package":"p"}`
	var out strings.Builder
	if err := run(strings.NewReader(events), &out, "", false); err != nil {
		t.Fatal(err)
	}
	if out.Len() > 2*maxKept {
		t.Errorf("showed %d bytes of one test, want at most about %d", out.Len(), maxKept)
	}
}

func TestTallyFailsForASkippedTestWhereNoneMayBe(t *testing.T) {
	const events = `{"Action":"output","Package":"p","Test":"TestA","Output":"zsh is not on this machine\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p"}`
	file := filepath.Join(t.TempDir(), "counts")
	var out strings.Builder
	if err := run(strings.NewReader(events), &out, file, true); err == nil {
		t.Error("no error")
	}
	if counts, err := os.ReadFile(file); err != nil || string(counts) != "1 1 0\n" {
		t.Errorf("counts = %q, %v", counts, err)
	}
	if !strings.Contains(out.String(), "FAIL  p TestA was skipped") || !strings.Contains(out.String(), "zsh is not on this machine") {
		t.Errorf("output does not say what and why:\n%s", out.String())
	}
}

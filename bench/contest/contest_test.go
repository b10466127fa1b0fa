//go:build unix

package contest

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestStatIsReadWhateverTheProgramIsCalled(t *testing.T) {
	line := "42 (a) b (c)) S 7 42 42 0 -1 0 0 0 0 0 10 20 30 40 20 0 1 0 100 1000 5 0"
	p, ok := parseStat(line)
	want := process{parent: 7, cpu: 1000 * time.Millisecond, rss: 5 * int64(os.Getpagesize())}
	if !ok || p != want {
		t.Errorf("parseStat = %+v, %v; want %+v", p, ok, want)
	}
	for _, broken := range []string{"", "42 (x", "42 (x) S 1"} {
		if _, ok := parseStat(broken); ok {
			t.Errorf("%q was taken for a process", broken)
		}
	}
}

func TestATreeIsAProcessWithAllBelowIt(t *testing.T) {
	all := map[int]process{
		1: {parent: 0, cpu: 100, rss: 100},
		2: {parent: 1, cpu: 1, rss: 10},
		3: {parent: 2, cpu: 2, rss: 20},
		4: {parent: 3, cpu: 4, rss: 40},
		5: {parent: 1, cpu: 8, rss: 80},
	}
	if cpu, rss := tree(all, 2); cpu != 7 || rss != 70 {
		t.Errorf("tree = %d, %d; want 7, 70", cpu, rss)
	}
}

func TestTheMeterSeesOurOwnWorkAsOurs(t *testing.T) {
	const work = 150 * time.Millisecond
	before := startMeter(os.Getpid(), 0)
	x := 1.0
	for began := ownCPU(t); ownCPU(t)-began < work; {
		x = math.Sqrt(x + 1)
	}
	used := startMeter(os.Getpid(), 0).since(*before)
	if used.app < work-5*tick {
		t.Errorf("%v of work were metered as %v (%v)", work, used.app, x)
	}
	if used.others < 0 {
		t.Errorf("others used %v cores", used.others)
	}
}

// ownCPU is what the kernel says by another way than /proc.
func ownCPU(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// scripted is a contestant whose runs come out as told.
func scripted(name string, runs ...sample) contestant {
	next := 0
	return contestant{name: name, measure: func(context.Context, shape) (sample, error) {
		s := runs[min(next, len(runs)-1)]
		next++
		if s.figures == nil {
			return sample{}, errors.New("broke")
		}
		return s, nil
	}}
}

func run(value, others float64) sample {
	return sample{figures: map[string]float64{"req/s": value}, others: others}
}

func TestDisturbedRunsAreMeasuredAgainAndDropped(t *testing.T) {
	b := &Bench{Rounds: 3, MaxOthers: 0.2, Log: io.Discard}
	shapes := []shape{{name: "c1"}}
	contestants := []contestant{
		scripted("quiet", run(10, 0), run(30, 0), run(20, 0), run(999, 0)),
		scripted("once disturbed", run(1, 1.5), run(40, 0), run(50, 0), run(60, 0)),
		scripted("always disturbed", run(7, 1.5)),
		scripted("broken", sample{}),
		{name: "absent", missing: "it is not here"},
	}
	table, err := b.compete(t.Context(), shapes, contestants)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{"quiet": 20, "once disturbed": 50, "always disturbed": 7} {
		got, ok := table.median(cell{"c1", name}, "req/s")
		if !ok || got != want {
			t.Errorf("median of %s = %v, %v; want %v", name, got, ok, want)
		}
	}
	if n := len(table.samples[cell{"c1", "always disturbed"}]); n != 6 {
		t.Errorf("the disturbed contestant ran %d times, want twice the rounds and no more", n)
	}
	text := render("Title", table, shapes, contestants, []column{{"req/s", "req/s", 0}}, nil)
	for _, want := range []string{"always disturbed *", "broken (failed)", "absent (it is not here)", "disturbed: other processes"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "once disturbed *") || strings.Contains(text, "quiet *") {
		t.Errorf("the report calls a clean median disturbed:\n%s", text)
	}
}

func TestVerdictsHoldRatiosOfMediansAgainstTheTargets(t *testing.T) {
	b := &Bench{Rounds: 1, MaxOthers: 1, Log: io.Discard}
	table, err := b.compete(t.Context(), []shape{{name: "c1"}}, []contestant{
		scripted("dfm", run(80, 0)),
		scripted("base", run(10, 0)),
		{name: "absent", missing: "it is not here"},
	})
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		goal target
		want string
		ok   bool
	}{
		{target{"", "c1", "dfm", "req/s", "base", 7, 10, false}, "PASS", true},
		{target{"", "c1", "dfm", "req/s", "base", 7, 8, false}, "PASS, ambitious", true},
		{target{"", "c1", "dfm", "req/s", "base", 9, 10, false}, "FAIL", false},
		{target{"", "c1", "dfm", "req/s", "base", 9, 7, true}, "PASS", true},
		{target{"", "c1", "dfm", "req/s", "base", 7, 6, true}, "FAIL", false},
		{target{"", "c1", "dfm", "req/s", "", 80, 80, true}, "PASS, ambitious", true},
		{target{"", "c1", "dfm", "req/s", "absent", 1, 1, false}, "not measured: it is not here", false},
		{target{"", "c1", "absent", "req/s", "base", 1, 1, false}, "not measured: it is not here", false},
		{target{"", "c2", "dfm", "req/s", "base", 1, 1, false}, "not measured: no run of dfm", false},
	}
	for _, c := range cases {
		v := judge(table, []target{c.goal})[0]
		if v.word() != c.want || v.ok() != c.ok {
			t.Errorf("%+v: %q, %v; want %q, %v", c.goal, v.word(), v.ok(), c.want, c.ok)
		}
	}
}

func TestGoBenchmarksReportedFiguresAreRead(t *testing.T) {
	lines := parseBenchmarks(`goos: linux
BenchmarkDrain/postgres-2         	       1	 676000000 ns/op	     29593 jobs/s	         0 violations
BenchmarkDrain/sqlite-2           	       1	 4021000000 ns/op	      4973 jobs/s
PASS
`)
	if len(lines) != 2 || lines[0].sub != "postgres" || lines[0].figures["jobs/s"] != 29593 || lines[1].figures["jobs/s"] != 4973 {
		t.Errorf("parsed %+v", lines)
	}
	if v, ok := lines[0].figures["violations"]; !ok || v != 0 {
		t.Errorf("violations = %v, %v", v, ok)
	}
}

func TestPackagesAreFoundByTheirBenchmark(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"internal/queue/drain_test.go": "func BenchmarkDrain(b *testing.B) {}",
		"internal/queue/other.go":      "func BenchmarkLanes(b *testing.B) {}",
	} {
		file := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := packagesWith(root, "func BenchmarkDrain("); err != nil || len(found) != 1 || found[0] != "./internal/queue" {
		t.Errorf("Drain: %q, %v", found, err)
	}
	if found, err := packagesWith(root, "func BenchmarkLanes("); err != nil || len(found) != 0 {
		t.Errorf("Lanes is in no test, but: %q, %v", found, err)
	}
}

func TestPgbenchsOutputIsRead(t *testing.T) {
	rate, err := parsePgbench("latency average = 8.9 ms\ntps = 6777.123 (without initial connection time)\n")
	if err != nil || rate != 6777.123 {
		t.Errorf("rate = %v, %v", rate, err)
	}
	if _, err := parsePgbench("pgbench: error: connection refused"); err == nil {
		t.Error("an error was taken for a rate")
	}
	folder := t.TempDir()
	for name, text := range map[string]string{"tx.1": "0 1 1000 0 1700000000 5\n", "tx.1.1": "1 1 3000 0 1700000000 6\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	latencies, err := pgbenchLatencies(folder)
	if err != nil || latencies.Count() != 2 || latencies.Quantile(1) != 3*time.Millisecond {
		t.Errorf("latencies: %d, max %v, %v", latencies.Count(), latencies.Quantile(1), err)
	}
}

func TestAServerThatEndsAtOnceSaysWhatItPrinted(t *testing.T) {
	_, err := start(t.Context(), command{
		args: []string{"sh", "-c", "echo DATABASE_URL is missing; exit 2"}, dir: t.TempDir(),
		ready: "http://127.0.0.1:9/", log: filepath.Join(t.TempDir(), "log"),
	})
	if err == nil || !strings.Contains(err.Error(), "DATABASE_URL is missing") {
		t.Errorf("error = %v, want one with what the server printed", err)
	}
}

package contest

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What the queue and the lanes reach is measured inside the program, by Go
// benchmarks of its rooms. A contest runs those of a name, wherever they are,
// and reads the figures that they report (testing.B.ReportMetric). Each has the
// subbenchmarks postgres and sqlite.
//
//	BenchmarkDrain          jobs/s               no-op jobs through the queue
//	BenchmarkLanes          events/s violations  events in order, 500 people
//	BenchmarkWakeup         p50-ms p99-ms        commit to handler, idle queue
//	BenchmarkWebhookToWrite p99-ms               webhook in to other side written
var (
	drainTargets = []target{
		{"no-op jobs per second, PostgreSQL", "Drain", "postgres", "jobs/s", "", 10_000, 25_000, false},
		{"no-op jobs per second, SQLite", "Drain", "sqlite", "jobs/s", "", 3_000, 5_000, false},
	}
	lanesTargets = []target{
		{"ordered events per second, PostgreSQL", "Lanes", "postgres", "events/s", "", 1000, 3000, false},
		{"ordered events per second, SQLite", "Lanes", "sqlite", "events/s", "", 1000, 3000, false},
		{"order violations, PostgreSQL", "Lanes", "postgres", "violations", "", 0, 0, true},
		{"order violations, SQLite", "Lanes", "sqlite", "violations", "", 0, 0, true},
	}
	latencyTargets = []target{
		{"idle wake-up p50, PostgreSQL, ms", "Wakeup", "postgres", "p50-ms", "", 5, 2, true},
		{"idle wake-up p99, PostgreSQL, ms", "Wakeup", "postgres", "p99-ms", "", 20, 5, true},
		{"idle wake-up p50, SQLite, ms", "Wakeup", "sqlite", "p50-ms", "", 40, 30, true},
		{"idle wake-up p99, SQLite, ms", "Wakeup", "sqlite", "p99-ms", "", 110, 60, true},
		{"webhook to other side written p99, PostgreSQL, ms", "WebhookToWrite", "postgres", "p99-ms", "", 1000, 250, true},
		{"webhook to other side written p99, SQLite, ms", "WebhookToWrite", "sqlite", "p99-ms", "", 1000, 250, true},
	}
)

// Drain measures how fast the queue runs jobs that do nothing.
func Drain(ctx context.Context, b *Bench) (Report, error) {
	return b.goBenchmarks(ctx, "Drain: jobs through the queue", drainTargets)
}

// Lanes measures how fast events are handled one person at a time, in order.
func Lanes(ctx context.Context, b *Bench) (Report, error) {
	return b.goBenchmarks(ctx, "Lanes: events in order", lanesTargets)
}

// Latency measures how long an idle program takes to act.
func Latency(ctx context.Context, b *Bench) (Report, error) {
	return b.goBenchmarks(ctx, "Latency: from commit to action", latencyTargets)
}

func (b *Bench) goBenchmarks(ctx context.Context, title string, targets []target) (Report, error) {
	t := &table{
		samples: map[cell][]sample{}, failures: map[cell]error{}, disturbed: map[cell]bool{},
		missing: map[string]string{}, rounds: b.Rounds, limit: b.MaxOthers,
	}
	contestants := []contestant{{name: "postgres"}, {name: "sqlite"}}
	var (
		shapes  []shape
		columns []column
	)
	for _, goal := range targets {
		if c := (column{goal.figure, goal.figure, 2}); !slices.Contains(columns, c) {
			columns = append(columns, c)
		}
		s := shape{name: goal.shape}
		if slices.Contains(shapes, s) {
			continue
		}
		shapes = append(shapes, s)
		if err := b.goBenchmark(ctx, t, goal.shape); err != nil {
			return Report{}, err
		}
	}
	verdicts := judge(t, targets)
	return Report{Text: render(title, t, shapes, contestants, columns, verdicts), OK: allOK(verdicts)}, nil
}

// goBenchmark runs the benchmark of that name in every package that has it and
// adds what it reports to the table. A failure is kept for the report.
func (b *Bench) goBenchmark(ctx context.Context, t *table, name string) error {
	fail := func(err error) {
		for _, database := range []string{"postgres", "sqlite"} {
			t.failures[cell{name, database}] = err
		}
	}
	packages, err := packagesWith(b.Source, "func Benchmark"+name+"(")
	if err != nil {
		return err
	}
	if len(packages) == 0 {
		fail(fmt.Errorf("there is no Benchmark%s", name))
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	args := append([]string{
		"test", "-run", "^$", "-bench", "^Benchmark" + name + "$", "-benchtime", "1x",
		"-count", strconv.Itoa(b.Rounds), "-timeout", "10m",
	}, packages...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = b.Source
	cmd.Env = append(os.Environ(), "TEST_DATABASE_URL="+b.DatabaseURL)
	before := startMeter(0, b.DatabasePID)
	out, err := cmd.CombinedOutput()
	others := startMeter(0, b.DatabasePID).since(*before).others
	fmt.Fprintf(b.Log, "%s", out)
	if err != nil {
		fail(fmt.Errorf("go test -bench %s: %w", name, err))
		return ctx.Err()
	}
	for _, line := range parseBenchmarks(string(out)) {
		at := cell{name, line.sub}
		t.samples[at] = append(t.samples[at], sample{figures: line.figures, others: others})
	}
	return nil
}

// benchmarkLine is one line of `go test -bench`.
type benchmarkLine struct {
	sub     string // the subbenchmark's name
	figures map[string]float64
}

// procs is the suffix that the testing package adds to a benchmark's name.
var procs = regexp.MustCompile(`-\d+$`)

func parseBenchmarks(out string) []benchmarkLine {
	var lines []benchmarkLine
	for text := range strings.Lines(out) {
		fields := strings.Fields(text)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		_, sub, _ := strings.Cut(procs.ReplaceAllString(fields[0], ""), "/")
		line := benchmarkLine{sub: sub, figures: map[string]float64{}}
		for i := 2; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				line.figures[fields[i+1]] = v
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// packagesWith lists the packages below internal whose tests contain the text.
func packagesWith(root, text string) ([]string, error) {
	found := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(root, "internal"), func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if strings.Contains(string(content), text) {
			folder, err := filepath.Rel(root, filepath.Dir(file))
			found["./"+filepath.ToSlash(folder)] = true
			return err
		}
		return nil
	})
	packages := make([]string, 0, len(found))
	for name := range found {
		packages = append(packages, name)
	}
	slices.Sort(packages)
	return packages, err
}

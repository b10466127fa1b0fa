// Contest runs one or more of the contests of package contest. script/bench
// finds or makes what it needs and calls it:
//
//	contest [flags] ingest gateway …
//
// It prints the tables as Markdown and exits 1 when a target was missed or could
// not be measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/df-middleware/dfm/bench/contest"
)

// contests are all there are, in the order of "all".
var contests = []struct {
	name string
	run  func(context.Context, *contest.Bench) (contest.Report, error)
}{
	{"ingest", contest.Ingest},
	{"drain", contest.Drain},
	{"lanes", contest.Lanes},
	{"latency", contest.Latency},
	{"gateway", contest.Gateway},
	{"idle", contest.Idle},
	{"pages", contest.Pages},
}

var errMissed = errors.New("a target was missed or could not be measured")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "contest:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	b := &contest.Bench{Log: os.Stderr}
	flags := flag.NewFlagSet("contest", flag.ContinueOnError)
	flags.StringVar(&b.Source, "source", ".", "the project's folder")
	flags.StringVar(&b.Scratch, "scratch", "", "folder for databases and logs")
	flags.StringVar(&b.DFM, "dfm", "", "the dfm binary")
	flags.StringVar(&b.Peer, "peer", "", "the peer binary")
	flags.StringVar(&b.Express, "express", "", "folder of the Express servers, with node_modules")
	flags.StringVar(&b.Nginx, "nginx", "", "the nginx binary")
	flags.StringVar(&b.DatabaseURL, "database", "", "a superuser's URL of a PostgreSQL server")
	flags.IntVar(&b.DatabasePID, "database-pid", 0, "process id of that server, for its CPU time")
	flags.StringVar(&b.Pgbench, "pgbench", "pgbench", "the pgbench binary")
	flags.IntVar(&b.Rounds, "rounds", 3, "clean runs of each contestant, 1 to 9")
	flags.DurationVar(&b.Measure, "measure", 5*time.Second, "length of each run, at most 30s")
	flags.DurationVar(&b.Warmup, "warmup", time.Second, "sent before it, not measured")
	flags.Float64Var(&b.MaxOthers, "others", 0.2, "cores that other processes may use before a run counts as disturbed")
	flags.IntVar(&b.Pages.Size.Events, "events", 1_000_000, "pages: events in PostgreSQL; SQLite has a fifth")
	flags.IntVar(&b.Pages.Size.People, "people", 100_000, "pages: people in PostgreSQL; SQLite has a fifth")
	flags.IntVar(&b.Pages.Times, "times", 20, "pages: how often each is asked for")
	flags.DurationVar(&b.Pages.Limit, "limit", 200*time.Millisecond, "pages: what p95 may be")
	flags.IntVar(&b.Pages.Shown, "shown", 25, "pages: how many of the slowest are shown")
	out := flags.String("out", "", "file to write the tables to as well")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if b.Rounds < 1 || b.Rounds > 9 || b.Measure < time.Second || b.Measure > 30*time.Second {
		return errors.New("1 to 9 rounds of 1s to 30s")
	}
	if b.Pages.Times < 1 || b.Pages.Size.Events < 500 || b.Pages.Size.People < 100 {
		return errors.New("pages: 500 events, 100 people and one time at least")
	}
	wanted, err := selected(flags.Args())
	if err != nil {
		return err
	}
	if err := absolute(&b.Scratch, &b.Source); err != nil {
		return err
	}
	text := fmt.Sprintf("# Benchmark of %s\n\n%s, %d CPUs, %s. Medians of %d runs of %s.\n",
		time.Now().UTC().Format("2006-01-02 15:04 MST"), processor(), runtime.NumCPU(), runtime.Version(), b.Rounds, b.Measure)
	fmt.Print(text)
	missed := false
	for _, name := range wanted {
		for _, c := range contests {
			if c.name != name {
				continue
			}
			report, err := c.run(ctx, b)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			fmt.Print("\n", report.Text)
			text += "\n" + report.Text
			missed = missed || !report.OK
		}
	}
	if *out != "" {
		if err := os.WriteFile(*out, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if missed {
		return errMissed
	}
	return nil
}

// selected checks the names of contests; none, or "all", is every one.
func selected(names []string) ([]string, error) {
	var all []string
	for _, c := range contests {
		all = append(all, c.name)
	}
	if len(names) == 0 || names[0] == "all" {
		return all, nil
	}
	for _, name := range names {
		if !strings.Contains(" "+strings.Join(all, " ")+" ", " "+name+" ") {
			return nil, fmt.Errorf("no contest %q; there are: %s", name, strings.Join(all, " "))
		}
	}
	return names, nil
}

func absolute(folders ...*string) error {
	for _, folder := range folders {
		path, err := filepath.Abs(*folder)
		if err != nil {
			return err
		}
		*folder = path
	}
	return nil
}

// processor is the CPU's name.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

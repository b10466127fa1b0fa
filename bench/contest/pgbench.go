package contest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/bench/load"
)

// pgbench measures the database alone with one of the scripts in bench/pgbench:
// what a server could reach that did nothing but insert.
func (b *Bench) pgbench(script string) func(context.Context, shape) (sample, error) {
	return func(ctx context.Context, s shape) (sample, error) {
		databaseURL, drop, err := b.freshDatabase(ctx, "bench_pgbench")
		if err != nil {
			return sample{}, err
		}
		defer drop()
		scripts := filepath.Join(b.Source, "bench", "pgbench")
		if err := execFile(ctx, databaseURL, filepath.Join(scripts, script+"-schema.sql")); err != nil {
			return sample{}, err
		}
		logs, err := os.MkdirTemp(b.Scratch, "pgbench")
		if err != nil {
			return sample{}, err
		}
		defer os.RemoveAll(logs)

		ctx, cancel := context.WithTimeout(ctx, b.Measure+time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, b.Pgbench, "--no-vacuum", "--protocol=prepared",
			"--client="+strconv.Itoa(s.connections), "--jobs=2",
			"--time="+strconv.Itoa(max(1, int(b.Measure.Seconds()))),
			"--log", "--log-prefix="+filepath.Join(logs, "tx"),
			"--file="+filepath.Join(scripts, script+".sql"), databaseURL)
		before := startMeter(0, b.DatabasePID)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return sample{}, fmt.Errorf("pgbench: %w: %s", err, out)
		}
		used := startMeter(0, b.DatabasePID).since(*before)
		rate, err := parsePgbench(string(out))
		if err != nil {
			return sample{}, err
		}
		latencies, err := pgbenchLatencies(logs)
		if err != nil {
			return sample{}, err
		}
		return sample{
			others: used.others,
			figures: map[string]float64{
				"req/s":  rate,
				"p50 ms": latencies.Quantile(0.50).Seconds() * 1e3,
				"p99 ms": latencies.Quantile(0.99).Seconds() * 1e3,
				"db us":  used.db.Seconds() * 1e6 / float64(max(1, latencies.Count())),
			},
		}, nil
	}
}

// parsePgbench finds the rate in what pgbench prints.
func parsePgbench(out string) (float64, error) {
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, "tps = "); ok {
			number, _, _ := strings.Cut(rest, " ")
			return strconv.ParseFloat(number, 64)
		}
	}
	return 0, fmt.Errorf("pgbench printed no rate: %s", out)
}

// pgbenchLatencies reads the logs of all its threads: the third field of each
// line is a transaction's time in microseconds.
func pgbenchLatencies(folder string) (*load.Histogram, error) {
	files, err := filepath.Glob(filepath.Join(folder, "tx*"))
	if err != nil {
		return nil, err
	}
	histogram := &load.Histogram{}
	for _, name := range files {
		if err := readLatencies(name, histogram); err != nil {
			return nil, fmt.Errorf("read pgbench's log: %w", err)
		}
	}
	return histogram, nil
}

func readLatencies(name string, into *load.Histogram) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 {
			continue
		}
		us, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return err
		}
		into.Record(time.Duration(us) * time.Microsecond)
	}
	return lines.Err()
}

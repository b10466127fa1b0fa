package visit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Timed is how long the answers to one address took.
type Timed struct {
	Path          string
	Asked         int
	P50, P95, Max time.Duration
	Bytes         int
}

// patience ends the asking for an address that takes too long to be asked often.
const patience = 8 * time.Second

// Measure asks for every address a number of times, one after the other, and
// returns them with the slowest first. An answer other than 200 is an error: a
// page that fails is not fast.
func (v *Visitor) Measure(ctx context.Context, paths []string, times int, log io.Writer) ([]Timed, error) {
	var all []Timed
	var failed []error
	for _, path := range paths {
		t, err := v.time(ctx, path, times)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		all = append(all, t)
		fmt.Fprintf(log, "%9s p95  %s\n", ms(t.P95), path)
	}
	slices.SortFunc(all, func(a, b Timed) int { return int(b.P95 - a.P95) })
	return all, errors.Join(failed...)
}

func (v *Visitor) time(ctx context.Context, path string, times int) (Timed, error) {
	t := Timed{Path: path}
	var took []time.Duration
	for began := time.Now(); len(took) < times && (len(took) < 3 || time.Since(began) < patience); {
		answer, err := v.Ask(ctx, path)
		if err != nil {
			return t, fmt.Errorf("%s: %w", path, err)
		}
		if answer.Status != http.StatusOK {
			return t, fmt.Errorf("%s: answered %d: %s", path, answer.Status, said(answer.Body))
		}
		took, t.Bytes = append(took, answer.Took), len(answer.Body)
	}
	slices.Sort(took)
	t.Asked, t.P50, t.P95, t.Max = len(took), quantile(took, 0.5), quantile(took, 0.95), took[len(took)-1]
	return t, nil
}

// said is what stands on a page between the tags, for an error.
func said(body []byte) string {
	words := strings.Fields(string(tag.ReplaceAll(body, []byte(" "))))
	return strings.Join(words[:min(len(words), 60)], " ")
}

var tag = regexp.MustCompile(`<[^>]*>`)

// quantile is the least value that a share of the sorted ones does not exceed.
func quantile(sorted []time.Duration, share float64) time.Duration {
	return sorted[int(math.Ceil(share*float64(len(sorted))))-1]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond)) }

// Over counts those whose p95 is over the limit.
func Over(all []Timed, limit time.Duration) int {
	n := 0
	for _, t := range all {
		if t.P95 > limit {
			n++
		}
	}
	return n
}

// Table shows the slowest, as Markdown.
func Table(all []Timed, most int) string {
	var b strings.Builder
	b.WriteString("| address | asked | p50 | p95 | max | KiB |\n|---|---:|---:|---:|---:|---:|\n")
	for _, t := range all[:min(most, len(all))] {
		fmt.Fprintf(&b, "| `%s` | %d | %s | %s | %s | %d |\n", strings.ReplaceAll(t.Path, "|", "%7C"), t.Asked, ms(t.P50), ms(t.P95), ms(t.Max), (t.Bytes+1023)/1024)
	}
	return b.String()
}

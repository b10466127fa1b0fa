package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// A Source writes one connection's next request, appending to the buffer that
// it is given. Fresh says that the request is not a repetition of an earlier one.
type Source func(buf []byte) (request []byte, fresh bool)

// Load says what to send, how, and for how long.
type Load struct {
	URL         string
	Connections int
	Warmup      time.Duration // sent but not measured
	Measure     time.Duration
	// Rate is how many requests are due in a second, over all connections.
	// 0 is a closed loop.
	Rate float64
	// Source makes the source of connection i. It is called once for each.
	Source func(i int) (Source, error)
}

// Result is what a run measured.
type Result struct {
	Elapsed   time.Duration
	Latencies *Histogram
	Statuses  map[int]int64
	Errors    int64 // requests without an answer
	FirstErr  error
	// Accepted counts the fresh requests that were answered 2xx, with those of
	// the warm-up: what a server must have kept.
	Accepted int64
	// WarmupEnd is when measuring began, for readings of CPU time.
	WarmupEnd, End time.Time
}

// PerSecond is how many requests were answered 2xx in a second.
func (r Result) PerSecond() float64 {
	var good int64
	for status, n := range r.Statuses {
		if status/100 == 2 {
			good += n
		}
	}
	return float64(good) / r.Elapsed.Seconds()
}

// Bad is how many requests got an answer that is not 2xx, or none.
func (r Result) Bad() int64 {
	bad := r.Errors
	for status, n := range r.Statuses {
		if status/100 != 2 {
			bad += n
		}
	}
	return bad
}

// maxTime and maxConnections bound every run.
const (
	maxTime        = 2 * time.Minute
	maxConnections = 512
	maxErrors      = 50 // in a row, on one connection
)

// Run sends the load and returns what came back. The optional atWarmupEnd is
// called when measuring begins. Run fails when the load is out of bounds, when
// the target is not on this machine's loopback, or when nothing was answered.
func Run(ctx context.Context, l Load, atWarmupEnd func()) (Result, error) {
	address, err := l.check()
	if err != nil {
		return Result{}, err
	}
	r := runner{load: l, address: address, start: time.Now()}
	r.measureFrom = r.start.Add(l.Warmup)
	r.end = r.measureFrom.Add(l.Measure)
	results := make([]Result, l.Connections)
	var all sync.WaitGroup
	for i := range l.Connections {
		source, err := l.Source(i)
		if err != nil {
			return Result{}, err
		}
		all.Go(func() { results[i] = r.connection(ctx, source) })
	}
	if atWarmupEnd != nil {
		timer := time.AfterFunc(l.Warmup, atWarmupEnd)
		defer timer.Stop()
	}
	all.Wait()
	total := sum(results)
	total.WarmupEnd, total.End = r.measureFrom, time.Now()
	total.Elapsed = total.End.Sub(r.measureFrom)
	if err := ctx.Err(); err != nil {
		return total, err
	}
	if total.Latencies.Count() == 0 {
		return total, fmt.Errorf("no request to %s was answered: %w", l.URL, total.FirstErr)
	}
	return total, nil
}

// check returns the address to dial.
func (l Load) check() (string, error) {
	target, err := url.Parse(l.URL)
	if err != nil {
		return "", err
	}
	host, err := netip.ParseAddrPort(target.Host)
	if err != nil || target.Scheme != "http" || !host.Addr().IsLoopback() {
		return "", fmt.Errorf("the target must be http:// on a loopback address with a port, not %q", l.URL)
	}
	if l.Connections < 1 || l.Connections > maxConnections {
		return "", fmt.Errorf("connections must be 1 to %d", maxConnections)
	}
	if l.Measure <= 0 || l.Warmup < 0 || l.Warmup+l.Measure > maxTime {
		return "", fmt.Errorf("a run lasts at most %v", maxTime)
	}
	return target.Host, nil
}

type runner struct {
	load                    Load
	address                 string
	start, measureFrom, end time.Time
	turn                    atomic.Int64 // of the open loop
}

// connection sends one request after the other until the end, and hangs up.
func (r *runner) connection(ctx context.Context, source Source) Result {
	result := Result{Latencies: &Histogram{}, Statuses: map[int]int64{}}
	var (
		c      *connection
		buffer []byte
		inARow int
	)
	defer func() {
		if c != nil {
			c.hangUp()
		}
	}()
	for ctx.Err() == nil && inARow < maxErrors {
		due, ok := r.wait(ctx)
		if !ok {
			break
		}
		request, fresh := source(buffer[:0])
		buffer = request
		status, next, err := r.send(c, request)
		c = next
		measured := !due.Before(r.measureFrom)
		if err != nil {
			inARow++
			if result.FirstErr == nil {
				result.FirstErr = err
			}
			if measured {
				result.Errors++
			}
			continue
		}
		inARow = 0
		if fresh && status/100 == 2 {
			result.Accepted++
		}
		if measured {
			result.Statuses[status]++
			result.Latencies.Record(time.Since(due))
		}
	}
	return result
}

// wait returns when the next request is due: at once in a closed loop. It
// returns false when the run is over.
func (r *runner) wait(ctx context.Context) (time.Time, bool) {
	if r.load.Rate == 0 {
		now := time.Now()
		return now, now.Before(r.end)
	}
	turn := r.turn.Add(1) - 1
	due := r.start.Add(time.Duration(float64(turn) / r.load.Rate * float64(time.Second)))
	if !due.Before(r.end) {
		return due, false
	}
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
		return due, true
	case <-ctx.Done():
		return due, false
	}
}

// send uses the connection, or a new one, and returns the one to use next.
func (r *runner) send(c *connection, request []byte) (int, *connection, error) {
	if c == nil {
		fresh, err := dial(r.address)
		if err != nil {
			return 0, nil, err
		}
		c = fresh
	}
	status, again, err := c.do(request)
	if err == nil && again {
		return status, c, nil
	}
	c.hangUp()
	if errors.Is(err, net.ErrClosed) {
		err = fmt.Errorf("the server hung up: %w", err)
	}
	return status, nil, err
}

func sum(results []Result) Result {
	total := Result{Latencies: &Histogram{}, Statuses: map[int]int64{}}
	for _, r := range results {
		total.Latencies.Merge(r.Latencies)
		for status, n := range r.Statuses {
			total.Statuses[status] += n
		}
		total.Errors += r.Errors
		total.Accepted += r.Accepted
		if total.FirstErr == nil {
			total.FirstErr = r.FirstErr
		}
	}
	return total
}

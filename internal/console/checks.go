package console

import (
	"context"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// How long the answer of a live check stands, since every check costs budget at
// the upstreams, and how long one may take.
const (
	checkEvery = 30 * time.Second
	checkTime  = 15 * time.Second
)

// checks remembers what the last live check of the connections found. However
// many pages ask, one check runs at a time.
type checks struct {
	clock df.Clock
	check func(ctx context.Context) []Connection

	mu      sync.Mutex
	found   []Connection
	at      time.Time     // of found; zero before the first check
	running chan struct{} // closed when the running check ends; nil when none runs
}

// latest returns what the last check found and when, and starts a new one when
// that is too long ago. It waits for the new one until ctx ends, and for no
// longer; a page that must not wait passes a short one.
func (c *checks) latest(ctx context.Context, patience time.Duration) ([]Connection, time.Time) {
	found, at, running := c.begin(ctx)
	if running == nil {
		return found, at
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-running:
	case <-timer.C:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.found, c.at
}

// begin returns what is known, and a channel to wait on when it is being
// checked anew.
func (c *checks) begin(ctx context.Context) ([]Connection, time.Time, chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := !c.at.IsZero() && c.clock().Sub(c.at) < checkEvery
	if c.running == nil && !fresh {
		c.running = make(chan struct{})
		// The check is everybody's: it goes on when who asked first has left.
		go c.run(context.WithoutCancel(ctx), c.running)
	}
	return c.found, c.at, c.running
}

func (c *checks) run(ctx context.Context, done chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	found := c.check(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found, c.at, c.running = found, c.clock(), nil
	close(done)
}

package verity

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Check is one dependency that /ready looks at. Func returns nil when it is
// there; an optional one that is not makes the answer "degraded", but not 503,
// so that an upstream's outage does not take every instance out of service.
type Check struct {
	Name     string
	Optional bool
	Func     func(ctx context.Context) error
}

// The bounds of /ready: how long one check may take, and how long answers are
// shared, so that asking often costs the dependencies nothing.
const (
	checkTimeout = 2 * time.Second
	readyCache   = 2 * time.Second
)

// readiness runs the checks, together and at most once per readyCache.
type readiness struct {
	checks []Check
	clock  df.Clock
	log    *slog.Logger

	mu     sync.Mutex
	at     time.Time
	body   []byte
	status int
}

func newReadiness(checks []Check, clock df.Clock, log *slog.Logger) *readiness {
	return &readiness{checks: checks, clock: clock, log: log}
}

type checked struct {
	Status     string `json:"status"` // ok, error
	Message    string `json:"message,omitempty"`
	Optional   bool   `json:"optional,omitempty"`
	DurationMS int64  `json:"durationMs"`
}

func (d *readiness) serve(w http.ResponseWriter, r *http.Request) {
	body, status := d.current(r.Context())
	w.Header()["Content-Type"] = jsonAnswer
	w.WriteHeader(status)
	_, _ = w.Write(body) // whoever asks may be gone
}

// current returns the last answer, or a new one. Those who ask meanwhile wait
// for the same one.
func (d *readiness) current(ctx context.Context) ([]byte, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.body != nil && d.clock().Sub(d.at) < readyCache {
		return d.body, d.status
	}
	results := d.run(context.WithoutCancel(ctx))
	state, status := "ready", http.StatusOK
	for _, result := range results {
		switch {
		case result.Status == "ok":
		case result.Optional && status == http.StatusOK:
			state = "degraded"
		case !result.Optional:
			state, status = "unavailable", http.StatusServiceUnavailable
		}
	}
	body, err := json.Marshal(map[string]any{"status": state, "checks": results})
	if err != nil {
		body, status = []byte(`{"status":"unavailable"}`), http.StatusServiceUnavailable
	}
	d.body, d.status, d.at = append(body, '\n'), status, d.clock()
	return d.body, d.status
}

func (d *readiness) run(ctx context.Context) map[string]checked {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	type named struct {
		name   string
		result checked
	}
	done := make(chan named, len(d.checks))
	results := make(map[string]checked, len(d.checks))
	for _, check := range d.checks {
		results[check.Name] = checked{Status: "error", Message: "no answer in time", Optional: check.Optional, DurationMS: checkTimeout.Milliseconds()}
		go func() { done <- named{check.Name, d.one(ctx, check)} }()
	}
	for range d.checks {
		select {
		case n := <-done:
			results[n.name] = n.result
		case <-ctx.Done(): // what does not obey its context is not waited for
			return results
		}
	}
	return results
}

func (d *readiness) one(ctx context.Context, check Check) (result checked) {
	started := d.clock()
	result = checked{Status: "error", Message: "failed", Optional: check.Optional}
	defer func() {
		result.DurationMS = d.clock().Sub(started).Milliseconds()
		if recover() != nil {
			d.log.Error("a readiness check panicked", "check", check.Name)
		}
	}()
	err := check.Func(ctx)
	if err == nil {
		result.Status, result.Message = "ok", ""
		return result
	}
	d.log.Warn("a dependency is not ready", "check", check.Name, "err", err)
	if known, found := errors.AsType[*df.Error](err); found {
		result.Message = known.Message
	}
	if known, found := errors.AsType[*df.CallError](err); found {
		result.Message = known.Code
	}
	return result
}

// serveHealth says that the process is alive. It looks at nothing, so that it
// is always cheap.
func (g *Gateway) serveHealth(w http.ResponseWriter, _ *http.Request) {
	g.writeJSON(w, http.StatusOK, healthy)
}

var healthy = []byte(`{"status":"ok","service":"df-middleware"}` + "\n")

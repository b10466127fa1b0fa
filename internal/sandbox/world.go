package sandbox

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/sandbox/alowareworld"
	"github.com/df-middleware/dfm/internal/sandbox/carrier"
	"github.com/df-middleware/dfm/internal/sandbox/clerkworld"
	"github.com/df-middleware/dfm/internal/sandbox/ghlworld"
	"github.com/df-middleware/dfm/internal/sandbox/llmworld"
	"github.com/df-middleware/dfm/internal/sandbox/stage"
	"github.com/df-middleware/dfm/internal/sandbox/verityworld"
)

// Config says how the world is set up. Every field may be left empty. The Stage
// of each upstream's own configuration is filled in from the fields here.
type Config struct {
	Rand      rand.Source       // decides ids and mischief; a fixed seed when nil
	Clock     df.Clock          // time.Now when nil
	Logger    *slog.Logger      // nil discards
	Transport http.RoundTripper // carries webhooks; nil means a plain one without proxies
	TimeScale float64           // factor on the waits of webhooks: retries, delays; 0 means 1
	Workers   int               // webhooks on their way at once, per upstream; 0 means 1
	LogSize   int               // requests and webhooks remembered, per upstream; 0 means 2000

	// Addresses says where an upstream listens, by its name ("ghl", "aloware",
	// "verity", "clerk", "carrier", "llm"); a free port on 127.0.0.1 when not given.
	Addresses map[string]string

	GHL     ghlworld.Config
	Aloware alowareworld.Config
	Verity  verityworld.Config
	Clerk   clerkworld.Config
	Carrier carrier.Config
	LLM     llmworld.Config
}

// World is all upstreams together.
type World struct {
	GHL     *ghlworld.World
	Aloware *alowareworld.World
	Verity  *verityworld.World
	Clerk   *clerkworld.World
	Carrier *carrier.World
	LLM     *llmworld.World

	addresses map[string]string
	stages    []*stage.Stage
}

// New returns a world in which nobody listens yet.
func New(c Config) *World {
	if c.Rand == nil {
		c.Rand = rand.NewPCG(1, 2)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	common := stage.Config{
		Seed: c.Rand.Uint64(), Clock: c.Clock, Logger: c.Logger, Transport: c.Transport,
		TimeScale: c.TimeScale, Workers: c.Workers, LogSize: c.LogSize,
	}
	c.GHL.Stage, c.Aloware.Stage, c.Verity.Stage = common, common, common
	c.Clerk.Stage, c.Carrier.Stage, c.LLM.Stage = common, common, common
	clerk := clerkworld.New(c.Clerk)
	if c.Verity.VerifyToken == nil {
		c.Verity.VerifyToken = clerk.Good
	}
	w := &World{
		GHL: ghlworld.New(c.GHL), Aloware: alowareworld.New(c.Aloware), Verity: verityworld.New(c.Verity),
		Clerk: clerk, addresses: c.Addresses,
	}
	if c.Carrier.Secret == "" {
		c.Carrier.Secret = w.Verity.Settings().WebhookSecret
	}
	w.Carrier = carrier.New(c.Carrier)
	w.LLM = llmworld.New(c.LLM)
	w.stages = []*stage.Stage{w.GHL.Stage, w.Aloware.Stage, w.Verity.Stage, w.Clerk.Stage, w.Carrier.Stage, w.LLM.Stage}
	w.routeControl()
	return w
}

// Start lets every upstream listen. When one cannot, those that already do are
// stopped again.
func (w *World) Start(ctx context.Context) error {
	for _, s := range w.stages {
		if err := s.Listen(ctx, w.addresses[s.Name()]); err != nil {
			return errors.Join(err, w.Close())
		}
	}
	return nil
}

// Close stops all upstreams and drops the webhooks that are still on their way.
func (w *World) Close() error {
	var failed []error
	for _, s := range w.stages {
		failed = append(failed, s.Close())
	}
	return errors.Join(failed...)
}

// SetMischief replaces the mischief that all upstreams share; each may have its
// own beside it.
func (w *World) SetMischief(m stage.Mischief) {
	for _, s := range w.stages {
		s.SetWorldMischief(m)
	}
}

// Behave ends all mischief, shared and own.
func (w *World) Behave() {
	for _, s := range w.stages {
		s.SetWorldMischief(stage.Mischief{})
		s.SetMischief(stage.Mischief{})
	}
}

// Settle waits until every webhook of every upstream has been delivered or
// given up, those included that the delivery of others causes.
func (w *World) Settle(ctx context.Context) error {
	for {
		before := w.sent()
		for _, s := range w.stages {
			if err := s.Settle(ctx); err != nil {
				return err
			}
		}
		if w.sent() == before && w.pending() == 0 {
			return nil
		}
	}
}

func (w *World) sent() (total int) {
	for _, s := range w.stages {
		_, sent := s.Pending()
		total += sent
	}
	return total
}

func (w *World) pending() (total int) {
	for _, s := range w.stages {
		pending, _ := s.Pending()
		total += pending
	}
	return total
}

// DropPending throws away all webhooks on their way and returns how many.
func (w *World) DropPending() (total int) {
	for _, s := range w.stages {
		total += s.DropPending()
	}
	return total
}

// PauseWebhooks lets webhooks pile up at every upstream.
func (w *World) PauseWebhooks() {
	for _, s := range w.stages {
		s.PauseWebhooks()
	}
}

// ResumeWebhooks lets delivery go on.
func (w *World) ResumeWebhooks() {
	for _, s := range w.stages {
		s.ResumeWebhooks()
	}
}

// Calls returns how often each operation was called, by upstream.
func (w *World) Calls() map[string]map[string]int {
	out := map[string]map[string]int{}
	for _, s := range w.stages {
		out[s.Name()] = s.Calls()
	}
	return out
}

// URLs returns where each upstream listens, by its name.
func (w *World) URLs() map[string]string {
	out := map[string]string{}
	for _, s := range w.stages {
		out[s.Name()] = s.URL()
	}
	return out
}

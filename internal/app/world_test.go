package app

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// newWorld starts the upstreams.
func newWorld(t testing.TB, config sandbox.Config) *sandbox.World {
	t.Helper()
	config.TimeScale, config.Workers, config.LogSize, config.Logger = 0.01, 8, 20_000, slog.New(slog.DiscardHandler)
	config.GHL.RateMax = 1 << 30
	config.Aloware.BasicUser, config.Aloware.BasicPass = "test", "test:pass"
	world := sandbox.New(config)
	if err := world.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := world.Close(); err != nil {
			t.Error(err)
		}
	})
	return world
}

// databases are the URLs of a new database on each engine there is.
func databases() map[string]func(testing.TB) string {
	all := map[string]func(testing.TB) string{
		"sqlite": func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "dfm.db") },
	}
	if os.Getenv("TEST_DATABASE_URL") != "" {
		all["postgres"] = func(t testing.TB) string { return storetest.PostgresURL(t) }
	}
	return all
}

// eachDatabase runs a test on every engine.
func eachDatabase(t *testing.T, test func(t *testing.T, databaseURL string)) {
	for name, database := range databases() {
		t.Run(name, func(t *testing.T) { test(t, database(t)) })
	}
}

// settingsOf are the settings of a program that is connected to the world.
func settingsOf(t testing.TB, world *sandbox.World, databaseURL string, more map[string]string) map[string]string {
	t.Helper()
	env, err := world.Env()
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(env, map[string]string{
		"DATABASE_URL": databaseURL, "DFM_SPILL_DIR": t.TempDir(), "PORT": "0", "WEB_PORT": "0",
		"DF_ADMIN_SECRET": "test-admin-secret", "DF_ENCRYPTION_KEY": "dGVzdC1vbmx5LXRlc3Qtb25seS10ZXN0LW9ubHkhISE=",
		"GHL_RATE_PER_10S": "20000", "ALOWARE_RATE_PER_SECOND": "2000", "JOB_RETRY_DELAY": "50ms", "DFM_WORKERS": "16",
		"RECONCILE_INTERVAL": "0", // sweeps are called for
	})
	maps.Copy(env, more)
	return env
}

// configOf reads settings.
func configOf(t testing.TB, env map[string]string) Config {
	t.Helper()
	config, err := Load(func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// build makes the whole program in this process, connected to the world.
func build(t testing.TB, world *sandbox.World, databaseURL string, clock func() time.Time, more map[string]string) *App {
	t.Helper()
	config := configOf(t, settingsOf(t, world, databaseURL, more))
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	a, err := New(t.Context(), config, Options{Log: log, Clock: clock, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// start starts the program; it is stopped when the test ends.
func start(t testing.TB, world *sandbox.World, a *App) {
	t.Helper()
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, a) })
	world.Connect(a.URL("web"))
}

// stop stops the program, also when the test's own context has ended.
func stop(t testing.TB, a *App) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), StopTime)
	defer cancel()
	if err := a.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// skipping is a clock that runs as real time does and can skip some.
type skipping struct{ by atomic.Int64 }

func (c *skipping) now() time.Time { return time.Now().Add(time.Duration(c.by.Load())) }

func (c *skipping) skip(d time.Duration) { c.by.Add(int64(d)) }

// eventually asks until the answer is nil, and fails the test with the last
// answer when the time is over.
func eventually(t testing.TB, within time.Duration, ask func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %v: %v", within, err)
		case <-ticker.C:
		}
	}
}

package app

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/df-middleware/dfm/internal/alerts"
	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/backup"
	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/inbox"
	"github.com/df-middleware/dfm/internal/observe"
	"github.com/df-middleware/dfm/internal/queue"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/postgres"
	"github.com/df-middleware/dfm/internal/store/sqlite"
	"github.com/df-middleware/dfm/internal/verity"
)

// StopTime bounds an orderly stop.
const StopTime = 25 * time.Second

// App is the whole program: build it with New, Start it, Stop it.
type App struct {
	config  Config
	log     *slog.Logger
	clock   df.Clock
	newID   func() string
	version string
	name    string // of this process, in leases

	store   *store.Store
	metrics *observe.Metrics
	tracer  *observe.Tracer
	vault   *auth.Vault
	keys    *auth.Keys
	sync    *syncing
	consent *consenting
	texts   *texts
	lists   *listing
	calls   *calling
	sweeps  *sweeping
	replays *replaying
	verity  *verity.Client    // our own door to Verity, beside the gateway's
	token   *auth.TokenKeeper // of our own token for Verity, nil when none is configured
	// recordings is the way to the audio of calls.
	recordings http.RoundTripper
	writer     *inbox.Writer
	inbox      *inbox.Inbox // nil without the role
	spill      *inbox.Spill
	queue      *queue.Queue
	tally      *alerts.Tally
	watch      *alerts.Watch
	keeper     *backup.Keeper // of backups; nil when none are made
	jwks       *auth.JWKS     // Clerk's public keys; nil when they are not fetched
	begun      time.Time

	document []byte // describes the web app

	servers []*server
	gateway *gateway
	window  *console.Server // nil without the web app
	started []part          // what was started, in order
	leaving atomic.Bool
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// part is something that was started and must be stopped again.
type part struct {
	name string
	stop func(context.Context) error
}

// server is one listening HTTP server.
type server struct {
	name     string
	address  string
	handler  http.Handler
	ending   func() // ends what would keep a shutdown waiting; nil when nothing does
	listener net.Listener
	http     *http.Server
}

// Options are what the process gives the program besides its settings.
type Options struct {
	Log     *slog.Logger
	Clock   df.Clock
	Version string
}

// OpenStore opens the database of the settings without migrating it.
func OpenStore(ctx context.Context, config Config, log *slog.Logger) (*store.Store, error) {
	var engine store.Engine
	var err error
	if path, ok := config.DatabaseFile(); ok {
		engine, err = sqlite.Open(ctx, path, log)
	} else {
		engine, err = postgres.Open(ctx, config.DatabaseURL, log)
	}
	if err != nil {
		return nil, err
	}
	return store.New(engine, log), nil
}

// New builds the program. Nothing runs and nothing listens until Start; Close
// what was built with Stop even when it was not started.
func New(ctx context.Context, config Config, options Options) (*App, error) {
	host, _ := os.Hostname()
	a := &App{
		config: config, log: options.Log, clock: options.Clock, newID: df.IDs(options.Clock), version: options.Version,
		name: fmt.Sprintf("%s-%d-%04x", host, os.Getpid(), rand.IntN(1<<16)), metrics: observe.NewMetrics(),
		recordings: recordingTransport(), begun: options.Clock(),
	}
	db, err := OpenStore(ctx, config, observe.Quiet(options.Log))
	if err != nil {
		return nil, err
	}
	a.store = db
	a.metrics.WatchBacklog(db.Backlog, a.clock)
	a.metrics.WatchForwards(db.ForwardCounts, store.ForwardPending, store.ForwardFailed, store.ForwardRefused, store.ForwardGivenUp)
	if err := a.build(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return a, nil
}

// build makes the parts that the roles need, top to bottom.
func (a *App) build() error {
	for _, step := range []func() error{
		a.buildTracer, a.buildTally, a.buildAuth, a.buildToken, a.buildSync, a.buildConsent, a.buildVerity, a.buildTexts, a.buildCalls,
		a.buildBroadcasts, a.buildLists, a.buildAppointments, a.buildSweeps, a.buildReplays, a.buildInbox, a.buildBackups, a.buildQueue, a.buildGateway, a.buildWeb,
		a.buildAlerts, a.buildStatus, a.buildObservation,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// Start migrates the database when it may, listens, and begins to work. What
// was started is stopped again when something fails.
func (a *App) Start(ctx context.Context) error {
	err := a.start(ctx)
	if err != nil {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), StopTime)
		defer cancel()
		return errors.Join(err, a.Stop(stopping))
	}
	return nil
}

func (a *App) start(ctx context.Context) error {
	if err := a.prepareStore(ctx); err != nil {
		return err
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a.cancel = cancel
	a.startAuth()
	a.running.Go(func() { a.tally.Run(background) })
	if a.config.Has(RoleWeb) {
		a.running.Go(func() { a.spill.Run(background, accepting{a.store, a}, a.clock) })
		a.running.Go(func() { a.sweepOnDemand(background) })
		a.running.Go(func() { a.replayOnDemand(background) })
	}
	if a.config.Has(RoleWorker) {
		a.running.Go(func() { a.beat(background) })
	}
	if err := a.startGateway(background); err != nil {
		return err
	}
	if a.queue != nil {
		if err := a.queue.Start(ctx); err != nil {
			return err
		}
		a.started = append(a.started, part{"queue", a.queue.Stop})
	}
	for _, s := range a.servers {
		if err := a.listen(s); err != nil {
			return err
		}
	}
	return nil
}

func (a *App) prepareStore(ctx context.Context) error {
	if err := a.store.Own(); err != nil {
		return err
	}
	if err := a.awaitStore(ctx); err != nil {
		return err
	}
	if !a.config.AutoMigrate {
		if err := a.store.SchemaReady(ctx); err != nil {
			return err
		}
	} else if _, err := a.store.MigrateUp(ctx, a.clock); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	if a.store.Name() == "sqlite" && a.config.Has(RoleWorker) {
		// One process owns the file, so every lease in it is a dead one's.
		return a.store.FreeLeases(ctx)
	}
	return nil
}

// startPatience is how long a database may come up after the program.
const startPatience = 30 * time.Second

// awaitStore waits for a database that is not there yet, as happens when both
// are started together.
func (a *App) awaitStore(ctx context.Context) error {
	deadline := time.After(startPatience)
	for said := false; ; said = true {
		err := a.store.Ping(ctx)
		if err == nil {
			return nil
		}
		if !said {
			a.log.Warn("the database is not there yet", "error", err)
		}
		select {
		case <-deadline:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(250 * time.Millisecond):
		}
	}
}

func (a *App) listen(s *server) error {
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		return fmt.Errorf("listen for the %s: %w", s.name, err)
	}
	s.listener = listener
	s.http = &http.Server{
		Handler:           observe.Server(s.name, a.untilLeaving(s.handler), a.metrics, a.tracer, a.clock, a.log),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	if s.ending != nil {
		s.http.RegisterOnShutdown(s.ending)
	}
	a.running.Go(func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("a server stopped by itself", "server", s.name, "error", err)
		}
	})
	a.started = append(a.started, part{s.name, func(ctx context.Context) error {
		if err := s.http.Shutdown(ctx); err != nil {
			return errors.Join(err, s.http.Close())
		}
		return nil
	}})
	a.log.Info("listening", "server", s.name, "address", listener.Addr().String())
	return nil
}

// URL returns where the named server ("web" or "gateway") listens, or "" when
// it does not.
func (a *App) URL(name string) string {
	for _, s := range a.servers {
		if s.name == name && s.listener != nil {
			return "http://" + s.listener.Addr().String()
		}
	}
	return ""
}

// Stop stops taking requests, lets what runs finish or hands it back, and closes
// the database, within the time of ctx.
func (a *App) Stop(ctx context.Context) error {
	var errs []error
	for i := len(a.started) - 1; i >= 0; i-- {
		if err := a.started[i].stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", a.started[i].name, err))
		}
	}
	a.started = nil
	if a.cancel != nil {
		a.cancel()
	}
	if a.writer != nil {
		a.writer.Stop()
	}
	a.running.Wait()
	if err := a.tracer.Stop(ctx); err != nil {
		a.log.Warn("the last traces could not be sent", "error", err)
	}
	errs = append(errs, a.store.Close())
	return errors.Join(errs...)
}

// Reload reads again what can change while running: the catalogue.
func (a *App) Reload(ctx context.Context) error {
	if a.gateway == nil || a.gateway.catalogue == nil {
		return nil
	}
	return a.gateway.catalogue.Reload(ctx)
}

// Redactor knows every secret of the settings, so that none is ever printed.
func (c Config) Redactor() *egress.Redactor {
	var secrets []string
	for _, secret := range append(append([]df.Secret{
		c.GatewayKey, c.AdminSecret, c.JobsSecret, c.GHL.APIKey, c.GHL.ClientSecret, c.GHL.WebhookSecret,
		c.Aloware.Token, c.Aloware.BasicPass, c.Aloware.Bearer, c.Verity.APIKey, c.Verity.WebhookSecret,
		c.Clerk.SecretKey, c.Clerk.MachineSecretKey, c.Chat.AnthropicKey, c.Chat.OpenAIKey,
		c.Alerts.URL, c.Observe.TraceHeaders,
	}, c.Texting.TwilioTokens...), c.Texting.StandardSecrets...) {
		if secret.Set() {
			secrets = append(secrets, secret.Reveal())
		}
	}
	if u, err := url.Parse(c.DatabaseURL); err == nil {
		if password, set := u.User.Password(); set {
			secrets = append(secrets, password)
		}
	}
	for _, key := range append([][]byte{c.Encryption}, c.OldKeys...) {
		if key != nil {
			secrets = append(secrets, base64.StdEncoding.EncodeToString(key))
		}
	}
	return egress.NewRedactor(secrets, nil)
}

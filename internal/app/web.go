package app

import (
	"crypto/rand"
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/aloware"
	"github.com/df-middleware/dfm/internal/calls"
	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/ghl"
	"github.com/df-middleware/dfm/internal/inbox"
)

// buildInbox makes what stores webhooks.
func (a *App) buildInbox() error {
	if !a.config.Has(RoleWeb) {
		return nil
	}
	committers := 2
	if a.store.Name() == "sqlite" {
		committers = 1
	}
	a.writer = inbox.NewWriter(accepting{a.store, a}, committers, a.clock)
	a.spill = inbox.NewSpill(a.config.SpillFolder, a.log)
	return nil
}

// buildWeb makes the web app: webhooks and console.
func (a *App) buildWeb() error {
	if !a.config.Has(RoleWeb) {
		return nil
	}
	hooks, err := a.webhookRoutes()
	if err != nil {
		return err
	}
	mux := newRoutes()
	if err := a.buildDocument(); err != nil {
		return err
	}
	a.inbox = inbox.New(inbox.Config{
		Writer: a.writer, Spill: a.spill, Clock: a.clock, NewID: a.newID, Log: a.log,
		DedupeWindow: a.config.DedupeWindow, Hold: a.config.Hold, Unsigned: a.config.Unsigned, Observe: a.observeWebhook,
	})
	a.inbox.Register(mux, hooks...)
	a.registerInstallation(mux)
	a.registerMCP(mux)
	guard, jobsGuard := a.guards()
	admin := func(h http.Handler) http.Handler { return guard.Wrap(plain(h)) }
	jobs := func(h http.Handler) http.Handler { return jobsGuard.Wrap(plain(h)) }
	talk, err := a.newChat(guard)
	if err != nil {
		return err
	}
	talk.Register(mux)
	window, err := console.New(console.Config{
		Store: a.store, Sync: a.sync, People: a.directory(), Clock: a.clock, Log: a.log, Admin: admin, Jobs: jobs,
		Connections: a.Connections, Health: a.Health, Outward: a.outward, Ready: a.ready,
		Sample: a.sample, Metrics: a.metrics.Handler(), Version: a.version, Started: a.clock(),
		Explain: a.explainer(), Look: a.sync.converger, Lists: a.lists.desk, ListSync: a.config.Lists.Sync, Users: a.lists,
		Keys: a.keys, Decode: decoderOf(hooks),
		Guard: guard, Accounts: a.users(guard.Brake), Clerk: a.clerkUser(), ClerkOrigins: a.config.Clerk.AuthorizedParties,
		Random: rand.Reader, BaseURL: a.config.BaseURL, Webhooks: webhooksOf(hooks),
		RecordingLink: a.recordingLink, InstallPath: a.installPath(), Settings: a.effective(),
		Features: []func(*console.Book){a.driftPages, a.optOutPages, a.flowPages, a.erasePages, a.toolPages},
		Chat:     consoleChat{talk, chatDoor{config: a.config.MCP}},
	})
	if err != nil {
		return err
	}
	a.window = window
	window.Register(mux)
	registerProfiles(mux, admin)
	a.registerDocument(mux, admin)
	a.registerOptOuts(mux, admin)
	mux.HandleFunc("GET "+calls.Path+"{token}", a.playRecording)
	a.registerErasure(mux, admin)
	a.registerForwards(mux, admin)
	a.registerAppointments(mux, admin)
	a.registerBroadcasts(mux, admin)
	a.registerDrift(mux, admin)
	a.registerReplays(mux, admin)
	a.servers = append(a.servers, &server{name: "web", address: a.config.WebAddress(), handler: mux, ending: window.Stop})
	return nil
}

// webhooksOf lists the addresses to which senders post.
func webhooksOf(routes []inbox.Route) []console.Webhook {
	hooks := make([]console.Webhook, len(routes))
	for i, r := range routes {
		hooks[i] = console.Webhook{Name: r.Name, Source: r.Source, Paths: r.Paths}
	}
	return hooks
}

// installPath is where the installation of our Marketplace app begins, or "".
func (a *App) installPath() string {
	if a.sync.install == nil {
		return ""
	}
	return "/leadconnector/install"
}

// effective lists the settings as they were read, for the console: of secret
// ones only whether they are set, and no secret within another's value.
func (a *App) effective() []console.Setting {
	redactor := a.config.Redactor()
	shown := make([]console.Setting, len(a.config.Shown))
	for i, s := range a.config.Shown {
		shown[i] = console.Setting{Name: s.Name, Value: redactor.Text(s.Value), Secret: s.Secret, Set: s.Set}
	}
	return shown
}

// webhookRoutes lists the routes of the sources that we listen to.
func (a *App) webhookRoutes() ([]inbox.Route, error) {
	g := a.config.GHL
	verifier, err := ghl.NewVerifier(ghl.VerifierOptions{Keys: g.PublicKeys, RSAKeys: g.RSAPublicKeys, Secret: g.WebhookSecret})
	if err != nil {
		return nil, Problems{{"GHL_WEBHOOK_PUBLIC_KEYS", "must hold PEM public keys: " + err.Error()}}
	}
	fromGHL := ghl.Decoder{Region: a.config.Region, LocationID: g.LocationID, AppID: ghl.AppID(g.ClientID)}
	fromAloware := aloware.Decoder{Region: a.config.Region}
	credentials := aloware.Verifier{User: a.config.Aloware.BasicUser, Pass: a.config.Aloware.BasicPass, Bearer: a.config.Aloware.Bearer}
	// What makes us text people must be signed by GHL itself.
	agents, err := ghl.NewVerifier(ghl.VerifierOptions{Keys: g.PublicKeys})
	if err != nil {
		return nil, Problems{{"GHL_WEBHOOK_PUBLIC_KEYS", "must hold PEM public keys: " + err.Error()}}
	}
	texting, err := a.textingRoutes(fromGHL, agents.Verify)
	if err != nil {
		return nil, err
	}
	return append([]inbox.Route{
		{
			Name: "ghl", Source: df.SourceGHL, Paths: []string{"/api/webhooks/ghl"},
			Verify: verifier.Verify, Decode: fromGHL.Decode, WhenDown: inbox.Answer429,
		},
		{
			Name: "ghl/workflow", Source: df.SourceGHL, Paths: []string{"/api/webhooks/ghl/workflow"},
			Verify: verifier.Verify, Decode: fromGHL.DecodeWorkflow, WhenDown: inbox.Answer429,
		},
		{
			Name: "aloware", Source: df.SourceAloware,
			Paths:  []string{"/api/webhooks/aloware", "/api/integrations/aloware/webhook"},
			Verify: credentials.Verify, Decode: fromAloware.Decode,
			Allow: aloware.AllowedEvents(a.config.Aloware.AllowedEvents).Allows, WhenDown: inbox.HoldAndSpill,
		},
	}, texting...), nil
}

// decoderOf reads kept events again by the routes that took them.
func decoderOf(routes []inbox.Route) func(df.Event) df.Notice {
	byName := make(map[string]inbox.Route, len(routes))
	for _, route := range routes {
		byName[route.Name] = route
	}
	return func(e df.Event) df.Notice {
		route, ok := byName[e.Route]
		if !ok {
			return df.Notice{Skip: "its route is not configured"}
		}
		header := http.Header{}
		for name, value := range e.Headers {
			header.Set(name, value)
		}
		return route.Read(header, e.Raw)
	}
}

// pruneAfter is how long records that only serve the running system are kept.
const pruneAfter = 7 * 24 * time.Hour

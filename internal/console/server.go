package console

import (
	"context"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/df-middleware/dfm/internal/alerts"
	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/explain"
	"github.com/df-middleware/dfm/internal/lists"
	"github.com/df-middleware/dfm/internal/store"
)

// Connection is what a live check of one upstream, dependency or setting found.
type Connection struct {
	Name    string  `json:"name"`
	Status  string  `json:"status"` // ok, warning, failed, not_configured
	Message string  `json:"message,omitempty"`
	TookMS  float64 `json:"tookMs"`
}

// Syncer asks for convergence of people.
type Syncer interface {
	// SyncContact makes one contact, named by the id on either side or by
	// phone, converge soon, and returns the person's id.
	SyncContact(ctx context.Context, ghlID, alowareID, phone string) (string, error)
	// SyncAll makes everybody converge and returns how many were asked for.
	SyncAll(ctx context.Context) (int, error)
}

// Explainer answers why a person is, or is not, texted, called and listed.
type Explainer interface {
	Why(ctx context.Context, personID string, q explain.Question) (explain.Answer, error)
	All(ctx context.Context, personID string) ([]explain.Answer, error)
}

// Looker reads a person's contacts as they are now and says what would follow.
type Looker interface {
	Look(ctx context.Context, personID string) (converge.View, error)
	Compare(agreed converge.Agreed, seen map[df.Side]df.Contact) converge.Proposal
	InForce() converge.Rules
}

// Config is what the console shows and acts on.
type Config struct {
	Store *store.Store
	Sync  Syncer
	// People merges and splits people.
	People Directory
	Clock  df.Clock
	Log    *slog.Logger
	// Admin and Jobs wrap handlers that need the admin secret, or either of
	// the two secrets.
	Admin, Jobs func(http.Handler) http.Handler
	// Connections checks everything for real.
	Connections func(ctx context.Context) []Connection
	// Health checks the systems that the overview shows, at the least cost;
	// Connections when nil.
	Health func(ctx context.Context) []Connection
	// Ready tells whether requests should be sent here; the store's Ping when nil.
	Ready func(ctx context.Context) error
	// Outward tells how the ways out of here stand. It may be nil.
	Outward func(ctx context.Context) (Outward, error)
	// Sample posts a signed sample event to our own webhook route of the
	// source, as that source would, and returns status and body of the answer.
	Sample func(ctx context.Context, source string) (status int, body []byte, err error)
	// Decode reads a kept event's bytes again, as its route reads new ones.
	Decode  func(e df.Event) df.Notice
	Keys    *auth.Keys
	Metrics http.Handler
	Version string
	Started time.Time

	// Lists is the desk of call lists; nil leaves its pages and routes out.
	Lists *lists.Desk
	// Explain answers why people are or are not contacted; nil leaves it out.
	Explain Explainer
	// Look reads people at both sides; nil leaves it out.
	Look Looker
	// ListSync says that lists are decided: ENABLE_AGENT_LIST_SYNC.
	ListSync bool
	Users    UserBook

	// Guard judges the admin secret of the sign-in form.
	Guard *auth.Guard
	// Accounts are the users who may sign in by name.
	Accounts *auth.Users
	// Clerk returns for which user of Clerk's a session token speaks, when it is
	// good. Nil when Clerk is not configured.
	Clerk func(ctx context.Context, token string) (clerkUserID string, err error)
	// ClerkOrigins are the origins whose pages may send a token of Clerk's by form.
	ClerkOrigins []string
	// Random makes session ids and form tokens: crypto/rand.Reader.
	Random io.Reader
	// BaseURL is our public address without a trailing slash, or "".
	BaseURL string
	// Webhooks are the addresses that senders are told to post to.
	Webhooks []Webhook
	// InstallPath begins the connection of our Marketplace app at GHL; "" when
	// none is configured.
	InstallPath string
	// Chat is the conversation with a language model; nil when there is none.
	Chat Chat
	// RecordingLink makes a link to a call's recording that ends soon. It may be
	// nil.
	RecordingLink func(callID string) string
	// Settings are the effective settings, without what is secret.
	Settings []Setting
	// Features add pages of their own.
	Features []func(*Book)
}

// Webhook is one address that a source posts its events to.
type Webhook struct {
	Name   string // e.g. "ghl/workflow"
	Source df.Source
	Paths  []string
}

// Setting is one effective setting. Of a secret one there is no value here, only
// whether it is set.
type Setting struct {
	Name   string
	Value  string
	Secret bool
	Set    bool
}

// Server serves the console.
type Server struct {
	Config
	book        *Book
	templates   map[string]*template.Template
	sessions    *sessions
	checks      *checks
	glances     *checks // of the overview
	overview    *overview
	pulse       *pulse
	river       *river
	crossOrigin *http.CrossOriginProtection
}

// New returns a console.
func New(config Config) (*Server, error) {
	s := &Server{
		Config: config, crossOrigin: http.NewCrossOriginProtection(),
		checks: &checks{clock: config.Clock, check: config.Connections}, overview: &overview{store: config.Store, clock: config.Clock, log: config.Log},
	}
	s.glances = s.checks
	if config.Health != nil {
		s.glances = &checks{clock: config.Clock, check: config.Health}
	}
	s.sessions = &sessions{store: config.Store, guard: config.Guard, clock: config.Clock, random: config.Random}
	if base, err := url.Parse(config.BaseURL); err == nil && base.Host != "" {
		if err := s.crossOrigin.AddTrustedOrigin(base.Scheme + "://" + base.Host); err != nil {
			return nil, fmt.Errorf("trust our own address: %w", err)
		}
	}
	s.pulse = newPulse(config.Store.Marks, pulseEvery, config.Log)
	s.river = &river{pages: config.Store.JobPages, log: config.Log}
	s.book = newBook(s)
	s.writePages(s.book)
	var err error
	s.templates, err = s.book.parse(functions(config.Clock))
	return s, err
}

// Stop ends every live stream and what River's pages run, so that the HTTP server
// can shut down.
func (s *Server) Stop() {
	s.pulse.stop()
	s.river.stop()
}

// Mux is what routes are added to, as to http.ServeMux.
type Mux interface {
	Handle(pattern string, handler http.Handler)
}

// Register adds all routes to the mux.
func (s *Server) Register(mux Mux) {
	admin := func(pattern string, h handler) { mux.Handle(pattern, s.Admin(s.reply(h))) }
	jobs := func(pattern string, h handler) { mux.Handle(pattern, s.Jobs(s.reply(h))) }

	admin("GET /api/admin/events", s.listEvents)
	admin("GET /api/admin/events/counts", s.countEvents)
	admin("GET /api/admin/events/{id}", s.getEvent)
	admin("POST /api/admin/events/{id}/replay", s.replayEvent)
	admin("POST /api/admin/events/{id}/release", s.replayEvent)
	admin("POST /api/admin/events/{id}/quarantine", s.closeEvent(df.Quarantined, "event.quarantine"))
	admin("POST /api/admin/events/{id}/mark-done", s.closeEvent(df.Done, "event.mark-done"))
	admin("GET /api/admin/people", s.listPeople)
	admin("GET /api/admin/people/{id}", s.getPerson)
	admin("GET /api/admin/people/{id}/timeline", s.timeline)
	admin("GET /api/admin/people/{id}/why", s.why)
	admin("GET /api/admin/messages", s.listTexts)
	admin("GET /api/admin/calls", s.listCalls)
	admin("GET /api/admin/calls/{id}", s.getCall)
	admin("GET /api/admin/sync-log", s.listSyncLog)
	admin("GET /api/admin/audit", s.listAudit)
	admin("GET /api/admin/lanes", s.lanes)
	admin("GET /api/admin/issues", s.listIssues)
	admin("GET /api/admin/alerts", s.listAlerts)
	admin("GET /api/admin/alerts/{id}", s.getAlert)
	admin("POST /api/admin/alerts/{id}/ack", s.changeAlert(alerts.ActionAcknowledge))
	admin("POST /api/admin/alerts/{id}/resolve", s.changeAlert(alerts.ActionResolve))
	admin("GET /api/admin/agents", s.listAgents)
	admin("POST /api/admin/agents", s.saveAgent)
	admin("PUT /api/admin/agents/{agentKey}", s.saveAgent)
	admin("DELETE /api/admin/agents/{agentKey}", s.deleteAgent)
	admin("GET /api/admin/keys", s.listKeys)
	admin("POST /api/admin/keys", s.createKey)
	admin("POST /api/admin/keys/{id}/rotate", s.rotateKey)
	admin("DELETE /api/admin/keys/{id}", s.revokeKey)
	admin("GET /api/admin/verify-connections", s.connections)

	s.registerMappings(admin)
	s.registerConflicts(admin)
	s.registerUsers(admin)

	jobs("GET /api/jobs/process-pending", s.processPending)
	jobs("POST /api/jobs/process-pending", s.processPending)
	jobs("POST /api/jobs/enqueue-pending", s.processPending)
	jobs("POST /api/sync/contacts", s.syncContacts)
	jobs("GET /api/test/connections", s.connections)
	jobs("POST /api/test/webhooks/{source}", s.sampleWebhook)

	s.registerLists(admin, jobs)
	s.registerPages(mux)

	mux.Handle("GET /api/metrics", s.Metrics)
	mux.Handle("GET /metrics", s.Metrics)
	mux.Handle("GET /api/health", s.reply(s.health))
	mux.Handle("GET /health", s.reply(s.health))
	mux.Handle("GET /ready", http.HandlerFunc(s.ready))
	mux.Handle("/api/", s.reply(func(*http.Request) (any, error) {
		return nil, &df.Error{Code: "NOT_FOUND", Message: "there is no such route", Status: http.StatusNotFound}
	}))
}

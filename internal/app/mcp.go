package app

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/explain"
	"github.com/df-middleware/dfm/internal/observe"
	"github.com/df-middleware/dfm/internal/replay"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/verity/catalogue"
	"github.com/df-middleware/dfm/internal/verity/mcp"
	"github.com/df-middleware/dfm/internal/verity/mcp/toolset"
)

// roleMCP is what a process runs that only speaks MCP on standard input and
// output. It is no role for DFM_ROLES.
const roleMCP Role = "mcp"

// mcpServer is the MCP server and what it writes down.
type mcpServer struct {
	server *mcp.Server
	trail  *trail
}

// ServeMCP runs the MCP server on a pair of streams until the input ends or the
// context does. Nothing but the protocol is written to out.
func ServeMCP(ctx context.Context, config Config, options Options, in io.Reader, out io.Writer) error {
	config.Roles = []Role{roleMCP}
	a, err := New(ctx, config, options)
	if err != nil {
		return err
	}
	served := a.startMCP(ctx)
	if served == nil {
		served = a.gateway.mcp.server.Serve(ctx, in, out)
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), StopTime)
	defer cancel()
	return errors.Join(served, a.Stop(stopping))
}

// startMCP starts what the MCP server needs. It does not make the SQLite file its
// own, as dfm serve does: it takes no leases and no jobs, and may run beside.
func (a *App) startMCP(ctx context.Context) error {
	if err := a.awaitStore(ctx); err != nil {
		return err
	}
	if err := a.store.SchemaReady(ctx); err != nil {
		if !a.config.AutoMigrate {
			return err
		}
		if _, err := a.store.MigrateUp(ctx, a.clock); err != nil {
			return fmt.Errorf("migrate the database: %w", err)
		}
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a.cancel = cancel
	a.startAuth()
	return a.startGateway(background)
}

func (a *App) newMCP(g *gateway) (*mcpServer, error) {
	c := a.config.MCP
	t := newTrail(a.store, a.log)
	t.metrics = a.metrics
	config := mcp.Config{
		Verity: g.client, Mode: mcp.Mode(c.Tools), Records: a.store, Audit: t,
		Replay: func(ctx context.Context, f store.EventFilter) (any, error) {
			return a.replays.desk.Estimate(ctx, replay.Asked{Action: store.BulkReplay, Filter: f})
		},
		Drift: func(ctx context.Context) (any, error) { return ReportDrift(ctx, a.store, a.clock()) },
		Why: func(ctx context.Context, personID, question string) (any, error) {
			return a.explainer().Why(ctx, personID, explain.Question(question))
		},
		MaxResult: c.MaxResult,
		Filter:    toolset.Filter{ReadOnly: c.ReadOnly, Domains: c.Domains, Tags: c.Tags, Methods: c.Methods},
		Limit: callLimit{
			auth.NewLimiter(auth.Stored{Store: a.store, Clock: a.clock}, a.clock, a.log),
			auth.Rate{PerMinute: c.RatePerMinute, Burst: c.RatePerMinute / 4}, "mcp:",
		},
		Version: a.version, Clock: a.clock, Log: a.log,
	}
	if a.config.Encryption != nil { // so that any instance can finish what another asked
		secret, err := hkdf.Key(sha256.New, a.config.Encryption, nil, "dfm mcp confirmations", 32)
		if err != nil {
			return nil, fmt.Errorf("derive the secret of confirmations: %w", err)
		}
		config.Secret = secret
	}
	if a.config.Has(roleMCP) {
		local := c.caller("stdio", "standard input")
		local.Records = true
		config.Local = &local
	}
	server, err := mcp.New(config)
	return &mcpServer{server, t}, err
}

// registerMCP puts the MCP server into the web app.
func (a *App) registerMCP(mux *routes) {
	door := mcp.Door{
		Authenticate: mcpDoor{a.keys, a.gateway.verifier, a.config.MCP}.authenticate,
		BaseURL:      a.config.BaseURL, Origins: a.config.CORSOrigins,
		AnyHost: a.config.BaseURL == "" && !loopback(a.config.Host),
	}
	// Clerk's authorization server gives out OAuth access tokens. It is named
	// only when there are some that we take.
	if a.config.Clerk.Issuer != "" && len(a.config.MCP.OAuthClients) > 0 {
		door.Issuers = []string{a.config.Clerk.Issuer}
	}
	a.gateway.mcp.server.Register(mux, door)
}

// oauth says which OAuth access tokens of our Clerk instance are for us.
func (a *App) oauth() auth.OAuth {
	o := auth.OAuth{Clients: a.config.MCP.OAuthClients}
	if a.config.BaseURL != "" {
		o.Resource = a.config.BaseURL + mcp.Path
	}
	return o
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// caller returns a caller with what the settings grant to him.
func (c MCPConfig) caller(id, name string) mcp.Caller {
	return mcp.Caller{ID: id, Name: name, Profile: mcp.Profile{
		Filter:      toolset.Filter{ReadOnly: slices.Contains(c.ReadOnlyFor, id), Domains: c.DomainsOf[id]},
		Unconfirmed: slices.Contains(c.Unconfirmed, id),
	}}
}

// mcpDoor judges who may use the MCP server over HTTP.
type mcpDoor struct {
	keys     *auth.Keys
	verifier *auth.Verifier // nil accepts no Clerk token
	config   MCPConfig
}

// authenticate takes an API key with the scope mcp, or a Clerk token.
func (d mcpDoor) authenticate(ctx context.Context, token string) (mcp.Caller, error) {
	if d.verifier != nil && strings.Count(token, ".") == 2 {
		id, err := d.verifier.Verify(ctx, token, auth.AnyCaller)
		if err == nil {
			return d.person(id), nil
		}
		if !errors.Is(err, auth.ErrInvalidToken) {
			return mcp.Caller{}, err
		}
	}
	key, err := d.keys.Authenticate(ctx, token, auth.ScopeMCP)
	var limited *auth.RateLimitedError
	switch {
	case errors.As(err, &limited):
		return mcp.Caller{}, rateLimited{limited}
	case err != nil:
		return mcp.Caller{}, err
	}
	caller := d.config.caller(key.Actor(), key.Name)
	caller.Records = true
	return caller, nil
}

// person returns the caller of a Clerk token. Verity sees our own token, so what
// the person may do there is judged here, by the catalogue's levels.
func (d mcpDoor) person(id auth.Identity) mcp.Caller {
	caller := d.config.caller("clerk:"+id.Subject, id.Subject)
	switch {
	case id.OrgRole == "org:admin":
		caller.Records = true
	case id.Machine:
		caller.Levels = []catalogue.Auth{catalogue.NoAuth, catalogue.RequireAuth}
	default:
		caller.Levels = []catalogue.Auth{catalogue.NoAuth, catalogue.RequireAuth, catalogue.RequireUser}
	}
	return caller
}

// callLimit bounds what one caller may do, over all instances.
type callLimit struct {
	limiter *auth.Limiter
	rate    auth.Rate
	what    string // is counted: "mcp:", "chat:"
}

// Take implements mcp.Limit.
func (l callLimit) Take(ctx context.Context, caller string) error {
	err := l.limiter.Take(ctx, l.what+caller, l.rate)
	if limited, ok := errors.AsType[*auth.RateLimitedError](err); ok {
		return rateLimited{limited}
	}
	return err
}

// trail writes calls of tools into the audit log: those that may change
// something before they are answered, those that only read a moment later.
type trail struct {
	store   *store.Store
	log     *slog.Logger
	queue   chan mcp.Entry
	metrics *observe.Metrics // nil counts nothing
}

func newTrail(s *store.Store, log *slog.Logger) *trail {
	return &trail{store: s, log: log, queue: make(chan mcp.Entry, 1024)}
}

// Record implements mcp.Audit.
func (t *trail) Record(ctx context.Context, e mcp.Entry) {
	if t.metrics != nil {
		kind := e.Tool
		if e.Operation != "" {
			kind = "operation"
		}
		t.metrics.ToolCall(kind, e.Status, e.Duration)
	}
	if !e.Changes {
		select {
		case t.queue <- e:
			return
		default: // written here, which slows the caller down
		}
	}
	t.write(ctx, e)
}

// run writes what is queued until the context ends, and then what is left.
func (t *trail) run(ctx context.Context) {
	for {
		select {
		case e := <-t.queue:
			t.write(ctx, e)
		case <-ctx.Done():
			for {
				select {
				case e := <-t.queue:
					t.write(ctx, e)
				default:
					return
				}
			}
		}
	}
}

// auditTime bounds one write.
const auditTime = 5 * time.Second

func (t *trail) write(ctx context.Context, e mcp.Entry) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTime)
	defer cancel()
	details := map[string]any{"arguments": e.Arguments, "status": e.Status, "durationMs": e.Duration.Milliseconds()}
	if e.Operation != "" {
		details["operation"] = e.Operation
	}
	err := t.store.Audit(ctx, store.AuditRow{At: e.At.UTC(), Actor: e.Caller, Action: "mcp.call", Target: e.Tool, Details: details})
	if err != nil {
		t.log.ErrorContext(ctx, "a call of a tool is missing from the audit log", "tool", e.Tool, "caller", e.Caller, "error", err)
	}
}

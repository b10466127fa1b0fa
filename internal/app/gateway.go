package app

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/observe"
	"github.com/df-middleware/dfm/internal/openapi"
	"github.com/df-middleware/dfm/internal/verity"
	"github.com/df-middleware/dfm/internal/verity/catalogue"
)

// gateway is the way to Verity, for outsiders and for ourselves. Its door may
// exist without listening: the MCP server goes through it too.
type gateway struct {
	catalogue *catalogue.Loader // nil when none is configured
	door      *verity.Gateway
	client    *verity.Client
	verifier  *auth.Verifier // of callers' Clerk tokens; nil accepts none
	mcp       *mcpServer     // nil without the roles that serve it
	document  []byte         // describes the gateway
}

// buildGateway makes the gateway and what goes through it.
func (a *App) buildGateway() error {
	listens, serves := a.config.Has(RoleGateway), a.config.Has(RoleWeb) || a.config.Has(roleMCP)
	if !listens && !serves {
		return nil
	}
	g := &gateway{}
	if err := a.buildDoor(g); err != nil {
		return err
	}
	if listens {
		a.servers = append(a.servers, &server{name: "gateway", address: a.config.GatewayAddress(), handler: g.door})
	}
	if serves {
		mcp, err := a.newMCP(g)
		if err != nil {
			return err
		}
		g.mcp = mcp
	}
	a.gateway = g
	return nil
}

// buildDoor makes the door to Verity and the client that goes through it.
func (a *App) buildDoor(g *gateway) error {
	if a.config.Verity.CatalogPath != "" {
		g.catalogue = catalogue.NewLoader(catalogue.Source{
			Location: a.config.Verity.CatalogPath, Client: &http.Client{Transport: egress.NewTransport()},
			Clock: a.clock, Log: a.log, Changed: g.changed,
		})
	}
	verifier, err := a.verifier()
	if err != nil {
		return Problems{{"CLERK_JWT_KEY", err.Error()}}
	}
	g.verifier = verifier
	config := verity.Config{
		BaseURL: a.config.Verity.BaseURL, Mode: verity.Mode(a.config.Verity.CatalogMode), Validate: true,
		Keys: gatewayKeys{a.keys}, Gate: a.consent.gate, APIKey: a.config.Verity.APIKey,
		Transport: a.toVerity(), TextsWithAPIKey: true, CORSOrigins: a.config.CORSOrigins, Timeout: a.config.Verity.Timeout,
		Metrics: a.metrics.Handler(), Observer: gatewayObserver{a.metrics}, Clock: a.clock, Log: a.log,
		Checks: a.gatewayChecks(g),
	}
	if g.document, err = openapi.Gateway(openapi.About{Version: a.version}); err != nil {
		return err
	}
	config.Document = g.document
	if g.catalogue != nil {
		config.Catalogue = g.catalogue.Current
	}
	if verifier != nil {
		config.Verifier = clerkVerifier{verifier}
	}
	if g.door, err = verity.New(config); err != nil {
		return err
	}
	g.client = g.door.Client(a.innerDoor())
	return nil
}

// innerDoor is what our own calls of Verity need besides a gateway.
func (a *App) innerDoor() verity.ClientConfig {
	c := a.config.Verity
	inner := verity.ClientConfig{WebhookSecret: c.WebhookSecret, PlainSecret: c.PlainSecret, AnalyticsPath: c.AnalyticsPath}
	if a.token != nil {
		inner.Tokens = ownTokens{a.token}
	}
	return inner
}

// changed passes a new catalogue on to what is made of it.
func (g *gateway) changed(c *catalogue.Catalogue) {
	if g.mcp != nil {
		g.mcp.server.Reload(c)
	}
}

// startGateway reads the catalogue and keeps catalogue and token fresh. A
// catalogue that cannot be read does not stop the program: the gateway says
// CATALOG_UNAVAILABLE where it needs one, and reading goes on.
func (a *App) startGateway(ctx context.Context) error {
	if a.gateway == nil {
		return nil
	}
	if a.gateway.mcp != nil {
		a.running.Go(func() { a.gateway.mcp.trail.run(ctx) })
	}
	if loader := a.gateway.catalogue; loader != nil {
		if err := loader.Reload(ctx); err != nil {
			a.log.Error("the catalogue cannot be read", "error", err)
		}
		a.running.Go(func() { loader.Run(ctx) })
	}
	return nil
}

// gatewayChecks is what the gateway needs in order to serve.
func (a *App) gatewayChecks(g *gateway) []verity.Check {
	checks := []verity.Check{{Name: "database", Func: a.store.Ping}}
	if g.catalogue != nil {
		checks = append(checks, verity.Check{Name: "catalogue", Optional: a.config.Verity.CatalogMode != "enforce",
			Func: func(context.Context) error {
				if g.catalogue.Current() == nil {
					return errors.New("no catalogue could be read yet")
				}
				return nil
			}})
	}
	return append(checks, verity.Check{Name: "verity", Optional: true, Func: func(ctx context.Context) error {
		return reach(ctx, a.config.Verity.BaseURL)
	}})
}

// gatewayKeys adapts the API keys to the gateway.
type gatewayKeys struct{ keys *auth.Keys }

// Authenticate implements verity.Keys.
func (k gatewayKeys) Authenticate(ctx context.Context, presented, scope string) (verity.Caller, error) {
	key, err := k.keys.Authenticate(ctx, presented, auth.Scope(scope))
	var limited *auth.RateLimitedError
	if errors.As(err, &limited) {
		return verity.Caller{}, rateLimited{limited}
	}
	return verity.Caller{ID: key.ID, Name: key.Name}, err
}

// rateLimited tells the gateway when to come back.
type rateLimited struct{ *auth.RateLimitedError }

// RetryAfter is what the gateway looks for.
func (r rateLimited) RetryAfter() time.Duration { return r.RateLimitedError.RetryAfter }

// clerkVerifier adapts the verifier to the gateway: people and machines may
// call Verity; who may do what there is Verity's and the catalogue's to say.
type clerkVerifier struct{ verifier *auth.Verifier }

// Verify implements verity.TokenVerifier.
func (v clerkVerifier) Verify(ctx context.Context, token string) (verity.Identity, error) {
	id, err := v.verifier.Verify(ctx, token, auth.SessionOrMachine)
	return verity.Identity{
		Subject: id.Subject, SessionID: id.SessionID, OrgID: id.OrgID, OrgRole: id.OrgRole, Machine: id.Machine,
		Admin: id.OrgRole == "org:admin",
	}, err
}

// ownTokens adapts the token keeper to the gateway's inner door.
type ownTokens struct{ keeper *auth.TokenKeeper }

// Token implements verity.Tokens.
func (t ownTokens) Token(ctx context.Context) (string, error) {
	token, err := t.keeper.Token(ctx)
	return token.Reveal(), err
}

// Invalidate implements verity.Tokens.
func (t ownTokens) Invalidate(_ context.Context, token string) { t.keeper.Invalidate(df.Secret(token)) }

// gatewayObserver feeds the metrics.
type gatewayObserver struct{ metrics *observe.Metrics }

// Served implements verity.Observer.
func (o gatewayObserver) Served(x verity.Exchange) {
	o.metrics.Gateway(x.Route, x.Template, x.Status, x.Code, x.Duration)
}

// Called implements verity.Observer.
func (o gatewayObserver) Called(method, template string, status int, took time.Duration) {
	o.metrics.GatewayCall(method, template, status, took)
}

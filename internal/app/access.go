package app

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	mathrand "math/rand/v2"
	"net/http"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/observe"
)

// buildAuth makes the vault and the API keys.
func (a *App) buildAuth() error {
	if a.config.Encryption != nil {
		previous := make([]df.Secret, len(a.config.OldKeys))
		for i, key := range a.config.OldKeys {
			previous[i] = df.Secret(base64.StdEncoding.EncodeToString(key))
		}
		vault, err := auth.NewVault(rand.Reader, df.Secret(base64.StdEncoding.EncodeToString(a.config.Encryption)), previous...)
		if err != nil {
			return err
		}
		a.vault = vault
	}
	stored := auth.Stored{Store: a.store, Clock: a.clock}
	a.keys = auth.NewKeys(auth.KeysConfig{
		Store: stored, EnvKey: a.config.GatewayKey, Clock: a.clock, Random: rand.Reader, Log: a.log,
		Limiter: auth.NewLimiter(stored, a.clock, a.log), Rate: auth.Rate{PerMinute: a.config.KeyRate, Burst: a.config.KeyRate / 4},
	})
	return nil
}

func (a *App) startAuth() {
	a.keys.Start()
	a.started = append(a.started, part{"keys", a.keys.Stop})
	if a.token != nil {
		a.token.Start()
		a.started = append(a.started, part{"own token", a.token.Stop})
	}
}

// guards returns what guards the admin and the jobs API.
func (a *App) guards() (admin, jobs *auth.Guard) {
	adminDoor := auth.Door{Actor: "admin", Header: auth.AdminHeader, Secret: a.config.AdminSecret}
	jobsDoor := auth.Door{Actor: "jobs", Header: auth.JobsHeader, Secret: a.config.JobsSecret}
	brake := auth.NewBrake(a.clock)
	refused := func(f auth.Failure) {
		a.metrics.Refused(f.Guard)
		a.log.Warn("a request without the right secret was refused", "guard", f.Guard, "held", f.Held)
	}
	return auth.NewGuard(auth.GuardConfig{
			Name: "admin", Doors: []auth.Door{adminDoor}, Readers: a.keys, Brake: brake, Remote: a.remote, OnFailure: refused,
		}), auth.NewGuard(auth.GuardConfig{
			Name: "jobs", Doors: []auth.Door{jobsDoor, adminDoor}, Brake: brake, Remote: a.remote, OnFailure: refused,
		})
}

// users returns the users of the console. What an address may guess is bounded
// together with what it may guess of the secrets.
func (a *App) users(addresses *auth.Brake) *auth.Users {
	return &auth.Users{
		Store: a.store, Passwords: auth.NewPasswords(auth.DefaultHashParams(), rand.Reader), Clock: a.clock, NewID: a.newID,
		Addresses: addresses, Accounts: auth.NewBrake(a.clock),
	}
}

// clerkUser returns what says for which user of Clerk's a session token speaks, or
// nil when Clerk is not configured. Machines do not sign in, nor does support that
// acts in somebody's name.
func (a *App) clerkUser() func(context.Context, string) (string, error) {
	verifier := a.gateway.verifier
	if verifier == nil {
		return nil
	}
	return func(ctx context.Context, token string) (string, error) {
		id, err := verifier.Verify(ctx, token, auth.SessionOnly)
		if err != nil {
			return "", err
		}
		if id.Actor != "" {
			return "", auth.ErrInvalidToken
		}
		return id.Subject, nil
	}
}

// verifier returns what checks the Clerk tokens of callers, or nil when Clerk is
// not configured, and then no token is accepted.
func (a *App) verifier() (*auth.Verifier, error) {
	c := a.config.Clerk
	if c.Issuer == "" {
		return nil, nil
	}
	keys, err := a.clerkKeys()
	if err != nil {
		return nil, err
	}
	return auth.NewVerifier(auth.VerifierConfig{
		Issuer: c.Issuer, Keys: keys, Parties: c.AuthorizedParties, Machines: c.Machines, OAuth: a.oauth(), Clock: a.clock,
		OnRefuse: a.metrics.TokenRefused,
	})
}

// clerkKeys returns the key of the settings when there is one, which needs no
// network, and else a keeper of Clerk's published keys.
func (a *App) clerkKeys() (auth.KeySource, error) {
	c := a.config.Clerk
	if c.JWTKey != "" {
		return auth.ParseStaticKey(c.JWTKey)
	}
	url := c.JWKSURL
	if url == "" {
		url = c.Issuer + "/.well-known/jwks.json"
	}
	keys := auth.NewJWKS(auth.JWKSConfig{
		URL: url, Client: clerkClient(), Clock: a.clock, Random: mathrand.Float64, Log: a.log,
	})
	keys.Start()
	a.jwks = keys
	a.started = append(a.started, part{"clerk keys", keys.Stop})
	return keys, nil
}

// buildToken makes the keeper of the middleware's own token for Verity, if a way
// to get one is configured.
func (a *App) buildToken() (err error) {
	a.token, err = a.ownToken()
	return err
}

func (a *App) ownToken() (*auth.TokenKeeper, error) {
	c := a.config.Clerk
	if !c.MachineSecretKey.Set() && (!c.SecretKey.Set() || c.SessionID == "") {
		return nil, nil
	}
	mint, err := auth.NewMinter(auth.MinterConfig{
		APIURL: c.APIURL, MachineSecret: c.MachineSecretKey, Secret: c.SecretKey, Session: c.SessionID,
		Template: c.JWTTemplate, TTL: c.TokenTTL, Client: clerkClient(), Clock: a.clock,
	})
	if err != nil {
		return nil, err
	}
	config := auth.TokenKeeperConfig{
		Mint: mint, Instance: a.name, Clock: a.clock, Random: mathrand.Float64, Log: a.log,
		OnAlert: func(ctx context.Context, alert auth.Alert) {
			a.log.ErrorContext(ctx, "our own token for Verity", "trouble", string(alert.Trouble), "message", alert.Message)
		},
	}
	if a.vault != nil {
		config.Vault, config.Shared = a.vault, auth.Stored{Store: a.store, Clock: a.clock}
	}
	return auth.NewTokenKeeper(config)
}

func clerkClient() *http.Client {
	return &http.Client{
		Transport:     observe.Transport("clerk", false, egress.NewTransport()),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

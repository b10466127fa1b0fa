package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/store"
)

// What a check found.
const (
	statusOK            = "ok"
	statusWarning       = "warning"
	statusFailed        = "failed"
	statusNotConfigured = "not_configured"
)

// probe checks one thing for real. It returns what it found, in words that hold
// nothing secret, and an error when that is bad: a caution when it is only a
// reason to look.
type probe struct {
	name       string
	configured bool
	check      func(ctx context.Context) (string, error)
}

// caution is something that works, or may, but wants a look. Its text says what
// to do.
type caution string

// Error implements error.
func (c caution) Error() string { return string(c) }

// checkTime bounds one check.
const checkTime = 10 * time.Second

// Connections checks settings, database, disk and every upstream for real, at
// once, each within ten seconds. The doctor, the admin API and the console ask
// here, so they cannot disagree.
func (a *App) Connections(ctx context.Context) []console.Connection {
	return a.run(ctx, a.probes())
}

// Health checks what the overview shows, with as few calls as can be, since it is
// asked for as long as somebody looks at the overview.
func (a *App) Health(ctx context.Context) []console.Connection {
	return a.run(ctx, a.systems())
}

func (a *App) run(ctx context.Context, probes []probe) []console.Connection {
	found := make([]console.Connection, len(probes))
	var checking sync.WaitGroup
	for i, p := range probes {
		checking.Go(func() { found[i] = a.probe(ctx, p) })
	}
	checking.Wait()
	return slices.Clip(found)
}

func (a *App) probe(ctx context.Context, p probe) console.Connection {
	if !p.configured {
		return console.Connection{Name: p.name, Status: statusNotConfigured}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	start := a.clock()
	message, err := p.check(ctx)
	c := console.Connection{Name: p.name, Status: statusOK, Message: message,
		TookMS: float64(a.clock().Sub(start).Microseconds()) / 1000}
	var only caution
	switch {
	case errors.As(err, &only):
		c.Status, c.Message = statusWarning, a.config.Redactor().Text(string(only))
	case err != nil:
		c.Status, c.Message = statusFailed, a.config.Redactor().Text(err.Error())
	}
	return c
}

// systems are the checks of what we talk to, by the names that the admin API has
// always given them.
func (a *App) systems() []probe {
	return []probe{
		{"database", true, a.checkDatabase},
		{"ghl", a.sync.ghl != nil, a.checkGHL},
		{"aloware", a.sync.aloware != nil, a.checkAloware},
		{"verity", true, a.checkVerity},
		{"texting", a.config.texts(), a.checkTexting},
		{"clerk", a.token != nil, a.checkOwnToken},
	}
}

// probes are all checks. Their names are part of the admin API and stay.
func (a *App) probes() []probe {
	c := a.config
	_, file := c.DatabaseFile()
	return append(a.systems(), []probe{
		{"schema", true, a.checkSchema},
		{"settings", true, a.checkSettings},
		{"encryption", a.vault != nil, a.checkEncryption},
		{"base-url", c.BaseURL != "" || len(c.Texting.TwilioTokens) > 0 || c.GHL.ClientID != "", a.checkBaseURL},
		{"clock", true, a.checkClock},
		{"disk", file || c.Has(RoleWeb), a.checkDisk},
		{"spill", c.Has(RoleWeb), a.checkSpill},
		{"backup", a.keeper != nil, a.checkBackup},
		{"ghl-scopes", a.sync.ghl != nil, a.checkGHLScopes},
		{"ghl-app", a.sync.install != nil, a.checkGHLApp},
		{"ghl-provider", c.GHL.ProviderID != "", a.checkProvider},
		{"ghl-webhook-key", a.sync.ghl != nil, a.checkGHLKeys},
		{"ghl-broadcasts", a.sync.ghl != nil && c.Verity.WebhookSecret.Set(), a.checkBroadcasts},
		{"aloware-writes", a.sync.aloware != nil, a.checkAlowareWrites},
		{"aloware-native", a.sync.aloware != nil && a.sync.ghl != nil, a.checkNative},
		{"verity-catalogue", a.gateway != nil && a.gateway.catalogue != nil, a.checkCatalogue},
		{"clerk-keys", a.gateway != nil && a.gateway.verifier != nil, a.checkClerkKeys},
	}...)
}

// unhealthy reports whether any check failed.
func unhealthy(found []console.Connection) bool {
	return slices.ContainsFunc(found, func(c console.Connection) bool { return c.Status == statusFailed })
}

// Doctor checks everything for real and reports whether all is well; warnings do
// not spoil that. Pending migrations are no failure where serve applies them by
// itself.
func (a *App) Doctor(ctx context.Context) ([]console.Connection, bool) {
	found := a.Connections(ctx)
	return found, !unhealthy(found)
}

func (a *App) checkSchema(ctx context.Context) (string, error) {
	switch err := a.store.SchemaReady(ctx); {
	case errors.Is(err, store.ErrSchemaBehind) && a.config.AutoMigrate:
		return "migrations are pending; dfm serve applies them", nil
	case err != nil:
		return "", err
	}
	version, err := a.store.SchemaVersion(ctx)
	return "migration " + fourDigits(version), err
}

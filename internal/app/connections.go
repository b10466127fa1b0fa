package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// probe checks one dependency for real. It returns what it found, in words that
// hold nothing secret.
type probe struct {
	name       string
	configured bool
	check      func(ctx context.Context) (string, error)
}

// Connections checks the database and every upstream for real, at once, each
// within ten seconds.
func (a *App) Connections(ctx context.Context) []console.Connection {
	probes := a.probes()
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
		return console.Connection{Name: p.name, Status: "not_configured"}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	start := a.clock()
	message, err := p.check(ctx)
	c := console.Connection{Name: p.name, Status: "ok", Message: message,
		TookMS: float64(a.clock().Sub(start).Microseconds()) / 1000}
	if err != nil {
		c.Status, c.Message = "failed", a.config.Redactor().Text(err.Error())
	}
	return c
}

func (a *App) probes() []probe {
	return []probe{
		{"database", true, func(ctx context.Context) (string, error) {
			return a.store.Name(), a.store.Ping(ctx)
		}},
		{"ghl", a.sync.ghl != nil, a.probeGHL},
		{"aloware", a.sync.aloware != nil, func(ctx context.Context) (string, error) {
			users, err := a.sync.aloware.Users(ctx)
			return fmt.Sprintf("%d users", len(users)), err
		}},
		{"verity", true, func(ctx context.Context) (string, error) {
			return a.config.Verity.BaseURL, reach(ctx, a.config.Verity.BaseURL)
		}},
		{"texting", a.config.texts(), func(context.Context) (string, error) {
			// There is nothing to call: texts come in by webhook and go out
			// through Verity.
			if !a.config.Verity.APIKey.Set() {
				return "takes webhooks; no agent's text goes out, since VERITY_API_KEY is not set", nil
			}
			return "takes webhooks; texts go out through Verity", nil
		}},
		{"clerk", a.token != nil, func(ctx context.Context) (string, error) {
			_, err := a.token.Token(ctx)
			return "our own token was issued", err
		}},
	}
}

// texts reports whether some texting system can prove its webhooks.
func (c Config) texts() bool {
	return c.Verity.WebhookSecret.Set() || len(c.Texting.TwilioTokens)+len(c.Texting.TelnyxKeys)+len(c.Texting.StandardSecrets) > 0 ||
		c.Unsigned[df.SourceTexting]
}

func (a *App) probeGHL(ctx context.Context) (string, error) {
	location, err := a.sync.ghl.GetLocation(ctx)
	if err != nil {
		return "", err
	}
	message := "location " + a.config.GHL.LocationID
	if location.AllowsDuplicate {
		message += " (allows duplicate contacts: switch that off, or the same person may exist twice)"
	}
	return message, nil
}

// unhealthy reports whether any check failed.
func unhealthy(found []console.Connection) bool {
	return slices.ContainsFunc(found, func(c console.Connection) bool { return c.Status == "failed" })
}

// Doctor checks everything for real and reports whether all is well. Pending
// migrations are no failure where serve applies them by itself.
func (a *App) Doctor(ctx context.Context) ([]console.Connection, bool) {
	found := append(a.Connections(ctx), a.checkSchema(ctx))
	return found, !unhealthy(found)
}

func (a *App) checkSchema(ctx context.Context) console.Connection {
	schema := console.Connection{Name: "schema", Status: "ok"}
	switch err := a.store.SchemaReady(ctx); {
	case errors.Is(err, store.ErrSchemaBehind) && a.config.AutoMigrate:
		schema.Message = "migrations are pending; dfm serve applies them"
	case err != nil:
		schema.Status, schema.Message = "failed", a.config.Redactor().Text(err.Error())
	}
	return schema
}

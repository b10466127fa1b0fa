package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/aloware"
	"github.com/df-middleware/dfm/internal/broadcasts"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/ghl"
	"github.com/df-middleware/dfm/internal/store"
)

func (a *App) checkGHL(ctx context.Context) (string, error) {
	location, err := a.sync.ghl.GetLocation(ctx)
	if err != nil {
		return "", err
	}
	message := "location " + a.config.GHL.LocationID
	if location.AllowsDuplicate {
		return "", caution(message + " allows duplicate contacts: switch that off in its business profile, or the same person may exist twice")
	}
	return message, nil
}

// checkGHLScopes tries the reads that we need. What we may write is not known
// before something is written.
func (a *App) checkGHLScopes(ctx context.Context) (string, error) {
	location, err := a.sync.ghl.GetLocation(ctx)
	if err != nil {
		return "", err
	}
	missing, err := a.sync.ghl.Denied(ctx, location)
	if err != nil {
		return "", err
	}
	if len(missing) > 0 {
		return "", caution("the token may not make calls of the scopes " + strings.Join(missing, ", ") +
			": add them to the private integration, or install the app anew")
	}
	return "contacts, messages, custom fields, tags, users and opportunities can be read", nil
}

// checkGHLApp looks at the installation of our Marketplace app.
func (a *App) checkGHLApp(ctx context.Context) (string, error) {
	const install = "install it: open /leadconnector/install as an administrator of the location"
	token, err := a.store.OAuthToken(ctx, a.config.GHL.LocationID)
	if errors.Is(err, store.ErrNotFound) {
		return "", caution("the app is not installed; " + install)
	}
	if err != nil {
		return "", err
	}
	if _, err := a.sync.install.Credentials(a.config.GHL.LocationID).Token(ctx); err != nil {
		return "", fmt.Errorf("its token cannot be used or renewed: %w; if this stays, %s", err, install)
	}
	if token, err = a.store.OAuthToken(ctx, a.config.GHL.LocationID); err != nil {
		return "", err
	}
	granted := strings.Fields(token.Scope)
	var missing []string
	for _, scope := range ghl.Scopes() {
		if len(granted) > 0 && !slices.Contains(granted, scope) {
			missing = append(missing, scope)
		}
	}
	if len(missing) > 0 {
		return "", caution("the installation lacks the scopes " + strings.Join(missing, ", ") + "; add them to the app and " + install)
	}
	return fmt.Sprintf("installed %s; token valid until %s, renewed by itself", token.CreatedAt.UTC().Format(time.DateOnly), shownTime(token.ExpiresAt)), nil
}

// checkProvider: GHL refuses a conversation provider's calls with any token but
// that of the app which the provider belongs to.
func (a *App) checkProvider(ctx context.Context) (string, error) {
	if a.sync.provider == nil {
		return "", errors.New("GHL_CONVERSATION_PROVIDER_ID works only with the token of the app that the provider belongs to: " +
			"set GHL_CLIENT_ID, GHL_CLIENT_SECRET and DF_ENCRYPTION_KEY, and install the app")
	}
	_, err := a.sync.install.Credentials(a.config.GHL.LocationID).Token(ctx)
	if df.IsCode(err, df.CodeUnconfigured) {
		return "", caution("agents' texts need the token of our app, which is not installed: open /leadconnector/install")
	}
	if err != nil {
		return "", fmt.Errorf("agents' texts need the token of our app: %w", err)
	}
	if !a.config.Verity.APIKey.Set() {
		return "", caution("agents' texts cannot go out: VERITY_API_KEY is not set")
	}
	return "provider " + a.config.GHL.ProviderID + " with the token of our app", nil
}

func (a *App) checkGHLKeys(context.Context) (string, error) {
	c := a.config.GHL
	if _, err := ghl.NewVerifier(ghl.VerifierOptions{Keys: c.PublicKeys, RSAKeys: c.RSAPublicKeys, Secret: c.WebhookSecret}); err != nil {
		return "", fmt.Errorf("GHL_WEBHOOK_PUBLIC_KEYS must hold PEM public keys: %w", err)
	}
	whose := "the keys that GHL publishes"
	if c.PublicKeys != "" {
		whose = "the keys of GHL_WEBHOOK_PUBLIC_KEYS"
	}
	if !c.WebhookSecret.Set() {
		return whose + "; workflows cannot prove themselves, since GHL_WEBHOOK_SECRET is not set", nil
	}
	return whose + "; workflows by GHL_WEBHOOK_SECRET", nil
}

// checkBroadcasts looks for the custom object that broadcasts become records of.
// Whoever has no broadcasts needs none, so this is never worse than a warning.
func (a *App) checkBroadcasts(ctx context.Context) (string, error) {
	const make = "make it in GHL (Settings, Objects), as docs/broadcasts.md lists it; until then broadcasts fail and are tried again"
	have, err := a.sync.ghl.ObjectProperties(ctx, ghl.ObjectBroadcasts)
	if errors.Is(err, ghl.ErrNoObject) {
		return "", caution("there is no custom object " + ghl.ObjectBroadcasts + ": " + make)
	}
	if err != nil {
		return "", err
	}
	var missing []string
	for name := range broadcasts.Record("00000000", broadcasts.Figures{}) {
		if !slices.Contains(have, name) {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		return "", caution(ghl.ObjectBroadcasts + " lacks the properties " + strings.Join(missing, ", ") + ": " + make)
	}
	return ghl.ObjectBroadcasts + " has all properties", nil
}

// How far back, and at how many deliveries, the look for Aloware's own
// integration with GHL goes.
const (
	nativeDays  = 7 * 24 * time.Hour
	nativeLimit = 1000
)

// checkNative looks for Aloware's own integration with GHL. No call tells whether
// it is on; a contact that it has made says so for ever. So what counts are
// contacts that were made lately.
func (a *App) checkNative(ctx context.Context) (string, error) {
	heard, err := a.store.Events(ctx, store.EventFilter{Source: df.SourceAloware, From: a.clock().Add(-nativeDays), Limit: nativeLimit})
	if err != nil {
		return "", err
	}
	made, known := 0, 0
	var last time.Time
	for _, e := range heard {
		switch {
		case !aloware.CameFromGHL(e.Raw):
		case e.Notice.Kind == df.KindContactCreated:
			if made++; last.IsZero() {
				last = e.ReceivedAt
			}
		default:
			known++
		}
	}
	switch {
	case made > 0:
		return "", caution(fmt.Sprintf("Aloware's own integration with GoHighLevel is on: it made %d of the contacts that Aloware announced in the last 7 days, "+
			"the last one %s. Two engines on one pair write everything twice. Switch it off in Aloware: Integrations, HighLevel, Sync: "+
			"contact creation, contact updates and logging of calls and texts.", made, shownTime(last)))
	case known > 0:
		return fmt.Sprintf("no sign that Aloware's own integration with GoHighLevel is on; %d deliveries of the last 7 days were about contacts that it made before", known), nil
	case len(heard) == 0:
		return "no sign that Aloware's own integration with GoHighLevel is on, but Aloware has sent nothing for 7 days to tell by", nil
	}
	return fmt.Sprintf("no sign that Aloware's own integration with GoHighLevel is on, in the %d latest deliveries of 7 days", len(heard)), nil
}

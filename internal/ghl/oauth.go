package ghl

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"golang.org/x/sync/singleflight"
)

// AuthorizeURL is where an administrator chooses the location to install in.
// White-labelled agencies have another; the app's Auth page shows the exact link.
const AuthorizeURL = "https://marketplace.gohighlevel.com/v2/oauth/chooselocation"

// Scopes are what the middleware asks for when the app is installed.
func Scopes() []string {
	return []string{
		"contacts.readonly", "contacts.write", "conversations.readonly", "conversations.write",
		"conversations/message.readonly", "conversations/message.write", "calendars.readonly",
		"calendars/events.readonly", "locations.readonly", "locations/tags.readonly", "locations/tags.write",
		"locations/customFields.readonly", "users.readonly", "opportunities.readonly",
	}
}

// AppOptions configure an App. All are required but those with a default.
type AppOptions struct {
	ClientID     string
	ClientSecret df.Secret
	RedirectURI  string    // our /leadconnector/oauth under the public URL
	StateKey     df.Secret // signs the state; any secret of 32 random bytes
	LocationID   string    // the only location the app may be installed for; empty means any
	Caller       Caller
	Tokens       TokenStore
	States       StateStore
	Sealer       Sealer
	AuthorizeURL string       // AuthorizeURL when empty
	BaseURL      string       // BaseURL when empty
	Scopes       []string     // Scopes when nil
	Clock        df.Clock     // time.Now when nil
	Random       io.Reader    // crypto/rand.Reader when nil
	Log          *slog.Logger // nothing is logged when nil
}

// App is our Marketplace app at GHL: it is installed, holds tokens, renews them
// and is uninstalled. It is safe for concurrent use.
type App struct {
	clientID     string
	clientSecret df.Secret
	redirectURI  string
	stateKey     df.Secret
	location     string
	caller       Caller
	tokens       TokenStore
	states       StateStore
	sealer       Sealer
	authorize    *url.URL
	base         string
	scopes       []string
	clock        df.Clock
	random       io.Reader
	log          *slog.Logger

	flights singleflight.Group
	mu      sync.Mutex
	memory  map[string]access
}

// NewApp returns an App, or an error that says which option is wrong.
func NewApp(options AppOptions) (*App, error) {
	base, err := baseURL(options.BaseURL)
	if err != nil {
		return nil, err
	}
	authorize, err := url.Parse(firstText(options.AuthorizeURL, AuthorizeURL))
	if err != nil || authorize.Host == "" {
		return nil, errors.New("ghl: the authorize URL must look like " + AuthorizeURL)
	}
	switch {
	case options.ClientID == "" || !options.ClientSecret.Set():
		return nil, errors.New("ghl: an app needs a client id and a client secret")
	case options.RedirectURI == "":
		return nil, errors.New("ghl: an app needs a redirect URI, and so a public URL of ours")
	case len(options.StateKey) < 16:
		return nil, errors.New("ghl: the key that signs the OAuth state is missing or short")
	}
	if options.Scopes == nil {
		options.Scopes = Scopes()
	}
	if options.Clock == nil {
		options.Clock = time.Now
	}
	if options.Random == nil {
		options.Random = rand.Reader
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	return &App{
		clientID: options.ClientID, clientSecret: options.ClientSecret, redirectURI: options.RedirectURI,
		stateKey: options.StateKey, location: options.LocationID, caller: options.Caller, tokens: options.Tokens,
		states: options.States, sealer: options.Sealer, authorize: authorize, base: base, scopes: options.Scopes,
		clock: options.Clock, random: options.Random, log: options.Log, memory: make(map[string]access),
	}, nil
}

// ID returns the id of the app, as webhooks carry it in appId.
func (a *App) ID() string { return AppID(a.clientID) }

// AppID returns the app's id, which is the client id up to its dash.
func AppID(clientID string) string {
	id, _, _ := strings.Cut(clientID, "-")
	return id
}

// Install returns the link that an administrator follows to install the app.
// state is a value of NewState.
func (a *App) Install(state string) string {
	link := *a.authorize
	query := link.Query()
	query.Set("response_type", "code")
	query.Set("redirect_uri", a.redirectURI)
	query.Set("client_id", a.clientID)
	query.Set("scope", strings.Join(a.scopes, " "))
	query.Set("state", state)
	link.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	return link.String()
}

// Callback ends an installation: it checks the state, exchanges the code and
// stores the tokens. It returns the id of the location, or of the company when a
// whole agency installed the app and no location of ours is set. Refusals are
// *df.Error with text for the administrator who sees them.
func (a *App) Callback(ctx context.Context, code, state string) (string, error) {
	if err := a.checkState(ctx, state); err != nil {
		return "", err
	}
	if code == "" {
		return "", &df.Error{Code: "INVALID_REQUEST", Status: 400, Message: "GHL sent no code; start the installation again"}
	}
	granted, err := a.codeGrant(ctx, code)
	if err != nil {
		return "", installFailed("exchange the code", err)
	}
	id := granted.locationID
	if granted.company() {
		id = granted.companyID
	}
	if id == "" || !granted.company() && a.location != "" && id != a.location {
		return "", &df.Error{Code: "WRONG_LOCATION", Status: 409,
			Message: "the app was installed for another location than GHL_LOCATION_ID"}
	}
	if err := a.install(ctx, id, granted); err != nil {
		return "", installFailed("store the token", err)
	}
	if !granted.company() || a.location == "" {
		return id, nil
	}
	if err := a.installFromCompany(ctx, granted.companyID, a.location); err != nil {
		return "", installFailed("get the token of the location", err)
	}
	return a.location, nil
}

func installFailed(step string, err error) *df.Error {
	return &df.Error{Code: "INSTALL_FAILED", Status: 502, Message: "GHL could not be connected; start the installation again",
		Err: fmt.Errorf("%s: %w", step, err)}
}

// install stores the tokens of a new installation in place of any older one.
func (a *App) install(ctx context.Context, id string, granted grant) error {
	err := a.tokens.LockToken(ctx, id, func(context.Context, Token) (Token, error) {
		return a.sealGrant(id, Token{InstalledAt: a.clock()}, granted)
	})
	if err != nil {
		return err
	}
	a.hold(id, access{granted.access, granted.expires})
	return nil
}

// installFromCompany gets a location's token by that of its company.
func (a *App) installFromCompany(ctx context.Context, companyID, locationID string) error {
	company, err := installation{a, companyID}.Token(ctx)
	if err != nil {
		return err
	}
	granted, err := a.locationGrant(ctx, company, companyID, locationID)
	if err != nil {
		return err
	}
	return a.install(ctx, locationID, granted)
}

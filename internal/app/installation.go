package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/ghl"
	"github.com/df-middleware/dfm/internal/store"
)

// buildInstallation makes our Marketplace app at GHL, when it is configured. Its
// tokens are stored sealed, so a key to seal them with must be set.
func (a *App) buildInstallation() (*ghl.App, error) {
	c := a.config.GHL
	if c.ClientID == "" {
		return nil, nil
	}
	if a.vault == nil {
		return nil, Problems{{"DF_ENCRYPTION_KEY", "must be set together with GHL_CLIENT_ID, to seal the tokens (openssl rand -base64 32)"}}
	}
	base := a.config.BaseURL
	if base == "" {
		base = "http://" + a.config.WebAddress()
	}
	mac := hmac.New(sha256.New, a.config.Encryption)
	mac.Write([]byte("ghl oauth state"))
	return ghl.NewApp(ghl.AppOptions{
		ClientID: c.ClientID, ClientSecret: c.ClientSecret, RedirectURI: base + "/leadconnector/oauth",
		StateKey: df.Secret(mac.Sum(nil)), LocationID: c.LocationID,
		Caller: a.caller("ghl-oauth", "ghl-oauth:"+c.ClientID, unlimited, 15*time.Second),
		Tokens: ghlTokens{a.store, a.name, a.clock}, States: ghlStates{a.store, a.clock}, Sealer: sealer{a.vault},
		AuthorizeURL: c.AuthorizeURL, BaseURL: c.BaseURL, Clock: a.clock, Log: a.log,
	})
}

// ghlStates notes which OAuth states were used.
type ghlStates struct {
	store *store.Store
	clock df.Clock
}

// ConsumeState implements ghl.StateStore.
func (s ghlStates) ConsumeState(ctx context.Context, nonce string, expires time.Time) (bool, error) {
	return s.store.ConsumeState(ctx, nonce, s.clock(), expires)
}

// sealer adapts the vault to the rooms that seal bytes.
type sealer struct{ vault *auth.Vault }

const sealGHL = "ghl token"

// Seal implements ghl.Sealer.
func (s sealer) Seal(plain []byte) ([]byte, error) {
	sealed, err := s.vault.Seal(sealGHL, plain)
	return []byte(sealed), err
}

// Open implements ghl.Sealer.
func (s sealer) Open(sealed []byte) ([]byte, error) { return s.vault.Open(sealGHL, string(sealed)) }

// ghlTokens keeps GHL's tokens in the store. The lock around a refresh is a
// lease, not a transaction: a refresh takes as long as GHL takes to answer, and
// SQLite has but one writer.
type ghlTokens struct {
	store *store.Store
	owner string
	clock df.Clock
}

const (
	tokenLease = 75 * time.Second // longer than the longest refresh
	tokenPoll  = 200 * time.Millisecond
)

// Token implements ghl.TokenStore.
func (t ghlTokens) Token(ctx context.Context, locationID string) (ghl.Token, error) {
	row, err := t.store.OAuthToken(ctx, locationID)
	if errors.Is(err, store.ErrNotFound) {
		return ghl.Token{}, ghl.ErrNoToken
	}
	return tokenOf(row), err
}

// LockToken implements ghl.TokenStore.
func (t ghlTokens) LockToken(ctx context.Context, locationID string, change func(context.Context, ghl.Token) (ghl.Token, error)) error {
	lock := "ghl-oauth:" + locationID
	if err := t.lease(ctx, lock); err != nil {
		return err
	}
	stored, err := t.Token(ctx, locationID)
	if err != nil && !errors.Is(err, ghl.ErrNoToken) {
		return errors.Join(err, t.release(ctx, lock))
	}
	next, err := change(ctx, stored)
	if err != nil {
		return errors.Join(err, t.release(ctx, lock))
	}
	keep := next.LocationID != ""
	row := store.OAuthToken{
		LocationID: locationID, CompanyID: next.CompanyID, UserType: next.UserType, Scope: next.Scope,
		AccessToken: string(next.Access), RefreshToken: string(next.Refresh), ExpiresAt: next.ExpiresAt, CreatedAt: next.InstalledAt,
	}
	// GHL has taken the old refresh token back by now: the new one must be
	// stored even if whoever asked has left.
	saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return t.store.ReplaceOAuthToken(saving, lock, t.owner, row, keep, t.clock())
}

func (t ghlTokens) lease(ctx context.Context, lock string) error {
	for {
		now := t.clock()
		_, held, err := t.store.LeaseToken(ctx, lock, t.owner, now, now.Add(tokenLease))
		if held || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(tokenPoll):
		}
	}
}

func (t ghlTokens) release(ctx context.Context, lock string) error {
	return t.store.ReleaseLock(context.WithoutCancel(ctx), lock, t.owner)
}

func tokenOf(row store.OAuthToken) ghl.Token {
	return ghl.Token{
		LocationID: row.LocationID, CompanyID: row.CompanyID, UserType: row.UserType, Scope: row.Scope,
		Access: []byte(row.AccessToken), Refresh: []byte(row.RefreshToken), ExpiresAt: row.ExpiresAt, InstalledAt: row.CreatedAt,
	}
}

// registerInstallation adds the two routes through which an administrator
// connects GHL. They need no secret of ours: who may connect is decided at GHL,
// for which location by our settings, and the state is signed and used once.
func (a *App) registerInstallation(mux *routes) {
	installed := a.sync.install
	mux.HandleFunc("GET /leadconnector/install", func(w http.ResponseWriter, r *http.Request) {
		if installed == nil {
			writeError(w, errNoInstallation)
			return
		}
		state, err := installed.NewState()
		if err != nil {
			a.log.Error("an installation cannot begin", "error", err)
			writeError(w, df.AsError(err))
			return
		}
		http.Redirect(w, r, installed.Install(state), http.StatusFound)
	})
	mux.HandleFunc("GET /leadconnector/oauth", func(w http.ResponseWriter, r *http.Request) {
		if installed == nil {
			writeError(w, errNoInstallation)
			return
		}
		q := r.URL.Query()
		if q.Get("error") != "" || q.Get("code") == "" {
			writeError(w, &df.Error{Code: "INSTALL_REFUSED", Message: "GHL sent no code; start the installation again", Status: http.StatusBadRequest})
			return
		}
		id, err := installed.Callback(r.Context(), q.Get("code"), q.Get("state"))
		if err != nil {
			a.log.Error("an installation failed", "error", err)
			writeError(w, df.AsError(err))
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{"success": true, "data": map[string]string{"locationId": id}})
	})
}

var errNoInstallation = &df.Error{Code: "NOT_CONFIGURED", Status: http.StatusServiceUnavailable,
	Message: "set GHL_CLIENT_ID, GHL_CLIENT_SECRET and DF_ENCRYPTION_KEY to connect GHL"}

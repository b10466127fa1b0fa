package ghl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Token is an installation's token pair as it is stored. Access and Refresh are
// sealed; a store never sees the tokens themselves.
type Token struct {
	LocationID  string // the key; a company's token is kept under the company's id
	CompanyID   string
	UserType    string // "Location" or "Company"
	Scope       string
	Access      []byte
	Refresh     []byte    // empty for a location token that came from a company's
	ExpiresAt   time.Time // of the access token, which lasts about a day
	InstalledAt time.Time // when the app was installed; refreshes leave it
}

// ErrNoToken says that a location has no token: the app is not installed there.
var ErrNoToken = errors.New("ghl: the app is not installed")

// TokenStore keeps tokens. Its lock holds across all instances.
type TokenStore interface {
	// Token returns the stored token, or an error that is ErrNoToken.
	Token(ctx context.Context, locationID string) (Token, error)
	// LockToken calls change with the stored token, or the zero Token when
	// there is none, while no other instance can do so for the same location,
	// and stores what change returns before it returns itself. The zero Token
	// removes the stored one. When change fails, nothing is stored and its
	// error is returned.
	LockToken(ctx context.Context, locationID string, change func(ctx context.Context, stored Token) (Token, error)) error
}

// Sealer encrypts what is stored.
type Sealer interface {
	Seal(plain []byte) ([]byte, error)
	Open(sealed []byte) ([]byte, error)
}

// refreshAhead is how long before its end an access token is renewed.
const refreshAhead = 5 * time.Minute

// access is an access token in the clear, in memory only.
type access struct {
	token   df.Secret
	expires time.Time
}

func (a access) lastsFor(d time.Duration, now time.Time) bool {
	return a.token.Set() && a.expires.After(now.Add(d))
}

// sealed seals a token together with what it is and whose, so that a value moved
// to another row or column does not open there.
func (a *App) sealed(kind, id string, token df.Secret) ([]byte, error) {
	return sealed(a.sealer, kind, id, token)
}

// SealPair seals the tokens of a location as they are stored, for tokens that
// were granted to another program for the same app.
func SealPair(sealer Sealer, locationID string, access, refresh df.Secret) (sealedAccess, sealedRefresh []byte, err error) {
	if sealedAccess, err = sealed(sealer, "access", locationID, access); err != nil {
		return nil, nil, err
	}
	sealedRefresh, err = sealed(sealer, "refresh", locationID, refresh)
	return sealedAccess, sealedRefresh, err
}

func sealed(sealer Sealer, kind, id string, token df.Secret) ([]byte, error) {
	if !token.Set() {
		return nil, nil
	}
	sealed, err := sealer.Seal(append(sealContext(kind, id), token.Reveal()...))
	if err != nil {
		return nil, fmt.Errorf("seal the %s token of GHL: %w", kind, err)
	}
	return sealed, nil
}

func (a *App) opened(kind, id string, sealed []byte) (df.Secret, error) {
	if len(sealed) == 0 {
		return "", nil
	}
	plain, err := a.sealer.Open(sealed)
	if err != nil {
		return "", fmt.Errorf("open the %s token of GHL: %w", kind, err)
	}
	token, ours := bytes.CutPrefix(plain, sealContext(kind, id))
	if !ours {
		return "", fmt.Errorf("open the %s token of GHL: it was sealed for another place", kind)
	}
	return df.Secret(token), nil
}

func sealContext(kind, id string) []byte { return []byte("ghl " + kind + " " + id + "\n") }

func (a *App) openAccess(id string, stored Token) (access, error) {
	token, err := a.opened("access", id, stored.Access)
	return access{token: token, expires: stored.ExpiresAt}, err
}

// Credentials returns the credentials of a location where the app is installed.
func (a *App) Credentials(locationID string) Credentials { return installation{a, locationID} }

// installation gives the credentials of one location, or of one company.
type installation struct {
	app *App
	id  string
}

// Token returns an access token that lasts some minutes longer, renewing it
// ahead of its end. When that fails it returns the old one as long as it lasts.
func (i installation) Token(ctx context.Context) (df.Secret, error) {
	a := i.app
	if held := a.held(i.id); held.lastsFor(refreshAhead, a.clock()) {
		return held.token, nil
	}
	stored, err := a.tokens.Token(ctx, i.id)
	if errors.Is(err, ErrNoToken) {
		return "", notInstalled()
	}
	if err != nil {
		return "", fmt.Errorf("read the token of GHL: %w", err)
	}
	current, err := a.openAccess(i.id, stored)
	if err != nil {
		return "", err
	}
	if current.lastsFor(refreshAhead, a.clock()) {
		a.hold(i.id, current)
		return current.token, nil
	}
	renewed, err := a.renew(ctx, i.id, "")
	if err != nil && current.lastsFor(0, a.clock()) {
		a.log.LogAttrs(ctx, slog.LevelWarn, "GHL token not renewed yet", slog.Any("error", err))
		return current.token, nil
	}
	return renewed.token, err
}

// Renew returns the token that replaced the refused one, refreshing it if nobody
// has done so yet.
func (i installation) Renew(ctx context.Context, refused df.Secret) (df.Secret, bool, error) {
	renewed, err := i.app.renew(ctx, i.id, refused)
	return renewed.token, err == nil, err
}

func notInstalled() *df.CallError {
	e := failure("sign in", df.RetryLater, df.CodeUnconfigured, "the app is not installed in GHL")
	e.Err = ErrNoToken
	return e
}

const renewTime = time.Minute

// renew refreshes a token that ends soon or was refused. All callers of this
// process wait for one refresh, which does not end when one of them goes away: a
// refresh that is cut off may cost the installation.
func (a *App) renew(ctx context.Context, id string, refused df.Secret) (access, error) {
	done := a.flights.DoChan(id+"\n"+refused.Reveal(), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), renewTime)
		defer cancel()
		return a.renewShared(ctx, id, refused)
	})
	select {
	case <-ctx.Done():
		return access{}, ctx.Err()
	case result := <-done:
		if result.Err != nil {
			return access{}, result.Err
		}
		renewed, _ := result.Val.(access)
		return renewed, nil
	}
}

// renewShared refreshes under the store's lock, so that one instance does it and
// the others find the new pair. If the new pair cannot be stored it is asked for
// again: within 30 seconds GHL answers the same refresh token with the same pair,
// and after that the installation would be lost.
func (a *App) renewShared(ctx context.Context, id string, refused df.Secret) (access, error) {
	company, err := a.companyToken(ctx, id)
	if err != nil {
		return access{}, err
	}
	var renewed access
	asked := false
	change := func(ctx context.Context, stored Token) (Token, error) {
		if stored.LocationID == "" {
			return Token{}, notInstalled()
		}
		current, err := a.openAccess(id, stored)
		if err != nil {
			return Token{}, err
		}
		if current.token != refused && current.lastsFor(refreshAhead, a.clock()) {
			renewed = current
			return stored, nil
		}
		granted, err := a.refresh(ctx, stored, company)
		if err != nil {
			return Token{}, err
		}
		asked, renewed = true, access{granted.access, granted.expires}
		return a.sealGrant(id, stored, granted)
	}
	err = a.tokens.LockToken(ctx, id, change)
	if err != nil && asked {
		a.log.LogAttrs(ctx, slog.LevelError, "renewed GHL token not stored, trying again", slog.Any("error", err))
		err = a.tokens.LockToken(ctx, id, change)
	}
	if err != nil {
		a.drop(id)
		return access{}, fmt.Errorf("renew the token of GHL: %w", err)
	}
	a.hold(id, renewed)
	return renewed, nil
}

// companyToken returns the company's access token if the location's token came
// from it and can be renewed by it only. It is got before the location's lock is
// taken, so that locks are never nested.
func (a *App) companyToken(ctx context.Context, id string) (df.Secret, error) {
	stored, err := a.tokens.Token(ctx, id)
	if errors.Is(err, ErrNoToken) {
		return "", notInstalled()
	}
	if err != nil {
		return "", fmt.Errorf("read the token of GHL: %w", err)
	}
	if len(stored.Refresh) > 0 || stored.CompanyID == "" || stored.CompanyID == id {
		return "", nil
	}
	return installation{a, stored.CompanyID}.Token(ctx)
}

func (a *App) refresh(ctx context.Context, stored Token, company df.Secret) (grant, error) {
	if company.Set() {
		return a.locationGrant(ctx, company, stored.CompanyID, stored.LocationID)
	}
	token, err := a.opened("refresh", stored.LocationID, stored.Refresh)
	if err != nil {
		return grant{}, err
	}
	return a.refreshGrant(ctx, token, stored.UserType)
}

// sealGrant returns what is stored of a grant, in place of what was stored before.
func (a *App) sealGrant(id string, stored Token, granted grant) (Token, error) {
	var err error
	if stored.Access, err = a.sealed("access", id, granted.access); err != nil {
		return Token{}, err
	}
	if granted.refresh.Set() {
		if stored.Refresh, err = a.sealed("refresh", id, granted.refresh); err != nil {
			return Token{}, err
		}
	}
	stored.LocationID, stored.ExpiresAt = id, granted.expires
	stored.CompanyID = firstText(granted.companyID, stored.CompanyID)
	stored.UserType = firstText(granted.userType, stored.UserType)
	stored.Scope = firstText(granted.scope, stored.Scope)
	return stored, nil
}

func (a *App) held(id string) access {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.memory[id]
}

func (a *App) hold(id string, current access) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.memory[id] = current
}

func (a *App) drop(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.memory, id)
}

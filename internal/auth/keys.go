package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// touchEvery is how often last uses are written, all keys in one batch.
const touchEvery = time.Minute

// KeysConfig says where keys are kept and what they may do by default.
type KeysConfig struct {
	Store   KeyStore  // nil when only the key of the environment is used
	EnvKey  df.Secret // DF_MIDDLEWARE_API_KEY: gateway, mcp and chat, no expiry
	Limiter *Limiter  // nil for no rate limits
	Rate    Rate      // of keys that name none of their own
	Clock   df.Clock
	Random  io.Reader // crypto/rand.Reader
	Log     *slog.Logger
	// OnRefuse, which may be nil, is told why a key was refused:
	// "unauthorized", "forbidden", "rate_limited" or "error".
	OnRefuse func(reason string)
}

// Keys makes API keys and judges those that callers present.
type Keys struct {
	KeysConfig
	env   Key
	cache *keyCache
	bg    *background

	mu   sync.Mutex
	used map[string]time.Time // since the last flush
}

// NewKeys returns the keys of the store and of the environment. Start has to be
// called for last uses to be written.
func NewKeys(config KeysConfig) *Keys {
	if config.OnRefuse == nil {
		config.OnRefuse = func(string) {}
	}
	k := &Keys{KeysConfig: config, bg: newBackground(), used: make(map[string]time.Time)}
	k.env = Key{ID: EnvKeyID, Name: "DF_MIDDLEWARE_API_KEY",
		Scopes: []Scope{ScopeGateway, ScopeMCP, ScopeChat}}
	if config.Store != nil {
		k.cache = newKeyCache(config.Store, config.Clock)
	}
	return k
}

// Authenticate returns the key that was presented, if it is good for the scope
// and within its rate. The errors are ErrUnauthorized (unknown, wrong, expired,
// revoked), ErrForbidden (lacks the scope), *RateLimitedError, and the store's
// error when it cannot be asked about a key that is not remembered. In use, a
// key costs the store one read in three seconds.
func (k *Keys) Authenticate(ctx context.Context, presented string, scope Scope) (Key, error) {
	key, err := k.authenticate(ctx, presented, scope)
	if err != nil {
		k.OnRefuse(refusalReason(err))
		return Key{}, err
	}
	return key, nil
}

func (k *Keys) authenticate(ctx context.Context, presented string, scope Scope) (Key, error) {
	key, err := k.find(ctx, presented)
	if err != nil {
		return Key{}, err
	}
	now := k.Clock()
	if !key.Active(now) {
		return Key{}, ErrUnauthorized
	}
	if !key.Allows(scope) {
		return Key{}, ErrForbidden
	}
	if err := k.limit(ctx, key); err != nil {
		return Key{}, err
	}
	k.touch(key.ID, now)
	return key, nil
}

// find returns the key whose text was presented, active or not.
func (k *Keys) find(ctx context.Context, presented string) (Key, error) {
	if k.EnvKey.Set() && Equal(presented, k.EnvKey.Reveal()) {
		return k.env, nil
	}
	id, ok := keyIDOf(presented)
	if !ok || k.cache == nil {
		return Key{}, ErrUnauthorized
	}
	return k.cache.get(ctx, id, hashKey(presented))
}

func (k *Keys) limit(ctx context.Context, key Key) error {
	rate := key.Rate
	if rate == (Rate{}) {
		rate = k.Rate
	}
	if k.Limiter == nil {
		return nil
	}
	return k.Limiter.Take(ctx, key.Actor(), rate)
}

func refusalReason(err error) string {
	var limited *RateLimitedError
	switch {
	case errors.Is(err, ErrUnauthorized):
		return "unauthorized"
	case errors.Is(err, ErrForbidden):
		return "forbidden"
	case errors.As(err, &limited):
		return "rate_limited"
	default:
		return "error"
	}
}

// Create makes a key and returns it with its text, which is shown nowhere else
// and never again. What is wrong with the request comes back as a *df.Error
// with code INVALID_REQUEST. The actor of ctx goes into the audit log.
func (k *Keys) Create(ctx context.Context, want NewKey) (Key, df.Secret, error) {
	key, text, err := k.make(want)
	if err != nil {
		return Key{}, "", err
	}
	audit := k.audit(ctx, "key.create", key.ID, map[string]string{"name": key.Name, "scopes": scopeList(key.Scopes)})
	if err := k.Store.CreateKey(ctx, key, audit); err != nil {
		return Key{}, "", fmt.Errorf("create API key: %w", err)
	}
	k.cache.forget(key.ID)
	return key, text, nil
}

// Rotate makes a key like the given one, with the same name, scopes, rate and
// expiry, and lets the old one live on for the overlap (0 to 90 days), so that
// its user can change over at leisure. Errors are those of Create, and ErrNoKey.
func (k *Keys) Rotate(ctx context.Context, id string, overlap time.Duration) (Key, df.Secret, error) {
	if overlap < 0 || overlap > maxOverlap {
		return Key{}, "", invalid(fmt.Errorf("overlap must be between 0 and %d days", maxOverlap/(24*time.Hour)))
	}
	if err := k.stored(id); err != nil {
		return Key{}, "", err
	}
	old, err := k.Store.KeyByID(ctx, id)
	if err != nil {
		return Key{}, "", fmt.Errorf("rotate API key: %w", err)
	}
	if !old.Active(k.Clock()) {
		return Key{}, "", invalid(errors.New("the key has expired or is revoked: make a new one"))
	}
	next, text, err := k.make(NewKey{Name: old.Name, Scopes: old.Scopes, ExpiresAt: old.ExpiresAt, Rate: old.Rate})
	if err != nil {
		return Key{}, "", err
	}
	until := k.Clock().Add(overlap)
	audit := k.audit(ctx, "key.rotate", id, map[string]string{"next": next.ID, "until": until.UTC().Format(time.RFC3339)})
	if err := k.Store.RotateKey(ctx, id, until, next, audit); err != nil {
		return Key{}, "", fmt.Errorf("rotate API key: %w", err)
	}
	k.cache.forget(id)
	k.cache.forget(next.ID)
	return next, text, nil
}

// Revoke ends a key: here at once, on other instances within five seconds. It
// returns ErrNoKey for an unknown id, and INVALID_REQUEST for the key of the
// environment.
func (k *Keys) Revoke(ctx context.Context, id string) error {
	if err := k.stored(id); err != nil {
		return err
	}
	err := k.Store.RevokeKey(ctx, id, k.Clock(), k.audit(ctx, "key.revoke", id, nil))
	k.cache.forget(id)
	if err != nil {
		return fmt.Errorf("revoke API key: %w", err)
	}
	return nil
}

// List returns all keys, the newest first, with the key of the environment,
// when it is set, in front.
func (k *Keys) List(ctx context.Context) ([]Key, error) {
	var keys []Key
	if k.EnvKey.Set() {
		keys = append(keys, k.env)
	}
	if k.Store == nil {
		return keys, nil
	}
	stored, err := k.Store.ListKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	return append(keys, stored...), nil
}

func (k *Keys) make(want NewKey) (Key, df.Secret, error) {
	now := k.Clock().UTC()
	if err := want.validate(now); err != nil {
		return Key{}, "", invalid(err)
	}
	if k.Store == nil {
		return Key{}, "", invalid(errors.New("there is no store for keys"))
	}
	id, text, err := issueKey(k.Random)
	if err != nil {
		return Key{}, "", err
	}
	return Key{ID: id, Name: strings.TrimSpace(want.Name), Scopes: slices.Clone(want.Scopes), Hash: hashKey(text),
		Rate: want.Rate, CreatedAt: now, ExpiresAt: want.ExpiresAt}, df.Secret(text), nil
}

// stored returns an error for what is no key of the store.
func (k *Keys) stored(id string) error {
	if id == EnvKeyID {
		return invalid(errors.New("this key is the setting DF_MIDDLEWARE_API_KEY: change it there"))
	}
	if k.Store == nil {
		return ErrNoKey
	}
	return nil
}

func (k *Keys) audit(ctx context.Context, action, target string, details map[string]string) Audit {
	return Audit{At: k.Clock().UTC(), Actor: Actor(ctx), Action: action, Target: target, Details: details}
}

func invalid(err error) error {
	return &df.Error{Code: "INVALID_REQUEST", Status: http.StatusBadRequest, Message: err.Error()}
}

func scopeList(scopes []Scope) string {
	names := make([]string, len(scopes))
	for i, scope := range scopes {
		names[i] = string(scope)
	}
	return strings.Join(names, " ")
}

func (k *Keys) touch(id string, now time.Time) {
	if id == EnvKeyID {
		return
	}
	k.mu.Lock()
	k.used[id] = now
	k.mu.Unlock()
}

// Start writes last uses once a minute until Stop.
func (k *Keys) Start() {
	k.bg.run(func(ctx context.Context) {
		ticker := time.NewTicker(touchEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				k.flush(ctx)
			}
		}
	})
}

// Stop ends the background work and writes the last uses that are still to be
// written. It returns an error when ctx ends before the work does.
func (k *Keys) Stop(ctx context.Context) error {
	err := k.bg.stop(ctx)
	k.flush(ctx)
	return err
}

// flush writes what touch has collected. What cannot be written is kept for the
// next time; it is bounded by the number of keys that exist.
func (k *Keys) flush(ctx context.Context) {
	k.mu.Lock()
	used := k.used
	k.used = make(map[string]time.Time, len(used))
	k.mu.Unlock()
	if len(used) == 0 {
		return
	}
	err := k.Store.TouchKeys(ctx, used)
	if err == nil {
		return
	}
	k.Log.WarnContext(ctx, "last uses of API keys not written, trying again in a minute", "keys", len(used), "err", err)
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.Copy(used, k.used) // the newer ones win
	k.used = used
}

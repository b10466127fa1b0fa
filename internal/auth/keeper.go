package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// replacePause is the time in which a token that Verity refuses is replaced
// once. If the next one is refused as well, the refusal is a question of
// permission, and minting again would only cost a mint for every call.
const replacePause = time.Minute

// TokenKeeperConfig says how the middleware's own token is obtained and shared.
type TokenKeeperConfig struct {
	Mint     *Minter
	Shared   SharedState // nil: each process has a token of its own
	Vault    *Vault      // seals the shared token; needed with Shared
	Instance string      // names this process in leases
	Clock    df.Clock
	Random   func() float64 // in [0, 1), for jitter: rand.Float64
	Log      *slog.Logger
	// OnAlert, which may be nil, is told when trouble begins, changes or ends.
	OnAlert func(context.Context, Alert)
	// OnMint, which may be nil, is told the outcome of each attempt to get the
	// next token, with TroubleNone for success.
	OnMint func(Trouble)
}

// TokenKeeper holds the token that the middleware shows to Verity.
//
// A token is used until five minutes before its exp, or for 80 % of a life
// under 25 minutes: 55 minutes of an hour. What counts is the exp that came
// back, on the issuer's clock. Shortly before that end (by up to a tenth of
// the rest, at random) the next one is fetched in the background, while calls
// go on with the current one, which is also what they get, up to seconds
// before its exp, while Clerk is in trouble. A token that nobody has asked for
// since it was obtained is not renewed.
type TokenKeeper struct {
	TokenKeeperConfig
	current  atomic.Pointer[ownToken]
	wanted   atomic.Bool  // asked for since the current token was obtained
	offset   atomic.Int64 // Clerk's clock minus ours, nanoseconds
	bg       *background
	changed  chan struct{} // wakes the background loop
	mu       sync.Mutex
	flight   *tokenFlight
	bad      df.Secret // the token that was last invalidated
	badAt    time.Time // when that was
	trouble  Trouble
	err      error     // of the last attempt, nil after a success
	until    time.Time // no attempt before, while err is set
	failures int       // in a row
}

// tokenFlight is one attempt that any number of callers wait for.
type tokenFlight struct {
	done chan struct{}
	err  error // valid once done is closed
}

// NewTokenKeeper returns a keeper without a token; the first call obtains one.
// To share tokens a vault with a key is needed, else the error is
// ErrNoEncryptionKey.
func NewTokenKeeper(config TokenKeeperConfig) (*TokenKeeper, error) {
	if config.Shared != nil && (config.Vault == nil || !config.Vault.Ready()) {
		return nil, fmt.Errorf("share Verity's token between instances: %w", ErrNoEncryptionKey)
	}
	if config.OnAlert == nil {
		config.OnAlert = func(context.Context, Alert) {}
	}
	if config.OnMint == nil {
		config.OnMint = func(Trouble) {}
	}
	return &TokenKeeper{TokenKeeperConfig: config, bg: newBackground(), changed: make(chan struct{}, 1)}, nil
}

// Token returns the token to show to Verity. It waits only when there is none
// that may be used, and then all callers wait for the same attempt. While Clerk
// refuses, it answers at once with the *df.CallError of the last attempt, whose
// RetryAt says when the next one may be made.
func (k *TokenKeeper) Token(ctx context.Context) (df.Secret, error) {
	if !k.wanted.Load() {
		k.wanted.Store(true)
	}
	for {
		now, token := k.Clock(), k.current.Load()
		if token != nil && now.Before(token.softEnd) {
			return token.value, nil
		}
		flight, err := k.fetch(now)
		if token != nil && now.Before(token.hardEnd) {
			return token.value, nil
		}
		if err != nil {
			return "", err
		}
		select {
		case <-flight.done:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		if flight.err != nil {
			return "", flight.err
		}
	}
}

// Invalidate says that Verity answered 401 to this very token. It reports
// whether asking for a token again makes sense: true when there is, or will be,
// another one; false when one was replaced less than a minute ago already, so
// that the refusal must be about permission. Many calls that failed with the
// same token replace it once.
func (k *TokenKeeper) Invalidate(token df.Secret) (retry bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, current := k.Clock(), k.current.Load()
	if current == nil || !Equal(current.value.Reveal(), token.Reveal()) {
		return true
	}
	if !k.badAt.IsZero() && now.Sub(k.badAt) < replacePause {
		return false
	}
	k.bad, k.badAt = current.value, now
	k.current.Store(nil)
	k.Log.Warn("own token refused, getting another", "jti", current.id, "sid", current.session, "exp", current.expires)
	return true
}

// refused reports whether the token is the one that was invalidated last.
func (k *TokenKeeper) refused(token df.Secret) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.bad.Set() && Equal(k.bad.Reveal(), token.Reveal())
}

// fetch returns the attempt under way, or starts one, or returns the error of
// the last one while it is too early for the next.
func (k *TokenKeeper) fetch(now time.Time) (*tokenFlight, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.flight != nil {
		return k.flight, nil
	}
	if k.err != nil && now.Before(k.until) {
		return nil, k.err
	}
	flight := &tokenFlight{done: make(chan struct{})}
	if !k.bg.run(func(ctx context.Context) { k.land(ctx, flight) }) {
		return nil, ErrStopped
	}
	k.flight = flight
	return flight, nil
}

// land makes one attempt and tells all who wait.
func (k *TokenKeeper) land(ctx context.Context, flight *tokenFlight) {
	token, err := k.obtain(ctx, k.current.Load())
	before, after, told := k.settle(ctx, token, err)
	flight.err = told
	close(flight.done)
	if ctx.Err() != nil {
		return
	}
	k.OnMint(troubleOrNone(err))
	if before != after {
		k.alert(ctx, after)
	}
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// settle records the outcome and returns the trouble, as far as it is worth an
// alert, before and after it, and what to tell those who wait.
func (k *TokenKeeper) settle(ctx context.Context, token *ownToken, err error) (before, after Trouble, told error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.flight = nil
	before = k.alerted()
	switch {
	case err == nil:
		k.adopt(token)
	case ctx.Err() != nil: // the failure is our own stopping
		return before, before, ErrStopped
	default:
		k.trouble = troubleOf(err)
		k.until = k.retryAt(err, k.trouble, k.failures)
		k.failures++
		k.err = withRetryAt(err, k.until)
		k.Log.Warn("own token not renewed", "trouble", k.trouble, "again", k.until, "err", err)
	}
	return before, k.alerted(), k.err
}

// adopt makes the token the current one, under the lock.
func (k *TokenKeeper) adopt(token *ownToken) {
	k.trouble, k.err, k.failures = TroubleNone, nil, 0
	tail := token.expires.Sub(token.softEnd)
	token.renewAt = token.softEnd.Add(-jitter(tail/20, 1, k.Random))
	k.offset.Store(int64(token.offset))
	k.wanted.Store(false)
	k.current.Store(token)
	k.Log.Info("own token renewed", "jti", token.id, "sid", token.session, "exp", token.expires)
}

// alerted returns the trouble that the operator has to know of.
func (k *TokenKeeper) alerted() Trouble {
	if k.trouble.lasting() || k.failures >= downAlert {
		return k.trouble
	}
	return TroubleNone
}

func troubleOrNone(err error) Trouble {
	if err == nil {
		return TroubleNone
	}
	return troubleOf(err)
}

// withRetryAt returns the error with the time at which we shall try again.
func withRetryAt(err error, at time.Time) error {
	var call *df.CallError
	if !errors.As(err, &call) {
		return err
	}
	told := *call
	told.RetryAt = at
	return &told
}

// Start renews the token ahead of its end, in the background, until Stop.
// Without it the token is renewed by the first call after its end.
func (k *TokenKeeper) Start() {
	k.bg.run(func(ctx context.Context) {
		for ctx.Err() == nil {
			wait := k.nextRenewal()
			if wait == 0 {
				// What the attempt brings is told through changed.
				_, _ = k.fetch(k.Clock())
				continue
			}
			timer := time.NewTimer(wait)
			select {
			case <-ctx.Done():
			case <-k.changed:
			case <-timer.C:
			}
			timer.Stop()
		}
	})
}

// nextRenewal returns how long the background loop has nothing to do, zero when
// the token is to be renewed now. With no token, nobody who wants one, or an
// attempt under way, it waits to be woken.
func (k *TokenKeeper) nextRenewal() time.Duration {
	const idle = time.Hour
	k.mu.Lock()
	defer k.mu.Unlock()
	now, token := k.Clock(), k.current.Load()
	if token == nil || k.flight != nil || now.After(token.expires) {
		return idle
	}
	at := token.renewAt
	if k.err != nil && k.until.After(at) {
		at = k.until
	}
	if wait := at.Sub(now); wait > 0 {
		return wait
	}
	if k.wanted.Load() {
		return 0
	}
	return idle
}

// Stop ends the background work, an attempt under way included.
func (k *TokenKeeper) Stop(ctx context.Context) error { return k.bg.stop(ctx) }

// TokenStatus is how the middleware's own token stands, for readiness and the
// console. It holds nothing secret.
type TokenStatus struct {
	Valid     bool      // there is a token that may be used now
	TokenID   string    // jti
	SessionID string    // sid, empty for a machine's token
	ExpiresAt time.Time // zero without a token
	Trouble   Trouble   // of the last attempt
	RetryAt   time.Time // when the next attempt may be made; zero without trouble
}

// Status returns how the token stands.
func (k *TokenKeeper) Status() TokenStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	status := TokenStatus{Trouble: k.trouble}
	if k.err != nil {
		status.RetryAt = k.until
	}
	if token := k.current.Load(); token != nil {
		status.Valid = k.Clock().Before(token.hardEnd)
		status.TokenID, status.SessionID, status.ExpiresAt = token.id, token.session, token.expires
	}
	return status
}

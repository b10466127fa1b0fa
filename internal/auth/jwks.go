package auth

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"github.com/df-middleware/dfm/internal/df"
)

// The pace of a JWKS. An unknown kid makes it ask at most once in jwksPause,
// whoever asks and however often; a kid that a fresh answer did not hold is
// not asked for again for jwksAbsent.
const (
	jwksPause     = 30 * time.Second
	jwksAbsent    = time.Minute
	jwksAbsentMax = 1_000
	jwksTimeout   = 5 * time.Second
	jwksMaxBytes  = 256 << 10
	jwksMaxKeys   = 100

	jwksDefaultEvery = 30 * time.Minute
	jwksLeastEvery   = 15 * time.Minute
	jwksMostEvery    = time.Hour
)

// Doer sends a request, as *http.Client does. The one that is passed in should
// not follow redirects to other hosts.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// JWKSConfig says where the public keys are.
type JWKSConfig struct {
	// URL is CLERK_JWKS_URL, commonly {issuer}/.well-known/jwks.json, which is
	// public. Clerk's Backend API has the same at /v1/jwks for the bearer of a
	// secret key.
	URL    string
	Bearer df.Secret // only for the Backend API
	Client Doer
	Every  time.Duration // between refreshes; 15 to 60 minutes, 0 means 30
	Clock  df.Clock
	Random func() float64 // in [0, 1), for jitter: rand.Float64
	Log    *slog.Logger
	// OnRefresh, which may be nil, is told the outcome of each refresh.
	OnRefresh func(keys int, err error)
}

// JWKS keeps the public keys of a Clerk instance in memory and fresh. It is a
// KeySource: looking up a known key takes no lock and no network. The last
// good set stays in use for as long as Clerk cannot be reached; a key that a
// good answer no longer holds is dropped at once.
type JWKS struct {
	JWKSConfig
	set atomic.Pointer[keySet]
	bg  *background

	mu      sync.Mutex
	flight  *jwksFlight
	askedAt time.Time
	absent  *recent[string, time.Time] // kid → when a fresh answer lacked it
}

type keySet struct {
	keys map[string]*rsa.PublicKey
	at   time.Time
}

// jwksFlight is one refresh that any number of callers wait for.
type jwksFlight struct {
	done chan struct{}
	err  error // valid once done is closed
}

// NewJWKS returns a keeper that holds no key yet. Start fetches them ahead of
// need; without it the first token does.
func NewJWKS(config JWKSConfig) *JWKS {
	if config.Every == 0 {
		config.Every = jwksDefaultEvery
	}
	config.Every = min(max(config.Every, jwksLeastEvery), jwksMostEvery)
	if config.OnRefresh == nil {
		config.OnRefresh = func(int, error) {}
	}
	return &JWKS{JWKSConfig: config, bg: newBackground(), absent: newRecent[string, time.Time](jwksAbsentMax)}
}

// NeedsKid reports true: the id chooses among the keys.
func (j *JWKS) NeedsKid() bool { return true }

// Key returns the key with that id. For an id that is not in the set it waits
// for one refresh, if one may be made or is under way.
func (j *JWKS) Key(ctx context.Context, kid string) (*rsa.PublicKey, error) {
	if key := j.known(kid); key != nil {
		return key, nil
	}
	flight := j.ask(kid)
	if flight == nil {
		if key := j.known(kid); key != nil { // a refresh has just ended
			return key, nil
		}
		return nil, j.unknown(nil)
	}
	select {
	case <-flight.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if key := j.known(kid); key != nil {
		return key, nil
	}
	if flight.err == nil {
		j.mu.Lock()
		j.absent.put(kid, j.Clock())
		j.mu.Unlock()
	}
	return nil, j.unknown(flight.err)
}

func (j *JWKS) known(kid string) *rsa.PublicKey {
	if set := j.set.Load(); set != nil {
		return set.keys[kid]
	}
	return nil
}

// unknown is the error for a kid that is not in the set: as long as there is no
// set at all the fault is not the caller's.
func (j *JWKS) unknown(cause error) error {
	if j.set.Load() == nil {
		return fmt.Errorf("%w: no key set has been obtained", ErrKeysUnavailable)
	}
	return &TokenError{Reason: ReasonUnknownKey, Err: cause}
}

// ask returns the refresh to wait for on behalf of an unknown kid, or nil when
// none may be made now.
func (j *JWKS) ask(kid string) *jwksFlight {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.Clock()
	if at, ok := j.absent.get(kid); ok && now.Sub(at) < jwksAbsent {
		return nil
	}
	if j.flight == nil && !j.askedAt.IsZero() && now.Sub(j.askedAt) < jwksPause {
		return nil
	}
	return j.refresh()
}

// refresh starts a refresh, or joins the one under way. It runs under the lock
// and returns nil when the keeper has been stopped.
func (j *JWKS) refresh() *jwksFlight {
	if j.flight != nil {
		return j.flight
	}
	flight := &jwksFlight{done: make(chan struct{})}
	if !j.bg.run(func(ctx context.Context) { j.land(ctx, flight) }) {
		return nil
	}
	j.flight, j.askedAt = flight, j.Clock()
	return flight
}

// land fetches the keys and tells all who wait.
func (j *JWKS) land(ctx context.Context, flight *jwksFlight) {
	keys, err := j.fetch(ctx)
	if err == nil {
		j.set.Store(&keySet{keys: keys, at: j.Clock()})
	} else if ctx.Err() == nil {
		j.Log.WarnContext(ctx, "public keys not refreshed, going on with the last good ones", "err", err)
	}
	flight.err = err
	j.mu.Lock()
	j.flight = nil
	j.mu.Unlock()
	close(flight.done)
	j.OnRefresh(len(keys), err)
}

// Start fetches the keys and refreshes them in the background until Stop.
func (j *JWKS) Start() {
	j.bg.run(func(ctx context.Context) {
		for failures := 0; ; {
			if j.refreshNow(ctx) == nil {
				failures = 0
			} else {
				failures++
			}
			timer := time.NewTimer(j.nextIn(failures))
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
			}
		}
	})
}

func (j *JWKS) refreshNow(ctx context.Context) error {
	j.mu.Lock()
	flight := j.refresh()
	j.mu.Unlock()
	if flight == nil {
		return ErrStopped
	}
	select {
	case <-flight.done:
		return flight.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// nextIn returns the time to the next background refresh. After a failure it
// comes sooner: from 30 seconds doubling up to the usual interval, and from one
// second as long as there is no key at all, since no token can be judged then.
func (j *JWKS) nextIn(failures int) time.Duration {
	next := j.Every
	if failures > 0 {
		first := jwksPause
		if j.set.Load() == nil {
			first = time.Second
		}
		next = min(first<<min(failures-1, 12), j.Every)
	}
	return jitter(next, 0.1, j.Random)
}

// jitter returns d changed by up to the given share in either direction.
func jitter(d time.Duration, share float64, random func() float64) time.Duration {
	return time.Duration(float64(d) * (1 + share*(2*random()-1)))
}

// Stop ends the background work. Keys that are known stay known.
func (j *JWKS) Stop(ctx context.Context) error { return j.bg.stop(ctx) }

// Status returns how many keys are known and when they were last confirmed, for
// readiness and alerts.
func (j *JWKS) Status() (keys int, refreshedAt time.Time) {
	set := j.set.Load()
	if set == nil {
		return 0, time.Time{}
	}
	return len(set.keys), set.at
}

// fetch asks for the keys once, within its own time and size limits.
func (j *JWKS) fetch(ctx context.Context) (map[string]*rsa.PublicKey, error) {
	ctx, cancel := context.WithTimeout(ctx, jwksTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, j.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch public keys: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	if j.Bearer.Set() {
		request.Header.Set("Authorization", "Bearer "+j.Bearer.Reveal())
	}
	response, err := j.Client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetch public keys: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch public keys: HTTP %d", response.StatusCode)
	}
	body, err := readAtMost(response.Body, jwksMaxBytes)
	if err != nil {
		return nil, fmt.Errorf("fetch public keys: %w", err)
	}
	return parseKeySet(body)
}

// readAtMost reads a body, and refuses one that is longer than limit bytes.
func readAtMost(body io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("answer longer than %d bytes", limit)
	}
	return data, nil
}

// parseKeySet returns the RSA signing keys of a JWK set by their ids. Keys of
// other kinds are left out, so that a new kind breaks nothing. A set without
// any usable key is an error: taking it at its word would lock everybody out.
func parseKeySet(body []byte) (map[string]*rsa.PublicKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("read key set: %w", err)
	}
	keys := make(map[string]*rsa.PublicKey)
	for _, raw := range set.Keys[:min(len(set.Keys), jwksMaxKeys)] {
		kid, key := parseKey(raw)
		if _, twice := keys[kid]; key != nil && !twice {
			keys[kid] = key
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("read key set: no RSA signing key in it")
	}
	return keys, nil
}

// parseKey returns a key that may verify RS256 signatures, or nil.
func parseKey(raw json.RawMessage) (kid string, key *rsa.PublicKey) {
	var parsed jose.JSONWebKey
	if parsed.UnmarshalJSON(raw) != nil || parsed.KeyID == "" {
		return "", nil
	}
	key, ok := parsed.Key.(*rsa.PublicKey)
	usable := ok && (parsed.Use == "" || parsed.Use == "sig") &&
		(parsed.Algorithm == "" || parsed.Algorithm == string(jose.RS256))
	if !usable || !soundKey(key) {
		return "", nil
	}
	return parsed.KeyID, key
}

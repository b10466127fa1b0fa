package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// The headers that carry the operator's secrets, as in the original system.
const (
	AdminHeader = "X-DF-ADMIN-SECRET"
	JobsHeader  = "X-DF-JOBS-SECRET"
)

// Door is one secret that opens a guarded part of the program, and the header
// in which it may travel. The secret may also come as Authorization: Bearer.
type Door struct {
	Actor  string // who came in, for the audit log: "admin", "jobs"
	Header string
	Secret df.Secret // when unset, this door never opens
}

// Failure is one refused request, for metrics and alerts. Remote is for logs
// only: as a metric's label it would have no bound.
type Failure struct {
	Guard  string
	Remote string
	Held   bool // the address had used up its tries and was not heard
}

// GuardConfig says who may pass a Guard.
type GuardConfig struct {
	Name  string // of what is guarded, for metrics: "admin", "jobs"
	Doors []Door
	// Readers lets API keys with the scope admin:read pass GET and HEAD
	// requests. Nil when there is no such way in.
	Readers *Keys
	Brake   *Brake // required; one for all guards of a server
	// Remote tells who is calling when the program stands behind a proxy that
	// it trusts. Nil means the peer's address.
	Remote    func(*http.Request) string
	OnFailure func(Failure) // may be nil
}

// Guard lets requests pass that carry one of its secrets. With no secret set it
// refuses every request (it fails closed).
type Guard struct {
	GuardConfig
}

// NewGuard returns a guard for the given doors.
func NewGuard(config GuardConfig) *Guard {
	if config.Remote == nil {
		config.Remote = func(r *http.Request) string { return r.RemoteAddr }
	}
	if config.OnFailure == nil {
		config.OnFailure = func(Failure) {}
	}
	return &Guard{config}
}

// Wrap returns a handler that runs next for requests that may pass, with the
// actor in their context, and answers the others itself: 401 UNAUTHORIZED, 403
// FORBIDDEN, or 429 RATE_LIMITED with Retry-After.
func (g *Guard) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		actor, err := g.Admit(r)
		if err != nil {
			refuse(w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(WithActor(r.Context(), actor)))
	})
}

// Admit returns who makes the request, or ErrUnauthorized, ErrForbidden, a
// *RateLimitedError, or the key store's error.
func (g *Guard) Admit(r *http.Request) (actor string, err error) {
	if g.readable(r) {
		key, err := g.Readers.Authenticate(r.Context(), BearerOrHeader(r, AdminHeader), ScopeAdminRead)
		if err == nil {
			return key.Actor(), nil
		}
		if !errors.Is(err, ErrUnauthorized) {
			return "", err
		}
	}
	return g.check(g.Remote(r), func(d Door) string { return BearerOrHeader(r, d.Header) })
}

// Check judges a secret that came some other way than in a header, such as the
// console's sign-in form. Its errors are those of Admit.
func (g *Guard) Check(remote, secret string) (actor string, err error) {
	return g.check(remote, func(Door) string { return secret })
}

// Bind returns a text that stays the same for as long as the guard's secrets do,
// and tells nothing about them to anybody who does not have the key. What somebody
// got by showing a secret is bound to it by this, and ends with it.
func (g *Guard) Bind(key string) string {
	mac := hmac.New(sha256.New, []byte(key))
	for _, door := range g.Doors {
		sum := sha256.Sum256([]byte(door.Secret.Reveal()))
		mac.Write(sum[:])
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// readable reports whether the request shows an API key where a key suffices.
func (g *Guard) readable(r *http.Request) bool {
	return g.Readers != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		strings.HasPrefix(BearerOrHeader(r, AdminHeader), keyPrefix)
}

func (g *Guard) check(remote string, presented func(Door) string) (string, error) {
	actor := ""
	ok, held := g.Brake.Attempt(remote, func() bool {
		for _, door := range g.Doors {
			if door.Secret.Set() && Equal(presented(door), door.Secret.Reveal()) {
				actor = door.Actor
			}
		}
		return actor != ""
	})
	if ok {
		return actor, nil
	}
	g.OnFailure(Failure{Guard: g.Name, Remote: remote, Held: held > 0})
	if held > 0 {
		return "", &RateLimitedError{RetryAfter: held}
	}
	return "", ErrUnauthorized
}

// refuse answers with the error body of the external contract, §4.
func refuse(w http.ResponseWriter, err error) {
	safe := df.AsError(err)
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if safe.Status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", "Bearer")
	}
	if limited, ok := errors.AsType[*RateLimitedError](err); ok {
		header.Set("Retry-After", strconv.Itoa(limited.RetryAfterSeconds()))
	}
	w.WriteHeader(safe.Status)
	body := struct {
		Success bool `json:"success"`
		Error   any  `json:"error"`
	}{Error: map[string]string{"code": safe.Code, "message": safe.Message}}
	// A client that has gone away is no trouble of ours.
	_ = json.NewEncoder(w).Encode(body)
}

type actorKey struct{}

// WithActor returns a context that says who asks, for the audit log.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// Actor returns who asks: "admin", "jobs", "key:<id>", or "system" when nobody
// from outside does.
func Actor(ctx context.Context) string {
	if actor, ok := ctx.Value(actorKey{}).(string); ok {
		return actor
	}
	return "system"
}

// Audit is one line of the audit log: a change that somebody made.
type Audit struct {
	At      time.Time
	Actor   string            // who, as Actor returns it
	Action  string            // what, e.g. "key.create"
	Target  string            // on what, e.g. the key's id
	Details map[string]string // safe text, no secrets
}

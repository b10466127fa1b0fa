package verity

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// ScopeGateway is the scope that a key needs for the gateway's routes.
const ScopeGateway = "gateway"

// Caller is who presented a gateway key.
type Caller struct {
	ID   string // stable, for limits and audit
	Name string
}

// Keys knows the gateway keys. Authenticate returns a *df.Error with code
// UNAUTHORIZED, FORBIDDEN (the key lacks the scope) or RATE_LIMITED; an error
// in its chain with a method RetryAfter() time.Duration sets that header.
// presented is what the caller sent, possibly empty.
type Keys interface {
	Authenticate(ctx context.Context, presented, scope string) (Caller, error)
}

// Identity is what a verified Clerk token says.
type Identity struct {
	Subject   string
	SessionID string
	OrgID     string
	OrgRole   string
	Machine   bool // an M2M token: no person behind it
	Admin     bool
}

// TokenVerifier verifies a Clerk JWT. Any error refuses the call: a *df.Error
// as it is, any other as INVALID_TOKEN.
type TokenVerifier interface {
	Verify(ctx context.Context, token string) (Identity, error)
}

// Gate says whether a text may go to a phone number, in E.164. Any error is a
// no: when consent cannot be read, nothing is sent.
type Gate interface {
	MayText(ctx context.Context, to string) error
}

// Tokens gives the middleware's own token for Verity. Invalidate says that
// Verity refused this very token, so that the next one is minted anew.
type Tokens interface {
	Token(ctx context.Context) (string, error)
	Invalidate(ctx context.Context, token string)
}

func refuse(status int, code, message string) *df.Error {
	return &df.Error{Code: code, Message: message, Status: status}
}

// authenticate finds out who is calling. More than one key is no key: which of
// them counts would depend on who reads the request.
func (g *Gateway) authenticate(r *http.Request, header string) (Caller, error) {
	presented := ""
	if values := r.Header[header]; len(values) == 1 {
		presented = values[0]
	}
	if header == "Authorization" {
		if scheme, key, found := strings.Cut(presented, " "); found {
			if !strings.EqualFold(scheme, "Bearer") {
				key = ""
			}
			presented = strings.TrimSpace(key)
		}
	}
	if g.cfg.Keys == nil || presented == "" || len(presented) > maxKey {
		return Caller{}, refuse(http.StatusUnauthorized, "UNAUTHORIZED", "a valid gateway key is needed")
	}
	caller, err := g.cfg.Keys.Authenticate(r.Context(), presented, ScopeGateway)
	var known *df.Error
	if err != nil && !errors.As(err, &known) {
		err = &df.Error{Code: "UNAVAILABLE", Message: "the key cannot be checked at the moment", Status: http.StatusServiceUnavailable, Err: err}
	}
	return caller, err
}

// The longest key and token we look at.
const (
	maxKey   = 512
	maxToken = 8 << 10
)

// verify checks the Clerk token of an Authorization value, in whatever letter
// case the header came. No value is no token; any other value must verify.
func (g *Gateway) verify(ctx context.Context, authorization string, given bool) (*Identity, error) {
	if !given {
		return nil, nil
	}
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxToken || strings.ContainsAny(token, " \t,") || g.cfg.Verifier == nil {
		return nil, invalidToken(nil)
	}
	identity, err := g.cfg.Verifier.Verify(ctx, token)
	if err == nil {
		return &identity, nil
	}
	var known *df.Error
	if errors.As(err, &known) {
		return nil, known
	}
	return nil, invalidToken(err)
}

func invalidToken(cause error) *df.Error {
	return &df.Error{Code: "INVALID_TOKEN", Message: "the Clerk token is not valid", Status: http.StatusUnauthorized, Err: cause}
}

// retryAfter returns what goes into Retry-After, in whole seconds, and "".
func retryAfter(err error) string {
	var wait interface{ RetryAfter() time.Duration }
	if !errors.As(err, &wait) {
		return ""
	}
	return strconv.FormatInt(max(1, int64((wait.RetryAfter()+time.Second-1)/time.Second)), 10)
}

// waitError gives an error a time after which to try again.
type waitError struct{ after time.Duration }

// Error says how long.
func (e waitError) Error() string { return "try again after " + e.after.String() }

// RetryAfter says how long to wait.
func (e waitError) RetryAfter() time.Duration { return e.after }

package auth

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// The refusals of this package. Each is a *df.Error with the code and status
// of the external contract, §3, and is compared with errors.Is.
var (
	// ErrUnauthorized means that the credential is missing, wrong, expired or revoked.
	ErrUnauthorized error = &df.Error{Code: "UNAUTHORIZED", Status: http.StatusUnauthorized,
		Message: "a valid credential is required"}
	// ErrForbidden means that the credential is good but lacks the scope.
	ErrForbidden error = &df.Error{Code: "FORBIDDEN", Status: http.StatusForbidden,
		Message: "this key may not do that"}
	// ErrInvalidToken means that a Clerk token is not acceptable; the
	// *TokenError that wraps it says why.
	ErrInvalidToken error = &df.Error{Code: "INVALID_TOKEN", Status: http.StatusUnauthorized,
		Message: "invalid authentication token"}
	// ErrKeysUnavailable means that a Clerk token cannot be judged, because no
	// public key has ever been obtained. The caller may try again.
	ErrKeysUnavailable error = &df.Error{Code: "AUTH_UNAVAILABLE", Status: http.StatusServiceUnavailable,
		Message: "tokens cannot be verified at the moment"}
)

var (
	// ErrNoKey is what a KeyStore returns for an id that it does not hold.
	ErrNoKey = errors.New("auth: no such API key")
	// ErrNoEncryptionKey means that something was to be sealed or opened
	// although DF_ENCRYPTION_KEY is not set.
	ErrNoEncryptionKey = errors.New("DF_ENCRYPTION_KEY is not set: it must be 32 bytes in base64 (openssl rand -base64 32)")
	// ErrSealed means that a sealed value cannot be opened: it was changed, was
	// sealed for another purpose, or under a key that is no longer configured.
	ErrSealed = errors.New("auth: sealed value cannot be opened")
	// ErrStopped means that the service was asked after it had been stopped.
	ErrStopped = errors.New("auth: stopped")
)

// RateLimitedError refuses a caller that is over its rate. It unwraps to the
// contract's RATE_LIMITED error.
type RateLimitedError struct {
	RetryAfter time.Duration // always above zero
}

// Error says how long to wait.
func (e *RateLimitedError) Error() string {
	return fmt.Sprintf("over the rate, retry in %s", e.RetryAfter)
}

// Unwrap returns the *df.Error for the outside.
func (e *RateLimitedError) Unwrap() error {
	return &df.Error{Code: "RATE_LIMITED", Status: http.StatusTooManyRequests, Message: "too many requests"}
}

// RetryAfterSeconds returns the wait in whole seconds, rounded up, as the
// Retry-After header wants it.
func (e *RateLimitedError) RetryAfterSeconds() int {
	return max(1, int((e.RetryAfter+time.Second-1)/time.Second))
}

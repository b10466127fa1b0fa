package auth

import (
	"context"
	"errors"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Trouble is why no token can be had, in a word that alerts and the shared row
// carry.
type Trouble string

// The troubles. Those that time may cure are retried with growing pauses; the
// others are probed every five minutes, since they need the operator.
const (
	TroubleNone    Trouble = ""
	TroubleBusy    Trouble = "rate_limited"   // Clerk named a time to come back
	TroubleDown    Trouble = "unreachable"    // no answer, or 5xx
	TroubleSession Trouble = "session_dead"   // 404: the session has ended, been revoked or never was
	TroubleSecret  Trouble = "secret_refused" // 401, 403: the secret key is wrong
	TroubleRefused Trouble = "mint_refused"   // any other 4xx
	TroubleToken   Trouble = "token_unusable" // no exp, or a life of under ten seconds
)

const (
	probeEvery  = 5 * time.Minute
	backoffFrom = time.Second
	backoffTo   = time.Minute
	// downAlert is how many failures in a row make an outage worth an alert.
	downAlert = 5
)

// lasting reports whether the trouble needs the operator.
func (t Trouble) lasting() bool {
	return t == TroubleSession || t == TroubleSecret || t == TroubleRefused || t == TroubleToken
}

// Advice is one sentence for the operator.
func (t Trouble) Advice() string {
	switch t {
	case TroubleNone:
		return "a token is obtained again"
	case TroubleBusy:
		return "Clerk limits our rate"
	case TroubleDown:
		return "Clerk cannot be reached"
	case TroubleSession:
		return "the session of CLERK_SESSION_ID no longer exists: sign the service user in again and set the new id"
	case TroubleSecret:
		return "Clerk refuses the secret key: check CLERK_MACHINE_SECRET_KEY or CLERK_SECRET_KEY"
	case TroubleToken:
		return "the token that Clerk issues has no exp or lives less than 10 seconds: check the JWT template"
	default:
		return "Clerk refuses to issue a token: check CLERK_SESSION_ID, CLERK_JWT_TEMPLATE and CLERK_TOKEN_TTL"
	}
}

// troubleOf names the trouble behind an error of mint.
func troubleOf(err error) Trouble {
	var call *df.CallError
	if !errors.As(err, &call) {
		return TroubleDown
	}
	switch {
	case call.Code == df.CodeRateLimited:
		return TroubleBusy
	case call.Outcome == df.RetryLater:
		return TroubleDown
	case call.Code == df.CodeNotFound:
		return TroubleSession
	case call.Code == df.CodeUnauthorized:
		return TroubleSecret
	case call.Code == df.CodeGarbled:
		return TroubleToken
	default:
		return TroubleRefused
	}
}

// callError is the error for a trouble that another instance has met. Its code
// is such that troubleOf finds the same trouble again.
func (t Trouble) callError(retryAt time.Time) *df.CallError {
	err := &df.CallError{Upstream: clerk, Operation: mintAttempt, Outcome: df.Refused, RetryAt: retryAt, Message: t.Advice()}
	switch t {
	case TroubleSession:
		err.Code = df.CodeNotFound
	case TroubleSecret:
		err.Code = df.CodeUnauthorized
	case TroubleToken:
		err.Code = df.CodeGarbled
	case TroubleRefused:
		err.Code = df.CodeInvalid
	case TroubleBusy:
		err.Code, err.Outcome = df.CodeRateLimited, df.RetryLater
	default:
		err.Code, err.Outcome = df.CodeUnavailable, df.RetryLater
	}
	return err
}

// retryAt returns when to try again: when Clerk said, or after a pause that
// grows with the failures so far, or at the next probe.
func (k *TokenKeeper) retryAt(err error, trouble Trouble, failures int) time.Time {
	now := k.Clock()
	var call *df.CallError
	if errors.As(err, &call) && call.RetryAt.After(now) {
		return call.RetryAt
	}
	if trouble.lasting() {
		return now.Add(jitter(probeEvery, 0.05, k.Random))
	}
	pause := min(backoffFrom<<min(failures, 10), backoffTo)
	return now.Add(jitter(pause, 0.25, k.Random))
}

// Alert tells the operator that the middleware's own token is in trouble, or,
// with TroubleNone, that it no longer is. It is sent when that changes, not for
// each failure.
type Alert struct {
	Trouble Trouble
	Message string // safe text
}

// alert reports a change of trouble. It is called without the lock.
func (k *TokenKeeper) alert(ctx context.Context, trouble Trouble) {
	k.OnAlert(ctx, Alert{Trouble: trouble, Message: trouble.Advice()})
}

package df

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Outcome is what became of a call to an upstream, as far as the next step cares.
type Outcome int

// The four outcomes. Done took effect. RetryLater did not take effect and may be
// tried again, not before RetryAt. Refused did not take effect and will be
// refused again. Unclear was sent and not answered: it may or may not have
// taken effect, so it is looked up before it is repeated.
const (
	OutcomeDone Outcome = iota
	RetryLater
	Refused
	Unclear
)

// String returns the verdict's name in the words of design.md.
func (o Outcome) String() string {
	return [...]string{"done", "retry", "refuse", "unknown"}[o]
}

// CallError is a call to an upstream that did not succeed. Its text holds no
// secret, no phone number and no e-mail address.
type CallError struct {
	Upstream  string // ghl, aloware, verity, clerk, …
	Operation string // what was attempted, e.g. "update contact"
	Outcome   Outcome
	RetryAt   time.Time // when the upstream said to come back; zero when it did not
	Status    int       // HTTP status, 0 when there was no answer
	Code      string    // stable reason, e.g. "rate_limited", "not_found", "duplicate"
	Message   string    // safe text
	ContactID string    // with code "duplicate": the contact that is already there; with "rekeyed": the new one
	Err       error     // cause, may be nil
}

// Error names the upstream, the operation and the reason.
func (e *CallError) Error() string {
	text := fmt.Sprintf("%s: %s: %s", e.Upstream, e.Operation, e.Code)
	if e.Status != 0 {
		text += fmt.Sprintf(" (HTTP %d)", e.Status)
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Unwrap returns the cause.
func (e *CallError) Unwrap() error { return e.Err }

// The stable codes of CallError that rooms decide by.
const (
	CodeNotFound     = "not_found"      // the entity does not exist
	CodeDuplicate    = "duplicate"      // another contact has this phone or e-mail
	CodeRateLimited  = "rate_limited"   // over the upstream's or our own budget
	CodeUnauthorized = "unauthorized"   // the upstream refuses our credentials
	CodeInvalid      = "invalid"        // the upstream refuses the request's content
	CodeUnavailable  = "unavailable"    // 5xx, connection refused, breaker open
	CodeTimeout      = "timeout"        // sent, no answer in time
	CodeGarbled      = "garbled"        // 2xx with a body that is no answer (Aloware's HTML)
	CodeNotWritten   = "not_written"    // 2xx, but reading back shows the old value
	CodeUnconfigured = "not_configured" // no credentials are set for this upstream
	CodeRekeyed      = "rekeyed"        // written, and the person is another contact there now: ContactID
)

// IsCode reports whether err is, or wraps, a CallError with the given code.
func IsCode(err error, code string) bool {
	var call *CallError
	return errors.As(err, &call) && call.Code == code
}

// OutcomeOf returns the outcome that err stands for. A nil error is done; an
// ended context is retried; an error that no upstream gave is ours and is
// retried too, since a bug that is mended tomorrow must not lose today's events.
func OutcomeOf(err error) (Outcome, time.Time) {
	var call *CallError
	switch {
	case err == nil:
		return OutcomeDone, time.Time{}
	case errors.As(err, &call):
		return call.Outcome, call.RetryAt
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return RetryLater, time.Time{}
	default:
		return RetryLater, time.Time{}
	}
}

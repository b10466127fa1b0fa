package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"sync/atomic"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// progress is how far a request got, as told by net/http's trace hooks.
type progress struct {
	started   atomic.Bool // a transport that calls hooks is looking for a connection
	connected atomic.Bool // it has one, and writes the request next
	answered  bool        // the answer's header came back
}

// trace makes progress follow the request. When net/http finds that an idle
// connection died before anything was written, it starts over with another
// GetConn. A request with an Idempotency-Key it also sends again after writing,
// so there nothing is forgotten.
func (p *progress) trace(ctx context.Context, call Call) context.Context {
	replayed := call.Header.Get("Idempotency-Key") != "" || call.Header.Get("X-Idempotency-Key") != ""
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) {
			p.started.Store(true)
			if !replayed {
				p.connected.Store(false)
			}
		},
		GotConn: func(httptrace.GotConnInfo) { p.connected.Store(true) },
	})
}

// maybeSent reports whether the upstream may have seen the request. A request
// that has a connection counts as sent: its writer runs beside us, and no hook
// tells for sure that it has not begun. Of a round tripper that may call no
// hooks, everything but a failed dial may have been sent.
func (p *progress) maybeSent(err error, hooked bool) bool {
	if p.answered || p.connected.Load() {
		return true
	}
	return !hooked && !p.started.Load() && !isDial(err)
}

func isDial(err error) bool {
	var op *net.OpError
	var name *net.DNSError
	return errors.As(err, &op) && op.Op == "dial" || errors.As(err, &name)
}

// repeatable reports whether sending the call twice does no harm.
func (c Call) repeatable() bool {
	switch c.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, "":
		return true
	}
	return c.Repeatable
}

// afterSending is the verdict on a call that was sent and whose effect is not known.
func (c Call) afterSending() df.Outcome {
	if c.repeatable() {
		return df.RetryLater
	}
	return df.Unclear
}

// refusedByStatus judges the statuses that are no answer to the call. The body's
// text stays out of the error, for it may repeat what was sent.
func (c *Client) refusedByStatus(call Call, answer Answer) *df.CallError {
	var failure *df.CallError
	switch {
	case answer.Status == http.StatusTooManyRequests:
		failure = c.fail(call, df.RetryLater, df.CodeRateLimited, "the upstream asks for fewer calls", nil)
	case answer.Status == http.StatusRequestTimeout, answer.Status == http.StatusGatewayTimeout:
		failure = c.fail(call, call.afterSending(), df.CodeTimeout, "the upstream timed out", nil)
	case answer.Status >= 500:
		failure = c.fail(call, call.afterSending(), df.CodeUnavailable, "the upstream failed", nil)
	default:
		return nil
	}
	failure.Status = answer.Status
	return failure
}

func (c *Client) tooLarge(call Call, status int) *df.CallError {
	outcome := call.afterSending()
	if status >= 300 {
		outcome = df.Refused // no 2xx: it took no effect, and the next answer will be as large
	}
	text := fmt.Sprintf("the answer is larger than %d bytes", c.options.MaxBody)
	failure := c.fail(call, outcome, df.CodeGarbled, text, nil)
	failure.Status = status
	return failure
}

// broken judges a call that ended without a whole answer. ctx is the caller's,
// limited the one that also ends with the call's own timeout.
func (c *Client) broken(ctx, limited context.Context, call Call, progress *progress, err error) *df.CallError {
	if errors.Is(err, ErrForbiddenAddress) {
		return c.fail(call, df.Refused, df.CodeInvalid, "the address is not one we may call", ErrForbiddenAddress)
	}
	_, hooked := c.options.Transport.(*http.Transport)
	sent := progress.maybeSent(err, hooked)
	code, text := df.CodeUnavailable, "the connection broke"
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		code, text, err = CodeCanceled, "the caller went away", context.Canceled
	case isTimeout(err) || limited.Err() != nil:
		code, text = df.CodeTimeout, "no answer in time"
		if limited.Err() != nil {
			err = limited.Err()
		}
	}
	if !sent {
		return c.fail(call, df.RetryLater, code, text+" before the request was sent", err)
	}
	return c.fail(call, call.afterSending(), code, text+" after the request was sent", err)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// notSent is the verdict on a call whose context ended before it was sent.
func (c *Client) notSent(call Call, err error) *df.CallError {
	if errors.Is(err, context.DeadlineExceeded) {
		return c.fail(call, df.RetryLater, df.CodeTimeout, "no time was left to send the call", err)
	}
	return c.fail(call, df.RetryLater, CodeCanceled, "the caller went away before the call was sent", err)
}

func (c *Client) breakerOpen(call Call, until time.Time) *df.CallError {
	failure := c.fail(call, df.RetryLater, df.CodeUnavailable, "the upstream failed too often and is left alone for a while", nil)
	failure.RetryAt = until
	return failure
}

func (c *Client) fail(call Call, outcome df.Outcome, code, text string, err error) *df.CallError {
	return &df.CallError{Upstream: c.options.Upstream, Operation: call.Operation, Outcome: outcome, Code: code,
		Message: c.options.Redactor.Text(text), Err: c.cause(err)}
}

// cause returns an error that says the same without what must not be read. Those
// that callers ask for with errors.Is are kept as they are.
func (c *Client) cause(err error) error {
	if err == nil {
		return nil
	}
	for _, known := range [...]error{context.Canceled, context.DeadlineExceeded, ErrForbiddenAddress} {
		if errors.Is(err, known) {
			return known
		}
	}
	return errors.New(c.options.Redactor.Text(err.Error()))
}

// healthOf is what a call says about the upstream's health.
func healthOf(failure *df.CallError) result {
	switch {
	case failure == nil, failure.Code == df.CodeRateLimited, failure.Code == df.CodeGarbled:
		return healthy
	case failure.Code == CodeCanceled, failure.Outcome == df.Refused:
		return untold
	default:
		return unhealthy
	}
}

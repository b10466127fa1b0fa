package llm

import (
	"context"
	"net/http"

	"github.com/df-middleware/dfm/internal/df"
)

const operation = "reply"

// failure judges why a vendor did not reply. The vendor's own text stays in the
// cause: it may repeat what was said to the model.
func failure(ctx context.Context, vendor string, status int, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e := &df.CallError{Upstream: vendor, Operation: operation, Outcome: df.RetryLater, Status: status, Err: err}
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		e.Outcome, e.Code, e.Message = df.Refused, df.CodeUnauthorized, "the vendor does not accept our key"
	case status == http.StatusNotFound:
		e.Outcome, e.Code, e.Message = df.Refused, df.CodeNotFound, "the vendor has no such model or address"
	case status == http.StatusTooManyRequests:
		e.Code, e.Message = df.CodeRateLimited, "the vendor wants fewer requests"
	case status >= 400 && status < 500:
		e.Outcome, e.Code, e.Message = df.Refused, df.CodeInvalid, "the vendor does not accept the request"
	case status >= 500:
		e.Code, e.Message = df.CodeUnavailable, "the vendor is overloaded or down"
	default:
		return broken(vendor, err)
	}
	return e
}

// broken is a reply that did not come to its end.
func broken(vendor string, err error) error {
	return &df.CallError{Upstream: vendor, Operation: operation, Outcome: df.RetryLater, Code: df.CodeGarbled,
		Message: "the reply broke off", Err: err}
}

func tooLong(vendor string) error {
	return &df.CallError{Upstream: vendor, Operation: operation, Outcome: df.Refused, Code: df.CodeInvalid, Message: "the reply has no end"}
}

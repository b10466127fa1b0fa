package verity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

// ClientConfig is what the inner door needs besides the gateway itself.
type ClientConfig struct {
	Tokens        Tokens    // the middleware's own token; nil sends none
	WebhookSecret df.Secret // signs forwarded webhooks
	PlainSecret   bool      // VERITY_FORWARD_PLAIN_SECRET: send the secret itself too
	AnalyticsPath string    // VERITY_BROADCAST_ANALYTICS_PATH, with {id}
}

// defaultAnalyticsPath is where Verity tells how a broadcast went.
const defaultAnalyticsPath = "/api/comms/broadcasts/{id}/analytics"

// Client is the door to Verity for what runs inside this program: MCP, chat and
// the sync rooms. It makes the same checks as the outer doors.
type Client struct {
	g   *Gateway
	cfg ClientConfig
}

// Client returns the inner door of the gateway.
func (g *Gateway) Client(cfg ClientConfig) *Client {
	if cfg.AnalyticsPath == "" {
		cfg.AnalyticsPath = defaultAnalyticsPath
	}
	return &Client{g: g, cfg: cfg}
}

// OpenUntil returns when Verity is tried again after failing too often, as this
// process sees it. It is zero while Verity may be called.
func (c *Client) OpenUntil() time.Time { return c.g.host.until() }

// Response is Verity's answer, whatever its status.
type Response struct {
	Status   int
	Header   http.Header
	Body     []byte
	Template string // the operation's path in the catalogue, or "unmatched"
	Duration time.Duration
}

// OK reports whether the status is 2xx.
func (r *Response) OK() bool { return r.Status >= 200 && r.Status <= 299 }

// inner is the name under which calls from inside are counted.
const inner = "internal"

// Do makes a call. Without an Authorization of its own the request carries the
// middleware's token, and an answer of 401 is taken as a sign to renew it and
// try once more: what was refused had no effect. Do returns a *df.Error when a
// check refuses the call, a *df.CallError when there is no answer, and else the
// answer, whatever its status.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	own := r.Authorization == ""
	a, err := c.g.admit(ctx, &r, own)
	if err != nil {
		return nil, err
	}
	raw := false
	if len(r.Body) > 0 {
		if int64(len(r.Body)) > c.g.cfg.MaxBody {
			return nil, tooLarge(c.g.cfg.MaxBody)
		}
		if raw = r.isRaw(); raw && a.recipient != "" {
			return nil, invalid("body", "of a text must be JSON")
		}
		if err := strictjson.Check(r.Body, maxBodyDepth); err != nil && !raw {
			return nil, unreadable(err)
		}
	}
	if err := c.g.checkBody(ctx, &a, r.Body); err != nil {
		return nil, err
	}
	out := c.g.prepare(&r, &a)
	if raw {
		out.header["Content-Type"] = r.Header["Content-Type"]
	}
	switch {
	case !own:
		return c.send(ctx, out)
	case isTextPath(a.path) && c.g.cfg.APIKey.Set():
		out.header["Authorization"] = []string{"Bearer " + c.g.cfg.APIKey.Reveal()}
		return c.send(ctx, out)
	case c.cfg.Tokens == nil:
		return c.send(ctx, out)
	}
	return c.sendOwn(ctx, out)
}

// isRaw reports a body that is no JSON and says so, such as a form with a file.
// Only what runs inside this program can send one.
func (r *Request) isRaw() bool {
	given := r.Header.Get("Content-Type")
	return given != "" && !isJSONType(given)
}

// sendOwn sends with the middleware's own token.
func (c *Client) sendOwn(ctx context.Context, out outgoing) (*Response, error) {
	for try := 1; ; try++ {
		token, err := c.cfg.Tokens.Token(ctx)
		if err != nil {
			return nil, c.noToken(err)
		}
		out.header["Authorization"] = []string{"Bearer " + token}
		response, err := c.send(ctx, out)
		if err != nil || response.Status != http.StatusUnauthorized {
			return response, err
		}
		c.cfg.Tokens.Invalidate(ctx, token)
		if try == 2 {
			return response, nil
		}
	}
}

func (c *Client) noToken(err error) error {
	if _, known := errors.AsType[*df.CallError](err); known {
		return err
	}
	return &df.CallError{
		Upstream: upstream, Operation: "get our own token", Outcome: df.RetryLater,
		Code: df.CodeUnavailable, Message: "there is no token for verity", Err: err,
	}
}

const upstream = "verity"

func (c *Client) send(ctx context.Context, out outgoing) (*Response, error) {
	if !c.g.inFlight.acquire(inner) {
		return nil, &df.CallError{
			Upstream: upstream, Operation: out.method + " " + out.template, Outcome: df.RetryLater,
			RetryAt: c.g.cfg.Clock().Add(time.Second), Code: df.CodeRateLimited, Message: "too many calls are under way",
		}
	}
	defer c.g.inFlight.release(inner)
	buf := c.g.takeBuffer()
	defer c.g.giveBuffer(buf)
	started := c.g.cfg.Clock()
	a, err := c.g.call(ctx, out, buf)
	if err != nil {
		return nil, c.noAnswer(ctx, out, err)
	}
	return &Response{
		Status: a.status, Header: a.header, Body: bytes.Clone(a.body), Template: out.template,
		Duration: c.g.cfg.Clock().Sub(started),
	}, nil
}

// noAnswer turns a call that got no answer into a verdict. Only what was never
// sent, or may be sent twice, can be tried again; anything else is unclear.
func (c *Client) noAnswer(ctx context.Context, out outgoing, err error) error {
	if ctx.Err() != nil && errors.Is(err, errCallerEnd) && repeatableMethod(out.method) {
		return ctx.Err()
	}
	verdict := &df.CallError{
		Upstream: upstream, Operation: out.method + " " + out.template, Outcome: df.RetryLater,
		Code: df.CodeUnavailable, Message: envelopeFault(err).Message, Err: err,
	}
	var wait waitError
	switch {
	case errors.As(err, &wait):
		verdict.RetryAt = c.g.cfg.Clock().Add(wait.after)
	case errors.Is(err, errDial):
	default:
		if errors.Is(err, errTimeout) || errors.Is(err, errCallerEnd) {
			verdict.Code, verdict.Message = df.CodeTimeout, errTimeout.Error()
		}
		if errors.Is(err, errTooLarge) {
			verdict.Code = df.CodeGarbled
		}
		if !repeatableMethod(out.method) {
			verdict.Outcome = df.Unclear
		}
	}
	return verdict
}

func repeatableMethod(method string) bool {
	return method == http.MethodGet || method == http.MethodPut || method == http.MethodDelete
}

// verdict returns the CallError that an answer stands for, or nil for 2xx.
// repeatable says that the call does no harm when sent twice.
func (c *Client) verdict(operation string, r *Response, repeatable bool) error {
	if r.OK() {
		return nil
	}
	e := &df.CallError{Upstream: upstream, Operation: operation, Outcome: df.Refused, Status: r.Status, Code: df.CodeInvalid}
	switch {
	case r.Status == http.StatusTooManyRequests || r.Status == http.StatusServiceUnavailable:
		e.Outcome, e.Code = df.RetryLater, df.CodeRateLimited
		if r.Status == http.StatusServiceUnavailable {
			e.Code = df.CodeUnavailable
		}
		e.RetryAt = retryTime(r.Header.Get("Retry-After"), c.g.cfg.Clock())
	case r.Status >= 500 || r.Status == http.StatusRequestTimeout:
		e.Outcome, e.Code = df.Unclear, df.CodeUnavailable
		if repeatable {
			e.Outcome = df.RetryLater
		}
	case r.Status == http.StatusUnauthorized || r.Status == http.StatusForbidden:
		// Credentials get mended; the event must still be there then.
		e.Outcome, e.Code = df.RetryLater, df.CodeUnauthorized
	case r.Status == http.StatusNotFound:
		e.Code = df.CodeNotFound
	}
	return e
}

// retryTime reads Retry-After in either of its forms.
func retryTime(value string, now time.Time) time.Time {
	if value == "" {
		return time.Time{}
	}
	if wait, err := time.ParseDuration(value + "s"); err == nil && wait >= 0 && wait <= 24*time.Hour {
		return now.Add(wait)
	}
	if at, err := http.ParseTime(value); err == nil && at.After(now) && at.Before(now.Add(24*time.Hour)) {
		return at
	}
	return time.Time{}
}

// asVerdict turns what Do returned as an error into a verdict for the sync rooms.
func asVerdict(operation string, err error) error {
	refused, isRefusal := errors.AsType[*df.Error](err)
	if !isRefusal {
		return err
	}
	e := &df.CallError{Upstream: upstream, Operation: operation, Outcome: df.Refused, Code: df.CodeInvalid, Message: refused.Message, Err: err}
	if refused.Status >= 500 {
		e.Outcome, e.Code = df.RetryLater, df.CodeUnavailable
	}
	return e
}

func object(raw []byte) map[string]json.RawMessage {
	found := make(map[string]json.RawMessage)
	if !json.Valid(raw) {
		return nil
	}
	_ = strictjson.Members(raw, func(name string, value []byte) error {
		found[name] = value
		return nil
	})
	return found
}

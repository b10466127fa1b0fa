package egress

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/observe"
)

// CodeCanceled is the code of a call whose caller went away.
const CodeCanceled = "canceled"

// Options configure a Client. Only Upstream and Transport are required.
type Options struct {
	Upstream  string            // ghl, aloware, verity, clerk, …: for errors, logs and metrics
	Transport http.RoundTripper // NewTransport(), or GuardedTransport for URLs of others
	Clock     df.Clock          // time.Now when nil
	Log       *slog.Logger      // nothing is logged when nil

	Budget  Budget        // no budget is kept when nil
	Account string        // whose budget: the key under which instances share it
	Limit   Limit         // our own ceiling for the account
	MaxWait time.Duration // the longest a call waits for the budget; 5 s when 0

	Timeout  time.Duration  // from sending to the last byte of the answer; 30 s when 0
	MaxBody  int64          // largest answer in bytes, decompressed; 4 MiB when 0
	Breaker  *Breaker       // shared by the clients of one upstream; its own when nil
	Redactor *Redactor      // knows the secrets that must not appear in errors
	Observe  func(Observed) // told of every call that ended, e.g. for metrics; may be nil
	// RateHeaders reads what an answer's headers say about what is left, e.g.
	// RateLimitHeaders. It may be nil.
	RateHeaders func(header http.Header, now time.Time) Rate
}

// Observed is what became of one call. It holds no URL and no personal data, and
// its strings are few enough for metric labels.
type Observed struct {
	Upstream  string
	Operation string
	Method    string
	Status    int // 0 when there was no answer
	Outcome   df.Outcome
	Code      string        // df.CallError's code, empty for an answer
	Waited    time.Duration // for the budget
	Took      time.Duration // from sending to the end
	Rate      Rate
}

// Client makes calls to one upstream for one account. It is safe for concurrent
// use. It never repeats a call by itself: its verdict says whether and when the
// caller's job may.
type Client struct {
	options Options
	turns   [2]chan struct{} // per class: who may ask the budget
}

// New returns a Client.
func New(options Options) *Client {
	if options.Clock == nil {
		options.Clock = time.Now
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.Breaker == nil {
		options.Breaker = NewBreaker(BreakerOptions{}, options.Clock)
	}
	options.MaxWait = orDefault(options.MaxWait, 5*time.Second)
	options.Timeout = orDefault(options.Timeout, 30*time.Second)
	options.MaxBody = orDefault(options.MaxBody, 4<<20)
	return &Client{options: options, turns: [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}}
}

// Breaker returns the state of the upstream's circuit breaker.
func (c *Client) Breaker() BreakerStatus { return c.options.Breaker.Status() }

// Budget returns the account whose budget the client's calls use, and our own
// ceiling for it.
func (c *Client) Budget() (account string, limit Limit) { return c.options.Account, c.options.Limit }

// Do makes the call once. An answer of any status but 408, 429 and 5xx is
// returned as it is, redirects included, since they are not followed. Everything
// else is a *df.CallError:
//
//   - df.RetryLater: it was not sent (budget, breaker, no connection), or it is
//     repeatable, or the upstream answered 429, which takes no effect.
//   - df.Unclear: it was sent, is not repeatable, and ended in a time-out, a
//     broken connection, 408, 5xx, or a 2xx whose body is too large.
//   - df.Refused: it cannot be sent at all (bad URL, forbidden address), or was
//     refused with a body that is too large.
func (c *Client) Do(ctx context.Context, call Call) (Answer, error) {
	ctx, span := observe.Start(ctx, c.options.Upstream+" "+call.Operation)
	seen := Observed{Upstream: c.options.Upstream, Operation: call.Operation, Method: call.Method}
	answer, failure := c.do(ctx, call, &seen)
	seen.Status = answer.Status
	if failure != nil {
		seen.Status, seen.Outcome, seen.Code = failure.Status, failure.Outcome, failure.Code
	}
	c.report(ctx, seen)
	traced(span, seen)
	if failure != nil {
		return Answer{}, failure
	}
	return answer, nil
}

func (c *Client) do(ctx context.Context, call Call, seen *Observed) (Answer, *df.CallError) {
	if until, shut := c.options.Breaker.shut(); shut {
		return Answer{}, c.breakerOpen(call, until)
	}
	began := c.options.Clock()
	failure := c.admit(ctx, call)
	seen.Waited = c.options.Clock().Sub(began)
	if failure != nil {
		return Answer{}, failure
	}
	generation, until, ok := c.options.Breaker.enter()
	if !ok {
		return Answer{}, c.breakerOpen(call, until)
	}
	health := untold // also when the transport panics
	defer func() { c.leave(ctx, generation, health) }()

	began = c.options.Clock()
	answer, failure := c.send(ctx, call)
	seen.Took = c.options.Clock().Sub(began)
	seen.Rate = c.obey(ctx, answer, failure)
	health = healthOf(failure)
	if failure != nil {
		return Answer{}, failure
	}
	return answer, nil
}

// leave gives the breaker its report and logs when that changed its state.
func (c *Client) leave(ctx context.Context, generation int, health result) {
	before := c.options.Breaker.Status().State
	c.options.Breaker.leave(generation, health)
	if after := c.options.Breaker.Status(); after.State != before {
		c.options.Log.LogAttrs(ctx, slog.LevelWarn, "circuit breaker changed",
			slog.String("upstream", c.options.Upstream), slog.String("state", after.State.String()),
			slog.Time("until", after.Until))
	}
}

// send makes the request and judges what comes of it. With a failure, the answer
// returned still carries status and header, for obey and the breaker.
func (c *Client) send(ctx context.Context, call Call) (Answer, *df.CallError) {
	timeout := orDefault(call.Timeout, c.options.Timeout)
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	progress := &progress{}
	request, err := http.NewRequestWithContext(progress.trace(limited, call), call.Method, call.URL, bytes.NewReader(call.Body))
	if err != nil || request.URL.Host == "" || request.URL.Scheme != "http" && request.URL.Scheme != "https" {
		// err is left out: it quotes the URL.
		return Answer{}, c.fail(call, df.Refused, df.CodeInvalid, "the URL or method cannot be used", nil)
	}
	if call.Header != nil {
		request.Header = call.Header.Clone()
	}
	if len(call.Body) == 0 {
		request.Body, request.GetBody, request.ContentLength = http.NoBody, nil, 0
	}
	// RoundTrip instead of http.Client: no redirects, and no error that quotes the URL.
	response, err := c.options.Transport.RoundTrip(request)
	if err != nil {
		return Answer{}, c.broken(ctx, limited, call, progress, err)
	}
	defer func() { _ = response.Body.Close() }() // read to its end or given up: nothing to learn
	body, err := io.ReadAll(io.LimitReader(response.Body, c.options.MaxBody+1))
	answer := Answer{Status: response.StatusCode, Header: response.Header, Body: body}
	if failure := c.refusedByStatus(call, answer); failure != nil {
		return answer, failure
	}
	if err != nil {
		progress.answered = true
		return answer, c.broken(ctx, limited, call, progress, err)
	}
	if int64(len(body)) > c.options.MaxBody {
		return answer, c.tooLarge(call, answer.Status)
	}
	return answer, nil
}

// traced ends the span of a call with what became of it.
func traced(span *observe.Span, seen Observed) {
	span.Text("dfm.upstream", seen.Upstream)
	span.Text("dfm.operation", seen.Operation)
	span.Text("dfm.outcome", seen.Outcome.String())
	span.Text("http.request.method", seen.Method)
	if seen.Status != 0 {
		span.Number("http.response.status_code", seen.Status)
	}
	span.Number("dfm.waited_ms", int(seen.Waited.Milliseconds()))
	span.End(seen.Code)
}

// report tells the observer and the log.
func (c *Client) report(ctx context.Context, seen Observed) {
	if c.options.Observe != nil {
		c.options.Observe(seen)
	}
	c.options.Log.LogAttrs(ctx, slog.LevelDebug, "upstream call",
		slog.String("upstream", seen.Upstream), slog.String("operation", seen.Operation),
		slog.Int("status", seen.Status), slog.String("outcome", seen.Outcome.String()),
		slog.String("code", seen.Code), slog.Duration("waited", seen.Waited), slog.Duration("took", seen.Took))
}

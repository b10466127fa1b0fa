package egress

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// admit waits until the budget lets the call through. Callers of one class take
// turns in asking, first come first served, so that a long queue in one process
// costs the shared budget one question at a time.
func (c *Client) admit(ctx context.Context, call Call) *df.CallError {
	if err := ctx.Err(); err != nil {
		return c.notSent(call, err)
	}
	if c.options.Budget == nil {
		return nil
	}
	wait := c.options.MaxWait
	if limit, ok := ctx.Deadline(); ok {
		// A context's deadline is told by the machine's clock, which need not
		// be the one that the budget goes by.
		wait = min(wait, time.Until(limit))
	}
	deadline := c.options.Clock().Add(wait)
	patience := time.NewTimer(wait)
	defer patience.Stop()
	turn := c.turns[call.Class&1]
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
		return c.take(ctx, call, deadline)
	case <-patience.C:
		return c.overBudget(call, c.options.Clock().Add(max(time.Second, c.options.Limit.Per)))
	case <-ctx.Done():
		return c.notSent(call, ctx.Err())
	}
}

// take asks the budget until it grants the call or would do so only after the
// deadline.
func (c *Client) take(ctx context.Context, call Call, deadline time.Time) *df.CallError {
	for {
		wait, err := c.options.Budget.Take(ctx, c.options.Account, c.options.Limit, call.Class)
		if ctx.Err() != nil {
			return c.notSent(call, ctx.Err())
		}
		if err != nil {
			return c.fail(call, df.RetryLater, df.CodeUnavailable, "the call budget cannot be read", err)
		}
		if wait <= 0 {
			return nil
		}
		if at := c.options.Clock().Add(wait); at.After(deadline) {
			return c.overBudget(call, at)
		}
		if err := sleep(ctx, max(wait, time.Millisecond)); err != nil {
			return c.notSent(call, err)
		}
	}
}

func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Client) overBudget(call Call, at time.Time) *df.CallError {
	failure := c.fail(call, df.RetryLater, df.CodeRateLimited, "the account's call budget is used up; nothing was sent", nil)
	failure.RetryAt = at
	return failure
}

// obey holds the account for as long as the answer asks. What the upstream says
// counts more than our own limit.
func (c *Client) obey(ctx context.Context, answer Answer, failure *df.CallError) Rate {
	if answer.Header == nil {
		return Rate{}
	}
	now := c.options.Clock()
	var rate Rate
	if c.options.RateHeaders != nil {
		rate = c.options.RateHeaders(answer.Header, now)
	}
	until := rate.HoldUntil
	if failure != nil {
		until = later(until, RetryAfter(answer.Header, now))
	}
	if answer.Status == http.StatusTooManyRequests && until.IsZero() {
		until = now.Add(max(time.Second, c.options.Limit.Per))
	}
	if until.IsZero() {
		return rate
	}
	until = clamp(until, now, now.Add(maxHold))
	if failure != nil {
		failure.RetryAt = until
	}
	c.hold(ctx, until)
	return rate
}

// hold keeps what it was told even when the caller goes away meanwhile.
func (c *Client) hold(ctx context.Context, until time.Time) {
	if c.options.Budget == nil {
		return
	}
	c.options.Log.LogAttrs(ctx, slog.LevelWarn, "upstream asked us to hold",
		slog.String("upstream", c.options.Upstream), slog.Time("until", until))
	lasting, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := c.options.Budget.Hold(lasting, c.options.Account, until); err != nil {
		c.options.Log.LogAttrs(ctx, slog.LevelError, "hold was not stored",
			slog.String("upstream", c.options.Upstream), slog.Any("error", c.cause(err)))
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

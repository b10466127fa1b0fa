package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/alerts"
	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/store"
)

// dailyFresh is how long what an upstream said about the rest of its day counts.
const dailyFresh = time.Hour

// outward tells how the ways to the upstreams stand. Budgets, holds and calls are
// those of all instances, since they are kept in the database; a breaker is one
// process's own.
func (a *App) outward(ctx context.Context) (console.Outward, error) {
	var out console.Outward
	now := a.clock()
	accounts, err := a.store.Accounts(ctx)
	if err != nil {
		return out, err
	}
	figures, err := a.store.Figures(ctx, now.Add(-dailyFresh))
	if err != nil {
		return out, err
	}
	seen := alerts.Sample{At: now, Figures: figures}
	left := seen.Gauge(alerts.FigureDailyLeft, now.Add(-dailyFresh))
	calls, failed := seen.Count(alerts.FigureCalls, now.Add(-alerts.Window)), seen.Count(alerts.FigureFailedCalls, now.Add(-alerts.Window))
	for _, upstream := range slices.Sorted(maps.Keys(a.sync.callers)) {
		caller := a.sync.callers[upstream]
		b := budgetOf(upstream, caller, accounts, now)
		if shown := left[upstream]; len(shown) > 0 {
			last := shown[len(shown)-1]
			b.Daily, b.DailyAt = &last.N, last.Slot
		}
		out.Budgets = append(out.Budgets, b)
		status := caller.Breaker()
		out.Breakers = append(out.Breakers, console.Breaker{Upstream: upstream, State: status.State.String(), Until: status.Until,
			Failures: status.Failures, Calls: calls[upstream], Failed: failed[upstream]})
	}
	out.Tokens, err = a.tokens(ctx, now)
	return out, err
}

func budgetOf(upstream string, caller *egress.Client, accounts map[string]store.Account, now time.Time) console.Budget {
	account, limit := caller.Budget()
	state := egress.State(accounts[account])
	b := console.Budget{Upstream: upstream, Account: account,
		Limit: fmt.Sprintf("%d calls in %s, %d at once", limit.Calls, limit.Per, limit.Burst)}
	b.Now, b.Most = egress.Free(state, now, limit)
	if until := time.UnixMicro(state.HeldUntil); until.After(now) {
		b.HeldUntil = until
	}
	return b
}

// tokens lists what we hold that ends.
func (a *App) tokens(ctx context.Context, now time.Time) ([]console.Token, error) {
	var found []console.Token
	add := func(t console.Token) {
		switch {
		case t.State != "":
		case !t.ExpiresAt.IsZero() && !t.ExpiresAt.After(now):
			t.State = "expired"
		default:
			t.State = "valid"
		}
		found = append(found, t)
	}
	if a.config.GHL.APIKey.Set() {
		add(console.Token{Name: "GoHighLevel private integration", State: "set", Note: "rotated by hand in GoHighLevel, every 90 days as it advises"})
	}
	if a.sync.install != nil {
		switch row, err := a.store.OAuthToken(ctx, a.config.GHL.LocationID); {
		case errors.Is(err, store.ErrNotFound):
			add(console.Token{Name: "GoHighLevel app", State: "missing", Note: "install the app below"})
		case err != nil:
			return nil, err
		default:
			add(console.Token{Name: "GoHighLevel app", IssuedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt,
				Note: "renewed by itself; issued is when the app was installed"})
		}
	}
	if a.config.Aloware.Token.Set() {
		add(console.Token{Name: "Aloware account", State: "set", Note: "ends only when it is changed in Aloware"})
	}
	if a.token == nil {
		return found, nil
	}
	// All instances share this one where there is an encryption key.
	status := a.token.Status()
	t := console.Token{Name: "our own for Verity", ExpiresAt: status.ExpiresAt, Note: "renewed by itself when it is used"}
	if shared, err := a.store.SharedToken(ctx, a.token.Mint.Name()); err != nil {
		return nil, err
	} else if shared.ExpiresAt.After(t.ExpiresAt) {
		t.ExpiresAt = shared.ExpiresAt
	}
	if t.ExpiresAt.IsZero() {
		t.State, t.Note = "missing", "fetched when it is first needed"
	}
	if status.Trouble != "" {
		t.Note = "the next one cannot be had: " + string(status.Trouble)
	}
	add(t)
	return found, nil
}

package app

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/explain"
)

// explainer answers why people are, or are not, texted, called and listed.
func (a *App) explainer() *explain.Desk {
	return &explain.Desk{Store: a.store, Gate: a.consent.gate, Lists: a.lists.desk, ListSync: a.config.Lists.Sync,
		Upstreams: a.upstreams, Clock: a.clock}
}

// upstreams tells how the upstreams stand: their breakers as this process sees
// them, their budgets as all do.
func (a *App) upstreams(ctx context.Context) ([]explain.Upstream, error) {
	accounts, err := a.store.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	found := []explain.Upstream{{Name: "verity", Configured: a.texts.desk.Sender != nil, OpenUntil: a.verity.OpenUntil()}}
	for name, account := range map[string]string{"ghl": a.config.ghlAccount(), "aloware": alowareAccount} {
		u := explain.Upstream{Name: name}
		if caller := a.sync.callers[name]; caller != nil {
			u.Configured, u.OpenUntil = true, caller.Breaker().Until
			u.HeldUntil = time.UnixMicro(accounts[account].HeldUntil)
		}
		found = append(found, u)
	}
	slices.SortFunc(found, func(x, y explain.Upstream) int { return strings.Compare(x.Name, y.Name) })
	return found, nil
}

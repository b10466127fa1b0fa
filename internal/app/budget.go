package app

import (
	"context"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/store"
)

// budget is an egress.Budget that all instances share through the store.
type budget struct {
	store *store.Store
	clock df.Clock
}

// Take implements egress.Budget.
func (b budget) Take(ctx context.Context, account string, limit egress.Limit, class egress.Class) (time.Duration, error) {
	var wait time.Duration
	err := b.store.UpdateAccount(ctx, account, func(a store.Account) store.Account {
		state, pause := egress.Next(egress.State(a), b.clock(), limit, class)
		wait = pause
		return store.Account(state)
	})
	return wait, err
}

// Hold implements egress.Budget.
func (b budget) Hold(ctx context.Context, account string, until time.Time) error {
	return b.store.UpdateAccount(ctx, account, func(a store.Account) store.Account {
		return store.Account(egress.State(a).Held(until))
	})
}

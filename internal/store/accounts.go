package store

import (
	"context"
	"fmt"
)

// Account is the shared state of one rate budget: two instants in microseconds
// whose meaning is egress.State's.
type Account struct {
	TAT       int64
	HeldUntil int64
}

// UpdateAccount changes the state of a named budget under its row's lock, so
// that all instances share it. change may be called again when the transaction
// is.
func (s *Store) UpdateAccount(ctx context.Context, name string, change func(Account) Account) error {
	err := s.InTx(ctx, func(tx Tx) error {
		var a Account
		err := tx.Row(ctx, `INSERT INTO rate_accounts (name, tat, held_until) VALUES ($1, 0, 0)
			ON CONFLICT (name) DO UPDATE SET tat = rate_accounts.tat RETURNING tat, held_until`, name).Scan(&a.TAT, &a.HeldUntil)
		if err != nil {
			return err
		}
		next := change(a)
		if next == a {
			return nil
		}
		_, err = tx.Exec(ctx, `UPDATE rate_accounts SET tat = $2, held_until = $3 WHERE name = $1`, name, next.TAT, next.HeldUntil)
		return err
	})
	if err != nil {
		return fmt.Errorf("update budget: %w", err)
	}
	return nil
}

// Accounts lists the budgets' states by name.
func (s *Store) Accounts(ctx context.Context) (map[string]Account, error) {
	accounts := map[string]Account{}
	err := s.Each(ctx, `SELECT name, tat, held_until FROM rate_accounts`, nil, func(row Row) error {
		var name string
		var a Account
		err := row.Scan(&name, &a.TAT, &a.HeldUntil)
		accounts[name] = a
		return err
	})
	return accounts, err
}

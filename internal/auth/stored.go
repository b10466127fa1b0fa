package auth

import (
	"context"
	"errors"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Stored keeps keys, rates and shared tokens in the store's tables. It is the
// KeyStore, RateStore and SharedState of production.
type Stored struct {
	Store *store.Store
	Clock df.Clock
}

var (
	_ KeyStore    = Stored{}
	_ RateStore   = Stored{}
	_ SharedState = Stored{}
)

// CreateKey implements KeyStore.
func (s Stored) CreateKey(ctx context.Context, key Key, audit Audit) error {
	return s.Store.InTx(ctx, func(tx store.Tx) error {
		if err := store.InsertAPIKey(ctx, tx, keyRow(key)); err != nil {
			return err
		}
		return store.InsertAudit(ctx, tx, auditRow(audit))
	})
}

// KeyByID implements KeyStore.
func (s Stored) KeyByID(ctx context.Context, id string) (Key, error) {
	row, err := s.Store.APIKey(ctx, id)
	return keyOf(row), noKey(err)
}

// ListKeys implements KeyStore.
func (s Stored) ListKeys(ctx context.Context) ([]Key, error) {
	rows, err := s.Store.APIKeys(ctx)
	keys := make([]Key, len(rows))
	for i, row := range rows {
		keys[i] = keyOf(row)
	}
	return keys, err
}

// RevokeKey implements KeyStore.
func (s Stored) RevokeKey(ctx context.Context, id string, at time.Time, audit Audit) error {
	return noKey(s.Store.InTx(ctx, func(tx store.Tx) error {
		if err := store.RevokeAPIKey(ctx, tx, id, at); err != nil {
			return err
		}
		return store.InsertAudit(ctx, tx, auditRow(audit))
	}))
}

// RotateKey implements KeyStore.
func (s Stored) RotateKey(ctx context.Context, old string, at time.Time, next Key, audit Audit) error {
	return noKey(s.Store.InTx(ctx, func(tx store.Tx) error {
		if err := store.RevokeAPIKey(ctx, tx, old, at); err != nil {
			return err
		}
		if err := store.InsertAPIKey(ctx, tx, keyRow(next)); err != nil {
			return err
		}
		return store.InsertAudit(ctx, tx, auditRow(audit))
	}))
}

// TouchKeys implements KeyStore.
func (s Stored) TouchKeys(ctx context.Context, used map[string]time.Time) error {
	return s.Store.TouchAPIKeys(ctx, used)
}

// TakeRate implements RateStore. A bucket is kept as the time at which it will
// be full again, which is all there is to know of it.
func (s Stored) TakeRate(ctx context.Context, name string, rate Rate, want int) (granted int, wait time.Duration, err error) {
	every, now := rate.Every().Microseconds(), s.Clock().UnixMicro()
	err = s.Store.UpdateAccount(ctx, "key:"+name, func(a store.Account) store.Account {
		full := max(a.TAT, now)
		left := (now + int64(rate.Size())*every - full) / every
		granted, wait = int(min(int64(want), max(left, 0))), 0
		if granted == 0 {
			wait = time.Duration(full+every-now-int64(rate.Size())*every) * time.Microsecond
			return a
		}
		return store.Account{TAT: full + int64(granted)*every, HeldUntil: a.HeldUntil}
	})
	return granted, wait, err
}

// LoadToken implements SharedState.
func (s Stored) LoadToken(ctx context.Context, name string) (SharedToken, error) {
	row, err := s.Store.SharedToken(ctx, name)
	return tokenOf(row), err
}

// LeaseToken implements SharedState.
func (s Stored) LeaseToken(ctx context.Context, name, owner string, lease time.Duration) (SharedToken, bool, error) {
	now := s.Clock()
	row, held, err := s.Store.LeaseToken(ctx, name, owner, now, now.Add(lease))
	return tokenOf(row), held, err
}

// SaveToken implements SharedState.
func (s Stored) SaveToken(ctx context.Context, name, owner string, t SharedToken) error {
	return s.Store.SaveToken(ctx, name, owner, store.SharedToken{
		Sealed: t.Sealed, ExpiresAt: t.ExpiresAt, NotBefore: t.NotBefore, Trouble: string(t.Trouble),
	}, s.Clock())
}

func tokenOf(row store.SharedToken) SharedToken {
	return SharedToken{Sealed: row.Sealed, ExpiresAt: row.ExpiresAt, NotBefore: row.NotBefore, Trouble: Trouble(row.Trouble)}
}

func noKey(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return ErrNoKey
	}
	return err
}

func keyRow(k Key) store.APIKey {
	scopes := make([]string, len(k.Scopes))
	for i, scope := range k.Scopes {
		scopes[i] = string(scope)
	}
	return store.APIKey{
		ID: k.ID, Name: k.Name, Scopes: scopes, Hash: k.Hash, PerMinute: k.Rate.PerMinute, Burst: k.Rate.Burst,
		CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt, RevokedAt: k.RevokedAt, LastUsedAt: k.LastUsedAt,
	}
}

func keyOf(row store.APIKey) Key {
	scopes := make([]Scope, len(row.Scopes))
	for i, scope := range row.Scopes {
		scopes[i] = Scope(scope)
	}
	return Key{
		ID: row.ID, Name: row.Name, Scopes: scopes, Hash: row.Hash, Rate: Rate{PerMinute: row.PerMinute, Burst: row.Burst},
		CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt, RevokedAt: row.RevokedAt, LastUsedAt: row.LastUsedAt,
	}
}

func auditRow(a Audit) store.AuditRow {
	details := make(map[string]any, len(a.Details))
	for name, value := range a.Details {
		details[name] = value
	}
	return store.AuditRow{At: a.At, Actor: a.Actor, Action: a.Action, Target: a.Target, Details: details}
}

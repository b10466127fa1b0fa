package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// APIKey is one row of api_keys. The key itself is not kept, only its hash.
type APIKey struct {
	ID         string
	Name       string
	Scopes     []string
	Hash       []byte
	PerMinute  int
	Burst      int
	CreatedAt  time.Time
	ExpiresAt  time.Time
	RevokedAt  time.Time
	LastUsedAt time.Time
}

const keyColumns = `id, name, scopes, hash, per_minute, burst, created_at, expires_at, revoked_at, last_used_at`

func scanKey(row Row) (APIKey, error) {
	var k APIKey
	err := row.Scan(&k.ID, &k.Name, scanJSON(&k.Scopes), &k.Hash, &k.PerMinute, &k.Burst, scanTime(&k.CreatedAt),
		scanTime(&k.ExpiresAt), scanTime(&k.RevokedAt), scanTime(&k.LastUsedAt))
	return k, err
}

// InsertAPIKey adds a key. An id that exists is ErrUnique.
func InsertAPIKey(ctx context.Context, tx Tx, k APIKey) error {
	_, err := tx.Exec(ctx, `INSERT INTO api_keys (`+keyColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		k.ID, k.Name, asJSON(k.Scopes), k.Hash, k.PerMinute, k.Burst, k.CreatedAt, k.ExpiresAt, k.RevokedAt, k.LastUsedAt)
	if err != nil {
		return fmt.Errorf("insert API key: %w", err)
	}
	return nil
}

// APIKey returns a key, or ErrNotFound.
func (s *Store) APIKey(ctx context.Context, id string) (APIKey, error) {
	k, err := scanKey(s.Row(ctx, `SELECT `+keyColumns+` FROM api_keys WHERE id = $1`, id))
	if errors.Is(err, ErrNoRows) {
		return k, ErrNotFound
	}
	return k, err
}

// APIKeys lists all keys, the newest first.
func (s *Store) APIKeys(ctx context.Context) ([]APIKey, error) {
	var keys []APIKey
	err := s.Each(ctx, `SELECT `+keyColumns+` FROM api_keys ORDER BY created_at DESC, id`, nil, func(row Row) error {
		k, err := scanKey(row)
		keys = append(keys, k)
		return err
	})
	return keys, err
}

// RevokeAPIKey sets the time at which a key ends, unless it ends earlier
// already. It returns ErrNotFound for an unknown id.
func RevokeAPIKey(ctx context.Context, tx Tx, id string, at time.Time) error {
	changed, err := tx.Exec(ctx, `UPDATE api_keys SET revoked_at =
		CASE WHEN revoked_at IS NOT NULL AND revoked_at <= $2 THEN revoked_at ELSE $2 END WHERE id = $1`, id, at)
	if err != nil {
		return fmt.Errorf("revoke API key: %w", err)
	}
	if changed == 0 {
		return ErrNotFound
	}
	return nil
}

// TouchAPIKeys notes when keys were last used.
func (s *Store) TouchAPIKeys(ctx context.Context, used map[string]time.Time) error {
	return s.InTx(ctx, func(tx Tx) error {
		for _, id := range sortedKeys(used) {
			if _, err := tx.Exec(ctx, `UPDATE api_keys SET last_used_at = $2
				WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)`, id, used[id]); err != nil {
				return fmt.Errorf("touch API keys: %w", err)
			}
		}
		return nil
	})
}

// SharedToken is one row of shared_tokens; its meaning is auth's.
type SharedToken struct {
	Sealed    string
	ExpiresAt time.Time
	NotBefore time.Time
	Trouble   string
}

// SharedToken returns the row, or a zero one.
func (s *Store) SharedToken(ctx context.Context, name string) (SharedToken, error) {
	return sharedToken(ctx, s, name)
}

func sharedToken(ctx context.Context, q Querier, name string) (SharedToken, error) {
	var t SharedToken
	err := q.Row(ctx, `SELECT sealed, expires_at, not_before, trouble FROM shared_tokens WHERE name = $1`, name).
		Scan(&t.Sealed, scanTime(&t.ExpiresAt), scanTime(&t.NotBefore), &t.Trouble)
	if errors.Is(err, ErrNoRows) {
		return SharedToken{}, nil
	}
	return t, err
}

// LeaseToken gives owner the right to replace the row until the given time,
// unless another owner's right is still running. It returns whether it did, and
// the row.
func (s *Store) LeaseToken(ctx context.Context, name, owner string, now, until time.Time) (SharedToken, bool, error) {
	var row SharedToken
	var held bool
	err := s.InTx(ctx, func(tx Tx) error {
		changed, err := tx.Exec(ctx, `INSERT INTO shared_tokens (name, owner, lease_until) VALUES ($1, $2, $3)
			ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, lease_until = excluded.lease_until
			WHERE shared_tokens.lease_until IS NULL OR shared_tokens.lease_until <= $4 OR shared_tokens.owner = excluded.owner`,
			name, owner, until, now)
		if err != nil {
			return err
		}
		held = changed > 0
		row, err = sharedToken(ctx, tx, name)
		return err
	})
	return row, held, err
}

// SaveToken replaces the row and ends the owner's lease. It returns ErrLeaseLost
// when the lease has run out or is another's.
func (s *Store) SaveToken(ctx context.Context, name, owner string, t SharedToken, now time.Time) error {
	changed, err := s.Exec(ctx, `UPDATE shared_tokens SET sealed = $3, expires_at = $4, not_before = $5, trouble = $6,
		owner = '', lease_until = NULL WHERE name = $1 AND owner = $2 AND lease_until > $7`,
		name, owner, t.Sealed, t.ExpiresAt, t.NotBefore, t.Trouble, now)
	if err != nil {
		return fmt.Errorf("save token: %w", err)
	}
	if changed == 0 {
		return ErrLeaseLost
	}
	return nil
}

// ConsumeState notes that an OAuth state was used and reports whether it was
// used for the first time. States that expired are forgotten on the way.
func (s *Store) ConsumeState(ctx context.Context, nonce string, now, expires time.Time) (bool, error) {
	fresh := false
	err := s.InTx(ctx, func(tx Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM oauth_states WHERE expires_at < $1`, now); err != nil {
			return err
		}
		added, err := tx.Exec(ctx, `INSERT INTO oauth_states (nonce, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, nonce, expires)
		fresh = added > 0
		return err
	})
	return fresh, err
}

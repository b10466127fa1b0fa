package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// OAuthToken is one row of ghl_oauth_tokens. Both tokens are sealed.
type OAuthToken struct {
	LocationID   string
	CompanyID    string
	UserType     string
	Scope        string
	AccessToken  string
	RefreshToken string
	ExpiresAt    time.Time
	CreatedAt    time.Time
}

// OAuthToken returns the tokens of a location, or ErrNotFound.
func (s *Store) OAuthToken(ctx context.Context, locationID string) (OAuthToken, error) {
	t := OAuthToken{LocationID: locationID}
	err := s.Row(ctx, `SELECT company_id, user_type, scope, access_token, refresh_token, expires_at, created_at
		FROM ghl_oauth_tokens WHERE location_id = $1`, locationID).Scan(scanText(&t.CompanyID), scanText(&t.UserType),
		scanText(&t.Scope), &t.AccessToken, scanText(&t.RefreshToken), scanTime(&t.ExpiresAt), scanTime(&t.CreatedAt))
	if errors.Is(err, ErrNoRows) {
		return t, ErrNotFound
	}
	return t, err
}

// ReplaceOAuthToken stores a location's tokens, or with keep false removes
// them, and ends owner's lease on the named lock (see LeaseToken), all at once.
// It returns ErrLeaseLost, and changes nothing, when the lease has run out.
func (s *Store) ReplaceOAuthToken(ctx context.Context, lock, owner string, t OAuthToken, keep bool, now time.Time) error {
	err := s.InTx(ctx, func(tx Tx) error {
		held, err := tx.Exec(ctx, `UPDATE shared_tokens SET owner = '', lease_until = NULL
			WHERE name = $1 AND owner = $2 AND lease_until > $3`, lock, owner, now)
		if err != nil {
			return err
		}
		if held == 0 {
			return ErrLeaseLost
		}
		if !keep {
			_, err = tx.Exec(ctx, `DELETE FROM ghl_oauth_tokens WHERE location_id = $1`, t.LocationID)
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO ghl_oauth_tokens (location_id, company_id, user_type, scope, access_token,
			refresh_token, expires_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (location_id) DO UPDATE SET company_id = excluded.company_id, user_type = excluded.user_type,
			scope = excluded.scope, access_token = excluded.access_token, refresh_token = excluded.refresh_token,
			expires_at = excluded.expires_at, created_at = excluded.created_at, updated_at = excluded.updated_at`,
			t.LocationID, null(t.CompanyID), null(t.UserType), null(t.Scope), t.AccessToken, null(t.RefreshToken),
			t.ExpiresAt, t.CreatedAt, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("replace OAuth token: %w", err)
	}
	return nil
}

// ReleaseLock ends owner's lease on a named lock without changing anything.
func (s *Store) ReleaseLock(ctx context.Context, lock, owner string) error {
	_, err := s.Exec(ctx, `UPDATE shared_tokens SET owner = '', lease_until = NULL WHERE name = $1 AND owner = $2`, lock, owner)
	return err
}

package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ConsoleUser is one row of console_users. Of the password only a hash is kept.
type ConsoleUser struct {
	ID           string
	Name         string
	NameKey      string // the name in lower case
	Email        string // in lower case
	Role         string
	PasswordHash string
	ClerkUserID  string
	Epoch        int64 // sessions of an earlier epoch have ended
	CreatedAt    time.Time
	UpdatedAt    time.Time
	DisabledAt   time.Time
	SignedInAt   time.Time
}

// UserChange says what of a user's row is to become different; nil leaves it.
type UserChange struct {
	Email, Role, PasswordHash, ClerkUserID *string
	Disabled                               *bool
	EndSessions                            bool
}

const userColumns = `id, name, name_key, email, role, password_hash, clerk_user_id, epoch, created_at, updated_at, disabled_at, signed_in_at`

func scanUser(row Row) (ConsoleUser, error) {
	var u ConsoleUser
	err := row.Scan(&u.ID, &u.Name, &u.NameKey, &u.Email, &u.Role, &u.PasswordHash, &u.ClerkUserID, &u.Epoch, scanTime(&u.CreatedAt),
		scanTime(&u.UpdatedAt), scanTime(&u.DisabledAt), scanTime(&u.SignedInAt))
	return u, err
}

// InsertConsoleUser adds a user. A name, an e-mail or a Clerk id that another
// user has is ErrUnique.
func InsertConsoleUser(ctx context.Context, tx Tx, u ConsoleUser) error {
	_, err := tx.Exec(ctx, `INSERT INTO console_users (`+userColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		u.ID, u.Name, u.NameKey, u.Email, u.Role, u.PasswordHash, u.ClerkUserID, u.Epoch, u.CreatedAt, u.UpdatedAt, u.DisabledAt, u.SignedInAt)
	if err != nil {
		return fmt.Errorf("insert console user: %w", err)
	}
	return nil
}

// ChangeConsoleUser changes a user's row, and with EndSessions ends what the user
// has signed in to. It returns ErrNotFound for an unknown id, and ErrUnique when
// another user has that e-mail or Clerk id.
func ChangeConsoleUser(ctx context.Context, tx Tx, id string, c UserChange, now time.Time) error {
	turn, ends := "", 0
	if c.Disabled != nil {
		turn = map[bool]string{true: "off", false: "on"}[*c.Disabled]
	}
	if c.EndSessions {
		ends = 1
	}
	changed, err := tx.Exec(ctx, `UPDATE console_users SET email = COALESCE($2, email), role = COALESCE($3, role),
		password_hash = COALESCE($4, password_hash), clerk_user_id = COALESCE($5, clerk_user_id),
		disabled_at = CASE WHEN $6 = 'off' THEN COALESCE(disabled_at, $8) WHEN $6 = 'on' THEN NULL ELSE disabled_at END,
		epoch = epoch + $7, updated_at = $8 WHERE id = $1`, id, c.Email, c.Role, c.PasswordHash, c.ClerkUserID, turn, ends, now)
	if err != nil {
		return fmt.Errorf("change console user: %w", err)
	}
	if changed == 0 {
		return ErrNotFound
	}
	if c.EndSessions {
		if _, err := tx.Exec(ctx, `DELETE FROM console_sessions WHERE user_id = $1`, id); err != nil {
			return fmt.Errorf("end the sessions of a console user: %w", err)
		}
	}
	return nil
}

// RehashConsoleUser replaces a user's hash by another one of the same password,
// unless the password was changed meanwhile.
func (s *Store) RehashConsoleUser(ctx context.Context, id, was, is string) error {
	_, err := s.Exec(ctx, `UPDATE console_users SET password_hash = $3 WHERE id = $1 AND password_hash = $2`, id, was, is)
	if err != nil {
		return fmt.Errorf("renew the hash of a console user: %w", err)
	}
	return nil
}

// ConsoleUser returns a user, or ErrNotFound.
func (s *Store) ConsoleUser(ctx context.Context, id string) (ConsoleUser, error) {
	return s.consoleUser(ctx, `id = $1`, id)
}

// ConsoleUserByEmail returns the user with the e-mail, which is given in lower
// case, or ErrNotFound.
func (s *Store) ConsoleUserByEmail(ctx context.Context, email string) (ConsoleUser, error) {
	return s.consoleUser(ctx, `email = $1`, email)
}

// ConsoleUserByClerk returns the user who is linked to that user of Clerk's, or
// ErrNotFound.
func (s *Store) ConsoleUserByClerk(ctx context.Context, clerkID string) (ConsoleUser, error) {
	return s.consoleUser(ctx, `clerk_user_id = $1 AND clerk_user_id <> ''`, clerkID)
}

func (s *Store) consoleUser(ctx context.Context, where, value string) (ConsoleUser, error) {
	u, err := scanUser(s.Row(ctx, `SELECT `+userColumns+` FROM console_users WHERE `+where, value))
	if errors.Is(err, ErrNoRows) {
		return u, ErrNotFound
	}
	if err != nil {
		return u, fmt.Errorf("read console user: %w", err)
	}
	return u, nil
}

// ConsoleUsers lists all users by name, those that may sign in first.
func (s *Store) ConsoleUsers(ctx context.Context) ([]ConsoleUser, error) {
	var users []ConsoleUser
	err := s.Each(ctx, `SELECT `+userColumns+` FROM console_users
		ORDER BY CASE WHEN disabled_at IS NULL THEN 0 ELSE 1 END, name_key`, nil, func(row Row) error {
		u, err := scanUser(row)
		users = append(users, u)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list console users: %w", err)
	}
	return users, nil
}

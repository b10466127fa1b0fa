package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ConsoleSession is one row of console_sessions: a browser that is signed in.
type ConsoleSession struct {
	ID        string // SHA-256 of what the cookie holds
	UserID    string // "" for whoever showed the admin secret
	Epoch     int64  // of the user, when it began
	Actor     string
	Role      string // the user's as it is now
	CSRF      string
	Proof     string // binds a session without a user to the secret that was shown
	BeganAt   time.Time
	ExpiresAt time.Time
	Notice    string // said once, on the next page
}

// SessionBounds say how many sessions there may be: of one user, and in all.
type SessionBounds struct{ Each, All int }

// BeginConsoleSession adds a session, notes when its user signed in, and writes
// the line into the audit log. What has expired goes, and so do the oldest
// sessions when there would be more than the bounds allow.
func (s *Store) BeginConsoleSession(ctx context.Context, one ConsoleSession, bounds SessionBounds, line AuditRow) error {
	err := s.InTx(ctx, func(tx Tx) error {
		if _, err := pruneSessions(ctx, tx, one.BeganAt); err != nil {
			return err
		}
		if err := makeRoom(ctx, tx, `user_id = $1`, bounds.Each, one.UserID); err != nil {
			return err
		}
		if err := makeRoom(ctx, tx, `1 = 1`, bounds.All); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO console_sessions (id, user_id, epoch, actor, role, csrf, proof, began_at, expires_at, notice)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '')`,
			one.ID, one.UserID, one.Epoch, one.Actor, one.Role, one.CSRF, one.Proof, one.BeganAt, one.ExpiresAt)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE console_users SET signed_in_at = $2 WHERE id = $1`, one.UserID, one.BeganAt); err != nil {
			return err
		}
		return InsertAudit(ctx, tx, line)
	})
	if err != nil {
		return fmt.Errorf("begin a console session: %w", err)
	}
	return nil
}

// sessionsMost is more than there can be, for statements that want a number.
const sessionsMost = 1_000_000

// makeRoom deletes the oldest of the chosen sessions, so that one more is within
// the bound.
func makeRoom(ctx context.Context, tx Tx, where string, most int, args ...any) error {
	_, err := tx.Exec(ctx, fmt.Sprintf(`DELETE FROM console_sessions WHERE id IN (SELECT id FROM console_sessions
		WHERE %s ORDER BY began_at DESC, id DESC LIMIT %d OFFSET %d)`, where, sessionsMost, most-1), args...)
	return err
}

// ConsoleSession returns the session as it is worth now, or ErrNotFound: also
// when it has expired, when its user was disabled, and when the user's sessions
// were ended after it began.
func (s *Store) ConsoleSession(ctx context.Context, id string, now time.Time) (ConsoleSession, error) {
	var one ConsoleSession
	err := s.Row(ctx, `SELECT s.id, s.user_id, s.epoch, s.actor, COALESCE(u.role, s.role), s.csrf, s.proof, s.began_at, s.expires_at, s.notice
		FROM console_sessions s LEFT JOIN console_users u ON u.id = s.user_id
		WHERE s.id = $1 AND s.expires_at > $2
		AND (s.user_id = '' OR u.id IS NOT NULL AND u.disabled_at IS NULL AND u.epoch = s.epoch)`, id, now).
		Scan(&one.ID, &one.UserID, &one.Epoch, &one.Actor, &one.Role, &one.CSRF, &one.Proof, scanTime(&one.BeganAt), scanTime(&one.ExpiresAt), &one.Notice)
	if errors.Is(err, ErrNoRows) {
		return one, ErrNotFound
	}
	if err != nil {
		return one, fmt.Errorf("read console session: %w", err)
	}
	return one, nil
}

// SayAtConsole leaves a notice for the session's next page.
func (s *Store) SayAtConsole(ctx context.Context, id, notice string) error {
	_, err := s.Exec(ctx, `UPDATE console_sessions SET notice = $2 WHERE id = $1`, id, notice)
	if err != nil {
		return fmt.Errorf("leave a notice for a console session: %w", err)
	}
	return nil
}

// HearAtConsole takes the notice away and reports whether it was still there:
// one of several pages that load at once shows it.
func (s *Store) HearAtConsole(ctx context.Context, id, notice string) (bool, error) {
	n, err := s.Exec(ctx, `UPDATE console_sessions SET notice = '' WHERE id = $1 AND notice = $2 AND notice <> ''`, id, notice)
	if err != nil {
		return false, fmt.Errorf("take the notice of a console session: %w", err)
	}
	return n > 0, nil
}

// EndConsoleSession ends a session.
func (s *Store) EndConsoleSession(ctx context.Context, id string) error {
	if _, err := s.Exec(ctx, `DELETE FROM console_sessions WHERE id = $1`, id); err != nil {
		return fmt.Errorf("end a console session: %w", err)
	}
	return nil
}

// PruneConsoleSessions deletes the sessions that have expired.
func (s *Store) PruneConsoleSessions(ctx context.Context, now time.Time) (int64, error) {
	n, err := pruneSessions(ctx, s, now)
	if err != nil {
		return 0, fmt.Errorf("prune console sessions: %w", err)
	}
	return n, nil
}

func pruneSessions(ctx context.Context, q Querier, now time.Time) (int64, error) {
	return q.Exec(ctx, `DELETE FROM console_sessions WHERE expires_at <= $1`, now)
}

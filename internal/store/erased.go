package store

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"
)

// hashRounds makes guessing an erased number by trying all of them slow, and
// asking for one number fast enough for the gate.
const hashRounds = 4096

// erasedHash returns the hash by which an erased number is known, and "" when
// nobody was ever erased.
func erasedHash(ctx context.Context, q Querier, phone string) (string, error) {
	var salt string
	err := q.Row(ctx, `SELECT salt FROM erasure_salt WHERE name = 'numbers'`).Scan(&salt)
	if errors.Is(err, ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read salt of erased numbers: %w", err)
	}
	return hashNumber(salt, phone)
}

func hashNumber(salt, phone string) (string, error) {
	key, err := hex.DecodeString(salt)
	if err != nil {
		return "", fmt.Errorf("read salt of erased numbers: %w", err)
	}
	sum, err := pbkdf2.Key(sha256.New, phone, key, hashRounds, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("hash a number: %w", err)
	}
	return hex.EncodeToString(sum), nil
}

// erasedConsent returns what is still known of a number that was erased, or
// ErrNotFound. A number with a row of its own in optout_registry is never asked
// about: LockConsent puts into a new row what was known before.
func erasedConsent(ctx context.Context, q Querier, phone string) (Consent, error) {
	hash, err := erasedHash(ctx, q, phone)
	if err != nil {
		return Consent{}, err
	}
	if hash == "" {
		return Consent{}, ErrNotFound
	}
	c := Consent{Phone: phone}
	err = q.Row(ctx, `SELECT status, call_status, source, reason, last_event_at, holds FROM erased_numbers WHERE hash = $1`, hash).
		Scan(&c.Status, scanText(&c.CallStatus), &c.Source, scanText(&c.Reason), scanTime(&c.LastEventAt), scanJSON(&c.Holds))
	if errors.Is(err, ErrNoRows) {
		return c, ErrNotFound
	}
	if err != nil {
		return c, fmt.Errorf("read erased number: %w", err)
	}
	return c, nil
}

// RestoreErased gives a number that was erased, and appears again, its row in
// optout_registry, and reports whether there was anything to restore: the systems
// that hold the number must then be told anew.
func RestoreErased(ctx context.Context, tx Tx, id, phone string, now time.Time) (bool, error) {
	var known int
	err := tx.Row(ctx, `SELECT count(*) FROM optout_registry WHERE phone_number = $1`, phone).Scan(&known)
	if err != nil || known > 0 {
		return false, err
	}
	if _, err := erasedConsent(ctx, tx, phone); err != nil {
		if errors.Is(err, ErrNotFound) {
			return false, nil
		}
		return false, err
	}
	_, err = LockConsent(ctx, tx, id, phone, now)
	return err == nil, err
}

// remember keeps the standing of a number that is being erased under its hash.
// One that nobody opted out leaves nothing behind.
func remember(ctx context.Context, tx Tx, phone string, random io.Reader, now time.Time) error {
	c, err := scanConsent(tx.Row(ctx, `UPDATE optout_registry SET phone_number = phone_number WHERE phone_number = $1
		RETURNING `+consentColumns, phone))
	if errors.Is(err, ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lock consent: %w", err)
	}
	if c.Holds, err = holds(ctx, tx, phone); err != nil {
		return err
	}
	if c.Status == "opted_in" && (c.CallStatus == "" || c.CallStatus == "opted_in") {
		return nil
	}
	return keepHash(ctx, tx, c, random, now)
}

func keepHash(ctx context.Context, tx Tx, c Consent, random io.Reader, now time.Time) error {
	var fresh [16]byte
	if _, err := io.ReadFull(random, fresh[:]); err != nil {
		return fmt.Errorf("make salt of erased numbers: %w", err)
	}
	_, err := tx.Exec(ctx, `INSERT INTO erasure_salt (name, salt) VALUES ('numbers', $1) ON CONFLICT (name) DO NOTHING`,
		hex.EncodeToString(fresh[:]))
	if err != nil {
		return fmt.Errorf("keep salt of erased numbers: %w", err)
	}
	hash, err := erasedHash(ctx, tx, c.Phone)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO erased_numbers (hash, status, call_status, source, reason, last_event_at, holds, erased_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (hash) DO UPDATE SET status = excluded.status, call_status = excluded.call_status, source = excluded.source,
			reason = excluded.reason, last_event_at = excluded.last_event_at, holds = excluded.holds, erased_at = excluded.erased_at`,
		hash, c.Status, null(c.CallStatus), c.Source, null(c.Reason), c.LastEventAt, asJSON(c.Holds), now)
	if err != nil {
		return fmt.Errorf("keep erased number: %w", err)
	}
	return nil
}

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Consent is the current state of a phone number: its row of optout_registry
// with the holds that the row sums up. The consent room gives it its meaning.
type Consent struct {
	Phone       string
	Status      string // opted_out or opted_in, of texts
	CallStatus  string // the same, of calls; empty when nobody ever said
	Source      string
	Reason      string
	LastEventAt time.Time
	Holds       []Hold
}

// Hold is one holder's latest no and the latest yes that answers it.
type Hold struct {
	Scope  string
	Holder string
	OutAt  time.Time
	InAt   time.Time
}

const consentColumns = `phone_number, status, call_status, source, reason, last_event_at`

func scanConsent(row Row) (Consent, error) {
	var c Consent
	err := row.Scan(&c.Phone, &c.Status, scanText(&c.CallStatus), &c.Source, scanText(&c.Reason), scanTime(&c.LastEventAt))
	return c, err
}

// Consents returns the state of those of the phone numbers that have one, by
// number. One that was erased is still known by its hash.
func (s *Store) Consents(ctx context.Context, phones ...string) (map[string]Consent, error) {
	found := make(map[string]Consent, len(phones))
	if len(phones) == 0 {
		return found, nil
	}
	in := list(len(phones), 0)
	err := s.Each(ctx, `SELECT `+consentColumns+` FROM optout_registry WHERE phone_number IN (`+in+`)`, anys(phones),
		func(row Row) error {
			c, err := scanConsent(row)
			found[c.Phone] = c
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("read consent: %w", err)
	}
	for phone, c := range found {
		if c.Holds, err = holds(ctx, s, phone); err != nil {
			return nil, err
		}
		found[phone] = c
	}
	for _, phone := range phones {
		if _, known := found[phone]; known {
			continue
		}
		c, err := erasedConsent(ctx, s, phone)
		switch {
		case err == nil:
			found[phone] = c
		case !errors.Is(err, ErrNotFound):
			return nil, err
		}
	}
	return found, nil
}

// LockConsent returns the state of a phone number, making a row for one that has
// none, and keeps it from changing until the transaction ends. The new row of a
// number that was erased says what was known of it. Lock several numbers in
// sorted order.
func LockConsent(ctx context.Context, tx Tx, id, phone string, now time.Time) (Consent, error) {
	c, err := scanConsent(tx.Row(ctx, `INSERT INTO optout_registry
		(id, phone_number, status, call_status, source, last_event_at, created_at, updated_at)
		VALUES ($1, $2, 'opted_in', 'opted_in', '', $3, $3, $3)
		ON CONFLICT (phone_number) DO UPDATE SET phone_number = excluded.phone_number
		RETURNING `+consentColumns, id, phone, now))
	if err != nil {
		return c, fmt.Errorf("lock consent: %w", err)
	}
	if c.Holds, err = holds(ctx, tx, phone); err != nil || c.Source != "" || len(c.Holds) > 0 {
		return c, err
	}
	before, err := erasedConsent(ctx, tx, phone)
	if errors.Is(err, ErrNotFound) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	return before, SaveConsent(ctx, tx, before, now)
}

// ReadConsent returns the state of a phone number as the transaction sees it,
// or ErrNotFound.
func ReadConsent(ctx context.Context, tx Tx, phone string) (Consent, error) {
	c, err := scanConsent(tx.Row(ctx, `SELECT `+consentColumns+` FROM optout_registry WHERE phone_number = $1`, phone))
	if errors.Is(err, ErrNoRows) {
		return erasedConsent(ctx, tx, phone)
	}
	if err != nil {
		return c, fmt.Errorf("read consent: %w", err)
	}
	c.Holds, err = holds(ctx, tx, phone)
	return c, err
}

func holds(ctx context.Context, q Querier, phone string) ([]Hold, error) {
	var list []Hold
	err := q.Each(ctx, `SELECT scope, holder, out_at, in_at FROM consent_holds WHERE phone = $1 ORDER BY scope, holder`,
		[]any{phone}, func(row Row) error {
			var h Hold
			err := row.Scan(&h.Scope, &h.Holder, scanTime(&h.OutAt), scanTime(&h.InAt))
			list = append(list, h)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("read holds: %w", err)
	}
	return list, nil
}

// SaveConsent writes a state that the transaction has locked.
func SaveConsent(ctx context.Context, tx Tx, c Consent, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE optout_registry SET status = $2, call_status = $3, source = $4, reason = $5,
		last_event_at = $6, updated_at = $7 WHERE phone_number = $1`,
		c.Phone, c.Status, c.CallStatus, c.Source, null(c.Reason), c.LastEventAt, now)
	if err != nil {
		return fmt.Errorf("save consent: %w", err)
	}
	for _, h := range c.Holds {
		_, err := tx.Exec(ctx, `INSERT INTO consent_holds (phone, scope, holder, out_at, in_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (phone, scope, holder) DO UPDATE SET out_at = excluded.out_at, in_at = excluded.in_at`,
			c.Phone, h.Scope, h.Holder, h.OutAt, h.InAt)
		if err != nil {
			return fmt.Errorf("save hold: %w", err)
		}
	}
	return nil
}

// ConsentFlags is what a side last showed of a contact's do-not-contact flags,
// and what we asked it to show and have not seen yet. Nil is unknown.
type ConsentFlags struct {
	Side      df.Side
	ContactID string
	Text      *bool
	Call      *bool
	AskedText *bool
	AskedCall *bool
	At        time.Time
}

// FlagsOf returns what is known of a contact's flags, or a row without any.
func FlagsOf(ctx context.Context, q Querier, side df.Side, contactID string) (ConsentFlags, error) {
	f := ConsentFlags{Side: side, ContactID: contactID}
	err := q.Row(ctx, `SELECT do_not_text, do_not_call, asked_text, asked_call, at FROM consent_flags
		WHERE side = $1 AND contact = $2`, string(side), contactID).
		Scan(&f.Text, &f.Call, &f.AskedText, &f.AskedCall, scanTime(&f.At))
	if err != nil && !errors.Is(err, ErrNoRows) {
		return f, fmt.Errorf("read flags: %w", err)
	}
	return f, nil
}

// SaveFlags replaces what is known of a contact's flags.
func SaveFlags(ctx context.Context, q Querier, f ConsentFlags) error {
	_, err := q.Exec(ctx, `INSERT INTO consent_flags (side, contact, do_not_text, do_not_call, asked_text, asked_call, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (side, contact) DO UPDATE SET do_not_text = excluded.do_not_text,
		do_not_call = excluded.do_not_call, asked_text = excluded.asked_text, asked_call = excluded.asked_call, at = excluded.at`,
		string(f.Side), f.ContactID, f.Text, f.Call, f.AskedText, f.AskedCall, f.At)
	if err != nil {
		return fmt.Errorf("save flags: %w", err)
	}
	return nil
}

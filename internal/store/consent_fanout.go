package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// FanOut is how far one target system has come with a number's standing.
type FanOut struct {
	Phone       string
	Target      string
	Generation  int64 // raised whenever the target is asked anew
	State       string
	Attempts    int
	NextTryAt   time.Time
	LastError   string // safe text
	Since       time.Time
	ConfirmedAt time.Time // zero unless done
}

const fanOutColumns = `phone, target, generation, state, attempts, next_try_at, last_error, since, confirmed_at`

// PutFanOut asks for a target to be brought in line anew, whatever became of
// the last time. The caller holds the number's consent lock.
func PutFanOut(ctx context.Context, tx Tx, f FanOut) error {
	_, err := tx.Exec(ctx, `INSERT INTO consent_fanout (`+fanOutColumns+`) VALUES ($1, $2, 1, 'pending', 0, $3, '', $4, NULL)
		ON CONFLICT (phone, target) DO UPDATE SET generation = consent_fanout.generation + 1, state = 'pending', attempts = 0,
			next_try_at = excluded.next_try_at, last_error = '', since = excluded.since, confirmed_at = NULL`,
		f.Phone, f.Target, f.NextTryAt, f.Since)
	if err != nil {
		return fmt.Errorf("ask for fan-out: %w", err)
	}
	return nil
}

// ClaimFanOut takes a target's row for one attempt, which is counted before it
// is made; nobody else gets the row until the given time. It returns ErrNotFound
// when there is nothing to do now.
func (s *Store) ClaimFanOut(ctx context.Context, phone, target string, now, until time.Time) (FanOut, error) {
	var f FanOut
	err := s.InTx(ctx, func(tx Tx) error {
		var err error
		f, err = scanFanOut(tx.Row(ctx, `UPDATE consent_fanout SET attempts = attempts + 1, next_try_at = $4
			WHERE phone = $1 AND target = $2 AND state <> 'done' AND next_try_at <= $3
			RETURNING `+fanOutColumns, phone, target, now, until))
		return err
	})
	if errors.Is(err, ErrNoRows) {
		return f, ErrNotFound
	}
	if err != nil {
		return f, fmt.Errorf("claim fan-out: %w", err)
	}
	return f, nil
}

// FinishFanOut writes what became of an attempt. It returns ErrStale, and writes
// nothing, when the number's standing has changed since the row was claimed.
func FinishFanOut(ctx context.Context, tx Tx, f FanOut) error {
	changed, err := tx.Exec(ctx, `UPDATE consent_fanout SET state = $4, next_try_at = $5, last_error = $6, confirmed_at = $7
		WHERE phone = $1 AND target = $2 AND generation = $3`,
		f.Phone, f.Target, f.Generation, f.State, f.NextTryAt, f.LastError, f.ConfirmedAt)
	if err != nil {
		return fmt.Errorf("finish fan-out: %w", err)
	}
	if changed == 0 {
		return ErrStale
	}
	return nil
}

// ReopenFanOut makes the targets try again at once that found nobody with the
// number, and returns how many there are.
func ReopenFanOut(ctx context.Context, tx Tx, phone string, now time.Time) (int64, error) {
	changed, err := tx.Exec(ctx, `UPDATE consent_fanout SET state = 'pending', generation = generation + 1,
		next_try_at = $2, since = $2 WHERE phone = $1 AND state = 'absent'`, phone, now)
	if err != nil {
		return 0, fmt.Errorf("reopen fan-out: %w", err)
	}
	return changed, nil
}

// DueFanOuts returns numbers that have a target to try now, the longest wait
// first.
func (s *Store) DueFanOuts(ctx context.Context, now time.Time, limit int) ([]string, error) {
	var phones []string
	err := s.Each(ctx, `SELECT phone FROM consent_fanout WHERE state <> 'done' AND next_try_at <= $1
		GROUP BY phone ORDER BY MIN(next_try_at), phone LIMIT $2`, []any{now, max(1, min(limit, 1000))}, func(row Row) error {
		var phone string
		err := row.Scan(&phone)
		phones = append(phones, phone)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list due fan-outs: %w", err)
	}
	return phones, nil
}

// FanOutFilter selects rows of fan-outs. Zero fields select all.
type FanOutFilter struct {
	Phone    string
	OpenOnly bool      // neither done nor absent
	Before   time.Time // asked for before this time
	Limit    int
}

// FanOuts lists rows of fan-outs, the longest wait first.
func (s *Store) FanOuts(ctx context.Context, f FanOutFilter) ([]FanOut, error) {
	terms, args := []string{"1 = 1"}, []any{}
	if f.Phone != "" {
		args = append(args, f.Phone)
		terms = append(terms, fmt.Sprintf("phone = $%d", len(args)))
	}
	if f.OpenOnly {
		terms = append(terms, "state IN ('pending', 'failed')")
	}
	if !f.Before.IsZero() {
		args = append(args, f.Before)
		terms = append(terms, fmt.Sprintf("since < $%d", len(args)))
	}
	args = append(args, max(1, min(f.Limit, 1000)))
	var rows []FanOut
	err := s.Each(ctx, `SELECT `+fanOutColumns+` FROM consent_fanout WHERE `+strings.Join(terms, " AND ")+
		fmt.Sprintf(` ORDER BY since, phone, target LIMIT $%d`, len(args)), args, func(row Row) error {
		f, err := scanFanOut(row)
		rows = append(rows, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list fan-outs: %w", err)
	}
	return rows, nil
}

func scanFanOut(row Row) (FanOut, error) {
	var f FanOut
	err := row.Scan(&f.Phone, &f.Target, &f.Generation, &f.State, &f.Attempts, scanTime(&f.NextTryAt), &f.LastError,
		scanTime(&f.Since), scanTime(&f.ConfirmedAt))
	return f, err
}

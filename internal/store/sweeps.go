package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// SweepState is how far the sweeps of one kind of thing have come. It is one row
// of sync_state.
type SweepState struct {
	Direction  df.Direction
	EntityType string
	UpTo       time.Time // what changed before, by the side's own clock, has been looked at
	Cursor     string    // where the walk under way goes on; empty when none is
	Top        time.Time // the newest change that the walk under way has met
	LastRun    time.Time
	LastWhole  time.Time // when a walk last came to its end
}

// SweepState returns how far the sweeps of one kind have come; the zero times
// for one that never ran.
func (s *Store) SweepState(ctx context.Context, direction df.Direction, entityType string) (SweepState, error) {
	state := SweepState{Direction: direction, EntityType: entityType}
	err := s.Row(ctx, `SELECT cursor_updated_at, cursor_id, walk_top, last_run_at, last_success_at FROM sync_state
		WHERE direction = $1 AND entity_type = $2`, string(direction), entityType).
		Scan(scanTime(&state.UpTo), scanText(&state.Cursor), scanTime(&state.Top), scanTime(&state.LastRun), scanTime(&state.LastWhole))
	if err != nil && !errors.Is(err, ErrNoRows) {
		return state, fmt.Errorf("read sync state: %w", err)
	}
	return state, nil
}

// SaveSweepState keeps how far a sweep has come.
func (s *Store) SaveSweepState(ctx context.Context, state SweepState) error {
	_, err := s.Exec(ctx, `INSERT INTO sync_state (direction, entity_type, cursor_updated_at, cursor_id, walk_top, last_run_at, last_success_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (direction, entity_type) DO UPDATE SET
		cursor_updated_at = excluded.cursor_updated_at, cursor_id = excluded.cursor_id, walk_top = excluded.walk_top,
		last_run_at = excluded.last_run_at, last_success_at = excluded.last_success_at`,
		string(state.Direction), state.EntityType, state.UpTo, null(state.Cursor), state.Top, state.LastRun, state.LastWhole)
	if err != nil {
		return fmt.Errorf("save sync state: %w", err)
	}
	return nil
}

// Run is one run of a sweep, a row of reconcile_runs.
type Run struct {
	ID         string
	Job        string
	StartedAt  time.Time
	FinishedAt time.Time
	Status     string // running, success, error
	Totals     json.RawMessage
	Error      string // safe text
}

// ErrRunning is returned when another run of the same job is alive.
var ErrRunning = errors.New("store: another run is under way")

// StartRun begins a run. A run of the same job that has given no sign of life
// since deadBefore died with its process: it ends as failed. A living one is
// ErrRunning.
func (s *Store) StartRun(ctx context.Context, id, job string, now, deadBefore time.Time) error {
	err := s.InTx(ctx, func(tx Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE reconcile_runs SET status = 'error', finished_at = $2, error_message = 'its process ended; the next run goes on from the cursor'
			WHERE job_name = $1 AND status = 'running' AND beat_at < $3`, job, now, deadBefore); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO reconcile_runs (id, job_name, started_at, status, beat_at) VALUES ($1, $2, $3, 'running', $3)`, id, job, now)
		return err
	})
	if errors.Is(err, ErrUnique) {
		return ErrRunning
	}
	return err
}

// BeatRun shows that a run is alive and what it has done so far.
func (s *Store) BeatRun(ctx context.Context, id string, totals any, now time.Time) error {
	_, err := s.Exec(ctx, `UPDATE reconcile_runs SET totals = $2, beat_at = $3 WHERE id = $1 AND status = 'running'`, id, asJSON(totals), now)
	return err
}

// FinishRun ends a run; failure is safe text, empty when it went well.
func (s *Store) FinishRun(ctx context.Context, id string, totals any, failure string, now time.Time) error {
	status := "success"
	if failure != "" {
		status = "error"
	}
	_, err := s.Exec(ctx, `UPDATE reconcile_runs SET totals = $2, status = $3, error_message = $4, finished_at = $5, beat_at = $5 WHERE id = $1`,
		id, asJSON(totals), status, null(failure), now)
	return err
}

// Runs lists runs, newest first, from before the given time (zero: from now).
func (s *Store) Runs(ctx context.Context, before time.Time, limit int) ([]Run, error) {
	where, args := "", []any{}
	if !before.IsZero() {
		where, args = " WHERE started_at < $1", append(args, before)
	}
	args = append(args, max(1, min(limit, 500)))
	var runs []Run
	err := s.Each(ctx, `SELECT id, job_name, started_at, finished_at, status, totals, error_message FROM reconcile_runs`+where+
		fmt.Sprintf(` ORDER BY started_at DESC LIMIT $%d`, len(args)), args, func(row Row) error {
		var r Run
		var totals string
		err := row.Scan(&r.ID, &r.Job, scanTime(&r.StartedAt), scanTime(&r.FinishedAt), &r.Status, scanText(&totals), scanText(&r.Error))
		r.Totals = json.RawMessage(totals)
		runs = append(runs, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	return runs, nil
}

// Standing is what is known of a person when a sweep meets one of their contacts.
type Standing struct {
	Person     Person
	Agreements []Agreement
	Explained  map[df.Field]bool // fields that an issue is about; "" for a contact as a whole
	Drifts     bool              // an earlier look found a difference
}

// Standings returns what is known of the people that have these GHL contacts, by
// contact. Somebody who ended is among them, since what ended must not be met anew;
// an active person comes before one who ended.
func (s *Store) Standings(ctx context.Context, contactIDs []string) (map[string]Standing, error) {
	known := make(map[string]Standing, len(contactIDs))
	if len(contactIDs) == 0 {
		return known, nil
	}
	found, err := selectPeople(ctx, s, `WHERE ghl_contact_id IN (`+list(len(contactIDs), 0)+`)`, anys(contactIDs)...)
	if err != nil {
		return nil, err
	}
	byPerson := make(map[string]string, len(found))
	for _, p := range found {
		if before, ok := known[p.GHLContactID]; ok && before.Person.EndedAt.IsZero() {
			continue
		}
		known[p.GHLContactID] = Standing{Person: p, Explained: map[df.Field]bool{}}
		byPerson[p.ID] = p.GHLContactID
	}
	if len(byPerson) == 0 {
		return known, nil
	}
	ids := sortedKeys(byPerson)
	err = s.Each(ctx, `SELECT person_id, side, contact_id, fields, tags, updated_at FROM contact_agreements
		WHERE person_id IN (`+list(len(ids), 0)+`)`, anys(ids), func(row Row) error {
		var person string
		var a Agreement
		err := row.Scan(&person, (*string)(&a.Side), &a.ContactID, scanJSON(&a.Fields), scanJSON(&a.Tags), scanTime(&a.UpdatedAt))
		standing := known[byPerson[person]]
		standing.Agreements = append(standing.Agreements, a)
		known[byPerson[person]] = standing
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read agreements: %w", err)
	}
	err = s.Each(ctx, `SELECT person_id, field FROM sync_issues WHERE person_id IN (`+list(len(ids), 0)+`)`, anys(ids), func(row Row) error {
		var person string
		var field df.Field
		err := row.Scan(&person, (*string)(&field))
		known[byPerson[person]].Explained[field] = true
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read issues: %w", err)
	}
	err = s.Each(ctx, `SELECT DISTINCT subject FROM drift WHERE subject IN (`+list(len(ids), 0)+`)`, anys(ids), func(row Row) error {
		var person string
		err := row.Scan(&person)
		standing := known[byPerson[person]]
		standing.Drifts = true
		known[byPerson[person]] = standing
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read drift: %w", err)
	}
	return known, nil
}

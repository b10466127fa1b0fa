package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Forward is how far a webhook has come on its way to Verity.
type Forward struct {
	EventID   string
	Status    string
	Attempts  int
	Error     string // safe text
	CreatedAt time.Time
	UpdatedAt time.Time
}

// The statuses of a forward. A failed one is tried again; refused and given up
// are ends that an operator may undo.
const (
	ForwardPending = "pending"
	ForwardDone    = "done"
	ForwardFailed  = "failed"
	ForwardRefused = "refused"
	ForwardGivenUp = "given_up"
)

// TaskForward is the name of the task that passes a webhook on; its id is the
// event's.
const TaskForward = "forward_ghl_webhook"

// InsertForwards asks for events to be passed on, each at most so often tried, in
// the transaction that stores them.
func InsertForwards(ctx context.Context, tx Tx, tries int, now time.Time, eventIDs ...string) error {
	if len(eventIDs) == 0 {
		return nil
	}
	args := make([]any, 0, 4*len(eventIDs))
	tasks := make([]TaskArgs, len(eventIDs))
	for i, id := range eventIDs {
		args = append(args, id, ForwardPending, now, now)
		tasks[i] = TaskArgs{Name: TaskForward, ID: id}
	}
	_, err := tx.Exec(ctx, `INSERT INTO forwards (event_id, status, created_at, updated_at) VALUES `+tuples(len(eventIDs), 4, 0)+`
		ON CONFLICT (event_id) DO UPDATE SET status = excluded.status, error = '', updated_at = excluded.updated_at`, args...)
	if err != nil {
		return fmt.Errorf("ask for forwards: %w", err)
	}
	return InsertTasks(ctx, tx, tries, tasks...)
}

// NoteForward keeps what became of a try. A done one stays done.
func (s *Store) NoteForward(ctx context.Context, eventID, status, problem string, now time.Time) error {
	_, err := s.Exec(ctx, `UPDATE forwards SET status = $2, error = $3, attempts = attempts + 1, updated_at = $4
		WHERE event_id = $1 AND status <> 'done'`, eventID, status, problem, now)
	if err != nil {
		return fmt.Errorf("note forward: %w", err)
	}
	return nil
}

// ForwardOf returns the forward of an event, or ErrNotFound.
func ForwardOf(ctx context.Context, q Querier, eventID string) (Forward, error) {
	var f Forward
	err := q.Row(ctx, `SELECT event_id, status, attempts, error, created_at, updated_at FROM forwards WHERE event_id = $1`, eventID).
		Scan(&f.EventID, &f.Status, &f.Attempts, &f.Error, scanTime(&f.CreatedAt), scanTime(&f.UpdatedAt))
	if errors.Is(err, ErrNoRows) {
		return f, ErrNotFound
	}
	if err != nil {
		return f, fmt.Errorf("read forward: %w", err)
	}
	return f, nil
}

// ForwardFilter selects forwards. Zero fields select all.
type ForwardFilter struct {
	Status string
	Before string // event id of the last row of the page before; ids are by age
	Limit  int
}

// Forwards lists forwards, the newest first.
func (s *Store) Forwards(ctx context.Context, f ForwardFilter) ([]Forward, error) {
	terms, args := []string{"1 = 1"}, []any{}
	if f.Status != "" {
		args = append(args, f.Status)
		terms = append(terms, fmt.Sprintf("status = $%d", len(args)))
	}
	if f.Before != "" {
		args = append(args, f.Before)
		terms = append(terms, fmt.Sprintf("event_id < $%d", len(args)))
	}
	args = append(args, max(1, min(f.Limit, 1000)))
	var rows []Forward
	err := s.Each(ctx, `SELECT event_id, status, attempts, error, created_at, updated_at FROM forwards WHERE `+
		strings.Join(terms, " AND ")+fmt.Sprintf(` ORDER BY event_id DESC LIMIT $%d`, len(args)), args, func(row Row) error {
		var f Forward
		err := row.Scan(&f.EventID, &f.Status, &f.Attempts, &f.Error, scanTime(&f.CreatedAt), scanTime(&f.UpdatedAt))
		rows = append(rows, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list forwards: %w", err)
	}
	return rows, nil
}

// ForwardCounts counts forwards by status, those that are done aside.
func (s *Store) ForwardCounts(ctx context.Context) (map[string]int64, error) {
	counts := map[string]int64{}
	err := s.Each(ctx, `SELECT status, count(*) FROM forwards WHERE status <> 'done' GROUP BY status`, nil, func(row Row) error {
		var status string
		var n int64
		err := row.Scan(&status, &n)
		counts[status] = n
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count forwards: %w", err)
	}
	return counts, nil
}

// PruneForwards forgets forwards that were done before the given time.
func (s *Store) PruneForwards(ctx context.Context, before time.Time) (int64, error) {
	return s.Exec(ctx, `DELETE FROM forwards WHERE status = 'done' AND created_at < $1`, before)
}

// Broadcast is one row of broadcasts.
type Broadcast struct {
	ID         string
	AsOf       time.Time
	Figures    string // JSON
	Origin     string
	RecordID   string
	RecordHash string
	Records    int
	Events     int64
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

const broadcastColumns = `id, as_of, figures, origin, record_id, record_hash, records, events, created_at, updated_at`

func scanBroadcast(row Row) (Broadcast, error) {
	var b Broadcast
	err := row.Scan(&b.ID, scanTime(&b.AsOf), &b.Figures, &b.Origin, &b.RecordID, &b.RecordHash, &b.Records, &b.Events,
		scanTime(&b.CreatedAt), scanTime(&b.UpdatedAt))
	return b, err
}

// BroadcastByID returns a broadcast, or ErrNotFound.
func BroadcastByID(ctx context.Context, q Querier, id string) (Broadcast, error) {
	b, err := scanBroadcast(q.Row(ctx, `SELECT `+broadcastColumns+` FROM broadcasts WHERE id = $1`, id))
	if errors.Is(err, ErrNoRows) {
		return b, ErrNotFound
	}
	if err != nil {
		return b, fmt.Errorf("read broadcast: %w", err)
	}
	return b, nil
}

// SaveBroadcast writes a broadcast, new or not. The caller works its lane.
func SaveBroadcast(ctx context.Context, tx Tx, b Broadcast) error {
	_, err := tx.Exec(ctx, `INSERT INTO broadcasts (`+broadcastColumns+`) VALUES `+tuples(1, 10, 0)+`
		ON CONFLICT (id) DO UPDATE SET as_of = excluded.as_of, figures = excluded.figures, origin = excluded.origin,
			record_id = excluded.record_id, record_hash = excluded.record_hash, records = excluded.records,
			events = excluded.events, updated_at = excluded.updated_at`,
		b.ID, b.AsOf, b.Figures, b.Origin, b.RecordID, b.RecordHash, b.Records, b.Events, b.CreatedAt, b.UpdatedAt)
	if err != nil {
		return fmt.Errorf("save broadcast: %w", err)
	}
	return nil
}

// Broadcasts lists broadcasts, the one that changed last first; before is the id
// of the last row of the page before, or "".
func (s *Store) Broadcasts(ctx context.Context, before string, limit int) ([]Broadcast, error) {
	where, args := "", []any{max(1, min(limit, 1000))}
	if before != "" {
		where = ` WHERE (updated_at, id) < (SELECT updated_at, id FROM broadcasts WHERE id = $2)`
		args = append(args, before)
	}
	var rows []Broadcast
	err := s.Each(ctx, `SELECT `+broadcastColumns+` FROM broadcasts`+where+` ORDER BY updated_at DESC, id DESC LIMIT $1`, args,
		func(row Row) error {
			b, err := scanBroadcast(row)
			rows = append(rows, b)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("list broadcasts: %w", err)
	}
	return rows, nil
}

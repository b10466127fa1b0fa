package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Effect is the row of something that is to happen once. The messages room gives
// the states their meaning.
type Effect struct {
	Key       string
	Kind      string
	State     string
	Attempts  int
	PersonID  string
	EventID   string
	Request   string // JSON: what must be the same in every attempt
	Error     string // safe text
	CreatedAt time.Time
	UpdatedAt time.Time
}

const effectColumns = `key, kind, state, attempts, person_id, event_id, request, error, created_at, updated_at`

// EffectByKey returns an effect, or ErrNotFound.
func EffectByKey(ctx context.Context, q Querier, key string) (Effect, error) {
	var e Effect
	err := q.Row(ctx, `SELECT `+effectColumns+` FROM effects WHERE key = $1`, key).Scan(&e.Key, &e.Kind, &e.State,
		&e.Attempts, &e.PersonID, &e.EventID, &e.Request, &e.Error, scanTime(&e.CreatedAt), scanTime(&e.UpdatedAt))
	if errors.Is(err, ErrNoRows) {
		return e, ErrNotFound
	}
	if err != nil {
		return e, fmt.Errorf("read effect: %w", err)
	}
	return e, nil
}

// MoveEffect brings an effect from one state to another; from "" it is made. It
// returns ErrStale, and writes nothing, when the effect is in another state by
// now.
func MoveEffect(ctx context.Context, tx Tx, e Effect, from string) error {
	query := `INSERT INTO effects (` + effectColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (key) DO NOTHING`
	args := []any{e.Key, e.Kind, e.State, e.Attempts, e.PersonID, e.EventID, e.Request, e.Error, e.CreatedAt, e.UpdatedAt}
	if from != "" {
		query = `UPDATE effects SET state = $2, attempts = $3, error = $4, updated_at = $5 WHERE key = $1 AND state = $6`
		args = []any{e.Key, e.State, e.Attempts, e.Error, e.UpdatedAt, from}
	}
	changed, err := tx.Exec(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("move effect: %w", err)
	}
	if changed == 0 {
		return ErrStale
	}
	return nil
}

// EffectsOf lists the effects of an event, for those who look into it.
func (s *Store) EffectsOf(ctx context.Context, eventID string) ([]Effect, error) {
	var effects []Effect
	err := s.Each(ctx, `SELECT `+effectColumns+` FROM effects WHERE event_id = $1 ORDER BY created_at, key`,
		[]any{eventID}, func(row Row) error {
			var e Effect
			err := row.Scan(&e.Key, &e.Kind, &e.State, &e.Attempts, &e.PersonID, &e.EventID, &e.Request, &e.Error,
				scanTime(&e.CreatedAt), scanTime(&e.UpdatedAt))
			effects = append(effects, e)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("list effects: %w", err)
	}
	return effects, nil
}

// InsertSync adds rows to the sync log together with others of a transaction.
func InsertSync(ctx context.Context, tx Tx, rows ...SyncRow) error { return insertSync(ctx, tx, rows) }

// PutIssue keeps something that an operator should see about a person, one per
// topic; since when it is so stays as it was.
func PutIssue(ctx context.Context, q Querier, i Issue) error {
	_, err := q.Exec(ctx, `INSERT INTO sync_issues (person_id, topic, kind, side, field, want, got, contact_id, tries, open, detail, since, at)
		VALUES ($1, $2, $3, $4, '', NULL, NULL, NULL, 0, $5, $6, $7, $7)
		ON CONFLICT (person_id, topic) DO UPDATE SET kind = excluded.kind, open = excluded.open, detail = excluded.detail, at = excluded.at`,
		i.PersonID, i.Topic, i.Kind, string(i.Side), i.Open, null(i.Detail), i.At)
	if err != nil {
		return fmt.Errorf("keep issue: %w", err)
	}
	return nil
}

// EndIssue takes a person's issue away, if there is one.
func EndIssue(ctx context.Context, q Querier, personID, topic string) error {
	_, err := q.Exec(ctx, `DELETE FROM sync_issues WHERE person_id = $1 AND topic = $2`, personID, topic)
	if err != nil {
		return fmt.Errorf("end issue: %w", err)
	}
	return nil
}

package store

import (
	"context"
	"fmt"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Agreement is what one side held when the sides last agreed about a person.
type Agreement struct {
	Side      df.Side
	ContactID string
	Fields    map[df.Field]string
	Tags      []string  // nil when tags were never agreed on
	UpdatedAt time.Time // when it was last saved; not written from here
}

// Issue is something that keeps a person from converging.
type Issue struct {
	PersonID  string
	Topic     string
	Kind      string
	Side      df.Side
	Field     df.Field
	Want, Got string
	ContactID string
	Tries     int
	Open      bool
	Detail    string
	Since, At time.Time
}

// Normalisation is one rewriting of a value by a side, seen once.
type Normalisation struct {
	Side   df.Side
	Field  df.Field
	Change string
	Given  string
	Held   string
	At     time.Time
}

// FieldWrite is one write of one field to one side.
type FieldWrite struct {
	Side  df.Side
	Field df.Field
	At    time.Time
	Value string // a hash of what was written
}

// PersonState is everything that one convergence starts from.
type PersonState struct {
	Person     Person
	Agreements []Agreement
	Issues     []Issue
	Writes     []FieldWrite
	Asked      []Conflict // of which a person wants one side's value
}

// Convergence is everything that one convergence leaves behind.
type Convergence struct {
	Person         Person // with the version that was read
	Agreements     []Agreement
	Log            []SyncRow
	Conflicts      []Conflict
	Ruled          []ConflictEnd // what came of values that people asked for
	Normalisations []Normalisation
	Writes         []FieldWrite
	Issues         []Issue
	Resolved       []string // topics whose issues are over
	At             time.Time
}

// LoadPerson reads what a convergence starts from; writes reach back to since.
// It returns ErrNotFound.
func (s *Store) LoadPerson(ctx context.Context, id string, since time.Time) (PersonState, error) {
	var state PersonState
	var err error
	if state.Person, err = PersonByID(ctx, s, id); err != nil {
		return state, err
	}
	if state.Agreements, err = s.Agreements(ctx, id); err != nil {
		return state, err
	}
	if state.Issues, err = s.Issues(ctx, IssueFilter{PersonID: id}); err != nil {
		return state, err
	}
	if state.Asked, err = s.Conflicts(ctx, ConflictFilter{PersonID: id, State: ConflictAsked, Limit: 1000}); err != nil {
		return state, err
	}
	err = s.Each(ctx, `SELECT side, field, at, value_hash FROM sync_writes WHERE person_id = $1 AND at >= $2 ORDER BY at`,
		[]any{id, since}, func(row Row) error {
			var w FieldWrite
			err := row.Scan((*string)(&w.Side), (*string)(&w.Field), scanTime(&w.At), &w.Value)
			state.Writes = append(state.Writes, w)
			return err
		})
	return state, err
}

// Agreements returns what each side held when both last agreed.
func (s *Store) Agreements(ctx context.Context, personID string) ([]Agreement, error) {
	var agreements []Agreement
	err := s.Each(ctx, `SELECT side, contact_id, fields, tags, updated_at FROM contact_agreements WHERE person_id = $1 ORDER BY side`,
		[]any{personID}, func(row Row) error {
			var a Agreement
			err := row.Scan((*string)(&a.Side), &a.ContactID, scanJSON(&a.Fields), scanJSON(&a.Tags), scanTime(&a.UpdatedAt))
			agreements = append(agreements, a)
			return err
		})
	return agreements, err
}

// IssueFilter selects issues.
type IssueFilter struct {
	PersonID string
	OpenOnly bool
	Limit    int
}

// Issues lists issues, newest first.
func (s *Store) Issues(ctx context.Context, f IssueFilter) ([]Issue, error) {
	where, args := "", []any{}
	if f.PersonID != "" {
		where, args = " WHERE person_id = $1", []any{f.PersonID}
	} else if f.OpenOnly {
		where = " WHERE open"
	}
	if f.Limit == 0 {
		f.Limit = 1000
	}
	args = append(args, f.Limit)
	var issues []Issue
	err := s.Each(ctx, `SELECT person_id, topic, kind, side, field, want, got, contact_id, tries, open, detail, since, at
		FROM sync_issues`+where+fmt.Sprintf(` ORDER BY at DESC LIMIT $%d`, len(args)), args, func(row Row) error {
		var i Issue
		err := row.Scan(&i.PersonID, &i.Topic, &i.Kind, (*string)(&i.Side), (*string)(&i.Field), scanText(&i.Want),
			scanText(&i.Got), scanText(&i.ContactID), &i.Tries, &i.Open, scanText(&i.Detail), scanTime(&i.Since), scanTime(&i.At))
		issues = append(issues, i)
		return err
	})
	return issues, err
}

// SaveConvergence writes what a convergence leaves behind, all or nothing,
// under the lane's lease. It returns ErrLeaseLost, ErrStale or ErrUnique when
// somebody else was first.
func (s *Store) SaveConvergence(ctx context.Context, lease Lease, c Convergence) error {
	return s.InTx(ctx, func(tx Tx) error {
		if lease != (Lease{}) {
			if err := Guard(ctx, tx, lease); err != nil {
				return err
			}
		}
		if err := updatePerson(ctx, tx, c.Person); err != nil {
			return err
		}
		for _, save := range []func(context.Context, Tx, Convergence) error{
			saveAgreements, saveConflicts, saveIssues, saveWrites, saveNormalisations, clearDrift,
		} {
			if err := save(ctx, tx, c); err != nil {
				return fmt.Errorf("save convergence: %w", err)
			}
		}
		if err := saveWords(ctx, tx, c.Person); err != nil {
			return err
		}
		return insertSync(ctx, tx, c.Log)
	})
}

func saveAgreements(ctx context.Context, tx Tx, c Convergence) error {
	for _, a := range c.Agreements {
		var tags any
		if a.Tags != nil {
			tags = asJSON(a.Tags)
		}
		_, err := tx.Exec(ctx, `INSERT INTO contact_agreements (person_id, side, contact_id, fields, tags, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (person_id, side) DO UPDATE SET contact_id = excluded.contact_id,
			fields = excluded.fields, tags = excluded.tags, updated_at = excluded.updated_at`,
			c.Person.ID, string(a.Side), a.ContactID, asJSON(a.Fields), tags, c.At)
		if err != nil {
			return err
		}
	}
	return nil
}

func saveIssues(ctx context.Context, tx Tx, c Convergence) error {
	for _, topic := range c.Resolved {
		if _, err := tx.Exec(ctx, `DELETE FROM sync_issues WHERE person_id = $1 AND topic = $2`, c.Person.ID, topic); err != nil {
			return err
		}
	}
	for _, i := range c.Issues {
		_, err := tx.Exec(ctx, `INSERT INTO sync_issues (person_id, topic, kind, side, field, want, got, contact_id, tries, open, detail, since, at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
			ON CONFLICT (person_id, topic) DO UPDATE SET kind = excluded.kind, side = excluded.side, field = excluded.field,
			want = excluded.want, got = excluded.got, contact_id = excluded.contact_id, tries = excluded.tries,
			open = excluded.open, detail = excluded.detail, since = excluded.since, at = excluded.at`,
			c.Person.ID, i.Topic, i.Kind, string(i.Side), string(i.Field), null(i.Want), null(i.Got), null(i.ContactID),
			i.Tries, i.Open, null(i.Detail), i.Since, i.At)
		if err != nil {
			return err
		}
	}
	return nil
}

func saveWrites(ctx context.Context, tx Tx, c Convergence) error {
	for _, w := range c.Writes {
		if _, err := tx.Exec(ctx, `INSERT INTO sync_writes (person_id, side, field, at, value_hash) VALUES ($1, $2, $3, $4, $5)`,
			c.Person.ID, string(w.Side), string(w.Field), w.At, w.Value); err != nil {
			return err
		}
	}
	return nil
}

func saveNormalisations(ctx context.Context, tx Tx, c Convergence) error {
	for _, n := range c.Normalisations {
		_, err := tx.Exec(ctx, `INSERT INTO normalisations (side, field, change, times, given, held, first_at, last_at)
			VALUES ($1, $2, $3, 1, $4, $5, $6, $6) ON CONFLICT (side, field, change) DO UPDATE SET
			times = normalisations.times + 1, given = excluded.given, held = excluded.held, last_at = excluded.last_at`,
			string(n.Side), string(n.Field), n.Change, n.Given, n.Held, n.At)
		if err != nil {
			return err
		}
	}
	return nil
}

// PruneWrites forgets field writes older than the given time.
func (s *Store) PruneWrites(ctx context.Context, before time.Time) (int64, error) {
	return s.Exec(ctx, `DELETE FROM sync_writes WHERE at < $1`, before)
}

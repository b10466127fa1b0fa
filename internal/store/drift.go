package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// ghlSubject is how the subject of a contact begins that is nobody's yet.
const ghlSubject = "ghl:"

// Drift is one difference between the sides that a sweep found.
type Drift struct {
	Subject string // a person's id, or ghl:<contact id> of a contact that is nobody's yet
	Side    df.Side
	Field   df.Field
	Kind    string // contact, field, tags
	Since   time.Time
	SeenAt  time.Time
}

// ReplaceDrift makes the drift of a subject, as far as one side's news is
// concerned, what a look at that side found; side "" stands for both. What was
// found before keeps the time since when it lasts.
func (s *Store) ReplaceDrift(ctx context.Context, subject string, side df.Side, found []Drift, now time.Time) error {
	return s.InTx(ctx, func(tx Tx) error {
		for _, d := range found {
			if _, err := tx.Exec(ctx, `INSERT INTO drift (subject, side, field, kind, since, seen_at) VALUES ($1, $2, $3, $4, $5, $6)
				ON CONFLICT (subject, side, field) DO UPDATE SET kind = excluded.kind, seen_at = excluded.seen_at`,
				subject, string(d.Side), string(d.Field), d.Kind, d.Since, now); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `DELETE FROM drift WHERE subject = $1 AND ($2 = '' OR side = $2) AND seen_at < $3`, subject, string(side), now)
		return err
	})
}

// clearDrift forgets the drift of a person whom a convergence brought into
// agreement, or whose mapping ended: such a run carries its own time as the
// person's last sync.
func clearDrift(ctx context.Context, tx Tx, c Convergence) error {
	if ended := !c.Person.EndedAt.IsZero(); !ended && !c.Person.LastSyncedAt.Equal(c.At) {
		return nil
	}
	_, err := tx.Exec(ctx, `DELETE FROM drift WHERE subject = $1 OR subject = $2`, c.Person.ID, ghlSubject+c.Person.GHLContactID)
	return err
}

// ForgetDrift forgets all drift of a subject.
func (s *Store) ForgetDrift(ctx context.Context, subject string) error {
	_, err := s.Exec(ctx, `DELETE FROM drift WHERE subject = $1`, subject)
	return err
}

// The reasons of drift. Pending is being worked on or waits for its next try,
// conflict is held because both sides go on changing the field, blocked needs an
// operator, unexplained is what nobody knows about: the number that is to be 0.
const (
	DriftPending     = "pending"
	DriftConflict    = "conflict"
	DriftBlocked     = "blocked"
	DriftUnexplained = "unexplained"
)

// convergeIssues are the kinds of issues that convergence raises: those that are
// about a difference between the sides.
const convergeIssues = `('not_written', 'refused', 'duplicate', 'ambiguous', 'held', 'no_phone', 'no_key', 'missing', 'not_retired',
	'creating', 'ping_pong')`

// driftRows is every difference there is, with its reason: what sweeps found, and
// what convergences left open. A difference that both know is counted once, as
// what convergence says of it. Lanes that wait and events in quarantine are few and
// read once; asked for each person, all of a person's events would be.
const driftRows = `
	SELECT i.person_id AS subject, i.field AS field, i.since AS since,
		CASE WHEN i.field = '' THEN 'contact' WHEN i.field = 'tags' THEN 'tags' ELSE 'field' END AS kind,
		CASE WHEN i.kind = 'ping_pong' THEN 'conflict' WHEN i.open THEN 'blocked' ELSE 'pending' END AS reason,
		i.kind AS detail
	FROM sync_issues i JOIN contact_mappings p ON p.id = i.person_id AND p.ended_at IS NULL
	WHERE i.kind IN ` + convergeIssues + `
	UNION ALL
	SELECT d.subject, d.field, min(d.since), min(d.kind),
		CASE WHEN 'person:' || d.subject IN (SELECT l.key FROM lanes l WHERE l.queued + l.nudges > 0) THEN 'pending'
			WHEN d.subject IN (SELECT e.person_id FROM webhook_events e WHERE e.status = 'quarantined' AND e.person_id IS NOT NULL) THEN 'blocked'
			ELSE 'unexplained' END, ''
	FROM drift d
	WHERE NOT EXISTS (SELECT 1 FROM sync_issues i WHERE i.person_id = d.subject AND i.field = d.field AND i.kind IN ` + convergeIssues + `)
	GROUP BY d.subject, d.field`

// DriftCount is how many people differ in one field for one reason.
type DriftCount struct {
	Kind   string
	Field  df.Field
	Reason string
	People int64
	Since  time.Time // the oldest
}

// DriftCounts says how many people differ, by kind, field and reason.
func (s *Store) DriftCounts(ctx context.Context) ([]DriftCount, error) {
	var counts []DriftCount
	err := s.Each(ctx, `SELECT kind, field, reason, count(DISTINCT subject), min(since) FROM (`+driftRows+`) AS rows
		GROUP BY kind, field, reason ORDER BY kind, field, reason`, nil, func(row Row) error {
		var c DriftCount
		err := row.Scan(&c.Kind, (*string)(&c.Field), &c.Reason, &c.People, scanTime(&c.Since))
		counts = append(counts, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count drift: %w", err)
	}
	return counts, nil
}

// DriftPeople counts the people who differ in something, and the contacts that are
// nobody's yet.
func (s *Store) DriftPeople(ctx context.Context) (int64, error) {
	var n int64
	err := s.Row(ctx, `SELECT count(DISTINCT subject) FROM (`+driftRows+`) AS rows`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count people who differ: %w", err)
	}
	return n, nil
}

// DriftFilter selects differences. Zero fields select everything.
type DriftFilter struct {
	Kind, Reason string
	Field        *df.Field // a contact as a whole has the field ""
	After        string    // subject and field of the last row of the page before
	Limit        int
}

// DriftRow is one difference of one person.
type DriftRow struct {
	Subject string
	Kind    string
	Field   df.Field
	Reason  string
	Detail  string // the kind of the issue that explains it, or empty
	Since   time.Time
}

// Cursor stands for the row in DriftFilter.After.
func (r DriftRow) Cursor() string { return r.Subject + " " + string(r.Field) }

// DriftRows lists differences by person.
func (s *Store) DriftRows(ctx context.Context, f DriftFilter) ([]DriftRow, error) {
	terms, args := []string{"subject || ' ' || field > $1"}, []any{f.After}
	add := func(column, value string) {
		args = append(args, value)
		terms = append(terms, fmt.Sprintf("%s = $%d", column, len(args)))
	}
	if f.Kind != "" {
		add("kind", f.Kind)
	}
	if f.Reason != "" {
		add("reason", f.Reason)
	}
	if f.Field != nil {
		add("field", string(*f.Field))
	}
	args = append(args, max(1, min(f.Limit, 1000)))
	var rows []DriftRow
	err := s.Each(ctx, `SELECT subject, kind, field, min(reason), min(detail), min(since) FROM (`+driftRows+`) AS rows
		WHERE `+strings.Join(terms, " AND ")+` GROUP BY subject, kind, field ORDER BY subject || ' ' || field`+fmt.Sprintf(" LIMIT $%d", len(args)),
		args, func(row Row) error {
			var r DriftRow
			err := row.Scan(&r.Subject, &r.Kind, (*string)(&r.Field), &r.Reason, &r.Detail, scanTime(&r.Since))
			rows = append(rows, r)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("list drift: %w", err)
	}
	return rows, nil
}

// DriftSubjects lists who differs without a reason and without work waiting, a
// page at a time: those a sweep has to do something about.
func (s *Store) DriftSubjects(ctx context.Context, after string, limit int) ([]string, error) {
	var subjects []string
	err := s.Each(ctx, `SELECT DISTINCT d.subject FROM drift d WHERE d.subject > $1
			AND NOT EXISTS (SELECT 1 FROM sync_issues i WHERE i.person_id = d.subject AND i.field = d.field AND i.kind IN `+convergeIssues+`)
			AND NOT EXISTS (SELECT 1 FROM lanes l WHERE l.key = 'person:' || d.subject AND l.queued + l.nudges > 0)
		ORDER BY d.subject LIMIT $2`, []any{after, limit}, func(row Row) error {
		var subject string
		err := row.Scan(&subject)
		subjects = append(subjects, subject)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list people who differ: %w", err)
	}
	return subjects, nil
}

package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// OpenReviews lists the open questions about who is who, newest first, after the
// place of the last row of the page before: its time and key.
func (s *Store) OpenReviews(ctx context.Context, before time.Time, key string, limit int) ([]Review, error) {
	where, args := "WHERE resolved_at IS NULL", []any{}
	if !before.IsZero() {
		where += " AND (at < $1 OR at = $1 AND key > $2)"
		args = append(args, before, key)
	}
	args = append(args, max(1, min(limit, 1000)))
	return s.reviews(ctx, where+` ORDER BY at DESC, key LIMIT $`+strconv.Itoa(len(args)), args)
}

// ReviewsOf lists the open questions about one person, newest first.
func (s *Store) ReviewsOf(ctx context.Context, personID string, limit int) ([]Review, error) {
	return s.reviews(ctx, `WHERE resolved_at IS NULL AND (person_id = $1 OR candidates LIKE $2 ESCAPE '\')
		ORDER BY at DESC, key LIMIT $3`, []any{personID, `%"` + likeEscape(personID) + `"%`, max(1, min(limit, 1000))})
}

func (s *Store) reviews(ctx context.Context, where string, args []any) ([]Review, error) {
	var reviews []Review
	err := s.Each(ctx, `SELECT key, kind, person_id, side, contact_id, phone, email, candidates, at FROM people_reviews `+where, args, func(row Row) error {
		var r Review
		err := row.Scan(&r.Key, &r.Kind, &r.PersonID, (*string)(&r.Side), scanText(&r.ContactID), scanText((*string)(&r.Phone)),
			scanText(&r.Email), scanJSON(&r.Candidates), scanTime(&r.At))
		reviews = append(reviews, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list questions of who is who: %w", err)
	}
	return reviews, nil
}

// ResolveReview notes that a question was answered. It returns ErrState when
// there is no such open question.
func (s *Store) ResolveReview(ctx context.Context, key string, at time.Time) error {
	n, err := s.Exec(ctx, `UPDATE people_reviews SET resolved_at = $2 WHERE key = $1 AND resolved_at IS NULL`, key, at)
	if err != nil {
		return fmt.Errorf("resolve question: %w", err)
	}
	if n == 0 {
		return ErrState
	}
	return nil
}

// ResolveReviewsBetween notes that the questions whether two people are one were
// answered, and returns how many there were.
func (s *Store) ResolveReviewsBetween(ctx context.Context, one, other string, at time.Time) (int64, error) {
	n, err := s.Exec(ctx, `UPDATE people_reviews SET resolved_at = $3 WHERE resolved_at IS NULL
		AND (person_id = $1 AND candidates LIKE '%"' || $2 || '"%' OR person_id = $2 AND candidates LIKE '%"' || $1 || '"%')`, one, other, at)
	if err != nil {
		return 0, fmt.Errorf("resolve questions: %w", err)
	}
	return n, nil
}

// Change is a merge or split that is on record.
type Change struct {
	Undo
	UndoneAt time.Time // zero while it stands
}

// PeopleChanges lists merges and splits, the newest first: of one person, or of
// everybody when personID is empty.
func (s *Store) PeopleChanges(ctx context.Context, personID, before string, limit int) ([]Change, error) {
	where, args := "WHERE TRUE", []any{}
	if personID != "" {
		args = append(args, `%"ID":"`+likeEscape(personID)+`"%`)
		where += ` AND after_rows LIKE $1 ESCAPE '\'`
	}
	if before != "" {
		args = append(args, before)
		where += " AND id < $" + strconv.Itoa(len(args))
	}
	args = append(args, max(1, min(limit, 1000)))
	var changes []Change
	err := s.Each(ctx, `SELECT id, kind, reason, actor, at, before_rows, after_rows, undone_at FROM people_undo `+where+
		` ORDER BY id DESC LIMIT $`+strconv.Itoa(len(args)), args, func(row Row) error {
		var c Change
		err := row.Scan(&c.ID, &c.Kind, &c.Reason, &c.Actor, scanTime(&c.At), scanJSON(&c.Before), scanJSON(&c.After), scanTime(&c.UndoneAt))
		changes = append(changes, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list merges and splits: %w", err)
	}
	return changes, nil
}

// PeopleChange returns one merge or split, undone or not, or ErrNotFound.
func (s *Store) PeopleChange(ctx context.Context, id string) (Change, error) {
	var c Change
	err := s.Row(ctx, `SELECT id, kind, reason, actor, at, before_rows, after_rows, undone_at FROM people_undo WHERE id = $1`, id).
		Scan(&c.ID, &c.Kind, &c.Reason, &c.Actor, scanTime(&c.At), scanJSON(&c.Before), scanJSON(&c.After), scanTime(&c.UndoneAt))
	if errors.Is(err, ErrNoRows) {
		return c, ErrNotFound
	}
	return c, err
}

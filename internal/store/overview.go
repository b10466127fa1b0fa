package store

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// floorID returns the least id that df.IDs can make at the given time or later.
// Ids begin with their milliseconds, so the index on them finds the rows of the
// last hours at once, whatever else the table holds.
func floorID(at time.Time) string {
	var id [16]byte
	ms := max(0, at.UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	text := hex.EncodeToString(id[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// unsorted is a column whose index is not to be used for grouping: SQLite would
// read the whole table in its order, to save sorting the rows of a day.
func unsorted(column string) string { return column + ` || '' ` }

// SlotCount is how many events of a source that have a status were received in
// one slot of time.
type SlotCount struct {
	Source df.Source
	Status df.Status
	Slot   int
	Events int64
}

// EventsInSlots counts the events received since starts[0] by source, status and
// slot of time. Slot i begins at starts[i], in ascending order, and ends where
// the next begins; the last has no end.
func (s *Store) EventsInSlots(ctx context.Context, starts []time.Time) ([]SlotCount, error) {
	if len(starts) == 0 {
		return nil, nil
	}
	// An id is made a moment before or after its event's time is taken.
	args := []any{floorID(starts[0].Add(-time.Minute)), starts[0]}
	var slot strings.Builder
	for i := len(starts) - 1; i > 0; i-- {
		args = append(args, starts[i])
		fmt.Fprintf(&slot, " WHEN received_at >= $%d THEN %d", len(args), i)
	}
	expression := "0"
	if slot.Len() > 0 {
		expression = "CASE" + slot.String() + " ELSE 0 END"
	}
	var counts []SlotCount
	err := s.Each(ctx, `SELECT `+unsorted("source")+`, status, `+expression+` AS slot, count(*) FROM webhook_events
		WHERE id >= $1 AND received_at >= $2 GROUP BY 1, 2, 3 ORDER BY 3, 1, 2`, args, func(row Row) error {
		var c SlotCount
		err := row.Scan((*string)(&c.Source), (*string)(&c.Status), &c.Slot, &c.Events)
		counts = append(counts, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count events by time: %w", err)
	}
	return counts, nil
}

// DirectionCount is how many lines of the sync log of one direction have a
// status.
type DirectionCount struct {
	Direction df.Direction
	Status    string
	Lines     int64
}

// SyncsSince counts the lines of the sync log that began at the given time or
// later, by direction and status.
func (s *Store) SyncsSince(ctx context.Context, since time.Time) ([]DirectionCount, error) {
	var counts []DirectionCount
	err := s.Each(ctx, `SELECT `+unsorted("direction")+`, status, count(*) FROM sync_log WHERE id >= $1 AND started_at >= $2
		GROUP BY 1, 2 ORDER BY 1, 2`, []any{floorID(since.Add(-time.Minute)), since}, func(row Row) error {
		var c DirectionCount
		err := row.Scan((*string)(&c.Direction), &c.Status, &c.Lines)
		counts = append(counts, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count sync log: %w", err)
	}
	return counts, nil
}

// Unfinished is how many events have a status that is not an end, and when the
// oldest of them was received.
type Unfinished struct {
	Events int64
	Oldest time.Time
}

// UnfinishedEvents counts the events that are open or quarantined, by status.
// Statuses without events are missing.
func (s *Store) UnfinishedEvents(ctx context.Context) (map[df.Status]Unfinished, error) {
	found := map[df.Status]Unfinished{}
	err := s.Each(ctx, `SELECT status, count(*), min(received_at) FROM webhook_events
		WHERE status NOT IN ('done', 'skipped') GROUP BY status`, nil, func(row Row) error {
		var status string
		var u Unfinished
		err := row.Scan(&status, &u.Events, scanTime(&u.Oldest))
		found[df.Status(status)] = u
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count unfinished events: %w", err)
	}
	return found, nil
}

// Questions is how much waits for the answer of a person.
type Questions struct {
	Issues         int64 // what keeps people from converging
	PeopleReviews  int64 // who is who
	ConsentReviews int64 // what somebody meant
	Incidents      int64 // contacts after an opt-out
}

// OpenQuestions counts what waits for a person.
func (s *Store) OpenQuestions(ctx context.Context) (Questions, error) {
	var q Questions
	err := s.Row(ctx, `SELECT (SELECT count(*) FROM sync_issues WHERE open),
		(SELECT count(*) FROM people_reviews WHERE resolved_at IS NULL),
		(SELECT count(*) FROM consent_reviews WHERE resolved_at IS NULL),
		(SELECT count(*) FROM consent_incidents WHERE resolved_at IS NULL)`).
		Scan(&q.Issues, &q.PeopleReviews, &q.ConsentReviews, &q.Incidents)
	if err != nil {
		return q, fmt.Errorf("count open questions: %w", err)
	}
	return q, nil
}

// IssuePlace is the place of an issue in the list of open ones.
type IssuePlace struct {
	At       time.Time
	PersonID string
	Topic    string
}

// OpenIssues lists the issues that an operator should look at, newest first,
// after the given place; the zero place is the list's beginning.
func (s *Store) OpenIssues(ctx context.Context, after IssuePlace, limit int) ([]Issue, error) {
	where, args := "WHERE open", []any{}
	if !after.At.IsZero() {
		where += " AND (at < $1 OR at = $1 AND (person_id > $2 OR person_id = $2 AND topic > $3))"
		args = append(args, after.At, after.PersonID, after.Topic)
	}
	args = append(args, max(1, min(limit, 1000)))
	var issues []Issue
	err := s.Each(ctx, `SELECT person_id, topic, kind, side, field, want, got, contact_id, tries, open, detail, since, at
		FROM sync_issues `+where+` ORDER BY at DESC, person_id, topic LIMIT $`+strconv.Itoa(len(args)), args, func(row Row) error {
		var i Issue
		err := row.Scan(&i.PersonID, &i.Topic, &i.Kind, (*string)(&i.Side), (*string)(&i.Field), scanText(&i.Want),
			scanText(&i.Got), scanText(&i.ContactID), &i.Tries, &i.Open, scanText(&i.Detail), scanTime(&i.Since), scanTime(&i.At))
		issues = append(issues, i)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list open issues: %w", err)
	}
	return issues, nil
}

// PersonSearch selects people for somebody who looks for one.
type PersonSearch struct {
	// Text is words that must all be found: each in an id, a phone, the
	// e-mail, or in what a side held when the sides last agreed (names, towns).
	Text   string
	Before string // id of the last row of the page before
	Limit  int
}

// FindPeople lists people, the newest first.
func (s *Store) FindPeople(ctx context.Context, search PersonSearch) ([]Person, error) {
	terms, args := []string{"TRUE"}, []any{}
	add := func(term string, value any) {
		args = append(args, value)
		terms = append(terms, strings.ReplaceAll(term, "?", "$"+strconv.Itoa(len(args))))
	}
	if search.Before != "" {
		add("id < ?", search.Before)
	}
	args = append(args, max(1, min(search.Limit, 1000)))
	limit := ` DESC LIMIT $` + strconv.Itoa(len(args))
	page := ` ORDER BY person_id` + limit
	if search.Before != "" {
		page = ` AND person_id < $1` + page
	}
	terms, args = foundBy(search.Text, terms, args, page)
	return selectPeople(ctx, s, `WHERE `+strings.Join(terms, " AND ")+` ORDER BY id`+limit, args...)
}

// AgreementsOf returns what each side held when the sides last agreed, by
// person. People without any are missing.
func (s *Store) AgreementsOf(ctx context.Context, people []string) (map[string][]Agreement, error) {
	return agreementsIn(ctx, s, people)
}

func agreementsIn(ctx context.Context, q Querier, people []string) (map[string][]Agreement, error) {
	agreements := map[string][]Agreement{}
	for chunk := range slices.Chunk(people, 500) {
		err := q.Each(ctx, `SELECT person_id, side, contact_id, fields, tags FROM contact_agreements
			WHERE person_id IN (`+list(len(chunk), 0)+`) ORDER BY person_id, side`, anys(chunk), func(row Row) error {
			var person string
			var a Agreement
			err := row.Scan(&person, (*string)(&a.Side), &a.ContactID, scanJSON(&a.Fields), scanJSON(&a.Tags))
			agreements[person] = append(agreements[person], a)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read agreements: %w", err)
		}
	}
	return agreements, nil
}

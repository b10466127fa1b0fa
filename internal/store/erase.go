package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// ErrUntold is returned for a person who cannot be erased yet, because a system
// was not told of the person's opt-out: with the number, we would forget to.
var ErrUntold = errors.New("store: a system was not told of the opt-out yet")

// Subject is a person as far as an erasure goes: everybody who was merged into
// the person, and every id and number by which rows are theirs.
type Subject struct {
	People  []string // ids; the first is the person's
	GHL     []string // ids of contacts there
	Aloware []string
	Phones  []string // numbers that nobody else has
	Shared  []string // numbers that another person has as well: what is known of them stays
}

// SubjectOf finds out what an erasure of the person would be about. A person who
// was merged into another is erased with that one. It returns ErrNotFound for
// nobody.
func SubjectOf(ctx context.Context, q Querier, personID string) (Subject, error) {
	person, err := PersonByID(ctx, q, personID)
	for err == nil && person.MergedInto != "" {
		person, err = PersonByID(ctx, q, person.MergedInto)
	}
	if err != nil {
		return Subject{}, err
	}
	found := []Person{person}
	for i := 0; i < len(found); i++ {
		merged, err := selectPeople(ctx, q, `WHERE merged_into = $1 ORDER BY id`, found[i].ID)
		if err != nil {
			return Subject{}, err
		}
		found = append(found, merged...)
	}
	var subject Subject
	var phones []string
	for _, p := range found {
		subject.People = append(subject.People, p.ID)
		subject.GHL = append(subject.GHL, p.GHLContactID)
		subject.Aloware = append(subject.Aloware, p.AlowareContactID)
		for _, phone := range append(p.OtherPhones, p.Phone) {
			phones = append(phones, string(phone))
		}
	}
	subject.GHL, subject.Aloware = distinct(subject.GHL), distinct(subject.Aloware)
	for _, phone := range distinct(phones) {
		holders, err := PeopleByPhone(ctx, q, df.Phone(phone))
		if err != nil {
			return Subject{}, err
		}
		if slices.ContainsFunc(holders, func(p Person) bool { return !slices.Contains(subject.People, p.ID) }) {
			subject.Shared = append(subject.Shared, phone)
			continue
		}
		subject.Phones = append(subject.Phones, phone)
	}
	return subject, nil
}

// distinct sorts the texts and drops empty ones and repetitions.
func distinct(texts []string) []string {
	texts = slices.DeleteFunc(slices.Clone(texts), func(text string) bool { return text == "" })
	slices.Sort(texts)
	return slices.Compact(texts)
}

// fill replaces the placeholders of a term by parameters.
func (s Subject) fill(term string) (string, []any) {
	var args []any
	for _, hole := range []struct {
		name   string
		values []string
	}{
		{"{people}", s.People}, {"{ghl}", s.GHL}, {"{aloware}", s.Aloware}, {"{phones}", s.Phones}, {"{lanes}", s.lanes()},
		{"{anyone}", slices.Concat(s.People, s.GHL, s.Aloware)},
	} {
		for strings.Contains(term, hole.name) {
			values := "NULL" // IN (NULL) holds for nothing
			if len(hole.values) > 0 {
				values = list(len(hole.values), len(args))
				args = append(args, anys(hole.values)...)
			}
			term = strings.Replace(term, hole.name, values, 1)
		}
	}
	if strings.Contains(term, "{mentions}") {
		mentions := make([]string, len(s.People))
		for i, id := range s.People {
			args = append(args, "%"+id+"%")
			mentions[i] = fmt.Sprintf("before_rows LIKE $%d OR after_rows LIKE $%d", len(args), len(args))
		}
		term = strings.ReplaceAll(term, "{mentions}", strings.Join(mentions, " OR "))
	}
	return term, args
}

// lanes are those that only the subject's events are in.
func (s Subject) lanes() []string {
	lanes := make([]string, 0, len(s.People)+len(s.Phones))
	for _, id := range s.People {
		lanes = append(lanes, PersonLane(id))
	}
	for _, phone := range s.Phones {
		lanes = append(lanes, PhoneLane(df.Phone(phone)))
	}
	return lanes
}

// ErasedRows says how many rows of a table an erasure empties or deletes.
type ErasedRows struct {
	Table string
	Rows  int64
}

// CountErasure counts what erasing the subject would empty or delete.
func (s *Store) CountErasure(ctx context.Context, subject Subject) ([]ErasedRows, error) {
	counts := make([]ErasedRows, 0, len(erasures))
	for _, step := range erasures {
		where, args := subject.fill(step.where)
		count := ErasedRows{Table: step.table}
		err := s.Row(ctx, `SELECT count(*) FROM `+step.table+` WHERE `+where, args...).Scan(&count.Rows)
		if err != nil {
			return nil, fmt.Errorf("count what is erased of %s: %w", step.table, err)
		}
		counts = append(counts, count)
	}
	return counts, nil
}

// Erase empties or deletes all that is known of a person, in one transaction,
// to which record may add. Of a number that opted out a hash is kept. It returns
// ErrUntold when a system was not told of that opt-out yet.
//
// A worker that has one of the person's events in hand loses its lease, and what
// was open is skipped.
func (s *Store) Erase(ctx context.Context, subject Subject, random io.Reader, now time.Time,
	record func(tx Tx, rows []ErasedRows) error) ([]ErasedRows, error) {
	events, err := s.eventsOf(ctx, subject)
	if err != nil {
		return nil, err
	}
	var erased []ErasedRows
	err = s.InTx(ctx, func(tx Tx) error {
		lanes, err := stopWork(ctx, tx, subject, events)
		if err != nil {
			return err
		}
		if err := told(ctx, tx, subject.Phones); err != nil {
			return err
		}
		for _, phone := range subject.Phones {
			if err := remember(ctx, tx, phone, random, now); err != nil {
				return err
			}
		}
		emptied, err := emptyEvents(ctx, tx, events)
		if err != nil {
			return err
		}
		if err := recount(ctx, tx, lanes); err != nil {
			return err
		}
		erased = []ErasedRows{{Table: eventsTable, Rows: emptied}}
		for _, step := range erasures[1:] {
			rows, err := step.run(ctx, tx, subject)
			if err != nil {
				return err
			}
			erased = append(erased, ErasedRows{step.table, rows})
		}
		return record(tx, erased)
	})
	if err != nil {
		return nil, fmt.Errorf("erase a person: %w", err)
	}
	return erased, nil
}

// eventsOf lists the subject's events. No index leads to all of them, so they
// are looked for before anything is locked.
func (s *Store) eventsOf(ctx context.Context, subject Subject) ([]string, error) {
	where, args := subject.fill(erasures[0].where)
	var ids []string
	err := s.Each(ctx, `SELECT id FROM `+eventsTable+` WHERE `+where, args, func(row Row) error {
		var id string
		err := row.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for a person's events: %w", err)
	}
	return ids, nil
}

// stopWork locks the lanes in which the subject's events wait, in order, takes
// them from whoever works on them, and returns them.
func stopWork(ctx context.Context, tx Tx, subject Subject, events []string) ([]string, error) {
	lanes := subject.lanes()
	for ids := range slices.Chunk(events, 500) {
		err := tx.Each(ctx, `SELECT DISTINCT lane FROM webhook_events WHERE id IN (`+list(len(ids), 0)+`) AND lane <> ''
			AND status IN ('pending', 'processing', 'error')`, anys(ids), func(row Row) error {
			var lane string
			err := row.Scan(&lane)
			lanes = append(lanes, lane)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("find lanes: %w", err)
		}
	}
	lanes = distinct(lanes)
	for _, lane := range lanes {
		_, err := tx.Exec(ctx, `UPDATE lanes SET fence = fence + 1, owner = NULL, lease_until = NULL WHERE key = $1`, lane)
		if err != nil {
			return nil, fmt.Errorf("take a lane: %w", err)
		}
	}
	return lanes, nil
}

// recount makes the counts of lanes anew, whose events were closed.
func recount(ctx context.Context, tx Tx, lanes []string) error {
	for _, lane := range lanes {
		_, err := tx.Exec(ctx, `UPDATE lanes SET queued = (`+openInLane+`), wake_at = NULL WHERE key = $1`, lane)
		if err != nil {
			return fmt.Errorf("count a lane anew: %w", err)
		}
	}
	return nil
}

// told fails with ErrUntold when a system still has to hear of a number.
func told(ctx context.Context, tx Tx, phones []string) error {
	for _, phone := range phones {
		var open int
		err := tx.Row(ctx, `SELECT count(*) FROM consent_fanout WHERE phone = $1 AND state IN ('pending', 'failed')`, phone).Scan(&open)
		if err != nil {
			return fmt.Errorf("read fan-out: %w", err)
		}
		if open > 0 {
			return ErrUntold
		}
	}
	return nil
}

// emptyEvents empties events; what has no body is not passed on either.
func emptyEvents(ctx context.Context, tx Tx, events []string) (int64, error) {
	var emptied int64
	for ids := range slices.Chunk(events, 500) {
		n, err := tx.Exec(ctx, `UPDATE `+eventsTable+` SET `+erasures[0].set+` WHERE id IN (`+list(len(ids), 0)+`)`, anys(ids)...)
		if err != nil {
			return 0, fmt.Errorf("empty events: %w", err)
		}
		emptied += n
		if _, err := tx.Exec(ctx, `DELETE FROM forwards WHERE event_id IN (`+list(len(ids), 0)+`)`, anys(ids)...); err != nil {
			return 0, fmt.Errorf("take back forwards: %w", err)
		}
	}
	return emptied, nil
}

// run empties or deletes the subject's rows of one table.
func (e erasure) run(ctx context.Context, tx Tx, subject Subject) (int64, error) {
	statement := `DELETE FROM ` + e.table
	if e.set != "" {
		statement = `UPDATE ` + e.table + ` SET ` + e.set
	}
	where, args := subject.fill(e.where)
	rows, err := tx.Exec(ctx, statement+` WHERE `+where, args...)
	if err != nil {
		return 0, fmt.Errorf("erase from %s: %w", e.table, err)
	}
	return rows, nil
}

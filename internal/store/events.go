package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// fullEvent selects what scanEvent scans.
const fullEvent = `seq, id, received_at, source, route, event_type, kind, entity_type, entity_id, contact_id, phone,
	delivery_id, occurred_at, dedupe_key, status, reason, attempts, next_attempt_at, error_message, processed_at,
	lane, person_id, verified, headers, payload_json, payload_raw, trace`

func scanEvent(row Row) (df.Event, error) {
	var e df.Event
	var text string
	var raw []byte
	n := &e.Notice
	err := row.Scan(&e.Seq, &e.ID, scanTime(&e.ReceivedAt), (*string)(&e.Source), &e.Route, &n.Type, (*string)(&n.Kind),
		&n.EntityType, &n.EntityID, scanText(&n.ContactID), scanText((*string)(&n.Phone)), scanText(&n.DeliveryID),
		scanTime(&n.OccurredAt), &e.DedupeKey, (*string)(&e.Status), scanText(&e.Reason), &e.Attempts,
		scanTime(&e.NextAttemptAt), scanText(&e.LastError), scanTime(&e.ProcessedAt), &e.Lane, scanText(&e.PersonID),
		&e.Verified, scanJSON(&e.Headers), scanText(&text), &raw, scanText(&e.Trace))
	e.Raw = raw
	if text != "" {
		e.Raw = []byte(text)
	}
	return e, err
}

// ErrNotFound is returned when the row asked for does not exist.
var ErrNotFound = errors.New("store: not found")

// ErrState is returned when a row's state does not allow what was asked.
var ErrState = errors.New("store: not possible in this state")

// Event returns one event with its bytes, or ErrNotFound.
func (s *Store) Event(ctx context.Context, id string) (df.Event, error) {
	e, err := scanEvent(s.Row(ctx, `SELECT `+fullEvent+` FROM webhook_events WHERE id = $1`, id))
	if errors.Is(err, ErrNoRows) {
		return e, ErrNotFound
	}
	return e, err
}

// EventFilter selects events. Zero fields select everything.
type EventFilter struct {
	Source   df.Source
	Status   df.Status
	Type     string // the wire name or our kind
	EntityID string // the entity's, the contact's or the person's id
	Person   string // our id of a person, or a number of one
	Text     string // found anywhere in the body
	From, To time.Time
	IDs      []string // of events; nil for any
	Before   int64    // seq of the last row of the page before
	Limit    int
}

// Events lists events, newest first: by acceptance, or by the time of receipt when
// the filter names times, which for what was held or spilled is another order.
func (s *Store) Events(ctx context.Context, f EventFilter) ([]df.Event, error) {
	query, args := f.page(fullEvent)
	var events []df.Event
	err := s.Each(ctx, query, args, func(row Row) error {
		e, err := scanEvent(row)
		events = append(events, e)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return events, nil
}

// page selects the columns of the rows of one page. Times have an index of their
// own, which must also give the order: with the order of seq a page of a day long
// ago would read everything that came since.
func (f EventFilter) page(columns string) (string, []any) {
	if !f.timed() {
		return f.pageBySeq(columns)
	}
	before := f.Before
	f.Before = 0
	where, args := f.where()
	if before > 0 {
		args = append(args, before)
		where += strings.ReplaceAll(` AND received_at <= (SELECT received_at FROM webhook_events WHERE seq <= ? ORDER BY seq DESC LIMIT 1)
			AND (received_at < (SELECT received_at FROM webhook_events WHERE seq <= ? ORDER BY seq DESC LIMIT 1) OR seq < ?)`,
			"?", "$"+strconv.Itoa(len(args)))
	}
	args = append(args, max(1, min(f.Limit, 1000)))
	return `SELECT ` + columns + ` FROM webhook_events` + where + f.order() + ` LIMIT $` + strconv.Itoa(len(args)), args
}

// pageBySeq is a page without times. A type is a sender's or ours: each has an
// index that gives the order, while an OR of both would read all of the type.
func (f EventFilter) pageBySeq(columns string) (string, []any) {
	where, args := f.where()
	args = append(args, max(1, min(f.Limit, 1000)))
	order := f.order() + ` LIMIT $` + strconv.Itoa(len(args))
	if f.Type != "" {
		wire, _ := f.whereType("event_type = ?")
		ours, _ := f.whereType("kind = ?")
		where = ` WHERE seq IN (SELECT seq FROM (SELECT seq FROM webhook_events` + wire + order + `) AS wire
			UNION SELECT seq FROM (SELECT seq FROM webhook_events` + ours + order + `) AS ours)`
	}
	return `SELECT ` + columns + ` FROM webhook_events` + where + order, args
}

// order is that of the rows of a page.
func (f EventFilter) order() string {
	if f.timed() {
		return ` ORDER BY received_at DESC, seq DESC`
	}
	return ` ORDER BY seq DESC`
}

func (f EventFilter) timed() bool { return !f.From.IsZero() || !f.To.IsZero() }

func (f EventFilter) where() (string, []any) {
	if f.timed() {
		return f.whereType("(event_type || '' = ? OR kind || '' = ?)")
	}
	return f.whereType("(event_type = ? OR kind = ?)")
}

// whereType is where with the given condition on the type. Where times are asked
// for, source and type are kept from being looked up by their own indexes, which
// SQLite would prefer although each holds a large part of all events.
func (f EventFilter) whereType(ofType string) (string, []any) {
	var terms []string
	var args []any
	add := func(term string, value any) {
		args = append(args, value)
		terms = append(terms, strings.ReplaceAll(term, "?", "$"+strconv.Itoa(len(args))))
	}
	switch {
	case f.Source != "" && f.timed():
		add("source || '' = ?", string(f.Source))
	case f.Source != "":
		add("source = ?", string(f.Source))
	}
	if f.Status != "" {
		add("status = ?", string(f.Status))
	}
	if f.Status != "" && f.Status != df.Done && f.Status != df.Skipped {
		// What the index of unfinished events says; SQLite does not see that it follows.
		terms = append(terms, "status NOT IN ('done', 'skipped')")
	}
	if f.Type != "" {
		add(ofType, f.Type)
	}
	if f.EntityID != "" {
		// Each of the four has an index; an OR of them would use none.
		add(`seq IN (SELECT seq FROM webhook_events WHERE entity_id = ? UNION SELECT seq FROM webhook_events WHERE contact_id = ?
			UNION SELECT seq FROM webhook_events WHERE person_id = ? UNION SELECT seq FROM webhook_events WHERE id = ?)`, f.EntityID)
	}
	if strings.HasPrefix(f.Person, "+") {
		add(`person_id IN (SELECT id FROM contact_mappings WHERE phone_number = ? UNION SELECT person_id FROM contact_phones WHERE phone = ?)`, f.Person)
	} else if f.Person != "" {
		add("person_id = ?", f.Person)
	}
	if f.IDs != nil {
		terms = append(terms, "id IN ("+list(len(f.IDs), len(args))+")")
		args = append(args, anys(f.IDs)...)
	}
	if f.Text != "" {
		add(holdsText, likeText(f.Text))
	}
	if !f.From.IsZero() {
		add("received_at >= ?", f.From)
	}
	if !f.To.IsZero() {
		add("received_at < ?", f.To)
	}
	if f.Before > 0 {
		add("seq < ?", f.Before)
	}
	if len(terms) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(terms, " AND "), args
}

func likeEscape(text string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text)
}

// Neighbours lists events about the same person, or the same contact or entity
// while nobody knows whose it is: those just before and just after an event, newest
// first, at most limit of each.
func (s *Store) Neighbours(ctx context.Context, e df.Event, limit int) (before, after []df.Event, err error) {
	about := EventFilter{EntityID: e.Notice.EntityID}
	if e.PersonID != "" {
		about.EntityID = e.PersonID
	} else if e.Notice.ContactID != "" {
		about.EntityID = e.Notice.ContactID
	}
	if about.EntityID == "" {
		return nil, nil, nil
	}
	about.Before, about.Limit = e.Seq, limit
	if before, err = s.Events(ctx, about); err != nil {
		return nil, nil, err
	}
	about.Before = 0
	where, args := about.where()
	args = append(args, e.Seq, limit)
	err = s.Each(ctx, `SELECT `+fullEvent+` FROM webhook_events`+where+fmt.Sprintf(` AND seq > $%d ORDER BY seq LIMIT $%d`, len(args)-1, len(args)),
		args, func(row Row) error {
			one, err := scanEvent(row)
			after = append(after, one)
			return err
		})
	if err != nil {
		return nil, nil, fmt.Errorf("list neighbours of an event: %w", err)
	}
	slices.Reverse(after)
	return before, after, nil
}

// Repeats says how often an event was delivered again and refused as a duplicate,
// as long as its dedupe key is remembered, and when the last time was.
func (s *Store) Repeats(ctx context.Context, eventID string) (times int64, last time.Time, err error) {
	err = s.Row(ctx, `SELECT COALESCE(sum(repeats), 0), max(repeated_at) FROM webhook_dedupe WHERE event_id = $1 AND repeats > 0`, eventID).
		Scan(&times, scanTime(&last))
	return times, last, err
}

// Count is how many events of a source have a status.
type Count struct {
	Source df.Source
	Status df.Status
	Events int64
}

// countEvents reads two indexes and no rows: that of what has ended, and that of
// the little which has not.
const countEvents = `SELECT source, status, count(*) FROM webhook_events WHERE status IN ('done', 'skipped') GROUP BY source, status
	UNION ALL SELECT source, status, count(*) FROM webhook_events WHERE status NOT IN ('done', 'skipped') GROUP BY status, source
	ORDER BY 1, 2`

// CountEvents counts all events by source and status.
func (s *Store) CountEvents(ctx context.Context) ([]Count, error) {
	var counts []Count
	err := s.Each(ctx, countEvents,
		nil, func(row Row) error {
			var c Count
			err := row.Scan((*string)(&c.Source), (*string)(&c.Status), &c.Events)
			counts = append(counts, c)
			return err
		})
	return counts, err
}

// Backlog says how many events wait and how old the oldest of them is.
func (s *Store) Backlog(ctx context.Context) (open int64, oldest time.Time, err error) {
	err = s.Row(ctx, `SELECT count(*), min(received_at) FROM webhook_events
		WHERE status IN ('pending', 'processing', 'error')`).Scan(&open, scanTime(&oldest))
	return open, oldest, err
}

// Attempt is one failed try at an event.
type Attempt struct {
	Attempt int
	At      time.Time
	Outcome string
	Error   string
}

// Attempts lists the failed tries at an event, oldest first.
func (s *Store) Attempts(ctx context.Context, eventID string) ([]Attempt, error) {
	var attempts []Attempt
	err := s.Each(ctx, `SELECT attempt, at, outcome, error FROM webhook_attempts WHERE event_id = $1 ORDER BY at`,
		[]any{eventID}, func(row Row) error {
			var a Attempt
			err := row.Scan(&a.Attempt, scanTime(&a.At), &a.Outcome, scanText(&a.Error))
			attempts = append(attempts, a)
			return err
		})
	return attempts, err
}

// Reopen puts a finished event back into its lane, with its tries counted anew,
// and rings the bell. It returns ErrState for an event that is already open and
// ErrNotFound for none.
func (s *Store) Reopen(ctx context.Context, id string, now time.Time) error {
	return s.inEventLane(ctx, id, func(tx Tx, lane string) error {
		changed, err := tx.Exec(ctx, `UPDATE webhook_events SET status = 'pending', attempts = 0, reason = NULL,
			next_attempt_at = NULL, processed_at = NULL
			WHERE id = $1 AND status IN ('done', 'skipped', 'quarantined')`, id)
		if err != nil {
			return err
		}
		if changed == 0 {
			return ErrState
		}
		idle, err := countIn(ctx, tx, map[string]int{lane: 1}, now)
		if err != nil {
			return err
		}
		return ring(ctx, tx, idle)
	})
}

// Reread replaces what is known of an event by what its bytes say to this
// release, and gives it a lane when it had none because no release before could
// read it.
func (s *Store) Reread(ctx context.Context, e df.Event) error {
	n := &e.Notice
	changed, err := s.Exec(ctx, `UPDATE webhook_events SET event_type = $2, kind = $3, entity_type = $4, entity_id = $5,
		contact_id = $6, phone = $7, occurred_at = $8, lane = CASE WHEN lane = '' THEN $9 ELSE lane END WHERE id = $1`,
		e.ID, clean(n.Type), string(n.Kind), n.EntityType, clean(n.EntityID), null(clean(n.ContactID)), null(string(n.Phone)),
		n.OccurredAt, strangerLane(&e))
	if err != nil {
		return fmt.Errorf("reread event: %w", err)
	}
	if changed == 0 {
		return ErrNotFound
	}
	return nil
}

// RetryNow makes a failed event due at once.
func (s *Store) RetryNow(ctx context.Context, id string, now time.Time) error {
	return s.inEventLane(ctx, id, func(tx Tx, lane string) error {
		changed, err := tx.Exec(ctx, `UPDATE webhook_events SET next_attempt_at = $2 WHERE id = $1 AND status = 'error'`, id, now)
		if err != nil {
			return err
		}
		if changed == 0 {
			return ErrState
		}
		if _, err := tx.Exec(ctx, `UPDATE lanes SET wake_at = NULL, rung_at = $2 WHERE key = $1`, lane, now); err != nil {
			return err
		}
		return ring(ctx, tx, []string{lane})
	})
}

// Close ends an event by hand, as quarantined or done, with a reason. It
// returns ErrState when the event already has that status.
func (s *Store) CloseEvent(ctx context.Context, id string, status df.Status, reason string, now time.Time) error {
	return s.inEventLane(ctx, id, func(tx Tx, lane string) error {
		changed, err := tx.Exec(ctx, `UPDATE webhook_events SET status = $2, reason = $3, processed_at = $4, next_attempt_at = NULL
			WHERE id = $1 AND status <> $2`, id, string(status), null(reason), now)
		if err != nil {
			return err
		}
		if changed == 0 {
			return ErrState
		}
		_, err = tx.Exec(ctx, `UPDATE lanes SET queued = (`+openInLane+`), wake_at = NULL WHERE key = $1`, lane)
		return err
	})
}

// inEventLane runs f in a transaction that holds the lane of the event, so that
// nothing is counted twice while a worker finishes a turn.
func (s *Store) inEventLane(ctx context.Context, id string, f func(tx Tx, lane string) error) error {
	return s.InTx(ctx, func(tx Tx) error {
		var lane string
		err := tx.Row(ctx, `SELECT lane FROM webhook_events WHERE id = $1`, id).Scan(&lane)
		if errors.Is(err, ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		if lane == "" {
			return ErrState
		}
		if _, err := tx.Exec(ctx, `UPDATE lanes SET fence = fence WHERE key = $1`, lane); err != nil {
			return err
		}
		return f(tx, lane)
	})
}

// PruneDedupe forgets dedupe keys whose window ended before the given time and
// returns how many.
func (s *Store) PruneDedupe(ctx context.Context, before time.Time) (int64, error) {
	return s.Exec(ctx, `DELETE FROM webhook_dedupe WHERE expires_at < $1`, before)
}

package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Replay is one bulk replay, or another thing done to many events, worked by a job.
type Replay struct {
	ID         string
	Action     string // one of the Bulk actions
	Filter     EventFilter
	Actor      string
	Reason     string // why, as the actor said
	Status     string // working, done, stopped
	UntilSeq   int64  // events that came later are not replayed
	Cursor     int64  // the event that was reached
	Events     int64  // how many there were; no more are touched
	Replayed   int64  // done as asked: put back into their lanes, or ended
	Superseded int64  // older than what the sides agree on; nothing is done about them
	PassedOver int64  // open or replayed by somebody else meanwhile
	StartedAt  time.Time
	BeatAt     time.Time
	FinishedAt time.Time
	Error      string // safe text
}

// The statuses of a replay. The release before knew "running" and replays alone, by
// fewer filters: it must not take up what this one began.
const (
	ReplayRunning = "working"
	ReplayDone    = "done"
	ReplayStopped = "stopped"
)

// underWay are the statuses of what is still to be worked.
const underWay = `status IN ('working', 'running')`

// What can be done to many events.
const (
	BulkReplay     = "replay"
	BulkRelease    = "release"
	BulkQuarantine = "quarantine"
	BulkMarkDone   = "mark-done"
)

// BulkActions lists them.
func BulkActions() []string { return []string{BulkReplay, BulkRelease, BulkQuarantine, BulkMarkDone} }

const replayColumns = `id, action, reason, filter, actor, status, until_seq, cursor_seq, events, replayed, superseded, passed_over,
	started_at, beat_at, finished_at, error`

func scanReplay(row Row) (Replay, error) {
	var r Replay
	err := row.Scan(&r.ID, &r.Action, scanText(&r.Reason), scanJSON(&r.Filter), &r.Actor, &r.Status, &r.UntilSeq, &r.Cursor, &r.Events, &r.Replayed, &r.Superseded,
		&r.PassedOver, scanTime(&r.StartedAt), scanTime(&r.BeatAt), scanTime(&r.FinishedAt), scanText(&r.Error))
	if r.Status == "running" {
		r.Status = ReplayRunning
	}
	return r, err
}

// InsertReplay adds a replay that is to be worked.
func InsertReplay(ctx context.Context, q Querier, r Replay) error {
	_, err := q.Exec(ctx, `INSERT INTO replays (`+replayColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		r.ID, r.Action, null(r.Reason), asJSON(r.Filter), r.Actor, r.Status, r.UntilSeq, r.Cursor, r.Events, r.Replayed, r.Superseded, r.PassedOver,
		r.StartedAt, r.BeatAt, r.FinishedAt, null(r.Error))
	if err != nil {
		return fmt.Errorf("keep replay: %w", err)
	}
	return nil
}

// ReplayByID returns a replay, or ErrNotFound.
func (s *Store) ReplayByID(ctx context.Context, id string) (Replay, error) {
	r, err := scanReplay(s.Row(ctx, `SELECT `+replayColumns+` FROM replays WHERE id = $1`, id))
	if errors.Is(err, ErrNoRows) {
		return r, ErrNotFound
	}
	return r, err
}

// Replays lists replays, newest first.
func (s *Store) Replays(ctx context.Context, limit int) ([]Replay, error) {
	var all []Replay
	err := s.Each(ctx, `SELECT `+replayColumns+` FROM replays ORDER BY started_at DESC LIMIT $1`, []any{max(1, min(limit, 500))}, func(row Row) error {
		r, err := scanReplay(row)
		all = append(all, r)
		return err
	})
	return all, err
}

// ClaimReplay takes the oldest running replay that nobody has worked on since
// deadBefore; false when there is none. Whoever works on it shows that by
// SaveReplay.
func (s *Store) ClaimReplay(ctx context.Context, now, deadBefore time.Time) (r Replay, ok bool, err error) {
	err = s.InTx(ctx, func(tx Tx) error {
		ok = false
		r, err = scanReplay(tx.Row(ctx, `UPDATE replays SET beat_at = $1 WHERE id = (SELECT id FROM replays
			WHERE `+underWay+` AND beat_at < $2 ORDER BY started_at LIMIT 1) AND `+underWay+` AND beat_at < $2
			RETURNING `+replayColumns, now, deadBefore))
		if errors.Is(err, ErrNoRows) {
			return nil
		}
		ok = err == nil
		return err
	})
	return r, ok, err
}

// SaveReplay keeps how far a replay has come. It returns ErrStale when it was
// stopped, or taken over by another worker, since it was read.
func (s *Store) SaveReplay(ctx context.Context, r Replay, beat time.Time) error {
	changed, err := s.Exec(ctx, `UPDATE replays SET status = $2, cursor_seq = $3, replayed = $4, superseded = $5, passed_over = $6,
		beat_at = $7, finished_at = $8, error = $9 WHERE id = $1 AND `+underWay+` AND beat_at = $10`,
		r.ID, r.Status, r.Cursor, r.Replayed, r.Superseded, r.PassedOver, beat, r.FinishedAt, null(r.Error), r.BeatAt)
	if err != nil {
		return fmt.Errorf("keep replay: %w", err)
	}
	if changed == 0 {
		return ErrStale
	}
	return nil
}

// StopReplay ends a running replay where it is. It returns ErrState for one that
// does not run.
func StopReplay(ctx context.Context, q Querier, id string, now time.Time) error {
	changed, err := q.Exec(ctx, `UPDATE replays SET status = 'stopped', finished_at = $2 WHERE id = $1 AND `+underWay, id, now)
	if err == nil && changed == 0 {
		return ErrState
	}
	return err
}

// ReplayEvent is an event as a replay needs it.
type ReplayEvent struct {
	ID         string
	Seq        int64
	Status     df.Status
	Superseded bool
}

// doable are the events to which an action can be done.
func doable(action string) string {
	switch action {
	case BulkQuarantine:
		return `lane <> '' AND status IN ('pending', 'processing', 'error')`
	case BulkMarkDone:
		return `lane <> '' AND status IN ('pending', 'processing', 'error', 'quarantined')`
	case BulkRelease:
		return `lane <> '' AND status = 'quarantined'`
	}
	return `lane <> '' AND status IN ('done', 'skipped', 'quarantined', 'error')`
}

// superseded is an event about a contact's state that came before the sides last
// agreed on the person: what it told of is part of that, or was overtaken by it.
const superseded = `(kind LIKE 'contact.%' AND kind <> 'contact.deleted' AND EXISTS (SELECT 1 FROM contact_mappings p
	WHERE p.id = webhook_events.person_id AND p.last_synced_at > webhook_events.received_at))`

// ReplayEvents lists the events that a replay has not reached yet, oldest first.
func (s *Store) ReplayEvents(ctx context.Context, r Replay, limit int) ([]ReplayEvent, error) {
	where, args := r.Filter.doable(r.Action, r.Cursor, r.UntilSeq)
	args = append(args, limit)
	var events []ReplayEvent
	err := s.Each(ctx, `SELECT id, seq, status, `+superseded+` FROM webhook_events`+where+` ORDER BY seq LIMIT $`+strconv.Itoa(len(args)), args, func(row Row) error {
		var e ReplayEvent
		err := row.Scan(&e.ID, &e.Seq, (*string)(&e.Status), &e.Superseded)
		events = append(events, e)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list events to replay: %w", err)
	}
	return events, nil
}

func (f EventFilter) doable(action string, after, until int64) (string, []any) {
	f.Before = until + 1
	where, args := f.where()
	args = append(args, after)
	return where + ` AND seq > $` + strconv.Itoa(len(args)) + ` AND ` + doable(action), args
}

// ReplayCount is what a replay, or another action, would come to.
type ReplayCount struct {
	UntilSeq   int64 // the newest event that was counted over
	Events     int64 // to which it can be done, superseded ones included
	Superseded int64
	People     int64 // whose lanes they are in
	Current    int64 // of these people, those with an event that is not superseded
	Unfinished int64 // of what is no contact's state, events that never ended well: each may have one effect
	ByStatus   map[df.Status]int64
}

// CountReplay says what an action on a filter's events would come to now. Events
// after until are not counted; 0 means none is too new.
func (s *Store) CountReplay(ctx context.Context, f EventFilter, action string, until int64) (ReplayCount, error) {
	c := ReplayCount{UntilSeq: until, ByStatus: map[df.Status]int64{}}
	if until == 0 {
		if err := s.Row(ctx, `SELECT COALESCE(max(seq), 0) FROM webhook_events`).Scan(&c.UntilSeq); err != nil {
			return c, fmt.Errorf("count events to replay: %w", err)
		}
	}
	where, args := f.doable(action, 0, c.UntilSeq)
	found := `(SELECT lane, kind, status, ` + superseded + ` AS past FROM webhook_events` + where + `) AS found`
	err := s.Row(ctx, `SELECT count(*), COALESCE(sum(CASE WHEN past THEN 1 ELSE 0 END), 0), count(DISTINCT lane), count(DISTINCT CASE WHEN past THEN NULL ELSE lane END),
		COALESCE(sum(CASE WHEN kind NOT LIKE 'contact.%' AND status <> 'done' AND status <> 'skipped' THEN 1 ELSE 0 END), 0) FROM `+found, args...).
		Scan(&c.Events, &c.Superseded, &c.People, &c.Current, &c.Unfinished)
	if err != nil {
		return c, fmt.Errorf("count events to replay: %w", err)
	}
	err = s.Each(ctx, `SELECT status, count(*) FROM `+found+` GROUP BY status`, args, func(row Row) error {
		var status df.Status
		var n int64
		err := row.Scan((*string)(&status), &n)
		c.ByStatus[status] = n
		return err
	})
	if err != nil {
		return c, fmt.Errorf("count events to replay: %w", err)
	}
	return c, nil
}

// ReplayPeople lists the people whose contacts a replay would look at again, at
// most limit of them.
func (s *Store) ReplayPeople(ctx context.Context, f EventFilter, action string, until int64, limit int) ([]string, error) {
	where, args := f.doable(action, 0, until)
	args = append(args, limit)
	var people []string
	err := s.Each(ctx, `SELECT DISTINCT person_id FROM webhook_events`+where+` AND person_id IS NOT NULL AND NOT `+superseded+`
		ORDER BY person_id LIMIT $`+strconv.Itoa(len(args)), args, func(row Row) error {
		var id string
		err := row.Scan(&id)
		people = append(people, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list people to replay: %w", err)
	}
	return people, nil
}

// Supersede ends an event that did not end well because the sides agreed later. It
// returns ErrState when the event ended or is being worked on.
func (s *Store) Supersede(ctx context.Context, id, reason string, now time.Time) error {
	return s.inEventLane(ctx, id, func(tx Tx, lane string) error {
		changed, err := tx.Exec(ctx, `UPDATE webhook_events SET status = 'skipped', reason = $2, processed_at = $3, next_attempt_at = NULL
			WHERE id = $1 AND status IN ('quarantined', 'error')`, id, reason, now)
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

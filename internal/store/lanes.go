package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/riverqueue/river"

	"github.com/df-middleware/dfm/internal/df"
)

// QueueEvents is the River queue whose jobs drain lanes. Its name is the one
// that the original system used.
const QueueEvents = "process-webhook-event"

// DrainArgs is the doorbell: it says that a lane has work, not what the work
// is. Ringing twice does no harm, since the lane's lease lets one worker in.
type DrainArgs struct {
	Lane string `json:"lane"`
}

// Kind names the job in River's tables and UI.
func (DrainArgs) Kind() string { return "drain_lane" }

// InsertOpts sends doorbells to the queue of webhook events.
func (DrainArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{Queue: QueueEvents} }

// Lease is the right to work on one lane, until it runs out or is given back.
// Every write made under it names its fence, and fails once somebody else has
// taken the lane over.
type Lease struct {
	Lane  string
	Fence int64
}

// ErrLeaseLost is returned for a write under a lease that is no longer the
// lane's newest one. Nothing was written.
var ErrLeaseLost = errors.New("store: the lane was taken over by another worker")

// Turn is what a worker got hold of: a lease, the lane's oldest open events,
// and how many convergences were asked for without an event.
type Turn struct {
	Lease  Lease
	Events []df.Event
	Nudges int64
}

// Result is what became of one event of a turn.
type Result struct {
	EventID  string
	Status   df.Status // Done, Skipped, Quarantined, Failed (try again) or Pending (not tried)
	Reason   string
	Error    string // safe text of the failure, kept in the event's history
	RetryAt  time.Time
	PersonID string
	MoveTo   string // the lane the event belongs to; it is moved there, still open
	// Postponed, with Failed, says that nothing was tried because an upstream's
	// budget is used up: the event waits until RetryAt, and no try is counted.
	Postponed bool
}

// count adds open events to lanes and finds those that were idle, whose
// doorbells must be rung. Lanes are locked in sorted order.
type count struct {
	counts map[string]int
	now    time.Time
	idle   []string
}

func newCount(counts map[string]int, now time.Time) *count { return &count{counts: counts, now: now} }

func (c *count) steps() []Step { return inChunks(sortedKeys(c.counts), c.step) }

func (c *count) step(keys []string) Step {
	args := make([]any, 0, 3*len(keys))
	for _, key := range keys {
		args = append(args, key, c.counts[key], c.now)
	}
	return Step{
		Query: `INSERT INTO lanes (key, queued, rung_at) VALUES ` + tuples(len(keys), 3, 0) + `
			ON CONFLICT (key) DO UPDATE SET queued = lanes.queued + excluded.queued,
				rung_at = CASE WHEN lanes.queued + lanes.nudges = 0 THEN excluded.rung_at ELSE lanes.rung_at END
			RETURNING key, queued + nudges`,
		Args: args,
		Scan: func(row Row) error {
			var key string
			var waiting int
			err := row.Scan(&key, &waiting)
			if waiting == c.counts[key] {
				c.idle = append(c.idle, key)
			}
			return err
		},
	}
}

// countIn adds open events to lanes and returns the lanes that were idle.
func countIn(ctx context.Context, tx Tx, counts map[string]int, now time.Time) ([]string, error) {
	c := newCount(counts, now)
	if len(counts) == 0 {
		return nil, nil
	}
	err := tx.Pipeline(ctx, c.steps()...)
	return c.idle, err
}

// ring inserts one doorbell for each lane.
func ring(ctx context.Context, tx Tx, lanes []string) error {
	if len(lanes) == 0 {
		return nil
	}
	jobs := make([]river.InsertManyParams, len(lanes))
	for i, lane := range lanes {
		jobs[i] = river.InsertManyParams{Args: DrainArgs{Lane: lane}}
	}
	return tx.InsertJobs(ctx, jobs)
}

// Nudge asks for one convergence of a lane without any event, and rings its
// doorbell. Several nudges that wait together cost one convergence.
func (s *Store) Nudge(ctx context.Context, lane string, now time.Time) error {
	return s.InTx(ctx, func(tx Tx) error {
		bell, err := nudge(ctx, tx, lane, now)
		if err != nil {
			return err
		}
		return ring(ctx, tx, bell)
	})
}

// nudge counts a nudge into a lane and returns the lane if its bell is to be rung.
func nudge(ctx context.Context, tx Tx, lane string, now time.Time) (bell []string, err error) {
	var waiting int64
	err = tx.Row(ctx, `INSERT INTO lanes (key, nudges, rung_at) VALUES ($1, 1, $2)
		ON CONFLICT (key) DO UPDATE SET nudges = lanes.nudges + 1,
			rung_at = CASE WHEN lanes.queued + lanes.nudges = 0 THEN excluded.rung_at ELSE lanes.rung_at END
		RETURNING queued + nudges`, lane, now).Scan(&waiting)
	if err != nil || waiting > 1 {
		return nil, err
	}
	return []string{lane}, nil
}

// TakeTurn leases a lane to owner until the given time and hands out its oldest
// open events, at most limit, marked as processing with one attempt more: an
// attempt counts before it is made, so that an event that kills its worker is
// found out. It returns false when the lane is somebody else's, is empty, or
// waits for its head event's next attempt.
func (s *Store) TakeTurn(ctx context.Context, lane, owner string, limit int, now, until time.Time) (Turn, bool, error) {
	turn := Turn{Lease: Lease{Lane: lane}}
	taken := false
	err := s.InTx(ctx, func(tx Tx) error {
		err := tx.Row(ctx, `UPDATE lanes SET fence = fence + 1, owner = $2, lease_until = $3
			WHERE key = $1 AND queued + nudges > 0 AND (lease_until IS NULL OR lease_until <= $4)
				AND (wake_at IS NULL OR wake_at <= $4)
			RETURNING fence, nudges`, lane, owner, until, now).Scan(&turn.Lease.Fence, &turn.Nudges)
		if errors.Is(err, ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		taken = true
		turn.Events, err = takeEvents(ctx, tx, lane, limit)
		return err
	})
	if err != nil {
		return Turn{}, false, fmt.Errorf("take turn: %w", err)
	}
	return turn, taken, nil
}

func takeEvents(ctx context.Context, tx Tx, lane string, limit int) ([]df.Event, error) {
	var events []df.Event
	err := tx.Each(ctx, `SELECT `+fullEvent+` FROM webhook_events
		WHERE lane = $1 AND status IN ('pending', 'processing', 'error') ORDER BY seq LIMIT $2`,
		[]any{lane, limit}, func(row Row) error {
			e, err := scanEvent(row)
			e.Status = df.Processing
			e.Attempts++
			events = append(events, e)
			return err
		})
	if err != nil || len(events) == 0 {
		return nil, err
	}
	// An event that failed before is tried alone, so that its neighbours are
	// not blamed for it.
	if events[0].Attempts > 1 {
		events = events[:1]
	}
	ids := make([]string, len(events))
	for i := range events {
		ids[i] = events[i].ID
	}
	_, err = tx.Exec(ctx, `UPDATE webhook_events SET status = 'processing', attempts = attempts + 1
		WHERE id IN (`+list(len(ids), 0)+`)`, anys(ids)...)
	return events, err
}

// InLease runs f in a transaction that holds the lane's row and fails with
// ErrLeaseLost when the lease is no longer the newest.
func (s *Store) InLease(ctx context.Context, lease Lease, f func(Tx) error) error {
	return s.InTx(ctx, func(tx Tx) error {
		held, err := tx.Exec(ctx, `UPDATE lanes SET fence = fence WHERE key = $1 AND fence = $2`, lease.Lane, lease.Fence)
		if err != nil {
			return err
		}
		if held == 0 {
			return ErrLeaseLost
		}
		return f(tx)
	})
}

// RenewLease extends a lease. It returns ErrLeaseLost when somebody else has
// taken the lane.
func (s *Store) RenewLease(ctx context.Context, lease Lease, until time.Time) error {
	held, err := s.Exec(ctx, `UPDATE lanes SET lease_until = $3 WHERE key = $1 AND fence = $2`,
		lease.Lane, lease.Fence, until)
	if err != nil {
		return fmt.Errorf("renew lease: %w", err)
	}
	if held == 0 {
		return ErrLeaseLost
	}
	return nil
}

// FinishTurn records the results of a turn and gives the lease back, in one
// transaction. nudges is what Turn.Nudges said, or 0 when they were not
// answered. wake, when not zero, keeps the lane shut until then. It returns how
// much the lane still has to do; the caller then takes another turn or, with a
// wake time, lets the doorbell ring again later.
func (s *Store) FinishTurn(ctx context.Context, lease Lease, results []Result, nudges int64, now, wake time.Time) (int64, error) {
	var left int64
	err := s.InTx(ctx, func(tx Tx) error {
		if err := lockLanes(ctx, tx, lease, results); err != nil {
			return err
		}
		if err := recordResults(ctx, tx, results, now); err != nil {
			return err
		}
		if err := moveEvents(ctx, tx, results, now); err != nil {
			return err
		}
		// The count is made anew under the lane's lock rather than carried
		// along, so that an operator's quarantine or release in mid-turn
		// cannot make it drift.
		return tx.Row(ctx, `UPDATE lanes SET lease_until = NULL, owner = NULL, wake_at = $3,
			nudges = nudges - $4, rung_at = $5, queued = (`+openInLane+`)
			WHERE key = $1 AND fence = $2 RETURNING queued + nudges`,
			lease.Lane, lease.Fence, wake, nudges, now).Scan(&left)
	})
	if err != nil {
		return 0, fmt.Errorf("finish turn: %w", err)
	}
	return left, nil
}

const openInLane = `SELECT count(*) FROM webhook_events
	WHERE lane = $1 AND status IN ('pending', 'processing', 'error')`

// lockLanes locks the leased lane and those that events move to, in sorted order.
func lockLanes(ctx context.Context, tx Tx, lease Lease, results []Result) error {
	lanes := map[string]bool{lease.Lane: true}
	for _, r := range results {
		if r.MoveTo != "" {
			lanes[r.MoveTo] = true
		}
	}
	for _, key := range sortedKeys(lanes) {
		if key != lease.Lane {
			if _, err := tx.Exec(ctx, `INSERT INTO lanes (key) VALUES ($1)
				ON CONFLICT (key) DO UPDATE SET fence = lanes.fence`, key); err != nil {
				return err
			}
			continue
		}
		held, err := tx.Exec(ctx, `UPDATE lanes SET fence = fence WHERE key = $1 AND fence = $2`, key, lease.Fence)
		if err != nil {
			return err
		}
		if held == 0 {
			return ErrLeaseLost
		}
	}
	return nil
}

// recordResults writes the new state of the events, one statement for all that
// ended alike.
func recordResults(ctx context.Context, tx Tx, results []Result, now time.Time) error {
	groups := map[string][]Result{}
	for _, r := range results {
		key := strings.Join([]string{string(r.Status), r.Reason, r.Error, r.RetryAt.UTC().String(), r.PersonID}, "\x00")
		groups[key] = append(groups[key], r)
	}
	for _, key := range sortedKeys(groups) {
		group := groups[key]
		if err := recordAlike(ctx, tx, group[0], group, now); err != nil {
			return err
		}
	}
	return recordFailures(ctx, tx, results, now)
}

func recordAlike(ctx context.Context, tx Tx, r Result, group []Result, now time.Time) error {
	var processed time.Time
	if !r.Status.Open() {
		processed = now
	}
	untried := 0
	if r.Status == df.Pending {
		untried = 1 // the attempt that TakeTurn counted was not made
	}
	args := []any{string(r.Status), null(r.Reason), null(r.Error), r.RetryAt, null(r.PersonID), processed, untried}
	before := len(args)
	for _, one := range group {
		args = append(args, one.EventID)
	}
	_, err := tx.Exec(ctx, `UPDATE webhook_events SET status = $1, reason = $2,
		error_message = CASE WHEN $1 = 'pending' THEN error_message ELSE $3 END,
		next_attempt_at = $4, person_id = COALESCE($5, person_id), processed_at = $6, attempts = attempts - $7
		WHERE status = 'processing' AND id IN (`+list(len(group), before)+`)`, args...)
	return err
}

func recordFailures(ctx context.Context, tx Tx, results []Result, now time.Time) error {
	for _, r := range results {
		if r.Error == "" {
			continue
		}
		_, err := tx.Exec(ctx, `INSERT INTO webhook_attempts (event_id, attempt, at, outcome, error)
			VALUES ($1, COALESCE((SELECT attempts FROM webhook_events WHERE id = $1), 0), $2, $3, $4)
			ON CONFLICT DO NOTHING`, r.EventID, now, string(r.Status), r.Error)
		if err != nil {
			return err
		}
	}
	return nil
}

// moveEvents puts events into the lanes they turned out to belong to. They keep
// their seq, so they stay in the order of acceptance there.
func moveEvents(ctx context.Context, tx Tx, results []Result, now time.Time) error {
	moved := map[string]int{}
	for _, r := range results {
		if r.MoveTo == "" {
			continue
		}
		if _, err := tx.Exec(ctx, `UPDATE webhook_events SET lane = $2 WHERE id = $1`, r.EventID, r.MoveTo); err != nil {
			return err
		}
		moved[r.MoveTo]++
	}
	idle, err := countIn(ctx, tx, moved, now)
	if err != nil {
		return err
	}
	return ring(ctx, tx, idle)
}

// Ring rings a lane's doorbell again, for a worker that stops between turns to
// let other lanes have theirs.
func (s *Store) Ring(ctx context.Context, lane string) error {
	return s.InTx(ctx, func(tx Tx) error { return ring(ctx, tx, []string{lane}) })
}

// RingWaiting rings the doorbells of lanes that have work and belong to nobody:
// those whose wake time has come, and those last rung before rungBefore, whose
// bell was lost with a worker that died. It rings at most limit and returns how
// many it rang.
func (s *Store) RingWaiting(ctx context.Context, now, rungBefore time.Time, limit int) (int, error) {
	var due []string
	err := s.InTx(ctx, func(tx Tx) error {
		due = due[:0]
		err := tx.Each(ctx, `UPDATE lanes SET rung_at = $1, wake_at = NULL
			WHERE key IN (SELECT key FROM lanes WHERE `+waiting+` ORDER BY rung_at LIMIT $3) AND `+waiting+`
			RETURNING key`, []any{now, rungBefore, limit}, func(row Row) error {
			var key string
			err := row.Scan(&key)
			due = append(due, key)
			return err
		})
		if err != nil {
			return err
		}
		return ring(ctx, tx, due)
	})
	if err != nil {
		return 0, fmt.Errorf("ring waiting lanes: %w", err)
	}
	return len(due), nil
}

const waiting = `queued + nudges > 0 AND (lease_until IS NULL OR lease_until <= $1)
	AND ((wake_at IS NOT NULL AND wake_at <= $1) OR (wake_at IS NULL AND rung_at <= $2))`

// FreeLeases ends all leases. A process that owns its database alone (SQLite)
// calls it when it starts: whoever held them is dead.
func (s *Store) FreeLeases(ctx context.Context) error {
	_, err := s.Exec(ctx, `UPDATE lanes SET lease_until = NULL, owner = NULL WHERE lease_until IS NOT NULL`)
	return err
}

// LaneRow is a lane that has something to do.
type LaneRow struct {
	Key        string
	Queued     int64  // open events
	Nudges     int64  // convergences asked for without an event
	Owner      string // the process that works it; "" for none
	LeaseUntil time.Time
	WakeAt     time.Time // not before this time, because its oldest event waits for a retry
	RungAt     time.Time // when its bell was last rung
}

const laneColumns = `key, queued, nudges, owner, lease_until, wake_at, rung_at`

func scanLane(row Row) (LaneRow, error) {
	var l LaneRow
	err := row.Scan(&l.Key, &l.Queued, &l.Nudges, scanText(&l.Owner), scanTime(&l.LeaseUntil), scanTime(&l.WakeAt), scanTime(&l.RungAt))
	return l, err
}

// LanesThatWait lists lanes that have something to do: those with the oldest bell
// first.
func (s *Store) LanesThatWait(ctx context.Context, limit int) ([]LaneRow, error) {
	var lanes []LaneRow
	err := s.Each(ctx, `SELECT `+laneColumns+` FROM lanes WHERE queued + nudges > 0
		ORDER BY rung_at, key LIMIT $1`, []any{max(1, min(limit, 1000))}, func(row Row) error {
		l, err := scanLane(row)
		lanes = append(lanes, l)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list lanes: %w", err)
	}
	return lanes, nil
}

// LaneOf returns a lane and its oldest open event, which is what is worked next.
// Both are zero for a lane that nothing ever was in.
func (s *Store) LaneOf(ctx context.Context, key string) (LaneRow, df.Event, error) {
	lane, err := scanLane(s.Row(ctx, `SELECT `+laneColumns+` FROM lanes WHERE key = $1`, key))
	if errors.Is(err, ErrNoRows) {
		return LaneRow{}, df.Event{}, nil
	}
	if err != nil {
		return lane, df.Event{}, fmt.Errorf("read lane: %w", err)
	}
	head, err := scanEvent(s.Row(ctx, `SELECT `+fullEvent+` FROM webhook_events WHERE lane = $1
		AND status IN ('pending', 'processing', 'error') ORDER BY seq LIMIT 1`, key))
	if errors.Is(err, ErrNoRows) {
		return lane, df.Event{}, nil
	}
	if err != nil {
		return lane, head, fmt.Errorf("read the head of a lane: %w", err)
	}
	return lane, head, nil
}

// WaitingLanes counts the lanes that have something to do.
func (s *Store) WaitingLanes(ctx context.Context) (int64, error) {
	var n int64
	err := s.Row(ctx, `SELECT count(*) FROM lanes WHERE queued + nudges > 0`).Scan(&n)
	return n, err
}

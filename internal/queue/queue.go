package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/riverqueue/river"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/observe"
	"github.com/df-middleware/dfm/internal/store"
)

const (
	turnSize   = 50               // events handed out at once
	turnTime   = 25 * time.Second // for one turn's handler
	drainTime  = 5 * time.Second  // after which a drain lets other lanes have a worker
	leaseTime  = 30 * time.Second // renewed every third of it
	keepEvery  = time.Second      // how often waiting lanes are looked for
	cutOffTime = 5 * time.Second  // for turns to be recorded that are cut off while stopping
	lostAfter  = 20 * time.Second // after which an unanswered bell is rung again

	jobTimeout  = drainTime + turnTime + 15*time.Second
	rescueAfter = jobTimeout + 15*time.Second
)

// Handler handles the events of one lane, oldest first, under its lease. It
// returns one result per event that it handled; events without a result count
// as not tried. An error means that the turn as a whole failed: its first event
// is tried again, the others wait. The lane's nudges ask for one convergence
// even when there is no event.
type Handler interface {
	Handle(ctx context.Context, turn store.Turn) ([]store.Result, error)
}

// Lanes is what the queue needs of the store.
type Lanes interface {
	TakeTurn(ctx context.Context, lane, owner string, limit int, now, until time.Time) (store.Turn, bool, error)
	FinishTurn(ctx context.Context, lease store.Lease, results []store.Result, nudges int64, now, wake time.Time) (int64, error)
	RenewLease(ctx context.Context, lease store.Lease, until time.Time) error
	Ring(ctx context.Context, lane string) error
	RingWaiting(ctx context.Context, now, rungBefore time.Time, limit int) (int, error)
	StartJobs(ctx context.Context, config *river.Config) (store.JobClient, error)
}

// Config says how to work.
type Config struct {
	Owner   string // names this process in leases
	Workers int    // lanes drained at once in this process; 0 leaves events to others
	Leader  bool   // run the schedules when elected for them
	Retry   RetryPolicy
	Handler Handler
	Clock   df.Clock
	Log     *slog.Logger
	JobLog  *slog.Logger // for River itself; Log when nil
	// Schedules run at their intervals, each by one instance at a time.
	Schedules []Schedule
	// Tracer goes on with the traces of events; nil traces nothing.
	Tracer *observe.Tracer
	// Tasks are worked by the processes that work events.
	Tasks []Task
	// Observe, when set, is told of every event that a turn finished with.
	Observe func(source df.Source, status df.Status, waited time.Duration)
}

// Schedule is something that one instance does at a fixed interval.
type Schedule struct {
	Name  string
	Every time.Duration
	Run   func(ctx context.Context) error
}

// Queue works lanes. Start it once; Stop it before its store is closed.
type Queue struct {
	lanes  Lanes
	config Config
	client store.JobClient
	cancel context.CancelFunc
	keeper sync.WaitGroup
}

// New returns a queue that is not started yet.
func New(lanes Lanes, config Config) *Queue {
	return &Queue{lanes: lanes, config: config}
}

// Start begins to work. It returns when workers are listening for doorbells.
func (q *Queue) Start(ctx context.Context) error {
	workers := river.NewWorkers()
	river.AddWorker(workers, &drainer{q: q})
	river.AddWorker(workers, newTasks(q.config))
	river.AddWorker(workers, &scheduled{byName: schedulesByName(q.config.Schedules)})
	client, err := q.lanes.StartJobs(context.WithoutCancel(ctx), &river.Config{
		ID:                          q.config.Owner,
		Workers:                     workers,
		Queues:                      q.queues(),
		FetchCooldown:               5 * time.Millisecond,
		FetchPollInterval:           250 * time.Millisecond,
		JobTimeout:                  jobTimeout,
		RescueStuckJobsAfter:        rescueAfter,
		RetryPolicy:                 doorbellRetry{q.config.Clock},
		CompletedJobRetentionPeriod: time.Hour,
		PeriodicJobs:                periodic(q.config.Schedules),
		Logger:                      q.config.jobLog(),
	})
	if err != nil {
		return fmt.Errorf("start queue: %w", err)
	}
	q.client = client
	if q.config.Workers == 0 {
		return nil
	}
	// Whatever waits and belongs to nobody may have lost its bell with the
	// process that ran here before.
	now := q.config.Clock()
	if _, err := q.lanes.RingWaiting(ctx, now, now, 10_000); err != nil {
		return errors.Join(err, client.StopAndCancel(ctx))
	}
	keeping, cancel := context.WithCancel(context.WithoutCancel(ctx))
	q.cancel = cancel
	q.keeper.Go(func() { q.keepLanes(keeping) })
	return nil
}

func (c Config) jobLog() *slog.Logger {
	if c.JobLog != nil {
		return c.JobLog
	}
	return c.Log
}

// queues says which jobs this process works. Any process may be elected to
// insert the schedules' jobs, but only those with the role run them.
func (q *Queue) queues() map[string]river.QueueConfig {
	queues := map[string]river.QueueConfig{}
	if q.config.Workers > 0 {
		queues[store.QueueEvents] = river.QueueConfig{MaxWorkers: q.config.Workers}
		queues[store.QueueTasks] = river.QueueConfig{MaxWorkers: taskWorkers}
	}
	if q.config.Leader {
		queues[queueSchedules] = river.QueueConfig{MaxWorkers: 4}
	}
	return queues
}

// Stop stops taking work and lets running turns finish until shortly before the
// deadline of ctx, then cuts them off: their lanes are given back, and what was
// cut off is taken up again by another worker.
func (q *Queue) Stop(ctx context.Context) error {
	if q.client == nil {
		return nil
	}
	if q.cancel != nil {
		q.cancel()
		q.keeper.Wait()
	}
	patient, cancel := q.patience(ctx)
	err := q.client.Stop(patient)
	cancel()
	if err == nil {
		return nil
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), cutOffTime)
	defer cancel()
	return q.client.StopAndCancel(last)
}

// patience ends early enough before ctx for turns to be cut off and recorded.
func (q *Queue) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	left := time.Until(deadline)
	return context.WithTimeout(ctx, left-min(cutOffTime, left/2))
}

// keepLanes rings the bells of lanes whose time has come or whose worker died.
func (q *Queue) keepLanes(ctx context.Context) {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := q.config.Clock()
		_, err := q.lanes.RingWaiting(ctx, now, now.Add(-lostAfter), 500)
		if err != nil && !failing && ctx.Err() == nil {
			q.config.Log.Error("waiting lanes cannot be looked for", "error", err)
		}
		failing = err != nil
	}
}

// doorbellRetry tries a failed or rescued doorbell again soon: the patience of
// failed events is kept in their lane, not in the job.
type doorbellRetry struct{ clock df.Clock }

func (r doorbellRetry) NextRetry(job *jobRow) time.Time {
	return r.clock().Add(time.Duration(min(job.Attempt, 30)) * time.Second)
}

type drainer struct {
	river.WorkerDefaults[store.DrainArgs]
	q *Queue
}

// Work answers one doorbell: it takes turns at the lane until it is empty, must
// wait, belongs to somebody else, or has had its share of time.
func (d *drainer) Work(ctx context.Context, job *river.Job[store.DrainArgs]) error {
	lanes := []string{job.Args.Lane}
	start := d.q.config.Clock()
	for len(lanes) > 0 {
		lane := lanes[0]
		more, moved, err := d.q.turn(ctx, lane)
		if err != nil {
			return err
		}
		// Events that turned out to belong to another lane are followed
		// there at once. Its bell has been rung too, for the case that this
		// worker dies; whoever answers it second finds nothing to do.
		lanes = append(lanes, moved...)
		if !more {
			lanes = lanes[1:]
			continue
		}
		if d.q.config.Clock().Sub(start) > drainTime {
			return d.q.lanes.Ring(ctx, lane)
		}
	}
	return nil
}

// turn takes one turn at a lane. It reports whether there is more to do at once,
// and to which lanes events were moved.
func (q *Queue) turn(ctx context.Context, lane string) (more bool, moved []string, err error) {
	now := q.config.Clock()
	turn, ok, err := q.lanes.TakeTurn(ctx, lane, q.config.Owner, turnSize, now, now.Add(leaseTime))
	if err != nil || !ok {
		return false, nil, err
	}
	ctx, span := q.resume(ctx, turn)
	defer func() { span.End(observe.FailureOf(err)) }()
	results, nudges := q.handleOrGiveUp(ctx, turn)
	now = q.config.Clock()
	settled, wake := q.config.Retry.Apply(turn.Events, results, now)
	if nudges == 0 && turn.Nudges > 0 && wake.IsZero() {
		wake = now.Add(q.config.Retry.Backoff(1))
	}
	// The turn's effects are done; its record is written even while stopping.
	saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	left, err := q.lanes.FinishTurn(saving, turn.Lease, settled, nudges, now, wake)
	if errors.Is(err, store.ErrLeaseLost) {
		q.config.Log.WarnContext(ctx, "a lane was taken over in mid-turn; its record is left to the new worker", "lane", lane)
		return false, nil, nil
	}
	if err != nil {
		return false, nil, err
	}
	q.observe(turn.Events, settled, now)
	return left > 0 && wake.IsZero(), movedTo(settled), nil
}

// resume goes on with the traces of a turn's events, the oldest first.
func (q *Queue) resume(ctx context.Context, turn store.Turn) (context.Context, *observe.Span) {
	kept := make([]string, 0, len(turn.Events))
	for _, e := range turn.Events {
		kept = append(kept, e.Trace)
	}
	ctx, span := q.config.Tracer.Resume(ctx, "lane turn", kept)
	span.Number("dfm.events", len(turn.Events))
	span.Number("dfm.nudges", int(turn.Nudges))
	if len(turn.Events) == 0 {
		return ctx, span
	}
	span.Text("dfm.event_id", turn.Events[0].ID)
	span.Text("dfm.source", string(turn.Events[0].Source))
	span.Text("dfm.kind", string(turn.Events[0].Notice.Kind))
	return observe.WithEvent(ctx, turn.Events[0].ID), span
}

// movedTo lists the lanes that events were moved to, each once.
func movedTo(results []store.Result) []string {
	var lanes []string
	for _, r := range results {
		if r.MoveTo != "" && !slices.Contains(lanes, r.MoveTo) {
			lanes = append(lanes, r.MoveTo)
		}
	}
	return lanes
}

// handleOrGiveUp does not hand out an event any more whose worker died on every
// try: whatever it does, it does to the process, and no result ever tells.
func (q *Queue) handleOrGiveUp(ctx context.Context, turn store.Turn) ([]store.Result, int64) {
	if len(turn.Events) > 0 && turn.Events[0].Attempts > q.config.Retry.Limit+1 {
		q.config.Log.Error("an event was quarantined because its worker never came back", "event", turn.Events[0].ID)
		return []store.Result{{
			EventID: turn.Events[0].ID, Status: df.Quarantined, Reason: "its worker died on every try",
		}}, 0
	}
	return q.handle(ctx, turn)
}

// handle runs the handler under the lease and returns its results and how many
// nudges it answered. A failure of the whole turn is put to its first event.
func (q *Queue) handle(ctx context.Context, turn store.Turn) ([]store.Result, int64) {
	working, cancel := context.WithTimeout(ctx, turnTime)
	defer cancel()
	stop := q.renew(working, cancel, turn.Lease)
	results, err := q.call(working, turn)
	stop()
	if err == nil {
		return results, turn.Nudges
	}
	q.config.Log.ErrorContext(ctx, "a turn failed", "lane", turn.Lease.Lane, "events", len(turn.Events), "error", err)
	if len(turn.Events) == 0 {
		return nil, 0
	}
	_, retryAt := df.OutcomeOf(err)
	return []store.Result{{
		EventID: turn.Events[0].ID, Status: df.Failed, Error: safeText(err), RetryAt: retryAt,
	}}, 0
}

// call turns a panic of the handler into an error: one bad event must not end
// the process that serves all others.
func (q *Queue) call(ctx context.Context, turn store.Turn) (results []store.Result, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			q.config.Log.ErrorContext(ctx, "a handler panicked", "lane", turn.Lease.Lane, "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	return q.config.Handler.Handle(ctx, turn)
}

var errPanic = &df.Error{Code: "INTERNAL", Message: "the handler crashed on this event; see the log"}

// safeText returns what may be kept in an event's history and shown.
func safeText(err error) string {
	var call *df.CallError
	var known *df.Error
	switch {
	case errors.As(err, &call):
		return call.Error()
	case errors.As(err, &known):
		return known.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "the turn took too long"
	case errors.Is(err, context.Canceled):
		return "the worker stopped in mid-turn"
	default:
		return "INTERNAL: something went wrong on our side; see the log"
	}
}

// renew keeps the lease alive while a turn works, and cancels the turn when the
// lease is lost. The returned function ends it.
func (q *Queue) renew(ctx context.Context, cancel context.CancelFunc, lease store.Lease) (stop func()) {
	done := make(chan struct{})
	var renewing sync.WaitGroup
	renewing.Go(func() {
		ticker := time.NewTicker(leaseTime / 3)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				err := q.lanes.RenewLease(ctx, lease, q.config.Clock().Add(leaseTime))
				if errors.Is(err, store.ErrLeaseLost) {
					cancel()
					return
				}
			}
		}
	})
	return func() {
		close(done)
		renewing.Wait()
	}
}

func (q *Queue) observe(events []df.Event, results []store.Result, now time.Time) {
	if q.config.Observe == nil {
		return
	}
	for i, r := range results {
		if r.MoveTo == "" && r.Status != df.Pending {
			q.config.Observe(events[i].Source, r.Status, now.Sub(events[i].ReceivedAt))
		}
	}
}

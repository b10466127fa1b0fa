package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Task is something done beside the lanes, one job for each time it is wanted
// (store.InsertTasks), with tries and pauses like an event's.
type Task struct {
	Name string
	// Run does it for what the id names. last says that there will be no
	// further try. The verdict in its error decides: what is refused is not
	// tried again, and what waits for an upstream's budget counts no try.
	Run func(ctx context.Context, id string, last bool) error
}

const (
	taskWorkers = 16
	taskTime    = time.Minute
)

type tasks struct {
	river.WorkerDefaults[store.TaskArgs]
	byName map[string]Task
	retry  RetryPolicy
	clock  df.Clock
}

func newTasks(c Config) *tasks {
	t := &tasks{byName: make(map[string]Task, len(c.Tasks)), retry: c.Retry, clock: c.Clock}
	for _, task := range c.Tasks {
		t.byName[task.Name] = task
	}
	return t
}

// Timeout bounds one try.
func (*tasks) Timeout(*river.Job[store.TaskArgs]) time.Duration { return taskTime }

// NextRetry pauses as failed events do.
func (t *tasks) NextRetry(job *river.Job[store.TaskArgs]) time.Time {
	return t.clock().Add(t.retry.Backoff(job.Attempt))
}

// Work makes one try. A name that this instance does not have belongs to another
// release and waits for it.
func (t *tasks) Work(ctx context.Context, job *river.Job[store.TaskArgs]) error {
	task, ok := t.byName[job.Args.Name]
	if !ok {
		return river.JobSnooze(time.Minute)
	}
	err := task.Run(ctx, job.Args.ID, job.Attempt >= job.MaxAttempts)
	if err == nil {
		return nil
	}
	outcome, retryAt := df.OutcomeOf(err)
	failure := errors.New(safeText(err)) // River keeps its text
	switch {
	case df.IsCode(err, df.CodeRateLimited):
		return river.JobSnooze(max(retryAt.Sub(t.clock()), time.Second))
	case outcome == df.Refused && !df.IsCode(err, df.CodeUnauthorized):
		return river.JobCancel(failure)
	}
	return fmt.Errorf("%s: %w", task.Name, failure)
}

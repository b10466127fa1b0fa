package store

import (
	"context"

	"github.com/riverqueue/river"
)

// QueueTasks holds the jobs that are about one thing each and need no order.
const QueueTasks = "tasks"

// TaskArgs is one thing to be done beside the lanes, with tries of its own. What
// it is about is in the database; the job only names it.
type TaskArgs struct {
	Name string `json:"name"`
	ID   string `json:"id"`
}

// Kind names the job in River's tables and UI.
func (TaskArgs) Kind() string { return "task" }

// InsertOpts sends tasks to a queue of their own.
func (TaskArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{Queue: QueueTasks} }

// InsertTasks adds tasks to a transaction, each to be tried at most so often.
func InsertTasks(ctx context.Context, tx Tx, tries int, tasks ...TaskArgs) error {
	if len(tasks) == 0 {
		return nil
	}
	jobs := make([]river.InsertManyParams, len(tasks))
	for i, task := range tasks {
		jobs[i] = river.InsertManyParams{Args: task, InsertOpts: &river.InsertOpts{Queue: QueueTasks, MaxAttempts: tries}}
	}
	return tx.InsertJobs(ctx, jobs)
}

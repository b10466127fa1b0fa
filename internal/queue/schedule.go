package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

const queueSchedules = "schedules"

type jobRow = rivertype.JobRow

// scheduleArgs is one run of a schedule.
type scheduleArgs struct {
	Name string `json:"name"`
}

// Kind names the job in River's tables and UI.
func (scheduleArgs) Kind() string { return "schedule" }

// InsertOpts keeps runs from piling up: one that waits is enough, and one that
// fails is made up for by the next.
func (scheduleArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue:       queueSchedules,
		MaxAttempts: 1,
		UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning,
			rivertype.JobStateRetryable, rivertype.JobStateScheduled,
		}},
	}
}

func schedulesByName(schedules []Schedule) map[string]Schedule {
	byName := make(map[string]Schedule, len(schedules))
	for _, s := range schedules {
		byName[s.Name] = s
	}
	return byName
}

// periodic hands the schedules to River, whose elected leader inserts their
// jobs, so that each runs once however many instances there are.
func periodic(schedules []Schedule) []*river.PeriodicJob {
	jobs := make([]*river.PeriodicJob, len(schedules))
	for i, s := range schedules {
		jobs[i] = river.NewPeriodicJob(river.PeriodicInterval(s.Every),
			func() (river.JobArgs, *river.InsertOpts) { return scheduleArgs{Name: s.Name}, nil },
			&river.PeriodicJobOpts{ID: s.Name, RunOnStart: true})
	}
	return jobs
}

type scheduled struct {
	river.WorkerDefaults[scheduleArgs]
	byName map[string]Schedule
}

// Timeout gives a scheduled run longer than a doorbell.
func (*scheduled) Timeout(*river.Job[scheduleArgs]) time.Duration { return 30 * time.Minute }

// Work runs a schedule. A name that this instance does not have belongs to
// another release and is left to it.
func (w *scheduled) Work(ctx context.Context, job *river.Job[scheduleArgs]) error {
	s, ok := w.byName[job.Args.Name]
	if !ok {
		return river.JobCancel(fmt.Errorf("no schedule %q in this release", job.Args.Name))
	}
	return s.Run(ctx)
}

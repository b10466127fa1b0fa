package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/df-middleware/dfm/internal/observe"
	"github.com/df-middleware/dfm/internal/queue"
)

// buildQueue makes what works events and schedules.
func (a *App) buildQueue() error {
	workers := 0
	if a.config.Has(RoleWorker) {
		workers = a.config.Workers
	}
	if workers == 0 && !a.config.Has(RoleScheduler) {
		return nil
	}
	schedules := []queue.Schedule{
		{Name: "process-pending", Every: 5 * time.Minute, Run: a.ringPending},
		{Name: "prune", Every: time.Hour, Run: a.prune},
		{Name: "retention", Every: time.Hour, Run: a.forget},
		{Name: "alerts", Every: watchEvery, Run: a.checkAlerts},
		{Name: "figures", Every: time.Minute, Run: a.keepFigures},
		{Name: "late-consent", Every: 15 * time.Minute, Run: a.lateConsent},
		a.replaySchedule(),
	}
	schedules = append(schedules, a.sweepSchedule()...)
	schedules = append(schedules, a.backupSchedule()...)
	if a.config.Lists.Sync {
		schedules = append(schedules, queue.Schedule{Name: "lists", Every: 5 * time.Minute, Run: a.lists.desk.Converge})
	}
	a.queue = queue.New(a.store, queue.Config{
		Owner: a.name, Workers: workers, Leader: a.config.Has(RoleScheduler),
		Retry:   a.retryPolicy(),
		Handler: a.sync, Clock: a.clock, Log: a.log, JobLog: a.jobLog(), Tracer: a.tracer, Observe: a.metrics.Event,
		Tasks:     []queue.Task{a.forwardTask()},
		Schedules: schedules,
	})
	return nil
}

func (a *App) retryPolicy() queue.RetryPolicy {
	return queue.RetryPolicy{Limit: a.config.RetryLimit, Delay: a.config.RetryDelay}
}

// jobLog is where River, whose daily work is no news, says what goes wrong.
func (a *App) jobLog() *slog.Logger {
	return slog.New(newSparing(observe.Quiet(a.log).Handler(), a.clock))
}

// ringPending rings for whatever waits without a reason: what an external cron
// did for the original system.
func (a *App) ringPending(ctx context.Context) error {
	now := a.clock()
	rang, err := a.store.RingWaiting(ctx, now, now.Add(-time.Minute), 10_000)
	if rang > 0 {
		a.log.Info("lanes that waited without a bell were rung", "lanes", rang)
	}
	return err
}

// findingsFor is how long it is remembered which webhooks were missed.
const findingsFor = 90 * 24 * time.Hour

// prune forgets what only the running system needs.
func (a *App) prune(ctx context.Context) error {
	now := a.clock()
	if _, err := a.store.PruneDedupe(ctx, now); err != nil {
		return err
	}
	if _, err := a.store.PruneConsoleSessions(ctx, now); err != nil {
		return err
	}
	if err := a.pruneAlerts(ctx); err != nil {
		return err
	}
	if _, err := a.store.PruneFindings(ctx, now.Add(-findingsFor)); err != nil {
		return err
	}
	if err := a.store.PruneChats(ctx, now.Add(-a.config.Chat.Retention)); err != nil {
		return err
	}
	lost, err := a.store.GiveUpForwards(ctx, now.Add(-a.retryPolicy().Longest()), now)
	if err != nil {
		return err
	}
	if lost > 0 {
		a.log.ErrorContext(ctx, "webhooks of GHL's were given up: nothing was heard of their last try", "webhooks", lost)
	}
	if _, err := a.store.PruneForwards(ctx, now.Add(-pruneAfter)); err != nil {
		return err
	}
	if _, err := a.store.PruneWrites(ctx, now.Add(-pruneAfter)); err != nil {
		return err
	}
	return a.fillWords(ctx)
}

// fillWords makes people findable whom an instance added that runs the release
// before, which knows of no such lines.
func (a *App) fillWords(ctx context.Context) error {
	n, err := a.store.FillWords(ctx)
	if n > 0 {
		a.log.InfoContext(ctx, "people who could not be searched for can be", "people", n)
	}
	return err
}

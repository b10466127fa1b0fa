package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/queue"
	"github.com/df-middleware/dfm/internal/replay"
	"github.com/df-middleware/dfm/internal/store"
)

// replaying is everything about bulk replays.
type replaying struct {
	desk *replay.Desk
	ask  chan struct{} // there is a new one
}

// buildReplays makes it.
func (a *App) buildReplays() error {
	a.replays = &replaying{ask: make(chan struct{}, 1), desk: &replay.Desk{
		Store: a.store, Looker: a.sync.converger, Clock: a.clock, NewID: a.newID, Log: a.log,
	}}
	return nil
}

// replaySchedule takes over replays whose process ended, or that the command line
// started.
func (a *App) replaySchedule() queue.Schedule {
	return queue.Schedule{Name: "replay", Every: time.Minute, Run: a.replays.desk.Work}
}

// replayOnDemand works off replays as they are asked for, until the program stops.
func (a *App) replayOnDemand(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.replays.ask:
			if err := a.replays.desk.Work(ctx); err != nil && ctx.Err() == nil {
				a.log.Warn("a replay was cut off and will go on", "error", err)
			}
		}
	}
}

// registerReplays adds the routes of bulk replays.
func (a *App) registerReplays(mux *routes, admin func(http.Handler) http.Handler) {
	handle := func(pattern string, h func(*http.Request) (any, error)) {
		mux.Handle(pattern, admin(a.answering(pattern, h)))
	}
	handle("POST /api/admin/events/replay", a.replayEvents)
	handle("POST /api/admin/events/bulk", a.bulkEvents)
	handle("GET /api/admin/replays", a.listReplays)
	handle("GET /api/admin/replays/{id}", a.getReplay)
	handle("POST /api/admin/replays/{id}/stop", a.stopReplay)
}

// ReplayFilter says which events are replayed. Empty fields select everything.
type ReplayFilter struct {
	Source   df.Source  `json:"source"`
	Status   df.Status  `json:"status"`
	Type     string     `json:"type"`
	EntityID string     `json:"entityId"`
	Person   string     `json:"person,omitempty"` // our id, or a phone number
	Query    string     `json:"q"`
	From     *time.Time `json:"from"`
	To       *time.Time `json:"to"`
}

func (f ReplayFilter) events() (store.EventFilter, error) {
	e := store.EventFilter{Source: f.Source, Status: f.Status, Type: f.Type, EntityID: f.EntityID, Person: f.Person, Text: f.Query}
	if f.From != nil {
		e.From = *f.From
	}
	if f.To != nil {
		e.To = *f.To
	}
	if f.Source != "" && !slices.Contains([]df.Source{df.SourceGHL, df.SourceAloware, df.SourceTexting, df.SourceBroadcast}, f.Source) {
		return e, badRequest("source must be ghl, aloware, texting or broadcast")
	}
	if f.Status != "" && !slices.Contains(df.Statuses(), f.Status) {
		return e, badRequest("status must be one of an event's")
	}
	return e, nil
}

// ReplayView is a bulk replay as the API and the command line show it.
type ReplayView struct {
	ID         string     `json:"id"`
	Action     string     `json:"action"`
	Reason     string     `json:"reason,omitempty"`
	Status     string     `json:"status"`
	Events     int64      `json:"events"`
	Replayed   int64      `json:"replayed"`
	Superseded int64      `json:"superseded"`
	PassedOver int64      `json:"passedOver"`
	Progress   float64    `json:"progress"` // 0 to 1
	Actor      string     `json:"actor"`
	StartedAt  time.Time  `json:"startedAt"`
	FinishedAt *time.Time `json:"finishedAt"`
}

func viewReplay(r store.Replay) ReplayView {
	v := ReplayView{r.ID, r.Action, r.Reason, r.Status, r.Events, r.Replayed, r.Superseded, r.PassedOver, 1, r.Actor, r.StartedAt, orNil(r.FinishedAt)}
	if r.Status != store.ReplayDone && r.Events > 0 {
		v.Progress = min(1, float64(r.Replayed+r.Superseded+r.PassedOver)/float64(r.Events))
	}
	return v
}

// replayEvents replays what a filter finds. dryRun, the default, says what that
// would come to; else the answer names the replay, whose progress can be asked for.
func (a *App) replayEvents(r *http.Request) (any, error) {
	var in struct {
		Filter ReplayFilter `json:"filter"`
		DryRun *bool        `json:"dryRun"`
	}
	if err := readBody(r, &in); err != nil {
		return nil, err
	}
	filter, err := in.Filter.events()
	if err != nil {
		return nil, err
	}
	asked := replay.Asked{Action: store.BulkReplay, Filter: filter, Actor: auth.Actor(r.Context())}
	if in.DryRun == nil || *in.DryRun {
		return a.estimated(r.Context(), asked)
	}
	started, err := a.beginBulk(r.Context(), asked, in.Filter)
	return single(viewReplay(started)), err
}

// estimated answers a dry run.
func (a *App) estimated(ctx context.Context, asked replay.Asked) (any, error) {
	estimate, err := a.replays.desk.Estimate(ctx, asked)
	return single(struct {
		DryRun bool   `json:"dryRun"`
		Action string `json:"action"`
		replay.Estimate
	}{true, asked.Action, estimate}), err
}

// beginBulk begins an action on many events and has it worked off. As names what
// was asked for in the audit log.
func (a *App) beginBulk(ctx context.Context, asked replay.Asked, as any) (store.Replay, error) {
	started, err := a.replays.start(ctx, asked, as)
	if err != nil {
		return started, err
	}
	select {
	case a.replays.ask <- struct{}{}:
	default: // whoever is on the way sees it
	}
	return started, nil
}

// start makes one audit row of the whole: what was asked for, and the number.
func (s *replaying) start(ctx context.Context, asked replay.Asked, as any) (store.Replay, error) {
	return s.desk.Start(ctx, asked, func(tx store.Tx, started store.Replay) error {
		return store.InsertAudit(ctx, tx, store.AuditRow{At: started.StartedAt, Actor: asked.Actor, Action: "event." + asked.Action, Target: "filter",
			Details: map[string]any{"replayId": started.ID, "events": started.Events, "filter": as, "reason": asked.Reason}})
	})
}

func (a *App) listReplays(r *http.Request) (any, error) {
	limit, err := limitFrom(r)
	if err != nil {
		return nil, err
	}
	rows, err := a.store.Replays(r.Context(), limit)
	views := make([]ReplayView, len(rows))
	for i, row := range rows {
		views[i] = viewReplay(row)
	}
	return listed(views, nil), err
}

func (a *App) getReplay(r *http.Request) (any, error) {
	row, err := a.store.ReplayByID(r.Context(), r.PathValue("id"))
	if errors.Is(err, store.ErrNotFound) {
		return nil, notFound("there is no such replay")
	}
	return single(viewReplay(row)), err
}

func (a *App) stopReplay(r *http.Request) (any, error) {
	if err := a.endReplay(r.Context(), r.PathValue("id")); err != nil {
		return nil, err
	}
	return a.getReplay(r)
}

func (a *App) endReplay(ctx context.Context, id string) error {
	if _, err := a.store.ReplayByID(ctx, id); errors.Is(err, store.ErrNotFound) {
		return notFound("there is no such replay")
	}
	err := a.store.InTx(ctx, func(tx store.Tx) error {
		if err := store.StopReplay(ctx, tx, id, a.clock()); err != nil {
			return err
		}
		return a.auditIn(ctx, tx, "replay.stop", id, map[string]any{})
	})
	if errors.Is(err, store.ErrState) {
		return &df.Error{Code: "CONFLICT", Message: "this replay does not run", Status: http.StatusConflict}
	}
	return err
}

// ReplayEstimate says what a replay would come to, for the command line.
func ReplayEstimate(ctx context.Context, config Config, options Options, asked ReplayFilter) (estimate replay.Estimate, err error) {
	filter, err := asked.events()
	if err != nil {
		return estimate, err
	}
	err = withApp(ctx, config, options, func(a *App) error {
		estimate, err = a.replays.desk.Estimate(ctx, replay.Asked{Action: store.BulkReplay, Filter: filter})
		return err
	})
	return estimate, err
}

// Replay replays, and tells show of its progress until it is over. The events are
// put back into their lanes here; the running program works them.
func Replay(ctx context.Context, config Config, options Options, asked ReplayFilter, show func(ReplayView)) error {
	filter, err := asked.events()
	if err != nil {
		return err
	}
	return withApp(ctx, config, options, func(a *App) error {
		started, err := a.replays.start(ctx, replay.Asked{Action: store.BulkReplay, Filter: filter, Actor: "command line"}, asked)
		if err != nil {
			return err
		}
		worked := make(chan error, 1)
		go func() { worked <- a.replays.desk.Work(ctx) }()
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for {
			row, err := a.store.ReplayByID(ctx, started.ID)
			if err != nil {
				return err
			}
			show(viewReplay(row))
			if row.Status != store.ReplayRunning {
				return <-worked
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return errors.Join(ctx.Err(), <-worked)
			}
		}
	})
}

// withApp builds the program without starting it, for commands.
func withApp(ctx context.Context, config Config, options Options, do func(*App) error) (err error) {
	a, err := New(ctx, config, options)
	if err != nil {
		return err
	}
	defer func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), StopTime)
		defer cancel()
		err = errors.Join(err, a.Stop(stopping))
	}()
	if err := a.store.SchemaReady(ctx); err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	return do(a)
}

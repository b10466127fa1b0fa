package app

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/reconcile"
	"github.com/df-middleware/dfm/internal/store"
)

// DriftReport says how far the systems are apart, and which webhooks did not come.
type DriftReport struct {
	People      int64        `json:"people"`      // who differ in something
	Unexplained int64        `json:"unexplained"` // differences nobody knows the reason of: the number to watch
	Fields      []DriftField `json:"fields"`
	Missed      []MissedView `json:"missedWebhooks"` // of the last 30 days
	Walks       []WalkView   `json:"walks"`
	LastRun     *RunView     `json:"lastRun"`
}

// DriftField is how many people differ in one field for one reason.
type DriftField struct {
	Kind   string    `json:"kind"`
	Field  df.Field  `json:"field"`
	Reason string    `json:"reason"`
	People int64     `json:"people"`
	Since  time.Time `json:"since"`
}

// MissedView counts the webhooks of one source and kind that told of a change
// late, or not at all.
type MissedView struct {
	Source     df.Source  `json:"source"`
	Type       df.Kind    `json:"type"`
	Missed     int64      `json:"missed"`
	Late       int64      `json:"late"`
	Waiting    int64      `json:"waiting"`
	LastMissed *time.Time `json:"lastMissed"`
}

// WalkView is how far one walk has come.
type WalkView struct {
	Direction  df.Direction `json:"direction"`
	EntityType string       `json:"entityType"`
	UpTo       *time.Time   `json:"upTo"`
	UnderWay   bool         `json:"underWay"`
	LastRun    *time.Time   `json:"lastRun"`
	LastWhole  *time.Time   `json:"lastWhole"`
}

// RunView is one run of reconcile_runs.
type RunView struct {
	ID           string     `json:"id"`
	JobName      string     `json:"jobName"`
	StartedAt    time.Time  `json:"startedAt"`
	FinishedAt   *time.Time `json:"finishedAt"`
	Status       string     `json:"status"`
	Totals       any        `json:"totals"`
	ErrorMessage string     `json:"errorMessage,omitempty"`
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func viewRun(r store.Run) RunView {
	return RunView{r.ID, r.Job, r.StartedAt, orNil(r.FinishedAt), r.Status, r.Totals, r.Error}
}

// missedFor is how far back the report counts webhooks.
const missedFor = 30 * 24 * time.Hour

// ReportDrift makes the report of what sweeps have found.
func ReportDrift(ctx context.Context, db *store.Store, now time.Time) (DriftReport, error) {
	report := DriftReport{Fields: []DriftField{}, Missed: []MissedView{}}
	counts, err := db.DriftCounts(ctx)
	if err != nil {
		return report, err
	}
	for _, c := range counts {
		report.Fields = append(report.Fields, DriftField(c))
		if c.Reason == store.DriftUnexplained {
			report.Unexplained += c.People
		}
	}
	if report.People, err = db.DriftPeople(ctx); err != nil {
		return report, err
	}
	missed, err := db.MissedCounts(ctx, now.Add(-missedFor))
	if err != nil {
		return report, err
	}
	for _, m := range missed {
		report.Missed = append(report.Missed, MissedView{m.Source, m.Kind, m.Missed, m.Announced, m.Waiting, orNil(m.LastMissed)})
	}
	for _, of := range reconcile.Walks() {
		state, err := db.SweepState(ctx, of.Direction, of.EntityType)
		if err != nil {
			return report, err
		}
		report.Walks = append(report.Walks, WalkView{of.Direction, of.EntityType, orNil(state.UpTo), state.Cursor != "",
			orNil(state.LastRun), orNil(state.LastWhole)})
	}
	runs, err := db.Runs(ctx, time.Time{}, 1)
	if len(runs) > 0 {
		last := viewRun(runs[0])
		report.LastRun = &last
	}
	return report, err
}

// Drift makes the report from the database of the settings, and changes nothing.
func Drift(ctx context.Context, config Config, options Options) (report DriftReport, err error) {
	db, err := OpenStore(ctx, config, options.Log)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.SchemaReady(ctx); err != nil {
		return report, err
	}
	return ReportDrift(ctx, db, options.Clock())
}

// registerDrift adds what the admin API shows of sweeps, and how one is asked for.
func (a *App) registerDrift(mux *routes, admin func(http.Handler) http.Handler) {
	handle := func(pattern string, h func(*http.Request) (any, error)) {
		mux.Handle(pattern, admin(a.answering(pattern, h)))
	}
	handle("GET /api/admin/drift", func(r *http.Request) (any, error) {
		report, err := ReportDrift(r.Context(), a.store, a.clock())
		return single(report), err
	})
	handle("GET /api/admin/drift/people", a.listDrift)
	handle("GET /api/admin/reconcile-runs", a.listRuns)
	handle("POST /api/admin/reconcile-runs", a.askForRun)
}

// driftView is one difference of one person.
type driftView struct {
	PersonID     string    `json:"personId,omitempty"`
	GHLContactID string    `json:"ghlContactId,omitempty"` // of a contact that is nobody's yet
	Kind         string    `json:"kind"`
	Field        df.Field  `json:"field"`
	Reason       string    `json:"reason"`
	Issue        string    `json:"issue,omitempty"`
	Since        time.Time `json:"since"`
}

func (a *App) listDrift(r *http.Request) (any, error) {
	q := r.URL.Query()
	filter := store.DriftFilter{Kind: q.Get("kind"), Reason: q.Get("reason"), After: q.Get("cursor")}
	reasons := []string{"", store.DriftPending, store.DriftConflict, store.DriftBlocked, store.DriftUnexplained}
	if !slices.Contains(reasons, filter.Reason) {
		return nil, badRequest("reason must be one of" + strings.Join(reasons, " "))
	}
	if q.Has("field") {
		field := df.Field(q.Get("field"))
		filter.Field = &field
	}
	var err error
	if filter.Limit, err = limitFrom(r); err != nil {
		return nil, err
	}
	rows, err := a.store.DriftRows(r.Context(), filter)
	if err != nil {
		return nil, err
	}
	views := make([]driftView, len(rows))
	for i, row := range rows {
		views[i] = driftView{PersonID: row.Subject, Kind: row.Kind, Field: row.Field, Reason: row.Reason, Issue: row.Detail, Since: row.Since}
		if contactID, nobody := reconcile.ContactOf(row.Subject); nobody {
			views[i].PersonID, views[i].GHLContactID = "", contactID
		}
	}
	if len(rows) == filter.Limit {
		return listed(views, rows[len(rows)-1].Cursor()), nil
	}
	return listed(views, nil), nil
}

func (a *App) listRuns(r *http.Request) (any, error) {
	limit, err := limitFrom(r)
	if err != nil {
		return nil, err
	}
	var before time.Time
	if text := r.URL.Query().Get("cursor"); text != "" {
		if before, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return nil, badRequest("cursor must be one of ours")
		}
	}
	runs, err := a.store.Runs(r.Context(), before, limit)
	if err != nil {
		return nil, err
	}
	views := make([]RunView, len(runs))
	for i, run := range runs {
		views[i] = viewRun(run)
	}
	if len(runs) == limit {
		return listed(views, runs[len(runs)-1].StartedAt.Format(time.RFC3339Nano)), nil
	}
	return listed(views, nil), nil
}

// askForRun starts a sweep, or a look that mends nothing, unless one waits.
func (a *App) askForRun(r *http.Request) (any, error) {
	var in struct {
		Job string `json:"job"`
	}
	if err := readBody(r, &in); err != nil {
		return nil, err
	}
	if in.Job == "" {
		in.Job = reconcile.JobSweep
	}
	return single(map[string]any{"job": in.Job, "status": "asked"}), a.askFor(r, in.Job)
}

func (a *App) askFor(r *http.Request, job string) error {
	if job != reconcile.JobSweep && job != reconcile.JobMeasure {
		return badRequest("job must be sweep or measure")
	}
	select {
	case a.sweeps.ask <- job:
	default:
		return &df.Error{Code: "CONFLICT", Message: "a run that was asked for waits already", Status: http.StatusConflict}
	}
	return a.store.Audit(r.Context(), store.AuditRow{At: a.clock(), Actor: auth.Actor(r.Context()), Action: "reconcile." + job, Target: "everybody"})
}

package app

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/queue"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/verity"
)

// forwards reports whether GHL's webhooks are passed on to Verity. Without the
// secret there is nothing to sign them with.
func (c Config) forwards() bool { return c.Verity.Forward && c.Verity.WebhookSecret.Set() }

// forward asks, in the transaction that stores a batch of events, for those of
// GHL's to be passed on. It is a job of its own for each: Verity's being down
// holds back nobody's lane, and a lane that waits holds back no forward.
func (a *App) forward(ctx context.Context, tx store.Tx, fresh []df.Event) error {
	if !a.config.forwards() {
		return nil
	}
	var ids []string
	for _, e := range fresh {
		// An agent's text goes to Verity to be sent; it is not told twice.
		if e.Source == df.SourceGHL && e.Route != routeDelivery {
			ids = append(ids, e.ID)
		}
	}
	return store.InsertForwards(ctx, tx, a.config.RetryLimit+1, a.clock(), ids...)
}

// forwardTask passes webhooks on. Every process that works events does.
func (a *App) forwardTask() queue.Task {
	return queue.Task{Name: store.TaskForward, Run: func(ctx context.Context, id string, last bool) error {
		err := a.forwardOne(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil // the event was erased meanwhile
		}
		status, problem := forwardStatus(err, last)
		if noted := a.store.NoteForward(context.WithoutCancel(ctx), id, status, problem, a.clock()); noted != nil {
			return noted
		}
		if status == store.ForwardGivenUp || status == store.ForwardRefused {
			a.log.ErrorContext(ctx, "a webhook of GHL's could not be passed on to Verity", "event", id, "status", status, "problem", problem)
		}
		return err
	}}
}

// forwardStatus says what a try came to.
func forwardStatus(err error, last bool) (status, problem string) {
	if err == nil {
		return store.ForwardDone, ""
	}
	outcome, _ := df.OutcomeOf(err)
	problem = "something went wrong on our side"
	var call *df.CallError
	if errors.As(err, &call) {
		problem = call.Error()
	}
	switch {
	case outcome == df.Refused && !df.IsCode(err, df.CodeUnauthorized):
		return store.ForwardRefused, problem
	case last && !df.IsCode(err, df.CodeRateLimited):
		return store.ForwardGivenUp, problem
	}
	return store.ForwardFailed, problem
}

func (a *App) forwardOne(ctx context.Context, id string) error {
	e, err := a.store.Event(ctx, id)
	if err != nil {
		return err
	}
	if len(e.Raw) == 0 {
		return store.ErrNotFound // its body was erased
	}
	header := http.Header{}
	for name, value := range e.Headers {
		header.Set(name, value)
	}
	return a.verity.ForwardGHL(ctx, verity.Forward{EventID: e.ID, Body: e.Raw, Header: header})
}

// registerForwards adds what the admin API shows of forwards.
func (a *App) registerForwards(mux *routes, admin func(http.Handler) http.Handler) {
	for pattern, h := range map[string]func(*http.Request) (any, error){
		"GET /api/admin/forwards":             a.listForwards,
		"POST /api/admin/forwards/{id}/retry": a.retryForward,
	} {
		mux.Handle(pattern, admin(a.answering(pattern, h)))
	}
}

type forwardView struct {
	EventID   string `json:"eventId"`
	Status    string `json:"status"`
	Attempts  int    `json:"attempts"`
	Error     string `json:"error"`
	CreatedAt any    `json:"createdAt"`
	UpdatedAt any    `json:"updatedAt"`
}

var forwardStatuses = []string{store.ForwardPending, store.ForwardDone, store.ForwardFailed, store.ForwardRefused, store.ForwardGivenUp}

func (a *App) listForwards(r *http.Request) (any, error) {
	q := r.URL.Query()
	limit, err := limitFrom(r)
	if err != nil {
		return nil, err
	}
	status := q.Get("status")
	if status != "" && !slices.Contains(forwardStatuses, status) {
		return nil, badRequest("status must be one of " + strings.Join(forwardStatuses, ", "))
	}
	rows, err := a.store.Forwards(r.Context(), store.ForwardFilter{Status: status, Before: q.Get("cursor"), Limit: limit})
	if err != nil {
		return nil, err
	}
	views := make([]forwardView, len(rows))
	for i, f := range rows {
		views[i] = forwardView{f.EventID, f.Status, f.Attempts, f.Error, f.CreatedAt, f.UpdatedAt}
	}
	if len(rows) == limit {
		return listed(views, rows[len(rows)-1].EventID), nil
	}
	return listed(views, nil), nil
}

// ended reports whether a forward will not be tried again by itself, which is so
// too when nothing was heard of it for longer than any pause.
func (a *App) ended(f store.Forward) bool {
	switch f.Status {
	case store.ForwardRefused, store.ForwardGivenUp:
		return true
	case store.ForwardPending, store.ForwardFailed:
		return f.UpdatedAt.Before(a.clock().Add(-a.retryPolicy().Longest()))
	}
	return false
}

// retryForward has a webhook passed on that was refused or given up. Verity knows
// it by its key, so one that did arrive is not taken twice.
func (a *App) retryForward(r *http.Request) (any, error) {
	id := r.PathValue("id")
	err := a.store.InTx(r.Context(), func(tx store.Tx) error {
		f, err := store.ForwardOf(r.Context(), tx, id)
		if err != nil {
			return err
		}
		if !a.ended(f) {
			return store.ErrState
		}
		if err := store.InsertForwards(r.Context(), tx, a.config.RetryLimit+1, a.clock(), id); err != nil {
			return err
		}
		return a.auditIn(r.Context(), tx, "forward.retry", id, map[string]any{"by": auth.Actor(r.Context())})
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, notFound("this event was never to be passed on")
	case errors.Is(err, store.ErrState):
		return nil, &df.Error{Code: "CONFLICT", Message: "it is done, or still being tried", Status: http.StatusConflict}
	}
	return single(map[string]any{"eventId": id, "status": store.ForwardPending}), err
}

package app

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/replay"
	"github.com/df-middleware/dfm/internal/store"
)

// bulkMost is how many events can be named one by one.
const bulkMost = 500

// bulkAsked is what is to be done to many events: those that a filter finds, or
// those named. What was confirmed bounds it.
type bulkAsked struct {
	Action string        `json:"action"`
	Filter *ReplayFilter `json:"filter,omitempty"`
	IDs    []string      `json:"ids,omitempty"`
	Reason string        `json:"reason"`
	DryRun *bool         `json:"dryRun,omitempty"`
	// Events and UntilSeq are what a dry run answered. With them nothing is touched
	// that the dry run did not count.
	Events   int64 `json:"events,omitempty"`
	UntilSeq int64 `json:"untilSeq,omitempty"`
}

// asked reads it for the desk.
func (b bulkAsked) asked(actor string) (replay.Asked, error) {
	var filter ReplayFilter
	switch {
	case !slices.Contains(store.BulkActions(), b.Action):
		return replay.Asked{}, badRequest("action must be replay, release, quarantine or mark-done")
	case (b.Filter == nil) == (b.IDs == nil):
		return replay.Asked{}, badRequest("say which events, by filter or by ids")
	case len(b.IDs) > bulkMost:
		return replay.Asked{}, badRequest("at most 500 events can be named; use a filter")
	case b.Events < 0 || b.UntilSeq < 0:
		return replay.Asked{}, badRequest("events and untilSeq must be those of a dry run")
	case b.Filter != nil:
		filter = *b.Filter
	}
	events, err := filter.events()
	events.IDs = b.IDs
	return replay.Asked{Action: b.Action, Filter: events, Actor: actor, Reason: strings.TrimSpace(b.Reason), UntilSeq: b.UntilSeq, Most: b.Events}, err
}

// kept is what the audit log keeps of it besides the reason and the number.
func (b bulkAsked) kept() any {
	if b.IDs != nil {
		return map[string]any{"ids": b.IDs}
	}
	return b.Filter
}

// bulkEvents does one thing to many events. dryRun, the default, says how many
// they are; else the answer names the job that does it.
func (a *App) bulkEvents(r *http.Request) (any, error) {
	var in bulkAsked
	if err := readBody(r, &in); err != nil {
		return nil, err
	}
	asked, err := in.asked(auth.Actor(r.Context()))
	if err != nil {
		return nil, err
	}
	if in.DryRun == nil || *in.DryRun {
		return a.estimated(r.Context(), asked)
	}
	started, err := a.beginConfirmed(r.Context(), asked, in.kept())
	return single(viewReplay(started)), err
}

// beginConfirmed begins what somebody gave a reason for, unless more fits by now.
func (a *App) beginConfirmed(ctx context.Context, asked replay.Asked, as any) (store.Replay, error) {
	if asked.Reason == "" || len(asked.Reason) > 500 {
		return store.Replay{}, badRequest("give a reason of at most 500 characters; the audit log keeps it")
	}
	started, err := a.beginBulk(ctx, asked, as)
	var grown replay.Grown
	if errors.As(err, &grown) {
		err = &df.Error{Code: "CONFLICT", Status: http.StatusConflict, Message: grown.Error() + "; count again",
			Details: map[string]any{"events": grown.Found, "confirmed": grown.Confirmed}}
	}
	return started, err
}

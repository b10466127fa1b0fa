package app

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/broadcasts"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/effects"
	"github.com/df-middleware/dfm/internal/ghl"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/verity"
)

// broadcastLane is how lanes of broadcasts begin. They hold no person's events.
const broadcastLane = string(df.SourceBroadcast) + ":broadcast:"

// buildBroadcasts makes what works broadcasts.
func (a *App) buildBroadcasts() error {
	d := &broadcasts.Desk{Store: a.store, Effects: effects.Runner{Store: a.store, Clock: a.clock}, Clock: a.clock, NewID: a.newID}
	if a.sync.ghl != nil {
		d.GHL = ghlBroadcasts{a.sync.ghl}
	}
	if a.token != nil {
		d.Verity = verityBroadcasts{a.verity}
	}
	a.sync.broadcasts = d
	return nil
}

// announced works everything that waits in a broadcast's lane, as one.
func (s *syncing) announced(ctx context.Context, turn store.Turn, id string) ([]store.Result, error) {
	announcements := make([]broadcasts.Announcement, len(turn.Events))
	for i, e := range turn.Events {
		announcements[i] = announcementIn(e)
	}
	outcome, err := s.broadcasts.Work(ctx, people.Lease(turn.Lease), id, announcements)
	if errors.Is(err, people.ErrLeaseLost) {
		return nil, store.ErrLeaseLost
	}
	if err != nil {
		return nil, err
	}
	if len(turn.Events) == 0 && outcome.Status == df.Failed {
		return nil, &df.CallError{Upstream: "verity", Operation: "broadcast", Outcome: df.RetryLater, RetryAt: outcome.RetryAt,
			Code: df.CodeUnavailable, Message: outcome.Error}
	}
	results := make([]store.Result, len(turn.Events))
	for i, e := range turn.Events {
		results[i] = store.Result(inLane(outcome))
		results[i].EventID = e.ID
	}
	if outcome.Status == df.Failed && len(results) > 1 {
		results = results[:1] // one try of the turn counts as one try of its first event
	}
	return results, nil
}

// announcementIn is what an event says about a broadcast.
func announcementIn(e df.Event) broadcasts.Announcement {
	a := broadcasts.Announcement{EventID: e.ID, At: e.Notice.OccurredAt, Heard: e.ReceivedAt}
	if a.At.IsZero() || a.At.After(e.ReceivedAt) { // nothing is true before it happens
		a.At = e.ReceivedAt
	}
	if found, ok := verity.DecodeAnalytics(e.Raw); ok {
		figures := broadcasts.Figures(found)
		a.Figures = &figures
	}
	return a
}

// ghlBroadcasts is GHL as the desk needs it.
type ghlBroadcasts struct{ client *ghl.Client }

// FindRecord implements broadcasts.GHL.
func (g ghlBroadcasts) FindRecord(ctx context.Context, broadcastID string) (string, error) {
	record, err := g.client.FindRecord(ctx, ghl.ObjectBroadcasts, "broadcast_id", broadcastID)
	return record.ID, err
}

// CreateRecord implements broadcasts.GHL.
func (g ghlBroadcasts) CreateRecord(ctx context.Context, properties map[string]any) (string, error) {
	record, err := g.client.CreateRecord(ctx, ghl.ObjectBroadcasts, properties)
	return record.ID, err
}

// UpdateRecord implements broadcasts.GHL.
func (g ghlBroadcasts) UpdateRecord(ctx context.Context, recordID string, properties map[string]any) error {
	return g.client.UpdateRecord(ctx, ghl.ObjectBroadcasts, recordID, properties)
}

// verityBroadcasts is Verity as the desk needs it.
type verityBroadcasts struct{ client *verity.Client }

// Figures implements broadcasts.Source.
func (v verityBroadcasts) Figures(ctx context.Context, broadcastID string) (broadcasts.Figures, error) {
	found, err := v.client.BroadcastAnalytics(ctx, broadcastID)
	return broadcasts.Figures(found), err
}

// registerBroadcasts adds what the admin API shows of broadcasts.
func (a *App) registerBroadcasts(mux *routes, admin func(http.Handler) http.Handler) {
	for pattern, h := range map[string]func(*http.Request) (any, error){
		"GET /api/admin/broadcasts":               a.listBroadcasts,
		"GET /api/admin/broadcasts/{id}":          a.getBroadcast,
		"POST /api/admin/broadcasts/{id}/refresh": a.refreshBroadcast,
	} {
		mux.Handle(pattern, admin(a.answering(pattern, h)))
	}
}

type broadcastView struct {
	ID          string             `json:"id"`
	Figures     broadcasts.Figures `json:"figures"`
	Rates       broadcasts.Rates   `json:"rates"`
	AsOf        time.Time          `json:"asOf"`
	Origin      string             `json:"origin"`
	GHLRecordID string             `json:"ghlRecordId"`
	Events      int64              `json:"events"`
	UpdatedAt   time.Time          `json:"updatedAt"`
}

func viewBroadcast(b store.Broadcast) (broadcastView, error) {
	v := broadcastView{ID: b.ID, AsOf: b.AsOf, Origin: b.Origin, GHLRecordID: b.RecordID, Events: b.Events, UpdatedAt: b.UpdatedAt}
	if strings.TrimSpace(b.Figures) == "" {
		return v, nil
	}
	err := json.Unmarshal([]byte(b.Figures), &v.Figures)
	v.Rates = v.Figures.Rates()
	return v, err
}

func (a *App) listBroadcasts(r *http.Request) (any, error) {
	limit, err := limitFrom(r)
	if err != nil {
		return nil, err
	}
	rows, err := a.store.Broadcasts(r.Context(), r.URL.Query().Get("cursor"), limit)
	if err != nil {
		return nil, err
	}
	views := make([]broadcastView, len(rows))
	for i, row := range rows {
		if views[i], err = viewBroadcast(row); err != nil {
			return nil, err
		}
	}
	if len(rows) == limit {
		return listed(views, rows[len(rows)-1].ID), nil
	}
	return listed(views, nil), nil
}

func (a *App) getBroadcast(r *http.Request) (any, error) {
	b, err := store.BroadcastByID(r.Context(), a.store, r.PathValue("id"))
	if errors.Is(err, store.ErrNotFound) {
		return nil, notFound("there is no such broadcast")
	}
	if err != nil {
		return nil, err
	}
	view, err := viewBroadcast(b)
	return single(view), err
}

// refreshBroadcast has the figures asked for anew.
func (a *App) refreshBroadcast(r *http.Request) (any, error) {
	id := r.PathValue("id")
	if _, err := store.BroadcastByID(r.Context(), a.store, id); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			err = notFound("there is no such broadcast")
		}
		return nil, err
	}
	if err := a.store.Nudge(r.Context(), broadcastLane+id, a.clock()); err != nil {
		return nil, err
	}
	return single(map[string]any{"id": id, "asked": true}), a.store.Audit(r.Context(), store.AuditRow{
		At: a.clock(), Actor: auth.Actor(r.Context()), Action: "broadcast.refresh", Target: id})
}

package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"riverqueue.com/riverui"
	"riverqueue.com/riverui/uiendpoints"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
)

type jobsView struct {
	Tiles []Tile
	Lanes []laneView
	Empty Empty
	River string
}

// jobsPage shows the lanes that have something to do, and leads to the jobs.
func (s *Server) jobsPage(r *http.Request) (view, error) {
	answer, err := s.lanes(r)
	if err != nil {
		return view{}, err
	}
	f, err := s.overview.read(r.Context())
	if err != nil {
		return view{}, err
	}
	lanes := answer.(lanesView)
	pending, running, failing := f.Unfinished[df.Pending], f.Unfinished[df.Processing], f.Unfinished[df.Failed]
	return view{template: "jobs.html", title: "Jobs", section: "jobs", live: true, watch: "events", data: jobsView{
		Lanes: lanes.Lanes, River: riverPath + "/",
		Empty: Empty{Title: "No lane has anything to do", Text: "Every event that arrived is finished. New work shows up here for as long as it waits."},
		Tiles: []Tile{
			{Name: "Lanes with work", Figure: number(lanes.WaitingLanes), More: "one for each person"},
			{Name: "Events that wait", Figure: number(pending.Events), Link: "/events?status=pending", More: "for a worker"},
			{Name: "In work", Figure: number(running.Events), Link: "/events?status=processing", More: "at this moment"},
			{Name: "Failing", Figure: number(failing.Events), Link: "/events?status=error", More: "will be tried again", Bad: failing.Events > 0},
		},
	}}, nil
}

// ringFromPage rings for every lane that waits.
func (s *Server) ringFromPage(r *http.Request) (view, error) {
	now := s.Clock()
	rang, err := s.Store.RingWaiting(r.Context(), now, now, 10_000)
	if err != nil {
		return view{}, err
	}
	notice := fmt.Sprintf("The bells of %s lanes were rung.", number(rang))
	return view{redirect: "/jobs", notice: notice}, s.audit(r, "jobs.ring", "lanes", map[string]any{"rang": rang})
}

// riverPath is where River's own pages stand.
const riverPath = "/jobs/river"

// riverPolicy lets River's pages, which are a program of their own, style
// themselves; scripts still come from us only.
var riverPolicy = strings.Replace(contentPolicy, "style-src 'self'", "style-src 'self' 'unsafe-inline'; font-src 'self'; manifest-src 'self'", 1)

// river runs River's own pages from the first time that somebody looks at them.
type river struct {
	pages func() uiendpoints.Bundle
	log   *slog.Logger

	mu      sync.Mutex
	handler http.Handler
	cancel  context.CancelFunc
	stopped bool
}

func (v *river) open() (http.Handler, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.stopped:
		return nil, errors.New("the console has stopped")
	case v.handler != nil:
		return v.handler, nil
	}
	h, err := riverui.NewHandler(&riverui.HandlerOpts{Endpoints: v.pages(), Logger: v.log, Prefix: riverPath})
	if err != nil {
		return nil, fmt.Errorf("make River's pages: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := h.Start(ctx); err != nil {
		cancel()
		return nil, fmt.Errorf("start River's pages: %w", err)
	}
	v.handler, v.cancel = h, cancel
	return h, nil
}

func (v *river) stop() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stopped = true
	if v.cancel != nil {
		v.cancel()
	}
}

// riverPages serves River's pages. What they change needs an operator, must come
// from a page of ours, and is audited.
func (s *Server) riverPages(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		if who := visitorOf(r); !who.role.Allows(Operator) || s.crossOrigin.Check(r) != nil || r.Header.Get("Content-Type") != "application/json" {
			s.fail(w, r, auth.ErrForbidden)
			return
		}
		if err := s.audit(r, "jobs.change", strings.TrimPrefix(r.URL.Path, riverPath), map[string]any{"method": r.Method}); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	h, err := s.river.open()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Security-Policy", riverPolicy)
	h.ServeHTTP(w, r)
}

package app

import (
	"context"
	"net/http"
	"time"
)

// buildStatus gives a process that only works a place where it can be watched:
// health, readiness and metrics at the web app's address.
func (a *App) buildStatus() error {
	if a.config.Has(RoleWeb) || a.config.Has(RoleGateway) {
		return nil
	}
	mux := newRoutes()
	a.registerStatus(mux)
	a.servers = append(a.servers, &server{name: "status", address: a.config.WebAddress(), handler: mux})
	return nil
}

// ready tells whether requests should be sent here: the database takes writes,
// and the last delivery could be stored.
func (a *App) ready(ctx context.Context) error {
	if err := a.store.Ping(ctx); err != nil || a.inbox == nil {
		return err
	}
	return a.inbox.Failing()
}

// registerStatus adds health, readiness and metrics.
func (a *App) registerStatus(mux *routes) {
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"success": true, "data": map[string]string{"status": "ok", "version": a.version}})
	})
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
		defer cancel()
		status, said := http.StatusOK, "ok"
		if err := a.ready(ctx); err != nil {
			status, said = http.StatusServiceUnavailable, "failed"
		}
		writeJSON(w, status, map[string]any{"success": status == http.StatusOK, "data": map[string]any{
			"checks": []map[string]string{{"name": "database", "status": said}},
		}})
	})
	mux.Handle("GET /metrics", a.metrics.Handler())
}

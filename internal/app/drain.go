package app

import (
	"context"
	"net/http"
	"time"
)

// Drain says at /ready that this process is about to stop and goes on serving
// for the time of DFM_DRAIN, so that a load balancer sends nothing here any more
// when connections begin to be refused. It returns early when ctx ends.
func (a *App) Drain(ctx context.Context) {
	a.leaving.Store(true)
	if a.config.DrainTime == 0 {
		return
	}
	a.log.Info("draining", "for", a.config.DrainTime.String())
	select {
	case <-ctx.Done():
	case <-time.After(a.config.DrainTime):
	}
}

// untilLeaving serves as next does until the process is about to stop. Then it is
// not ready, and each connection ends with the answer that is under way on it: a
// kept one would otherwise be cut when a client has just begun to use it again.
func (a *App) untilLeaving(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.leaving.Load() {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Connection", "close")
		if r.URL.Path == "/ready" {
			writeJSON(w, http.StatusServiceUnavailable, map[string]any{"success": false, "data": map[string]any{
				"checks": []map[string]string{{"name": "process", "status": "stopping"}},
			}})
			return
		}
		next.ServeHTTP(w, r)
	})
}

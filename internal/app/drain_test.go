package app

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A process that stops at once makes a load balancer run into refused
// connections: it has to say beforehand that it is leaving, and serve on.
func TestALeavingProcessServesButIsNotReady(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &App{config: Config{DrainTime: 5 * time.Second}, log: slog.New(slog.DiscardHandler)}
		handler := a.untilLeaving(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
		ask := func(path string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
			return w
		}
		if w := ask("/ready"); w.Code != http.StatusTeapot || w.Header().Get("Connection") != "" {
			t.Errorf("before: %d %v", w.Code, w.Header())
		}
		began := time.Now()
		drained := make(chan time.Duration)
		go func() { a.Drain(t.Context()); drained <- time.Since(began) }()
		synctest.Wait()
		if w := ask("/ready"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "stopping") {
			t.Errorf("ready while leaving: %d %s", w.Code, w.Body)
		}
		if w := ask("/api/webhooks/ghl"); w.Code != http.StatusTeapot || w.Header().Get("Connection") != "close" {
			t.Errorf("a webhook while leaving: %d %v", w.Code, w.Header())
		}
		if took := <-drained; took != 5*time.Second {
			t.Errorf("drained for %v", took)
		}
		cut, cancel := context.WithCancel(t.Context())
		cancel()
		if a.Drain(cut); time.Since(began) != 5*time.Second {
			t.Error("it drained on after its context had ended")
		}
	})
}

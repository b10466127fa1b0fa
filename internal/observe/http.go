package observe

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Server wraps the handler of one HTTP server: it counts requests by route,
// adds the headers that every answer carries, and answers a panic with a bare
// 500, whose cause goes to the log only.
func Server(name string, next http.Handler, metrics *Metrics, clock df.Clock, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := clock()
		seen := &statusWriter{ResponseWriter: w}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		defer func() {
			if cause := recover(); cause != nil {
				if cause == http.ErrAbortHandler {
					panic(cause)
				}
				log.Error("a request handler panicked", "server", name, "route", r.Pattern, "panic", cause, "stack", string(debug.Stack()))
				seen.internal()
			}
			metrics.Request(name, route(r), r.Method, seen.code(), clock().Sub(start))
			log.Debug("request", "server", name, "route", route(r), "method", r.Method, "status", seen.code(),
				"took", clock().Sub(start).Round(time.Microsecond))
		}()
		next.ServeHTTP(seen, r)
	})
}

func route(r *http.Request) string {
	if r.Pattern == "" {
		return "none"
	}
	return r.Pattern
}

// statusWriter remembers the status. Unwrap lets http.ResponseController reach
// the flusher and deadlines of the writer below.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *statusWriter) Write(data []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(data)
}

// Unwrap returns the writer below.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusWriter) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

func (w *statusWriter) internal() {
	if w.status != 0 {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = w.Write([]byte(`{"success":false,"error":{"code":"INTERNAL","message":"something went wrong on our side"}}` + "\n"))
}

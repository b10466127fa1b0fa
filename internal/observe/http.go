package observe

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Server wraps the handler of one HTTP server: it traces requests when there is
// a tracer, counts them by route,
// adds the headers that every answer carries, and answers a panic with a bare
// 500, whose cause goes to the log only.
func Server(name string, next http.Handler, metrics *Metrics, tracer *Tracer, clock df.Clock, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := clock()
		ctx, span := tracer.Arrive(r, name)
		r = r.WithContext(ctx)
		seen := &statusWriter{ResponseWriter: w}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		defer func() {
			if cause := recover(); cause != nil {
				if cause == http.ErrAbortHandler {
					panic(cause)
				}
				log.ErrorContext(ctx, "a request handler panicked", "server", name, "route", r.Pattern, "panic", cause, "stack", string(debug.Stack()))
				seen.internal()
			}
			metrics.Request(name, route(r), r.Method, seen.code(), clock().Sub(start))
			span.finish(name, r, seen.code())
			log.DebugContext(ctx, "request", "server", name, "route", route(r), "method", r.Method, "status", seen.code(),
				"took", clock().Sub(start).Round(time.Microsecond))
		}()
		next.ServeHTTP(seen, r)
	})
}

// finish ends the span of a request. Its name is the pattern that matched, never
// the path.
func (s *Span) finish(server string, r *http.Request, status int) {
	s.Rename(boundedMethod(r.Method) + " " + route(r))
	s.Text("dfm.server", server)
	s.Text("http.request.method", boundedMethod(r.Method))
	s.Text("http.route", route(r))
	s.Number("http.response.status_code", status)
	failure := ""
	if status >= http.StatusInternalServerError {
		failure = "server error"
	}
	s.End(failure)
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

package stage

import (
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"
)

// webPage is what a single-page application serves for any path.
const webPage = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>App</title></head>` +
	`<body><div id="app"></div><script src="/js/app.js"></script></body></html>`

// perform answers a request in the way that the prank asks for.
func (s *Stage) perform(entry *Request, w *answer, r *http.Request, handler http.Handler) {
	retryAfter, hold, slow := s.times()
	switch entry.Prank {
	case RateLimitedUntil:
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(retryAfter.Seconds()))))
		JSON(w, http.StatusTooManyRequests, map[string]any{"statusCode": 429, "message": "Too Many Requests"})
	case RateLimited:
		JSON(w, http.StatusTooManyRequests, map[string]any{"statusCode": 429, "message": "Too Many Requests"})
	case ServerError:
		s.serverError(w, entry)
	case LoseRequest:
		s.hangUp(r, hold)
	case LoseAnswer:
		handler.ServeHTTP(void{http.Header{}}, r)
		s.hangUp(r, hold)
	case NotWritten:
		handler.ServeHTTP(w, withUnwritten(r))
	case HTML:
		WebPage(w)
	case Slow:
		s.Wait(r, slow)
		handler.ServeHTTP(w, r)
	default:
		handler.ServeHTTP(w, r)
	}
}

func (s *Stage) serverError(w http.ResponseWriter, entry *Request) {
	die := newDie(s.config.Seed, "error "+s.config.Name, entry.Operation, entry.nth)
	statuses := []int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
	status := statuses[die.source.IntN(len(statuses))]
	if status == http.StatusInternalServerError {
		JSON(w, status, map[string]any{"statusCode": 500, "message": "Internal server error"})
		return
	}
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<html><body><h1>"+http.StatusText(status)+"</h1></body></html>") // the client may be gone
}

// hangUp ends the connection without an answer.
func (s *Stage) hangUp(r *http.Request, hold time.Duration) {
	s.Wait(r, hold)
	panic(http.ErrAbortHandler)
}

// Wait holds a request for some time, which is not scaled: it is measured
// against the caller's own time limits. It returns earlier when the caller or the
// stage goes away.
func (s *Stage) Wait(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	case <-s.mail.closing:
	}
}

func scaled(d time.Duration, scale float64) time.Duration {
	return time.Duration(float64(d) * scale)
}

// JSON answers with a JSON document.
func JSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, "cannot encode the answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}

// WebPage answers 200 with a single-page application's HTML.
func WebPage(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, webPage) // the client may be gone
}

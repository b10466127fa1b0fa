package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/observe"
	"github.com/df-middleware/dfm/internal/store"
)

// Config says how webhooks are taken.
type Config struct {
	Writer *Writer
	Spill  *Spill
	Clock  df.Clock
	NewID  func() string // a time-ordered UUID
	Log    *slog.Logger
	// DedupeWindow is how long the same bytes are the same delivery, for
	// senders that give deliveries no id of their own.
	DedupeWindow time.Duration
	// Hold is how long a delivery of a sender that never sends twice is held
	// while the store is down, before it is spilled.
	Hold time.Duration
	// Unsigned names the sources that are taken without proof.
	Unsigned map[df.Source]bool
	// Observe, when set, is told of every delivery: route and what became of
	// it (accepted, duplicate, ignored, unauthorized, too_large, unavailable,
	// spilled).
	Observe func(route, result string, took time.Duration)
}

// Inbox takes webhooks.
type Inbox struct {
	config Config
	down   outage
}

// New returns an inbox.
func New(config Config) *Inbox {
	return &Inbox{config: config, down: outage{log: config.Log, clock: config.Clock}}
}

// Mux is what routes are added to, as to http.ServeMux.
type Mux interface {
	Handle(pattern string, handler http.Handler)
}

// Register adds the routes to the mux.
func (in *Inbox) Register(mux Mux, routes ...Route) {
	for _, route := range routes {
		handler := in.handler(route)
		for _, path := range route.Paths {
			mux.Handle(path, handler)
		}
	}
}

// answer is the body of every reply.
type answer struct {
	Success bool         `json:"success"`
	Status  string       `json:"status,omitempty"`
	EventID string       `json:"eventId,omitempty"`
	Reason  string       `json:"reason,omitempty"`
	Error   *answerError `json:"error,omitempty"`

	code   int
	result string
	after  string // Retry-After
}

type answerError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func refusal(status int, code, message, result string) answer {
	return answer{Error: &answerError{code, message}, code: status, result: result}
}

func (in *Inbox) handler(route Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := in.config.Clock()
		a := in.take(w, r, route, start)
		write(w, a)
		if in.config.Observe != nil {
			in.config.Observe(route.Name, a.result, in.config.Clock().Sub(start))
		}
	})
}

func write(w http.ResponseWriter, a answer) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	if a.after != "" {
		h.Set("Retry-After", a.after)
	}
	w.WriteHeader(a.code)
	_ = json.NewEncoder(w).Encode(a) // the sender may have gone
}

// take receives one delivery and returns the reply to it.
func (in *Inbox) take(w http.ResponseWriter, r *http.Request, route Route, now time.Time) answer {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return refusal(http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "webhooks are posted", "refused")
	}
	body, refused := readBody(w, r)
	if refused != nil {
		return *refused
	}
	proof, err := in.verify(route, r, body)
	if err != nil {
		in.config.Log.Warn("a webhook without valid proof was refused", "route", route.Name, "error", err)
		return refusal(http.StatusUnauthorized, "UNAUTHORIZED", "the delivery carries no valid proof of its sender", "unauthorized")
	}
	notice := route.Read(r.Header, body)
	if notice.Ping != "" {
		return answer{Success: true, Status: "ignored", Reason: notice.Ping, code: http.StatusOK, result: "ignored"}
	}
	return in.keep(r, route, in.delivery(r, route, notice, body, proof, now))
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *answer) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		a := refusal(http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE", "a webhook may be 1 MiB at most", "too_large")
		return nil, &a
	case err != nil:
		a := refusal(http.StatusBadRequest, "INCOMPLETE_BODY", "the body ended before it was complete", "refused")
		return nil, &a
	}
	return body, nil
}

func (in *Inbox) verify(route Route, r *http.Request, body []byte) (string, error) {
	proof, err := route.verify(r, body)
	if err != nil && in.config.Unsigned[route.Source] && !route.AlwaysProven {
		return "unsigned", nil
	}
	return proof, err
}

func (in *Inbox) delivery(r *http.Request, route Route, n df.Notice, body []byte, proof string, now time.Time) store.Delivery {
	key, shown, until := dedupe(route.Source, n, body, now, in.config.DedupeWindow)
	e := df.Event{
		ID: in.config.NewID(), ReceivedAt: now, Source: route.Source, Route: route.Name, Notice: n,
		DedupeKey: shown, Status: df.Pending, Raw: body, Headers: headersToKeep(r.Header), Verified: proof,
		Trace: observe.Traceparent(r.Context()),
	}
	switch {
	case n.Skip != "":
		e.Status, e.Reason = df.Skipped, n.Skip
	case route.Allow != nil && !route.Allow(n.Type):
		e.Status, e.Reason = df.Skipped, "this event is not on the list of allowed events"
	}
	return store.Delivery{Event: e, DedupeKey: key, DedupeUntil: until}
}

// keep stores the delivery and says so, or says what the sender must do.
func (in *Inbox) keep(r *http.Request, route Route, d store.Delivery) answer {
	accepted, err := in.config.Writer.Accept(r.Context(), d)
	if err != nil && route.WhenDown == HoldAndSpill {
		return in.hold(r.Context(), route, d)
	}
	if err != nil {
		in.down.begin(err)
		code := http.StatusServiceUnavailable
		if route.WhenDown == Answer429 {
			code = http.StatusTooManyRequests
		}
		a := refusal(code, "UNAVAILABLE", "the delivery cannot be stored now; send it again", "unavailable")
		a.after = "30"
		return a
	}
	in.down.end()
	observe.Current(r.Context()).Text("dfm.event_id", accepted.EventID)
	return stored(accepted)
}

func stored(accepted store.Accepted) answer {
	a := answer{Success: true, Status: "accepted", EventID: accepted.EventID, code: http.StatusOK, result: "accepted"}
	if accepted.Duplicate {
		a.Status, a.result = "duplicate", "duplicate"
	}
	return a
}

// hold tries again until the hold time is over or the sender is gone, and then
// spills. Aloware was seen to wait 110 s for an answer, and never to come back
// after a refusal.
func (in *Inbox) hold(ctx context.Context, route Route, d store.Delivery) answer {
	holding, cancel := context.WithTimeout(ctx, in.config.Hold)
	defer cancel()
	pause := 100 * time.Millisecond
	for {
		timer := time.NewTimer(pause)
		select {
		case <-holding.Done():
			timer.Stop()
			return in.spill(route, d)
		case <-timer.C:
		}
		accepted, err := in.config.Writer.Accept(holding, d)
		if err == nil {
			in.down.end()
			return stored(accepted)
		}
		in.down.begin(err)
		pause = min(2*pause, 2*time.Second)
	}
}

func (in *Inbox) spill(route Route, d store.Delivery) answer {
	if err := in.config.Spill.Keep(d); err != nil {
		in.config.Log.Error("a delivery can be stored neither in the database nor in a file", "route", route.Name, "error", err)
		return refusal(http.StatusServiceUnavailable, "UNAVAILABLE", "the delivery cannot be stored", "lost")
	}
	return answer{Success: true, Status: "accepted", EventID: d.Event.ID, code: http.StatusOK, result: "spilled"}
}

// failingFor is how long a failure to store says that the next delivery would
// fare no better. Whoever sends us nothing while we are not ready must come to
// try again.
const failingFor = 10 * time.Second

// ErrFailing is returned by Failing.
var ErrFailing = errors.New("inbox: deliveries cannot be stored")

// Failing returns ErrFailing while deliveries cannot be stored. A full disk takes
// a small write and refuses a large one, so only deliveries can tell.
func (in *Inbox) Failing() error {
	in.down.mu.Lock()
	defer in.down.mu.Unlock()
	if in.down.on && in.config.Clock().Sub(in.down.last) < failingFor {
		return ErrFailing
	}
	return nil
}

// outage says once that the store is gone, and once that it is back.
type outage struct {
	log   *slog.Logger
	clock df.Clock
	mu    sync.Mutex
	on    bool
	last  time.Time // when it last failed
}

func (o *outage) begin(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if errors.Is(err, context.Canceled) {
		return
	}
	o.last = o.clock()
	if o.on {
		return
	}
	o.on = true
	o.log.Error("webhooks cannot be stored", "error", strings.TrimSpace(err.Error()))
}

func (o *outage) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.on {
		o.on = false
		o.log.Info("webhooks are stored again")
	}
}

package stage

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Config says what a stage needs. Only Name and Clock must be set.
type Config struct {
	Name      string            // "ghl", "aloware", …
	Seed      uint64            // decides all mischief and all ids
	Clock     df.Clock          // what time it is at the upstream
	Logger    *slog.Logger      // nil discards
	Transport http.RoundTripper // carries webhooks; nil means a plain one without proxies
	TimeScale float64           // factor on the waits of webhooks (retries, delays); 0 means 1
	LogSize   int               // how many requests and webhooks are remembered; 0 means 2000
	Workers   int               // how many webhooks travel at once; 0 means 1, which keeps their order
}

const maxBody = 8 << 20

// Stage is what all upstreams of the sandbox have in common. It is safe for
// concurrent use once its routes have been added.
type Stage struct {
	config  Config
	router  router
	unknown http.Handler // for paths without a route
	method  http.Handler // for known paths with another method
	control *http.ServeMux
	mail    *mail
	server  *server
	ids     *ids

	mu        sync.Mutex
	own       Mischief
	world     Mischief
	scripted  map[string][]Prank
	calls     map[string]int
	seq       int
	log       ring
	intercept func(http.ResponseWriter, *http.Request) bool
	decorate  func(http.Header)
}

// New returns a stage without routes.
func New(c Config) *Stage {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.TimeScale == 0 {
		c.TimeScale = 1
	}
	if c.LogSize == 0 {
		c.LogSize = 2000
	}
	if c.Workers == 0 {
		c.Workers = 1
	}
	s := &Stage{
		config: c, unknown: http.NotFoundHandler(), method: http.NotFoundHandler(),
		control: http.NewServeMux(), ids: newIDs(c.Seed, c.Name),
		scripted: map[string][]Prank{}, calls: map[string]int{}, log: ring{size: c.LogSize},
	}
	s.mail = newMail(c, s.webhookFate)
	s.server = &server{handler: s}
	s.routeControl()
	return s
}

// Name returns the upstream's name.
func (s *Stage) Name() string { return s.config.Name }

// Now returns the upstream's time.
func (s *Stage) Now() time.Time { return s.config.Clock() }

// Route adds an operation. A pattern is a path whose {name} segments each match
// one non-empty segment; a last {path...} matches the rest. The handler finds
// the values with Request.PathValue and may read the body as usual.
func (s *Stage) Route(operation, method, pattern string, handler http.HandlerFunc) {
	s.router.add(operation, method, pattern, handler)
}

// Fallback sets what answers paths that no route knows, and known paths with
// a method that they do not take.
func (s *Stage) Fallback(unknownPath, wrongMethod http.HandlerFunc) {
	s.unknown, s.method = unknownPath, wrongMethod
}

// Decorate sets a function that adds to the header of every answer, pranks too.
// It is set once, before the first request.
func (s *Stage) Decorate(add func(http.Header)) { s.decorate = add }

// SetMischief replaces the upstream's own mischief. The zero value ends it.
func (s *Stage) SetMischief(m Mischief) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own = m
}

// SetWorldMischief replaces the mischief that all upstreams of a world share.
// It works beside the upstream's own.
func (s *Stage) SetWorldMischief(m Mischief) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world = m
}

// Mischief returns the upstream's own mischief.
func (s *Stage) Mischief() Mischief {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own
}

// Next plays the given pranks, one per call, on the next calls of the operation,
// before chance is asked. NoPrank lets one call through.
func (s *Stage) Next(operation string, pranks ...Prank) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripted[operation] = append(s.scripted[operation], pranks...)
}

// Intercept calls hook with every request before anything else looks at it. The
// request is answered by the hook when it returns true. Nil removes the hook.
func (s *Stage) Intercept(hook func(http.ResponseWriter, *http.Request) (handled bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = hook
}

// Normalising reports whether values are to be rewritten before they are stored.
func (s *Stage) Normalising() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own.Normalise || s.world.Normalise
}

// Calls returns how often each operation was called, lost requests included.
func (s *Stage) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// CallsOf returns how often one operation was called.
func (s *Stage) CallsOf(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[operation]
}

// Requests returns the newest requests, oldest first.
func (s *Stage) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.copy()
}

// ForgetRequests empties the log and sets the counters to zero. It changes what
// chance decides next: counting starts again.
func (s *Stage) ForgetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.items = nil
	clear(s.calls)
}

type unwrittenKey struct{}

// Unwritten reports whether the handler of this request shall answer success
// without storing anything. Handlers of operations that write ask it.
func Unwritten(r *http.Request) bool { return r.Context().Value(unwrittenKey{}) != nil }

// ServeHTTP answers one request of the upstream's API.
func (s *Stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if isControl(r) {
		s.control.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		http.Error(w, "payload too large", http.StatusRequestEntityTooLarge)
		return
	} else if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	operation, handler := s.find(r)
	entry, hook := s.begin(r, operation, body)
	a := &answer{ResponseWriter: w}
	defer func() { s.end(entry, a.status) }()
	if s.decorate != nil {
		s.decorate(a.Header())
	}
	if hook != nil && hook(a, r) {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.perform(entry, a, r, handler)
}

func (s *Stage) find(r *http.Request) (string, http.Handler) {
	found, values, otherMethod := s.router.match(r.Method, r.URL.EscapedPath())
	if found == nil && otherMethod {
		return "unknown", s.method
	}
	if found == nil {
		return "unknown", s.unknown
	}
	for name, value := range values {
		r.SetPathValue(name, value)
	}
	return found.operation, found.handler
}

// begin counts and logs the request and decides what goes wrong with it.
func (s *Stage) begin(r *http.Request, operation string, body []byte) (*Request, func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[operation]++
	s.seq++
	entry := &Request{
		Seq: s.seq, At: s.config.Clock(), Operation: operation, Method: r.Method, Path: r.URL.Path,
		Query: r.URL.Query(), Header: r.Header.Clone(), Body: body, nth: s.calls[operation],
	}
	entry.Prank = s.choose(operation, entry.nth)
	s.log.add(entry)
	return entry, s.intercept
}

func (s *Stage) choose(operation string, nth int) Prank {
	if queue := s.scripted[operation]; len(queue) > 0 {
		s.scripted[operation] = queue[1:]
		return queue[0]
	}
	if prank := s.own.prank(operation, newDie(s.config.Seed, "call "+s.config.Name, operation, nth)); prank != NoPrank {
		return prank
	}
	return s.world.prank(operation, newDie(s.config.Seed, "world call "+s.config.Name, operation, nth))
}

func (s *Stage) end(entry *Request, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry.Status = status
}

// times returns the durations that belong to the mischief in force.
func (s *Stage) times() (retryAfter, hold, slow time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return orElse(max(s.own.RetryAfter, s.world.RetryAfter), time.Second),
		max(s.own.HoldFor, s.world.HoldFor),
		orElse(max(s.own.SlowBy, s.world.SlowBy), time.Second)
}

func withUnwritten(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), unwrittenKey{}, true))
}

func isControl(r *http.Request) bool {
	const prefix = "/_sandbox/"
	return len(r.URL.Path) >= len(prefix) && r.URL.Path[:len(prefix)] == prefix
}

package app

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// repeatAfter is how long a library that repeats itself is not listened to.
const repeatAfter = time.Minute

// sparing passes each message on at most once in repeatAfter. River asks the
// database several times a second and says each time that it is gone; an
// operator needs to read that once.
type sparing struct {
	slog.Handler
	said *sayings
}

// sayings remembers what was said when, for a handler and all made from it.
type sayings struct {
	clock df.Clock
	mu    sync.Mutex
	last  map[string]time.Time
}

func newSparing(next slog.Handler, clock df.Clock) sparing {
	return sparing{next, &sayings{clock: clock, last: map[string]time.Time{}}}
}

// Handle implements slog.Handler.
func (s sparing) Handle(ctx context.Context, r slog.Record) error {
	if !s.said.fresh(r.Message) {
		return nil
	}
	return s.Handler.Handle(ctx, r)
}

func (s *sayings) fresh(message string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	if at, said := s.last[message]; said && now.Sub(at) < repeatAfter {
		return false
	}
	s.last[message] = now
	return true
}

// WithAttrs implements slog.Handler.
func (s sparing) WithAttrs(attrs []slog.Attr) slog.Handler {
	return sparing{s.Handler.WithAttrs(attrs), s.said}
}

// WithGroup implements slog.Handler.
func (s sparing) WithGroup(name string) slog.Handler {
	return sparing{s.Handler.WithGroup(name), s.said}
}

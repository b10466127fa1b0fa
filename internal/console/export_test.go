package console

import (
	"context"
	"testing"
)

// Listened waits until the pulse has looked once, so that what is done next is a
// change to it.
func (s *Server) Listened(t *testing.T) {
	t.Helper()
	looked := make(chan struct{}, 1)
	s.pulse.mu.Lock()
	before := s.pulse.look
	s.pulse.look = func(ctx context.Context) (map[string]string, error) {
		select {
		case looked <- struct{}{}:
		default:
		}
		return before(ctx)
	}
	s.pulse.mu.Unlock()
	<-looked
}

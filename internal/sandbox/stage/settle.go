package stage

import (
	"context"
	"fmt"
)

// Deliveries returns the newest webhooks, oldest first.
func (s *Stage) Deliveries() []Delivery {
	s.mail.mu.Lock()
	defer s.mail.mu.Unlock()
	out := make([]Delivery, len(s.mail.log))
	for i, l := range s.mail.log {
		out[i] = l.d
	}
	return out
}

// Pending returns how many webhooks are still on their way, and how many were
// ever sent; the two together tell whether anything happened between two looks.
func (s *Stage) Pending() (pending, sent int) {
	s.mail.mu.Lock()
	defer s.mail.mu.Unlock()
	return len(s.mail.open), s.mail.seq
}

// Settle waits until every webhook has been delivered or given up. Webhooks
// that are held back to be overtaken are let go first. It returns ErrPaused
// when it would wait for ever.
func (s *Stage) Settle(ctx context.Context) error {
	m := s.mail
	for {
		m.mu.Lock()
		held := m.held
		m.held = nil
		for _, l := range held {
			m.release(l)
		}
		pending, paused, changed := len(m.open), m.paused, m.changed
		m.mu.Unlock()
		if pending == 0 {
			return nil
		}
		if paused {
			return fmt.Errorf("settle %s: %w", s.config.Name, ErrPaused)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("settle %s: %d webhooks are still on their way: %w", s.config.Name, pending, ctx.Err())
		}
	}
}

// PauseWebhooks stops delivery; webhooks pile up. A try that is under way ends.
func (s *Stage) PauseWebhooks() {
	s.mail.mu.Lock()
	defer s.mail.mu.Unlock()
	s.mail.paused = true
	s.mail.signal()
}

// ResumeWebhooks lets delivery go on.
func (s *Stage) ResumeWebhooks() {
	s.mail.mu.Lock()
	defer s.mail.mu.Unlock()
	s.mail.paused = false
	s.mail.start(len(s.mail.ready))
}

// DropPending throws away every webhook that has not been delivered, as an
// upstream does that was restarted, and returns how many there were.
func (s *Stage) DropPending() int {
	s.mail.mu.Lock()
	defer s.mail.mu.Unlock()
	return s.mail.dropAll()
}

func (m *mail) dropAll() int {
	n := len(m.open)
	for l := range m.open {
		m.finish(l, Dropped)
	}
	m.ready, m.held = nil, nil
	return n
}

func (m *mail) close() {
	m.mu.Lock()
	m.dropAll()
	m.closed = true
	m.mu.Unlock()
	m.cancel()
	m.wg.Wait()
	m.client.CloseIdleConnections()
}

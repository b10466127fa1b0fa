package console

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// How long a sign-in lasts, and how many there may be at once. The oldest ends
// when there would be more.
const (
	sessionTime = 12 * time.Hour
	sessionMost = 1000
)

// session is one signed-in browser.
type session struct {
	actor   string
	role    Role
	csrf    string // stands in every form, so that no other site can send one
	began   time.Time
	expires time.Time
	notice  string // said once, on the next page
}

// sessions are the browsers that are signed in at this process. Only a hash of
// what the cookie holds is kept: a dump of the memory signs nobody in.
type sessions struct {
	clock  df.Clock
	random io.Reader

	mu   sync.Mutex
	byID map[[sha256.Size]byte]*session
}

func newSessions(clock df.Clock, random io.Reader) *sessions {
	return &sessions{clock: clock, random: random, byID: map[[sha256.Size]byte]*session{}}
}

// begin signs a browser in and returns what its cookie holds.
func (s *sessions) begin(actor string) (string, error) {
	id, err := token(s.random)
	if err != nil {
		return "", err
	}
	csrf, err := token(s.random)
	if err != nil {
		return "", err
	}
	now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom(now)
	s.byID[sha256.Sum256([]byte(id))] = &session{actor: actor, role: Admin, csrf: csrf, began: now, expires: now.Add(sessionTime)}
	return id, nil
}

// makeRoom forgets what has expired, and the oldest session when there are too
// many.
func (s *sessions) makeRoom(now time.Time) {
	var oldest [sha256.Size]byte
	var began time.Time
	for key, one := range s.byID {
		if !now.Before(one.expires) {
			delete(s.byID, key)
			continue
		}
		if began.IsZero() || one.began.Before(began) {
			oldest, began = key, one.began
		}
	}
	if len(s.byID) >= sessionMost {
		delete(s.byID, oldest)
	}
}

// find returns a copy of the session that the cookie names, and whether there is
// one that has not expired.
func (s *sessions) find(id string) (session, bool) {
	if id == "" {
		return session{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.byID[sha256.Sum256([]byte(id))]
	if !ok || !s.clock().Before(one.expires) {
		return session{}, false
	}
	return *one, true
}

// say leaves a notice for the browser's next page.
func (s *sessions) say(id, notice string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one, ok := s.byID[sha256.Sum256([]byte(id))]; ok {
		one.notice = notice
	}
}

// hear returns the notice that waits, once.
func (s *sessions) hear(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.byID[sha256.Sum256([]byte(id))]
	if !ok {
		return ""
	}
	notice := one.notice
	one.notice = ""
	return notice
}

// end signs the browser out.
func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, sha256.Sum256([]byte(id)))
}

// token makes 256 random bits in a form that fits cookies and forms.
func token(random io.Reader) (string, error) {
	var bits [32]byte
	if _, err := io.ReadFull(random, bits[:]); err != nil {
		return "", fmt.Errorf("make a session: read randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(bits[:]), nil
}

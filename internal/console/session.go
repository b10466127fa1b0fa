package console

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// How long a sign-in lasts, and how many there may be at once: in all, and of one
// user. The oldest ends when there would be more.
const (
	sessionTime = 12 * time.Hour
	sessionMost = 1000
	sessionEach = 100
)

// session is one signed-in browser.
type session struct {
	user    string // id; "" for whoever showed the admin secret
	actor   string
	role    Role
	csrf    string // stands in every form, so that no other site can send one
	expires time.Time
	notice  string // said once, on the next page
}

// sessions are the browsers that are signed in. They are in the database, so they
// hold on every instance, and what becomes of a user counts from the next request
// on. Only a hash of what the cookie holds is kept: a copy of the database signs
// nobody in.
type sessions struct {
	store  *store.Store
	guard  *auth.Guard
	clock  df.Clock
	random io.Reader
}

// entrant is who may begin a session.
type entrant struct {
	user  string // "" for whoever showed the admin secret
	epoch int64
	actor string
	role  Role
}

func entrantOf(u auth.User) entrant { return entrant{u.ID, u.Epoch(), u.Actor(), u.Role} }

// begin signs a browser in, writes that into the audit log, and returns what its
// cookie holds.
func (s *sessions) begin(ctx context.Context, who entrant, details map[string]any) (string, error) {
	id, err := token(s.random)
	if err != nil {
		return "", err
	}
	csrf, err := token(s.random)
	if err != nil {
		return "", err
	}
	now := s.clock()
	row := store.ConsoleSession{ID: sessionKeyOf(id), UserID: who.user, Epoch: who.epoch, Actor: who.actor, Role: string(who.role), CSRF: csrf,
		Proof: s.proof(who.user, id), BeganAt: now, ExpiresAt: now.Add(sessionTime)}
	line := store.AuditRow{At: now, Actor: who.actor, Action: "console.sign-in", Target: "console", Details: details}
	return id, s.store.BeginConsoleSession(ctx, row, store.SessionBounds{Each: sessionEach, All: sessionMost}, line)
}

// proof binds a session without a user to the admin secret: another secret in the
// settings ends it.
func (s *sessions) proof(user, id string) string {
	if user != "" {
		return ""
	}
	return s.guard.Bind(id)
}

// find returns the session that the cookie names, and whether there is one that
// is still worth something.
func (s *sessions) find(ctx context.Context, id string) (session, bool, error) {
	if id == "" {
		return session{}, false, nil
	}
	row, err := s.store.ConsoleSession(ctx, sessionKeyOf(id), s.clock())
	if errors.Is(err, store.ErrNotFound) {
		return session{}, false, nil
	}
	if err != nil {
		return session{}, false, err
	}
	if !auth.Equal(row.Proof, s.proof(row.UserID, id)) {
		return session{}, false, nil
	}
	return session{user: row.UserID, actor: row.Actor, role: Role(row.Role), csrf: row.CSRF, expires: row.ExpiresAt, notice: row.Notice}, true, nil
}

// say leaves a notice for the browser's next page.
func (s *sessions) say(ctx context.Context, id, notice string) error {
	return s.store.SayAtConsole(ctx, sessionKeyOf(id), notice)
}

// hear takes the notice that the session was found with, and returns it unless
// another page has.
func (s *sessions) hear(ctx context.Context, id, notice string) (string, error) {
	if notice == "" {
		return "", nil
	}
	if mine, err := s.store.HearAtConsole(ctx, sessionKeyOf(id), notice); !mine || err != nil {
		return "", err
	}
	return notice, nil
}

// end signs the browser out.
func (s *sessions) end(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	return s.store.EndConsoleSession(ctx, sessionKeyOf(id))
}

// sessionKeyOf is under which key a session is kept.
func sessionKeyOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

// nameOf is the actor as people read it.
func nameOf(actor string) string { return strings.TrimPrefix(actor, "user:") }

// token makes 256 random bits in a form that fits cookies and forms.
func token(random io.Reader) (string, error) {
	var bits [32]byte
	if _, err := io.ReadFull(random, bits[:]); err != nil {
		return "", fmt.Errorf("make a session: read randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(bits[:]), nil
}

package console

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"testing/iotest"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

var bySecret = entrant{actor: "admin", role: Admin}

func sessionsOf(s *store.Store, secret df.Secret, clock df.Clock) *sessions {
	guard := auth.NewGuard(auth.GuardConfig{Doors: []auth.Door{{Actor: "admin", Secret: secret}}, Brake: auth.NewBrake(clock)})
	return &sessions{store: s, guard: guard, clock: clock, random: rand.Reader}
}

// A restart, and another instance, know who is signed in. Another admin secret
// ends what the last one opened, and no user's session.
func TestASessionHoldsOnEveryInstanceUntilTheSecretChanges(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		one, other, changed := sessionsOf(s, "secret", time.Now), sessionsOf(s, "secret", time.Now), sessionsOf(s, "another", time.Now)
		mine, err := one.begin(t.Context(), bySecret, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok, err := other.find(t.Context(), mine); !ok || err != nil || got.actor != "admin" || got.role != Admin || got.csrf == "" || got.csrf == mine {
			t.Errorf("elsewhere: %+v, %v, %v", got, ok, err)
		}
		if _, ok, err := changed.find(t.Context(), mine); ok || err != nil {
			t.Errorf("with another secret: %v, %v", ok, err)
		}
		if _, err := s.ConsoleSession(t.Context(), mine, time.Now()); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the cookie itself is in the database: %v", err)
		}
		if err := other.end(t.Context(), mine); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := one.find(t.Context(), mine); ok || err != nil {
			t.Errorf("ended elsewhere: %v, %v", ok, err)
		}
	})
}

func TestNoticesAreHeardOnceAndOnlyByTheirSession(t *testing.T) {
	t.Parallel()
	s := sessionsOf(storetest.SQLite(t), "secret", time.Now)
	hears := func(id, want string) {
		t.Helper()
		found, _, err := s.find(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{want, ""} { // two pages that were asked for at once
			if got, err := s.hear(t.Context(), id, found.notice); got != want || err != nil {
				t.Errorf("heard %q, want %q, %v", got, want, err)
			}
		}
	}
	var ids [2]string
	for i := range ids {
		var err error
		if ids[i], err = s.begin(t.Context(), bySecret, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.say(t.Context(), ids[0], "saved"), s.say(t.Context(), "nobody", "lost")); err != nil {
		t.Fatal(err)
	}
	hears(ids[1], "")
	hears(ids[0], "saved")
	hears("nobody", "")
	hears("", "")
}

func TestWithoutRandomnessOrDatabaseThereIsNoSession(t *testing.T) {
	t.Parallel()
	dry := errors.New("dry")
	s := sessionsOf(storetest.SQLite(t), "secret", time.Now)
	s.random = iotest.ErrReader(dry)
	if _, err := s.begin(t.Context(), bySecret, nil); !errors.Is(err, dry) {
		t.Errorf("%v", err)
	}
	s.random = rand.Reader
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.begin(gone, bySecret, nil); err == nil {
		t.Error("a session began without the database")
	}
	if _, ok, err := s.find(gone, "x"); ok || err == nil {
		t.Errorf("found without the database: %v, %v", ok, err)
	}
}

package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

func insertUser(t *testing.T, s *store.Store, u store.ConsoleUser) error {
	t.Helper()
	u.CreatedAt, u.UpdatedAt = noon, noon
	return s.InTx(t.Context(), func(tx store.Tx) error { return store.InsertConsoleUser(t.Context(), tx, u) })
}

func changeUser(t *testing.T, s *store.Store, id string, c store.UserChange) error {
	t.Helper()
	return s.InTx(t.Context(), func(tx store.Tx) error {
		return store.ChangeConsoleUser(t.Context(), tx, id, c, noon.Add(time.Hour))
	})
}

func beginSession(t *testing.T, s *store.Store, one store.ConsoleSession, bounds store.SessionBounds) {
	t.Helper()
	line := store.AuditRow{At: one.BeganAt, Actor: one.Actor, Action: "console.sign-in", Target: "console"}
	if err := s.BeginConsoleSession(t.Context(), one, bounds, line); err != nil {
		t.Fatal(err)
	}
}

func session(id, user string, epoch int64, began time.Time) store.ConsoleSession {
	return store.ConsoleSession{ID: id, UserID: user, Epoch: epoch, Actor: "user:Dana", Role: "viewer", CSRF: "c-" + id, Proof: "p-" + id,
		BeganAt: began, ExpiresAt: began.Add(12 * time.Hour)}
}

func TestNoTwoConsoleUsersShareWhatTellsThemApart(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		dana := store.ConsoleUser{ID: "u1", Name: "Dana", NameKey: "dana", Email: "dana@example.test", Role: "admin", PasswordHash: "h1", ClerkUserID: "user_1"}
		if err := insertUser(t, s, dana); err != nil {
			t.Fatal(err)
		}
		for what, twin := range map[string]store.ConsoleUser{
			"name": {ID: "u2", NameKey: "dana", Email: "x@example.test"}, "e-mail": {ID: "u3", NameKey: "x", Email: "dana@example.test"},
			"Clerk id": {ID: "u4", NameKey: "y", Email: "y@example.test", ClerkUserID: "user_1"},
		} {
			if err := insertUser(t, s, twin); !errors.Is(err, store.ErrUnique) {
				t.Errorf("the same %s: %v", what, err)
			}
		}
		// Without a link to Clerk there may be many.
		for i, name := range []string{"alex", "robin"} {
			if err := insertUser(t, s, store.ConsoleUser{ID: fmt.Sprint("n", i), Name: name, NameKey: name, Email: name + "@example.test", Role: "viewer"}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.ConsoleUserByClerk(t.Context(), ""); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("nobody's Clerk id finds somebody: %v", err)
		}
		taken := "dana@example.test"
		if err := changeUser(t, s, "n0", store.UserChange{Email: &taken}); !errors.Is(err, store.ErrUnique) {
			t.Errorf("an e-mail that another user has: %v", err)
		}
		off := true
		if err := changeUser(t, s, "u1", store.UserChange{Disabled: &off}); err != nil {
			t.Fatal(err)
		}
		users, err := s.ConsoleUsers(t.Context())
		if err != nil || len(users) != 3 || users[0].Name != "alex" || users[2].Name != "Dana" {
			t.Errorf("%+v, %v", users, err)
		}
	})
}

func TestAChangeOfAConsoleUserTouchesNothingElse(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		was := store.ConsoleUser{ID: "u1", Name: "Dana", NameKey: "dana", Email: "dana@example.test", Role: "viewer", PasswordHash: "h1", ClerkUserID: "user_1"}
		if err := insertUser(t, s, was); err != nil {
			t.Fatal(err)
		}
		none, admin, off, on := "", "admin", true, false
		for _, c := range []store.UserChange{{Role: &admin}, {ClerkUserID: &none, EndSessions: true}, {Disabled: &off, EndSessions: true}, {Disabled: &on}} {
			if err := changeUser(t, s, "u1", c); err != nil {
				t.Fatal(err)
			}
		}
		is, err := s.ConsoleUserByEmail(t.Context(), "dana@example.test")
		want := was
		want.Role, want.ClerkUserID, want.Epoch, want.CreatedAt, want.UpdatedAt = "admin", "", 2, noon, noon.Add(time.Hour)
		if err != nil || is != want {
			t.Errorf("%+v, want %+v, %v", is, want, err)
		}
		if err := errors.Join(s.RehashConsoleUser(t.Context(), "u1", "another", "h2"), s.RehashConsoleUser(t.Context(), "u1", "h1", "h3")); err != nil {
			t.Fatal(err)
		}
		if is, err = s.ConsoleUser(t.Context(), "u1"); err != nil || is.PasswordHash != "h3" || is.Epoch != 2 {
			t.Errorf("%+v, %v", is, err)
		}
		if err := changeUser(t, s, "nobody", store.UserChange{Role: &admin}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("nobody: %v", err)
		}
	})
}

func TestAConsoleSessionIsWorthWhatItsUserIs(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		if err := insertUser(t, s, store.ConsoleUser{ID: "u1", Name: "Dana", NameKey: "dana", Email: "dana@example.test", Role: "viewer"}); err != nil {
			t.Fatal(err)
		}
		bounds := store.SessionBounds{Each: 10, All: 100}
		beginSession(t, s, session("of-dana", "u1", 0, noon), bounds)
		beginSession(t, s, session("of-the-secret", "", 0, noon), bounds)
		found := func(id string, at time.Time) store.ConsoleSession {
			t.Helper()
			one, err := s.ConsoleSession(t.Context(), id, at)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
			return one
		}
		if got := found("of-dana", noon.Add(time.Minute)); got != session("of-dana", "u1", 0, noon) {
			t.Errorf("%+v", got)
		}
		if got := found("of-dana", noon.Add(12*time.Hour)); got.ID != "" {
			t.Errorf("a session has not expired: %+v", got)
		}
		if u, err := s.ConsoleUser(t.Context(), "u1"); err != nil || !u.SignedInAt.Equal(noon) {
			t.Errorf("%+v, %v", u, err)
		}
		role, off, on := "operator", true, false
		for _, c := range []store.UserChange{{Role: &role}, {Disabled: &off}} {
			if err := changeUser(t, s, "u1", c); err != nil {
				t.Fatal(err)
			}
			if got := found("of-dana", noon); c.Role != nil && got.Role != "operator" || c.Disabled != nil && got.ID != "" {
				t.Errorf("after %+v: %+v", c, got)
			}
		}
		if err := changeUser(t, s, "u1", store.UserChange{Disabled: &on, EndSessions: true}); err != nil {
			t.Fatal(err)
		}
		// A sign-in that was judged before the sessions were ended comes too late.
		beginSession(t, s, session("late", "u1", 0, noon), bounds)
		for _, id := range []string{"of-dana", "late", "unknown"} {
			if got := found(id, noon); got.ID != "" {
				t.Errorf("%s is worth something: %+v", id, got)
			}
		}
		if found("of-the-secret", noon).ID == "" {
			t.Error("a session of the secret ended with somebody else's")
		}
	})
}

func TestConsoleSessionsAreBoundedAndForgotten(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		there := func() (n int) {
			t.Helper()
			if err := s.Row(t.Context(), `SELECT COUNT(*) FROM console_sessions`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		alive := func(id string) bool {
			t.Helper()
			_, err := s.ConsoleSession(t.Context(), id, noon.Add(time.Minute))
			return err == nil
		}
		bounds := store.SessionBounds{Each: 2, All: 3}
		for i := range 3 {
			beginSession(t, s, session(fmt.Sprint("a", i), "", 0, noon.Add(time.Duration(i)*time.Second)), bounds)
		}
		if there() != 2 || alive("a0") || !alive("a2") {
			t.Errorf("%d sessions of one, the first among them: %v", there(), alive("a0"))
		}
		beginSession(t, s, session("b0", "u1", 0, noon.Add(time.Minute)), bounds)
		beginSession(t, s, session("b1", "u1", 0, noon.Add(time.Minute+time.Second)), bounds)
		if there() != 3 || alive("a1") {
			t.Errorf("%d sessions in all, the oldest among them: %v", there(), alive("a1"))
		}
		beginSession(t, s, session("tomorrow", "", 0, noon.Add(24*time.Hour)), bounds)
		if there() != 1 {
			t.Errorf("%d sessions after all others have expired", there())
		}
		if n, err := s.PruneConsoleSessions(t.Context(), noon.Add(36*time.Hour)); n != 1 || err != nil {
			t.Errorf("%d pruned, %v", n, err)
		}
	})
}

func TestANoticeIsHeardOnce(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		beginSession(t, s, session("one", "", 0, noon), store.SessionBounds{Each: 2, All: 2})
		if err := s.SayAtConsole(t.Context(), "one", "saved"); err != nil {
			t.Fatal(err)
		}
		one, err := s.ConsoleSession(t.Context(), "one", noon)
		if err != nil || one.Notice != "saved" {
			t.Fatalf("%+v, %v", one, err)
		}
		for i, want := range []bool{true, false} {
			if heard, err := s.HearAtConsole(t.Context(), "one", one.Notice); heard != want || err != nil {
				t.Errorf("try %d: %v, %v", i, heard, err)
			}
		}
		if err := s.EndConsoleSession(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ConsoleSession(t.Context(), "one", noon); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("after its end: %v", err)
		}
	})
}

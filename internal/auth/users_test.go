package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// crew is the users over a store, with a clock that stands until it is moved.
type crew struct {
	*Users
	now time.Time
}

func newCrew(s *store.Store) *crew {
	c := &crew{now: time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return c.now }
	var made atomic.Int64
	c.Users = &Users{Store: s, Passwords: NewPasswords(cheap, rand.Reader), Clock: clock, Addresses: NewBrake(clock), Accounts: NewBrake(clock),
		NewID: func() string { return fmt.Sprint("u", made.Add(1)) }}
	return c
}

func (c *crew) dana(t *testing.T) User {
	t.Helper()
	u, err := c.Create(WithActor(t.Context(), "admin"), NewUser{Name: "Dana Fox", Email: " Dana@Example.test ", Role: Admin, Password: goodPassword, ClerkUserID: "user_2abc"})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// eachCrew runs a test on every engine, with one user.
func eachCrew(t *testing.T, test func(t *testing.T, c *crew, dana User)) {
	t.Helper()
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		c := newCrew(s)
		test(t, c, c.dana(t))
	})
}

func TestAUserSignsInByEmailAndPassword(t *testing.T) {
	eachCrew(t, func(t *testing.T, c *crew, dana User) {
		if dana.Email != "dana@example.test" || dana.Actor() != "user:Dana Fox" || !dana.HasPassword || dana.Disabled() {
			t.Errorf("made %+v", dana)
		}
		got, err := c.SignIn(t.Context(), "192.0.2.1:1", "DANA@example.TEST", goodPassword)
		if err != nil || got.ID != dana.ID || got.Role != Admin {
			t.Errorf("%+v, %v", got, err)
		}
		off := true
		for i, try := range []func() (User, error){
			func() (User, error) { return c.SignIn(t.Context(), "192.0.2.1:1", dana.Email, "a wrong password") },
			func() (User, error) { return c.SignIn(t.Context(), "192.0.2.1:1", "nobody@example.test", goodPassword) },
			func() (User, error) { return c.SignIn(t.Context(), "192.0.2.1:1", dana.Email, "") },
			func() (User, error) {
				if _, err := c.Change(t.Context(), dana.ID, UserChange{Disabled: &off}); err != nil {
					t.Fatal(err)
				}
				return c.SignIn(t.Context(), "192.0.2.1:1", dana.Email, goodPassword)
			},
		} {
			// Whoever is refused learns from none of them which it was.
			if u, err := try(); !errors.Is(err, ErrUnauthorized) || u.ID != "" || err.Error() != ErrUnauthorized.Error() {
				t.Errorf("try %d: %+v, %v", i, u, err)
			}
		}
	})
}

func TestGuessingIsHeldByAccountWhereverItComesFrom(t *testing.T) {
	eachCrew(t, func(t *testing.T, c *crew, dana User) {
		guess := func(i int, email string, password df.Secret) error {
			_, err := c.SignIn(t.Context(), fmt.Sprintf("192.0.2.%d:1", i), email, password)
			return err
		}
		for _, email := range []string{dana.Email, "nobody@example.test"} {
			for i := range 10 {
				if err := guess(i, email, "a wrong password"); !errors.Is(err, ErrUnauthorized) {
					t.Fatalf("guess %d: %v", i, err)
				}
			}
			// An account that nobody has is held in the same way.
			limited, ok := errors.AsType[*RateLimitedError](guess(99, email, goodPassword))
			if !ok || limited.RetryAfter != 10*time.Second {
				t.Errorf("the eleventh try at %s: %v", email, limited)
			}
		}
		c.now = c.now.Add(11 * time.Second)
		for range 20 { // who is right spends nothing
			if err := guess(100, dana.Email, goodPassword); err != nil {
				t.Fatalf("after the pause: %v", err)
			}
		}
	})
}

func TestGuessingIsHeldByAddressWhicheverAccountItIsAt(t *testing.T) {
	eachCrew(t, func(t *testing.T, c *crew, dana User) {
		for i := range 10 {
			if _, err := c.SignIn(t.Context(), "192.0.2.1:1", fmt.Sprintf("guess%d@example.test", i), goodPassword); !errors.Is(err, ErrUnauthorized) {
				t.Fatalf("guess %d: %v", i, err)
			}
		}
		_, err := c.SignIn(t.Context(), "192.0.2.1:2", dana.Email, goodPassword)
		if _, held := errors.AsType[*RateLimitedError](err); !held {
			t.Errorf("the eleventh try: %v", err)
		}
		if _, err := c.SignIn(t.Context(), "192.0.2.2:1", dana.Email, goodPassword); err != nil {
			t.Errorf("from elsewhere: %v", err)
		}
	})
}

func TestAHashIsRenewedAtTheNextSignIn(t *testing.T) {
	eachCrew(t, func(t *testing.T, c *crew, dana User) {
		c.Passwords = NewPasswords(HashParams{MemoryKiB: 128, Passes: 1, Lanes: 1}, rand.Reader)
		for range 2 {
			if _, err := c.SignIn(t.Context(), "192.0.2.1:1", dana.Email, goodPassword); err != nil {
				t.Fatal(err)
			}
			row, err := c.Store.ConsoleUser(t.Context(), dana.ID)
			if err != nil || !strings.Contains(row.PasswordHash, "m=128") || row.Epoch != 0 {
				t.Errorf("%+v, %v", row, err)
			}
		}
	})
}

func TestClerkVouchesByUserIDOnly(t *testing.T) {
	eachCrew(t, func(t *testing.T, c *crew, dana User) {
		as := func(subject string, err error) (User, error) {
			return c.SignInByClerk(t.Context(), "192.0.2.1:1", func(context.Context) (string, error) { return subject, err })
		}
		if u, err := as("user_2abc", nil); err != nil || u.ID != dana.ID {
			t.Errorf("%+v, %v", u, err)
		}
		for _, subject := range []string{"user_other", "", dana.Email} {
			if u, err := as(subject, nil); !errors.Is(err, ErrUnauthorized) || u.ID != "" {
				t.Errorf("%q: %+v, %v", subject, u, err)
			}
		}
		if _, err := as("", ErrKeysUnavailable); !errors.Is(err, ErrKeysUnavailable) {
			t.Errorf("%v", err)
		}
		none := ""
		if _, err := c.Change(t.Context(), dana.ID, UserChange{ClerkUserID: &none}); err != nil {
			t.Fatal(err)
		}
		if _, err := as("user_2abc", nil); !errors.Is(err, ErrUnauthorized) {
			t.Errorf("without the link: %v", err)
		}
		for range 10 {
			_, _ = as("user_2abc", ErrInvalidToken)
		}
		_, err := as("user_2abc", nil)
		if _, held := errors.AsType[*RateLimitedError](err); !held {
			t.Errorf("after many bad tokens: %v", err)
		}
	})
}

func TestWhatIsWrongWithAUserIsSaid(t *testing.T) {
	eachCrew(t, func(t *testing.T, c *crew, dana User) {
		good := NewUser{Name: "Alex", Email: "alex@example.test", Role: Viewer, Password: goodPassword}
		for what, spoil := range map[string]func(*NewUser){
			"no name": func(u *NewUser) { u.Name = " " }, "a name with a line break": func(u *NewUser) { u.Name = "a\nb" },
			"a long name": func(u *NewUser) { u.Name = strings.Repeat("x", 101) }, "no e-mail": func(u *NewUser) { u.Email = "alex" },
			"an e-mail with a name": func(u *NewUser) { u.Email = "Alex <alex@example.test>" }, "no role": func(u *NewUser) { u.Role = "" },
			"an unknown role": func(u *NewUser) { u.Role = "root" }, "a short password": func(u *NewUser) { u.Password = "short" },
			"no way in": func(u *NewUser) { u.Password = "" }, "a Clerk id that is an e-mail": func(u *NewUser) { u.ClerkUserID = "alex@example.test" },
		} {
			bad := good
			spoil(&bad)
			if _, err := c.Create(t.Context(), bad); err == nil || df.AsError(err).Code != "INVALID_REQUEST" {
				t.Errorf("%s: %v", what, err)
			}
		}
		for what, twin := range map[string]NewUser{
			"name": {Name: "DANA fox", Email: "d@example.test"}, "e-mail": {Name: "D", Email: "dana@EXAMPLE.test"}, "Clerk id": {Name: "D", Email: "d@example.test", ClerkUserID: "user_2abc"},
		} {
			twin.Role, twin.Password = Viewer, goodPassword
			if _, err := c.Create(t.Context(), twin); err == nil || df.AsError(err).Code != "CONFLICT" {
				t.Errorf("the same %s: %v", what, err)
			}
		}
		if users, err := c.List(t.Context()); err != nil || len(users) != 1 {
			t.Errorf("%+v, %v", users, err)
		}
		if _, err := c.Find(t.Context(), "nobody"); !errors.Is(err, ErrNoUser) {
			t.Errorf("%v", err)
		}
		if u, err := c.Find(t.Context(), "DANA@example.test"); err != nil || u.ID != dana.ID {
			t.Errorf("by e-mail: %+v, %v", u, err)
		}
	})
}

func TestNobodyTakesAwayHisOwnWayIn(t *testing.T) {
	eachCrew(t, func(t *testing.T, c *crew, dana User) {
		self, viewer, admin, off, email := WithActor(t.Context(), dana.Actor()), Viewer, Admin, true, "fox@example.test"
		unasked := df.Secret("not the one of now")
		for _, change := range []UserChange{{Role: &viewer}, {Disabled: &off}, {Password: &unasked}} {
			if _, err := c.Change(self, dana.ID, change); err == nil || df.AsError(err).Code != "CONFLICT" {
				t.Errorf("%+v: %v", change, err)
			}
		}
		if u, err := c.Change(self, dana.ID, UserChange{Role: &admin, Email: &email}); err != nil || u.Email != email {
			t.Errorf("what takes nothing away: %+v, %v", u, err)
		}
		if u, err := c.Change(WithActor(t.Context(), "admin"), dana.ID, UserChange{Role: &viewer}); err != nil || u.Role != Viewer {
			t.Errorf("by another: %+v, %v", u, err)
		}
	})
}

func TestChangesEndSessionsAndAreOnRecordWithoutSecrets(t *testing.T) {
	eachCrew(t, func(t *testing.T, c *crew, dana User) {
		ctx := WithActor(t.Context(), "user:Robin")
		password, clerk, off, on, role := df.Secret("another password"), "user_3xyz", true, false, Operator
		for i, change := range []UserChange{{Password: &password}, {ClerkUserID: &clerk}, {Disabled: &off}, {Disabled: &on}} {
			u, err := c.Change(ctx, dana.ID, change)
			if err != nil || u.Epoch() != int64(i+1) {
				t.Errorf("change %d: epoch %d, %v", i, u.Epoch(), err)
			}
		}
		for _, change := range []UserChange{{Role: &role}, {Role: &role, Disabled: &on, ClerkUserID: &clerk}, {}} {
			if u, err := c.Change(ctx, dana.ID, change); err != nil || u.Epoch() != 4 || u.Role != Operator {
				t.Errorf("%+v, %v", u, err)
			}
		}
		lines, err := c.Store.AuditLog(t.Context(), 0, 100)
		if err != nil || len(lines) != 6 { // the creation, four changes, the role; what changes nothing leaves nothing
			t.Fatalf("%d lines, %v", len(lines), err)
		}
		for _, line := range lines {
			text := fmt.Sprint(line)
			if strings.Contains(text, "another password") || strings.Contains(text, "argon2") || strings.Contains(text, "@") {
				t.Errorf("the audit log holds a secret: %s", text)
			}
			if line.Target != dana.ID || line.Action == "user.change" && line.Actor != "user:Robin" {
				t.Errorf("%+v", line)
			}
		}
	})
}

func TestOnesOwnPasswordTakesTheOneOfNow(t *testing.T) {
	eachCrew(t, func(t *testing.T, c *crew, dana User) {
		ctx := WithActor(t.Context(), dana.Actor())
		if _, err := c.ChangeOwnPassword(ctx, "192.0.2.1:1", dana.ID, "a wrong password", "the next password"); !errors.Is(err, ErrUnauthorized) {
			t.Errorf("with a wrong one: %v", err)
		}
		if _, err := c.ChangeOwnPassword(ctx, "192.0.2.1:1", dana.ID, goodPassword, "short"); err == nil || df.AsError(err).Code != "INVALID_REQUEST" {
			t.Errorf("a short one: %v", err)
		}
		u, err := c.ChangeOwnPassword(ctx, "192.0.2.1:1", dana.ID, goodPassword, "the next password")
		if err != nil || u.Epoch() != 1 {
			t.Fatalf("%+v, %v", u, err)
		}
		if _, err := c.SignIn(t.Context(), "192.0.2.1:1", dana.Email, goodPassword); !errors.Is(err, ErrUnauthorized) {
			t.Errorf("the old one: %v", err)
		}
		if _, err := c.SignIn(t.Context(), "192.0.2.1:1", dana.Email, "the next password"); err != nil {
			t.Errorf("the new one: %v", err)
		}
	})
}

func TestEachRoleMayWhatTheOneBeforeMay(t *testing.T) {
	for i, has := range Roles() {
		for j, needs := range Roles() {
			if has.Allows(needs) != (i >= j) {
				t.Errorf("%s, where %s is needed: %v", has, needs, has.Allows(needs))
			}
		}
		if has.Allows("") || has.Allows("root") || Role("root").Allows(has) || Role("").Allows(has) {
			t.Errorf("an unknown role is taken for %s or for less", has)
		}
	}
}

func TestABindingEndsWithTheSecret(t *testing.T) {
	guard := func(secret df.Secret) *Guard {
		return NewGuard(GuardConfig{Doors: []Door{{Secret: secret}}, Brake: NewBrake(time.Now)})
	}
	one := guard("the secret").Bind("cookie")
	if guard("the secret").Bind("cookie") != one {
		t.Error("the same secret binds differently")
	}
	if guard("another").Bind("cookie") == one || guard("the secret").Bind("another cookie") == one || guard("").Bind("cookie") == one {
		t.Error("another secret or another key binds alike")
	}
}

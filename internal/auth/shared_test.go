package auth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// fleet is several instances on one database and one Clerk.
func fleet(t testing.TB, n int, clerk *fakeClerk, shared *memShared) []*stage {
	t.Helper()
	stages := make([]*stage, n)
	for i := range stages {
		stages[i] = newStage(t, clerk, func(c *TokenKeeperConfig) {
			c.Shared, c.Vault, c.Instance = shared, testVault(t), fmt.Sprint("instance-", i)
			c.Random = func() float64 { return float64(i) / float64(n) }
		})
	}
	return stages
}

func everywhere(t *testing.T, stages []*stage, f func(*stage)) {
	t.Helper()
	var wg sync.WaitGroup
	for _, s := range stages {
		for range 5 {
			wg.Go(func() { f(s) })
		}
	}
	wg.Wait()
}

func TestInstancesMintOnceTogetherAndKeepItSealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clerk, shared := &fakeClerk{life: time.Hour, slow: time.Second}, newMemShared()
		stages := fleet(t, 8, clerk, shared)
		for _, s := range stages {
			s.Start()
			defer stop(t, s)
		}
		everywhere(t, stages, func(s *stage) { s.must(t) })
		if n := clerk.mints(); n != 1 {
			t.Errorf("%d mints for 8 instances", n)
		}
		for range 4 * 60 { // four hours of use on all of them
			everywhere(t, stages, func(s *stage) { s.must(t) })
			time.Sleep(time.Minute)
		}
		if n := clerk.mints(); n < 4 || n > 5 {
			t.Errorf("%d mints in four hours", n)
		}
		token := stages[0].must(t).Reveal()
		for _, row := range shared.rows {
			if row.Sealed == "" || strings.Contains(row.Sealed, strings.Split(token, ".")[1]) || row.ExpiresAt.IsZero() {
				t.Errorf("row %+v", row)
			}
		}
	})
}

func TestRefusedSharedTokenIsReplacedOnceForAllInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clerk, shared := &fakeClerk{life: time.Hour, slow: time.Second}, newMemShared()
		stages := fleet(t, 4, clerk, shared)
		for _, s := range stages {
			defer stop(t, s)
		}
		first := stages[0].must(t)
		everywhere(t, stages, func(s *stage) { s.must(t) })
		everywhere(t, stages, func(s *stage) {
			s.Invalidate(first)
			if s.must(t) == first {
				t.Error("the refused token came back from the database")
			}
		})
		if n := clerk.mints(); n != 2 {
			t.Errorf("%d mints", n)
		}
	})
}

func TestDeadSessionIsProbedByTheFleetAsByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clerk, shared := &fakeClerk{life: time.Hour, fail: func(int) *http.Response { return answer(404, nil, "") }}, newMemShared()
		stages := fleet(t, 5, clerk, shared)
		for _, s := range stages {
			defer stop(t, s)
		}
		for range 60 {
			everywhere(t, stages, func(s *stage) {
				if _, err := s.Token(t.Context()); !df.IsCode(err, df.CodeNotFound) {
					t.Errorf("got %v", err)
				}
			})
			time.Sleep(time.Minute)
		}
		if n := clerk.mints(); n > 15 {
			t.Errorf("%d attempts in an hour", n)
		}
		for _, s := range stages {
			if s.alerted() != "[session_dead]" {
				t.Errorf("alerts %s", s.alerted())
			}
		}
	})
}

// A new session id is another token with another row, so it is tried at once.
func TestNewSettingsEndAnOldTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clerk, shared := &fakeClerk{life: time.Hour, fail: func(int) *http.Response { return answer(404, nil, "") }}, newMemShared()
		old := fleet(t, 1, clerk, shared)[0]
		if _, err := old.Token(t.Context()); err == nil {
			t.Fatal("got a token")
		}
		stop(t, old)
		clerk.set(func(c *fakeClerk) { c.fail = nil })
		mint, err := NewMinter(MinterConfig{APIURL: "https://api.clerk.example.test/v1", Secret: "sk_test_1", Session: "sess_2",
			TTL: time.Hour, Client: clerk, Clock: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		s := newStage(t, clerk, func(c *TokenKeeperConfig) { c.Mint, c.Shared, c.Vault = mint, shared, testVault(t) })
		defer stop(t, s)
		s.must(t)
	})
}

// Between looking and leasing another instance may have minted and let go.
func TestTokenThatAppearsBeforeTheLeaseIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clerk, shared := &fakeClerk{life: time.Hour}, newMemShared()
		stages := fleet(t, 2, clerk, shared)
		for _, s := range stages {
			defer stop(t, s)
		}
		var other df.Secret
		shared.between = func() { other = stages[1].must(t) }
		if got := stages[0].must(t); got != other || clerk.mints() != 1 {
			t.Errorf("%d mints", clerk.mints())
		}
		if owner := shared.owner[stages[0].Mint.Name()]; owner != "" {
			t.Errorf("%s still holds the lease", owner)
		}
	})
}

func TestCrashedMinterHoldsTheOthersUpOnlyForItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clerk, shared := &fakeClerk{life: time.Hour}, newMemShared()
		s := fleet(t, 1, clerk, shared)[0]
		defer stop(t, s)
		if _, held, err := shared.LeaseToken(t.Context(), s.Mint.Name(), "crashed", mintLease); !held || err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		s.must(t)
		if waited := time.Since(start); waited < mintLease-time.Second || waited > mintLease+time.Second {
			t.Errorf("waited %s", waited)
		}
	})
}

func TestInstanceGoesOnAloneWhenTheDatabaseIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clerk, shared := &fakeClerk{life: time.Hour}, newMemShared()
		shared.down = errors.New("database is down")
		s := fleet(t, 1, clerk, shared)[0]
		defer stop(t, s)
		s.must(t)
	})
}

func TestRowThatCannotBeOpenedIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clerk, shared := &fakeClerk{life: time.Hour}, newMemShared()
		s := fleet(t, 1, clerk, shared)[0]
		defer stop(t, s)
		other, err := NewVault(endless(), vaultKey(9))
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := other.Seal("anything", []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		shared.rows[s.Mint.Name()] = SharedToken{Sealed: sealed, ExpiresAt: time.Now().Add(time.Hour)}
		s.must(t)
		if shared.rows[s.Mint.Name()].Sealed == sealed {
			t.Error("the row was left")
		}
	})
}

func TestSharingNeedsAnEncryptionKey(t *testing.T) {
	empty, err := NewVault(endless(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, vault := range []*Vault{nil, empty} {
		if _, err := NewTokenKeeper(TokenKeeperConfig{Shared: newMemShared(), Vault: vault}); !errors.Is(err, ErrNoEncryptionKey) {
			t.Errorf("got %v", err)
		}
	}
}

func TestTroubleSurvivesTheWayThroughTheDatabase(t *testing.T) {
	for _, trouble := range []Trouble{TroubleBusy, TroubleDown, TroubleSession, TroubleSecret, TroubleRefused, TroubleToken} {
		err := trouble.callError(testNow)
		if got := troubleOf(err); got != trouble || !err.RetryAt.Equal(testNow) {
			t.Errorf("%s came back as %s", trouble, got)
		}
		if outcome, _ := df.OutcomeOf(err); (outcome == df.Refused) != trouble.lasting() {
			t.Errorf("%s is judged %s", trouble, outcome)
		}
	}
}

// While Clerk is down the instances together ask it no more often than one
// would, and tell their callers so.
func TestOutageIsPacedForTheFleetAsForOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clerk, shared := &fakeClerk{life: time.Hour, fail: func(int) *http.Response { return answer(503, nil, "") }}, newMemShared()
		stages := fleet(t, 5, clerk, shared)
		for _, s := range stages {
			defer stop(t, s)
		}
		for range 600 {
			everywhere(t, stages, func(s *stage) {
				if _, err := s.Token(t.Context()); !df.IsCode(err, df.CodeUnavailable) {
					t.Errorf("got %v", err)
				}
			})
			time.Sleep(time.Second)
		}
		if n := clerk.mints(); n > 30 {
			t.Errorf("%d attempts in ten minutes", n)
		}
		clerk.set(func(c *fakeClerk) { c.fail = nil })
		time.Sleep(2 * time.Minute)
		everywhere(t, stages, func(s *stage) { s.must(t) })
		if row := shared.rows[stages[0].Mint.Name()]; row.Trouble != TroubleNone || !row.NotBefore.IsZero() {
			t.Errorf("row after recovery %+v", row)
		}
	})
}

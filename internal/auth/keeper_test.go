package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// stage is a keeper with its Clerk and what it reported.
type stage struct {
	*TokenKeeper
	clerk  *fakeClerk
	mu     sync.Mutex
	alerts []Trouble
	log    *bytes.Buffer
}

func sessionMinter(t testing.TB, clerk Doer) *Minter {
	t.Helper()
	m, err := NewMinter(MinterConfig{APIURL: "https://api.clerk.example.test/v1", Secret: "sk_test_1", Session: "sess_1",
		TTL: time.Hour, Client: clerk, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func testVault(t testing.TB) *Vault {
	t.Helper()
	v, err := NewVault(endless(), vaultKey(1))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func newStage(t testing.TB, clerk *fakeClerk, change func(*TokenKeeperConfig)) *stage {
	t.Helper()
	s := &stage{clerk: clerk, log: &bytes.Buffer{}}
	config := TokenKeeperConfig{Mint: sessionMinter(t, clerk), Instance: "a", Clock: time.Now, Random: middle,
		Log: slog.New(slog.NewTextHandler(s.log, nil)),
		OnAlert: func(_ context.Context, a Alert) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.alerts = append(s.alerts, a.Trouble)
		}}
	if change != nil {
		change(&config)
	}
	keeper, err := NewTokenKeeper(config)
	if err != nil {
		t.Fatal(err)
	}
	s.TokenKeeper = keeper
	return s
}

func (s *stage) alerted() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint(s.alerts)
}

func (s *stage) must(t *testing.T) df.Secret {
	t.Helper()
	token, err := s.Token(t.Context())
	if err != nil {
		t.Fatalf("no token: %v", err)
	}
	return token
}

// The original asked for an hour, never looked at what came back, and believed
// in 55 minutes of it (50, with its own margin): a token of a minute made 59
// minutes of 401s.
func TestLifetimeIsReadFromTheTokenThatCameBack(t *testing.T) {
	for _, test := range []struct {
		life, used time.Duration
	}{
		{time.Hour, 55 * time.Minute},
		{2 * time.Hour, 115 * time.Minute},
		{25 * time.Minute, 20 * time.Minute},
		{20 * time.Minute, 16 * time.Minute},
		{time.Minute, 48 * time.Second},
		{10 * time.Second, 8 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t, &fakeClerk{life: test.life}, nil)
			defer stop(t, s)
			first := s.must(t)
			time.Sleep(test.used - time.Second)
			if again := s.must(t); again != first || s.clerk.mints() != 1 {
				t.Errorf("life %s: another token before %s", test.life, test.used)
			}
			time.Sleep(2 * time.Second)
			s.must(t) // starts the renewal, and still gets a token at once
			synctest.Wait()
			if next := s.must(t); next == first || s.clerk.mints() != 2 {
				t.Errorf("life %s: not renewed after %s", test.life, test.used)
			}
		})
	}
}

// The original ran as the first user that the directory listed, in the first
// session whatever its state.
func TestOnlyTheNamedSessionIsAskedForATokenAndNobodyIsLookedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, &fakeClerk{life: time.Hour}, nil)
		defer stop(t, s)
		s.must(t)
		if got := fmt.Sprint(s.clerk.requests, s.clerk.bodies); got != `[POST /v1/sessions/sess_1/tokens] [{"expires_in_seconds":3600}]` {
			t.Errorf("asked %s", got)
		}
	})
}

func TestMinterSpeaksClerksThreeRoutes(t *testing.T) {
	for _, test := range []struct {
		name   string
		config MinterConfig
		want   string
	}{
		{"machine", MinterConfig{MachineSecret: "ak_1", TTL: 15 * time.Minute},
			`[POST /v1/m2m_tokens] [{"token_format":"jwt","seconds_until_expiration":900}]`},
		{"machine before session", MinterConfig{MachineSecret: "ak_1", Secret: "sk_1", Session: "sess_1", TTL: time.Minute},
			`[POST /v1/m2m_tokens] [{"token_format":"jwt","seconds_until_expiration":60}]`},
		{"template", MinterConfig{Secret: "sk_1", Session: "sess_1", Template: "verity", TTL: time.Hour},
			`[POST /v1/sessions/sess_1/tokens/verity] [{"expires_in_seconds":3600}]`},
	} {
		clerk := &fakeClerk{life: time.Hour}
		test.config.APIURL, test.config.Client, test.config.Clock = "https://api.clerk.example.test/v1/", clerk, time.Now
		m, err := NewMinter(test.config)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if _, err := m.mint(t.Context()); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if got := fmt.Sprint(clerk.requests, clerk.bodies); got != test.want {
			t.Errorf("%s: asked %s", test.name, got)
		}
	}
}

func TestMinterRefusesSettingsThatCannotWork(t *testing.T) {
	good := MinterConfig{APIURL: "https://api.clerk.example.test/v1", Secret: "sk_1", Session: "sess_1", TTL: time.Hour}
	for name, change := range map[string]func(*MinterConfig){
		"CLERK_TOKEN_TTL":           func(c *MinterConfig) { c.TTL = time.Second },
		"CLERK_API_URL":             func(c *MinterConfig) { c.APIURL = "nowhere" },
		"CLERK_SESSION_ID":          func(c *MinterConfig) { c.Session = "../users" },
		"CLERK_JWT_TEMPLATE":        func(c *MinterConfig) { c.Template = "a/b" },
		"CLERK_MACHINE_SECRET_KEY":  func(c *MinterConfig) { c.Session = "" },
		"CLERK_SECRET_KEY and CLER": func(c *MinterConfig) { c.Secret = "" },
	} {
		config := good
		change(&config)
		if _, err := NewMinter(config); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRenewalHappensAheadInTheBackgroundWhileCallsGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, &fakeClerk{life: time.Hour, slow: 5 * time.Second}, nil)
		s.Start()
		defer stop(t, s)
		first := s.must(t)
		s.must(t)
		time.Sleep(54*time.Minute + 30*time.Second)
		if s.clerk.mints() != 1 {
			t.Fatal("renewed long before the end")
		}
		time.Sleep(16 * time.Second) // a twentieth of the last five minutes ahead, 55 minutes less 15 s
		start := time.Now()
		if s.must(t) != first || time.Since(start) > 0 {
			t.Error("a call waited for the renewal")
		}
		time.Sleep(10 * time.Second)
		if s.must(t) == first || s.clerk.mints() != 2 {
			t.Errorf("not renewed ahead: %d mints", s.clerk.mints())
		}
	})
}

func TestTokenThatNobodyUsesIsNotRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, &fakeClerk{life: time.Minute}, nil)
		s.Start()
		defer stop(t, s)
		time.Sleep(time.Hour)
		if n := s.clerk.mints(); n != 0 {
			t.Errorf("%d mints before the first call", n)
		}
		s.must(t)
		time.Sleep(24 * time.Hour)
		if n := s.clerk.mints(); n > 2 {
			t.Errorf("%d mints in an idle day", n)
		}
		s.must(t)
	})
}

func TestRenewalsAreSpreadByJitter(t *testing.T) {
	for _, random := range []float64{0, 0.25, 0.5, 0.999} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t, &fakeClerk{life: time.Hour}, func(c *TokenKeeperConfig) { c.Random = func() float64 { return random } })
			defer stop(t, s)
			s.must(t)
			token := s.current.Load()
			if lead := token.softEnd.Sub(token.renewAt); lead < 0 || lead > 30*time.Second {
				t.Errorf("random %v: renewed %s ahead", random, lead)
			}
		})
	}
}

func TestManyCallersShareOneMint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, &fakeClerk{life: time.Hour, slow: time.Second}, nil)
		defer stop(t, s)
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() { s.must(t) })
		}
		wg.Wait()
		if n := s.clerk.mints(); n != 1 {
			t.Errorf("%d mints", n)
		}
	})
}

func TestCallerWhoLeavesDoesNotStopTheMint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, &fakeClerk{life: time.Hour, slow: time.Second}, nil)
		defer stop(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := s.Token(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		s.must(t)
		if n := s.clerk.mints(); n != 1 {
			t.Errorf("%d mints", n)
		}
	})
}

func TestRefusedTokenIsReplacedOnceByAllWhoFailedWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, &fakeClerk{life: time.Hour, slow: time.Second}, nil)
		defer stop(t, s)
		first := s.must(t)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if !s.Invalidate(first) {
					t.Error("told not to retry")
				}
				if s.must(t) == first {
					t.Error("got the refused token again")
				}
			})
		}
		wg.Wait()
		second := s.must(t)
		if n := s.clerk.mints(); n != 2 {
			t.Errorf("%d mints", n)
		}
		// A second refusal is a matter of permission: no mint per call.
		for range 100 {
			if s.Invalidate(second) || s.must(t) != second {
				t.Fatal("replaced again at once")
			}
		}
		if !s.Invalidate(first) || s.must(t) != second {
			t.Error("a late failure with the old token touched the new one")
		}
		time.Sleep(replacePause)
		if !s.Invalidate(second) || s.must(t) == second {
			t.Error("not replaced after a minute")
		}
	})
}

func TestClocksThatDisagreeDoNotShortenOrOverstayATokensLife(t *testing.T) {
	for _, noDate := range []bool{false, true} {
		for _, ahead := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, &fakeClerk{life: 10 * time.Minute, ahead: ahead, noDate: noDate}, nil)
				defer stop(t, s)
				first := s.must(t)
				time.Sleep(8*time.Minute - 2*time.Second)
				if s.must(t) != first {
					t.Errorf("clock %s ahead: renewed too early", ahead)
				}
				time.Sleep(4 * time.Second)
				s.must(t)
				synctest.Wait()
				if s.must(t) == first {
					t.Errorf("clock %s ahead: renewed too late", ahead)
				}
			})
		}
	}
}

func TestMintFailuresAreJudged(t *testing.T) {
	status := func(code int, header map[string]string, body string) func(int) *http.Response {
		return func(int) *http.Response { return answer(code, header, body) }
	}
	const notFound = `{"errors":[{"code":"resource_not_found","message":"Session of a.person@example.test"}],"clerk_trace_id":"trace1"}`
	for _, test := range []struct {
		name    string
		fail    func(int) *http.Response
		code    string
		outcome df.Outcome
		trouble Trouble
		alert   string
		wait    time.Duration // before the next attempt, at least
		perHour int           // attempts at most, with callers asking all the time
	}{
		{"dead session", status(404, nil, notFound), df.CodeNotFound, df.Refused, TroubleSession, "[session_dead]", 4 * time.Minute, 14},
		{"bad secret", status(401, nil, `{"errors":[{"code":"authentication_invalid"}]}`), df.CodeUnauthorized, df.Refused, TroubleSecret, "[secret_refused]", 4 * time.Minute, 14},
		{"forbidden", status(403, nil, ``), df.CodeUnauthorized, df.Refused, TroubleSecret, "[secret_refused]", 4 * time.Minute, 14},
		{"refused", status(422, nil, `nonsense`), df.CodeInvalid, df.Refused, TroubleRefused, "[mint_refused]", 4 * time.Minute, 14},
		{"redirect", status(302, nil, ``), df.CodeInvalid, df.Refused, TroubleRefused, "[mint_refused]", 4 * time.Minute, 14},
		{"rate limit", status(429, map[string]string{"Retry-After": "90"}, ``), df.CodeRateLimited, df.RetryLater, TroubleBusy, "[rate_limited]", 90 * time.Second, 41},
		{"rate limit without a time", status(429, nil, ``), df.CodeRateLimited, df.RetryLater, TroubleBusy, "[rate_limited]", 30 * time.Second, 121},
		{"rate limit for ever", status(429, map[string]string{"Retry-After": "99999999"}, ``), df.CodeRateLimited, df.RetryLater, TroubleBusy, "[rate_limited]", 10 * time.Minute, 7},
		{"server error", status(500, nil, ``), df.CodeUnavailable, df.RetryLater, TroubleDown, "[unreachable]", 500 * time.Millisecond, 100},
		{"HTML for JSON", status(200, nil, `<html>`), df.CodeGarbled, df.RetryLater, TroubleDown, "[unreachable]", 500 * time.Millisecond, 100},
		{"no token in it", status(200, nil, `{"object":"token"}`), df.CodeGarbled, df.Refused, TroubleToken, "[token_unusable]", 4 * time.Minute, 14},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, &fakeClerk{life: time.Hour, fail: test.fail}, nil)
				defer stop(t, s)
				_, err := s.Token(t.Context())
				var call *df.CallError
				if !errors.As(err, &call) || call.Code != test.code || call.Outcome != test.outcome {
					t.Fatalf("got %v", err)
				}
				if wait := time.Until(call.RetryAt); wait < test.wait || s.Status().Trouble != test.trouble {
					t.Errorf("retry in %s, trouble %s", wait, s.Status().Trouble)
				}
				if strings.Contains(err.Error()+s.log.String(), "person") {
					t.Errorf("names a person: %v", err)
				}
				for range 3600 {
					if _, err := s.Token(t.Context()); err == nil {
						t.Fatal("got a token")
					}
					time.Sleep(time.Second)
				}
				if n := s.clerk.mints(); n > test.perHour || n < 2 {
					t.Errorf("%d attempts in an hour", n)
				}
				if s.alerted() != test.alert {
					t.Errorf("alerts %s, want %s", s.alerted(), test.alert)
				}
				s.clerk.set(func(c *fakeClerk) { c.fail = nil })
				time.Sleep(11 * time.Minute)
				s.must(t)
				synctest.Wait()
				if want := strings.TrimSuffix(test.alert, "]") + " ]"; s.alerted() != want || s.Status().Trouble != TroubleNone {
					t.Errorf("after recovery: alerts %s, want %s", s.alerted(), want)
				}
			})
		})
	}
}

func TestHangingClerkIsGivenUpOnInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, &fakeClerk{life: time.Hour, slow: time.Hour}, nil)
		defer stop(t, s)
		start := time.Now()
		_, err := s.Token(t.Context())
		if !df.IsCode(err, df.CodeTimeout) || time.Since(start) > mintTimeout+time.Second {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
	})
}

func TestTokensWithoutAUsableLifeAreRefused(t *testing.T) {
	now := time.Now().Unix()
	for name, claims := range map[string]fields{
		"no exp":         {"sub": "user_1", "iat": now},
		"nine seconds":   {"exp": now + 9, "iat": now},
		"already over":   {"exp": now - 10, "iat": now - 100},
		"exp before iat": {"exp": now + 100, "iat": now + 200},
		"exp is text":    {"exp": "tomorrow"},
	} {
		s := newStage(t, &fakeClerk{life: time.Hour, claims: claims}, nil)
		if _, err := s.Token(t.Context()); !df.IsCode(err, df.CodeGarbled) {
			t.Errorf("%s: %v", name, err)
		}
		stop(t, s)
	}
}

func TestValidTokenIsServedThroughAnOutageUpToItsExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, &fakeClerk{life: time.Hour}, nil)
		s.Start()
		defer stop(t, s)
		first := s.must(t)
		s.must(t)
		s.clerk.set(func(c *fakeClerk) { c.fail = func(int) *http.Response { return answer(503, nil, "") } })
		for range 59 {
			if s.must(t) != first {
				t.Fatal("another token")
			}
			time.Sleep(time.Minute)
		}
		time.Sleep(50 * time.Second)
		if s.must(t) != first {
			t.Error("not served up to its end")
		}
		time.Sleep(6 * time.Second)
		if _, err := s.Token(t.Context()); err == nil {
			t.Error("served beyond its end")
		}
		if n := s.clerk.mints(); n > 20 {
			t.Errorf("%d attempts in five minutes", n)
		}
	})
}

func TestStopEndsAMintUnderWayAndRefusesFurtherOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, &fakeClerk{life: time.Hour, slow: 5 * time.Second}, nil)
		s.Start()
		failed := make(chan error, 1)
		go func() {
			_, err := s.Token(context.Background())
			failed <- err
		}()
		synctest.Wait()
		start := time.Now()
		stop(t, s)
		if err := <-failed; !errors.Is(err, ErrStopped) || time.Since(start) > time.Second {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		if _, err := s.Token(t.Context()); !errors.Is(err, ErrStopped) {
			t.Errorf("after stop: %v", err)
		}
		if s.alerted() != "[]" {
			t.Errorf("stopping alerted %s", s.alerted())
		}
	})
}

func TestLogNamesTokensAndNeverShowsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, &fakeClerk{life: time.Hour}, nil)
		first := s.must(t)
		s.Invalidate(first)
		second := s.must(t)
		stop(t, s)
		log := s.log.String()
		for _, secret := range []string{first.Reveal(), second.Reveal(), "sk_test_1", strings.Split(first.Reveal(), ".")[1]} {
			if strings.Contains(log, secret) {
				t.Errorf("log shows %q", secret)
			}
		}
		if !strings.Contains(log, "jti=token-1") || !strings.Contains(log, "sid=sess_1") || !strings.Contains(log, "exp=") {
			t.Errorf("log does not name the token: %s", log)
		}
		if status := s.Status(); !status.Valid || status.TokenID != "token-2" || status.SessionID != "sess_1" {
			t.Errorf("status %+v", status)
		}
	})
}

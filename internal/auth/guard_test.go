package auth

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/df"
)

const (
	adminSecret = "admin-secret-of-the-test"
	jobsSecret  = "jobs-secret-of-the-test"
)

func TestEqualSecretsAreExactlyTheSameText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		if Equal(a, b) != (a == b) || !Equal(a, a) || Equal(a, a+"x") {
			t.Fatalf("Equal(%q, %q)", a, b)
		}
	})
}

func TestCredentialIsTakenFromHeaderOrBearer(t *testing.T) {
	for _, test := range []struct {
		name   string
		header map[string][]string
		want   string
	}{
		{"none", nil, ""},
		{"header", map[string][]string{"X-Api-Key": {"k"}}, "k"},
		{"bearer", map[string][]string{"Authorization": {"Bearer k"}}, "k"},
		{"bearer in another case", map[string][]string{"Authorization": {"bEARER k"}}, "k"},
		{"bearer with more spaces", map[string][]string{"Authorization": {"Bearer   k"}}, "k"},
		{"header before bearer", map[string][]string{"X-Api-Key": {"k"}, "Authorization": {"Bearer other"}}, "k"},
		{"empty header hides bearer", map[string][]string{"X-Api-Key": {""}, "Authorization": {"Bearer k"}}, ""},
		{"no scheme", map[string][]string{"Authorization": {"k"}}, ""},
		{"only the scheme", map[string][]string{"Authorization": {"Bearer "}}, ""},
		{"basic", map[string][]string{"Authorization": {"Basic k"}}, ""},
		{"two words", map[string][]string{"Authorization": {"Bearer k l"}}, ""},
		{"a list", map[string][]string{"Authorization": {"Bearer k,Bearer l"}}, ""},
		{"header twice", map[string][]string{"X-Api-Key": {"k", "k"}}, ""},
		{"authorization twice", map[string][]string{"Authorization": {"Bearer k", "Bearer l"}}, ""},
		{"huge", map[string][]string{"Authorization": {"Bearer " + strings.Repeat("k", 9<<10)}}, ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for name, values := range test.header {
			r.Header[name] = values
		}
		if got := BearerOrHeader(r, "X-API-Key"); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func jobsGuard(change func(*GuardConfig)) *Guard {
	config := GuardConfig{Name: "jobs", Brake: NewBrake(time.Now), Doors: []Door{
		{Actor: "jobs", Header: JobsHeader, Secret: jobsSecret},
		{Actor: "admin", Header: AdminHeader, Secret: adminSecret}}}
	if change != nil {
		change(&config)
	}
	return NewGuard(config)
}

// visit sends a request through the guard and returns the answer and who came in.
func visit(g *Guard, method, remote string, header map[string]string) (*httptest.ResponseRecorder, string) {
	actor := ""
	handler := g.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { actor = Actor(r.Context()) }))
	r := httptest.NewRequest(method, "/api/jobs/process-pending", nil)
	r.RemoteAddr = remote
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w, actor
}

// The original let anybody through whose User-Agent contained "vercel-cron".
func TestGuardOpensForItsSecretsOnly(t *testing.T) {
	for _, test := range []struct {
		name   string
		header map[string]string
		actor  string
	}{
		{"jobs header", map[string]string{JobsHeader: jobsSecret}, "jobs"},
		{"jobs header in another case", map[string]string{strings.ToLower(JobsHeader): jobsSecret}, "jobs"},
		{"jobs bearer", map[string]string{"Authorization": "Bearer " + jobsSecret}, "jobs"},
		{"admin header", map[string]string{AdminHeader: adminSecret}, "admin"},
		{"admin bearer", map[string]string{"Authorization": "Bearer " + adminSecret}, "admin"},
		{"admin secret in the jobs header", map[string]string{JobsHeader: adminSecret}, ""},
		{"nothing", nil, ""},
		{"the cron's name", map[string]string{"User-Agent": "vercel-cron/1.0"}, ""},
		{"wrong", map[string]string{JobsHeader: "wrong"}, ""},
		{"empty", map[string]string{JobsHeader: "", "Authorization": "Bearer "}, ""},
		{"prefix", map[string]string{JobsHeader: jobsSecret[:5]}, ""},
		{"in capitals", map[string]string{JobsHeader: strings.ToUpper(jobsSecret)}, ""},
		{"as basic", map[string]string{"Authorization": "Basic " + jobsSecret}, ""},
		{"in the query's place", map[string]string{"Cookie": "secret=" + jobsSecret}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var failures []Failure
			g := jobsGuard(func(c *GuardConfig) { c.OnFailure = func(f Failure) { failures = append(failures, f) } })
			w, actor := visit(g, http.MethodPost, "192.0.2.1:999", test.header)
			if actor != test.actor || (w.Code == http.StatusOK) != (test.actor != "") {
				t.Fatalf("status %d, actor %q", w.Code, actor)
			}
			if test.actor != "" {
				if len(failures) != 0 {
					t.Errorf("counted %v", failures)
				}
				return
			}
			want := `{"success":false,"error":{"code":"UNAUTHORIZED","message":"a valid credential is required"}}`
			if got := strings.TrimSpace(w.Body.String()); w.Code != http.StatusUnauthorized || got != want {
				t.Errorf("status %d, body %s", w.Code, got)
			}
			if w.Header().Get("Content-Type") != "application/json" || w.Header().Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("headers %v", w.Header())
			}
			if fmt.Sprint(failures) != "[{jobs 192.0.2.1:999 false}]" {
				t.Errorf("counted %v", failures)
			}
		})
	}
}

func TestGuardWithoutSecretsStaysShut(t *testing.T) {
	g := jobsGuard(func(c *GuardConfig) {
		c.Doors = []Door{{Actor: "jobs", Header: JobsHeader}, {Actor: "admin", Header: AdminHeader}}
	})
	for _, header := range []map[string]string{nil, {JobsHeader: ""}, {"Authorization": "Bearer "}, {"Authorization": "Bearer undefined"}} {
		if w, actor := visit(g, http.MethodGet, "192.0.2.1:1", header); w.Code != http.StatusUnauthorized || actor != "" {
			t.Errorf("%v: status %d", header, w.Code)
		}
	}
	if _, err := g.Check("192.0.2.1:1", ""); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("sign-in with nothing: %v", err)
	}
}

func TestGuessingIsSlowedDownByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := jobsGuard(nil)
		good := map[string]string{JobsHeader: jobsSecret}
		for range brakeTries {
			if w, _ := visit(g, http.MethodPost, "[2001:db8::1]:1", map[string]string{JobsHeader: "guess"}); w.Code != http.StatusUnauthorized {
				t.Fatalf("status %d", w.Code)
			}
		}
		// Held now: the right guess is not heard either, and not from a neighbour.
		for _, remote := range []string{"[2001:db8::1]:2", "[2001:db8::ffff]:3"} {
			w, actor := visit(g, http.MethodPost, remote, good)
			if w.Code != http.StatusTooManyRequests || actor != "" || w.Header().Get("Retry-After") != "10" ||
				!strings.Contains(w.Body.String(), `"code":"RATE_LIMITED"`) {
				t.Errorf("%s: status %d, %v, %s", remote, w.Code, w.Header(), w.Body)
			}
		}
		if w, _ := visit(g, http.MethodPost, "[2001:db8:0:1::1]:1", good); w.Code != http.StatusOK {
			t.Errorf("another network: status %d", w.Code)
		}
		time.Sleep(brakeEvery)
		if w, _ := visit(g, http.MethodPost, "[2001:db8::1]:1", good); w.Code != http.StatusOK {
			t.Errorf("after the wait: status %d", w.Code)
		}
	})
}

func TestParallelGuessesGetNoMoreTries(t *testing.T) {
	brake := NewBrake(func() time.Time { return testNow })
	var compared int
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() { brake.Attempt("192.0.2.1:5", func() bool { compared++; return false }) })
	}
	wg.Wait()
	if compared != brakeTries {
		t.Errorf("%d guesses were heard", compared)
	}
}

func TestBrakeRemembersABoundedNumberOfAddresses(t *testing.T) {
	brake := NewBrake(func() time.Time { return testNow })
	for i := range brakeAddresses + 5_000 {
		brake.Attempt(fmt.Sprintf("[2001:db8:%x:%x::1]:1", i>>16, i&0xffff), func() bool { return false })
		brake.Attempt(strings.Repeat("x", 1000)+fmt.Sprint(i), func() bool { return false })
	}
	if n := brake.spent.len(); n > brakeAddresses {
		t.Errorf("remembers %d", n)
	}
	for remote, want := range map[string]string{"192.0.2.1:80": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1", "192.0.2.1": "192.0.2.1",
		"[2001:db8::1%eth0]:1": "2001:db8::/64", "unix": "unix"} {
		if got := addressKey(remote); got != want {
			t.Errorf("%s counts as %s, want %s", remote, got, want)
		}
	}
}

func TestSignInFormIsJudgedLikeAHeader(t *testing.T) {
	g := jobsGuard(nil)
	if actor, err := g.Check("192.0.2.1:1", adminSecret); actor != "admin" || err != nil {
		t.Errorf("%q, %v", actor, err)
	}
	if actor, err := g.Check("192.0.2.1:1", "wrong"); actor != "" || !errors.Is(err, ErrUnauthorized) {
		t.Errorf("%q, %v", actor, err)
	}
}

func TestReadingKeysMayReadTheAdminAPIAndNoMore(t *testing.T) {
	keys := testKeys(newMemKeys(), nil)
	reader, readerText := newKey(t, keys, ScopeAdminRead)
	_, otherText := newKey(t, keys, ScopeGateway)
	for _, test := range []struct {
		name, method, credential, actor string
		status                          int
	}{
		{"reads", http.MethodGet, readerText, "key:" + reader.ID, 200},
		{"asks for the head", http.MethodHead, readerText, "key:" + reader.ID, 200},
		{"writes", http.MethodPost, readerText, "", 401},
		{"deletes", http.MethodDelete, readerText, "", 401},
		{"without the scope", http.MethodGet, otherText, "", 403},
		{"wrong key", http.MethodGet, readerText[:len(readerText)-2] + "AA", "", 401},
		{"the admin", http.MethodPost, adminSecret, "admin", 200},
	} {
		g := jobsGuard(func(c *GuardConfig) { c.Readers = keys })
		w, actor := visit(g, test.method, "192.0.2.1:1", map[string]string{"Authorization": "Bearer " + test.credential})
		if w.Code != test.status || actor != test.actor {
			t.Errorf("%s: status %d, actor %q", test.name, w.Code, actor)
		}
	}
	// An operator's secret may happen to look like a key.
	g := jobsGuard(func(c *GuardConfig) { c.Readers, c.Doors[1].Secret = keys, "dfm_looks_like_a_key" })
	if _, actor := visit(g, http.MethodGet, "192.0.2.1:1", map[string]string{AdminHeader: "dfm_looks_like_a_key"}); actor != "admin" {
		t.Errorf("actor %q", actor)
	}
}

func TestActorIsTheSystemWhenNobodyAsks(t *testing.T) {
	if got := Actor(t.Context()); got != "system" {
		t.Errorf("got %q", got)
	}
}

func TestRetryAfterIsRoundedUpToWholeSeconds(t *testing.T) {
	for wait, want := range map[time.Duration]int{time.Millisecond: 1, time.Second: 1, 1001 * time.Millisecond: 2, time.Minute: 60} {
		limited := &RateLimitedError{RetryAfter: wait}
		if got := limited.RetryAfterSeconds(); got != want || df.AsError(limited).Status != http.StatusTooManyRequests {
			t.Errorf("%s: %d", wait, got)
		}
	}
}

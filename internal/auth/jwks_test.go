package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fakeJWKS answers for the keys it is told to publish.
type fakeJWKS struct {
	mu    sync.Mutex
	body  string
	err   error
	state int           // HTTP status, 0 means 200
	slow  time.Duration // time to answer
	asked []time.Time
	auth  []string
}

func (f *fakeJWKS) Do(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.asked = append(f.asked, time.Now())
	f.auth = append(f.auth, r.Header.Get("Authorization"))
	body, err, state, slow := f.body, f.err, f.state, f.slow
	if state == 0 {
		state = http.StatusOK
	}
	f.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if err != nil {
		return nil, err
	}
	return answer(state, nil, body), nil
}

func (f *fakeJWKS) set(change func(*fakeJWKS)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fakeJWKS) times() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

func testJWKS(fake *fakeJWKS) *JWKS {
	return NewJWKS(JWKSConfig{URL: testIssuer + "/.well-known/jwks.json", Client: fake, Clock: time.Now, Random: middle, Log: quiet()})
}

func stop(t *testing.T, s interface{ Stop(context.Context) error }) {
	t.Helper()
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

func wantKey(t *testing.T, j *JWKS, kid string, want bool) {
	t.Helper()
	_, err := j.Key(t.Context(), kid)
	if (err == nil) != want || (!want && !errors.Is(err, ErrInvalidToken)) {
		t.Errorf("key %s: %v, want known %v", kid, err, want)
	}
}

// Clerk's own Go SDK fetches once per token with an unknown kid, so anyone can
// make a service hammer Clerk with it.
func TestFloodOfUnknownKidsAsksOnceInHalfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeJWKS{body: keySetJSON(0), slow: 100 * time.Millisecond}
		j := testJWKS(fake)
		defer stop(t, j)
		start := time.Now()
		var wg sync.WaitGroup
		for second := range 120 {
			for i := range 50 {
				wg.Go(func() { wantKey(t, j, fmt.Sprintf("invented-%d-%d", second, i), false) })
			}
			time.Sleep(time.Second)
		}
		wg.Wait()
		if n := fake.times(); n > 4 {
			t.Errorf("asked %d times in %s", n, time.Since(start))
		}
		wantKey(t, j, "key-0", true)
		if j.absent.len() > jwksAbsentMax {
			t.Errorf("remembers %d kids", j.absent.len())
		}
	})
}

func TestOneRefreshServesAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeJWKS{body: keySetJSON(0), slow: time.Second}
		j := testJWKS(fake)
		defer stop(t, j)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { wantKey(t, j, "key-0", true) })
		}
		wg.Wait()
		if n := fake.times(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestNewKeyIsFoundByItsFirstToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeJWKS{body: keySetJSON(0)}
		j := testJWKS(fake)
		defer stop(t, j)
		wantKey(t, j, "key-0", true)
		fake.set(func(f *fakeJWKS) { f.body = keySetJSON(0, 1) })
		wantKey(t, j, "key-1", false) // asked a moment ago: not again yet
		time.Sleep(jwksPause)
		wantKey(t, j, "key-1", true)
	})
}

func TestAbsentKidIsNotAskedForAgainForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeJWKS{body: keySetJSON(0)}
		j := testJWKS(fake)
		defer stop(t, j)
		wantKey(t, j, "key-1", false)
		time.Sleep(jwksPause + time.Second)
		wantKey(t, j, "key-1", false)
		if n := fake.times(); n != 1 {
			t.Errorf("asked %d times within the minute", n)
		}
		time.Sleep(jwksAbsent)
		wantKey(t, j, "key-1", false)
		if n := fake.times(); n != 2 {
			t.Errorf("asked %d times after the minute", n)
		}
	})
}

// The SDK's cache prolongs a key's life with every use, so a withdrawn key that
// is busy stays trusted for ever.
func TestWithdrawnKeyGoesWithTheNextGoodAnswerHoweverBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeJWKS{body: keySetJSON(0, 1)}
		j := testJWKS(fake)
		j.Start()
		defer stop(t, j)
		synctest.Wait()
		fake.set(func(f *fakeJWKS) { f.body = keySetJSON(0) })
		for range 29 {
			time.Sleep(time.Minute)
			wantKey(t, j, "key-1", true)
		}
		time.Sleep(time.Minute + time.Second)
		wantKey(t, j, "key-1", false)
		wantKey(t, j, "key-0", true)
	})
}

func TestLastGoodKeysOutliveAnyOutage(t *testing.T) {
	faults := map[string]func(*fakeJWKS){
		"no connection":  func(f *fakeJWKS) { f.err = errors.New("refused") },
		"HTTP 500":       func(f *fakeJWKS) { f.state = 500 },
		"redirect":       func(f *fakeJWKS) { f.state = 302 },
		"hanging":        func(f *fakeJWKS) { f.slow = time.Hour },
		"garbage":        func(f *fakeJWKS) { f.body = "<html>" },
		"empty set":      func(f *fakeJWKS) { f.body = `{"keys":[]}` },
		"null":           func(f *fakeJWKS) { f.body = `null` },
		"only symmetric": func(f *fakeJWKS) { f.body = `{"keys":[{"kty":"oct","k":"AAAA","kid":"key-0"}]}` },
		"endless":        func(f *fakeJWKS) { f.body = `{"keys":[` + strings.Repeat(" ", jwksMaxBytes) + `]}` },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := &fakeJWKS{body: keySetJSON(0)}
				j := testJWKS(fake)
				j.Start()
				defer stop(t, j)
				synctest.Wait()
				fake.set(fault)
				time.Sleep(24 * time.Hour)
				wantKey(t, j, "key-0", true)
				keys, at := j.Status()
				if keys != 1 || time.Since(at) < 23*time.Hour {
					t.Errorf("status: %d keys of %s ago", keys, time.Since(at))
				}
				if n := fake.times(); n < 24 || n > 100 {
					t.Errorf("asked %d times in a day of outage", n)
				}
				good := keySetJSON(1)
				fake.set(func(f *fakeJWKS) { f.body, f.err, f.state, f.slow = good, nil, 0, 0 })
				time.Sleep(2 * time.Hour)
				wantKey(t, j, "key-1", true)
			})
		})
	}
}

func TestWithoutAnyKeyTheFaultIsNotTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeJWKS{err: errors.New("refused")}
		j := testJWKS(fake)
		j.Start()
		defer stop(t, j)
		if _, err := j.Key(t.Context(), "key-0"); !errors.Is(err, ErrKeysUnavailable) || errors.Is(err, ErrInvalidToken) {
			t.Errorf("got %v", err)
		}
		good := keySetJSON(0)
		fake.set(func(f *fakeJWKS) { f.err, f.body = nil, good })
		time.Sleep(2 * time.Second) // a start during a blip must not cost half a minute
		wantKey(t, j, "key-0", true)
	})
}

func TestCallerWhoLeavesDoesNotStopTheRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeJWKS{body: keySetJSON(0), slow: time.Second}
		j := testJWKS(fake)
		defer stop(t, j)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := j.Key(ctx, "key-0"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Second)
		wantKey(t, j, "key-0", true)
		if n := fake.times(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestStopEndsARefreshUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := testJWKS(&fakeJWKS{body: keySetJSON(0), slow: 4 * time.Second})
		j.Start()
		synctest.Wait()
		start := time.Now()
		stop(t, j)
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %s", took)
		}
		if _, err := j.Key(t.Context(), "key-0"); err == nil {
			t.Error("a stopped keeper without keys found one")
		}
	})
}

func TestSecretIsSentOnlyWhenGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeJWKS{body: keySetJSON(0)}
		j := testJWKS(fake)
		defer stop(t, j)
		wantKey(t, j, "key-0", true)
		j2 := testJWKS(fake)
		j2.Bearer = "sk_test_1"
		defer stop(t, j2)
		wantKey(t, j2, "key-0", true)
		if fake.auth[0] != "" || fake.auth[1] != "Bearer sk_test_1" {
			t.Errorf("sent %q", fake.auth)
		}
	})
}

func TestOnlySoundSigningKeysAreTaken(t *testing.T) {
	good := strings.TrimSuffix(strings.TrimPrefix(keySetJSON(0), `{"keys":[`), `]}`)
	for _, test := range []struct {
		name string
		key  string
		ok   bool
	}{
		{"good", good, true},
		{"beside an unknown kind", `{"kty":"FUTURE","kid":"f"},` + good, true},
		{"beside no object", `5,` + good, true},
		{"without use and alg", strings.NewReplacer(`"use":"sig",`, "", `"alg":"RS256",`, "").Replace(good), true},
		{"for encryption", strings.Replace(good, `"use":"sig"`, `"use":"enc"`, 1), false},
		{"for another algorithm", strings.Replace(good, "RS256", "RS512", 1), false},
		{"without an id", strings.Replace(good, `"kid":"key-0"`, `"kid":""`, 1), false},
		{"a weak one", `{"kty":"RSA","kid":"key-0","n":"AQAB","e":"AQAB"}`, false},
		{"exponent one", strings.Replace(good, `"e":"AQAB"`, `"e":"AQ"`, 1), false},
	} {
		keys, err := parseKeySet([]byte(`{"keys":[` + test.key + `]}`))
		if (err == nil) != test.ok || (test.ok && keys["key-0"] == nil) {
			t.Errorf("%s: %d keys, %v", test.name, len(keys), err)
		}
	}
	many := strings.Repeat(good+",", 5_000) + good
	if keys, err := parseKeySet([]byte(`{"keys":[` + many + `]}`)); err != nil || len(keys) != 1 {
		t.Errorf("five thousand times the same: %d keys, %v", len(keys), err)
	}
}

func TestRefreshIntervalStaysWithinItsBounds(t *testing.T) {
	var random atomic.Int64
	for _, test := range []struct{ every, least, most time.Duration }{
		{0, 27 * time.Minute, 33 * time.Minute},
		{time.Second, 13 * time.Minute, 17 * time.Minute},
		{24 * time.Hour, 54 * time.Minute, 66 * time.Minute},
	} {
		j := NewJWKS(JWKSConfig{Every: test.every, Random: func() float64 { return float64(random.Add(1)%100) / 100 }})
		for range 200 {
			if next := j.nextIn(0); next < test.least || next > test.most {
				t.Errorf("every %s: next in %s", test.every, next)
			}
		}
	}
}

// endlessBody never ends and never blocks.
type endlessBody struct{ read atomic.Int64 }

func (e *endlessBody) Read(p []byte) (int, error) {
	e.read.Add(int64(len(p)))
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestBodyThatNeverEndsIsCutOff(t *testing.T) {
	body := &endlessBody{}
	j := NewJWKS(JWKSConfig{URL: testIssuer, Clock: time.Now, Random: middle, Log: quiet(),
		Client: doerFunc(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(body)}, nil
		})})
	defer stop(t, j)
	if _, err := j.fetch(t.Context()); err == nil {
		t.Error("accepted")
	}
	if n := body.read.Load(); n > 4*jwksMaxBytes {
		t.Errorf("read %d bytes", n)
	}
}

package egress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// verdict returns the CallError in err, failing the test when there is none.
func verdict(t *testing.T, err error) *df.CallError {
	t.Helper()
	var failure *df.CallError
	if !errors.As(err, &failure) {
		t.Fatalf("no CallError but %v", err)
	}
	return failure
}

func client(t *testing.T, options Options) *Client {
	t.Helper()
	if options.Transport == nil {
		transport := NewTransport()
		t.Cleanup(transport.CloseIdleConnections)
		options.Transport = transport
	}
	options.Upstream = "aloware"
	return New(options)
}

func post(url string, repeatable bool) Call {
	return Call{Operation: "create contact", Method: http.MethodPost, URL: url, Body: []byte(`{}`), Repeatable: repeatable}
}

// status answers every request with one status.
func status(t *testing.T, code int, header ...string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, `{"message":"x"}`)
	}))
	t.Cleanup(server.Close)
	return server
}

func TestDoJudgesEveryStatus(t *testing.T) {
	for _, test := range []struct {
		status     int
		repeatable bool
		answered   bool
		outcome    df.Outcome
		code       string
	}{
		{status: 200, answered: true}, {status: 201, answered: true}, {status: 204, answered: true},
		{status: 302, answered: true}, {status: 400, answered: true}, {status: 401, answered: true},
		{status: 404, answered: true}, {status: 409, answered: true}, {status: 422, answered: true},
		{status: 429, outcome: df.RetryLater, code: df.CodeRateLimited},
		{status: 429, repeatable: true, outcome: df.RetryLater, code: df.CodeRateLimited},
		{status: 408, outcome: df.Unclear, code: df.CodeTimeout},
		{status: 408, repeatable: true, outcome: df.RetryLater, code: df.CodeTimeout},
		{status: 500, outcome: df.Unclear, code: df.CodeUnavailable},
		{status: 500, repeatable: true, outcome: df.RetryLater, code: df.CodeUnavailable},
		{status: 503, outcome: df.Unclear, code: df.CodeUnavailable},
		{status: 504, outcome: df.Unclear, code: df.CodeTimeout},
		{status: 504, repeatable: true, outcome: df.RetryLater, code: df.CodeTimeout},
	} {
		server := status(t, test.status, "Location", "/elsewhere")
		answer, err := client(t, Options{}).Do(t.Context(), post(server.URL, test.repeatable))
		if test.answered {
			if err != nil || answer.Status != test.status {
				t.Errorf("%d: %+v, %v", test.status, answer, err)
			}
			continue
		}
		failure := verdict(t, err)
		if failure.Outcome != test.outcome || failure.Code != test.code || failure.Status != test.status {
			t.Errorf("%d, repeatable %v: %v, outcome %v", test.status, test.repeatable, failure, failure.Outcome)
		}
	}
}

func TestDoTakesAnUnrepeatableGetForWhatItIs(t *testing.T) {
	server := status(t, 500)
	_, err := client(t, Options{}).Do(t.Context(), Call{Operation: "read", Method: http.MethodGet, URL: server.URL})
	if failure := verdict(t, err); failure.Outcome != df.RetryLater {
		t.Errorf("reading twice does no harm, yet the outcome is %v", failure.Outcome)
	}
}

func TestDoSendsMethodHeaderAndBody(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("Version"), body)
	}))
	defer server.Close()
	call := Call{Operation: "x", Method: http.MethodPut, URL: server.URL + "/a?b=c", Body: []byte("hello"),
		Header: http.Header{"Version": {"v3"}}}
	answer, err := client(t, Options{}).Do(t.Context(), call)
	if err != nil || string(answer.Body) != "PUT /a?b=c v3 hello" {
		t.Errorf("%q, %v", answer.Body, err)
	}
}

// A message that was never sent may be sent later; one that may have been
// delivered must be looked up. The original could not tell the two apart.
func TestDoTellsUnsentFromUnanswered(t *testing.T) {
	refused := unusedAddress(t)
	hangUp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}))
	defer hangUp.Close()
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer silent.Close()
	defer close(release)
	halfway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
	}))
	defer halfway.Close()

	for _, test := range []struct {
		name, url  string
		repeatable bool
		outcome    df.Outcome
		code       string
	}{
		{"connection refused", refused, false, df.RetryLater, df.CodeUnavailable},
		{"no such host", "http://nowhere.invalid/", false, df.RetryLater, df.CodeUnavailable},
		{"hung up", hangUp.URL, false, df.Unclear, df.CodeUnavailable},
		{"hung up, repeatable", hangUp.URL, true, df.RetryLater, df.CodeUnavailable},
		{"no answer", silent.URL, false, df.Unclear, df.CodeTimeout},
		{"no answer, repeatable", silent.URL, true, df.RetryLater, df.CodeTimeout},
		{"half an answer", halfway.URL, false, df.Unclear, df.CodeUnavailable},
		{"half an answer, repeatable", halfway.URL, true, df.RetryLater, df.CodeUnavailable},
		{"bad URL", "http://[::1", false, df.Refused, df.CodeInvalid},
		{"no host", "/only/a/path", false, df.Refused, df.CodeInvalid},
		{"other scheme", "ftp://example.test/", false, df.Refused, df.CodeInvalid},
	} {
		call := post(test.url, test.repeatable)
		call.Timeout = 100 * time.Millisecond
		if test.code != df.CodeTimeout {
			call.Timeout = 10 * time.Second
		}
		_, err := client(t, Options{}).Do(t.Context(), call)
		failure := verdict(t, err)
		if failure.Outcome != test.outcome || failure.Code != test.code {
			t.Errorf("%s: %v, outcome %v", test.name, failure, failure.Outcome)
		}
	}
}

// unusedAddress is the URL of a port that nobody listens on.
func unusedAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return "http://" + listener.Addr().String()
}

func TestDoSaysUnclearWhenTheCallerLeavesAfterSending(t *testing.T) {
	arrived := make(chan struct{}, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	for _, repeatable := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-arrived
			cancel()
		}()
		_, err := client(t, Options{}).Do(ctx, post(server.URL, repeatable))
		failure := verdict(t, err)
		want := map[bool]df.Outcome{false: df.Unclear, true: df.RetryLater}[repeatable]
		if failure.Outcome != want || failure.Code != CodeCanceled || !errors.Is(err, context.Canceled) {
			t.Errorf("repeatable %v: %v, outcome %v", repeatable, failure, failure.Outcome)
		}
	}
}

func TestDoSendsNothingForACallerThatAlreadyLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := client(t, Options{Transport: tripper(func(*http.Request) (*http.Response, error) {
		t.Error("sent")
		return nil, io.EOF
	})}).Do(ctx, post("http://example.test", false))
	if failure := verdict(t, err); failure.Outcome != df.RetryLater || failure.Code != CodeCanceled {
		t.Errorf("%v, %v", failure, failure.Outcome)
	}
}

func TestDoRefusesAnswersOverTheLimit(t *testing.T) {
	for _, test := range []struct {
		status     int
		repeatable bool
		want       df.Outcome
	}{{200, true, df.RetryLater}, {200, false, df.Unclear}, {400, false, df.Refused}} {
		server := status(t, test.status)
		size := int64(len(`{"message":"x"}`))
		_, err := client(t, Options{MaxBody: size - 1}).Do(t.Context(), post(server.URL, test.repeatable))
		if failure := verdict(t, err); failure.Code != df.CodeGarbled || failure.Outcome != test.want {
			t.Errorf("%d, repeatable %v: %v, %v", test.status, test.repeatable, failure, failure.Outcome)
		}
		if _, err := client(t, Options{MaxBody: size}).Do(t.Context(), post(server.URL, test.repeatable)); err != nil {
			t.Errorf("%d: an answer of exactly the limit: %v", test.status, err)
		}
	}
}

// tripper is a round tripper that calls no trace hooks.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func respond(status int, header http.Header) tripper {
	return func(*http.Request) (*http.Response, error) {
		if header == nil {
			header = http.Header{}
		}
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader("{}"))}, nil
	}
}

func TestDoWaitsForItsBudgetAndSendsInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := Limit{Calls: 2, Per: time.Second, Burst: 1}
		c := client(t, Options{Transport: respond(200, nil), Budget: NewLocalBudget(time.Now), Limit: limit, Account: "a"})
		began := time.Now()
		done := make(chan error)
		for range 5 {
			go func() {
				_, err := c.Do(t.Context(), post("http://example.test", false))
				done <- err
			}()
		}
		for range 5 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("5 calls at 2 per second took %v", took)
		}
	})
}

func TestDoGivesUpOnABudgetThatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := NewLocalBudget(time.Now)
		limit := Limit{Calls: 1, Per: time.Minute, Burst: 1}
		sent := 0
		c := client(t, Options{Budget: budget, Limit: limit, Transport: tripper(func(r *http.Request) (*http.Response, error) {
			sent++
			return respond(200, nil)(r)
		})})
		if _, err := c.Do(t.Context(), post("http://example.test", false)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err := c.Do(t.Context(), post("http://example.test", false))
		failure := verdict(t, err)
		if failure.Outcome != df.RetryLater || failure.Code != df.CodeRateLimited || sent != 1 || time.Since(began) != 0 {
			t.Errorf("%v after %v, %d sent", failure, time.Since(began), sent)
		}
		if !failure.RetryAt.Equal(began.Add(time.Minute)) {
			t.Errorf("told to retry in %v", failure.RetryAt.Sub(began))
		}
	})
}

func TestDoGivesUpBehindALongQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := client(t, Options{Transport: respond(200, nil), Budget: NewLocalBudget(time.Now),
			Limit: Limit{Calls: 1, Per: time.Second, Burst: 1}, MaxWait: 1500 * time.Millisecond})
		var ok, late atomic.Int32
		done := make(chan struct{})
		for range 10 {
			go func() {
				defer func() { done <- struct{}{} }()
				_, err := c.Do(t.Context(), post("http://example.test", false))
				if err == nil {
					ok.Add(1)
				} else if failure := verdict(t, err); failure.Code == df.CodeRateLimited && failure.RetryAt.After(time.Now()) {
					late.Add(1)
				}
			}()
		}
		for range 10 {
			<-done
		}
		if ok.Load() != 2 || late.Load() != 8 {
			t.Errorf("%d sent, %d told to come back", ok.Load(), late.Load())
		}
	})
}

func TestDoLetsOptOutsPassAQueueOfOrdinaryCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := client(t, Options{Transport: respond(200, nil), Budget: NewLocalBudget(time.Now),
			Limit: Limit{Calls: 1, Per: time.Second, Burst: 5, Reserve: 0.4}, MaxWait: time.Minute})
		done := make(chan struct{})
		for range 20 {
			go func() {
				_, _ = c.Do(ctx, post("http://example.test", false))
				done <- struct{}{}
			}()
		}
		synctest.Wait()
		began := time.Now()
		for range 2 {
			call := post("http://example.test", false)
			call.Class = Reserved
			if _, err := c.Do(ctx, call); err != nil {
				t.Error(err)
			}
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("two opt-outs waited %v behind ordinary calls", waited)
		}
		cancel()
		for range 20 {
			<-done
		}
	})
}

func TestDoHoldsTheAccountWhenTheUpstreamSaysSo(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		header http.Header
		hold   time.Duration
	}{
		{"429 with seconds", 429, http.Header{"Retry-After": {"7"}}, 7 * time.Second},
		{"429 alone", 429, nil, 3 * time.Second},
		{"429 with rate headers", 429, http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Interval-Milliseconds": {"9000"}}, 9 * time.Second},
		{"503 with seconds", 503, http.Header{"Retry-After": {"30"}}, 30 * time.Second},
		{"503 alone", 503, nil, 0},
		{"200 that used up the interval", 200, http.Header{"X-Ratelimit-Remaining": {"0"}}, 10 * time.Second},
		{"200 with calls left", 200, http.Header{"X-Ratelimit-Remaining": {"1"}, "Retry-After": {"60"}}, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			budget := NewLocalBudget(time.Now)
			limit := Limit{Calls: 100, Per: 3 * time.Second, Burst: 100}
			c := client(t, Options{Transport: respond(test.status, test.header), Budget: budget, Limit: limit,
				Account: "a", RateHeaders: RateLimitHeaders})
			_, err := c.Do(t.Context(), post("http://example.test", true))
			if test.status >= 400 {
				failure := verdict(t, err)
				if failure.Outcome != df.RetryLater || test.hold > 0 && !failure.RetryAt.Equal(time.Now().Add(test.hold)) {
					t.Errorf("%s: %v, retry in %v", test.name, failure, time.Until(failure.RetryAt))
				}
			}
			if wait, _ := budget.Take(t.Context(), "a", limit, Reserved); wait != test.hold {
				t.Errorf("%s: the account is held for %v, want %v", test.name, wait, test.hold)
			}
		})
	}
}

// brokenBudget is a store that is down.
type brokenBudget struct{ held atomic.Bool }

func (b *brokenBudget) Take(context.Context, string, Limit, Class) (time.Duration, error) {
	return 0, errors.New("database of +12025550123 is down")
}

func (b *brokenBudget) Hold(context.Context, string, time.Time) error {
	b.held.Store(true)
	return errors.New("database is down")
}

func TestDoSendsNothingWhenTheBudgetCannotBeRead(t *testing.T) {
	c := client(t, Options{Budget: &brokenBudget{}, Transport: tripper(func(*http.Request) (*http.Response, error) {
		t.Error("sent without a budget")
		return nil, io.EOF
	})})
	_, err := c.Do(t.Context(), post("http://example.test", false))
	failure := verdict(t, err)
	if failure.Outcome != df.RetryLater || strings.Contains(failure.Unwrap().Error(), "5550123") {
		t.Errorf("%v: %v", failure, failure.Unwrap())
	}
}

func TestDoLeavesADeadUpstreamAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent, answer := 0, 500
		c := client(t, Options{
			Transport: tripper(func(r *http.Request) (*http.Response, error) {
				sent++
				return respond(answer, nil)(r)
			}),
			Breaker: NewBreaker(BreakerOptions{Failures: 3, Cooldown: time.Minute}, time.Now),
		})
		for range 10 {
			_, err := c.Do(t.Context(), post("http://example.test", true))
			if failure := verdict(t, err); failure.Outcome != df.RetryLater || failure.Code != df.CodeUnavailable {
				t.Fatalf("%v", failure)
			}
		}
		status := c.Breaker()
		if sent != 3 || status.State != Open {
			t.Fatalf("%d calls reached a dead upstream, breaker %v", sent, status.State)
		}
		_, err := c.Do(t.Context(), post("http://example.test", false))
		if failure := verdict(t, err); failure.Outcome != df.RetryLater || !failure.RetryAt.Equal(status.Until) {
			t.Errorf("unsent, so it may be retried: %v at %v", failure, failure.RetryAt)
		}
		time.Sleep(time.Minute) // inside synctest: the fake clock moves, nobody waits
		answer = 404
		if _, err := c.Do(t.Context(), post("http://example.test", true)); err != nil || c.Breaker().State != Closed {
			t.Errorf("a 404 shows a working upstream: %v, %v", err, c.Breaker().State)
		}
	})
}

func TestDoKeepsSecretsOutOfErrorsAndLogs(t *testing.T) {
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	const secret = "wholly-secret-token"
	for name, transport := range map[string]http.RoundTripper{
		"leaky transport": tripper(func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("GET %s for jo@example.test: broke", r.URL)
		}),
		"dead port": NewTransport(),
		"server":    respond(500, nil),
	} {
		c := client(t, Options{Transport: transport, Log: log, Redactor: NewRedactor([]string{secret}, nil)})
		url := unusedAddress(t) + "/x/" + secret + "?api_token=" + secret + "&phone_number=%2B12025550123"
		for _, target := range []string{url, strings.Replace(url, "http:", "bad\x00:", 1)} {
			_, err := c.Do(t.Context(), Call{Operation: "look up", Method: http.MethodGet, URL: target})
			text := ""
			for e := err; e != nil; e = errors.Unwrap(e) {
				text += fmt.Sprintf("%v %+v %#v\n", e, e, e)
			}
			text += logged.String()
			for _, hidden := range []string{secret, "5550123", "jo@"} {
				if strings.Contains(text, hidden) {
					t.Errorf("%s: %q in %s", name, hidden, text)
				}
			}
		}
	}
	if logged.Len() == 0 {
		t.Error("nothing was logged")
	}
}

func TestDoTellsTheObserver(t *testing.T) {
	var seen []Observed
	c := client(t, Options{Transport: respond(201, nil), Observe: func(o Observed) { seen = append(seen, o) }})
	if _, err := c.Do(t.Context(), post("http://example.test/?api_token=x", false)); err != nil {
		t.Fatal(err)
	}
	_, _ = c.Do(t.Context(), post("::", false))
	if len(seen) != 2 || seen[0].Status != 201 || seen[0].Outcome != df.OutcomeDone || seen[0].Operation != "create contact" ||
		seen[1].Code != df.CodeInvalid || seen[1].Outcome != df.Refused || seen[1].Upstream != "aloware" {
		t.Errorf("%+v", seen)
	}
}

func TestDoGivesTheProbesPlaceBackWhenATransportPanics(t *testing.T) {
	breaker := NewBreaker(BreakerOptions{Failures: 1, Cooldown: time.Nanosecond}, time.Now)
	call(breaker, unhealthy)
	c := client(t, Options{Breaker: breaker, Transport: tripper(func(*http.Request) (*http.Response, error) { panic("bug") })})
	func() {
		defer func() { _ = recover() }()
		_, _ = c.Do(t.Context(), post("http://example.test", false))
	}()
	if _, _, ok := breaker.enter(); !ok {
		t.Error("the breaker stays half-open for good")
	}
}

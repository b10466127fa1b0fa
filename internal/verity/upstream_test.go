package verity

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A hanging upstream tied up the original's callers for ever, since nothing had
// a time limit (defect C6).
func TestHundredStuckCallsDoNotHinderOthers(t *testing.T) {
	stuck := make(chan struct{}, 100)
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/api/warehouse/pallets" {
			stuck <- struct{}{}
			<-q.Context().Done()
			return
		}
		_, _ = io.WriteString(w, "fine")
	}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	for range 100 {
		calls.Go(func() {
			request := r.request("POST", "/api/verity", `{"endpoint":"/api/warehouse/pallets","method":"GET"}`).WithContext(ctx)
			request.Header.Set("Authorization", "Bearer "+goodKey)
			if response, err := r.server.Client().Do(request); err == nil {
				_ = response.Body.Close()
			}
		})
	}
	for range 100 {
		<-stuck
	}
	started := time.Now()
	for range 50 {
		equal(t, "others", r.post(getPallet).status, 200)
	}
	if took := time.Since(started); took > 2*time.Second {
		t.Errorf("others waited %v", took)
	}
	cancel()
	calls.Wait()
}

func TestOperationThatTimesOutIsLeftAloneAndOthersAreNot(t *testing.T) {
	var asked atomic.Int32
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/api/warehouse/pallets" {
			asked.Add(1)
			<-q.Context().Done()
		}
	}, func(c *Config) { c.Timeout, c.BreakAfter, c.BreakFor = 30*time.Millisecond, 3, time.Minute })
	for range 6 {
		e := r.post(`{"endpoint":"/api/warehouse/pallets","method":"GET"}`)
		equal(t, "code", e.Error.Code, "PROXY_ERROR")
	}
	equal(t, "asked", asked.Load(), 3)
	equal(t, "another operation", r.post(getPallet).status, 200)
	e := r.post(`{"endpoint":"/api/warehouse/pallets","method":"GET"}`)
	if wait := e.header.Get("Retry-After"); wait == "" {
		t.Error("it does not say when to come back")
	}
}

func TestBadAnswersAreBounded(t *testing.T) {
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	}
	for name, upstream := range map[string]http.HandlerFunc{
		"no HTTP":              raw("garbage\r\n\r\n"),
		"half a head":          raw("HTTP/1.1 200 OK\r\nContent-Le"),
		"half a body":          raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
		"broken chunks":        raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
		"huge head":            raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n"),
		"a switch of protocol": raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"),
		"no end":               func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, endless{}) },
		"byte by byte": func(w http.ResponseWriter, q *http.Request) {
			ticker := time.NewTicker(5 * time.Millisecond)
			defer ticker.Stop()
			for q.Context().Err() == nil {
				_, _ = io.WriteString(w, "x")
				w.(http.Flusher).Flush()
				<-ticker.C
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, upstream, func(c *Config) { c.MaxAnswer, c.Timeout = 1<<20, 200*time.Millisecond })
			e := r.post(getPallet)
			equal(t, "status", e.status, 500)
			equal(t, "code", e.Error.Code, "PROXY_ERROR")
		})
	}
}

func TestCallerThatGoesAwayCancelsTheCall(t *testing.T) {
	for _, path := range []string{"/api/verity", "/api/verity/proxy/api/warehouse/pallets"} {
		arrived, cancelled := make(chan struct{}), make(chan struct{})
		r := newRig(t, func(_ http.ResponseWriter, q *http.Request) {
			close(arrived)
			<-q.Context().Done()
			close(cancelled)
		}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		request := r.request("POST", path, `{"endpoint":"/api/warehouse/pallets","method":"POST","body":1}`).WithContext(ctx)
		request.Header.Set("Authorization", "Bearer "+goodKey)
		if strings.Contains(path, "proxy") {
			request.Header.Del("Authorization")
			request.Header.Set("X-Api-Key", goodKey)
		}
		done := make(chan error, 1)
		go func() {
			_, err := r.server.Client().Do(request)
			done <- err
		}()
		<-arrived
		cancel()
		<-cancelled
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", path, err)
		}
		r.server.Close() // waits until the handler is through
		r.events.mu.Lock()
		if len(r.events.served) != 1 || r.events.served[0].Status != statusCallerGone {
			t.Errorf("%s: observed %+v", path, r.events.served)
		}
		r.events.mu.Unlock()
	}
}

// flaky is a transport whose dials fail a number of times.
type flaky struct {
	fails atomic.Int32
	tries atomic.Int32
	err   error
}

func (f *flaky) RoundTrip(r *http.Request) (*http.Response, error) {
	f.tries.Add(1)
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	if f.fails.Add(-1) >= 0 {
		return nil, f.err
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("1")), Request: r}, nil
}

func TestOnlyIdempotentCallsAreRepeatedAndOnlyWhenDialingFailed(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	read := &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
	for _, test := range []struct {
		method string
		err    error
		fails  int32
		tries  int32
		status int
	}{
		{"GET", dial, 2, 3, 200}, {"PUT", dial, 1, 2, 200}, {"DELETE", dial, 1, 2, 200},
		{"GET", dial, 9, 3, 500}, {"POST", dial, 1, 1, 500}, {"PATCH", dial, 1, 1, 500},
		{"GET", read, 1, 1, 500}, {"PUT", read, 1, 1, 500},
	} {
		f := &flaky{err: test.err}
		f.fails.Store(test.fails)
		r := newRig(t, nil, func(c *Config) { c.Transport = f })
		e := r.post(`{"endpoint":"/api/warehouse/pallets","method":"` + test.method + `","body":{"a":1}}`)
		equal(t, test.method+" status", e.status, test.status)
		equal(t, test.method+" tries", f.tries.Load(), test.tries)
	}
}

// http.Transport repeats a POST that carries an Idempotency-Key when a kept
// connection dies after the request was written. A text must not go out twice.
func TestKeyedPostIsNotRepeatedByTheTransport(t *testing.T) {
	var posts atomic.Int32
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		if q.Method == "POST" {
			posts.Add(1)
			equal(t, "key", q.Header.Get("Idempotency-Key"), "i-1")
			abort(w)
		}
	}, nil)
	equal(t, "warm", r.post(getPallet).status, 200)
	e := r.post(`{"endpoint":"/api/warehouse/pallets","method":"POST","body":{"a":1},"headers":{"Idempotency-Key":"i-1"}}`)
	equal(t, "code", e.Error.Code, "PROXY_ERROR")
	equal(t, "posts", posts.Load(), 1)
}

func TestBreakerOpensProbesAndCloses(t *testing.T) {
	b := newBreaker(3, time.Second)
	now := time.Unix(0, 0)
	try := func(r result) bool {
		_, ok := b.allow(now)
		if ok {
			b.report(now, r)
		}
		return ok
	}
	for _, r := range []result{failed, failed, succeeded, failed, unjudged, failed, failed} {
		equal(t, "closed", try(r), true)
	}
	equal(t, "open", try(succeeded), false)
	now = now.Add(time.Second)
	_, probe := b.allow(now)
	equal(t, "one probe", probe, true)
	equal(t, "no second one", try(succeeded), false)
	b.report(now, unjudged) // its caller went away: the next one probes
	equal(t, "another probe", try(failed), true)
	equal(t, "open again", try(succeeded), false)
	now = now.Add(time.Second)
	equal(t, "last probe", try(succeeded), true)
	equal(t, "closed again", try(succeeded), true)
}

func TestOverloadIsShedAndOneCallerLeavesRoom(t *testing.T) {
	arrived, release := make(chan struct{}, 8), make(chan struct{})
	r := newRig(t, func(_ http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/api/any" {
			arrived <- struct{}{}
			<-release
		}
	}, func(c *Config) { c.MaxInFlight = 4 })
	var calls sync.WaitGroup
	for range 3 {
		calls.Go(func() { r.post(`{"endpoint":"/api/any","method":"GET"}`) })
	}
	for range 3 {
		<-arrived
	}
	e := r.post(getPallet)
	equal(t, "status", e.status, 503)
	equal(t, "code", e.Error.Code, "OVERLOADED")
	equal(t, "Retry-After", e.header.Get("Retry-After"), "1")
	other := r.request("POST", "/api/verity", getPallet)
	other.Header.Set("Authorization", "Bearer other-key")
	equal(t, "another caller", r.send(other).status, 200)
	close(release)
	calls.Wait()
	equal(t, "afterwards", r.post(getPallet).status, 200)
}

type panicking struct{}

func (panicking) Authenticate(context.Context, string, string) (Caller, error) {
	panic("secret of +15005550100")
}

func TestPanicsAreAnsweredWithoutDetails(t *testing.T) {
	r := newRig(t, nil, func(c *Config) { c.Keys = panicking{} })
	e := r.post(getPallet)
	equal(t, "status", e.status, 500)
	equal(t, "code", e.Error.Code, "INTERNAL")
	if strings.Contains(e.raw, "secret") || strings.Contains(e.raw, "goroutine") {
		t.Errorf("got %s", e.raw)
	}
}

func TestCrossOrigin(t *testing.T) {
	r := newRig(t, nil, func(c *Config) { c.CORSOrigins = []string{"https://app.example.test/"} })
	closed := newRig(t, nil, nil)
	ask := func(r *rig, method, origin string) envelope {
		request := r.request(method, "/api/verity", getPallet)
		request.Header.Set("Authorization", "Bearer "+goodKey)
		request.Header.Set("Origin", origin)
		if method == "OPTIONS" {
			request.Header.Set("Access-Control-Request-Method", "POST")
		}
		return r.send(request)
	}
	for _, test := range []struct {
		rig            *rig
		method, origin string
		status         int
		allowed        string
	}{
		{r, "OPTIONS", "https://app.example.test", 204, "https://app.example.test"},
		{r, "POST", "https://app.example.test", 200, "https://app.example.test"},
		{r, "OPTIONS", "https://app.example.test.evil.test", 403, ""},
		{r, "OPTIONS", "null", 403, ""},
		{r, "POST", "http://app.example.test", 200, ""},
		{closed, "OPTIONS", "https://app.example.test", 403, ""},
	} {
		e := ask(test.rig, test.method, test.origin)
		equal(t, test.method+" "+test.origin, e.status, test.status)
		equal(t, "allowed", e.header.Get("Access-Control-Allow-Origin"), test.allowed)
		equal(t, "credentials", e.header.Get("Access-Control-Allow-Credentials"), "")
		equal(t, "vary", e.header.Get("Vary"), "Origin")
	}
}

// The original's health answer was always 503, so that balancers took healthy
// instances out (defect C13), and its outer checks only looked at settings.
func TestHealthIsCheapAndReadyIsTruthful(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		down := atomic.Bool{}
		d := newReadiness([]Check{
			{Name: "database", Func: func(context.Context) error {
				runs.Add(1)
				if down.Load() {
					return refuse(503, "X", "the database is away")
				}
				return nil
			}},
			{Name: "verity", Optional: true, Func: func(context.Context) error { return errors.New("secret host 10.0.0.1") }},
		}, time.Now, discard)
		for range 5 {
			body, status := d.current(t.Context())
			equal(t, "status", status, 200)
			if !strings.Contains(string(body), `"degraded"`) || strings.Contains(string(body), "10.0.0.1") {
				t.Errorf("got %s", body)
			}
		}
		equal(t, "runs", runs.Load(), 1)
		down.Store(true)
		time.Sleep(readyCache)
		body, status := d.current(t.Context())
		equal(t, "down", status, 503)
		if !strings.Contains(string(body), "the database is away") {
			t.Errorf("got %s", body)
		}
		hang := newReadiness([]Check{
			{Name: "stuck", Func: func(context.Context) error { time.Sleep(time.Hour); return nil }},
			{Name: "wild", Func: func(context.Context) error { panic("x") }},
		}, time.Now, discard)
		started := time.Now()
		body, status = hang.current(t.Context())
		equal(t, "stuck", status, 503)
		equal(t, "bounded", time.Since(started), checkTimeout)
		if !strings.Contains(string(body), "no answer in time") {
			t.Errorf("got %s", body)
		}
		time.Sleep(time.Hour)
	})
	r := newRig(t, nil, func(c *Config) {
		c.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") })
	})
	equal(t, "health", r.send(r.request("GET", "/health", "")).status, 200)
	equal(t, "ready", r.send(r.request("GET", "/ready", "")).status, 200)
	equal(t, "metrics", r.send(r.request("GET", "/metrics", "")).raw, "metrics")
	equal(t, "POST /health", r.send(r.request("POST", "/health", "")).status, 405)
	equal(t, "DELETE /api/verity", r.send(r.request("DELETE", "/api/verity", "")).header.Get("Allow"), "GET, HEAD, POST")
	equal(t, "elsewhere", r.send(r.request("GET", "/x", "")).Error.Code, "NOT_FOUND")
}

func TestLabelsAreTemplates(t *testing.T) {
	r := newRig(t, nil, nil)
	r.post(getPallet)
	r.post(`{"endpoint":"/api/unlisted/+15005550100","method":"GET"}`)
	r.send(r.proxied("GET", "/api/warehouse/pallets/p-2", ""))
	r.server.Close()
	want := "GET /api/warehouse/pallets/{palletId}|GET unmatched|GET /api/warehouse/pallets/{palletId}"
	equal(t, "called", strings.Join(r.events.called, "|"), want)
	for i, template := range []string{"/api/warehouse/pallets/{palletId}", unmatched, "/api/warehouse/pallets/{palletId}"} {
		equal(t, "served", r.events.served[i].Template, template)
	}
}

func TestBadSettingsAreRefused(t *testing.T) {
	for _, cfg := range []Config{
		{}, {BaseURL: "localhost:3000"}, {BaseURL: "ftp://x.example.test"}, {BaseURL: "http://u:p@x.example.test"},
		{BaseURL: "http://x.example.test?a=1"}, {BaseURL: "http://x.example.test", Mode: "strict"},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}

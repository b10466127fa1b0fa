package ghlworld

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// clock is a hand-moved clock.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) time() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

// hook is one webhook as it arrived.
type hook struct {
	path   string
	header http.Header
	raw    []byte
	body   map[string]any
}

// ears receives webhooks without a socket.
type ears struct {
	mu    sync.Mutex
	hooks []hook
	codes []int // answers to the first posts; 200 afterwards
}

func (e *ears) RoundTrip(r *http.Request) (*http.Response, error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	h := hook{path: r.URL.Path, header: r.Header.Clone(), raw: raw}
	_ = json.Unmarshal(raw, &h.body) // workflow posts are checked by their own test
	e.hooks = append(e.hooks, h)
	code := 200
	if len(e.codes) > 0 {
		code, e.codes = e.codes[0], e.codes[1:]
	}
	return &http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

type bench struct {
	*World
	t     *testing.T
	clock *clock
	ears  *ears
	token string
}

func set(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	b := &bench{t: t, clock: &clock{now: time.Date(2030, 1, 2, 15, 4, 5, 0, time.UTC)}, ears: &ears{}}
	c := Config{
		Stage:     stage.Config{Seed: 1, Clock: b.clock.time, Transport: b.ears, TimeScale: 1e-6},
		Listeners: Listeners{Events: "http://dfm.test/events", Delivery: "http://dfm.test/delivery", Workflow: "http://dfm.test/workflow"},
		RateMax:   10000,
		CustomFields: []CustomField{
			{ID: "cfLoan", Name: "Loan", FieldKey: "contact.loan", DataType: "TEXT"},
		},
	}
	if change != nil {
		change(&c)
	}
	b.World = New(c)
	b.token = b.Settings().PIT
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// do calls the API; version is chosen by the path unless given.
func (b *bench) do(method, path, body string, header ...string) (int, map[string]any) {
	b.t.Helper()
	r := httptest.NewRequest(method, path, bytes.NewBufferString(body))
	r.Header.Set("Authorization", "Bearer "+b.token)
	r.Header.Set("Version", crm)
	if strings.HasPrefix(path, "/conversations") || strings.HasPrefix(path, "/calendars") {
		r.Header.Set("Version", inboxAPI)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Del(header[i])
		if header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	rec := httptest.NewRecorder()
	b.ServeHTTP(rec, r)
	if rec.Header().Get("X-RateLimit-Max") == "" {
		b.t.Errorf("%s %s: no rate headers", method, path)
	}
	var out map[string]any
	if rec.Body.Len() > 0 {
		if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
			b.t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	return rec.Code, out
}

// must is do, and fails the test when the status is another.
func (b *bench) must(want int, method, path, body string, header ...string) map[string]any {
	b.t.Helper()
	status, out := b.do(method, path, body, header...)
	if status != want {
		b.t.Fatalf("%s %s: %d, want %d: %v", method, path, status, want, out)
	}
	return out
}

// hooks settles and returns the webhooks of a path, forgetting all.
func (b *bench) hooks(path string) []hook {
	b.t.Helper()
	if err := b.Settle(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	b.ears.mu.Lock()
	defer b.ears.mu.Unlock()
	var out []hook
	for _, h := range b.ears.hooks {
		if h.path == path {
			out = append(out, h)
		}
	}
	b.ears.hooks = nil
	return out
}

func (b *bench) types() []string {
	b.t.Helper()
	out := []string{}
	for _, h := range b.hooks("/events") {
		out = append(out, h.body["type"].(string))
	}
	return out
}

func (b *bench) contact(fields map[string]string, tags ...string) Contact {
	b.t.Helper()
	k, err := b.CreateContact(fields, tags...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.hooks("")
	return k
}

func (b *bench) oauth() {
	b.t.Helper()
	out := b.must(200, "POST", "/oauth/token",
		"grant_type=authorization_code&client_id="+b.Settings().ClientID+"&client_secret="+b.Settings().ClientSecret+"&code="+b.IssueCode("Location"),
		"Content-Type", "application/x-www-form-urlencoded")
	b.token = out["access_token"].(string)
}

// at walks into nested objects and arrays.
func dig(v any, path ...any) any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[s]
		case int:
			l, _ := v.([]any)
			if s >= len(l) {
				return nil
			}
			v = l[s]
		}
	}
	return v
}

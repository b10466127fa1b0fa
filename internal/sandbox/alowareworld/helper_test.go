package alowareworld

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

type hook struct {
	header http.Header
	event  string
	body   map[string]any
	raw    string
}

// ears receives webhooks without a socket and answers every one with code.
type ears struct {
	mu    sync.Mutex
	hooks []hook
	code  int
}

func (e *ears) RoundTrip(r *http.Request) (*http.Response, error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var envelope struct {
		Event string         `json:"event"`
		Body  map[string]any `json:"body"`
	}
	if err := json.Unmarshal(raw, &envelope); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hooks = append(e.hooks, hook{r.Header.Clone(), envelope.Event, envelope.Body, string(raw)})
	return &http.Response{StatusCode: e.code, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

type bench struct {
	*World
	t    *testing.T
	ears *ears
}

func set(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	b := &bench{t: t, ears: &ears{code: 200}}
	now := time.Date(2030, 1, 2, 15, 4, 5, 0, time.UTC)
	c := Config{
		Stage:      stage.Config{Seed: 1, Clock: func() time.Time { return now }, Transport: b.ears, TimeScale: 1e-6},
		WebhookURL: "http://dfm.test/aloware", BasicUser: "user", BasicPass: "pa:ss",
	}
	if change != nil {
		change(&c)
	}
	b.World = New(c)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func (b *bench) post(path string, values map[string]any) (int, map[string]any) {
	b.t.Helper()
	if _, given := values["api_token"]; !given {
		values["api_token"] = b.Settings().Token
	}
	raw, err := json.Marshal(values)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(httptest.NewRequest("POST", "/api/v1/webhook"+path, strings.NewReader(string(raw))))
}

func (b *bench) lookup(phone string) (int, map[string]any) {
	b.t.Helper()
	return b.do(httptest.NewRequest("GET", "/api/v1/webhook/contact/phone-number?"+url.Values{
		"api_token": {b.Settings().Token}, "phone_number": {phone}}.Encode(), nil))
}

func (b *bench) do(r *http.Request) (int, map[string]any) {
	b.t.Helper()
	rec := httptest.NewRecorder()
	b.ServeHTTP(rec, r)
	for name := range rec.Header() {
		if strings.Contains(name, "Ratelimit") {
			b.t.Errorf("Aloware sends no rate headers, got %s", name)
		}
	}
	if strings.HasPrefix(rec.Header().Get("Content-Type"), "text/html") {
		return rec.Code, map[string]any{"html": rec.Body.String()}
	}
	var out map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
		b.t.Fatalf("%s: %v: %s", r.URL.Path, err, rec.Body)
	}
	return rec.Code, out
}

func (b *bench) hooks() []hook {
	b.t.Helper()
	if err := b.Settle(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	b.ears.mu.Lock()
	defer b.ears.mu.Unlock()
	out := b.ears.hooks
	b.ears.hooks = nil
	return out
}

func (b *bench) events() []string {
	b.t.Helper()
	var out []string
	for _, h := range b.hooks() {
		out = append(out, h.event)
	}
	return out
}

package verityworld

import (
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

func set(change func(*Config)) *World {
	now := time.Date(2030, 1, 2, 15, 4, 5, 0, time.UTC)
	c := Config{Stage: stage.Config{Seed: 1, Clock: func() time.Time { return now }, TimeScale: 1e-6}}
	if change != nil {
		change(&c)
	}
	return New(c)
}

func do(t *testing.T, w *World, method, path, body string, header ...string) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	out := map[string]any{}
	if rec.Body.Len() > 0 && strings.HasPrefix(rec.Header().Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	return rec.Code, out
}

const (
	sendPath = "/api/integrations/df-middleware/send-message"
	auth     = "Authorization"
	key      = "Bearer verity-sandbox-key"
	hello    = `{"to":"+15005550111","body":"hello","correlationId":"m1"}`
)

func TestATextIsSentOncePerKey(t *testing.T) {
	w := set(nil)
	_, first := do(t, w, "POST", sendPath, hello, auth, key, "Idempotency-Key", "m1")
	status, second := do(t, w, "POST", sendPath, hello, auth, key, "Idempotency-Key", "m1")
	if status != 200 || first["messageId"] != second["messageId"] || len(w.Texts()) != 1 || w.Texts()[0].Repeats != 1 {
		t.Errorf("%d, %v, %v, %+v", status, first, second, w.Texts())
	}
	if status, _ := do(t, w, "POST", sendPath, strings.Replace(hello, "hello", "bye", 1), auth, key, "Idempotency-Key", "m1"); status != 409 {
		t.Errorf("the key with another text: %d", status)
	}
	do(t, w, "POST", sendPath, hello, auth, key)
	do(t, w, "POST", sendPath, hello, auth, key)
	if len(w.Texts()) != 3 {
		t.Errorf("without keys every call sends, got %d", len(w.Texts()))
	}
	for _, bad := range [][]string{{hello, "Bearer x"}, {hello, ""}} {
		if status, _ := do(t, w, "POST", sendPath, bad[0], auth, bad[1]); status != 401 {
			t.Errorf("%q: %d", bad[1], status)
		}
	}
	for _, bad := range []string{`{"to":"+15005550111"}`, `{"to":"x","body":"y"}`, `[]`} {
		if status, _ := do(t, w, "POST", sendPath, bad, auth, key); status != 400 {
			t.Errorf("%s: %d", bad, status)
		}
	}
	ids := set(func(c *Config) { c.SendsID = true })
	if _, out := do(t, ids, "POST", sendPath, hello, auth, key); out["id"] == nil || out["messageId"] != nil {
		t.Errorf("got %v", out)
	}
}

func TestALostAnswerHasSentTheText(t *testing.T) {
	w := set(nil)
	w.Next("send text", stage.LoseAnswer)
	func() {
		defer func() {
			if recover() != http.ErrAbortHandler {
				t.Error("the answer was not lost")
			}
		}()
		do(t, w, "POST", sendPath, hello, auth, key, "Idempotency-Key", "m1")
	}()
	do(t, w, "POST", sendPath, hello, auth, key, "Idempotency-Key", "m1")
	if n := len(w.Texts()); n != 1 {
		t.Errorf("%d texts", n)
	}
}

func TestForwardsMustBeSigned(t *testing.T) {
	w := set(nil)
	body := `{"type":"ContactCreate"}`
	if status, _ := do(t, w, "POST", "/api/integrations/ghl/webhook", body); status != 401 {
		t.Errorf("unsigned: %d", status)
	}
	do(t, w, "POST", "/api/integrations/ghl/webhook", body, "X-Middleware-Signature", w.Signature([]byte(body)), "Idempotency-Key", "e1", "X-GHL-Signature", "s")
	got := w.Forwards()
	if len(got) != 1 || string(got[0].Body) != body || got[0].Key != "e1" || got[0].Header.Get("X-GHL-Signature") != "s" {
		t.Errorf("got %+v", got)
	}
}

func TestAnalyticsStandWhereConfigured(t *testing.T) {
	for _, shape := range []string{"", "data", "analytics"} {
		w := set(func(c *Config) {
			c.AnalyticsShape = shape
			c.VerifyToken = func(token string) bool { return token == "good" }
		})
		w.SetAnalytics("b1", map[string]any{"sent": 3})
		path := "/api/comms/broadcasts/b1/analytics"
		if status, _ := do(t, w, "GET", path, "", auth, "Bearer bad"); status != 401 {
			t.Errorf("bad token: %d", status)
		}
		_, out := do(t, w, "GET", path, "", auth, "Bearer good")
		if shape != "" {
			out, _ = out[shape].(map[string]any)
		}
		if out["sent"] != 3.0 {
			t.Errorf("%q: %v", shape, out)
		}
		if status, _ := do(t, w, "GET", "/api/comms/broadcasts/b2/analytics", "", auth, "Bearer good"); status != 404 {
			t.Errorf("unknown broadcast: %d", status)
		}
	}
}

func TestWidgetsLive(t *testing.T) {
	w := set(nil)
	do(t, w, "POST", "/api/widgets", `{"name":"a","color":"red"}`)
	do(t, w, "POST", "/api/widgets", `{"name":"b","color":"blue"}`)
	if _, out := do(t, w, "GET", "/api/widgets?color=red&color=green", ""); len(out["data"].([]any)) != 1 {
		t.Errorf("got %v", out)
	}
	_, patched := do(t, w, "PATCH", "/api/widgets/w1", `{"size":3}`)
	_, put := do(t, w, "PUT", "/api/widgets/w2", `{"size":3}`)
	if patched["data"].(map[string]any)["name"] != "a" || put["data"].(map[string]any)["name"] != nil {
		t.Errorf("%v, %v", patched, put)
	}
	if status, _ := do(t, w, "DELETE", "/api/widgets/w1", ""); status != 200 {
		t.Errorf("delete: %d", status)
	}
	if status, _ := do(t, w, "GET", "/api/widgets/w1", ""); status != 404 {
		t.Errorf("get after delete: %d", status)
	}
}

func TestEchoTellsWhatArrived(t *testing.T) {
	w := set(nil)
	_, out := do(t, w, "PUT", "/api/echo/a%2Fb?x=1&x=2", "body", "X-Thing", "t")
	if out["method"] != "PUT" || out["path"] != "/api/echo/a%2Fb" || out["rawQuery"] != "x=1&x=2" || out["body"] != "body" {
		t.Errorf("got %v", out)
	}
	if status, _ := do(t, w, "DELETE", "/api/status/418", ""); status != 418 {
		t.Errorf("status %d", status)
	}
}

func TestBadEndpointsAreBad(t *testing.T) {
	w := set(nil)
	if err := w.Listen(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	get := func(path string) (int, []byte, error) {
		answer, err := client.Get(w.URL() + path)
		if err != nil {
			return 0, nil, err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		return answer.StatusCode, body, err
	}
	for _, path := range []string{"/api/reset", "/api/cut"} {
		if _, _, err := get(path); err == nil {
			t.Errorf("%s answered", path)
		}
	}
	if _, body, _ := get("/api/garbage"); json.Valid(body) {
		t.Errorf("garbage is JSON: %q", body)
	}
	if _, body, err := get("/api/huge?bytes=100000"); err != nil || len(body) != 100002 || !json.Valid(body) {
		t.Errorf("huge: %d bytes, %v", len(body), err)
	}
	if status, _, _ := get("/api/redirect?to=http://192.0.2.1/"); status != 302 {
		t.Errorf("redirect: %d", status)
	}
	if _, body, _ := get("/api/stream"); strings.Count(string(body), "data:") != 3 {
		t.Errorf("stream: %q", body)
	}
}

func TestBothCataloguesNameTheSameEndpoints(t *testing.T) {
	w := set(nil)
	_, native := do(t, w, "GET", "/catalog.json", "")
	_, openapi := do(t, w, "GET", "/openapi.json", "")
	paths := openapi["paths"].(map[string]any)
	for _, item := range native["endpoints"].([]any) {
		endpoint := item.(map[string]any)
		operations, _ := paths[endpoint["path"].(string)].(map[string]any)
		for _, method := range endpoint["methods"].([]any) {
			if operations[strings.ToLower(method.(string))] == nil {
				t.Errorf("%s %s is not in the OpenAPI document", method, endpoint["path"])
			}
		}
	}
}

type ear struct {
	mu     sync.Mutex
	header http.Header
	body   []byte
}

func (e *ear) RoundTrip(r *http.Request) (*http.Response, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.header = r.Header.Clone()
	e.body, _ = io.ReadAll(r.Body)
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

func TestBroadcastWebhooksAreSigned(t *testing.T) {
	e := &ear{}
	w := set(func(c *Config) { c.Stage.Transport, c.BroadcastURL = e, "http://dfm.test/b" })
	defer w.Close()
	w.PostBroadcast("analytics_updated", "b1", map[string]any{"sent": 1})
	if err := w.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e.header.Get("X-Broadcast-Signature") != w.Signature(e.body) || !strings.Contains(string(e.body), `"broadcastId":"b1"`) {
		t.Errorf("%v %s", e.header, e.body)
	}
}

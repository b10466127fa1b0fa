package verity

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/verity/catalogue"
)

const testCatalogue = `{"version":"1","endpoints":[
 {"path":"/apiwarehouse/pallets","methods":["GET","POST","PUT","PATCH","DELETE"],
  "schema":{"request":{"type":"object","properties":{"weightKg":{"type":"number"}}}}},
 {"path":"/api/warehouse/pallets/{palletId}","methods":["GET"],"authType":"none"},
 {"path":"/api/any","methods":["GET","POST"],"authType":"requireAuth"},
 {"path":"/api/user","methods":["GET"],"authType":"requireUser"},
 {"path":"/api/admin","methods":["GET"],"authType":"requireAdmin"},
 {"path":"/api/notify","methods":["POST"],"sendsText":"person.phone"},
 {"path":"/apisms","methods":["POST"]}]}`

func newCatalogue(t testing.TB) *catalogue.Catalogue {
	t.Helper()
	c, err := catalogue.Parse([]byte(testCatalogue))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// goodKey and the tokens below are what the fakes know.
const goodKey = "gw-test-key"

type fakeKeys struct{}

func (fakeKeys) Authenticate(_ context.Context, presented, scope string) (Caller, error) {
	switch {
	case scope != ScopeGateway:
		return Caller{}, refuse(500, "WRONG_SCOPE_ASKED", scope)
	case presented == goodKey:
		return Caller{ID: "k1", Name: "test"}, nil
	case presented == "other-key":
		return Caller{ID: "k2", Name: "other"}, nil
	case presented == "no-scope":
		return Caller{}, refuse(403, "FORBIDDEN", "the key lacks the scope gateway")
	case presented == "too-fast":
		return Caller{}, &df.Error{Code: "RATE_LIMITED", Message: "too many calls", Status: 429, Err: waitError{1500 * time.Millisecond}}
	case presented == "store-down":
		return Caller{}, context.DeadlineExceeded
	}
	return Caller{}, refuse(401, "UNAUTHORIZED", "a valid gateway key is needed")
}

type fakeVerifier struct{}

func (fakeVerifier) Verify(_ context.Context, token string) (Identity, error) {
	switch token {
	case "user":
		return Identity{Subject: "user_1", SessionID: "sess_1"}, nil
	case "machine":
		return Identity{Subject: "mch_1", Machine: true}, nil
	case "admin":
		return Identity{Subject: "user_2", SessionID: "sess_2", Admin: true}, nil
	}
	return Identity{}, io.ErrUnexpectedEOF
}

// fakeGate lets everybody through but +15005550199, and cannot read +15005550198.
type fakeGate struct {
	mu    sync.Mutex
	asked []string
}

func (g *fakeGate) MayText(_ context.Context, to string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, to)
	switch to {
	case "+15005550199":
		return refuse(403, CodeOptedOut, "opted out")
	case "+15005550198":
		return context.DeadlineExceeded
	}
	return nil
}

// seen is a request as Verity received it.
type seen struct {
	Method, URI, Host string
	Header            http.Header
	Body              string
}

// rig is a gateway in front of a fake Verity.
type rig struct {
	t       testing.TB
	gateway *Gateway
	server  *httptest.Server
	gate    *fakeGate
	events  *recorder

	mu   sync.Mutex
	seen []seen
}

type recorder struct {
	mu     sync.Mutex
	served []Exchange
	called []string
}

func (r *recorder) Served(e Exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.served = append(r.served, e)
}

func (r *recorder) Called(method, template string, _ int, _ time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.called = append(r.called, method+" "+template)
}

// newRig starts a gateway whose Verity answers with answer; nil echoes {"ok":true}.
func newRig(t testing.TB, answer http.HandlerFunc, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, gate: &fakeGate{}, events: &recorder{}}
	if answer == nil {
		answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"ok":true}`)
		}
	}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.ContentLength >= 0 && q.ContentLength < 1<<20 {
			body, _ := io.ReadAll(q.Body)
			q.Body = io.NopCloser(strings.NewReader(string(body)))
			r.mu.Lock()
			r.seen = append(r.seen, seen{q.Method, q.RequestURI, q.Host, q.Header.Clone(), string(body)})
			r.mu.Unlock()
		}
		answer(w, q)
	}))
	t.Cleanup(upstream.Close)
	known := newCatalogue(t)
	transport := egress.NewStreamTransport(5 * time.Second)
	t.Cleanup(transport.CloseIdleConnections)
	cfg := Config{
		BaseURL: upstream.URL, Catalogue: func() *catalogue.Catalogue { return known },
		Keys: fakeKeys{}, Verifier: fakeVerifier{}, Gate: r.gate, Observer: r.events, Transport: transport,
		APIKey: "verity-key", Timeout: 5 * time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if r.gateway, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	r.server = httptest.NewServer(r.gateway)
	t.Cleanup(r.server.Close)
	return r
}

// reached returns what Verity received, and forgets it.
func (r *rig) reached() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.seen
	r.seen = nil
	return got
}

type envelope struct {
	status  int
	header  http.Header
	raw     string
	Success bool
	Data    json.RawMessage
	Error   struct {
		Message, Code string
		Details       json.RawMessage
	}
	Meta struct {
		Endpoint, Method, Timestamp, Encoding string
		Status                                int
		Duration                              *int
	}
}

func (r *rig) send(request *http.Request) envelope {
	r.t.Helper()
	response, err := r.server.Client().Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	e := envelope{status: response.StatusCode, header: response.Header, raw: string(raw)}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") && len(raw) > 0 {
		if err := json.Unmarshal(raw, &e); err != nil {
			r.t.Fatalf("%v in %s", err, raw)
		}
	}
	return e
}

func (r *rig) request(method, path, body string) *http.Request {
	r.t.Helper()
	request, err := http.NewRequest(method, r.server.URL+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	return request
}

// post makes a call with the good key.
func (r *rig) post(body string) envelope {
	r.t.Helper()
	request := r.request("POST", "/api/verity", body)
	request.Header.Set("Authorization", "Bearer "+goodKey)
	return r.send(request)
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

var discard = slog.New(slog.DiscardHandler)

package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/verity"
	"github.com/df-middleware/dfm/internal/verity/catalogue"
)

const document = `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{
 "/api/widgets":{
  "get":{"summary":"List widgets","parameters":[{"name":"limit","in":"query","schema":{"type":"integer"}}],"responses":{}},
  "post":{"summary":"Create a widget","requestBody":{"required":true,"content":{"application/json":{"schema":
   {"type":"object","required":["name"],"additionalProperties":false,"properties":{"name":{"type":"string"},"size":{"type":"integer"}}}}}},"responses":{}}},
 "/api/widgets/{id}":{
  "parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],
  "get":{"summary":"One widget","responses":{}},
  "delete":{"summary":"Delete a widget","x-auth-type":"requireAdmin","responses":{}}},
 "/api/account":{"get":{"summary":"The account","x-auth-type":"requireUser","tags":["account"],"responses":{}}},
 "/api/integrations/df-middleware/send-message":{"post":{"summary":"Send a text","requestBody":{"required":true,"content":{"application/json":{"schema":
   {"type":"object","required":["to","body"],"properties":{"to":{"type":"string"},"body":{"type":"string"}}}}}},"responses":{}}}}}`

// The names of the document's tools.
const (
	listWidgets  = "widgets_get"
	createWidget = "widgets_create"
	getWidget    = "widgets_by_id_get"
	deleteWidget = "widgets_by_id_delete"
	getAccount   = "account_get"
	sendText     = "integrations_df-middleware_send-message_create"
)

func parse(t testing.TB, text string) *catalogue.Catalogue {
	t.Helper()
	c, err := catalogue.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// upstream is a Verity that writes down what it gets.
type upstream struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string // "GET /api/x?y body"
	auth []string
	hook func(w http.ResponseWriter, r *http.Request) bool // true when it answered
}

func newUpstream(t testing.TB) *upstream {
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		u.mu.Lock()
		u.seen = append(u.seen, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
		u.auth = append(u.auth, r.Header.Get("Authorization"))
		hook := u.hook
		u.mu.Unlock()
		if hook != nil && hook(w, r) {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"ok":true,"big":9007199254740993}`)
	}))
	t.Cleanup(u.Close)
	return u
}

// reached returns what arrived, and forgets it.
func (u *upstream) reached() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	seen := u.seen
	u.seen = nil
	return seen
}

type trail struct {
	mu      sync.Mutex
	entries []Entry
}

func (t *trail) Record(_ context.Context, e Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries = append(t.entries, e)
}

// taken returns the entries as "tool status", and forgets them.
func (t *trail) taken() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for _, e := range t.entries {
		out = append(out, e.Tool+" "+e.Status)
	}
	t.entries = nil
	return out
}

type tokens struct{}

func (tokens) Token(context.Context) (string, error)      { return "our-own-token", nil }
func (tokens) Invalidate(_ context.Context, _ string)     {}
func (tokens) MayText(_ context.Context, to string) error { return mayText(to) }

// mayText lets everybody through but +12025550199.
func mayText(to string) error {
	if to == "+12025550199" {
		return &df.Error{Code: verity.CodeOptedOut, Message: "opted out", Status: 403}
	}
	return nil
}

// rig is a server in front of a Verity.
type rig struct {
	t        testing.TB
	upstream *upstream
	trail    *trail
	server   *Server
}

// local may do everything but delete unasked.
func local() *Caller { return &Caller{ID: "stdio", Name: "test", Records: true} }

func newRig(t testing.TB, text string, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, upstream: newUpstream(t), trail: &trail{}}
	c := parse(t, text)
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	door, err := verity.New(verity.Config{
		BaseURL: r.upstream.URL, Gate: tokens{}, Timeout: 5 * time.Second, Transport: transport,
		Catalogue: func() *catalogue.Catalogue { return c },
	})
	if err != nil {
		t.Fatal(err)
	}
	config := Config{
		Verity: door.Client(verity.ClientConfig{Tokens: tokens{}}), Catalogue: c, Mode: All, Local: local(),
		Audit: r.trail, Version: "test", Progress: 20 * time.Millisecond, Secret: []byte(strings.Repeat("s", 32)),
	}
	if change != nil {
		change(&config)
	}
	if r.server, err = New(config); err != nil {
		t.Fatal(err)
	}
	return r
}

// connect opens a session in memory.
func (r *rig) connect(options *sdk.ClientOptions) *sdk.ClientSession {
	r.t.Helper()
	ours, theirs := sdk.NewInMemoryTransports()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = r.server.sdk.Run(ctx, ours) // ends with the context
	}()
	session, err := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, options).Connect(ctx, theirs, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		_ = session.Close()
		cancel()
		<-served
	})
	return session
}

// call calls a tool with arguments as they stand.
func call(t testing.TB, session *sdk.ClientSession, tool, arguments string) *sdk.CallToolResult {
	t.Helper()
	result, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: json.RawMessage(arguments)})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	return result
}

func textOf(result *sdk.CallToolResult) string {
	var texts []string
	for _, content := range result.Content {
		if text, ok := content.(*sdk.TextContent); ok {
			texts = append(texts, text.Text)
		}
	}
	return strings.Join(texts, "\n")
}

func toolNames(t testing.TB, session *sdk.ClientSession) []string {
	t.Helper()
	list, err := session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(list.Tools))
	for i, one := range list.Tools {
		names[i] = one.Name
	}
	return names
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func contains(t testing.TB, what, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%s: %q is not in %q", what, part, text)
	}
}

// largeDocument writes an OpenAPI description of so many operations.
func largeDocument(operations int) string {
	var b strings.Builder
	b.WriteString(`{"openapi":"3.0.3","info":{"title":"large","version":"1"},"paths":{`)
	for i := range operations {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"/api/area%d/things%d/{thingId}":{"post":{"tags":["area%d"],"summary":"Thing %d","description":%q,
			"parameters":[{"name":"thingId","in":"path","required":true,"schema":{"type":"string"}}],
			"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/S%d"}}}},"responses":{"200":{"description":"ok"}}}}`,
			i%60, i, i%60, i, strings.Repeat("prose ", 50), i)
	}
	b.WriteString(`},"components":{"schemas":{`)
	for i := range operations {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"S%d":{"type":"object","properties":{"self":{"$ref":"#/components/schemas/S%d"},"a":{"type":"string"}}}`, i, i)
	}
	b.WriteString(`}}}`)
	return b.String()
}

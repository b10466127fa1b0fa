package chat

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/sandbox/llmworld"
	"github.com/df-middleware/dfm/internal/sandbox/stage"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
	"github.com/df-middleware/dfm/internal/verity"
	"github.com/df-middleware/dfm/internal/verity/catalogue"
	"github.com/df-middleware/dfm/internal/verity/chat/llm"
	"github.com/df-middleware/dfm/internal/verity/mcp"
)

const document = `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{
 "/api/widgets":{
  "get":{"summary":"List widgets","parameters":[{"name":"limit","in":"query","schema":{"type":"integer"}}],"responses":{}},
  "post":{"summary":"Create a widget","requestBody":{"required":true,"content":{"application/json":{"schema":
   {"type":"object","required":["name"],"additionalProperties":false,"properties":{"name":{"type":"string"}}}}}},"responses":{}}},
 "/api/widgets/{id}":{
  "parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],
  "delete":{"summary":"Delete a widget","responses":{}}}}}`

const (
	listWidgets  = "widgets_get"
	createWidget = "widgets_create"
	deleteWidget = "widgets_by_id_delete"
)

// fakeVerity writes down what reaches it.
type fakeVerity struct {
	mu   sync.Mutex
	seen []string
	do   func(ctx context.Context, r verity.Request) (string, error) // "" answers {"ok":true}
}

func (f *fakeVerity) Do(ctx context.Context, r verity.Request) (*verity.Response, error) {
	path := r.Endpoint
	for name, value := range r.Params {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	f.mu.Lock()
	f.seen = append(f.seen, r.Method+" "+path)
	do := f.do
	f.mu.Unlock()
	answer := `{"ok":true}`
	if do != nil {
		said, err := do(ctx, r)
		if err != nil {
			return nil, err
		}
		if said != "" {
			answer = said
		}
	}
	return &verity.Response{Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(answer)}, nil
}

// reached returns what arrived, and forgets it.
func (f *fakeVerity) reached() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := f.seen
	f.seen = nil
	return seen
}

// rig is a chat with everything around it.
type rig struct {
	t      *testing.T
	world  *llmworld.World
	verity *fakeVerity
	store  *store.Store
	chat   *Chat
	url    string
	clock  *clock
	turns  *turns
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) pass(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

// turns counts what an observer is told.
type turns struct {
	mu     sync.Mutex
	ended  []string
	tokens int64
	over   chan string
}

func (o *turns) Turn(_, reason string, _ time.Duration) {
	o.mu.Lock()
	o.ended = append(o.ended, reason)
	o.mu.Unlock()
	o.over <- reason
}

func (o *turns) Tokens(_ string, in, out, _ int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tokens += in + out
}

func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, verity: &fakeVerity{}, store: storetest.SQLite(t), clock: &clock{at: time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)},
		turns: &turns{over: make(chan string, 100)}}
	r.world = llmworld.New(llmworld.Config{Stage: stage.Config{Seed: 1, Clock: time.Now}})
	models := httptest.NewServer(r.world)
	t.Cleanup(models.Close)
	c, err := catalogue.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	tools, err := mcp.New(mcp.Config{Verity: r.verity, Catalogue: c, Mode: mcp.All, Clock: r.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	config := Config{
		Model: llm.Anthropic(llm.Config{BaseURL: models.URL, Model: "m", Key: df.Secret(r.world.Settings().AnthropicKey), Client: &http.Client{Transport: transport}}),
		Tools: tools, Store: r.store, Clock: r.clock.now, NewID: df.IDs(r.clock.now), Observer: r.turns, Secret: []byte("test"),
		Limits: Limits{Steps: 5, Time: time.Minute, Tokens: 1_000_000, Reply: 1000, Result: 1000, Results: 5000},
		Price:  Price{Input: 3, Output: 15},
		Authenticate: func(r *http.Request) (Caller, error) {
			owner := r.Header.Get("X-Test-Owner")
			if owner == "" {
				return Caller{}, &df.Error{Code: "UNAUTHORIZED", Message: "no", Status: 401}
			}
			return Caller{Owner: owner, Tools: mcp.Caller{ID: owner, Name: owner}}, nil
		},
	}
	if change != nil {
		change(&config)
	}
	if r.chat, err = New(config); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	r.chat.Register(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// request makes one request as somebody.
func (r *rig) request(ctx context.Context, owner, method, path, body string) *http.Response {
	r.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, r.url+Path+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("X-Test-Owner", owner)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// said is everything that one turn streamed.
type said struct {
	events []event
	status int
	body   string // when it was no stream
}

// talk posts a body as admin and reads all of the answer.
func (r *rig) talk(body string) said {
	r.t.Helper()
	return r.talkAs("admin", body)
}

func (r *rig) talkAs(owner, body string) said {
	r.t.Helper()
	res := r.request(r.t.Context(), owner, "POST", "", body)
	data, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	out := said{status: res.StatusCode, body: string(data)}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		<-r.turns.over
		for line := range bytes.Lines(data) {
			if rest, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
				var e event
				if err := json.Unmarshal(rest, &e); err != nil {
					r.t.Fatalf("%s: %v", rest, err)
				}
				out.events = append(out.events, e)
			}
		}
	}
	return out
}

// of returns the events of a type.
func (s said) of(kind string) []event {
	var list []event
	for _, e := range s.events {
		if e.Type == kind {
			list = append(list, e)
		}
	}
	return list
}

func (s said) text() string {
	text := ""
	for _, e := range s.of("text.delta") {
		text += e.Delta
	}
	return text
}

func (s said) reason() string {
	if n := len(s.events); n > 0 && s.events[n-1].Type == "done" {
		return s.events[n-1].Reason
	}
	return "no end: " + s.body
}

func (s said) conversation() string {
	if len(s.events) == 0 {
		return ""
	}
	return s.events[0].Conversation
}

func calls(list ...llmworld.Call) llmworld.Reply { return llmworld.Reply{Text: "I look.", Calls: list} }

func message(conversation, text string) string {
	return `{"conversationId":` + strconv.Quote(conversation) + `,"message":` + strconv.Quote(text) + `}`
}

// lines reads a stream event by event, for tests that act in the middle of one.
func lines(body io.Reader) func() (string, bool) {
	scanner := bufio.NewScanner(body)
	return func() (string, bool) {
		for scanner.Scan() {
			if rest, ok := strings.CutPrefix(scanner.Text(), "data: "); ok {
				return rest, true
			}
		}
		return "", false
	}
}

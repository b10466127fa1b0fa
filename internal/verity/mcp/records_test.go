package mcp

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// noRecords knows nobody.
type noRecords struct{}

func (noRecords) People(context.Context, store.PersonFilter) ([]store.Person, error) { return nil, nil }
func (noRecords) Events(context.Context, store.EventFilter) ([]df.Event, error)      { return nil, nil }
func (noRecords) SyncLog(context.Context, store.SyncFilter) ([]store.SyncRow, error) { return nil, nil }

func (noRecords) Event(context.Context, string) (df.Event, error) {
	return df.Event{}, store.ErrNotFound
}
func (noRecords) Attempts(context.Context, string) ([]store.Attempt, error)        { return nil, nil }
func (noRecords) EffectsOf(context.Context, string) ([]store.Effect, error)        { return nil, nil }
func (noRecords) Issues(context.Context, store.IssueFilter) ([]store.Issue, error) { return nil, nil }
func (noRecords) Conflicts(context.Context, store.ConflictFilter) ([]store.Conflict, error) {
	return nil, nil
}

// oneRecord knows one person, and writes down what it was asked.
type oneRecord struct {
	noRecords
	people store.PersonFilter
	events store.EventFilter
	err    error
}

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func (r *oneRecord) People(_ context.Context, f store.PersonFilter) ([]store.Person, error) {
	r.people = f
	return []store.Person{{ID: "p1", Phone: "+12025550123", Email: "ada@example.test", Status: "active", GHLContactID: "g1"}}, r.err
}

func (r *oneRecord) Events(_ context.Context, f store.EventFilter) ([]df.Event, error) {
	r.events = f
	if f.EntityID == "nobody" {
		return nil, r.err
	}
	return []df.Event{{ID: "e1", ReceivedAt: noon, Source: df.SourceGHL, Status: df.Failed, LastError: "why", Notice: df.Notice{Type: "ContactUpdate"}, Raw: []byte("secret body")}}, r.err
}

func (r *oneRecord) SyncLog(_ context.Context, f store.SyncFilter) ([]store.SyncRow, error) {
	if f.PersonID == "nobody" {
		return nil, r.err
	}
	return []store.SyncRow{{ID: "w1", StartedAt: noon.Add(time.Second), Status: "success", EntityType: "contact", Fields: "email"}}, r.err
}

func TestRecordsCanBeRead(t *testing.T) {
	records := &oneRecord{}
	r := newRig(t, document, func(c *Config) { c.Records = records })
	session := r.connect(nil)
	found := textOf(call(t, session, toolFindPerson, `{"phone":"+1 202 555 0123","limit":3}`))
	contains(t, "person", found, `"id":"p1"`)
	equal(t, "asked for", records.people.Phone, df.Phone("+12025550123"))
	equal(t, "limit", records.people.Limit, 3)
	timeline := textOf(call(t, session, toolTimeline, `{"personId":"p1"}`))
	if write, event := strings.Index(timeline, `"w1"`), strings.Index(timeline, `"e1"`); write < 0 || event < write {
		t.Errorf("not the newest first: %s", timeline)
	}
	events := textOf(call(t, session, toolEvents, `{"status":"error","from":"2026-01-01T00:00:00Z"}`))
	contains(t, "events", events, `"detail":"why"`)
	if strings.Contains(events+timeline, "secret body") {
		t.Error("a body is shown")
	}
	for tool, arguments := range map[string]string{
		toolFindPerson: `{}`, toolTimeline: `{}`, toolEvents: `{"from":"yesterday"}`,
	} {
		equal(t, tool, call(t, session, tool, arguments).IsError, true)
	}
	equal(t, "no phone", call(t, session, toolFindPerson, `{"phone":"x"}`).IsError, true)
	records.err = errors.New("connection to 10.0.0.1 refused")
	result := call(t, session, toolEvents, `{}`)
	equal(t, "trouble", textOf(result), "Something went wrong on our side. Tell the user.")
}

func TestResourcesAndPromptsAreForThoseWhoMaySeeThem(t *testing.T) {
	caller := local()
	r := newRig(t, document, func(c *Config) { c.Records, c.Local = &oneRecord{}, caller })
	session := r.connect(nil)
	read := func(uri string) (string, error) {
		result, err := session.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: uri})
		if err != nil {
			return "", err
		}
		return result.Contents[0].Text, nil
	}
	text, err := read(catalogueURI)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "catalogue", text, deleteWidget)
	text, err = read("dfm://people/p1/timeline")
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "timeline", text, `"w1"`)
	for _, uri := range []string{"dfm://people/nobody/timeline", "dfm://people//timeline", "file:///etc/passwd"} {
		var wire *jsonrpc.Error
		if _, err := read(uri); !errors.As(err, &wire) {
			t.Errorf("%s: %v", uri, err)
		}
	}
	prompt, err := session.GetPrompt(t.Context(), &sdk.GetPromptParams{Name: "explain_person", Arguments: map[string]string{"person": "ada"}})
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "prompt", prompt.Messages[0].Content.(*sdk.TextContent).Text, "ada")
	if _, err := session.GetPrompt(t.Context(), &sdk.GetPromptParams{Name: "explain_person"}); err == nil {
		t.Error("a prompt without its argument")
	}

	caller.Records = false
	if _, err := read("dfm://people/p1/timeline"); err == nil {
		t.Error("a timeline is read by one who may not")
	}
	templates, err := session.ListResourceTemplates(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "templates", len(templates.ResourceTemplates), 0)
}

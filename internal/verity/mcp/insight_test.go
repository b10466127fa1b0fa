package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// cause knows why the event e1 failed and person p1 does not converge.
type cause struct{ noRecords }

func (c *cause) Event(_ context.Context, id string) (df.Event, error) {
	if id != "e1" {
		return df.Event{}, store.ErrNotFound
	}
	return df.Event{ID: "e1", Status: df.Quarantined, Reason: "ten tries", Raw: []byte("secret body"), Notice: df.Notice{Type: "ContactUpdate"}}, nil
}

func (c *cause) Attempts(context.Context, string) ([]store.Attempt, error) {
	return []store.Attempt{{Attempt: 1, At: noon, Outcome: "retry", Error: "ghl: HTTP 503"}}, nil
}

func (c *cause) EffectsOf(context.Context, string) ([]store.Effect, error) {
	return []store.Effect{{Kind: "send_text", State: "unknown", Attempts: 1, Request: "secret request"}}, nil
}

func (c *cause) SyncLog(_ context.Context, f store.SyncFilter) ([]store.SyncRow, error) {
	if f.CorrelationID+f.PersonID == "" {
		return nil, errors.New("everything was asked for")
	}
	return []store.SyncRow{{StartedAt: noon, Status: "error", Message: "HTTP 422", Fields: "city", Decisions: json.RawMessage(`[{"rule":"newer_change"}]`)}}, nil
}

func (c *cause) Issues(context.Context, store.IssueFilter) ([]store.Issue, error) {
	return []store.Issue{{Kind: "refused", Side: df.SideGHL, Field: "email", Tries: 3, Since: noon}}, nil
}

func (c *cause) Conflicts(context.Context, store.ConflictFilter) ([]store.Conflict, error) {
	return []store.Conflict{{Field: "city", Kind: "both", Chosen: df.SideGHL, Rule: "newer_change", At: noon}}, nil
}

func TestCausesAreExplained(t *testing.T) {
	r := newRig(t, document, func(c *Config) { c.Records = &cause{} })
	session := r.connect(nil)
	event := call(t, session, toolExplain, `{"eventId":"e1"}`)
	for _, want := range []string{"ten tries", "HTTP 503", `"unknown"`, "newer_change", "HTTP 422"} {
		if !strings.Contains(textOf(event), want) {
			t.Errorf("the event's explanation lacks %q: %s", want, textOf(event))
		}
	}
	if strings.Contains(textOf(event), "secret") {
		t.Errorf("it holds a body: %s", textOf(event))
	}
	person := call(t, session, toolExplain, `{"personId":"p1"}`)
	for _, want := range []string{"refused", "newer_change", "HTTP 422"} {
		if !strings.Contains(textOf(person), want) {
			t.Errorf("the person's explanation lacks %q: %s", want, textOf(person))
		}
	}
	for _, wrong := range []string{`{}`, `{"eventId":"e1","personId":"p1"}`, `{"eventId":"e2"}`, `{"eventId":7}`} {
		if !call(t, session, toolExplain, wrong).IsError {
			t.Errorf("%s is answered", wrong)
		}
	}
}

func TestAReplayIsTriedOutAndNotMade(t *testing.T) {
	var asked store.EventFilter
	r := newRig(t, document, func(c *Config) {
		c.Records = &cause{}
		c.Replay = func(_ context.Context, f store.EventFilter) (any, error) {
			asked = f
			return map[string]any{"events": 3, "people": 2, "outboundWrites": 1}, nil
		}
	})
	session := r.connect(nil)
	if got := call(t, session, toolReplay, `{"status":"quarantined","from":"2026-01-30T00:00:00Z"}`); !strings.Contains(textOf(got), `"outboundWrites":1`) {
		t.Errorf("%s", textOf(got))
	}
	if asked.Status != df.Quarantined || asked.From.IsZero() || !asked.To.IsZero() {
		t.Errorf("asked for %+v", asked)
	}
	if !call(t, session, toolReplay, `{"from":"yesterday"}`).IsError {
		t.Error("a time that is none is taken")
	}
}

func TestWhyAPersonIsNotTextedIsTold(t *testing.T) {
	var asked []string
	r := newRig(t, document, func(c *Config) {
		c.Records = noRecords{}
		c.Why = func(_ context.Context, personID, question string) (any, error) {
			if personID == "nobody" {
				return nil, store.ErrNotFound
			}
			asked = append(asked, personID+" "+question)
			return map[string]any{"verdict": "no"}, nil
		}
	})
	session := r.connect(nil)
	if got := call(t, session, toolExplain, `{"personId":"p1","question":"texted"}`); !strings.Contains(textOf(got), `"verdict":"no"`) {
		t.Errorf("%s", textOf(got))
	}
	for _, arguments := range []string{`{"personId":"nobody","question":"texted"}`, `{"eventId":"e1","question":"texted"}`, `{"personId":"p1","question":"loved"}`} {
		if !call(t, session, toolExplain, arguments).IsError {
			t.Errorf("%s is answered", arguments)
		}
	}
	if len(asked) != 1 || asked[0] != "p1 texted" {
		t.Errorf("asked for %q", asked)
	}
}

func TestDriftIsReportedToThoseWhoMaySeeRecords(t *testing.T) {
	report := func(context.Context) (any, error) { return map[string]any{"unexplained": 7}, nil }
	r := newRig(t, document, func(c *Config) { c.Records, c.Drift = noRecords{}, report })
	session := r.connect(nil)
	if got := call(t, session, toolDrift, `{}`); !strings.Contains(textOf(got), `"unexplained":7`) {
		t.Errorf("%s", textOf(got))
	}
	read, err := session.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: driftURI})
	if err != nil || !strings.Contains(read.Contents[0].Text, `"unexplained":7`) {
		t.Errorf("%+v, %v", read, err)
	}
	r = newRig(t, document, func(c *Config) {
		c.Records, c.Drift, c.Local = noRecords{}, report, &Caller{ID: "stdio"}
	})
	session = r.connect(nil)
	if _, err := session.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: driftURI}); err == nil {
		t.Error("somebody without records reads it")
	}
	if list, err := session.ListResources(t.Context(), nil); err != nil || len(list.Resources) != 1 {
		t.Errorf("he sees %+v, %v", list, err)
	}
	if _, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: toolDrift, Arguments: map[string]any{}}); err == nil {
		t.Error("and may call the tool")
	}
}

// The chat prepares calls without the protocol; they meet the same checks.
func TestCallsOfOurOwnProgramMeetTheSameChecks(t *testing.T) {
	r := newRig(t, document, func(c *Config) { c.Records = noRecords{} })
	who := Caller{ID: "admin"}
	names := map[string]bool{}
	for _, o := range r.server.Offers(who) {
		names[o.Name] = true
	}
	if !names[toolSearch] || !names[toolCall] || !names[listWidgets] || names[toolFindPerson] {
		t.Errorf("offered %v", names)
	}
	for name, arguments := range map[string]string{
		toolFindPerson: `{"phone":"+12025550123"}`, "nothing": `{}`, createWidget: `{"body":{}}`, getWidget: `{"path":{"id":"a/../b"}}`,
		toolCall: `{"name":"` + createWidget + `","arguments":{"body":{"name":1}}}`, toolSearch: `{"limit":"many"}`,
	} {
		if _, failure := r.server.Prepare(t.Context(), who, name, json.RawMessage(arguments)); failure == nil || !failure.IsError {
			if name != getWidget { // one segment, whatever stands in it
				t.Errorf("%s %s is prepared", name, arguments)
			}
		}
	}
	equal(t, "sent", strings.Join(r.upstream.reached(), ""), "")
	for name, asks := range map[string]bool{listWidgets: false, deleteWidget: true, sendText: true} {
		arguments := map[string]string{listWidgets: `{}`, deleteWidget: `{"path":{"id":"7"}}`, sendText: `{"body":{"to":"+12025550123","body":"hi"}}`}[name]
		prepared, failure := r.server.Prepare(t.Context(), who, toolCall, json.RawMessage(`{"name":"`+name+`","arguments":`+arguments+`}`))
		if failure != nil {
			t.Fatalf("%s: %+v", name, failure)
		}
		if prepared.Approval != asks || prepared.Tool != name {
			t.Errorf("%s: %+v", name, prepared)
		}
		if result := prepared.Run(t.Context()); result.IsError {
			t.Errorf("%s: %+v", name, result)
		}
	}
	if seen := r.upstream.reached(); len(seen) != 3 {
		t.Errorf("sent %v", seen)
	}
}

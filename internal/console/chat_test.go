package console_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/store"
)

// talked is a chat with one conversation, in which everything happened.
type talked struct{ forgotten []string }

func (t *talked) Serve(w http.ResponseWriter, r *http.Request, owner string) {
	said, _ := io.ReadAll(r.Body)
	_, _ = io.WriteString(w, owner+" "+string(said))
}

func (t *talked) Model() string { return "anthropic/some-model" }

func (t *talked) Forget(_ context.Context, owner, id string) error {
	t.forgotten = append(t.forgotten, owner+" "+id)
	return nil
}

func (t *talked) Read(_ context.Context, owner, id string) (console.Spoken, error) {
	if owner != "admin" || id != "talk" {
		return console.Spoken{}, store.ErrNotFound
	}
	return console.Spoken{ID: "talk", Title: "Who is " + hostile, InputTokens: 12345, OutputTokens: 67, CostMicros: 42, Lines: []console.SpokenLine{
		{Mine: true, Text: "Who is " + hostile},
		{Text: "I look.\nAnd ask.", Calls: []console.SpokenCall{
			{ID: "1", Tool: "find_person", Arguments: json.RawMessage(`{"text":"dana"}`), Result: `{"people":[]} ` + hostile, State: "done"},
			{ID: "2", Tool: "widgets_create", Arguments: json.RawMessage(`{}`), Result: "Nothing was sent.", State: "failed"},
			{ID: "3", Tool: "widgets_by_id_delete", Arguments: json.RawMessage(`{"path":{"id":"w1"}}`), State: "waiting", Approval: "signed." + hostile},
			{ID: "4", Tool: "widgets_by_id_delete", Result: "Nothing was done.", State: "declined"},
		}},
		{Text: "It was lo", Note: "stopped"},
	}}, nil
}

func TestAConversationShowsWhatTheModelDidAndAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signIn()
	page := w.has("/chat/talk", "I look.\nAnd ask.", "find_person", "waits for you", "declined", "failed", "Stopped before its end", "12,345 tokens in", "anthropic/some-model",
		`<details open><summary><code>widgets_by_id_delete</code>`)
	if strings.Contains(page, hostile) {
		t.Error("hostile text is part of the page")
	}
	if got := w.get("/chat/another"); got.status != http.StatusNotFound {
		t.Errorf("no such conversation: %d", got.status)
	}
	if got := w.post("/chat/talk/forget"); got.status != http.StatusSeeOther || len(w.talked.forgotten) != 1 || w.talked.forgotten[0] != "admin talk" {
		t.Errorf("%d, forgotten %v", got.status, w.talked.forgotten)
	}
}

func TestOnlyTheChatsOwnPageCanWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signIn()
	send := func(header http.Header) answer {
		r, err := http.NewRequestWithContext(t.Context(), "POST", w.URL+"/chat/turn", strings.NewReader(`{"message":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header
		res, err := w.browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		data, _ := io.ReadAll(res.Body)
		return answer{res.StatusCode, res.Header, string(data)}
	}
	if got := send(http.Header{}); got.status != http.StatusForbidden {
		t.Errorf("without a token: %d", got.status)
	}
	if got := send(http.Header{"X-Dfm-Csrf": {w.csrf}, "Sec-Fetch-Site": {"cross-site"}}); got.status != http.StatusForbidden {
		t.Errorf("from another site: %d", got.status)
	}
	if got := send(http.Header{"X-Dfm-Csrf": {w.csrf}}); got.status != http.StatusOK || got.body != `admin {"message":"x"}` {
		t.Errorf("from the page: %d %s", got.status, got.body)
	}
}

package app

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/sandbox/llmworld"
)

// chatApp is the whole program with the sandbox's language model.
func chatApp(t *testing.T, databaseURL string, more map[string]string) (*App, *sandbox.World) {
	t.Helper()
	world := newWorld(t, sandbox.Config{})
	settings := map[string]string{"DF_MIDDLEWARE_API_KEY": "env-gateway-key", "DFM_MCP_TOOLS": "all", "LLM_PRICE_INPUT": "3", "LLM_PRICE_OUTPUT": "15"}
	for name, value := range more {
		settings[name] = value
	}
	a := build(t, world, databaseURL, time.Now, settings)
	start(t, world, a)
	return a, world
}

// streamed is one event of the chat's own protocol.
type streamed struct {
	Type, Delta, Tool, CallID, Text, Code, ApprovalID, Reason, ConversationID, Message string
}

// converse posts to the chat and returns what was streamed.
func converse(t *testing.T, a *App, bearer, body string) []streamed {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", a.URL("web")+"/api/mcp/chat", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bearer)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(res.Body)
		return []streamed{{Type: "refused", Code: res.Status, Text: string(said)}}
	}
	var list []streamed
	scanner := bufio.NewScanner(res.Body)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		if rest, ok := strings.CutPrefix(scanner.Text(), "data: "); ok {
			var e streamed
			if err := json.Unmarshal([]byte(rest), &e); err != nil {
				t.Fatalf("%s: %v", rest, err)
			}
			list = append(list, e)
		}
	}
	return list
}

func one(list []streamed, kind string) streamed {
	for _, e := range list {
		if e.Type == kind {
			return e
		}
	}
	return streamed{}
}

func TestTheChatUsesVerityAndAsksBeforeItDeletes(t *testing.T) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		a, world := chatApp(t, databaseURL, nil)
		world.LLM.Script(
			llmworld.Reply{Text: "I make one.", Calls: []llmworld.Call{{Name: "widgets_create", Arguments: `{"body":{"name":"lamp"}}`}}},
			llmworld.Reply{Text: "And delete it.", Calls: []llmworld.Call{{ID: "toolu_del", Name: "widgets_by_id_delete", Arguments: `{"path":{"id":"w1"}}`}}},
		)
		list := converse(t, a, "test-admin-secret", `{"message":"make a lamp, then delete w1"}`)
		asked := one(list, "approval.request")
		if asked.CallID != "toolu_del" || one(list, "done").Reason != "approval" {
			t.Fatalf("%+v", list)
		}
		if n := world.Verity.CallsOf("create widget"); n != 1 {
			t.Errorf("created %d", n)
		}
		if n := world.Verity.CallsOf("delete widget"); n != 0 {
			t.Errorf("deleted %d before the yes", n)
		}
		body, _ := json.Marshal(map[string]any{"conversationId": one(list, "start").ConversationID,
			"approvals": []any{map[string]any{"approvalId": asked.ApprovalID, "approved": true}}})
		if after := converse(t, a, "test-admin-secret", string(body)); one(after, "done").Reason != "end" {
			t.Errorf("%+v", after)
		}
		if n := world.Verity.CallsOf("delete widget"); n != 1 {
			t.Errorf("deleted %d after the yes", n)
		}
		rows, err := a.store.AuditLog(t.Context(), 0, 50)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, r := range rows {
			seen[r.Actor+" "+r.Target+" "+toText(r.Details["status"])] = true
		}
		for _, want := range []string{"admin widgets_create ok", "admin widgets_by_id_delete ASKED"} {
			if !seen[want] {
				t.Errorf("no audit line %q in %v", want, seen)
			}
		}
		metrics := string(mustGet(t, a.URL("web")+"/metrics"))
		for _, want := range []string{`dfm_chat_turns_total{reason="approval",vendor="anthropic"} 1`, `dfm_chat_tokens_total{direction="input",vendor="anthropic"}`,
			`dfm_mcp_calls_total{result="ok",tool="operation"}`, `dfm_chat_cost_total{vendor="anthropic"}`} {
			if !strings.Contains(metrics, want) {
				t.Errorf("no metric %s", want)
			}
		}
	})
}

func toText(v any) string { s, _ := v.(string); return s }

func mustGet(t *testing.T, address string) []byte {
	t.Helper()
	res, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// D: in the original anybody on the network could run anything through the chat.
func TestTheChatIsForThoseWhoMayUseIt(t *testing.T) {
	a, _ := chatApp(t, databases()["sqlite"](t), nil)
	for bearer, want := range map[string]string{"": "401", "wrong": "401", "env-gateway-key": "", "test-admin-secret": ""} {
		got := one(converse(t, a, bearer, `{"message":"hello"}`), "refused")
		if want == "" && got.Code != "" || want != "" && !strings.HasPrefix(got.Code, want) {
			t.Errorf("%q: %+v", bearer, got)
		}
	}
	for _, path := range []string{"/api/mcp/chat/conversations", "/api/mcp/chat/conversations/x"} {
		res, err := http.Get(a.URL("web") + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

func TestAConversationIsReadInTheConsoleWithoutJavaScript(t *testing.T) {
	a, world := chatApp(t, databases()["sqlite"](t), nil)
	world.LLM.Script(
		llmworld.Reply{Text: "Let me <b>see</b>.", Calls: []llmworld.Call{{Name: "widgets_get", Arguments: `{}`}, {Name: "widgets_by_id_delete", Arguments: `{"path":{"id":"w1"}}`}}},
	)
	id := one(converse(t, a, "test-admin-secret", `{"message":"which widgets are there?"}`), "start").ConversationID
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	get := func(path string) string {
		res, err := browser.Get(a.URL("web") + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		data, _ := io.ReadAll(res.Body)
		return string(data)
	}
	token := regexp.MustCompile(`name="csrf" value="([^"]+)"`)
	form := url.Values{"csrf": {token.FindStringSubmatch(get("/sign-in"))[1]}, "secret": {"test-admin-secret"}, "next": {"/chat"}}
	res, err := browser.PostForm(a.URL("web")+"/sign-in", form)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	page := get("/chat/" + id)
	for _, want := range []string{"which widgets are there?", "Let me &lt;b&gt;see&lt;/b&gt;.", "widgets_get", "waits for you", "data-approval=", "anthropic/sandbox"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if !strings.Contains(get("/chat"), `href="/chat/`+id+`"`) {
		t.Error("the list lacks the conversation")
	}
	// The page's script must show the session's token.
	post := func(csrf string) int {
		r, _ := http.NewRequestWithContext(t.Context(), "POST", a.URL("web")+"/chat/turn", strings.NewReader(`{"message":"x"}`))
		r.Header.Set("X-Dfm-Csrf", csrf)
		res, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		return res.StatusCode
	}
	csrf := token.FindStringSubmatch(page)[1]
	if got := post("wrong"); got != http.StatusForbidden {
		t.Errorf("without the token: %d", got)
	}
	if got := post(csrf); got != http.StatusOK {
		t.Errorf("with the token: %d", got)
	}
	res, err = browser.PostForm(a.URL("web")+"/chat/"+id+"/forget", url.Values{"csrf": {csrf}})
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if strings.Contains(get("/chat"), `href="/chat/`+id+`"`) {
		t.Error("the conversation is still there")
	}
}

func TestWrongSettingsOfTheChatAreTold(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"LLM_MODEL":         {"LLM_PROVIDER": "anthropic", "ANTHROPIC_API_KEY": "x"},
		"ANTHROPIC_API_KEY": {"LLM_PROVIDER": "anthropic", "LLM_MODEL": "m"},
		"OPENAI_API_KEY":    {"LLM_PROVIDER": "openai", "LLM_MODEL": "m"},
		"LLM_PROVIDER":      {"LLM_BASE_URL": "http://localhost:11434/v1", "LLM_MODEL": "m"},
		"LLM_PRICE_INPUT":   {"LLM_PRICE_INPUT": "much"},
	} {
		_, err := Load(func(key string) (string, bool) { v, ok := env[key]; return v, ok })
		if err == nil || !strings.Contains(err.Error(), name+":") {
			t.Errorf("%v: %v", env, err)
		}
	}
	c, err := Load(func(key string) (string, bool) {
		v, ok := map[string]string{"LLM_PROVIDER": "openai", "LLM_BASE_URL": "http://localhost:11434/v1/", "LLM_MODEL": "m"}[key]
		return v, ok
	})
	if err != nil || c.Chat.language() == nil {
		t.Errorf("a server at home that wants no key: %v", err)
	}
}

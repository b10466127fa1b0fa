package story

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/df-middleware/dfm/internal/sandbox/llmworld"
)

// Models is the story of language models that work with Verity: a client of the
// protocol over HTTP and on standard input, and the chat.
func Models() []Step {
	return []Step{
		{"An MCP client connects over HTTP, looks around and calls", "a real session with the official client: tools, a call, a person found", clientOverHTTP},
		{"The same client starts dfm mcp on standard input", "nothing but the protocol on standard output; a deletion waits for a yes", clientOnStdio},
		{"Somebody asks the chat to delete a widget", "the model's call waits for a person, counts one yes, and is kept", chatDeletes},
	}
}

// The tools that the catalogue of the sandbox's Verity makes.
const (
	listWidgets  = "widgets_get"
	deleteWidget = "widgets_by_id_delete"
)

// bearer shows the gateway key with every request.
type bearer struct {
	key  string
	next http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.key)
	return b.next.RoundTrip(r)
}

func clientOverHTTP(ctx context.Context, s *Stage) (string, error) {
	session, err := connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: s.Server.WebURL() + "/mcp", HTTPClient: &http.Client{Transport: bearer{s.GatewayKey, s.Client.Transport}},
	}, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = session.Close() }()
	list, err := session.ListTools(ctx, nil)
	if err != nil {
		return "", fmt.Errorf("list tools: %w", err)
	}
	if err := callFor(ctx, session, listWidgets, map[string]any{"query": map[string]any{"limit": 3}}, `"data"`); err != nil {
		return "", err
	}
	if err := callFor(ctx, session, "find_person", map[string]any{"ghlContactId": s.lead.ghlID}, s.lead.ghlID); err != nil {
		return "", err
	}
	wrong, err := session.CallTool(ctx, &mcp.CallToolParams{Name: listWidgets, Arguments: map[string]any{"query": map[string]any{"surprise": 1}}})
	if err != nil || !wrong.IsError {
		return "", fmt.Errorf("an argument that the schema does not know was taken: %v", err)
	}
	return fmt.Sprintf("%d tools, revision %s", len(list.Tools), session.InitializeResult().ProtocolVersion), nil
}

func clientOnStdio(ctx context.Context, s *Stage) (string, error) {
	widget := s.World.Verity.AddWidget("lamp")
	asked := 0
	answer := "decline"
	options := &mcp.ClientOptions{ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
		asked++
		return &mcp.ElicitResult{Action: answer}, nil
	}}
	command := s.Server.Command("mcp")
	session, err := connect(ctx, &mcp.CommandTransport{Command: command}, options)
	if err != nil {
		return "", err
	}
	defer func() { _ = session.Close() }()
	remove := &mcp.CallToolParams{Name: deleteWidget, Arguments: map[string]any{"path": map[string]any{"id": widget}}}
	refused, err := session.CallTool(ctx, remove)
	if err != nil || !refused.IsError || s.World.Verity.CallsOf("delete widget") != 0 {
		return "", fmt.Errorf("after a no: %+v, %w", refused, orNothing(err))
	}
	answer = "accept"
	removed, err := session.CallTool(ctx, remove)
	if err != nil || removed.IsError || s.World.Verity.CallsOf("delete widget") != 1 {
		return "", fmt.Errorf("after a yes: %+v, %w", removed, orNothing(err))
	}
	return fmt.Sprintf("asked %d times, deleted once", asked), nil
}

var errNothing = errors.New("no error")

func orNothing(err error) error {
	if err == nil {
		return errNothing
	}
	return err
}

func connect(ctx context.Context, transport mcp.Transport, options *mcp.ClientOptions) (*mcp.ClientSession, error) {
	client := mcp.NewClient(&mcp.Implementation{Name: "dfm-story", Version: "1"}, options)
	session, err := client.Connect(ctx, transport, nil)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return session, nil
}

// callFor calls a tool whose answer must hold a text.
func callFor(ctx context.Context, session *mcp.ClientSession, tool string, arguments map[string]any, want string) error {
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return fmt.Errorf("call %s: %w", tool, err)
	}
	text := ""
	for _, c := range result.Content {
		if said, ok := c.(*mcp.TextContent); ok {
			text += said.Text
		}
	}
	if result.IsError || !strings.Contains(text, want) {
		return fmt.Errorf("%s answered %.200s", tool, text)
	}
	return nil
}

// told is what the chat streams, as far as the story looks at it.
type told struct{ Type, ConversationID, ApprovalID, Reason, Code string }

// chat posts to the chat and returns what it streamed.
func (s *Stage) chat(ctx context.Context, body map[string]any) (map[string]told, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Server.WebURL()+"/api/mcp/chat", strings.NewReader(string(data)))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+s.GatewayKey)
	response, err := s.Client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the chat answered %d %.200s", response.StatusCode, text)
	}
	events := map[string]told{}
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "data: "); ok {
			var e told
			if err := json.Unmarshal([]byte(rest), &e); err != nil {
				return nil, err
			}
			events[e.Type] = e
		}
	}
	return events, nil
}

func chatDeletes(ctx context.Context, s *Stage) (string, error) {
	widget := s.World.Verity.AddWidget("chair")
	before := s.World.Verity.CallsOf("delete widget")
	s.World.LLM.Script(
		llmworld.Reply{Text: "I look first.", Calls: []llmworld.Call{{Name: listWidgets, Arguments: "{}"}}},
		llmworld.Reply{Text: "I delete it.", Calls: []llmworld.Call{{Name: deleteWidget, Arguments: `{"path":{"id":"` + widget + `"}}`}}},
		llmworld.Reply{Text: "It is gone."},
	)
	events, err := s.chat(ctx, map[string]any{"message": "delete the chair"})
	if err != nil {
		return "", err
	}
	question := events["approval.request"]
	if question.ApprovalID == "" || s.World.Verity.CallsOf("delete widget") != before {
		return "", fmt.Errorf("nobody was asked: %+v", events)
	}
	yes := map[string]any{"conversationId": events["start"].ConversationID,
		"approvals": []any{map[string]any{"approvalId": question.ApprovalID, "approved": true}}}
	after, err := s.chat(ctx, yes)
	switch {
	case err != nil:
		return "", err
	case after["done"].Reason != "end" || s.World.Verity.CallsOf("delete widget") != before+1:
		return "", fmt.Errorf("after the yes: %+v", after)
	}
	if _, err := s.chat(ctx, yes); err == nil {
		return "", errors.New("the same yes counted twice")
	}
	return "asked, deleted once, a second yes refused", nil
}

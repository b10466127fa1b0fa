package chat

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/verity/chat/llm"
	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

const (
	maxBody    = 2 << 20 // of a request, in bytes
	maxText    = 100_000 // of a person's message, in bytes
	maxEarlier = 200     // messages that a client may bring along
	maxTitle   = 80
)

// The modes of a request.
const (
	modeList = "list_tools"
	modeTool = "tool"
	modeTalk = "talk"
)

// input is a request that was read.
type input struct {
	mode string

	// Of modeTalk. With no text there are decisions.
	conversation string
	text         string
	earlier      []llm.Message // what a client remembers of a conversation that we do not know
	decisions    []Decision
	continues    string // the client's id of the message that is gone on with

	// Of modeTool.
	tool      string
	arguments json.RawMessage
	approval  string
}

// body is what clients send: the original's fields, ours, and those of Vercel's
// AI SDK, whose messages have parts.
type body struct {
	Messages       json.RawMessage `json:"messages"`
	Message        string          `json:"message"`
	ConversationID string          `json:"conversationId"`
	ID             string          `json:"id"` // the AI SDK's name for it
	Approvals      []Decision      `json:"approvals"`
	ToolName       string          `json:"toolName"`
	Arguments      json.RawMessage `json:"arguments"`
	Approval       string          `json:"approval"`
}

// clientMessage is a message as clients send it.
type clientMessage struct {
	ID      string       `json:"id"`
	Role    string       `json:"role"`
	Content string       `json:"content"`
	Parts   []clientPart `json:"parts"`
}

type clientPart struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	State    string `json:"state"`
	Approval *struct {
		ID       string `json:"id"`
		Approved *bool  `json:"approved"`
	} `json:"approval"`
}

func badRequest(message string) error {
	return &df.Error{Code: "INVALID_REQUEST", Message: message, Status: http.StatusBadRequest}
}

// conversationID is what clients may call a conversation.
var conversationID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// decode reads a request's body.
func decode(data []byte) (input, error) {
	var b body
	if len(strings.TrimSpace(string(data))) == 0 {
		data = []byte(`{}`)
	}
	if strictjson.Check(data, 100) != nil || json.Unmarshal(data, &b) != nil {
		return input{}, badRequest("the body must be a JSON object with messages, message, approvals or toolName")
	}
	if string(b.Messages) == "null" {
		b.Messages = nil
	}
	in := input{conversation: b.ConversationID, text: b.Message, decisions: b.Approvals}
	if in.conversation == "" {
		in.conversation = b.ID
	}
	switch {
	case string(b.Messages) == `"list_tools"`, b.Messages == nil && b.ToolName == "" && b.Message == "" && len(b.Approvals) == 0:
		in.mode = modeList
		return in, nil
	case b.ToolName != "":
		in.mode, in.tool, in.arguments, in.approval = modeTool, b.ToolName, b.Arguments, b.Approval
		return in, nil
	}
	in.mode = modeTalk
	if b.Messages != nil {
		if err := in.readMessages(b.Messages); err != nil {
			return in, err
		}
	}
	return in, in.check()
}

func (in *input) check() error {
	switch {
	case in.conversation != "" && !conversationID.MatchString(in.conversation):
		return badRequest("conversationId must be 1 to 64 letters, digits, _ or -")
	case len(in.text) > maxText:
		return &df.Error{Code: "PAYLOAD_TOO_LARGE", Status: http.StatusRequestEntityTooLarge, Message: "the message is too long"}
	case in.text != "" && strings.TrimSpace(in.text) == "", in.text == "" && len(in.decisions) == 0:
		return badRequest("the last message must be the user's and hold text, or answer a question that waits")
	case len(in.decisions) > maxCalls:
		return badRequest("there are too many approvals")
	}
	return nil
}

// readMessages takes the last message as what is said now. The ones before it
// are only used where we do not know the conversation: our own history is the
// truth, and a client cannot write tools' results into it.
func (in *input) readMessages(raw json.RawMessage) error {
	var list []clientMessage
	if json.Unmarshal(raw, &list) != nil || len(list) == 0 {
		return badRequest(`messages must be a list of {"role","content"}, or "list_tools"`)
	}
	if len(list) > maxEarlier {
		return badRequest("there are too many messages")
	}
	last := list[len(list)-1]
	if last.Role == string(llm.Assistant) {
		in.continues = last.ID
		in.decisions = append(in.decisions, last.decisions()...)
	} else {
		in.text = last.text()
	}
	for i, m := range list {
		switch {
		case m.Role != string(llm.User) && m.Role != string(llm.Assistant):
			return badRequest("roles must be user or assistant")
		case i < len(list)-1 && m.text() != "":
			in.earlier = append(in.earlier, llm.Message{Role: llm.Role(m.Role), Parts: []llm.Part{{Text: m.text()}}})
		}
	}
	// Conversations begin with a person.
	for len(in.earlier) > 0 && in.earlier[0].Role == llm.Assistant {
		in.earlier = in.earlier[1:]
	}
	return nil
}

func (m clientMessage) text() string {
	text := m.Content
	for _, p := range m.Parts {
		if p.Type == "text" {
			text += p.Text
		}
	}
	return text
}

func (m clientMessage) decisions() []Decision {
	var list []Decision
	for _, p := range m.Parts {
		if p.State == "approval-responded" && p.Approval != nil && p.Approval.Approved != nil {
			list = append(list, Decision{p.Approval.ID, *p.Approval.Approved})
		}
	}
	return list
}

// titleOf names a conversation by the beginning of its first message.
func titleOf(text string) string {
	title := strings.Join(strings.Fields(text), " ")
	if len(title) > maxTitle {
		title = strings.ToValidUTF8(title[:maxTitle], "") + "…"
	}
	return title
}

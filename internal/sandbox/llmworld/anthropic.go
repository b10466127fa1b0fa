package llmworld

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

type anthropicRequest struct {
	Model     string `json:"model"`
	MaxTokens int    `json:"max_tokens"`
	Stream    bool   `json:"stream"`
	System    []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	} `json:"system"`
	Messages []struct {
		Role    string           `json:"role"`
		Content []anthropicBlock `json:"content"`
	} `json:"messages"`
	Tools []struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		InputSchema json.RawMessage `json:"input_schema"`
	} `json:"tools"`
}

type anthropicBlock struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Input     json.RawMessage `json:"input"`
	ToolUseID string          `json:"tool_use_id"`
	Content   []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	} `json:"content"`
	IsError bool `json:"is_error"`
}

func anthropicError(rw http.ResponseWriter, status int, kind, message string) {
	stage.JSON(rw, status, map[string]any{"type": "error", "error": map[string]any{"type": kind, "message": message}, "request_id": "req_sandbox"})
}

func (w *World) messages(rw http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Api-Key") != w.config.AnthropicKey {
		anthropicError(rw, http.StatusUnauthorized, "authentication_error", "invalid x-api-key")
		return
	}
	if r.Header.Get("Anthropic-Version") == "" {
		anthropicError(rw, http.StatusBadRequest, "invalid_request_error", "anthropic-version: header is required")
		return
	}
	var in anthropicRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		anthropicError(rw, http.StatusBadRequest, "invalid_request_error", "the body is no JSON of ours: "+err.Error())
		return
	}
	asked, err := in.read()
	if err != nil {
		anthropicError(rw, http.StatusBadRequest, "invalid_request_error", err.Error())
		return
	}
	reply := w.reply(asked)
	if reply.Status != 0 {
		if reply.RetryAfter != "" {
			rw.Header().Set("Retry-After", reply.RetryAfter)
		}
		anthropicError(rw, reply.Status, "overloaded_error", "Overloaded")
		return
	}
	w.streamAnthropic(rw, r, asked, reply)
}

func (in anthropicRequest) read() (Asked, error) {
	a := Asked{Vendor: "anthropic", Model: in.Model}
	switch {
	case in.Model == "":
		return a, errors.New("model: is required")
	case in.MaxTokens < 1:
		return a, errors.New("max_tokens: must be at least 1")
	case !in.Stream:
		return a, errors.New("the sandbox only streams")
	}
	for _, s := range in.System {
		a.System += s.Text
	}
	last := ""
	for i, m := range in.Messages {
		if m.Role != "user" && m.Role != "assistant" {
			return a, fmt.Errorf("messages.%d.role: must be user or assistant", i)
		}
		if m.Role == last {
			return a, fmt.Errorf("messages.%d.role: roles must alternate", i)
		}
		last = m.Role
		said, err := readBlocks(m.Role, m.Content)
		if err != nil {
			return a, fmt.Errorf("messages.%d: %w", i, err)
		}
		a.Messages = append(a.Messages, said)
	}
	for _, t := range in.Tools {
		if err := checkTool(t.Name, t.Description, t.InputSchema); err != nil {
			return a, err
		}
		a.Tools = append(a.Tools, t.Name)
	}
	if err := checkTools(a.Tools); err != nil {
		return a, err
	}
	return a, checkOrder(a.Messages)
}

func readBlocks(role string, blocks []anthropicBlock) (Said, error) {
	said := Said{Role: role}
	for _, b := range blocks {
		switch {
		case b.Type == "text" && b.Text == "":
			return said, errors.New("text content blocks must be non-empty")
		case b.Type == "text":
			said.Text += b.Text
		case b.Type == "tool_use" && role == "assistant":
			said.Calls = append(said.Calls, Call{ID: b.ID, Name: b.Name, Arguments: string(b.Input)})
		case b.Type == "tool_result" && role == "user":
			if said.Text != "" {
				return said, errors.New("tool results must come before text")
			}
			text := ""
			for _, c := range b.Content {
				text += c.Text
			}
			said.Results = append(said.Results, Result{b.ToolUseID, text, b.IsError})
		default:
			return said, fmt.Errorf("a block of type %q cannot stand there", b.Type)
		}
	}
	return said, nil
}

func (w *World) streamAnthropic(rw http.ResponseWriter, r *http.Request, asked Asked, reply Reply) {
	rw.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	rw.WriteHeader(http.StatusOK)
	send := func(name string, data map[string]any) {
		data["type"] = name
		_, _ = fmt.Fprintf(rw, "event: %s\ndata: %s\n\n", name, quote(data)) // the reader may have gone
	}
	send("message_start", map[string]any{"message": map[string]any{
		"id": "msg_" + w.ID(20), "type": "message", "role": "assistant", "model": asked.Model, "content": []any{},
		"stop_reason": nil, "stop_sequence": nil,
		"usage": map[string]any{"input_tokens": asked.tokens(), "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 1},
	}})
	send("ping", map[string]any{})
	index, out := 0, reply.Text
	block := func(start map[string]any, text, kind, field string) bool {
		send("content_block_start", map[string]any{"index": index, "content_block": start})
		whole := w.stream(rw, r, reply, text, func(piece string) {
			send("content_block_delta", map[string]any{"index": index, "delta": map[string]any{"type": kind, field: piece}})
		})
		send("content_block_stop", map[string]any{"index": index})
		index++
		return whole
	}
	if reply.Text != "" && !block(map[string]any{"type": "text", "text": ""}, reply.Text, "text_delta", "text") {
		return
	}
	for _, c := range reply.Calls {
		out += c.Arguments
		start := map[string]any{"type": "tool_use", "id": c.ID, "name": c.Name, "input": map[string]any{}}
		if !block(start, c.Arguments, "input_json_delta", "partial_json") {
			return
		}
	}
	stop := reply.Stop
	if stop == "" {
		stop = "end_turn"
		if len(reply.Calls) > 0 {
			stop = "tool_use"
		}
	}
	send("message_delta", map[string]any{"delta": map[string]any{"stop_reason": stop, "stop_sequence": nil}, "usage": map[string]any{"output_tokens": tokens(out)}})
	send("message_stop", map[string]any{})
}

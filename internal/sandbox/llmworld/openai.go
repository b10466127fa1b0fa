package llmworld

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

type openaiRequest struct {
	Model               string `json:"model"`
	Stream              bool   `json:"stream"`
	MaxTokens           int    `json:"max_tokens"`
	MaxCompletionTokens int    `json:"max_completion_tokens"`
	StreamOptions       struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Messages []struct {
		Role       string          `json:"role"`
		Content    json.RawMessage `json:"content"`
		ToolCallID string          `json:"tool_call_id"`
		ToolCalls  []struct {
			ID       string `json:"id"`
			Type     string `json:"type"`
			Function struct {
				Name      string `json:"name"`
				Arguments string `json:"arguments"`
			} `json:"function"`
		} `json:"tool_calls"`
	} `json:"messages"`
	Tools []struct {
		Type     string `json:"type"`
		Function struct {
			Name        string          `json:"name"`
			Description string          `json:"description"`
			Parameters  json.RawMessage `json:"parameters"`
		} `json:"function"`
	} `json:"tools"`
}

func openaiError(rw http.ResponseWriter, status int, kind, message string) {
	stage.JSON(rw, status, map[string]any{"error": map[string]any{"message": message, "type": kind, "param": nil, "code": nil}})
}

func (w *World) completions(rw http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+w.config.OpenAIKey {
		openaiError(rw, http.StatusUnauthorized, "invalid_request_error", "Incorrect API key provided.")
		return
	}
	var in openaiRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		openaiError(rw, http.StatusBadRequest, "invalid_request_error", "the body is no JSON of ours: "+err.Error())
		return
	}
	asked, err := in.read()
	if err != nil {
		openaiError(rw, http.StatusBadRequest, "invalid_request_error", err.Error())
		return
	}
	reply := w.reply(asked)
	if reply.Status != 0 {
		if reply.RetryAfter != "" {
			rw.Header().Set("Retry-After", reply.RetryAfter)
		}
		openaiError(rw, reply.Status, "server_error", "The server had an error while processing your request.")
		return
	}
	w.streamOpenAI(rw, r, asked, reply, in.StreamOptions.IncludeUsage && !reply.NoUsage)
}

func (in openaiRequest) read() (Asked, error) {
	a := Asked{Vendor: "openai", Model: in.Model}
	switch {
	case in.Model == "":
		return a, errors.New("you must provide a model parameter")
	case !in.Stream:
		return a, errors.New("the sandbox only streams")
	case in.MaxTokens+in.MaxCompletionTokens < 1:
		return a, errors.New("max_tokens or max_completion_tokens is needed")
	}
	for i, m := range in.Messages {
		var text string
		if string(m.Content) != "null" && len(m.Content) > 0 && json.Unmarshal(m.Content, &text) != nil {
			return a, fmt.Errorf("messages.%d.content: the sandbox takes text", i)
		}
		said := Said{Role: m.Role, Text: text}
		switch m.Role {
		case "system":
			a.System += text
			continue
		case "tool":
			said.Text, said.Results = "", []Result{{CallID: m.ToolCallID, Text: text}}
			if n := len(a.Messages); n > 0 && a.Messages[n-1].Role == "tool" {
				a.Messages[n-1].Results = append(a.Messages[n-1].Results, said.Results...)
				continue
			}
		case "user", "assistant":
		default:
			return a, fmt.Errorf("messages.%d.role: %q is none", i, m.Role)
		}
		for _, c := range m.ToolCalls {
			if c.Type != "function" || m.Role != "assistant" {
				return a, fmt.Errorf("messages.%d.tool_calls: only an assistant calls functions", i)
			}
			said.Calls = append(said.Calls, Call{c.ID, c.Function.Name, c.Function.Arguments})
		}
		a.Messages = append(a.Messages, said)
	}
	for _, t := range in.Tools {
		if t.Type != "function" {
			return a, errors.New("tools: type must be function")
		}
		if err := checkTool(t.Function.Name, t.Function.Description, t.Function.Parameters); err != nil {
			return a, err
		}
		a.Tools = append(a.Tools, t.Function.Name)
	}
	if err := checkTools(a.Tools); err != nil {
		return a, err
	}
	return a, checkOrder(a.Messages)
}

func (w *World) streamOpenAI(rw http.ResponseWriter, r *http.Request, asked Asked, reply Reply, usage bool) {
	rw.Header().Set("Content-Type", "text/event-stream")
	rw.WriteHeader(http.StatusOK)
	id, out := "chatcmpl-"+w.ID(20), reply.Text
	send := func(delta map[string]any, finish any) {
		_, _ = fmt.Fprintf(rw, "data: %s\n\n", quote(map[string]any{ // the reader may have gone
			"id": id, "object": "chat.completion.chunk", "created": w.Now().Unix(), "model": asked.Model,
			"choices": []any{map[string]any{"index": 0, "delta": delta, "finish_reason": finish}},
		}))
	}
	send(map[string]any{"role": "assistant", "content": ""}, nil)
	if !w.stream(rw, r, reply, reply.Text, func(piece string) { send(map[string]any{"content": piece}, nil) }) {
		return
	}
	for i, c := range reply.Calls {
		out += c.Arguments
		call := func(fields map[string]any) { send(map[string]any{"tool_calls": []any{fields}}, nil) }
		call(map[string]any{"index": i, "id": c.ID, "type": "function", "function": map[string]any{"name": c.Name, "arguments": ""}})
		if !w.stream(rw, r, reply, c.Arguments, func(piece string) {
			call(map[string]any{"index": i, "function": map[string]any{"arguments": piece}})
		}) {
			return
		}
	}
	stop := reply.Stop
	if stop == "" {
		stop = "stop"
		if len(reply.Calls) > 0 {
			stop = "tool_calls"
		}
	}
	send(map[string]any{}, stop)
	if usage {
		in, said := asked.tokens(), tokens(out)
		_, _ = fmt.Fprintf(rw, "data: %s\n\n", quote(map[string]any{ // the reader may have gone
			"id": id, "object": "chat.completion.chunk", "created": w.Now().Unix(), "model": asked.Model, "choices": []any{},
			"usage": map[string]any{"prompt_tokens": in, "completion_tokens": said, "total_tokens": in + said},
		}))
	}
	_, _ = fmt.Fprint(rw, "data: [DONE]\n\n") // as above
}

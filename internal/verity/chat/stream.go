package chat

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// event is one thing that happens in a turn, as it goes over the wire in our own
// protocol. "step", "tool.start" and "tool.input" only show that work goes on.
type event struct {
	Type         string          `json:"type"`
	Conversation string          `json:"conversationId,omitempty"`
	Turn         string          `json:"turnId,omitempty"`
	Delta        string          `json:"delta,omitempty"`
	Call         string          `json:"callId,omitempty"`
	Tool         string          `json:"tool,omitempty"`
	Title        string          `json:"title,omitempty"`
	Effect       string          `json:"effect,omitempty"`
	Arguments    json.RawMessage `json:"arguments,omitempty"`
	Text         string          `json:"text,omitempty"`
	IsError      bool            `json:"isError,omitempty"`
	Code         string          `json:"code,omitempty"`
	Approval     string          `json:"approvalId,omitempty"`
	ExpiresAt    *time.Time      `json:"expiresAt,omitempty"`
	Usage        *usageView      `json:"usage,omitempty"`
	Message      string          `json:"message,omitempty"`
	Reason       string          `json:"reason,omitempty"`

	continues string // the message of the client that is gone on with
}

type usageView struct {
	InputTokens  int64 `json:"inputTokens"`
	OutputTokens int64 `json:"outputTokens"`
	CostMicros   int64 `json:"costMicros"`
}

// The protocols that a client may choose.
const (
	protocolEvents = "events"
	protocolUI     = "ui"
)

// uiHeader is the header by which Vercel's AI SDK marks its stream.
const uiHeader = "X-Vercel-AI-UI-Message-Stream"

// beat is how often a silent stream shows that it is alive, so that no proxy
// takes it for dead.
const beat = 15 * time.Second

// sse writes server-sent events. A client that has gone away is noticed by its
// request's context; what is written to it goes nowhere.
type sse struct {
	mu      sync.Mutex
	w       http.ResponseWriter
	control *http.ResponseController
	encode  func(event) []any
	done    chan struct{}
	beating sync.WaitGroup
}

func newSSE(w http.ResponseWriter, protocol string) *sse {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream; charset=utf-8")
	header.Set("Cache-Control", "no-store, no-transform")
	header.Set("X-Accel-Buffering", "no")
	header.Set("X-Content-Type-Options", "nosniff")
	s := &sse{w: w, control: http.NewResponseController(w), encode: plain, done: make(chan struct{})}
	if protocol == protocolUI {
		header.Set(uiHeader, "v1")
		s.encode = (&uiEncoder{}).encode
	}
	w.WriteHeader(http.StatusOK)
	s.beating.Go(s.beat)
	return s
}

func (s *sse) beat() {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-ticker.C:
			s.write([]byte(": still here\n\n"))
		}
	}
}

func (s *sse) write(text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.w.Write(text) // the reader may have gone
	_ = s.control.Flush()  // as above
}

// send implements outlet.
func (s *sse) send(e event) {
	s.mu.Lock()
	parts := s.encode(e)
	s.mu.Unlock()
	var out []byte
	for _, part := range parts {
		data, err := json.Marshal(part)
		if err != nil {
			continue // only arguments come from outside, and they are valid JSON
		}
		out = append(append(append(out, "data: "...), data...), "\n\n"...)
	}
	if len(out) > 0 {
		s.write(out)
	}
}

// end closes the stream.
func (s *sse) end(protocol string) {
	if protocol == protocolUI {
		s.write([]byte("data: [DONE]\n\n"))
	}
	close(s.done)
	s.beating.Wait()
}

func plain(e event) []any {
	if e.Type == "tool.input" { // the whole arguments follow with tool.call
		return nil
	}
	return []any{e}
}

// uiEncoder writes the UI message stream of Vercel's AI SDK. Text stands in
// numbered blocks that are opened and closed.
type uiEncoder struct {
	step  bool
	text  bool
	block int
}

type part map[string]any

func (u *uiEncoder) encode(e event) []any {
	switch e.Type {
	case "start":
		start := part{"type": "start", "messageMetadata": part{"conversationId": e.Conversation}}
		if start["messageId"] = e.continues; e.continues == "" {
			start["messageId"] = e.Turn
		}
		return []any{start, part{"type": "data-conversation", "data": part{"conversationId": e.Conversation, "turnId": e.Turn}, "transient": true}}
	case "step":
		out := u.closeStep()
		u.step = true
		return append(out, part{"type": "start-step"})
	case "text.delta":
		var out []any
		if !u.text {
			u.text = true
			u.block++
			out = append(out, part{"type": "text-start", "id": u.id()})
		}
		return append(out, part{"type": "text-delta", "id": u.id(), "delta": e.Delta})
	case "done":
		out := u.closeStep()
		if e.Usage != nil {
			out = append(out, part{"type": "data-usage", "data": e.Usage, "transient": true})
		}
		if e.Reason == reasonStopped {
			return append(out, part{"type": "abort"})
		}
		return append(out, part{"type": "finish", "finishReason": finishReason(e.Reason)})
	case "error":
		return append(u.closeText(), part{"type": "error", "errorText": e.Message})
	}
	return u.tool(e)
}

func (u *uiEncoder) tool(e event) []any {
	out := u.closeText()
	switch e.Type {
	case "tool.start":
		out = append(out, part{"type": "tool-input-start", "toolCallId": e.Call, "toolName": e.Tool, "dynamic": true})
	case "tool.input":
		out = append(out, part{"type": "tool-input-delta", "toolCallId": e.Call, "inputTextDelta": e.Delta})
	case "tool.call":
		if e.Arguments == nil {
			return append(out, part{"type": "tool-input-error", "toolCallId": e.Call, "toolName": e.Tool, "input": e.Text,
				"errorText": "the arguments are not JSON", "dynamic": true})
		}
		out = append(out, part{"type": "tool-input-available", "toolCallId": e.Call, "toolName": e.Tool, "input": e.Arguments, "dynamic": true, "title": e.Title})
	case "approval.request":
		out = append(out, part{"type": "tool-approval-request", "approvalId": e.Approval, "toolCallId": e.Call})
	case "tool.result":
		switch {
		case e.Code == "DECLINED", e.Code == "NOT_APPROVED":
			out = append(out, part{"type": "tool-output-denied", "toolCallId": e.Call})
		case e.IsError:
			out = append(out, part{"type": "tool-output-error", "toolCallId": e.Call, "errorText": e.Text, "dynamic": true})
		default:
			out = append(out, part{"type": "tool-output-available", "toolCallId": e.Call, "output": outputOf(e.Text), "dynamic": true})
		}
	}
	return out
}

// outputOf shows a result as JSON where it is some, as pages do more with it.
func outputOf(text string) any {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	return text
}

func (u *uiEncoder) id() string { return "text-" + strconv.Itoa(u.block) }

func (u *uiEncoder) closeText() []any {
	if !u.text {
		return nil
	}
	u.text = false
	return []any{part{"type": "text-end", "id": u.id()}}
}

func (u *uiEncoder) closeStep() []any {
	out := u.closeText()
	if u.step {
		u.step = false
		out = append(out, part{"type": "finish-step"})
	}
	return out
}

func finishReason(reason string) string {
	switch reason {
	case reasonEnd:
		return "stop"
	case reasonApproval:
		return "tool-calls"
	case reasonLength, reasonTokens:
		return "length"
	case reasonRefusal:
		return "content-filter"
	case reasonFailed:
		return "error"
	}
	return "other"
}

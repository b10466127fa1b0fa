package chat

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/verity/chat/llm"
)

// maxHistory is how many bytes of a conversation a model is reminded of.
const maxHistory = 400_000

// notes say why a message ends early.
const (
	noteStopped = "stopped" // whoever asked went away
	noteFailed  = "failed"
)

// history is a conversation as it is kept.
type history struct {
	messages  []llm.Message
	approvals []store.ChatApproval
}

func (c *Chat) history(ctx context.Context, owner, id string) (*history, error) {
	rows, err := c.Store.ChatMessages(ctx, owner, id)
	if err != nil {
		return nil, err
	}
	h := &history{}
	for _, row := range rows {
		m := llm.Message{Role: llm.Role(row.Role)}
		if err := json.Unmarshal(row.Parts, &m.Parts); err != nil {
			return nil, fmt.Errorf("read message %d: %w", row.Seq, err)
		}
		h.messages = append(h.messages, m)
	}
	h.approvals, err = c.Store.Approvals(ctx, owner, id)
	return h, err
}

func (h *history) add(m llm.Message) { h.messages = append(h.messages, m) }

// open returns the calls at the end of the conversation that have no result.
func (h *history) open() []llm.Call {
	answered := map[string]bool{}
	for i := len(h.messages) - 1; i >= 0; i-- {
		m := h.messages[i]
		for _, p := range m.Parts {
			if p.Result != nil {
				answered[p.Result.CallID] = true
			}
		}
		if m.Role == llm.User {
			return nil
		}
		if m.Role != llm.Assistant {
			continue
		}
		var open []llm.Call
		for _, p := range m.Parts {
			if p.Call != nil && !answered[p.Call.ID] {
				open = append(open, *p.Call)
			}
		}
		return open
	}
	return nil
}

// waiting returns the question about a call that has not been settled.
func (h *history) waiting(call llm.Call) (store.ChatApproval, bool) {
	for i := len(h.approvals) - 1; i >= 0; i-- {
		if a := h.approvals[i]; a.CallID == call.ID && a.State == stateWaiting {
			return a, true
		}
	}
	return store.ChatApproval{}, false
}

// prompt returns the conversation as a model is told it: each reply followed by
// the results of all its calls, and no more than maxHistory of it. A call of
// which no result is known, because the program died meanwhile, gets one that
// says so: vendors refuse calls without results, and the model must not think
// that nothing happened.
func (c *Chat) prompt(conversation string, h *history) []llm.Message {
	var out []llm.Message
	for i, m := range h.messages {
		switch m.Role {
		case llm.Tool: // told with the reply that called
		case llm.Assistant:
			out = append(out, m)
			if results := c.results(conversation, m, h.messages[i+1:]); len(results) > 0 {
				out = append(out, llm.Message{Role: llm.Tool, Parts: results})
			}
		default:
			out = append(out, m)
		}
	}
	return recent(out)
}

func (c *Chat) results(conversation string, reply llm.Message, after []llm.Message) []llm.Part {
	known := map[string]llm.Result{}
	for _, m := range after {
		if m.Role == llm.Assistant {
			break
		}
		for _, p := range m.Parts {
			if p.Result != nil {
				known[p.Result.CallID] = *p.Result
			}
		}
	}
	var parts []llm.Part
	for _, p := range reply.Parts {
		if p.Call == nil {
			continue
		}
		r, found := known[p.Call.ID]
		if !found {
			r = llm.Result{CallID: p.Call.ID, Name: p.Call.Name, IsError: true,
				Text: "The call was interrupted. It is not known whether it took effect: look before you repeat it."}
		}
		r.Text = c.asData(conversation, r)
		parts = append(parts, llm.Part{Result: &r})
	}
	return parts
}

// asData marks what a tool returned as data. The mark cannot be guessed, so no
// text can close it and go on in our voice.
func (c *Chat) asData(conversation string, r llm.Result) string {
	mac := hmac.New(sha256.New, c.Secret)
	mac.Write([]byte("data\x00" + conversation + "\x00" + r.CallID))
	mark := hex.EncodeToString(mac.Sum(nil)[:6])
	return "<data " + mark + ">\n" + strings.ReplaceAll(r.Text, mark, "") + "\n</data " + mark + ">"
}

// recent drops the oldest exchanges, each from a person's message to before the
// next one, until the rest is small enough. The last one always stays.
func recent(messages []llm.Message) []llm.Message {
	size, from := 0, len(messages)
	for i := len(messages) - 1; i >= 0; i-- {
		size += weight(messages[i])
		if size > maxHistory && from < len(messages) {
			break
		}
		if messages[i].Role == llm.User {
			from = i
		}
	}
	if from == len(messages) {
		return messages
	}
	return messages[from:]
}

func weight(m llm.Message) int {
	n := 0
	for _, p := range m.Parts {
		n += len(p.Text)
		if p.Call != nil {
			n += len(p.Call.Arguments)
		}
		if p.Result != nil {
			n += len(p.Result.Text)
		}
	}
	return n
}

func row(m llm.Message, note string) (store.ChatMessage, error) {
	parts, err := json.Marshal(m.Parts)
	return store.ChatMessage{Role: string(m.Role), Parts: parts, Note: note}, err
}

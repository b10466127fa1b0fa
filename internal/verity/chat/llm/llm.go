package llm

import (
	"context"
	"encoding/json"
)

// Role is who says a message.
type Role string

// The roles. Results of tools are said by Tool.
const (
	User      Role = "user"
	Assistant Role = "assistant"
	Tool      Role = "tool"
)

// Message is one thing that was said.
type Message struct {
	Role  Role   `json:"role"`
	Parts []Part `json:"parts"`
}

// Part is a piece of a message: one of its fields is set.
type Part struct {
	Text   string  `json:"text,omitempty"`
	Call   *Call   `json:"call,omitempty"`
	Result *Result `json:"result,omitempty"`
	// Opaque is what a vendor wants back unchanged, such as signed thinking.
	Opaque *Opaque `json:"opaque,omitempty"`
}

// Call is a tool that a model wants to be called.
type Call struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Arguments is a JSON value, or nil when what the model wrote is none; Wrote
	// is then what it wrote.
	Arguments json.RawMessage `json:"arguments,omitempty"`
	Wrote     string          `json:"wrote,omitempty"`
}

// Result is what a call came to.
type Result struct {
	CallID  string `json:"callId"`
	Name    string `json:"name"`
	Text    string `json:"text"`
	IsError bool   `json:"isError,omitempty"`
	Code    string `json:"code,omitempty"` // of the failure
}

// Opaque belongs to one vendor and means nothing to others.
type Opaque struct {
	Vendor string          `json:"vendor"`
	Data   json.RawMessage `json:"data"`
}

// Definition is a tool as a model sees it.
type Definition struct {
	Name        string
	Description string
	Schema      json.RawMessage // an object
}

// Prompt is everything that a model is asked with.
type Prompt struct {
	System   string
	Messages []Message
	Tools    []Definition
	MaxReply int // tokens
}

// Usage is what a turn cost.
type Usage struct {
	Input  int64 // tokens, those from a cache included
	Output int64
}

// Stop is why a turn ended.
type Stop string

// The reasons. A turn whose connection broke has none.
const (
	StopEnd     Stop = "end"     // all is said
	StopCalls   Stop = "calls"   // tools are to be called
	StopLength  Stop = "length"  // the reply was longer than allowed
	StopRefusal Stop = "refusal" // the vendor's filter ended it
)

// Turn is one reply of a model.
type Turn struct {
	Parts []Part
	Usage Usage
	Stop  Stop
}

// Calls returns the calls of the turn, in order.
func (t Turn) Calls() []Call {
	var calls []Call
	for _, p := range t.Parts {
		if p.Call != nil {
			calls = append(calls, *p.Call)
		}
	}
	return calls
}

// Delta is a piece of a turn as it comes. With CallID set it belongs to a call;
// CallName comes with the first piece of it.
type Delta struct {
	Text     string
	CallID   string
	CallName string
	Input    string // a piece of the call's arguments
}

// Model is a language model at some vendor.
type Model interface {
	// Name names vendor and model.
	Name() (vendor, model string)
	// Stream asks the model and hands out its reply piece by piece. When it
	// fails, the turn holds what had come by then, and the error is a
	// *df.CallError or the context's.
	Stream(ctx context.Context, p Prompt, hear func(Delta)) (Turn, error)
}

// maxReply bounds the bytes of one reply, whatever the vendor makes of the
// limit in tokens.
const maxReply = 1 << 20

// arguments turns what a model wrote into a call's arguments.
func arguments(c *Call, wrote string) {
	switch {
	case wrote == "":
		c.Arguments = json.RawMessage(`{}`)
	case json.Valid([]byte(wrote)):
		c.Arguments = json.RawMessage(wrote)
	default:
		c.Wrote = wrote
	}
}

// sent returns the arguments as they go back to the model in its history, where
// vendors accept objects only.
func (c Call) sent() json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal(c.Arguments, &object) != nil || object == nil {
		return json.RawMessage(`{}`)
	}
	return c.Arguments
}

// estimate guesses a turn's cost where a server does not tell it: about four
// bytes are a token.
func estimate(p Prompt, t Turn) Usage {
	in, out := len(p.System), 0
	for _, tool := range p.Tools {
		in += len(tool.Name) + len(tool.Description) + len(tool.Schema)
	}
	for _, m := range p.Messages {
		in += size(m.Parts)
	}
	out = size(t.Parts)
	return Usage{Input: int64(in/4) + 1, Output: int64(out/4) + 1}
}

func size(parts []Part) int {
	n := 0
	for _, p := range parts {
		n += len(p.Text)
		if p.Call != nil {
			n += len(p.Call.Name) + len(p.Call.Arguments) + len(p.Call.Wrote)
		}
		if p.Result != nil {
			n += len(p.Result.Text)
		}
	}
	return n
}

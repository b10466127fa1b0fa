package chat

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/df-middleware/dfm/internal/verity/chat/llm"
	"github.com/df-middleware/dfm/internal/verity/mcp"
	"github.com/df-middleware/dfm/internal/verity/mcp/toolset"
)

const (
	maxParallel = 4  // calls of one reply that run at the same time
	maxCalls    = 16 // of one reply
)

// pending is a call of the model on its way to a result.
type pending struct {
	call     llm.Call
	prepared *mcp.Prepared
	result   *llm.Result // set when there is one
}

// prepare checks calls before any of them runs.
func (c *Chat) prepare(ctx context.Context, who mcp.Caller, calls []llm.Call) []*pending {
	list := make([]*pending, len(calls))
	for i, call := range calls {
		p := &pending{call: call}
		list[i] = p
		switch {
		case i >= maxCalls:
			p.settle(toolset.Failure("TOO_MANY_CALLS", "Nothing was done: there were more than %d calls in one reply. Call it again later.", maxCalls), c.Limits.Result)
		case call.Arguments == nil:
			p.settle(toolset.Failure("INVALID_ARGUMENTS", "Nothing was done: the arguments are not JSON. Write them again, as one JSON object."), c.Limits.Result)
		default:
			prepared, failure := c.Tools.Prepare(ctx, who, call.Name, call.Arguments)
			if failure != nil {
				p.settle(*failure, c.Limits.Result)
				continue
			}
			p.prepared = prepared
		}
	}
	return list
}

// settle gives the call its result.
func (p *pending) settle(r toolset.Result, limit int) {
	p.result = &llm.Result{CallID: p.call.ID, Name: p.call.Name, Text: textOf(r, limit), IsError: r.IsError, Code: r.Code}
}

// run makes those of the calls that may be made, a few at a time, and tells of
// each result as it comes.
func (t *turn) run(ctx context.Context, list []*pending, may func(*pending) bool) {
	slots := make(chan struct{}, maxParallel)
	var running sync.WaitGroup
	for _, p := range list {
		if p.result == nil && !may(p) {
			continue
		}
		if p.result != nil {
			t.tell(p)
			continue
		}
		running.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			t.settle(p, t.attempt(ctx, p))
		})
	}
	running.Wait()
}

// settle gives a call its result, unless the turn's tools have returned as much
// as they may, and tells of it.
func (t *turn) settle(p *pending, r toolset.Result) {
	p.settle(r, t.chat.Limits.Result)
	t.mu.Lock()
	t.bytes += len(p.result.Text)
	full := t.bytes > t.chat.Limits.Results
	t.mu.Unlock()
	if full {
		p.settle(toolset.Failure("TOO_LARGE", "This turn's tools have returned as much as they may (%d bytes). "+
			"The call was made, but its result is left out. Answer with what you have.", t.chat.Limits.Results), t.chat.Limits.Result)
	}
	t.tell(p)
}

func (t *turn) tell(p *pending) {
	t.out.send(event{Type: "tool.result", Call: p.call.ID, Tool: p.call.Name, Text: p.result.Text, IsError: p.result.IsError, Code: p.result.Code})
}

// attempt makes one call. A tool that panics costs its own result, not the
// conversation.
func (t *turn) attempt(ctx context.Context, p *pending) (r toolset.Result) {
	defer func() {
		if reason := recover(); reason != nil {
			t.chat.Log.ErrorContext(ctx, "a tool panicked", "tool", p.prepared.Tool, "reason", reason)
			r = toolset.Failure("INTERNAL", "Something went wrong on our side. Tell the user.")
		}
	}()
	if ctx.Err() != nil {
		return toolset.Failure("CANCELLED", "Nothing was done: the turn was stopped before the call.")
	}
	return p.prepared.Run(ctx)
}

// textOf writes a result for the model, within the limit.
func textOf(r toolset.Result, limit int) string {
	text := strings.Join(r.Texts, "\n")
	if r.Binary != nil {
		text = strings.TrimSpace(text + fmt.Sprintf("\n[%s, %d bytes, not shown]", r.Binary.Type, len(r.Binary.Data)))
	}
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + fmt.Sprintf("\n[cut off: %d of %d bytes. Ask for less.]", limit, len(text))
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "�"))
}

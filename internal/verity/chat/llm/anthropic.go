package llm

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/anthropics/anthropic-sdk-go/packages/param"

	"github.com/df-middleware/dfm/internal/df"
)

// VendorAnthropic is the vendor's name in settings and metrics.
const VendorAnthropic = "anthropic"

// Config is how a vendor is reached.
type Config struct {
	BaseURL string // without trailing slash; the vendor's own when ""
	Key     df.Secret
	Model   string
	Client  *http.Client
}

// retries is how often the vendors' libraries try again when nothing has been
// streamed yet: on 429, 5xx and lost connections, after what Retry-After says.
const retries = 2

type anthropicModel struct {
	messages anthropic.MessageService
	model    string
}

// Anthropic returns a model that speaks Anthropic's Messages API.
func Anthropic(c Config) Model {
	base := c.BaseURL
	if base == "" {
		base = "https://api.anthropic.com"
	}
	// The service is made without the client around it, which would read keys
	// and addresses from the environment.
	return &anthropicModel{anthropic.NewMessageService(
		option.WithBaseURL(base), option.WithAPIKey(c.Key.Reveal()), option.WithHTTPClient(c.Client), option.WithMaxRetries(retries),
	), c.Model}
}

// Name implements Model.
func (m *anthropicModel) Name() (string, string) { return VendorAnthropic, m.model }

// Stream implements Model.
func (m *anthropicModel) Stream(ctx context.Context, p Prompt, hear func(Delta)) (Turn, error) {
	params, err := m.params(p)
	if err != nil {
		return Turn{}, err
	}
	stream := m.messages.NewStreaming(ctx, params)
	defer func() { _ = stream.Close() }()
	reading := &anthropicTurn{hear: hear}
	for stream.Next() {
		reading.take(stream.Current())
		if reading.bytes > maxReply {
			return reading.turn(), tooLong(VendorAnthropic)
		}
	}
	if err := stream.Err(); err != nil {
		return reading.turn(), anthropicFailure(ctx, err)
	}
	if !reading.stopped {
		return reading.turn(), broken(VendorAnthropic, nil)
	}
	return reading.turn(), nil
}

func (m *anthropicModel) params(p Prompt) (anthropic.MessageNewParams, error) {
	params := anthropic.MessageNewParams{
		Model: m.model, MaxTokens: int64(p.MaxReply),
		// Instructions and tools are the same in every step: they are cached.
		System:       []anthropic.TextBlockParam{{Text: p.System, CacheControl: anthropic.NewCacheControlEphemeralParam()}},
		CacheControl: anthropic.NewCacheControlEphemeralParam(),
	}
	for _, t := range p.Tools {
		var schema map[string]any
		if err := json.Unmarshal(t.Schema, &schema); err != nil {
			return params, err
		}
		params.Tools = append(params.Tools, anthropic.ToolUnionParam{OfTool: &anthropic.ToolParam{
			Name: t.Name, Description: anthropic.String(t.Description),
			InputSchema: param.Override[anthropic.ToolInputSchemaParam](t.Schema),
		}})
	}
	for _, said := range p.Messages {
		blocks := anthropicBlocks(said.Parts)
		if len(blocks) == 0 {
			continue
		}
		role := anthropic.MessageParamRoleUser // results of tools are the user's to this vendor
		if said.Role == Assistant {
			role = anthropic.MessageParamRoleAssistant
		}
		if n := len(params.Messages); n > 0 && params.Messages[n-1].Role == role {
			params.Messages[n-1].Content = append(params.Messages[n-1].Content, blocks...)
			continue
		}
		params.Messages = append(params.Messages, anthropic.MessageParam{Role: role, Content: blocks})
	}
	return params, nil
}

func anthropicBlocks(parts []Part) []anthropic.ContentBlockParamUnion {
	var blocks []anthropic.ContentBlockParamUnion
	for _, part := range parts {
		switch {
		case part.Opaque != nil && part.Opaque.Vendor == VendorAnthropic:
			blocks = append(blocks, param.Override[anthropic.ContentBlockParamUnion](part.Opaque.Data))
		case part.Call != nil:
			blocks = append(blocks, anthropic.NewToolUseBlock(part.Call.ID, part.Call.sent(), part.Call.Name))
		case part.Result != nil:
			blocks = append(blocks, anthropic.NewToolResultBlock(part.Result.CallID, part.Result.Text, part.Result.IsError))
		case strings.TrimSpace(part.Text) != "": // empty blocks are refused
			blocks = append(blocks, anthropic.NewTextBlock(part.Text))
		}
	}
	return blocks
}

// anthropicTurn puts a turn together from its events.
type anthropicTurn struct {
	hear    func(Delta)
	blocks  []*anthropicBlock
	usage   Usage
	stop    Stop
	stopped bool
	bytes   int
}

type anthropicBlock struct {
	kind, id, name            string
	text, thinking, signature strings.Builder
	raw                       string
}

func (t *anthropicTurn) take(e anthropic.MessageStreamEventUnion) {
	switch e.Type {
	case "message_start":
		u := e.Message.Usage
		t.usage.Input = u.InputTokens + u.CacheCreationInputTokens + u.CacheReadInputTokens
		t.usage.Output = u.OutputTokens
	case "content_block_start":
		b := &anthropicBlock{kind: e.ContentBlock.Type, id: e.ContentBlock.ID, name: e.ContentBlock.Name, raw: e.ContentBlock.RawJSON()}
		t.blocks = append(t.blocks, b)
		if b.kind == "tool_use" {
			t.hear(Delta{CallID: b.id, CallName: b.name})
		}
	case "content_block_delta":
		if e.Index >= 0 && e.Index < int64(len(t.blocks)) {
			t.grow(t.blocks[e.Index], e.Delta)
		}
	case "message_delta":
		if e.Usage.OutputTokens > 0 {
			t.usage.Output = e.Usage.OutputTokens
		}
		t.stop = map[anthropic.StopReason]Stop{
			anthropic.StopReasonToolUse: StopCalls, anthropic.StopReasonMaxTokens: StopLength, anthropic.StopReasonRefusal: StopRefusal,
		}[e.Delta.StopReason]
		if t.stop == "" {
			t.stop = StopEnd
		}
	case "message_stop":
		t.stopped = true
	}
}

func (t *anthropicTurn) grow(b *anthropicBlock, d anthropic.MessageStreamEventUnionDelta) {
	t.bytes += len(d.Text) + len(d.PartialJSON) + len(d.Thinking)
	b.thinking.WriteString(d.Thinking)
	b.signature.WriteString(d.Signature)
	switch b.kind {
	case "tool_use":
		b.text.WriteString(d.PartialJSON)
		t.hear(Delta{CallID: b.id, Input: d.PartialJSON})
	case "text":
		b.text.WriteString(d.Text)
		t.hear(Delta{Text: d.Text})
	}
}

func (t *anthropicTurn) turn() Turn {
	turn := Turn{Usage: t.usage, Stop: t.stop}
	for _, b := range t.blocks {
		switch b.kind {
		case "text":
			turn.Parts = append(turn.Parts, Part{Text: b.text.String()})
		case "tool_use":
			c := &Call{ID: b.id, Name: b.name}
			arguments(c, b.text.String())
			turn.Parts = append(turn.Parts, Part{Call: c})
		case "thinking":
			data, _ := json.Marshal(map[string]string{"type": "thinking", "thinking": b.thinking.String(), "signature": b.signature.String()})
			turn.Parts = append(turn.Parts, Part{Opaque: &Opaque{VendorAnthropic, data}})
		case "redacted_thinking":
			turn.Parts = append(turn.Parts, Part{Opaque: &Opaque{VendorAnthropic, json.RawMessage(b.raw)}})
		}
	}
	return turn
}

func anthropicFailure(ctx context.Context, err error) error {
	if said, ok := errors.AsType[*anthropic.Error](err); ok {
		return failure(ctx, VendorAnthropic, said.StatusCode, err)
	}
	return failure(ctx, VendorAnthropic, 0, err)
}

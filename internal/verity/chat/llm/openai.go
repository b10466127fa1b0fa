package llm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"
)

// VendorOpenAI is the vendor's name in settings and metrics, also where the
// server is somebody else's that speaks the same.
const VendorOpenAI = "openai"

type openaiModel struct {
	completions openai.ChatCompletionService
	model       string
	compatible  bool // not the vendor's own server
}

// OpenAI returns a model that speaks OpenAI's Chat Completions API.
func OpenAI(c Config) Model {
	base := c.BaseURL
	if base == "" {
		base = "https://api.openai.com/v1"
	}
	options := []option.RequestOption{option.WithBaseURL(base + "/"), option.WithHTTPClient(c.Client), option.WithMaxRetries(retries)}
	if c.Key.Set() { // servers at home often want none
		options = append(options, option.WithAPIKey(c.Key.Reveal()))
	}
	return &openaiModel{openai.NewChatCompletionService(options...), c.Model, c.BaseURL != ""}
}

// Name implements Model.
func (m *openaiModel) Name() (string, string) { return VendorOpenAI, m.model }

// Stream implements Model.
func (m *openaiModel) Stream(ctx context.Context, p Prompt, hear func(Delta)) (Turn, error) {
	params, err := m.params(p)
	if err != nil {
		return Turn{}, err
	}
	stream := m.completions.NewStreaming(ctx, params)
	defer func() { _ = stream.Close() }()
	reading := &openaiTurn{hear: hear}
	for stream.Next() {
		reading.take(stream.Current())
		if reading.bytes > maxReply {
			return reading.turn(p), tooLong(VendorOpenAI)
		}
	}
	turn := reading.turn(p)
	if err := stream.Err(); err != nil {
		status := 0
		if said, ok := errors.AsType[*openai.Error](err); ok {
			status = said.StatusCode
		}
		return turn, failure(ctx, VendorOpenAI, status, err)
	}
	if turn.Stop == "" {
		return turn, broken(VendorOpenAI, nil)
	}
	return turn, nil
}

func (m *openaiModel) params(p Prompt) (openai.ChatCompletionNewParams, error) {
	params := openai.ChatCompletionNewParams{
		Model: m.model, Messages: []openai.ChatCompletionMessageParamUnion{openai.SystemMessage(p.System)},
		StreamOptions: openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)},
	}
	// OpenAI's newer models refuse max_tokens; many compatible servers know no
	// other name.
	if m.compatible {
		params.MaxTokens = openai.Int(int64(p.MaxReply))
	} else {
		params.MaxCompletionTokens = openai.Int(int64(p.MaxReply))
	}
	for _, t := range p.Tools {
		var schema shared.FunctionParameters
		if err := json.Unmarshal(t.Schema, &schema); err != nil {
			return params, fmt.Errorf("read the schema of %s: %w", t.Name, err)
		}
		params.Tools = append(params.Tools, openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
			Name: t.Name, Description: openai.String(t.Description), Parameters: schema,
		}))
	}
	for _, said := range p.Messages {
		params.Messages = append(params.Messages, openaiMessages(said)...)
	}
	return params, nil
}

func openaiMessages(said Message) []openai.ChatCompletionMessageParamUnion {
	var text strings.Builder
	var calls []openai.ChatCompletionMessageToolCallUnionParam
	var results []openai.ChatCompletionMessageParamUnion
	for _, part := range said.Parts {
		text.WriteString(part.Text)
		if c := part.Call; c != nil {
			calls = append(calls, openai.ChatCompletionMessageToolCallUnionParam{OfFunction: &openai.ChatCompletionMessageFunctionToolCallParam{
				ID: c.ID, Function: openai.ChatCompletionMessageFunctionToolCallFunctionParam{Name: c.Name, Arguments: string(c.sent())},
			}})
		}
		if r := part.Result; r != nil {
			results = append(results, openai.ToolMessage(r.Text, r.CallID))
		}
	}
	switch {
	case len(results) > 0:
		return results
	case said.Role == Assistant && (text.Len() > 0 || len(calls) > 0):
		reply := openai.ChatCompletionAssistantMessageParam{ToolCalls: calls}
		if text.Len() > 0 {
			reply.Content.OfString = openai.String(text.String())
		}
		return []openai.ChatCompletionMessageParamUnion{{OfAssistant: &reply}}
	case said.Role == User && text.Len() > 0:
		return []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text.String())}
	}
	return nil
}

// openaiTurn puts a turn together from its chunks.
type openaiTurn struct {
	hear  func(Delta)
	text  strings.Builder
	calls []*openaiCall
	usage Usage
	stop  Stop
	bytes int
}

type openaiCall struct {
	index    int64
	id, name string
	wrote    strings.Builder
}

func (t *openaiTurn) take(chunk openai.ChatCompletionChunk) {
	if chunk.Usage.TotalTokens > 0 {
		t.usage = Usage{Input: chunk.Usage.PromptTokens, Output: chunk.Usage.CompletionTokens}
	}
	if len(chunk.Choices) == 0 {
		return
	}
	choice := chunk.Choices[0]
	if said := choice.Delta.Content + choice.Delta.Refusal; said != "" {
		t.bytes += len(said)
		t.text.WriteString(said)
		t.hear(Delta{Text: said})
	}
	for _, piece := range choice.Delta.ToolCalls {
		t.grow(piece)
	}
	switch choice.FinishReason {
	case "":
	case "tool_calls", "function_call":
		t.stop = StopCalls
	case "length":
		t.stop = StopLength
	case "content_filter":
		t.stop = StopRefusal
	default:
		t.stop = StopEnd
	}
}

func (t *openaiTurn) grow(piece openai.ChatCompletionChunkChoiceDeltaToolCall) {
	at := slices.IndexFunc(t.calls, func(c *openaiCall) bool {
		// Some compatible servers send whole calls, all with the index 0.
		return c.index == piece.Index && (piece.ID == "" || piece.ID == c.id)
	})
	if at < 0 {
		c := &openaiCall{index: piece.Index, id: piece.ID, name: piece.Function.Name}
		if c.id == "" {
			c.id = fmt.Sprintf("call_%d", len(t.calls))
		}
		at = len(t.calls)
		t.calls = append(t.calls, c)
		t.hear(Delta{CallID: c.id, CallName: c.name})
	}
	c := t.calls[at]
	t.bytes += len(piece.Function.Arguments)
	c.wrote.WriteString(piece.Function.Arguments)
	if piece.Function.Arguments != "" {
		t.hear(Delta{CallID: c.id, Input: piece.Function.Arguments})
	}
}

func (t *openaiTurn) turn(p Prompt) Turn {
	turn := Turn{Usage: t.usage, Stop: t.stop}
	if t.text.Len() > 0 {
		turn.Parts = append(turn.Parts, Part{Text: t.text.String()})
	}
	for _, c := range t.calls {
		call := &Call{ID: c.id, Name: c.name}
		arguments(call, c.wrote.String())
		turn.Parts = append(turn.Parts, Part{Call: call})
	}
	if turn.Stop == StopEnd && len(t.calls) > 0 { // several compatible servers say "stop" then
		turn.Stop = StopCalls
	}
	if turn.Usage == (Usage{}) {
		turn.Usage = estimate(p, turn)
	}
	return turn
}

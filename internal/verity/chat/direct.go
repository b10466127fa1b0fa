package chat

import (
	"bytes"
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/verity/chat/llm"
	"github.com/df-middleware/dfm/internal/verity/mcp/toolset"
)

// most of a catalogue is left to the search where there are more tools: OpenAI
// takes 128 of them.
const maxTools = 120

// definitions lists the tools as the model is told of them.
func (c *Chat) definitions(who Caller) []llm.Definition {
	offers := c.Tools.Offers(who.Tools)
	list := make([]llm.Definition, 0, len(offers))
	for i, o := range offers { // our own come first
		if i >= maxTools {
			break
		}
		list = append(list, llm.Definition{Name: o.Name, Description: o.Description, Schema: o.InputSchema})
	}
	return list
}

type toolView struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	InputSchema json.RawMessage `json:"inputSchema"`
}

// listTools answers as the original did.
func (c *Chat) listTools(who Caller) any {
	views := []toolView{}
	for _, o := range c.Tools.Offers(who.Tools) {
		views = append(views, toolView{o.Name, o.Description, o.InputSchema})
	}
	return map[string]any{"tools": views}
}

type toolError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Details any    `json:"details,omitempty"`
}

// directAnswer is what a tool that was run directly came to. As in the original,
// the HTTP status is 200 whatever the tool says.
type directAnswer struct {
	Success bool            `json:"success"`
	Data    json.RawMessage `json:"data,omitempty"`
	Error   *toolError      `json:"error,omitempty"`
}

// runTool runs one tool without a model. What needs a person's yes answers with
// an approval, and runs when the same call comes again with it.
func (c *Chat) runTool(ctx context.Context, who Caller, in input) (directAnswer, error) {
	prepared, failure := c.Tools.Prepare(ctx, who.Tools, in.tool, in.arguments)
	if failure != nil {
		return direct(*failure), nil
	}
	if prepared.Approval {
		call := llm.Call{Name: in.tool, Arguments: in.arguments}
		if in.approval == "" {
			q := c.ask(who.Owner, "", call)
			if err := c.Store.AddApproval(ctx, q.row); err != nil {
				return directAnswer{}, err
			}
			prepared.Note(ctx, "ASKED")
			return directAnswer{Error: &toolError{"APPROVAL_REQUIRED",
				"Nothing was done: " + prepared.Effect + " needs a person's yes. Send the same call with this approval to give it.",
				map[string]any{"approval": q.token, "effect": prepared.Effect, "expiresAt": q.row.ExpiresAt}}}, nil
		}
		if err := c.approveDirect(ctx, who.Owner, call, in.approval); err != nil {
			return directAnswer{}, err
		}
	}
	return direct(prepared.Run(ctx)), nil
}

// approveDirect judges an approval that no conversation holds: what it was given
// for is in its signature.
func (c *Chat) approveDirect(ctx context.Context, owner string, call llm.Call, token string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errApproval
	}
	millis, err := strconv.ParseInt(parts[1], 36, 64)
	if err != nil {
		return errApproval
	}
	row := store.ChatApproval{ID: parts[0], Owner: owner, ExpiresAt: time.UnixMilli(millis)}
	if !hmac.Equal([]byte(token), []byte(c.token(row, call))) {
		return errApproval
	}
	err = c.Store.DecideApproval(ctx, owner, row.ID, stateApproved, c.Clock())
	if errors.Is(err, store.ErrState) {
		return errApproval
	}
	return err
}

func direct(r toolset.Result) directAnswer {
	text := strings.Join(r.Texts, "\n")
	if r.IsError {
		return directAnswer{Error: &toolError{Code: r.Code, Message: text}}
	}
	answer := directAnswer{Success: true}
	switch {
	case r.Binary != nil:
		answer.Data, _ = json.Marshal(map[string]any{"type": r.Binary.Type, "base64": r.Binary.Data})
	case len(r.Texts) > 0 && json.Valid([]byte(r.Texts[0])):
		answer.Data = bytes.TrimSpace([]byte(r.Texts[0]))
	default:
		answer.Data, _ = json.Marshal(text)
	}
	return answer
}

var errNoModel = &df.Error{Code: "LLM_NOT_CONFIGURED", Status: http.StatusServiceUnavailable,
	Message: "no language model is configured: set LLM_PROVIDER, LLM_MODEL and the provider's key"}

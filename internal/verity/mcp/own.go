package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/verity/mcp/toolset"
)

// ownTool answers a call of one of our own tools, whose arguments have been
// checked, with something that marshals to a JSON object.
type ownTool func(ctx context.Context, caller Caller, arguments json.RawMessage) (any, error)

// addOwn offers a tool of our own. These only read.
func (s *Server) addOwn(definition *sdk.Tool, answer ownTool) {
	s.checks[definition.Name] = mustCheck(definition)
	own := ownEntry{definition, answer}
	s.own[definition.Name] = own
	s.sdk.AddTool(definition, func(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		caller, known := s.callerOf(req.Extra)
		if !known {
			return nil, unknownTool(definition.Name)
		}
		arguments := req.Params.Arguments
		if len(arguments) == 0 || string(arguments) == "null" {
			arguments = json.RawMessage("{}")
		}
		return wire(s.performOwn(ctx, caller, own, arguments)), nil
	})
}

// performOwn answers a call and keeps its line in the audit log.
func (s *Server) performOwn(ctx context.Context, caller Caller, own ownEntry, arguments json.RawMessage) toolset.Result {
	name, started := own.definition.Name, s.cfg.Clock()
	result := s.answerOwn(ctx, caller, name, arguments, own.answer)
	s.record(ctx, Entry{
		At: started, Caller: caller.ID, Tool: name, Arguments: s.hash(arguments),
		Status: statusOf(result, nil, nil), Duration: s.cfg.Clock().Sub(started),
	})
	return result
}

func (s *Server) answerOwn(ctx context.Context, caller Caller, name string, arguments json.RawMessage, answer ownTool) toolset.Result {
	if s.cfg.Limit != nil {
		if err := s.cfg.Limit.Take(ctx, caller.ID); err != nil {
			return overLimit(err)
		}
	}
	if err := s.checks[name].Check(arguments); err != nil {
		return wrongArguments(name, err)
	}
	value, err := answer(ctx, caller, arguments)
	var known *df.Error
	switch {
	case errors.As(err, &known):
		return toolset.Failure(known.Code, "%s", known.Message)
	case err != nil:
		s.cfg.Log.ErrorContext(ctx, "a tool of our own failed", "tool", name, "error", err)
		return toolset.Failure("INTERNAL", "Something went wrong on our side. Tell the user.")
	}
	text, err := json.Marshal(value)
	if err != nil {
		return toolset.Failure("INTERNAL", "Something went wrong on our side. Tell the user.")
	}
	if len(text) > maxOwn {
		return toolset.Failure("TOO_LARGE", "The answer is too large. Ask for less, with a smaller limit or narrower arguments.")
	}
	return toolset.Result{Texts: []string{string(text)}, Structured: text}
}

// maxOwn bounds what our own tools answer; a schema may be large.
const maxOwn = 1 << 20

// mustCheck compiles the schema of one of our own tools, which is part of the
// program.
func mustCheck(definition *sdk.Tool) toolset.Checker {
	raw, _ := definition.InputSchema.(json.RawMessage)
	check, err := toolset.NewChecker(raw)
	if err != nil {
		panic(fmt.Errorf("schema of %s: %w", definition.Name, err))
	}
	return check
}

func notFound(message string) error {
	return &df.Error{Code: "NOT_FOUND", Message: message, Status: 404}
}

func badRequest(message string) error {
	return &df.Error{Code: "INVALID_ARGUMENTS", Message: message, Status: 400}
}

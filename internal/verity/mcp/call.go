package mcp

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/verity"
	"github.com/df-middleware/dfm/internal/verity/mcp/toolset"
)

// callOperation runs an operation that is a tool itself.
func (s *Server) callOperation(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
	t, found := s.set.Load().Tool(req.Params.Name)
	if !found { // gone with a reload since the request came in
		return nil, unknownTool(req.Params.Name)
	}
	return s.run(ctx, req, t, req.Params.Arguments)
}

// run makes one call and keeps its line in the audit log.
func (s *Server) run(ctx context.Context, req *sdk.CallToolRequest, t *toolset.Tool, arguments json.RawMessage) (*sdk.CallToolResult, error) {
	caller, known := s.callerOf(req.Extra)
	if !known || !caller.sees(t) {
		return nil, unknownTool(t.Name)
	}
	if len(arguments) == 0 || string(arguments) == "null" {
		arguments = json.RawMessage("{}")
	}
	started := s.cfg.Clock()
	result, asked, err := s.perform(ctx, req, caller, t, arguments)
	s.record(ctx, Entry{
		At: started, Caller: caller.ID, Tool: t.Name, Operation: t.Operation.Method + " " + t.Operation.Path,
		Arguments: s.hash(arguments), Status: statusOf(result, asked, err), Changes: !t.ReadOnly,
		Duration: s.cfg.Clock().Sub(started),
	})
	switch {
	case err != nil:
		return nil, err
	case asked != nil:
		return asked, nil
	}
	return wire(result), nil
}

// perform puts a call through every check and makes it. It returns the result,
// or what has to be asked first, or an error of the protocol.
func (s *Server) perform(ctx context.Context, req *sdk.CallToolRequest, caller Caller, t *toolset.Tool, arguments json.RawMessage) (result toolset.Result, asked *sdk.CallToolResult, err error) {
	if s.cfg.Limit != nil {
		if err := s.cfg.Limit.Take(ctx, caller.ID); err != nil {
			return overLimit(err), nil, nil
		}
	}
	if err := t.Check(arguments); err != nil {
		return wrongArguments(t.Name, err), nil, nil
	}
	call, err := t.Call(arguments)
	if err != nil {
		return wrongArguments(t.Name, err), nil, nil
	}
	if t.Confirm && !caller.Profile.Unconfirmed {
		result, asked, err := s.askFirst(req, caller, t, arguments)
		if err != nil || asked != nil || result.IsError {
			return result, asked, err
		}
	}
	return s.send(ctx, req, t, call), nil, nil
}

func (s *Server) send(ctx context.Context, req *sdk.CallToolRequest, t *toolset.Tool, call toolset.Call) toolset.Result {
	progress := s.startProgress(ctx, req)
	progress.say("calling " + t.Operation.Method + " " + t.Operation.Path)
	answer, err := s.cfg.Verity.Do(ctx, call.Request)
	if err != nil {
		progress.end("there is no answer")
		return failureOf(t, err)
	}
	progress.end(fmt.Sprintf("Verity answered HTTP %d after %d ms", answer.Status, answer.Duration.Milliseconds()))
	return t.Result(answer, call.Fields, s.cfg.MaxResult)
}

func wrongArguments(tool string, err error) toolset.Result {
	var wrong *toolset.ArgumentError
	if !errors.As(err, &wrong) {
		return toolset.Failure("INVALID_ARGUMENTS", "The arguments cannot be read. Nothing was sent.")
	}
	text := "Nothing was sent. Change these arguments and call " + tool + " again:\n- " + strings.Join(wrong.Faults, "\n- ")
	return toolset.Failure("INVALID_ARGUMENTS", "%s", text)
}

func overLimit(err error) toolset.Result {
	var wait interface{ RetryAfter() time.Duration }
	after := "a moment"
	if errors.As(err, &wait) {
		after = wait.RetryAfter().Round(time.Second).String()
	}
	return toolset.Failure("RATE_LIMITED", "Nothing was sent: there were too many calls. Wait %s, then go on more slowly.", after)
}

// failureOf turns a call that Verity did not answer into text for the model.
func failureOf(t *toolset.Tool, err error) toolset.Result {
	var refused *df.Error
	var unanswered *df.CallError
	switch {
	case errors.As(err, &refused):
		if refused.Code == verity.CodeOptedOut {
			return toolset.Failure(refused.Code, "Nothing was sent: this number has opted out of texts, or its consent cannot be read. "+
				"Do not try another way to reach it; tell the user.")
		}
		return toolset.Failure(refused.Code, "Nothing was sent: %s.%s", refused.Message, detailsOf(refused))
	case errors.As(err, &unanswered):
		return noAnswer(t, unanswered)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return toolset.Failure("CANCELLED", "The call was cancelled before Verity answered.")
	}
	return toolset.Failure("INTERNAL", "Something went wrong on our side. Tell the user.")
}

func detailsOf(refused *df.Error) string {
	if refused.Details == nil {
		return ""
	}
	text, err := json.Marshal(refused.Details)
	if err != nil || len(text) > 2000 {
		return ""
	}
	return " " + string(text)
}

func noAnswer(t *toolset.Tool, e *df.CallError) toolset.Result {
	advice := "You may try once more; then tell the user."
	if e.Outcome == df.Unclear {
		advice = "It is not known whether the call took effect. Do not repeat it blindly: look first."
	}
	return toolset.Failure("PROXY_ERROR", "There is no answer to %s %s: %s. %s", t.Operation.Method, t.Operation.Path, e.Message, advice)
}

// wire writes a result for the protocol.
func wire(r toolset.Result) *sdk.CallToolResult {
	out := &sdk.CallToolResult{IsError: r.IsError, Content: []sdk.Content{}}
	for _, text := range r.Texts {
		out.Content = append(out.Content, &sdk.TextContent{Text: text})
	}
	if r.Structured != nil {
		out.StructuredContent = r.Structured
	}
	if b := r.Binary; b != nil {
		out.Content = append(out.Content, binaryContent(b))
	}
	return out
}

func binaryContent(b *toolset.Binary) sdk.Content {
	switch {
	case strings.HasPrefix(b.Type, "image/"):
		return &sdk.ImageContent{Data: b.Data, MIMEType: b.Type}
	case strings.HasPrefix(b.Type, "audio/"):
		return &sdk.AudioContent{Data: b.Data, MIMEType: b.Type}
	}
	return &sdk.EmbeddedResource{Resource: &sdk.ResourceContents{URI: b.URI, MIMEType: b.Type, Blob: b.Data}}
}

func (s *Server) record(ctx context.Context, e Entry) {
	if s.cfg.Audit != nil {
		s.cfg.Audit.Record(context.WithoutCancel(ctx), e)
	}
}

// hash returns what the audit log keeps of arguments: equal ones are equal, and
// without our secret nobody can guess them from it.
func (s *Server) hash(arguments []byte) string {
	mac := hmac.New(sha256.New, s.cfg.Secret)
	mac.Write([]byte("audit\x00"))
	mac.Write(arguments)
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

func statusOf(result toolset.Result, asked *sdk.CallToolResult, err error) string {
	switch {
	case err != nil:
		return "REFUSED"
	case asked != nil:
		return "ASKED"
	case result.Code != "":
		return result.Code
	}
	return "ok"
}

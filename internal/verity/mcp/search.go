package mcp

import (
	"context"
	"encoding/json"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/df-middleware/dfm/internal/verity/mcp/toolset"
)

// The tools by which a catalogue of any size is used in three steps.
const (
	toolSearch   = "search_operations"
	toolDescribe = "describe_operation"
	toolCall     = "call_operation"
)

func (s *Server) addSearch() {
	s.addOwn(&sdk.Tool{
		Name: toolSearch, Title: "Search operations",
		Description: "Finds operations of Verity by words. Use it first when you have no tool for a task. " +
			"Returns names for describe_operation and call_operation.\nExample: {\"query\":\"broadcast analytics\"}",
		InputSchema: json.RawMessage(`{"type":"object","properties":{` +
			`"query":{"type":"string","maxLength":500,"description":"Words, such as: create contact"},` +
			`"domain":{"type":"string","maxLength":100,"description":"Only this domain"},` +
			`"method":{"type":"string","enum":["GET","POST","PUT","PATCH","DELETE"]},` +
			`"limit":{"type":"integer","minimum":1,"maximum":50,"default":10}},"additionalProperties":false}`),
		Annotations: reading("Search operations"),
	}, s.search)
	s.addOwn(&sdk.Tool{
		Name: toolDescribe, Title: "Describe an operation",
		Description: "Tells what one operation does, and the schema of its arguments. Use it before call_operation.\n" +
			"Example: {\"name\":\"comms_contacts_get\"}",
		InputSchema: json.RawMessage(`{"type":"object","properties":{` +
			`"name":{"type":"string","maxLength":128,"description":"A name from search_operations"}},` +
			`"required":["name"],"additionalProperties":false}`),
		Annotations: reading("Describe an operation"),
	}, s.describe)
	call := &sdk.Tool{
		Name: toolCall, Title: "Call an operation",
		Description: "Calls one operation with arguments that fit its schema, in groups: path, query, headers, body. " +
			"Makes every check that the operation's own tool would make; deletions ask the user first.\n" +
			"Example: {\"name\":\"comms_contacts_by_id_get\",\"arguments\":{\"path\":{\"id\":\"42\"}}}",
		InputSchema: json.RawMessage(`{"type":"object","properties":{` +
			`"name":{"type":"string","maxLength":128,"description":"A name from search_operations"},` +
			`"arguments":{"type":"object","description":"As describe_operation tells","default":{}}},` +
			`"required":["name"],"additionalProperties":false}`),
		Annotations: &sdk.ToolAnnotations{
			Title: "Call an operation", DestructiveHint: new(true), OpenWorldHint: new(true),
		},
	}
	s.checks[toolCall] = mustCheck(call)
	s.own[toolCall] = ownEntry{definition: call}
	s.sdk.AddTool(call, s.callByName)
}

func reading(title string) *sdk.ToolAnnotations {
	return &sdk.ToolAnnotations{
		Title: title, ReadOnlyHint: true, IdempotentHint: true, DestructiveHint: new(false), OpenWorldHint: new(false),
	}
}

// found is one operation in a list.
type found struct {
	Name     string `json:"name"`
	Title    string `json:"title"`
	Method   string `json:"method"`
	Path     string `json:"path"`
	Domain   string `json:"domain"`
	ReadOnly bool   `json:"readOnly"`
}

func viewTool(t *toolset.Tool) found {
	return found{t.Name, t.Title, t.Operation.Method, t.Operation.Path, t.Operation.Domain, t.ReadOnly}
}

func (s *Server) search(_ context.Context, caller Caller, arguments json.RawMessage) (any, error) {
	var in struct {
		Query, Domain, Method string
		Limit                 int
	}
	if err := json.Unmarshal(arguments, &in); err != nil {
		return nil, err
	}
	tools, total := s.set.Load().Search(toolset.Query{
		Text: in.Query, Domain: in.Domain, Method: in.Method, Limit: in.Limit, Allow: caller.sees,
	})
	out := struct {
		Operations []found `json:"operations"`
		Total      int     `json:"total"`
		Hint       string  `json:"hint,omitempty"`
	}{Operations: make([]found, len(tools)), Total: total}
	for i, t := range tools {
		out.Operations[i] = viewTool(t)
	}
	switch {
	case total == 0:
		out.Hint = "Nothing fits. Try other words, or fewer."
	case total > len(tools):
		out.Hint = "There are more: narrow the words, name a domain, or raise limit."
	}
	return out, nil
}

// described is an operation with everything that is known of it.
type described struct {
	found
	Description string          `json:"description"`
	Destructive bool            `json:"destructive"`
	Confirm     bool            `json:"asksFirst"`
	InputSchema json.RawMessage `json:"inputSchema"`
}

func (s *Server) describe(_ context.Context, caller Caller, arguments json.RawMessage) (any, error) {
	var in struct{ Name string }
	if err := json.Unmarshal(arguments, &in); err != nil {
		return nil, err
	}
	t, err := s.operation(caller, in.Name)
	if err != nil {
		return nil, err
	}
	return described{viewTool(t), t.Description, t.Destructive, t.Confirm, t.InputSchema}, nil
}

// operation returns the operation of that name, if it exists for the caller.
func (s *Server) operation(caller Caller, name string) (*toolset.Tool, error) {
	t, known := s.set.Load().Tool(name)
	if !known || !caller.sees(t) {
		return nil, notFound("There is no operation of this name. Find names with search_operations.")
	}
	return t, nil
}

// callByName runs an operation that is named in the arguments, through the same
// checks as its own tool.
func (s *Server) callByName(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
	caller, known := s.callerOf(req.Extra)
	if !known {
		return nil, unknownTool(toolCall)
	}
	in, err := s.named(req.Params.Arguments)
	if err != nil {
		return wire(wrongArguments(toolCall, err)), nil
	}
	t, err := s.operation(caller, in.Name)
	if err != nil {
		return wire(toolset.Failure("NOT_FOUND", "%v", err)), nil
	}
	return s.run(ctx, req, t, in.Arguments)
}

// namedCall is what call_operation is given.
type namedCall struct {
	Name      string
	Arguments json.RawMessage
}

// named reads the arguments of call_operation.
func (s *Server) named(arguments json.RawMessage) (namedCall, error) {
	var in namedCall
	if err := s.checks[toolCall].Check(arguments); err != nil {
		return in, err
	}
	if err := json.Unmarshal(arguments, &in); err != nil {
		return in, err
	}
	if len(in.Arguments) == 0 {
		in.Arguments = json.RawMessage("{}")
	}
	return in, nil
}

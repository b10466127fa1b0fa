package mcp

import (
	"context"
	"encoding/json"
	"slices"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/df-middleware/dfm/internal/verity/mcp/toolset"
)

// Offer is a tool as the chat, which is part of the program, sees it.
type Offer struct {
	Name        string
	Title       string
	Description string
	InputSchema json.RawMessage
	ReadOnly    bool
}

// Offers lists what tools/list would show to the caller: our own tools, and the
// catalogue's operations unless there are too many of them.
func (s *Server) Offers(caller Caller) []Offer {
	var offers []Offer
	for _, name := range reservedNames() {
		own, offered := s.own[name]
		if !offered || !s.seesName(caller, name) {
			continue
		}
		d := own.definition
		schema, _ := d.InputSchema.(json.RawMessage)
		offers = append(offers, Offer{d.Name, d.Title, d.Description, schema, d.Annotations.ReadOnlyHint})
	}
	set := s.set.Load()
	if !s.lists(set) {
		return offers
	}
	for _, t := range set.Tools {
		if caller.sees(t) {
			offers = append(offers, Offer{t.Name, t.Title, t.Description, t.InputSchema, t.ReadOnly})
		}
	}
	return offers
}

// Reserved are the names that no operation's tool may have: those of our own.
func Reserved() []string { return reservedNames() }

// Sees reports whether a tool of the operation is there for the caller, and whether
// it is listed to him or has to be searched for.
func (s *Server) Sees(caller Caller, name string) (there, listed bool) {
	set := s.set.Load()
	t, found := set.Tool(name)
	return found && caller.sees(t), s.lists(set)
}

// Visible counts the operations that the caller may use.
func (s *Server) Visible(caller Caller) int {
	visible := 0
	for _, t := range s.set.Load().Tools {
		if caller.sees(t) {
			visible++
		}
	}
	return visible
}

// Prepared is a call whose arguments were checked and which may be made.
type Prepared struct {
	Tool   string // the operation's own name, also when call_operation named it
	Title  string
	Effect string // "DELETE /api/widgets/{id}"; "" for tools of our own
	// Approval says that a person has to agree first: the call deletes, cannot
	// be undone, or reaches people outside.
	Approval bool
	Changes  bool

	run  func(ctx context.Context) toolset.Result
	note func(ctx context.Context, status string)
}

// Run makes the call and keeps its line in the audit log.
func (p *Prepared) Run(ctx context.Context) toolset.Result { return p.run(ctx) }

// Note keeps a line in the audit log for a call that was not made: "ASKED",
// "DECLINED".
func (p *Prepared) Note(ctx context.Context, status string) { p.note(ctx, status) }

// Prepare checks a call that our own program wants to make for the caller. It
// makes every check that a client's call would meet, and returns either the call
// or the failure that the model is to read.
func (s *Server) Prepare(ctx context.Context, caller Caller, name string, arguments json.RawMessage) (*Prepared, *toolset.Result) {
	if len(arguments) == 0 || string(arguments) == "null" {
		arguments = json.RawMessage("{}")
	}
	if !s.seesName(caller, name) {
		return nil, s.refused(ctx, caller, name, arguments, unknownName())
	}
	if name == toolCall {
		in, err := s.named(arguments)
		if err != nil {
			return nil, s.refused(ctx, caller, name, arguments, wrongArguments(toolCall, err))
		}
		name, arguments = in.Name, in.Arguments
	}
	if own, ours := s.own[name]; ours && own.answer != nil {
		return s.prepareOwn(ctx, caller, own, arguments)
	}
	t, err := s.operation(caller, name)
	if err != nil {
		return nil, s.refused(ctx, caller, name, arguments, unknownName())
	}
	if err := t.Check(arguments); err != nil {
		return nil, s.refused(ctx, caller, t.Name, arguments, wrongArguments(t.Name, err))
	}
	call, err := t.Call(arguments)
	if err != nil {
		return nil, s.refused(ctx, caller, t.Name, arguments, wrongArguments(t.Name, err))
	}
	keep := s.line(caller, t, arguments)
	return &Prepared{
		Tool: t.Name, Title: t.Title, Effect: t.Operation.Method + " " + t.Operation.Path, Changes: !t.ReadOnly,
		Approval: (t.Confirm || t.OpenWorld) && !caller.Profile.Unconfirmed,
		note:     keep,
		run: func(ctx context.Context) toolset.Result {
			if s.cfg.Limit != nil {
				if err := s.cfg.Limit.Take(ctx, caller.ID); err != nil {
					result := overLimit(err)
					keep(ctx, result.Code)
					return result
				}
			}
			result := s.send(ctx, nil, t, call)
			keep(ctx, statusOf(result, nil, nil))
			return result
		},
	}, nil
}

// line returns what keeps an operation's line in the audit log, with the time
// since the call was prepared.
func (s *Server) line(caller Caller, t *toolset.Tool, arguments json.RawMessage) func(context.Context, string) {
	started := s.cfg.Clock()
	return func(ctx context.Context, status string) {
		s.record(ctx, Entry{
			At: started, Caller: caller.ID, Tool: t.Name, Operation: t.Operation.Method + " " + t.Operation.Path,
			Arguments: s.hash(arguments), Status: status, Changes: !t.ReadOnly, Duration: s.cfg.Clock().Sub(started),
		})
	}
}

func (s *Server) prepareOwn(ctx context.Context, caller Caller, own ownEntry, arguments json.RawMessage) (*Prepared, *toolset.Result) {
	name := own.definition.Name
	if err := s.checks[name].Check(arguments); err != nil {
		return nil, s.refused(ctx, caller, name, arguments, wrongArguments(name, err))
	}
	return &Prepared{
		Tool: name, Title: own.definition.Title, Changes: !own.definition.Annotations.ReadOnlyHint,
		note: func(context.Context, string) {},
		run: func(ctx context.Context) toolset.Result {
			return s.performOwn(ctx, caller, own, arguments)
		},
	}, nil
}

// refused keeps the line of a call that failed its checks.
func (s *Server) refused(ctx context.Context, caller Caller, name string, arguments json.RawMessage, result toolset.Result) *toolset.Result {
	if _, known := s.set.Load().Tool(name); !known && !slices.Contains(reservedNames(), name) {
		name = "unknown" // the model's own words do not belong in the log
	}
	s.record(ctx, Entry{At: s.cfg.Clock(), Caller: caller.ID, Tool: name, Arguments: s.hash(arguments), Status: result.Code})
	return &result
}

func unknownName() toolset.Result {
	return toolset.Failure("NOT_FOUND", "There is no tool of this name. Find names with %s.", toolSearch)
}

// ownEntry is a tool of our own and what answers it; call_operation, which only
// stands for others, has no answer.
type ownEntry struct {
	definition *sdk.Tool
	answer     ownTool
}

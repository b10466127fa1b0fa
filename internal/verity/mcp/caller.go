package mcp

import (
	"slices"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/df-middleware/dfm/internal/verity/catalogue"
	"github.com/df-middleware/dfm/internal/verity/mcp/toolset"
)

// Caller is who uses the server.
type Caller struct {
	ID   string // stable: "key:…", "clerk:user_…", "stdio"; for limits, sessions and audit
	Name string
	// Profile narrows what the caller sees of the tools.
	Profile Profile
	// Levels are the authTypes of the operations that the caller may use; nil
	// means all. The middleware's own token may do more at Verity than the
	// person who asks.
	Levels []catalogue.Auth
	// Records lets the caller read our own records of people and events.
	Records bool
}

// Profile is what an operator grants to one caller.
type Profile struct {
	Filter toolset.Filter
	// Unconfirmed lets the caller delete without a person being asked, for
	// machines that have nobody to ask.
	Unconfirmed bool
}

// sees reports whether the tool exists for the caller. A tool that he does not
// see he cannot call either.
func (c Caller) sees(t *toolset.Tool) bool {
	if c.Levels != nil && !slices.Contains(c.Levels, t.Operation.Auth) {
		return false
	}
	return c.Profile.Filter.Allows(t)
}

// callerKey is where the caller travels in a token's extra values.
const callerKey = "caller"

// callerOf returns who makes a request: the bearer of the token it came with,
// or on standard input the one who started the program.
func (s *Server) callerOf(extra *sdk.RequestExtra) (Caller, bool) {
	if extra != nil && extra.TokenInfo != nil {
		caller, ok := extra.TokenInfo.Extra[callerKey].(Caller)
		return caller, ok
	}
	if s.cfg.Local != nil {
		return *s.cfg.Local, true
	}
	return Caller{}, false
}

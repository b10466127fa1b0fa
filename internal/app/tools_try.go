package app

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/verity/catalogue"
	"github.com/df-middleware/dfm/internal/verity/mcp"
	"github.com/df-middleware/dfm/internal/verity/mcp/toolset"
)

// toolView is the page of one operation.
type toolView struct {
	Tool      *toolset.Tool
	Operation *catalogue.Operation
	Facts     []console.Fact
	Arguments []schemaNode
	Response  []schemaNode
	Fields    []toolField
	Examples  []toolExample
	Post      string
	May       bool   // whether the reader may call it here
	Why       string // not
	Result    *toolResult
}

// toolResult is what a call that was tried came to.
type toolResult struct {
	Failed bool
	Status string // "HTTP 200", or the code of the failure
	Took   string
	Texts  []string
	Binary string // what came instead of text
}

// found returns the tool that the address names.
func (p *toolBook) found(r *http.Request) (*catalogue.Catalogue, *toolset.Tool, error) {
	c, set := p.current()
	if c != nil {
		if t, there := set.Tool(r.PathValue("name")); there {
			return c, t, nil
		}
	}
	return nil, nil, notFound("There is no operation of this name. A new catalogue may have given it another.")
}

func (p *toolBook) operation(r *http.Request) (console.Page, error) {
	c, t, err := p.found(r)
	if err != nil {
		return console.Page{}, err
	}
	return p.show(r, c, t, nil, nil), nil
}

// show makes the page, with the form as it was sent and what came of it.
func (p *toolBook) show(r *http.Request, c *catalogue.Catalogue, t *toolset.Tool, sent url.Values, result *toolResult) console.Page {
	op := t.Operation
	caller := p.caller(r)
	there, listed := p.app.gateway.mcp.server.Sees(p.app.config.MCP.caller("", ""), t.Name)
	tool := "no: the settings of the MCP server leave it out"
	switch {
	case there && listed:
		tool = "yes, listed"
	case there:
		tool = "yes, found by search_operations"
	}
	data := toolView{Tool: t, Operation: op, Post: toolLink(t.Name), Result: result, Fields: fieldsOf(t, sent),
		Arguments: argumentsTree(t), Response: responseTree(c, op), Examples: p.examples(r, t, listed),
		Facts: []console.Fact{
			{Name: "Domain", Value: op.Domain, Link: "/tools?domain=" + url.QueryEscape(op.Domain)}, {Name: "Who may", Value: string(op.Auth), Code: true},
			{Name: "Effect", Value: effectOf(t)}, {Name: "MCP tool", Value: t.Name, Code: true}, {Name: "Offered to language models", Value: tool},
		}}
	data.May, data.Why = p.mayAs(console.RoleOf(r), caller, t)
	return console.Page{Template: "tool.html", Title: op.Method + " " + op.Path, Section: "tools", Data: data}
}

func effectOf(t *toolset.Tool) string {
	switch {
	case t.ReadOnly:
		return "only reads"
	case t.Confirm:
		return "deletes or cannot be undone; a person is asked first"
	case t.OpenWorld:
		return "reaches people outside; a person is asked first"
	}
	return "changes what is there"
}

// caller is the reader as the MCP server sees him: what the settings grant him, and
// no changes unless he is an administrator.
func (p *toolBook) caller(r *http.Request) mcp.Caller {
	return p.callerAs(console.ActorOf(r), console.RoleOf(r))
}

func (p *toolBook) callerAs(actor string, role console.Role) mcp.Caller {
	caller := p.app.config.MCP.caller(actor, actor)
	if !role.Allows(console.Admin) {
		caller.Profile.Filter.ReadOnly = true
	}
	return caller
}

// mayAs reports whether somebody with the role may call the tool here, or why not.
func (p *toolBook) mayAs(role console.Role, caller mcp.Caller, t *toolset.Tool) (bool, string) {
	switch there, _ := p.app.gateway.mcp.server.Sees(caller, t.Name); {
	case !role.Allows(console.Operator):
		return false, "Calls can be tried by operators."
	case !t.ReadOnly && !role.Allows(console.Admin):
		return false, "It changes something, so only administrators can try it here."
	case !there:
		return false, "The settings of the MCP server (DFM_MCP_…) keep it from being called here, as from being a tool."
	}
	return true, ""
}

// try makes the call that the form describes, on the way that a language model's
// call takes, with every check and the line in the audit log. What deletes or
// reaches people outside is put to the reader once more.
func (p *toolBook) try(r *http.Request) (console.Page, error) {
	c, t, err := p.found(r)
	if err != nil {
		return console.Page{}, err
	}
	caller := p.caller(r)
	if may, why := p.mayAs(console.RoleOf(r), caller, t); !may {
		return console.Page{}, &df.Error{Code: "FORBIDDEN", Message: why, Status: http.StatusForbidden}
	}
	arguments, err := argumentsIn(t, r.PostForm)
	if err != nil {
		return p.show(r, c, t, r.PostForm, &toolResult{Failed: true, Status: "INVALID_ARGUMENTS", Texts: []string{"Nothing was sent: " + df.AsError(err).Message + "."}}), nil
	}
	ctx := asVisitor(r)
	prepared, refused := p.app.gateway.mcp.server.Prepare(ctx, caller, t.Name, arguments)
	if refused != nil {
		return p.show(r, c, t, r.PostForm, resultOf(*refused, 0)), nil
	}
	if (t.Confirm || t.OpenWorld) && r.PostForm.Get("confirmed") != "yes" {
		prepared.Note(ctx, "ASKED")
		return p.ask(t, arguments, r.PostForm), nil
	}
	started := p.app.clock()
	result := prepared.Run(ctx)
	return p.show(r, c, t, r.PostForm, resultOf(result, p.app.clock().Sub(started))), nil
}

// ask is the page between the form and a call that cannot be taken back.
func (p *toolBook) ask(t *toolset.Tool, arguments json.RawMessage, form url.Values) console.Page {
	sent := map[string]string{"confirmed": "yes"}
	for _, f := range fieldsOf(t, form) {
		if f.Value != "" {
			sent[f.Name] = f.Value
		}
	}
	return console.Confirm("tools", console.Confirmation{
		Question: "Call " + t.Operation.Method + " " + t.Operation.Path + "?", Subject: string(arguments),
		Says: "Verity is called for real: it " + effectOf(t) + ". The audit log keeps that you did it.",
		Post: toolLink(t.Name), Back: toolLink(t.Name), Button: "Call it", Danger: true, Fields: sent,
	})
}

// prettyMost bounds what is laid out for reading, in bytes.
const prettyMost = 200_000

func resultOf(result toolset.Result, took time.Duration) *toolResult {
	shown := &toolResult{Failed: result.IsError, Status: result.Code, Took: took.Round(time.Millisecond).String()}
	if result.Status > 0 {
		shown.Status = "HTTP " + strconv.Itoa(result.Status)
	}
	if shown.Status == "" {
		shown.Status = "ok"
	}
	shown.Texts = slices.Clone(result.Texts)
	if len(shown.Texts) > 0 && len(shown.Texts[0]) < prettyMost {
		var laidOut bytes.Buffer
		if json.Indent(&laidOut, []byte(shown.Texts[0]), "", "  ") == nil {
			shown.Texts[0] = laidOut.String()
		}
	}
	if b := result.Binary; b != nil {
		shown.Binary = console.Number(int64(len(b.Data))) + " bytes of " + strings.TrimSpace(b.Type)
	}
	return shown
}

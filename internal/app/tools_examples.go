package app

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/verity/mcp"
	"github.com/df-middleware/dfm/internal/verity/mcp/toolset"
)

// toolExample is a piece of text to be copied.
type toolExample struct {
	Name, About, Text string
}

// ourAddress is where browsers and clients reach the web app.
func (a *App) ourAddress(r *http.Request) string {
	if a.config.BaseURL != "" {
		return a.config.BaseURL
	}
	return "http://" + r.Host
}

// gatewayAddress is where the gateway listens. Which name it has outside only the
// proxy in front of it knows.
func (a *App) gatewayAddress() string {
	if listening := a.URL("gateway"); listening != "" {
		return listening
	}
	return "http://" + a.config.GatewayAddress()
}

// shellQuoted puts a text between single quotes, as a shell needs it.
func shellQuoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// examples are calls of the operation by each way there is, with made-up values.
func (p *toolBook) examples(r *http.Request, t *toolset.Tool, listed bool) []toolExample {
	op, sample := t.Operation, t.Sample()
	body := sample[bodyField]
	if t.Flat() {
		body = sample
	}
	envelope := map[string]any{"endpoint": op.Path, "method": op.Method}
	for group, name := range map[string]string{"path": "params", "query": "query", "headers": "headers"} {
		if values, there := sample[group].(map[string]any); there {
			envelope[name] = values
		}
	}
	if body != nil && op.Method != http.MethodGet {
		envelope["body"] = body
	}
	gateway := p.app.gatewayAddress()
	curl := "curl " + gateway + "/api/verity \\\n  -H \"Authorization: Bearer $DF_MIDDLEWARE_API_KEY\" \\\n  -H 'Content-Type: application/json' \\\n  -d " + shellQuoted(compact(envelope))
	proxy := "curl -X " + op.Method + " " + shellQuoted(gateway+"/api/verity/proxy"+pathWith(op.Path, sample)) + " \\\n  -H \"X-API-Key: $DF_MIDDLEWARE_API_KEY\" \\\n  -H \"Authorization: Bearer $CLERK_TOKEN\""
	if envelope["body"] != nil {
		proxy += " \\\n  -H 'Content-Type: application/json' \\\n  -d " + shellQuoted(compact(body))
	}
	call := map[string]any{"name": t.Name, "arguments": sample}
	if !listed {
		call = map[string]any{"name": "call_operation", "arguments": call}
	}
	rpc := map[string]any{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
	return []toolExample{
		{"Gateway", "The answer comes in an envelope.", curl},
		{"Proxy", "Verity's own status, headers and body.", proxy},
		{"MCP", "One message to " + p.app.ourAddress(r) + mcp.Path + ", once a client has connected.", indented(rpc)},
	}
}

func compact(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(data)
}

// pathWith fills a path and a query with made-up values.
func pathWith(path string, sample map[string]any) string {
	values, _ := sample["path"].(map[string]any)
	for name, value := range values {
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(textOf(value)))
	}
	query := url.Values{}
	asked, _ := sample["query"].(map[string]any)
	for name, value := range asked {
		query.Set(name, textOf(value))
	}
	if len(query) > 0 {
		return path + "?" + query.Encode()
	}
	return path
}

type clientsView struct {
	Tabs     []console.Tab
	Facts    []console.Fact
	Callers  []callerRow
	Snippets []toolExample
	Empty    console.Empty
}

// callerRow is what one caller of the MCP server sees.
type callerRow struct {
	ID, Name   string
	ReadOnly   bool
	Domains    string
	Unasked    bool
	Operations int
}

func (p *toolBook) clients(r *http.Request) (console.Page, error) {
	c := p.app.config.MCP
	keys, err := p.app.keys.List(r.Context())
	if err != nil {
		return console.Page{}, err
	}
	data := clientsView{Tabs: p.tabs("/tools/clients"), Snippets: snippets(p.app.ourAddress(r) + mcp.Path),
		Empty: console.Empty{Title: "No caller has a key for it", Text: "Make an API key with the scope mcp, or give DFM_MCP_READ_ONLY_CALLERS and its like the ids of Clerk users. People with a Clerk token may connect in any case."}}
	everybody := p.app.gateway.mcp.server.Visible(c.caller("", ""))
	data.Facts = []console.Fact{
		{Name: "Address", Value: p.app.ourAddress(r) + mcp.Path, Code: true},
		{Name: "DFM_MCP_TOOLS", Value: c.Tools, Code: true}, {Name: "Only what reads", Value: yesNo(c.ReadOnly)},
		{Name: "Domains", Value: orAll(c.Domains)}, {Name: "Tags", Value: orAll(c.Tags)}, {Name: "Methods", Value: orAll(c.Methods)},
		{Name: "Operations for whoever is not restricted", Value: everybody},
	}
	seen := map[string]bool{}
	add := func(id, name string) {
		if seen[id] {
			return
		}
		seen[id] = true
		caller := c.caller(id, name)
		data.Callers = append(data.Callers, callerRow{ID: id, Name: name, ReadOnly: c.ReadOnly || caller.Profile.Filter.ReadOnly,
			Domains: orAll(caller.Profile.Filter.Domains), Unasked: caller.Profile.Unconfirmed, Operations: p.app.gateway.mcp.server.Visible(caller)})
	}
	for _, key := range keys {
		if slices.Contains(key.Scopes, auth.ScopeMCP) && key.Active(p.app.clock()) {
			add(key.Actor(), key.Name)
		}
	}
	named := slices.Concat(c.ReadOnlyFor, c.Unconfirmed)
	for id := range c.DomainsOf {
		named = append(named, id)
	}
	slices.Sort(named)
	for _, id := range named {
		add(id, "named in the settings")
	}
	return console.Page{Template: "toolclients.html", Title: "Connect", Section: "tools", Data: data}, nil
}

func yesNo(on bool) string {
	if on {
		return "yes"
	}
	return "no"
}

func orAll(names []string) string {
	if len(names) == 0 {
		return "all"
	}
	return strings.Join(names, ", ")
}

// snippets are the settings of well-known clients for this instance. None holds a
// key: each says where the client takes it from.
func snippets(address string) []toolExample {
	const name = "df-middleware"
	bearer := func(key string) map[string]any { return map[string]any{"Authorization": "Bearer " + key} }
	return []toolExample{
		{"Claude Code", "In a shell; DFM_MCP_KEY is an API key with the scope mcp.",
			"claude mcp add --transport http " + name + " " + address + " --header \"Authorization: Bearer $DFM_MCP_KEY\""},
		{"Claude Desktop", "In claude_desktop_config.json, for a dfm on the same machine with its settings in the .env of its working directory.",
			indented(map[string]any{"mcpServers": map[string]any{name: map[string]any{"command": "/usr/local/bin/dfm", "args": []string{"mcp"}}}})},
		{"Claude Desktop, from afar", "The same file; mcp-remote (npm) carries the messages here.",
			indented(map[string]any{"mcpServers": map[string]any{name: map[string]any{"command": "npx",
				"args": []string{"-y", "mcp-remote", address, "--header", "Authorization:${DFM_MCP_HEADER}"},
				"env":  map[string]any{"DFM_MCP_HEADER": "Bearer YOUR_KEY"}}}})},
		{"Cursor", "In .cursor/mcp.json of the project, or ~/.cursor/mcp.json.",
			indented(map[string]any{"mcpServers": map[string]any{name: map[string]any{"url": address, "headers": bearer("${env:DFM_MCP_KEY}")}}})},
		{"VS Code", "In .vscode/mcp.json; VS Code asks for the key once and keeps it safe.",
			indented(map[string]any{
				"inputs":  []any{map[string]any{"type": "promptString", "id": "dfm-key", "description": "API key of df-middleware", "password": true}},
				"servers": map[string]any{name: map[string]any{"type": "http", "url": address, "headers": bearer("${input:dfm-key}")}}})},
	}
}

package app

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/verity/catalogue"
	"github.com/df-middleware/dfm/internal/verity/mcp"
	"github.com/df-middleware/dfm/internal/verity/mcp/toolset"
)

// toolPages adds Verity's operations, how programs and language models reach them,
// and the descriptions of our own API to the console.
func (a *App) toolPages(b *console.Book) {
	p := &toolBook{app: a}
	b.See("/tools", p.browse)
	b.See("/tools/operations/{name}", p.operation)
	b.Change("/tools/operations/{name}", p.try)
	b.See("/tools/clients", p.clients)
	b.See("/tools/catalogue", p.catalogue)
	b.Change("/tools/catalogue/reload", p.reload)
	b.Serve("GET /tools/openapi.json", http.HandlerFunc(a.serveDocument))
	b.Serve("GET /tools/openapi-gateway.json", http.HandlerFunc(p.gatewayDocument))
}

// toolBook shows the catalogue. All operations are in it, also those that the
// settings keep from being tools.
type toolBook struct {
	app *App

	mu   sync.Mutex
	from *catalogue.Catalogue
	set  *toolset.Set
}

// current returns the catalogue in force and its operations, or nil.
func (p *toolBook) current() (*catalogue.Catalogue, *toolset.Set) {
	loader := p.app.gateway.catalogue
	if loader == nil || loader.Current() == nil {
		return nil, nil
	}
	c := loader.Current()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.from != c {
		p.from, p.set = c, toolset.New(c, toolset.Filter{}, mcp.Reserved()...)
	}
	return c, p.set
}

// tabs leads through the pages about the API.
func (p *toolBook) tabs(current string) []console.Tab {
	tabs := []console.Tab{{Name: "Operations", Link: "/tools"}, {Name: "Connect", Link: "/tools/clients"}, {Name: "Catalogue", Link: "/tools/catalogue"}}
	for i := range tabs {
		tabs[i].Current = tabs[i].Link == current
	}
	return tabs
}

// operationRows is how many operations one page lists.
const operationRows = 50

// operationRow is one operation in the list.
type operationRow struct {
	Name, Link, Method, Path, Title, Domain string
	Auth                                    catalogue.Auth
	ReadOnly, Confirm, Deprecated           bool
}

type toolsView struct {
	Tabs        []console.Tab
	Filters     console.Filters
	Rows        []operationRow
	Total       int
	First, Next string
	Empty       console.Empty
}

func (p *toolBook) browse(r *http.Request) (console.Page, error) {
	c, set := p.current()
	data := toolsView{Tabs: p.tabs("/tools"), Empty: p.nothing(c)}
	if c == nil {
		return console.Page{Template: "tools.html", Title: "API and tools", Section: "tools", Data: data}, nil
	}
	data.Filters = console.FiltersOf(r, console.Filter{Name: "q", Label: "Search", Hint: "widget, /api/calls, get…"},
		console.Filter{Name: "domain", Label: "Domain", Kind: "select", Options: optionsOf(sortedNames(c.Domains()))},
		console.Filter{Name: "method", Label: "Method", Kind: "select", Options: optionsOf([]string{"GET", "POST", "PUT", "PATCH", "DELETE"})},
		console.Filter{Name: "auth", Label: "Who may", Kind: "select", Options: optionsOf([]string{
			string(catalogue.NoAuth), string(catalogue.RequireAuth), string(catalogue.RequireUser), string(catalogue.RequireAdmin)})},
		console.Filter{Name: "effect", Label: "Effect", Kind: "select", Options: []console.Option{
			{Value: "reads", Label: "only reads"}, {Value: "changes", Label: "changes"}, {Value: "asks", Label: "asks a person first"}}})
	found, err := operationsFor(r, set)
	if err != nil {
		return console.Page{}, err
	}
	data.Total = len(found)
	from, err := pageFrom(r)
	if err != nil {
		return console.Page{}, err
	}
	from = min(from, len(found))
	for _, t := range found[from:min(from+operationRows, len(found))] {
		data.Rows = append(data.Rows, rowOfTool(t))
	}
	if from > 0 {
		data.First = linkFrom(r, 0)
	}
	if from+operationRows < len(found) {
		data.Next = linkFrom(r, from+operationRows)
	}
	return console.Page{Template: "tools.html", Title: "API and tools", Section: "tools", Data: data}, nil
}

// nothing says why there is no operation, and what to do.
func (p *toolBook) nothing(c *catalogue.Catalogue) console.Empty {
	switch {
	case p.app.gateway.catalogue == nil:
		return console.Empty{Title: "There is no catalogue", Text: "Set VERITY_CATALOG_PATH to a file or URL: Verity's native catalogue or an OpenAPI document. The gateway works without one; tools for language models need it."}
	case c == nil:
		return console.Empty{Title: "The catalogue could not be read", Text: "What went wrong stands on the page of the catalogue.", Link: "/tools/catalogue", Label: "See why"}
	}
	return console.Empty{Title: "No operation is like that", Text: "Loosen or clear the filter."}
}

func optionsOf(names []string) []console.Option {
	options := make([]console.Option, len(names))
	for i, name := range names {
		options[i] = console.Option{Value: name, Label: name}
	}
	return options
}

func sortedNames(counts map[string]int) []string {
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// operationsFor are the operations that the filter of the page finds, by path.
func operationsFor(r *http.Request, set *toolset.Set) ([]*toolset.Tool, error) {
	q := r.URL.Query()
	effect := q.Get("effect")
	if !slices.Contains([]string{"", "reads", "changes", "asks"}, effect) {
		return nil, badRequest("effect must be reads, changes or asks")
	}
	words := strings.Fields(strings.ToLower(q.Get("q")))
	fits := func(t *toolset.Tool) bool {
		op := t.Operation
		switch {
		case q.Get("domain") != "" && op.Domain != q.Get("domain"), q.Get("method") != "" && op.Method != q.Get("method"),
			q.Get("auth") != "" && string(op.Auth) != q.Get("auth"),
			effect == "reads" && !t.ReadOnly, effect == "changes" && t.ReadOnly, effect == "asks" && !t.Confirm && !t.OpenWorld:
			return false
		}
		text := strings.ToLower(strings.Join([]string{t.Name, op.Method, op.Path, op.Summary, op.Description, op.Domain}, " "))
		return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
	}
	var found []*toolset.Tool
	for _, t := range set.Tools {
		if fits(t) {
			found = append(found, t)
		}
	}
	slices.SortStableFunc(found, func(a, b *toolset.Tool) int {
		return strings.Compare(a.Operation.Path+" "+a.Operation.Method, b.Operation.Path+" "+b.Operation.Method)
	})
	return found, nil
}

func rowOfTool(t *toolset.Tool) operationRow {
	op := t.Operation
	return operationRow{Name: t.Name, Link: toolLink(t.Name), Method: op.Method, Path: op.Path, Title: t.Title, Domain: op.Domain, Auth: op.Auth,
		ReadOnly: t.ReadOnly, Confirm: t.Confirm || t.OpenWorld, Deprecated: op.Deprecated}
}

func toolLink(name string) string { return "/tools/operations/" + url.PathEscape(name) }

// pageFrom reads ?from=, the place of the first row.
func pageFrom(r *http.Request) (int, error) {
	text := r.URL.Query().Get("from")
	if text == "" {
		return 0, nil
	}
	from, err := strconv.Atoi(text)
	if err != nil || from < 0 {
		return 0, badRequest("from must be a whole number")
	}
	return from, nil
}

func linkFrom(r *http.Request, from int) string {
	q := r.URL.Query()
	q.Del("from")
	if from > 0 {
		q.Set("from", strconv.Itoa(from))
	}
	return r.URL.Path + "?" + q.Encode()
}

type catalogueView struct {
	Tabs     []console.Tab
	Facts    []console.Fact
	Problems []catalogue.Problem
	There    bool
	Fault    string
	Empty    console.Empty
}

// problemsShown bounds what one page shows of them.
const problemsShown = 500

func (p *toolBook) catalogue(*http.Request) (console.Page, error) {
	data := catalogueView{Tabs: p.tabs("/tools/catalogue"), Empty: p.nothing(nil)}
	if loader := p.app.gateway.catalogue; loader != nil {
		status := loader.Status()
		data.There = true
		data.Facts = []console.Fact{
			{Name: "Where it comes from", Value: p.app.config.Redactor().Text(status.Location), Code: true},
			{Name: "Read", Value: status.LoadedAt}, {Name: "Looked at last", Value: status.CheckedAt},
			{Name: "Operations", Value: status.Operations}, {Name: "Problems", Value: status.Problems},
			{Name: "VERITY_CATALOG_MODE", Value: p.app.config.Verity.CatalogMode, Code: true},
		}
		if status.Err != nil {
			data.Fault = p.app.config.Redactor().Text(status.Err.Error())
		}
		if c := loader.Current(); c != nil {
			data.Facts = slices.Insert(data.Facts, 1, console.Fact{Name: "Title", Value: c.Title}, console.Fact{Name: "Version", Value: c.Version},
				console.Fact{Name: "Format", Value: c.Format}, console.Fact{Name: "Generated", Value: c.GeneratedAt})
			data.Problems = c.Problems[:min(len(c.Problems), problemsShown)]
		}
	}
	return console.Page{Template: "toolcatalogue.html", Title: "Catalogue", Section: "tools", Data: data}, nil
}

// reload reads the catalogue again, as SIGHUP does.
func (p *toolBook) reload(r *http.Request) (console.Page, error) {
	ctx := asVisitor(r)
	if p.app.gateway.catalogue == nil {
		return console.Page{}, &df.Error{Code: "CONFLICT", Message: "VERITY_CATALOG_PATH names no catalogue", Status: http.StatusConflict}
	}
	failed := p.app.Reload(ctx)
	status := p.app.gateway.catalogue.Status()
	err := p.app.store.Audit(ctx, store.AuditRow{At: p.app.clock(), Actor: auth.Actor(ctx), Action: "catalogue.reload", Target: "catalogue",
		Details: map[string]any{"read": failed == nil, "operations": status.Operations, "problems": status.Problems}})
	notice := "The catalogue was read: " + console.Number(int64(status.Operations)) + " operations."
	if failed != nil {
		notice = "The catalogue could not be read; what was read before stays in force."
	}
	return console.Page{Redirect: "/tools/catalogue", Notice: notice}, err
}

// gatewayDocument describes the gateway to whoever is signed in.
func (p *toolBook) gatewayDocument(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(p.app.gateway.document) // the reader may have gone
}

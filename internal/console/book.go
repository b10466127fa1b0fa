package console

import (
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/df-middleware/dfm/internal/auth"
)

// Role says how much somebody who is signed in may do.
type Role = auth.Role

// The roles, from the least to the most.
const (
	Viewer   = auth.Viewer
	Operator = auth.Operator
	Admin    = auth.Admin
)

// Page is what a feature outside of this package shows: the data for one of its
// templates, or the place to go to after a change.
type Page struct {
	Template string // the file's name, such as "broadcasts.html"
	Title    string
	Section  string // the entry of the menu that is lit
	Live     bool   // whether the page keeps itself fresh
	Data     any

	Redirect string // where the browser goes instead, after a change
	Notice   string // said once on the page that it goes to
}

// Book collects the pages of the console. Everything in it stands behind the
// sign-in, with the frame around it, the form token checked, and the role too.
type Book struct {
	server *Server
	routes []route
	see    map[string]Role // address to the role that its page needs
	extra  map[string][]menuItem
	folder []fs.FS
}

func newBook(s *Server) *Book {
	return &Book{server: s, see: map[string]Role{}, extra: map[string][]menuItem{}}
}

// See adds a page that anybody who is signed in may read. The pattern is the
// path of a route of http.ServeMux, without method: "/broadcasts/{id}".
func (b *Book) See(pattern string, f func(*http.Request) (Page, error)) {
	b.page(Viewer, pattern, shown(f))
}

// Change adds what a form of the page posts to; operators may do it.
func (b *Book) Change(pattern string, f func(*http.Request) (Page, error)) {
	b.form(Operator, pattern, shown(f))
}

// SeeAsAdmin and ChangeAsAdmin are for administrators only.
func (b *Book) SeeAsAdmin(pattern string, f func(*http.Request) (Page, error)) {
	b.page(Admin, pattern, shown(f))
}

// ChangeAsAdmin is Change for administrators only.
func (b *Book) ChangeAsAdmin(pattern string, f func(*http.Request) (Page, error)) {
	b.form(Admin, pattern, shown(f))
}

// Serve adds a handler as it is, for what is no page, such as a download, behind
// the sign-in: the pattern has a method. Handlers that change something are to
// use Change.
func (b *Book) Serve(pattern string, h http.Handler) { b.serve(pattern, Viewer, h) }

// Templates adds the .html files at the root of the folder: each becomes the
// template of a page and may use all shared parts.
func (b *Book) Templates(folder fs.FS) { b.folder = append(b.folder, folder) }

// Entry adds a line to the menu that it does not have yet, at the end of the
// named group. The known pages need none.
func (b *Book) Entry(group, section, link, name string) {
	b.extra[group] = append(b.extra[group], menuItem{section: section, link: link, name: name})
}

// Route is one address of the console and who gets through.
type Route struct {
	Pattern string
	Needs   Role // the least role that it answers
	Open    bool // answers without a session
}

// Routes lists all addresses of the console, those of features among them.
func (s *Server) Routes() []Route {
	routes := make([]Route, len(s.book.routes))
	for i, r := range s.book.routes {
		routes[i] = Route{r.pattern, r.needs, r.open}
	}
	return routes
}

// ActorOf returns who is signed in at the browser that sent the request, for the
// audit log.
func ActorOf(r *http.Request) string { return visitorOf(r).actor }

// has reports whether a page is registered at the pattern, and so may be linked to.
func (b *Book) has(pattern string) bool {
	_, there := b.see[pattern]
	return there
}

// RoleOf returns the role of whoever is signed in at the browser that sent the
// request.
func RoleOf(r *http.Request) Role { return visitorOf(r).role }

// Confirmation is the page between a button and what it does.
type Confirmation = confirmation

// Confirm shows one under an entry of the menu.
func Confirm(section string, c Confirmation) Page {
	return Page{Template: "confirm.html", Title: c.Question, Section: section, Data: c}
}

func (b *Book) page(role Role, pattern string, f show) {
	s := b.server
	b.see[strings.TrimSuffix(pattern, "{$}")] = role
	b.routes = append(b.routes, route{"GET " + pattern, s.page(f), role, false})
}

func (b *Book) form(role Role, pattern string, f show) {
	b.routes = append(b.routes, route{"POST " + pattern, b.server.form(f), role, false})
}

func (b *Book) serve(pattern string, role Role, h http.Handler) {
	b.routes = append(b.routes, route{pattern, h, role, false})
}

// open adds what answers everybody.
func (b *Book) open(pattern string, h http.HandlerFunc) {
	b.routes = append(b.routes, route{pattern: pattern, handler: h, open: true})
}

func shown(f func(*http.Request) (Page, error)) show {
	return func(r *http.Request) (view, error) {
		p, err := f(r)
		return view{template: p.Template, title: p.Title, section: p.Section, live: p.Live, data: p.Data, redirect: p.Redirect, notice: p.Notice}, err
	}
}

// parse makes one template per page, each with the frame around it.
func (b *Book) parse(functions template.FuncMap) (map[string]*template.Template, error) {
	base, err := template.New("base.html").Funcs(functions).ParseFS(embedded, "templates/base.html", "templates/parts.html", "templates/charts.html")
	if err != nil {
		return nil, fmt.Errorf("parse the frame: %w", err)
	}
	own, err := fs.Sub(embedded, "templates")
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, folder := range append([]fs.FS{own}, b.folder...) {
		files, err := fs.Glob(folder, "*.html")
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			name := path.Base(file)
			if base.Lookup(name) != nil {
				continue
			}
			if pages[name] != nil {
				return nil, fmt.Errorf("two pages have a template named %s", name)
			}
			page, err := template.Must(base.Clone()).ParseFS(folder, file)
			if err != nil {
				return nil, fmt.Errorf("parse page %s: %w", name, err)
			}
			pages[name] = page
		}
	}
	return pages, nil
}

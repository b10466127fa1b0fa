package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

//go:embed templates static
var embedded embed.FS

// contentPolicy lets a page load what we serve ourselves and nothing else, and
// lets no other site frame it.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// formMost is the largest form that is read, in bytes.
const formMost = 64 << 10

// view is what a page shows: the data for one template, or the place to go to
// after a change, with a notice to be shown there.
type view struct {
	template string
	title    string
	section  string // the entry of the menu that is lit
	live     bool   // whether the page keeps itself fresh
	watch    string // the topics of live.go that it shows; "" for any
	data     any

	redirect string
	notice   string
}

// show makes one page.
type show func(r *http.Request) (view, error)

// screen is what the frame around every page needs.
type screen struct {
	Title, Section, Template string
	Actor, CSRF, Notice      string
	Role                     Role
	Named                    bool // whether the reader is a user, with a password of his own
	Version                  string
	Live                     bool
	Watch                    string
	Menu                     []Group
	Data                     any
}

// May reports whether the reader may do what the named role may. Templates ask it
// before they offer a button; the route asks again.
func (s screen) May(role Role) bool { return s.Role.Allows(role) }

// route is one address of the console.
type route struct {
	pattern string
	handler http.Handler
	needs   Role // the least role that it answers
	open    bool // answers without a session
}

// registerPages adds the pages of the console to the mux.
func (s *Server) registerPages(mux Mux) {
	for _, r := range s.book.routes {
		h := r.handler
		if !r.open {
			h = s.signedIn(s.needing(r.needs, h))
		}
		mux.Handle(r.pattern, h)
	}
}

// writePages puts every page into the book. Each line is one page, or what one
// of its forms does; pages of features elsewhere come through Config.Features.
func (s *Server) writePages(b *Book) {
	see := func(pattern string, f show) { b.page(Viewer, pattern, f) }
	change := func(pattern string, f show) { b.form(Operator, pattern, f) }
	adminSees := func(pattern string, f show) { b.page(Admin, pattern, f) }
	adminChanges := func(pattern string, f show) { b.form(Admin, pattern, f) }
	see("/{$}", s.overviewPage)
	see("/events", s.eventsPage)
	see("/events/compare", s.comparePage)
	see("/events/{id}", s.eventPage)
	see("/events/{id}/{action}", s.confirmEvent)
	change("/events/{id}/{action}", s.changeEvent)
	see("/people", s.peoplePage)
	see("/people/{id}", s.personPage)
	change("/people/{id}/converge", s.convergePerson)
	b.form(Viewer, "/people/{id}/read", s.readPerson)
	see("/people/{id}/why", s.whyPage)
	see("/mappings", s.mappingsPage)
	see("/mappings/merge", s.mergePage)
	see("/mappings/split", s.splitPage)
	see("/mappings/changes/{id}/undo", s.undoPage)
	change("/mappings/repair", s.repairFromPage)
	change("/mappings/merge", s.mergeFromPage)
	change("/mappings/split", s.splitFromPage)
	change("/mappings/changes/{id}/undo", s.undoFromPage)
	see("/mappings/resolve", s.resolvePage)
	change("/mappings/resolve", s.resolveFromPage)
	see("/messages", s.callsPage)
	see("/calls/{id}", s.callPage)
	see("/conflicts", s.conflictsPage)
	see("/conflicts/{id}", s.conflictPage)
	see("/conflicts/{id}/resolve", s.confirmConflict)
	change("/conflicts/{id}/resolve", s.conflictFromPage)
	see("/conflicts/bulk", s.conflictBulkPage)
	change("/conflicts/bulk", s.conflictBulkFromPage)
	see("/issues", s.issuesPage)
	see("/alerts", s.alertsPage)
	change("/alerts/{id}/{action}", s.alertForm)
	see("/sync-log", s.syncLogPage)
	s.writeListPages(see, change)
	see("/agents", s.agentsPage)
	see("/agents/{key}", s.agentPage)
	see("/agents/{key}/delete", s.confirmDeleteAgent)
	change("/agents", s.addAgent)
	change("/agents/{key}", s.editAgent)
	change("/agents/{key}/delete", s.removeAgent)
	adminSees("/keys", s.keysPage)
	adminSees("/keys/{id}/{action}", s.confirmKey)
	adminChanges("/keys", s.makeKey)
	adminChanges("/keys/{id}/{action}", s.changeKey)
	s.writeUserPages(b)
	see("/jobs", s.jobsPage)
	change("/jobs/ring", s.ringFromPage)
	b.serve(riverPath+"/", Viewer, http.HandlerFunc(s.riverPages))
	b.page(Operator, "/chat", s.chatPage)
	b.page(Operator, "/chat/{id}", s.chatPage)
	change("/chat/{id}/forget", s.forgetChat)
	b.serve("POST /chat/turn", Operator, http.HandlerFunc(s.chatTurn))
	see("/connections", s.connectionsPage)
	see("/audit", s.auditPage)
	adminSees("/settings", s.settingsPage)
	b.form(Viewer, "/sign-out", s.signOut)
	b.serve("/", Viewer, s.page(s.nothingHere))
	b.serve("GET /events/{id}/raw", Viewer, http.HandlerFunc(s.rawEvent))
	b.serve("GET /live", Viewer, http.HandlerFunc(s.live))
	b.open("GET /sign-in", s.signInPage)
	b.open("POST /sign-in", s.signIn)
	b.open("POST /sign-in/clerk", s.signInByClerk)
	b.open("GET /static/{file}", s.static)
	for _, add := range s.Features {
		add(b)
	}
}

// protect sets the headers that keep a page in its place.
func protect(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

type sessionKey struct{}

// visitor is the session of a request and what its cookie holds.
type visitor struct {
	session
	id string
}

func visitorOf(r *http.Request) visitor {
	v, _ := r.Context().Value(sessionKey{}).(visitor)
	return v
}

// signedIn lets requests of signed-in browsers pass, with the actor in their
// context, and sends the others to the sign-in page.
func (s *Server) signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protect(w)
		id := s.cookie(r)
		one, ok, err := s.sessions.find(r.Context(), id)
		if err != nil {
			s.failPage(w, r, err)
			return
		}
		if !ok {
			s.turnAway(w, r)
			return
		}
		ctx := context.WithValue(r.Context(), sessionKey{}, visitor{one, id})
		next.ServeHTTP(w, r.WithContext(auth.WithActor(ctx, one.actor)))
	})
}

// needing lets those pass whose role is enough.
func (s *Server) needing(role Role, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if has := visitorOf(r).role; !has.Allows(role) {
			s.failPage(w, r, &df.Error{Code: "FORBIDDEN", Status: http.StatusForbidden,
				Message: "Your role, " + string(has) + ", does not allow this. It takes the role " + string(role) + "."})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// page wraps what makes a page.
func (s *Server) page(f show) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, f) })
}

// form wraps what changes something: only a form of ours, sent from a page of
// ours by the browser that the page was made for, gets through.
func (s *Server) form(f show) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, formMost)
		if err := r.ParseForm(); err != nil {
			s.failPage(w, r, invalid("the form is too large or was cut off"))
			return
		}
		if s.crossOrigin.Check(r) != nil || !auth.Equal(r.PostForm.Get("csrf"), visitorOf(r).csrf) {
			s.failPage(w, r, &df.Error{Code: "FORBIDDEN", Status: http.StatusForbidden,
				Message: "this form was not sent from a page of yours, or its page is from an earlier sign-in; go back, reload and try again"})
			return
		}
		s.answer(w, r, f)
	})
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, f show) {
	v, err := f(r)
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	if v.redirect != "" {
		if v.notice != "" {
			s.leave(r, v.notice)
		}
		http.Redirect(w, r, v.redirect, http.StatusSeeOther)
		return
	}
	s.render(w, r, http.StatusOK, v)
}

// leave leaves a notice for the browser's next page. What it tells of is done, so
// that it cannot be left is no failure.
func (s *Server) leave(r *http.Request, notice string) {
	if err := s.sessions.say(r.Context(), visitorOf(r).id, notice); err != nil {
		s.Log.Warn("a notice of the console is lost", "error", err)
	}
}

// failPage says what went wrong in words that hold nothing of our inside.
func (s *Server) failPage(w http.ResponseWriter, r *http.Request, err error) {
	known := df.AsError(err)
	switch {
	case errors.Is(err, store.ErrNotFound):
		known = &df.Error{Code: "NOT_FOUND", Message: "There is nothing with this id. It may have been deleted or merged.", Status: http.StatusNotFound}
	case errors.Is(err, store.ErrState):
		known = &df.Error{Code: "CONFLICT", Message: "This is not possible in the state that it is in now. Somebody may have been faster: look again.",
			Status: http.StatusConflict}
	}
	if known.Status >= 500 {
		s.Log.Error("a page of the console failed", "route", r.Pattern, "error", err)
	}
	s.render(w, r, known.Status, view{template: "error.html", title: http.StatusText(known.Status), data: known})
}

// nothingHere answers every address that is none.
func (s *Server) nothingHere(*http.Request) (view, error) {
	return view{}, &df.Error{Code: "NOT_FOUND", Message: "There is no page with this address.", Status: http.StatusNotFound}
}

// render writes a page. A browser that has the same page already is told so,
// which keeps a page that is refreshed every few seconds still.
func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, v view) {
	who := visitorOf(r)
	around := screen{
		Title: v.title, Section: v.section, Template: v.template, Actor: nameOf(who.actor), CSRF: who.csrf, Role: who.role, Named: who.user != "",
		Version: s.Version, Live: v.live, Watch: v.watch, Data: v.data,
	}
	refresh := r.Header.Get("If-None-Match")
	if who.actor != "" {
		around.Menu = s.book.menuFor(who.role, v.section, s.overview.waiting(r.Context()))
		if refresh == "" {
			var err error
			if around.Notice, err = s.sessions.hear(r.Context(), who.id, who.notice); err != nil {
				s.Log.Warn("a notice of the console is lost", "error", err)
			}
		}
	}
	var out bytes.Buffer
	if err := s.templates[v.template].ExecuteTemplate(&out, "base.html", around); err != nil {
		s.Log.Error("a page could not be made", "template", v.template, "error", err)
		http.Error(w, "This page could not be made. The log says why.", http.StatusInternalServerError)
		return
	}
	sum := sha256.Sum256(out.Bytes())
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("ETag", tag)
	if status == http.StatusOK && refresh == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // the reader may have gone
}

// static serves the style sheet, the script and the icon.
func (s *Server) static(w http.ResponseWriter, r *http.Request) {
	protect(w)
	file := r.PathValue("file")
	data, err := embedded.ReadFile(path.Join("static", path.Base(file)))
	if err != nil {
		http.Error(w, "There is no such file.", http.StatusNotFound)
		return
	}
	kind := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}[path.Ext(file)]
	sum := sha256.Sum256(data)
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", `"`+hex.EncodeToString(sum[:12])+`"`)
	if r.Header.Get("If-None-Match") == h.Get("ETag") {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(data) // the reader may have gone
}

// pager leads through a list that is paged by cursor.
type pager struct {
	First string // the list's beginning, when this is a later page
	Next  string // the following page, when there is one
}

// pagerOf makes the links of a list's page out of the address it was asked by.
func pagerOf(r *http.Request, next *string) pager {
	q := r.URL.Query()
	var p pager
	if q.Get("cursor") != "" {
		p.First = linkWith(r, q, "")
	}
	if next != nil {
		p.Next = linkWith(r, q, *next)
	}
	return p
}

func linkWith(r *http.Request, q url.Values, cursor string) string {
	q.Del("cursor")
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	if len(q) == 0 {
		return r.URL.Path
	}
	return r.URL.Path + "?" + q.Encode()
}

// listOf returns the rows and the next cursor of an answer of the JSON API.
func listOf[T any](answer any, err error) ([]T, *string, error) {
	if err != nil {
		return nil, nil, err
	}
	list, ok := answer.(page)
	rows, rowsOK := list.Data.([]T)
	if !ok || !rowsOK {
		return nil, nil, fmt.Errorf("the answer holds %T, which is no such list", answer)
	}
	return rows, list.Next, nil
}

// localPath returns the path and query of a link that stays within the console,
// and "/" for any other.
func localPath(link string) string {
	u, err := url.Parse(link)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") ||
		strings.ContainsAny(link, "\\\r\n\t") {
		return "/"
	}
	return u.RequestURI()
}

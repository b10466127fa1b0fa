package app

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/sandbox"
)

// public are the addresses that do something other than refuse a stranger, and
// why. Whatever is not here must refuse: a new route fails the test until it asks
// for a proof, or until somebody writes here why it need not.
var public = map[string]struct {
	why   string
	gives bool // answers with 2xx; the others refuse in their own words
}{
	"web GET /sign-in":                              {"where proofs are shown", true},
	"web POST /sign-in":                             {"judges a proof; a form that is not from its page gets 403", false},
	"web POST /sign-in/clerk":                       {"judges a proof", false},
	"web GET /static/{file}":                        {"style sheet, script and icon", true},
	"web GET /health":                               {"for load balancers: no data", true},
	"web GET /api/health":                           {"for load balancers: no data", true},
	"web GET /ready":                                {"for load balancers: no data", true},
	"web GET /metrics":                              {"counts, from closed sets; kept off the internet", true},
	"web GET /api/metrics":                          {"counts, from closed sets; kept off the internet", true},
	"web /.well-known/oauth-protected-resource":     {"OAuth metadata (RFC 9728)", true},
	"web /.well-known/oauth-protected-resource/mcp": {"OAuth metadata (RFC 9728)", true},
	"web GET /leadconnector/install":                {"sends the browser to GHL, which asks who it is", false},
	"web GET /leadconnector/oauth":                  {"the state is signed and good once", false},
	"web GET /recordings/{token}":                   {"the link is signed and ends", false},
	"web /api/":                                     {"says that there is no such route", false},
	"gateway /health":                               {"for load balancers: no data", true},
	"gateway /ready":                                {"for load balancers: no data", true},
	"gateway /metrics":                              {"counts, from closed sets; kept off the internet", true},
	"metrics GET /health":                           {"for load balancers: no data", true},
	"metrics GET /ready":                            {"for load balancers: no data", true},
	"metrics GET /metrics":                          {"counts, from closed sets; kept off the internet", true},
	"status GET /health":                            {"for load balancers: no data", true},
	"status GET /ready":                             {"for load balancers: no data", true},
	"status GET /metrics":                           {"counts, from closed sets; kept off the internet", true},
}

// filled makes an address of a pattern. What the test does not name becomes x.
var filled = strings.NewReplacer("{$}", "", "{file}", "console.css", "{source}", "ghl", "{action}", "replay")

var parameter = regexp.MustCompile(`\{[^}]+\}`)

// asks returns the requests that a pattern stands for.
func asks(pattern string) (methods []string, path string) {
	method, path, found := strings.Cut(pattern, " ")
	if !found {
		method, path = "", pattern
	}
	if strings.HasSuffix(path, "/") { // a tree
		path += "nowhere"
	}
	path = parameter.ReplaceAllString(filled.Replace(path), "x")
	if method != "" {
		return []string{method}, path
	}
	return []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}, path
}

// refuses reports whether an answer says that a proof is missing: 401, or for a
// browser the way to the sign-in page.
func refuses(response *http.Response) bool {
	return response.StatusCode == http.StatusUnauthorized ||
		response.StatusCode == http.StatusSeeOther && strings.HasPrefix(response.Header.Get("Location"), "/sign-in?next=")
}

// stranger shows nothing, and comes from an address of its own each time, so that
// the brake does not hide what an address answers.
type stranger struct {
	client *http.Client
	tries  int
}

func (s *stranger) ask(t *testing.T, method, address string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	s.tries++
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("192.0.%d.%d", s.tries/250, s.tries%250+1))
	r.Header.Set("Content-Type", "application/json")
	response, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response
}

// exposed asks every address of a server as a stranger does, and returns what is
// wrong with the answers. It notes which of the public ones it has met.
func exposed(t *testing.T, who *stranger, server, base string, patterns []string, met map[string]bool) (faults []string) {
	t.Helper()
	for _, pattern := range patterns {
		name := server + " " + pattern
		open, known := public[name]
		met[name] = true
		methods, path := asks(pattern)
		refused := false
		for _, method := range methods {
			response := who.ask(t, method, base+path)
			given := response.StatusCode >= 200 && response.StatusCode < 300
			switch {
			case known && !given, known && open.gives && given:
			case refuses(response):
				refused = true
			case response.StatusCode == http.StatusMethodNotAllowed && len(methods) > 1:
			case response.StatusCode == http.StatusNoContent && method == http.MethodOptions: // what browsers ask first; it tells nothing
			default:
				faults = append(faults, fmt.Sprintf("%s answers %s without a proof by %d", name, method, response.StatusCode))
			}
		}
		if !known && !refused {
			faults = append(faults, name+" never asked for a proof")
		}
	}
	return faults
}

// addresses lists what a server of the program answers at.
func (a *App) addresses(t *testing.T, s *server) []string {
	t.Helper()
	switch h := s.handler.(type) {
	case *routes:
		return h.patterns
	case interface{ Routes() []string }:
		return h.Routes()
	}
	t.Fatalf("nobody knows what the server %s answers at", s.name)
	return nil
}

func newStranger() *stranger {
	return &stranger{client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func TestNoAddressAnswersAStranger(t *testing.T) {
	t.Parallel()
	world := newWorld(t, sandbox.Config{})
	behind := map[string]string{"DFM_TRUSTED_PROXIES": "127.0.0.0/8", "DFM_METRICS_ADDR": "127.0.0.1:0", "X_DF_JOBS_SECRET": "test-jobs-secret"}
	all := build(t, world, databases()["sqlite"](t), time.Now, behind)
	start(t, world, all)
	maps.Copy(behind, map[string]string{"DFM_ROLES": "worker,scheduler"})
	working := build(t, world, databases()["sqlite"](t), time.Now, behind)
	start(t, world, working)
	who, met, asked := newStranger(), map[string]bool{}, 0
	for _, a := range []*App{all, working} {
		for _, s := range a.servers {
			patterns := a.addresses(t, s)
			asked += len(patterns)
			for _, fault := range exposed(t, who, s.name, "http://"+s.listener.Addr().String(), patterns, met) {
				t.Error(fault)
			}
		}
	}
	if asked < 150 {
		t.Errorf("only %d addresses: the test looks at the wrong thing", asked)
	}
	for name := range public {
		if !met[name] {
			t.Errorf("there is no %s any more", name)
		}
	}
}

// The test above must be able to fail: a route that somebody adds and that lets
// strangers in, or that merely does not ask, is reported.
func TestARouteThatNobodyClassifiedIsReported(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]int{200: 2, 204: 2, 404: 2, 400: 2, 302: 2, 500: 2, 401: 0} {
		mux := newRoutes()
		mux.HandleFunc("GET /planted", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		served := httptest.NewServer(mux)
		defer served.Close()
		if faults := exposed(t, newStranger(), "web", served.URL, mux.patterns, map[string]bool{}); len(faults) != want {
			t.Errorf("%d: %q", status, faults)
		}
	}
}

// reader is somebody who is signed in at the console by name.
type reader struct {
	*testing.T
	base string
	http *http.Client
	csrf string
}

func signInAs(t *testing.T, a *App, role console.Role) *reader {
	t.Helper()
	u, err := a.window.Accounts.Create(auth.WithActor(t.Context(), "admin"), auth.NewUser{Name: "The " + string(role), Email: string(role) + "@example.test",
		Role: role, Password: "password-of-the-tests"})
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{t, a.URL("web"), &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, ""}
	_, page := r.ask(http.MethodGet, "/sign-in", nil)
	r.csrf = csrfField.FindStringSubmatch(page)[1]
	response, page := r.ask(http.MethodPost, "/sign-in", url.Values{"email": {u.Email}, "secret": {"password-of-the-tests"}})
	if response.StatusCode != http.StatusSeeOther {
		t.Fatalf("%s signs in: %d %.300s", role, response.StatusCode, page)
	}
	_, page = r.ask(http.MethodGet, "/agents", nil)
	r.csrf = csrfField.FindStringSubmatch(page)[1]
	return r
}

// ask sends a request with the form's token. Of a stream it reads nothing.
func (r *reader) ask(method, path string, form url.Values) (*http.Response, string) {
	r.Helper()
	var body io.Reader
	if method != http.MethodGet {
		if form == nil {
			form = url.Values{}
		}
		form.Set("csrf", r.csrf)
		body = strings.NewReader(form.Encode())
	}
	request, err := http.NewRequestWithContext(r.Context(), method, r.base+path, body)
	if err != nil {
		r.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("X-Dfm-Csrf", r.csrf)
	response, err := r.http.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		return response, ""
	}
	data, err := io.ReadAll(response.Body)
	if err != nil {
		r.Fatal(err)
	}
	return response, string(data)
}

// onlyAdmins are the pages that only administrators may see, beside what the
// routes say of themselves.
var onlyAdmins = []string{"/keys", "/users", "/settings"}

// viewersPost are the forms that even a viewer may send, and why.
var viewersPost = map[string]string{
	"POST /sign-out": "everybody may leave", "POST /password": "his own", "POST /people/{id}/read": "reads both systems, changes nothing",
}

func TestEachRoleGetsWhatItMayAndNothingElse(t *testing.T) {
	t.Parallel()
	a := build(t, newWorld(t, sandbox.Config{}), databases()["sqlite"](t), time.Now, nil)
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, a) })
	pages := a.window.Routes()
	if len(pages) < 60 {
		t.Fatalf("only %d pages: the test looks at the wrong thing", len(pages))
	}
	for _, role := range auth.Roles() {
		who := signInAs(t, a, role)
		for _, page := range pages {
			methods, path := asks(page.Pattern)
			if !strings.Contains(page.Pattern, " ") {
				methods = []string{http.MethodGet, http.MethodPost}
			}
			if page.Open || path == "/sign-out" {
				continue
			}
			for _, admins := range onlyAdmins {
				if (path == admins || strings.HasPrefix(path, admins+"/")) && page.Needs != console.Admin {
					t.Errorf("%s lets a %s in", page.Pattern, page.Needs)
				}
			}
			if methods[0] == http.MethodPost && page.Needs == console.Viewer && viewersPost[page.Pattern] == "" {
				t.Errorf("%s changes something for a viewer", page.Pattern)
			}
			for _, method := range methods {
				response, body := who.ask(method, path, nil)
				denied := response.StatusCode == http.StatusForbidden && strings.Contains(body, "does not allow this") && strings.Contains(body, "<main")
				if may := role.Allows(page.Needs); denied == may || refuses(response) {
					t.Errorf("%s asks %s %s, for which it takes %s: %d %.200s", role, method, page.Pattern, page.Needs, response.StatusCode, body)
				}
			}
		}
	}
}

// A sign-in outlives the program that gave it, and a user who was disabled
// elsewhere is out here.
func TestASignInSurvivesARestartAndADisabledUserDoesNot(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		world := newWorld(t, sandbox.Config{})
		one := build(t, world, databaseURL, time.Now, nil)
		if err := one.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		who := signInAs(t, one, console.Operator)
		at, err := url.Parse(who.base)
		if err != nil {
			t.Fatal(err)
		}
		cookies := who.http.Jar.Cookies(at)
		stop(t, one)
		two := build(t, world, databaseURL, time.Now, nil)
		start(t, world, two)
		who.base = two.URL("web")
		if at, err = url.Parse(who.base); err != nil {
			t.Fatal(err)
		}
		who.http.Jar.SetCookies(at, cookies)
		if response, body := who.ask(http.MethodGet, "/agents", nil); response.StatusCode != http.StatusOK || !strings.Contains(body, "The operator") {
			t.Fatalf("after a restart: %d", response.StatusCode)
		}
		off := true
		users := two.users(auth.NewBrake(time.Now)) // as the command line has them
		u, err := users.Find(t.Context(), "operator@example.test")
		if err == nil {
			_, err = users.Change(t.Context(), u.ID, auth.UserChange{Disabled: &off})
		}
		if err != nil {
			t.Fatal(err)
		}
		if response, _ := who.ask(http.MethodGet, "/agents", nil); !refuses(response) {
			t.Errorf("disabled: %d", response.StatusCode)
		}
		if err := two.prune(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Clerk vouches by a token that the gateway's own verifier judges, for whoever is
// linked by id.
func TestAClerkTokenOfTheSandboxSignsIn(t *testing.T) {
	t.Parallel()
	world := newWorld(t, sandbox.Config{})
	a := build(t, world, databases()["sqlite"](t), time.Now, nil)
	start(t, world, a)
	token, err := a.token.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exchange := func() int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.URL("web")+"/sign-in/clerk", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token.Reveal())
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	if got := exchange(); got != http.StatusUnauthorized {
		t.Errorf("nobody is linked: %d", got)
	}
	subject, err := a.clerkUser()(t.Context(), token.Reveal())
	if err != nil || subject == "" {
		t.Fatalf("%q, %v", subject, err)
	}
	if _, err := a.window.Accounts.Create(t.Context(), auth.NewUser{Name: "Dana", Email: "dana@example.test", Role: console.Viewer, ClerkUserID: subject}); err != nil {
		t.Fatal(err)
	}
	if got := exchange(); got != http.StatusOK {
		t.Errorf("linked: %d", got)
	}
}

func TestAPatternIsAskedInEveryWayItAnswers(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]int{"GET /x": 1, "/{x}": 7, "/x{$}": 7} {
		if methods, path := asks(pattern); len(methods) != want || path != "/x" || !slices.Contains(methods, http.MethodGet) {
			t.Errorf("%s: %v %s", pattern, methods, path)
		}
	}
}

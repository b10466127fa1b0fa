package tools

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/df-middleware/dfm"

// arrows is the picture of the rooms in the design, as a table: what the
// production code of each room may import of ours. Importing only downwards
// keeps a room readable on its own. A new room adds its line here.
//
// Within a row of the picture one direction is allowed where the design itself
// says so: converge asks consent whether it may, and both ask people who is who.
var arrows = map[string][]string{
	"cmd": {"app", "df"},
	"app": {
		"alerts", "aloware", "appointments", "auth", "backup", "broadcasts", "calls", "consent", "console", "converge", "df", "effects", "egress", "explain", "ghl", "inbox",
		"legacy", "lists", "messages", "observe", "openapi", "people", "queue", "reconcile", "replay", "retention", "sandbox", "store", "texting", "verity",
	},

	"console": {"alerts", "appointments", "auth", "calls", "consent", "converge", "df", "explain", "lists", "observe", "people", "queue", "store"},
	"verity":  {"auth", "consent", "converge", "df", "egress", "observe", "people", "queue", "store"},
	"inbox":   {"auth", "consent", "converge", "df", "observe", "people", "queue", "store"},

	"converge":     {"consent", "df", "observe", "people", "queue", "store"},
	"messages":     {"consent", "df", "effects", "observe", "people", "store"},
	"calls":        {"df", "effects", "people", "store"},
	"effects":      {"df", "people", "store"},
	"broadcasts":   {"df", "effects", "people", "store"},
	"appointments": {},
	"consent":      {"df", "observe", "people", "queue", "store"},
	"people":       {"df", "observe", "queue", "store"},
	"auth":         {"df", "egress", "observe", "store"},
	"lists":        {"consent", "df", "observe", "people", "store"},
	"reconcile":    {"consent", "converge", "df", "observe", "people", "queue", "store"},
	"legacy":       {"consent", "df", "people", "store"},
	"replay":       {"converge", "df", "people", "store"},
	"retention":    {"df", "store"},
	"explain":      {"consent", "converge", "df", "lists", "people", "store"},

	"alerts": {"df", "egress", "store"},
	"backup": {"consent", "df", "store"},

	"queue": {"df", "observe", "store"},
	"store": {"df", "observe"},

	"ghl":     {"df", "egress", "payload"},
	"aloware": {"df", "egress", "payload"},
	"texting": {"df", "egress", "payload"},
	"egress":  {"df", "observe"},

	"observe": {"df"},
	"openapi": {},
	"payload": {},
	"df":      {},

	// The sandbox plays the outside world; it would prove nothing if it
	// shared the code that it is there to test.
	"sandbox": {"df"},
	// The benchmarks look at the program from outside.
	"bench": {},
	"e2e":   {},
	"tools": {},
}

// reserved are packages from elsewhere that only some rooms may use.
var reserved = []struct {
	path  string // the package and everything below it
	rooms []string
	why   string
}{
	{"database/sql", []string{"store", "bench"}, "the store is the only seam to the database"},
	{"github.com/jackc/pgx/v5", []string{"store", "bench"}, "the store is the only seam to the database"},
	{"modernc.org/sqlite", []string{"store", "bench"}, "the store is the only seam to the database"},
	{"riverqueue.com/riverui", []string{"store", "console"}, "the job engine is the queue's, and its pages are the console's"},
	{"github.com/riverqueue/river", []string{"store", "queue", "console", "app"}, "the job engine is the queue's"},
	{"go.opentelemetry.io", []string{"observe"}, "rooms speak of spans in the words of observe"},
	{"testing", nil, "production code does not depend on tests"},
	{"net/http/httptest", []string{"sandbox"}, "production code does not depend on tests"},
	{"pgregory.net/rapid", nil, "production code does not depend on tests"},
	{"go.uber.org/goleak", nil, "production code does not depend on tests"},
}

// wayOut are the rooms that may open outgoing connections: egress for the
// product, the sandbox because it is the outside world, the benchmarks because
// they are the load.
var wayOut = []string{"egress", "sandbox", "bench"}

// outgoing are the names that open connections. Those marked true are types
// that a room may be handed behind a pointer, but may not make.
var outgoing = map[string]map[string]bool{
	"net/http": {
		"Client": true, "Transport": true,
		"DefaultClient": false, "DefaultTransport": false,
		"Get": false, "Head": false, "Post": false, "PostForm": false,
	},
	"net": {
		"Dialer": true, "Dial": false, "DialTimeout": false,
		"DialIP": false, "DialTCP": false, "DialUDP": false, "DialUnix": false,
	},
	"crypto/tls":        {"Dialer": true, "Dial": false, "DialWithDialer": false, "Client": false},
	"net/http/httputil": {"NewSingleHostReverseProxy": false},
	"net/smtp":          {"Dial": false, "SendMail": false},
}

// poorNames say nothing about what is inside.
var poorNames = []string{"util", "utils", "common", "helpers", "helper", "models", "types", "misc", "shared"}

func TestRoomsImportOnlyDownwards(t *testing.T) {
	files := tree(t, goFiles)
	if len(files) == 0 {
		t.Fatal("found no Go files: the rule looked at nothing")
	}
	for _, file := range files {
		report(t, importFaults(file))
	}
}

func TestTheArrowsHaveNoCycle(t *testing.T) {
	const (
		unseen = iota
		open
		closed
	)
	state := map[string]int{}
	var visit func(name string, trail []string)
	visit = func(name string, trail []string) {
		switch state[name] {
		case open:
			t.Errorf("the arrows go round in a circle: %s", strings.Join(append(trail, name), " -> "))
		case unseen:
			state[name] = open
			for _, next := range arrows[name] {
				if _, ok := arrows[next]; !ok {
					t.Errorf("%s may import %s, which is no room", name, next)
				}
				visit(next, append(trail, name))
			}
			state[name] = closed
		}
	}
	for name := range arrows {
		visit(name, nil)
	}
}

func TestPlantedImportsAreCaught(t *testing.T) {
	const store = `import _ "github.com/df-middleware/dfm/internal/store"`
	cases := []struct {
		title, name, text string
		want              string // part of the only fault; empty when there is none
	}{
		{"upstream room imports the store", "internal/ghl/client.go", store, "ghl may not import store"},
		{"the same behind a build tag", "internal/ghl/client.go", "//go:build browser\n\npackage x\n" + store, "ghl may not import store"},
		{"one upstream room imports another", "internal/ghl/client.go", `import _ "github.com/df-middleware/dfm/internal/aloware"`, "ghl may not import aloware"},
		{"upwards", "internal/store/store.go", `import _ "github.com/df-middleware/dfm/internal/queue"`, "store may not import queue"},
		{"the vocabulary imports a room", "internal/df/phone.go", `import _ "github.com/df-middleware/dfm/internal/egress"`, "df may not import egress"},
		{"a room deep down imports the sandbox", "internal/verity/mcp/server.go", `import _ "github.com/df-middleware/dfm/internal/sandbox"`, "verity may not import sandbox"},
		{"main passes by app", "cmd/dfm/main.go", store, "cmd may not import store"},
		{"an unknown room", "internal/surprise/x.go", "", "has no line"},
		{"a poor name", "internal/store/util/x.go", "", `says nothing`},
		{"production uses a test suite", "internal/app/app.go", `import _ "github.com/df-middleware/dfm/internal/store/storetest"`, "test suite"},
		{"a driver outside the store", "internal/people/match.go", `import _ "github.com/jackc/pgx/v5/pgxpool"`, "only seam"},
		{"production imports testing", "internal/people/match.go", `import _ "testing/fstest"`, "does not depend on tests"},
		{"makes a client", "internal/verity/proxy.go", "import \"net/http\"\nvar c = &http.Client{}", "http.Client"},
		{"makes a client under another name", "internal/verity/proxy.go", "import web \"net/http\"\nvar c web.Client", "web.Client"},
		{"makes a client with new", "internal/verity/proxy.go", "import \"net/http\"\nvar c = new(http.Client)", "http.Client"},
		{"borrows the default client", "internal/auth/jwks.go", "import \"net/http\"\nfunc f() { http.Get(\"x\") }", "http.Get"},
		{"copies the default transport", "internal/auth/jwks.go", "import \"net/http\"\nvar t = http.DefaultTransport", "http.DefaultTransport"},
		{"dials", "internal/observe/alert.go", "import \"net\"\nvar c, _ = net.Dial(\"tcp\", \"x\")", "net.Dial"},
		{"a dot import hides the client", "internal/auth/jwks.go", "import . \"net/http\"\nvar c = DefaultClient", "dot import"},
		{"a reverse proxy on the default transport", "internal/verity/proxy.go", "import \"net/http/httputil\"\nvar p = &httputil.ReverseProxy{}", "Transport"},

		{"app makes a client of its own", "internal/app/clients.go", "import \"net/http\"\nvar c = &http.Client{}", "http.Client"},
		{"a room makes a client around a transport", "internal/verity/proxy.go", "import \"net/http\"\nvar c = &http.Client{Transport: nil}", "http.Client"},

		{"is handed a client", "internal/verity/proxy.go", "import \"net/http\"\ntype p struct{ c *http.Client }", ""},
		{"a reverse proxy on a given transport", "internal/verity/proxy.go", "import \"net/http/httputil\"\nvar p = &httputil.ReverseProxy{Transport: nil}", ""},
		{"serves", "internal/inbox/routes.go", "import \"net/http\"\nfunc f(w http.ResponseWriter, r *http.Request) {}", ""},
		{"egress makes its client", "internal/egress/client.go", "import \"net/http\"\nvar c = &http.Client{}", ""},
		{"an adapter imports its own room", "internal/store/sqlite/sqlite.go", store, ""},
		{"app wires the sandbox", "internal/app/demo.go", `import _ "github.com/df-middleware/dfm/internal/sandbox"`, ""},
		{"app wires a client", "internal/app/clients.go", "import \"net/http\"\nvar c = &http.Client{Transport: nil}", ""},
		{"a test uses the sandbox", "internal/ghl/client_test.go", `import _ "github.com/df-middleware/dfm/internal/sandbox"`, ""},
		{"a suite uses testing", "internal/store/storetest/basic.go", `import _ "testing"`, ""},
	}
	for _, c := range cases {
		t.Run(c.title, func(t *testing.T) {
			text := c.text
			if !strings.Contains(text, "package ") {
				text = "package x\n" + text
			}
			faults := importFaults(source{name: c.name, text: []byte(text)})
			if c.want == "" {
				report(t, faults)
				return
			}
			if len(faults) != 1 || !strings.Contains(faults[0], c.want) {
				t.Errorf("faults = %q, want one with %q", faults, c.want)
			}
		})
	}
}

// importFaults lists what the file imports or opens against the rules. Files of
// tests may import anything: the compiler alone keeps them from running in circles.
func importFaults(s source) []string {
	file, err := parser.ParseFile(token.NewFileSet(), s.name, s.text, parser.SkipObjectResolution)
	if err != nil {
		return []string{fmt.Sprintf("%s: %v", s.name, err)}
	}
	if name := path.Base(path.Dir(s.name)); slices.Contains(poorNames, name) {
		return []string{fmt.Sprintf("%s: the package name %q says nothing about what is inside", s.name, name)}
	}
	own := room(s.name)
	if _, known := arrows[own]; !known {
		return []string{fmt.Sprintf("%s: room %s has no line in the table of arrows", s.name, own)}
	}
	if s.inTest() {
		return nil
	}
	var faults []string
	names := map[string]string{}
	for _, spec := range file.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return []string{fmt.Sprintf("%s: %v", s.name, err)}
		}
		names[localName(spec, target)] = target
		if why := forbidden(own, target); why != "" {
			faults = append(faults, s.name+": "+why)
		}
	}
	if slices.Contains(wayOut, own) {
		return faults
	}
	for _, name := range opened(own, file, names) {
		faults = append(faults, fmt.Sprintf("%s: %s: only egress opens outgoing connections", s.name, name))
	}
	return faults
}

// forbidden says why a room may not import the target, or nothing.
func forbidden(own, target string) string {
	for _, r := range reserved {
		if within(target, r.path) && !slices.Contains(r.rooms, own) {
			return fmt.Sprintf("%s may not import %s: %s", own, target, r.why)
		}
	}
	rel, ours := strings.CutPrefix(target, module+"/")
	if !ours {
		return ""
	}
	if isSuite(rel) {
		return fmt.Sprintf("%s may not import %s: it is a test suite", own, target)
	}
	to := room(rel)
	if to == own || slices.Contains(arrows[own], to) {
		return ""
	}
	return fmt.Sprintf("%s may not import %s", own, to)
}

// within reports whether the import path is the prefix or lies below it.
func within(target, prefix string) bool {
	return target == prefix || strings.HasPrefix(target, prefix+"/")
}

// localName is the name by which the file speaks of an import.
func localName(spec *ast.ImportSpec, target string) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	return path.Base(target)
}

// opened lists the names in the room's file that open outgoing connections. App,
// which wires, may put a client around a transport that egress made.
func opened(own string, file *ast.File, names map[string]string) []string {
	var found []string
	if _, watched := outgoing[names["."]]; watched {
		found = append(found, "dot import of "+names["."])
	}
	handed := map[ast.Expr]bool{}
	ast.Inspect(file, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.StarExpr:
			handed[n.X] = true
		case *ast.CompositeLit:
			of, given := transported(n)
			if own == "app" && given {
				handed[n.Type] = true
			}
			if of == "ReverseProxy" && !given {
				found = append(found, "httputil.ReverseProxy without a Transport")
			}
		case *ast.SelectorExpr:
			base, ok := n.X.(*ast.Ident)
			if !ok {
				return true
			}
			isType, watched := outgoing[names[base.Name]][n.Sel.Name]
			if watched && !(isType && handed[n]) {
				found = append(found, base.Name+"."+n.Sel.Name)
			}
		}
		return true
	})
	return found
}

// transported names the type of a struct literal from another package, and says
// whether the literal sets the field Transport.
func transported(lit *ast.CompositeLit) (of string, given bool) {
	selector, ok := lit.Type.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	for _, element := range lit.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		if key, ok := pair.Key.(*ast.Ident); ok && key.Name == "Transport" {
			given = true
		}
	}
	return selector.Sel.Name, given
}

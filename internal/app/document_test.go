package app

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/df-middleware/dfm/internal/openapi"
	"github.com/df-middleware/dfm/internal/sandbox"
)

// described is an OpenAPI document that answers are judged by.
type described struct {
	paths   map[string]map[string]operationIn
	schemas *jsonschema.Compiler
	root    any
}

// operationIn is one operation as the document has it.
type operationIn struct {
	OperationID string
	Parameters  []parameterIn
	RequestBody struct {
		Content map[string]struct{ Example any }
	}
	Responses map[string]any
	Security  []any

	method, path string
}

type parameterIn struct {
	Ref      string `json:"$ref"`
	Name     string
	In       string
	Required bool
	Example  any
	Schema   struct {
		Type   string
		Format string
		Enum   []string
		Ref    string `json:"$ref"`
	}
}

func describedBy(t *testing.T, data []byte) *described {
	t.Helper()
	var document struct {
		Paths map[string]map[string]operationIn
	}
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	d := &described{paths: document.Paths, schemas: jsonschema.NewCompiler(), root: root}
	d.schemas.AssertFormat()
	if err := d.schemas.AddResource("https://dfm.example.test/openapi.json", root); err != nil {
		t.Fatal(err)
	}
	for path, methods := range d.paths {
		for method, op := range methods {
			op.method, op.path = strings.ToUpper(method), path
			for i, p := range op.Parameters {
				if p.Ref != "" {
					d.read(t, p.Ref, &op.Parameters[i])
				}
				if p := &op.Parameters[i]; p.Schema.Ref != "" {
					d.read(t, p.Schema.Ref, &p.Schema)
				}
			}
			methods[method] = op
		}
	}
	return d
}

// at returns what a pointer into the document leads to.
func (d *described) at(pointer string) any {
	value := d.root
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "#/"), "/") {
		inside, _ := value.(map[string]any)
		value = inside[strings.NewReplacer("~1", "/", "~0", "~").Replace(step)]
	}
	return value
}

func (d *described) read(t *testing.T, pointer string, to any) {
	t.Helper()
	data, err := json.Marshal(d.at(pointer))
	if err == nil {
		err = json.Unmarshal(data, to)
	}
	if err != nil || string(data) == "null" {
		t.Fatalf("%s leads nowhere: %v", pointer, err)
	}
}

// operations lists all of them, in their order.
func (d *described) operations() []operationIn {
	var all []operationIn
	for _, path := range slices.Sorted(maps.Keys(d.paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.paths[path])) {
			all = append(all, d.paths[path][method])
		}
	}
	return all
}

// judge says what is wrong with an answer, or "".
func (d *described) judge(op operationIn, status int, contentType string, body []byte) string {
	place := "#/paths/" + strings.ReplaceAll(op.path, "/", "~1") + "/" + strings.ToLower(op.method) + "/responses/"
	response, known := d.at(place + numeral(status)).(map[string]any)
	if known {
		place += numeral(status)
	} else if response, known = d.at(place + "default").(map[string]any); known {
		place += "default"
	}
	if !known {
		return "the status is not described"
	}
	if ref, isRef := response["$ref"].(string); isRef {
		place = ref
		response, _ = d.at(ref).(map[string]any)
	}
	kind, _, _ := strings.Cut(contentType, ";")
	contents, _ := response["content"].(map[string]any)
	if contents == nil {
		return ""
	}
	content, known := contents[kind].(map[string]any)
	if !known {
		return "the type " + contentType + " is not described"
	}
	if kind != "application/json" || content["schema"] == nil {
		return ""
	}
	schema, err := d.schemas.Compile("https://dfm.example.test/openapi.json" + place + "/content/application~1json/schema")
	if err != nil {
		return err.Error()
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err.Error()
	}
	if err := schema.Validate(value); err != nil {
		return err.Error()
	}
	return ""
}

func numeral(status int) string {
	data, _ := json.Marshal(status)
	return string(data)
}

// patternsOf are the operations of the document as patterns.
func (d *described) patterns() []string {
	var all []string
	for _, op := range d.operations() {
		all = append(all, op.method+" "+op.path)
	}
	return all
}

// compareRoutes names the routes that the document lacks and the operations that
// there is no route for. A route without a method needs one operation or more.
func compareRoutes(served, described []string) (faults []string) {
	for _, pattern := range served {
		_, path, hasMethod := strings.Cut(pattern, " ")
		found := slices.Contains(described, pattern)
		if !hasMethod {
			path = pattern
			found = slices.ContainsFunc(described, func(one string) bool { return strings.HasSuffix(one, " "+path) })
		}
		if !found {
			faults = append(faults, pattern+" is served and not described")
		}
	}
	for _, pattern := range described {
		_, path, _ := strings.Cut(pattern, " ")
		if !slices.Contains(served, pattern) && !slices.Contains(served, path) {
			faults = append(faults, pattern+" is described and not served")
		}
	}
	return faults
}

// The web app's document names exactly the routes that there are. What it leaves
// out are the pages of the console, and the answer to addresses that are none.
func TestTheDocumentNamesTheRoutesThatThereAre(t *testing.T) {
	world := newWorld(t, sandbox.Config{})
	a := build(t, world, databases()["sqlite"](t), (&skipping{}).now, nil)
	start(t, world, a)
	pages := map[string]bool{"/api/": true}
	for _, page := range a.window.Routes() {
		pages[page.Pattern] = true
	}
	var served []string
	for _, s := range a.servers {
		if s.name == "web" {
			served = slices.DeleteFunc(slices.Clone(s.handler.(*routes).patterns), func(pattern string) bool { return pages[pattern] })
		}
	}
	if len(served) < 80 {
		t.Fatalf("only %d routes were found", len(served))
	}
	faults := compareRoutes(served, describedBy(t, a.document).patterns())
	data, err := openapi.Gateway(openapi.About{})
	if err != nil {
		t.Fatal(err)
	}
	// The gateway takes what follows the proxy's path as it is, and forgives a slash.
	gateway := slices.DeleteFunc(a.gateway.door.Routes(), func(pattern string) bool { return strings.HasSuffix(pattern, "{$}") })
	gateway[slices.Index(gateway, "/api/verity/proxy/")] = "/api/verity/proxy/{path}"
	for _, fault := range append(faults, compareRoutes(gateway, describedBy(t, data).patterns())...) {
		t.Error(fault)
	}
}

// A comparison that cannot fail would prove nothing.
func TestTheComparisonOfRoutesSeesBothKinds(t *testing.T) {
	var d described
	d.paths = map[string]map[string]operationIn{"/a": {"get": {method: "GET", path: "/a"}}}
	for name, served := range map[string][]string{"a route too many": {"GET /a", "GET /b"}, "one too few": {}, "another method": {"POST /a"}} {
		if len(compareRoutes(served, d.patterns())) == 0 {
			t.Errorf("%s is not seen", name)
		}
	}
	if faults := compareRoutes([]string{"GET /a"}, d.patterns()); len(faults) > 0 {
		t.Error(faults)
	}
}

// Of the gateway each operation is called by its method; without a key those that
// need one say so, and the others answer as the document has it.
func TestTheGatewayAnswersAsItsDocumentSays(t *testing.T) {
	world := newWorld(t, sandbox.Config{})
	a := build(t, world, databases()["sqlite"](t), (&skipping{}).now, map[string]string{"DF_MIDDLEWARE_API_KEY": "env-gateway-key"})
	start(t, world, a)
	d := describedBy(t, a.gateway.document)
	ask := func(op operationIn, key string) (int, string, []byte) {
		t.Helper()
		body, err := json.Marshal(op.RequestBody.Content["application/json"].Example)
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequestWithContext(t.Context(), op.method, a.URL("gateway")+strings.ReplaceAll(op.path, "{path}", "api/account"), bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			request.Header.Set("Authorization", "Bearer "+key)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		data, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, answer.Header.Get("Content-Type"), data
	}
	for _, op := range d.operations() {
		status, kind, data := ask(op, "")
		if open := len(op.Security) == 0; open != (status == http.StatusOK) || !open && status != http.StatusUnauthorized {
			t.Errorf("%s without a key: %d %s", op.OperationID, status, data)
		}
		if fault := d.judge(op, status, kind, data); fault != "" {
			t.Errorf("%s (%d): %s", op.OperationID, status, fault)
		}
		if strings.HasPrefix(op.path, "/api/verity/proxy") { // whose answers are Verity's
			continue
		}
		status, kind, data = ask(op, "env-gateway-key")
		if fault := d.judge(op, status, kind, data); fault != "" {
			t.Errorf("%s with a key (%d): %s\n%.300s", op.OperationID, status, fault, data)
		}
	}
}

package catalogue

import (
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
)

func load(t testing.TB, name string) *Catalogue {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func names(c *Catalogue) []string {
	var list []string
	for _, op := range c.Operations {
		list = append(list, op.Method+" "+op.Path)
	}
	return list
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// The original rewrote three of its catalogue's slash-less prefixes only, so
// every other domain answered 404 (defect C11).
func TestNativeCatalogueKeepsTheGoodOperations(t *testing.T) {
	c := load(t, "native.json")
	wanted := []string{
		"POST /api/calls/agents/{agentId}/test",
		"POST " + TextPath,
		"GET /api/warehouse/pallets", "POST /api/warehouse/pallets",
		"GET /api/warehouse/pallets/recent",
		"DELETE /api/warehouse/pallets/{palletId}", "GET /api/warehouse/pallets/{palletId}",
	}
	if got := names(c); !slices.Equal(got, wanted) {
		t.Fatalf("got %q", got)
	}
	op, found := c.Match("POST", "/api/warehouse/pallets")
	if !found {
		t.Fatal("not found")
	}
	want(t, "domain", op.Domain, "storage")
	want(t, "auth", op.Auth, RequireUser)
	want(t, "id", op.ID, "post_warehouse_pallets")
	want(t, "body", string(op.Body.JSON().Schema), `{"type":"object","properties":{"zone":{"type":"string"},"weightKg":{"type":"number"},"tags":{"type":"array","items":{"type":"string"}}}}`)
	get, _ := c.Match("GET", "/api/warehouse/pallets")
	if get.Body != nil || len(get.Parameters) != 2 {
		t.Errorf("a GET has no body and two parameters: %+v", get)
	}
	test, _ := c.Match("POST", "/api/calls/agents/a%2F1/test")
	want(t, "authRequired alone", test.Auth, RequireAuth)
	want(t, "path parameter", test.Parameters[0].Name, "agentId")
}

func TestEveryProblemNamesOperationAndPlace(t *testing.T) {
	tests := []struct {
		file string
		want []string
	}{
		{"native.json", []string{
			"error: /api/broken/{id: endpoints[5].path: ",
			`error: /api/odd: endpoints[6].methods[0]: "FETCH"`,
			"error: /api/loose: endpoints[7].authType: \"requireRoot\"",
			"error: /api/none: endpoints[8].methods: ",
			"error: endpoints[9]: it is a number",
			"error: GET /api/warehouse/pallets/{id}: endpoints[10].methods[0]: the same method and path as /api/warehouse/pallets/{palletId}",
		}},
		{"openapi30.yaml", []string{
			"warning: HEAD /api/pallets/{palletId}: paths./pallets/{palletId}.head: ",
			"error: GET /api/outside: paths./outside.get.parameters: [0]: reference \"https://evil",
			"error: GET /api/nowhere: paths./nowhere.get.requestBody: reference",
			"error: POST /api/missing-schema: paths./missing-schema.post.requestBody: application/json: schema \"Gone\"",
			"error: GET /api/loop: paths./loop.get.parameters: [0]: a chain",
			"warning: POST /api/texts: paths./texts.post.operationId: \"getPallet\" is used twice",
		}},
	}
	for _, test := range tests {
		c := load(t, test.file)
		if len(c.Problems) != len(test.want) {
			t.Errorf("%s: %d problems, want %d: %v", test.file, len(c.Problems), len(test.want), c.Problems)
			continue
		}
		for i, p := range c.Problems {
			if !strings.HasPrefix(p.String(), test.want[i]) {
				t.Errorf("%s: got %q, want %q…", test.file, p, test.want[i])
			}
		}
	}
}

func TestOpenAPIOperationKeepsWhatToolsNeed(t *testing.T) {
	c := load(t, "openapi30.yaml")
	want(t, "format", c.Format, "openapi 3.0")
	get, found := c.Operation("getPallet")
	if !found {
		t.Fatal("getPallet is missing")
	}
	want(t, "path", get.Path, "/api/pallets/{palletId}")
	want(t, "domain", get.Domain, "warehouse")
	want(t, "auth", get.Auth, RequireAuth)
	want(t, "parameters", len(get.Parameters), 3)
	want(t, "explode", get.Parameters[2].Explode, false)
	want(t, "pattern kept", string(get.Parameters[0].Schema), `{"type":"string","pattern":"^p-"}`)
	want(t, "response", string(get.Response.Schema), `{"$ref":"#/components/schemas/Pallet"}`)
	put, _ := c.Operation("putPallet")
	want(t, "admin", put.Auth, RequireAdmin)
	want(t, "body required", put.Body.Required, true)
	del, _ := c.Match("DELETE", "/api/pallets/p-1")
	want(t, "security: []", del.Auth, NoAuth)
	want(t, "made id", del.ID, "delete_pallets_by_palletId")
	texts, _ := c.Match("POST", "/api/texts")
	want(t, "sends text", texts.SendsText, "recipient.phone")
	want(t, "second id", texts.ID, "getPallet_2")
}

func TestSchemaIsSelfContainedAndOfOneDialect(t *testing.T) {
	c := load(t, "openapi30.yaml")
	put, _ := c.Operation("putPallet")
	raw, err := c.Schema(put.Body.JSON().Schema)
	if err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []string{
		`"$ref":"#/$defs/Pallet"`, `"Note":{"type":"string"}`, `"exclusiveMinimum":0`, `"type":["string","null"]`,
		`"enum":["A","B",null]`, `"maximum":9007199254740993`, `"default":{"$ref":"#/$defs/Note"}`,
	} {
		if !strings.Contains(string(raw), wanted) {
			t.Errorf("%s is missing in %s", wanted, raw)
		}
	}
	for _, unwanted := range []string{"components", "nullable", "Unused", `"minimum"`} {
		if strings.Contains(string(raw), unwanted) {
			t.Errorf("%s is in %s", unwanted, raw)
		}
	}
	if problems := c.CheckSchemas(); len(problems) > 0 {
		t.Errorf("schemas do not compile: %v", problems)
	}
}

func TestMatchPrefersLiteralsAndFallsBack(t *testing.T) {
	c := parse(t, `
		GET /api/x/{id}|GET /api/x/recent|POST /api/x/search|GET /api/x/{id}/y|GET /api/x/recent/z|
		GET /api/c/{base}...{head}|GET /api/c/{base}|GET /api/f/{name}.json|GET /api/{any}/w|GET /api/f/{a}-{b}`)
	tests := []struct{ method, path, want string }{
		{"GET", "/api/x/recent", "/api/x/recent"},
		{"GET", "/api/x/recent/", "/api/x/recent"},
		{"GET", "/api/x/7", "/api/x/{id}"},
		{"GET", "/api/x/search", "/api/x/{id}"},
		{"POST", "/api/x/search", "/api/x/search"},
		{"GET", "/api/x/recent/y", "/api/x/{id}/y"},
		{"GET", "/api/x/recent/z", "/api/x/recent/z"},
		{"GET", "/api/x/7/z", ""},
		{"GET", "/api/x/w", "/api/x/{id}"},
		{"GET", "/api/q/w", "/api/{any}/w"},
		{"GET", "/api/c/main...dev", "/api/c/{base}...{head}"},
		{"GET", "/api/c/main", "/api/c/{base}"},
		{"GET", "/api/f/a.json", "/api/f/{name}.json"},
		{"GET", "/api/f/.json", ""},
		{"GET", "/api/f/a-b", "/api/f/{a}-{b}"},
		{"PUT", "/api/x/7", ""},
		{"GET", "/api/x", ""},
		{"GET", "/api/x/7/y/", "/api/x/{id}/y"},
		{"GET", "/api/x//y", ""},
		{"GET", "/api/x/a%2Fy", "/api/x/{id}"},
		{"GET", "", ""}, {"GET", "/", ""}, {"GET", "api/x/7", ""},
	}
	for _, test := range tests {
		op, found := c.Match(test.method, test.path)
		got := ""
		if found {
			got = op.Path
		}
		want(t, test.method+" "+test.path, got, test.want)
	}
}

func parse(t testing.TB, lines string) *Catalogue {
	t.Helper()
	var endpoints []map[string]any
	for line := range strings.SplitSeq(lines, "|") {
		method, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		endpoints = append(endpoints, map[string]any{"path": path, "methods": []string{method}})
	}
	data, err := json.Marshal(map[string]any{"endpoints": endpoints})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Problems) > 0 {
		t.Fatal(c.Problems)
	}
	return c
}

func TestMatchMakesNoGarbage(t *testing.T) {
	c := load(t, "native.json")
	if n := testing.AllocsPerRun(100, func() { c.Match("DELETE", "/api/warehouse/pallets/p-77") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestValidateNamesThePlace(t *testing.T) {
	c := load(t, "openapi30.yaml")
	put, _ := c.Operation("putPallet")
	get, _ := c.Operation("getPallet")
	tests := []struct {
		name  string
		op    *Operation
		path  string
		query url.Values
		body  string
		want  string
	}{
		{"fits", put, "/api/pallets/p-1", nil, `{"zone":"A","weightKg":0.5}`, ""},
		{"null where nullable", put, "/api/pallets/p-1", nil, `{"zone":null}`, ""},
		{"exact at the edge", put, "/api/pallets/p-1", nil, `{"zone":"A","big":9007199254740994}`, "body/big"},
		{"a wrong type", put, "/api/pallets/p-1", nil, `{"zone":5}`, "body/zone"},
		{"deep inside", put, "/api/pallets/p-1", nil, `{"zone":"A","parent":{"zone":"A","weightKg":0}}`, "body/parent/weightKg"},
		{"a missing member", put, "/api/pallets/p-1", nil, `{}`, "body"},
		{"no body", put, "/api/pallets/p-1", nil, ``, "body"},
		{"a path value", put, "/api/pallets/q-1", nil, `{"zone":"A"}`, "path.palletId"},
		{"one value for a list", get, "/api/pallets/p-1", url.Values{"fields": {"a"}}, ``, ""},
		{"two values for a list", get, "/api/pallets/p-1", url.Values{"fields": {"a", "b"}}, ``, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			found := c.Validate(test.op, test.path, test.query, []byte(test.body))
			got := ""
			if len(found) > 0 {
				got = found[0].Place
			}
			want(t, "place", got, test.want)
		})
	}
}

func TestListingHasTheNativeShapeAndFilters(t *testing.T) {
	for _, file := range []string{"native.json", "openapi30.yaml"} {
		c := load(t, file)
		all, etag := c.Listing("", "")
		_, again := c.Listing("", "")
		want(t, "etag", etag, again)
		var listing struct {
			Endpoints []struct {
				Path    string
				Methods []string
			}
			Domains    map[string][]string
			Statistics struct{ TotalEndpoints int }
			Components struct{ Schemas map[string]json.RawMessage }
		}
		if err := json.Unmarshal(all, &listing); err != nil {
			t.Fatal(err)
		}
		want(t, "total", listing.Statistics.TotalEndpoints, len(listing.Endpoints))
		some, other := c.Listing("WAREHOUSE", "pallet")
		if other == etag || len(some) >= len(all) {
			t.Errorf("%s: the filter keeps everything", file)
		}
		if none, _ := c.Listing("", "no such words"); !strings.Contains(string(none), `"endpoints":[]`) {
			t.Errorf("got %s", none)
		}
		if file == "openapi30.yaml" {
			want(t, "closure", len(listing.Components.Schemas), 2)
		}
	}
}

func TestUnusableDocumentsAreRefused(t *testing.T) {
	deep := `{"endpoints":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}`
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'l'; c++ {
		p := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [*" + strings.Repeat(p+",*", 8) + p + "]\n"
	}
	for name, data := range map[string]string{
		"empty": "", "text": "hello", "a list": "[]", "null": "null", "half": `{"endpoints":[`,
		"no operations": `{"endpoints":[]}`, "only bad ones": `{"endpoints":[{"path":"x"}]}`,
		"OpenAPI 2": `{"swagger":"2.0","paths":{}}`, "OpenAPI 4": `{"openapi":"4.0.0","paths":{}}`,
		"no paths": `{"openapi":"3.1.0"}`, "a key twice": `{"endpoints":[],"endpoints":[]}`,
		"deep": deep, "aliases that unfold": bomb, "an alias of itself": "a: &a [*a]", "binary": "\x00\x01\x02",
		"yaml with tabs": "endpoints:\n\t- x",
	} {
		if _, err := Parse([]byte(data)); !errors.Is(err, ErrDocument) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"native.json", "openapi30.yaml"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, op := range c.Operations {
			if seen[op.ID] {
				t.Fatalf("id %q twice", op.ID)
			}
			seen[op.ID] = true
			if !strings.HasPrefix(op.Path, "/") || !KnownMethod(op.Method) {
				t.Fatalf("bad operation %q %q", op.Method, op.Path)
			}
		}
		if body, _ := c.Listing("", ""); !json.Valid(body) {
			t.Fatal("the listing is no JSON")
		}
	})
}

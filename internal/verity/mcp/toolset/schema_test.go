package toolset

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestPlacesAreKeptApart(t *testing.T) {
	one := only(t, openAPI(`"/api/users/{username}":{"put":{"parameters":[
		{"name":"username","in":"path","required":true,"schema":{"type":"string"}},
		{"name":"username","in":"query","schema":{"type":"integer"},"description":"another one"},
		{"name":"X-Trace","in":"header","schema":{"type":"string"}},
		{"name":"Authorization","in":"header","schema":{"type":"string"}}],
		"requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object","required":["username"],
			"properties":{"username":{"type":"boolean"}}}}}},"responses":{}}}`, ""))
	schema := schemaOf(t, one)
	equal(t, "path", at(schema, "properties", "path", "properties", "username", "type"), any("string"))
	equal(t, "query", at(schema, "properties", "query", "properties", "username", "type"), any("integer"))
	equal(t, "query's description", at(schema, "properties", "query", "properties", "username", "description"), any("another one"))
	equal(t, "body", at(schema, "properties", "body", "properties", "username", "type"), any("boolean"))
	equal(t, "header", at(schema, "properties", "headers", "properties", "X-Trace", "type"), any("string"))
	equal(t, "no credentials", at(schema, "properties", "headers", "properties", "Authorization"), any(nil))
	equal(t, "more is refused", schema["additionalProperties"], any(false))
	equal(t, "required", strings.Join(one.required, " "), "path.username body.username")
	contains(t, "description", one.Description, "Required: path.username, body.username.")
}

func TestComponentsAreKeptOnceAndPruned(t *testing.T) {
	one := only(t, openAPI(`"/api/nodes":{"post":{"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Node"}}}},"responses":{}}}`,
		`"Node":{"type":"object","properties":{"children":{"type":"array","items":{"$ref":"#/components/schemas/Node"}},
			"secret":{"$ref":"#/components/schemas/Served"},"list":{"type":"array"}}},
		 "Served":{"type":"object","readOnly":true,"properties":{"far":{"$ref":"#/components/schemas/Far"}}},
		 "Far":{"type":"string"},"Unused":{"type":"string"}`))
	schema := schemaOf(t, one)
	equal(t, "recursion stays recursion", at(schema, "$defs", "Node", "properties", "children", "items", "$ref"), any("#/$defs/Node"))
	equal(t, "what answers hold is dropped", at(schema, "$defs", "Node", "properties", "secret"), any(nil))
	equal(t, "and what only that led to", len(at(schema, "$defs").(map[string]any)), 1)
	if at(schema, "$defs", "Node", "properties", "list", "items") == nil {
		t.Error("an array does not say what is in it")
	}
	if err := one.Check(json.RawMessage(`{"body":{"children":[{"children":[]}]}}`)); err != nil {
		t.Error(err)
	}
	if one.Check(json.RawMessage(`{"body":{"children":[{"children":7}]}}`)) == nil {
		t.Error("a wrong value deep inside passes")
	}
}

func TestReadOnlyPropertiesAreNotAskedFor(t *testing.T) {
	one := only(t, openAPI(`"/api/x":{"post":{"requestBody":{"content":{"application/json":{"schema":
		{"type":"object","required":["id","name"],"properties":{"id":{"type":"string","readOnly":true},"name":{"type":"string"},
		 "readOnly":{"type":"boolean"}}}}}},"responses":{}}}`, ""))
	body := at(schemaOf(t, one), "properties", "body")
	equal(t, "id", at(body, "properties", "id"), any(nil))
	if at(body, "properties", "readOnly") == nil {
		t.Error("a property that happens to be called readOnly is gone")
	}
	if err := one.Check(json.RawMessage(`{"body":{"name":"n"}}`)); err != nil {
		t.Error(err)
	}
}

// A component in the query keeps what the same one loses in a body.
func TestComponentsOfTheSameNameThatDifferAreBothKept(t *testing.T) {
	one := only(t, openAPI(`"/api/x":{"post":{"parameters":[
		{"name":"q","in":"query","style":"deepObject","schema":{"$ref":"#/components/schemas/Kind"}}],
		"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Kind"}}}},"responses":{}}}`,
		`"Kind":{"type":"object","additionalProperties":false,"properties":{"id":{"type":"string","readOnly":true},"name":{"type":"string"}}}`))
	for arguments, fits := range map[string]bool{
		`{"query":{"q":{"id":"7"}}}`: true, `{"query":{"q":{"name":"n"}},"body":{"name":"n"}}`: true,
		`{"body":{"id":"7"}}`: false, `{"query":{"q":{"other":1}}}`: false,
	} {
		equal(t, arguments, one.Check(json.RawMessage(arguments)) == nil, fits)
	}
}

// A definition with a bad x-mcp-header makes the protocol's library panic.
func TestOnlyGoodParamHeadersStay(t *testing.T) {
	for header, stays := range map[string]bool{`"Region"`: true, `""`: false, `7`: false, `"a b"`: false, `null`: false} {
		one := only(t, openAPI(`"/api/x":{"get":{"parameters":[{"name":"q","in":"query","schema":{"type":"string","x-mcp-header":`+header+`}}],"responses":{}}}`, ""))
		_, there := at(schemaOf(t, one), "properties", "query", "properties", "q").(map[string]any)["x-mcp-header"]
		equal(t, header, there, stays)
	}
}

func TestArgumentsMayBeTheBody(t *testing.T) {
	document := func(form string) string {
		return openAPI(`"/api/x":{"post":{"x-mcp-arguments":"body","requestBody":{"content":{"application/json":{"schema":`+form+`}}},"responses":{}}}`, "")
	}
	one := only(t, document(`{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","allOf":[{"required":["a"]}],"properties":{"a":{"type":"integer"}}}`))
	if at(schemaOf(t, one), "allOf") == nil {
		t.Error("the body's schema is not the tool's")
	}
	call, err := one.Call(json.RawMessage(`{"a":9007199254740993}`))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "body", string(call.Request.Body), `{"a":9007199254740993}`)
	// A list cannot be the arguments: the tool stays, less well described.
	if list := only(t, document(`{"type":"array"}`)); at(schemaOf(t, list), "properties", "body") == nil {
		t.Error("the tool of a list has no body")
	}
}

func TestLargeSchemasAreSlimmed(t *testing.T) {
	properties := make([]string, 200)
	for i := range properties {
		properties[i] = `"p` + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + `":{"type":"string","description":"` + strings.Repeat("long ", 100) + `"}`
	}
	one := only(t, openAPI(`"/api/x":{"post":{"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Big"}}}},"responses":{}}}`,
		`"Big":{"type":"object","properties":{`+strings.Join(dedupe(properties), ",")+`}}`))
	if len(one.InputSchema) > slimAbove {
		t.Errorf("%d bytes", len(one.InputSchema))
	}
}

func dedupe(list []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, one := range list {
		name, _, _ := strings.Cut(one, ":")
		if !seen[name] {
			seen[name] = true
			out = append(out, one)
		}
	}
	return out
}

func TestExamplesFitTheirOwnSchemas(t *testing.T) {
	set := New(parse(t, largeDocument(40)), Filter{})
	more := New(parse(t, openAPI(`"/api/x/{id}":{"post":{"parameters":[
		{"name":"id","in":"path","required":true,"schema":{"type":"string","format":"uuid"}},
		{"name":"n","in":"query","required":true,"schema":{"type":"integer","minimum":5}},
		{"name":"kind","in":"query","required":true,"schema":{"enum":["a","b"]}}],
		"requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object","required":["at","list","deep"],
		 "properties":{"at":{"type":"string","format":"date-time"},"list":{"type":"array","items":{"type":["null","number"]}},
		 "deep":{"$ref":"#/components/schemas/Deep"},"optional":{"type":"string"}}}}}},"responses":{}}}`,
		`"Deep":{"type":"object","required":["x"],"properties":{"x":{"type":"boolean"}}}`)), Filter{})
	for _, one := range append(set.Tools, more.Tools...) {
		_, example, given := strings.Cut(one.Description, "Example: ")
		if !given && len(one.required) > 0 {
			t.Errorf("%s has no example: %s", one.Name, one.Description)
		}
		if err := one.Check(json.RawMessage(example)); given && err != nil {
			t.Errorf("%s: %s: %v", one.Name, example, err)
		}
	}
}

func TestHintsFollowWhatIsKnown(t *testing.T) {
	set := New(parse(t, openAPI(`
		"/api/items":{"get":{"responses":{}},"post":{"responses":{}}},
		"/api/items/{id}":{"put":{"responses":{}},"patch":{"responses":{}},"delete":{"responses":{}}},
		"/api/items/{id}/delete":{"get":{"responses":{}}},
		"/api/removed-items":{"get":{"responses":{}}},
		"/api/report":{"get":{"x-mcp-confirm":true,"responses":{}}},
		"/api/soft/{id}":{"delete":{"x-mcp-confirm":false,"responses":{}}},
		"/api/notify":{"post":{"x-sends-text":"to","responses":{}}}`, "")), Filter{})
	cases := []struct {
		method, path                                             string
		readOnly, destructive, idempotent, openWorld, askedFirst bool
	}{
		{"GET", "/api/items", true, false, true, false, false},
		{"POST", "/api/items", false, false, false, false, false},
		{"PUT", "/api/items/{id}", false, true, true, false, false},
		{"PATCH", "/api/items/{id}", false, true, false, false, false},
		{"DELETE", "/api/items/{id}", false, true, true, false, true},
		{"GET", "/api/items/{id}/delete", false, true, false, false, true}, // a GET that deletes
		{"GET", "/api/removed-items", true, false, true, false, false},
		{"GET", "/api/report", false, true, false, false, true},
		{"DELETE", "/api/soft/{id}", false, true, true, false, false},
		{"POST", "/api/notify", false, false, false, true, false},
	}
	for _, c := range cases {
		one := tool(t, set, c.method, c.path)
		got := [5]bool{one.ReadOnly, one.Destructive, one.Idempotent, one.OpenWorld, one.Confirm}
		equal(t, c.method+" "+c.path, got, [5]bool{c.readOnly, c.destructive, c.idempotent, c.openWorld, c.askedFirst})
	}
}

package toolset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/df-middleware/dfm/internal/verity/catalogue"
)

func parse(t testing.TB, document string) *catalogue.Catalogue {
	t.Helper()
	c, err := catalogue.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// openAPI writes a 3.1 document around its paths and component schemas.
func openAPI(paths, schemas string) string {
	return `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{` + paths + `},"components":{"schemas":{` + schemas + `}}}`
}

// only returns the single tool of a document.
func only(t testing.TB, document string) *Tool {
	t.Helper()
	set := New(parse(t, document), Filter{})
	if len(set.Tools) != 1 {
		t.Fatalf("%d tools, want 1", len(set.Tools))
	}
	return set.Tools[0]
}

func tool(t testing.TB, set *Set, method, path string) *Tool {
	t.Helper()
	for _, one := range set.Tools {
		if one.Operation.Method == method && one.Operation.Path == path {
			return one
		}
	}
	t.Fatalf("no tool for %s %s", method, path)
	return nil
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func contains(t testing.TB, what, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%s: %q is not in %q", what, part, text)
	}
}

func schemaOf(t testing.TB, one *Tool) map[string]any {
	t.Helper()
	var schema map[string]any
	if err := json.Unmarshal(one.InputSchema, &schema); err != nil {
		t.Fatal(err)
	}
	return schema
}

// at walks into nested objects.
func at(value any, path ...string) any {
	for _, name := range path {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

// largeDocument writes an OpenAPI description of so many operations, whose
// component schemas refer to one another in cycles.
func largeDocument(operations int) string {
	var b bytes.Buffer
	b.WriteString(`{"openapi":"3.0.3","info":{"title":"large","version":"1"},"servers":[{"url":"/api"}],"paths":{`)
	for i := range operations / 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"/area%d/things%d/{thingId}/parts":{"parameters":[{"name":"thingId","in":"path","required":true,"schema":{"type":"string"}}]`, i%60, i)
		for _, method := range []string{"get", "post"} {
			fmt.Fprintf(&b, `,"%s":{"operationId":"%s-%d","tags":["area%d"],"summary":"Thing %d","description":%q`, method, method, i, i%60, i, strings.Repeat("prose ", 40))
			if method == "post" {
				fmt.Fprintf(&b, `,"requestBody":{"required":true,"content":{"application/json":{"schema":{"$ref":"#/components/schemas/S%d"}}}}`, i)
			}
			b.WriteString(`,"responses":{"200":{"description":"ok"}}}`)
		}
		b.WriteByte('}')
	}
	b.WriteString(`},"components":{"schemas":{`)
	for i := range operations {
		if i > 0 {
			b.WriteByte(',')
		}
		next := i + 1
		if i%5 == 4 { // cycles of five, as real descriptions have
			next = i - 4
		}
		fmt.Fprintf(&b, `"S%d":{"type":"object","properties":{"next":{"$ref":"#/components/schemas/S%d"},"a":{"type":"string","nullable":true},"b":{"type":"integer"}}}`, i, next)
	}
	b.WriteString(`}}}`)
	return b.String()
}

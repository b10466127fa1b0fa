package toolset

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/verity"
	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

func answerOf(status int, contentType, body string) *verity.Response {
	header := http.Header{}
	if contentType != "" {
		header.Set("Content-Type", contentType)
	}
	return &verity.Response{Status: status, Header: header, Body: []byte(body)}
}

func listTool(t testing.TB) *Tool {
	return only(t, openAPI(`"/api/items":{"get":{"parameters":[{"name":"limit","in":"query","schema":{"type":"integer"}},{"name":"cursor","in":"query","schema":{}}],"responses":{}}}`, ""))
}

func TestAnswersBecomeContent(t *testing.T) {
	one := listTool(t)
	const big = `{"id":9007199254740993,"price":1.50}`
	cases := []struct{ name, contentType, body, text, structured string }{
		{"an object", "application/json", " " + big + "\n", big, big},
		{"a list is wrapped", "application/json; charset=utf-8", `[1,2]`, `[1,2]`, `{"result":[1,2]}`},
		{"a scalar is wrapped", "application/json", `"x"`, `"x"`, `{"result":"x"}`},
		{"problem JSON", "application/problem+json", `{}`, `{}`, `{}`},
		{"text", "text/plain", "This is text.", "This is text.", ""},
		{"no type", "", `{"a":1}`, `{"a":1}`, `{"a":1}`},
		{"JSON that is none", "application/json", `{"a":`, `{"a":`, ""},
		{"nothing", "application/json", ``, "Done (HTTP 200, no content).", ""},
	}
	for _, c := range cases {
		r := one.Result(answerOf(200, c.contentType, c.body), nil, 1000)
		equal(t, c.name, r.IsError, false)
		equal(t, c.name+": text", r.Texts[0], c.text)
		equal(t, c.name+": structured", string(r.Structured), c.structured)
	}
	for contentType, body := range map[string]string{"image/png": "\x89PNG", "audio/wav": "RIFF\xff", "application/pdf": "%PDF\xff", "application/json": "\xff", "": "\xff\xfe"} {
		r := one.Result(answerOf(200, contentType, body), nil, 1000)
		if r.Binary == nil || string(r.Binary.Data) != body || r.Binary.Type == "" {
			t.Errorf("%s: %+v", contentType, r)
		}
	}
	r := one.Result(answerOf(200, "image/png", strings.Repeat("x", maxBinary+1)), nil, 1000)
	equal(t, "a huge picture", r.Code, "TOO_LARGE")
}

func TestLongAnswersAreShortenedWithAHint(t *testing.T) {
	one := listTool(t)
	items := make([]string, 500)
	for i := range items {
		items[i] = fmt.Sprintf(`{"id":%d,"text":"%s"}`, i, strings.Repeat("é", 20))
	}
	list := "[" + strings.Join(items, ",") + "]"
	for name, body := range map[string]string{"a list": list, "a member": `{"data":` + list + `,"total":500}`, "deeper": `{"data":{"rows":` + list + `},"total":500}`} {
		r := one.Result(answerOf(200, "application/json", body), nil, 2000)
		if len(r.Texts[0]) > 2000 || !json.Valid(r.Structured) || r.IsError {
			t.Errorf("%s: %d bytes, %s", name, len(r.Texts[0]), r.Structured)
		}
		contains(t, name, r.Texts[1], "of 500 elements")
		contains(t, name, r.Texts[1], "page with query.limit, query.cursor")
		contains(t, name, r.Texts[1], "fields")
	}
	r := one.Result(answerOf(200, "application/json", `{"text":"`+strings.Repeat("é", 2000)+`"}`), nil, 1001)
	contains(t, "one long text", r.Texts[1], "not complete JSON")
	equal(t, "one long text: structured", string(r.Structured), "")
	r = one.Result(answerOf(200, "text/plain", strings.Repeat("é", 2000)), nil, 1001)
	contains(t, "plain text", r.Texts[1], "Cut off after 1001 of 4000 bytes")
}

func TestShorteningKeepsJSONAndTheLimit(t *testing.T) {
	one := listTool(t)
	value := rapid.Deferred(func() *rapid.Generator[any] {
		return rapid.OneOf(
			rapid.Map(rapid.SliceOfN(rapid.StringN(0, 30, 60), 0, 30), func(v []string) any { return v }),
			rapid.Map(rapid.MapOfN(rapid.StringN(0, 5, 10), rapid.SliceOfN(rapid.Int(), 0, 40), 0, 5), func(v map[string][]int) any { return v }))
	})
	rapid.Check(t, func(t *rapid.T) {
		body, err := json.Marshal(value.Draw(t, "value"))
		if err != nil {
			t.Fatal(err)
		}
		limit := rapid.IntRange(20, 200).Draw(t, "limit")
		r := one.Result(answerOf(200, "application/json", string(body)), nil, limit)
		if len(r.Texts[0]) > limit+len("…") {
			t.Fatalf("%d bytes, not %d", len(r.Texts[0]), limit)
		}
		if r.Structured != nil && strictjson.KindOf(r.Structured) != strictjson.Object || r.Structured != nil && !json.Valid(r.Structured) {
			t.Fatalf("structured content is %s", r.Structured)
		}
	})
}

func TestFieldsNarrowAnAnswer(t *testing.T) {
	const body = `{"data":[{"id":9007199254740993,"name":"a","deep":{"x":1,"y":2}},{"id":2,"deep":{"x":3}}],"total":2}`
	cases := []struct {
		fields, want, missing string
	}{
		{"data.id", `{"data":[{"id":9007199254740993},{"id":2}]}`, ""},
		{"data[].deep.x total", `{"data":[{"deep":{"x":1}},{"deep":{"x":3}}],"total":2}`, ""},
		{"$.total", `{"total":2}`, ""},
		{"data.name", `{"data":[{"name":"a"},{}]}`, ""},
		{"nothing", `{}`, "nothing"},
		{"total.x", `{}`, "total.x"},
	}
	for _, c := range cases {
		got, missing := project([]byte(body), strings.Fields(c.fields))
		equal(t, c.fields, string(got), c.want)
		equal(t, c.fields+": missing", strings.Join(missing, " "), c.missing)
	}
	r := listTool(t).Result(answerOf(200, "application/json", body), []string{"nope"}, 1000)
	contains(t, "hint", r.Texts[1], "The answer has no nope.")
}

func FuzzProject(f *testing.F) {
	f.Add(`{"a":[{"b":1}]}`, "a.b")
	f.Add(`[]`, "")
	f.Fuzz(func(t *testing.T, body, field string) {
		if strictjson.Check([]byte(body), 100) != nil {
			return
		}
		if out, _ := project([]byte(body), []string{field}); !json.Valid(out) {
			t.Errorf("%q of %q is %q", field, body, out)
		}
	})
}

func TestErrorsTellTheModelWhatToChange(t *testing.T) {
	set := New(parse(t, openAPI(`"/api/items/{id}":{"get":{"responses":{}},"post":{"responses":{}}}`, "")), Filter{})
	get, post := tool(t, set, "GET", "/api/items/{id}"), tool(t, set, "POST", "/api/items/{id}")
	cases := []struct {
		tool   *Tool
		status int
		body   string
		want   []string
	}{
		{post, 400, `{"error":"name is required"}`, []string{"HTTP 400: name is required", "Change the arguments", "required are path.id"}},
		{post, 422, `{"error":{"message":"no","details":[{"path":"name"}]}}`, []string{"no: [{", `"path":"name"`}},
		{get, 401, ``, []string{"Unauthorized", "Trying again will not help"}},
		{get, 404, `{"message":"Widget not found"}`, []string{"Widget not found", "Check the ids"}},
		{post, 409, `{}`, []string{"Read the current state"}},
		{get, 500, `<html><body>stack</body></html>`, []string{"Internal Server Error", "once more"}},
		{post, 502, "", []string{"not known whether the call took effect"}},
		{get, 302, "", []string{"elsewhere"}},
		{get, 418, strings.Repeat("long", 10_000), []string{"longlong"}},
		{get, 429, "", []string{"Wait 7 seconds"}},
	}
	for _, c := range cases {
		answer := answerOf(c.status, "application/json", c.body)
		answer.Header.Set("Retry-After", "7")
		r := c.tool.Result(answer, nil, 1000)
		equal(t, "error", r.IsError, true)
		equal(t, "code", r.Code, fmt.Sprintf("HTTP_%d", c.status))
		for _, part := range c.want {
			contains(t, r.Code, r.Texts[0], part)
		}
		if len(r.Texts[0]) > 3000 {
			t.Errorf("%d bytes of error", len(r.Texts[0]))
		}
	}
}

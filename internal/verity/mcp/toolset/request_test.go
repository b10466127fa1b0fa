package toolset

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strings"
	"testing"

	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

const requestDocument = `
 "/api/items/{id}/parts/{part}":{"put":{"parameters":[
	{"name":"id","in":"path","required":true,"schema":{"type":["string","integer","array","object"]}},
	{"name":"part","in":"path","required":true,"schema":{"type":"string"}},
	{"name":"form","in":"query","schema":{}},
	{"name":"plain","in":"query","explode":false,"schema":{}},
	{"name":"space","in":"query","style":"spaceDelimited","explode":false,"schema":{}},
	{"name":"pipe","in":"query","style":"pipeDelimited","explode":false,"schema":{}},
	{"name":"deep","in":"query","style":"deepObject","explode":true,"schema":{}},
	{"name":"X-List","in":"header","schema":{}}],
	"requestBody":{"content":{"application/json":{"schema":{}}}},"responses":{}}}`

func TestArgumentsBecomeTheCallThatTheDocumentDescribes(t *testing.T) {
	one := only(t, openAPI(requestDocument, ""))
	const path = `"path":{"id":"7","part":"p"}`
	cases := []struct{ name, arguments, query, body string }{
		{"a scalar", `"query":{"form":"a b&c"}`, "form=a+b%26c", ""},
		{"a big integer", `"query":{"form":9007199254740993},"body":{"n":9007199254740993}`, "form=9007199254740993", `{"n":9007199254740993}`},
		{"a number as it is spelled", `"query":{"form":1.50}`, "form=1.50", ""},
		{"a list is repeated", `"query":{"form":["a","b"]}`, "form=a&form=b", ""},
		{"an object is spread", `"query":{"form":{"x":1,"y":true}}`, "x=1&y=true", ""},
		{"commas", `"query":{"plain":["a","b"]}`, "plain=a%2Cb", ""},
		{"an object in commas", `"query":{"plain":{"x":1}}`, "plain=x%2C1", ""},
		{"spaces", `"query":{"space":["a","b"]}`, "space=a+b", ""},
		{"pipes", `"query":{"pipe":["a","b"]}`, "pipe=a%7Cb", ""},
		{"deep", `"query":{"deep":{"a":{"b":1},"c":["x","y"]}}`, "deep%5Ba%5D%5Bb%5D=1&deep%5Bc%5D=x&deep%5Bc%5D=y", ""},
		{"nothing for null", `"query":{"form":null}`, "", ""},
		{"an empty list", `"query":{"plain":[]}`, "", ""},
		{"a body that is a list", `"body":[1,2]`, "", "[1,2]"},
		{"a body that is a text", `"body":"x"`, "", `"x"`},
		{"a body that is false", `"body":false`, "", "false"},
	}
	for _, c := range cases {
		arguments := json.RawMessage("{" + path + "," + c.arguments + "}")
		if err := one.Check(arguments); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		call, err := one.Call(arguments)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		equal(t, c.name+": query", call.Request.Query.Encode(), c.query)
		equal(t, c.name+": body", string(call.Request.Body), c.body)
		equal(t, c.name+": path", call.Request.Params["id"], "7")
		equal(t, c.name+": method", call.Request.Method, "PUT")
		equal(t, c.name+": authorization", call.Request.Authorization, "")
	}
}

// The original ignored numbers as path parameters and sent {id} literally.
func TestPathParametersAreOneSegment(t *testing.T) {
	one := only(t, openAPI(requestDocument, ""))
	for value, want := range map[string]string{
		`7`: "7", `"a b"`: "a b", `"ü"`: "ü", `["a","b"]`: "a,b", `{"x":1}`: "x,1", `"%2e%2e"`: "%2e%2e",
		`"../../admin"`: "", `"a/b"`: "", `".."`: "", `"."`: "", `""`: "", `"a\\b"`: "", `[[1]]`: "",
	} {
		call, err := one.Call(json.RawMessage(`{"path":{"id":` + value + `,"part":"p"}}`))
		if want == "" {
			if wrong := (*ArgumentError)(nil); !errors.As(err, &wrong) {
				t.Errorf("%s is taken: %v", value, call.Request.Params)
			}
			continue
		}
		equal(t, value, call.Request.Params["id"], want)
	}
	styles := map[string]string{
		`"style":"label"`: ".a.b", `"style":"matrix"`: ";id=a,b", `"style":"matrix","explode":true`: ";id=a;id=b",
	}
	for style, want := range styles {
		styled := only(t, openAPI(`"/api/{id}":{"get":{"parameters":[{"name":"id","in":"path","required":true,`+style+`,"schema":{}}],"responses":{}}}`, ""))
		call, err := styled.Call(json.RawMessage(`{"path":{"id":["a","b"]}}`))
		if err != nil {
			t.Error(err)
		}
		equal(t, style, call.Request.Params["id"], want)
	}
}

func TestHeadersCannotBeSplit(t *testing.T) {
	one := only(t, openAPI(requestDocument, ""))
	call, err := one.Call(json.RawMessage(`{"path":{"id":"7","part":"p"},"headers":{"X-List":["a","b"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "header", call.Request.Header.Get("X-List"), "a,b")
	if _, err := one.Call(json.RawMessage(`{"path":{"id":"7","part":"p"},"headers":{"X-List":"a\r\nCookie: b"}}`)); err == nil {
		t.Error("a line break is taken")
	}
}

func bodyTool(t *testing.T, mediaType string) *Tool {
	t.Helper()
	return only(t, openAPI(`"/api/x":{"post":{"requestBody":{"required":true,"content":{"`+mediaType+`":{"schema":{"type":"object","properties":{"file":{}}}}}},"responses":{}}}`, ""))
}

func TestBodiesAreSentAsTheirMediaType(t *testing.T) {
	bytes := base64.StdEncoding.EncodeToString([]byte{0, 255, 1})
	cases := []struct{ mediaType, argument, wantType, want string }{
		{"application/json", `{"a":1}`, "application/json", `{"a":1}`},
		{"application/vnd.x+json", `{"a":1}`, "application/vnd.x+json", `{"a":1}`},
		{"*/*", `{"a":1}`, "", `{"a":1}`},
		{"text/csv", `"a,b\n1,2"`, "text/csv", "a,b\n1,2"},
		{"application/xml", `"<a/>"`, "application/xml", "<a/>"},
		{"application/octet-stream", `"` + bytes + `"`, "application/octet-stream", "\x00\xff\x01"},
		{"image/png", `"` + bytes + `"`, "image/png", "\x00\xff\x01"},
		{"application/x-www-form-urlencoded", `{"b":["1","2"],"a":9007199254740993}`, "application/x-www-form-urlencoded", "a=9007199254740993&b=1&b=2"},
	}
	for _, c := range cases {
		one := bodyTool(t, c.mediaType)
		arguments := json.RawMessage(`{"body":` + c.argument + `}`)
		if err := one.Check(arguments); err != nil {
			t.Errorf("%s: %v", c.mediaType, err)
		}
		call, err := one.Call(arguments)
		if err != nil {
			t.Errorf("%s: %v", c.mediaType, err)
			continue
		}
		equal(t, c.mediaType, call.Request.Header.Get("Content-Type"), c.wantType)
		equal(t, c.mediaType+": body", string(call.Request.Body), c.want)
	}
	if _, err := bodyTool(t, "image/png").Call(json.RawMessage(`{"body":"not base64!"}`)); err == nil {
		t.Error("what is no base64 is taken")
	}
}

func TestMultipartCarriesFilesAndFields(t *testing.T) {
	one := bodyTool(t, "multipart/form-data")
	arguments := json.RawMessage(`{"body":{"name":"n","count":9007199254740993,"tags":["a","b"],"meta":{"k":1},
		"file":{"base64":"AP8B","filename":"x.bin","contentType":"image/png"}}}`)
	call, err := one.Call(arguments)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := one.Call(arguments)
	equal(t, "the same bytes again", string(call.Request.Body), string(again.Request.Body))
	_, params, err := mime.ParseMediaType(call.Request.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	reader := multipart.NewReader(strings.NewReader(string(call.Request.Body)), params["boundary"])
	var seen []string
	for {
		part, err := reader.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(part)
		seen = append(seen, part.FormName()+"/"+part.FileName()+"/"+part.Header.Get("Content-Type")+"="+string(data))
	}
	equal(t, "parts", strings.Join(seen, "|"),
		"name//=n|count//=9007199254740993|tags//=a|tags//=b|meta//application/json={\"k\":1}|file/x.bin/image/png=\x00\xff\x01")
	for _, bad := range []string{`{"file":{"base64":"!"}}`, `{"file":{"base64":"AA==","contentType":"a\r\nb"}}`} {
		if _, err := one.Call(json.RawMessage(`{"body":` + bad + `}`)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestHostileArgumentsAreNamedAndNotSent(t *testing.T) {
	one := only(t, openAPI(`"/api/x/{id}":{"post":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"integer"}}],
		"requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object","required":["name"],"additionalProperties":false,
		"properties":{"name":{"type":"string","maxLength":5}}}}}},"responses":{}}}`, ""))
	good := `{"path":{"id":1},"body":{"name":"n"}}`
	if err := one.Check(json.RawMessage(good)); err != nil {
		t.Fatal(err)
	}
	for arguments, want := range map[string]string{
		``:                 "not valid JSON",
		`[]`:               "must be a JSON object",
		`{"path":{"id":1}`: "not valid JSON",
		`{"path":{"id":"1"},"body":{"name":"n"}}`:                                 "path.id: got string, want integer",
		`{"path":{},"body":{"name":"n"}}`:                                         "path: missing property 'id'",
		`{"path":{"id":1},"body":{}}`:                                             "body: missing property 'name'",
		`{"path":{"id":1}}`:                                                       "missing property 'body'",
		`{"path":{"id":1},"body":{"name":"n"},"extra":1}`:                         "additional properties 'extra' not allowed",
		`{"path":{"id":1},"body":{"name":"n","role":"admin"}}`:                    "body: additional properties 'role' not allowed",
		`{"path":{"id":1},"body":{"name":"n"},"body":{"name":"m"}}`:               `the key "body" is given twice`,
		`{"path":{"id":1},"body":{"name":"longer"}}`:                              "body.name: maxLength",
		`{"path":{"id":1},"body":{"name":"` + strings.Repeat("x", 10<<20) + `"}}`: "larger than",
		strings.Repeat(`{"body":`, 100) + `1` + strings.Repeat(`}`, 100):          "nested",
		`{"path":{"id":1},"body":{"name":"` + "\xff" + `"}}`:                      "not valid JSON",
	} {
		err := one.Check(json.RawMessage(arguments))
		if wrong := (*ArgumentError)(nil); !errors.As(err, &wrong) {
			t.Errorf("%.60s passes: %v", arguments, err)
			continue
		}
		contains(t, arguments[:min(60, len(arguments))], err.Error(), want)
		if len(err.Error()) > 4000 {
			t.Errorf("%d bytes of error", len(err.Error()))
		}
	}
}

func FuzzArguments(f *testing.F) {
	f.Add(`{"path":{"id":"7","part":"p"},"query":{"deep":{"a":[1]}},"body":{"n":1}}`)
	f.Add(`{"path":{"id":["../x"],"part":"p"}}`)
	f.Add(`{"headers":{"X-List":{"a":"b"}}}`)
	one := only(f, openAPI(requestDocument, ""))
	f.Fuzz(func(t *testing.T, arguments string) {
		if one.Check(json.RawMessage(arguments)) != nil {
			return
		}
		call, err := one.Call(json.RawMessage(arguments))
		if err != nil {
			return
		}
		for name, value := range call.Request.Params {
			if value == "" || strings.ContainsAny(value, `/\`) || value == ".." || value == "." {
				t.Errorf("%s is %q", name, value)
			}
		}
		for _, value := range call.Request.Header["X-List"] {
			if strings.ContainsAny(value, "\r\n\x00") {
				t.Errorf("a header is %q", value)
			}
		}
		if _, err := url.ParseQuery(call.Request.Query.Encode()); err != nil {
			t.Error(err)
		}
		if call.Request.Body != nil && strictjson.Check(call.Request.Body, maxDepth) != nil {
			t.Errorf("a body is %q", call.Request.Body)
		}
	})
}

package verity

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestHostileRequests sends what somebody would send to get past the checks.
// None may reach Verity, and each is refused for the right reason. The original
// let through /api/../x, parameters with slashes, a lower-case authorization and
// any header, and died of a number as endpoint (defects C1 to C5).
func TestHostileRequests(t *testing.T) {
	to := func(endpoint string) string { return `{"endpoint":"` + endpoint + `","method":"GET"}` }
	with := func(rest string) string { return `{"endpoint":"/api/x","method":"POST",` + rest + `}` }
	many := make([]string, 600)
	for i := range many {
		many[i] = `"+15005550100"`
	}
	tests := []struct{ name, body, code string }{
		// Paths: traversal
		{"dots", to("/api/../admin"), "INVALID_ENDPOINT"},
		{"dots at the end", to("/api/x/.."), "INVALID_ENDPOINT"},
		{"dots in a name", to("/api/x..y"), "INVALID_ENDPOINT"},
		{"dots with a slash before", to("/api/..;/admin"), "INVALID_ENDPOINT"},
		{"one dot", to("/api/./x"), "INVALID_ENDPOINT"},
		{"one dot after the alias", to("/api."), "INVALID_ENDPOINT"},
		{"one encoded dot after the alias", to("/api%2e"), "INVALID_ENDPOINT"},
		{"encoded dots", to("/api/%2e%2e/admin"), "INVALID_ENDPOINT"},
		{"encoded dots in capitals", to("/api/%2E%2E/admin"), "INVALID_ENDPOINT"},
		{"half encoded dots", to("/api/.%2e/admin"), "INVALID_ENDPOINT"},
		{"one encoded dot", to("/api/%2e/x"), "INVALID_ENDPOINT"},
		{"doubly encoded dots", to("/api/%252e%252e/admin"), "INVALID_ENDPOINT"},
		{"triply encoded dots", to("/api/%25252e%25252e/admin"), "INVALID_ENDPOINT"},
		{"encoded eight times", to("/api/%252525252525252e"), "INVALID_ENDPOINT"},
		{"encoded slash", to("/api/x%2fadmin"), "INVALID_ENDPOINT"},
		{"encoded slash in capitals", to("/api/x%2Fadmin"), "INVALID_ENDPOINT"},
		{"doubly encoded slash", to("/api/x%252fadmin"), "INVALID_ENDPOINT"},
		{"encoded dots and slash", to("/api/%2e%2e%2fadmin"), "INVALID_ENDPOINT"},
		{"backslash", to(`/api\\..\\admin`), "INVALID_ENDPOINT"},
		{"encoded backslash", to("/api/%5c..%5cadmin"), "INVALID_ENDPOINT"},
		{"lone encoded backslash", to("/api/x%5Cy"), "INVALID_ENDPOINT"},
		{"doubly encoded backslash", to("/api/x%255cy"), "INVALID_ENDPOINT"},
		{"two slashes", to("/api//admin"), "INVALID_ENDPOINT"},
		{"overlong dot", to("/api/%c0%ae%c0%ae/admin"), "INVALID_ENDPOINT"},
		{"overlong slash", to("/api/x%c0%afadmin"), "INVALID_ENDPOINT"},
		{"full-width dots", to("/api/．．/admin"), "INVALID_ENDPOINT"},
		{"full-width slash, encoded", to("/api/x%EF%BC%8Fadmin"), "INVALID_ENDPOINT"},
		{"broken escape", to("/api/%zz"), "INVALID_ENDPOINT"},
		{"cut escape", to("/api/x%2"), "INVALID_ENDPOINT"},
		{"escape broken by a placeholder", `{"endpoint":"/api/x%2{a}","method":"GET","params":{"a":"f"}}`, "INVALID_ENDPOINT"},
		// Paths: control characters
		{"NUL", to(`/api/x\u0000`), "INVALID_ENDPOINT"},
		{"encoded NUL", to("/api/x%00.json"), "INVALID_ENDPOINT"},
		{"doubly encoded NUL", to("/api/x%2500"), "INVALID_ENDPOINT"},
		{"CRLF", to(`/api/x HTTP/1.1\r\nHost: evil\r\n\r\n`), "INVALID_ENDPOINT"},
		{"encoded CRLF", to("/api/x%0d%0aHost:%20evil"), "INVALID_ENDPOINT"},
		{"tab", to(`/api/\t`), "INVALID_ENDPOINT"},
		{"delete", to(`/api/\u007f`), "INVALID_ENDPOINT"},
		{"text turned round", to(`/api/\u202ex`), "INVALID_ENDPOINT"},
		// Paths: other hosts
		{"absolute URL", to("http://evil.example.test/api/x"), "INVALID_ENDPOINT"},
		{"absolute URL without scheme", to("//evil.example.test/api/x"), "INVALID_ENDPOINT"},
		{"userinfo", to("/api@evil.example.test//x"), "INVALID_ENDPOINT"},
		{"URL in the query", to("/api/x?next=http://evil.example.test"), "INVALID_ENDPOINT"},
		{"fragment", to("/api/x#frag"), "INVALID_ENDPOINT"},
		{"encoded question mark", to("/api/x%3fadmin=1"), "INVALID_ENDPOINT"},
		{"encoded fragment", to("/api/x%23"), "INVALID_ENDPOINT"},
		{"broken query", to("/api/x?a=%zz"), "INVALID_ENDPOINT"},
		{"upper case prefix", to("/API/x"), "INVALID_ENDPOINT"},
		{"space before", to(" /api/x"), "INVALID_ENDPOINT"},
		{"no slash", to("api/x"), "INVALID_ENDPOINT"},
		{"very long", to("/api/" + strings.Repeat("x", 5000)), "INVALID_ENDPOINT"},
		// Placeholders
		{"no value", to("/api/{id}"), "INVALID_ENDPOINT"},
		{"square, no value", to("/api/[id]"), "INVALID_ENDPOINT"},
		{"empty value", `{"endpoint":"/api/{a}/x","method":"GET","params":{"a":""}}`, "INVALID_ENDPOINT"},
		{"value of two dots", `{"endpoint":"/api/{a}/admin","method":"GET","params":{"a":".."}}`, "INVALID_ENDPOINT"},
		{"value of one dot", `{"endpoint":"/api/{a}","method":"GET","params":{"a":"."}}`, "INVALID_ENDPOINT"},
		{"dots put together", `{"endpoint":"/api/{a}{b}/x","method":"GET","params":{"a":".","b":"."}}`, "INVALID_ENDPOINT"},
		{"dots behind the alias", `{"endpoint":"/api{a}/x","method":"GET","params":{"a":".."}}`, "INVALID_ENDPOINT"},
		{"value with NUL", `{"endpoint":"/api/{a}","method":"GET","params":{"a":"x\u0000"}}`, "INVALID_ENDPOINT"},
		{"value with CRLF", `{"endpoint":"/api/{a}","method":"GET","params":{"a":"x\r\ny"}}`, "INVALID_ENDPOINT"},
		{"huge value", `{"endpoint":"/api/{a}","method":"GET","params":{"a":"` + strings.Repeat("/", 4000) + `"}}`, "INVALID_ENDPOINT"},
		{"braces inside braces", to("/api/{{a}}"), "INVALID_ENDPOINT"},
		{"braces without an end", to("/api/{a"), "INVALID_ENDPOINT"},
		{"mixed braces", `{"endpoint":"/api/{a]","method":"GET","params":{"a":"x"}}`, "INVALID_ENDPOINT"},
		{"encoded braces", `{"endpoint":"/api/%7Ba%7D","method":"GET","params":{"a":"x"}}`, "INVALID_ENDPOINT"},
		{"a prefix made of a parameter", `{"endpoint":"{a}/x","method":"GET","params":{"a":"/api"}}`, "INVALID_ENDPOINT"},
		// Methods
		{"lower case method", `{"endpoint":"/api/x","method":"get"}`, "INVALID_METHOD"},
		{"CONNECT", `{"endpoint":"/api/x","method":"CONNECT"}`, "INVALID_METHOD"},
		{"TRACE", `{"endpoint":"/api/x","method":"TRACE"}`, "INVALID_METHOD"},
		{"method with a line break", `{"endpoint":"/api/x","method":"GET /admin HTTP/1.1\r\n"}`, "INVALID_METHOD"},
		// Shapes
		{"endpoint is a number", `{"endpoint":5,"method":"GET"}`, "INVALID_REQUEST"},
		{"endpoint is a list", `{"endpoint":["/api/x"],"method":"GET"}`, "INVALID_REQUEST"},
		{"endpoint is an object", `{"endpoint":{"toString":"/api"},"method":"GET"}`, "INVALID_REQUEST"},
		{"method is a number", `{"endpoint":"/api/x","method":1}`, "INVALID_REQUEST"},
		{"params is a list", with(`"params":["x"]`), "INVALID_REQUEST"},
		{"params holds an object", with(`"params":{"a":{}}`), "INVALID_REQUEST"},
		{"params holds null", with(`"params":{"a":null}`), "INVALID_REQUEST"},
		{"query is text", with(`"query":"a=b"`), "INVALID_REQUEST"},
		{"query holds an object", with(`"query":{"a":{"b":1}}`), "INVALID_REQUEST"},
		{"query holds lists in lists", with(`"query":{"a":[[1]]}`), "INVALID_REQUEST"},
		{"headers is a list", with(`"headers":[]`), "INVALID_REQUEST"},
		{"a header is a number", with(`"headers":{"Accept":1}`), "INVALID_REQUEST"},
		{"a header is a list", with(`"headers":{"Authorization":["Bearer user"]}`), "INVALID_REQUEST"},
		{"endpoint twice", `{"endpoint":"/api/x","endpoint":"/api/../admin","method":"GET"}`, "INVALID_REQUEST"},
		{"endpoint twice, escaped", `{"endpoint":"/api/x","\u0065ndpoint":"/admin","method":"GET"}`, "INVALID_REQUEST"},
		{"a key twice in the body", with(`"body":{"a":1,"a":2}`), "INVALID_REQUEST"},
		{"deep body", with(`"body":` + strings.Repeat("[", 100) + strings.Repeat("]", 100)), "INVALID_REQUEST"},
		{"very deep body", with(`"body":` + strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)), "INVALID_REQUEST"},
		{"trailing data", to("/api/x") + to("/api/y"), "INVALID_REQUEST"},
		{"trailing text", to("/api/x") + "x", "INVALID_REQUEST"},
		{"not UTF-8", "{\"endpoint\":\"/api/\xff\",\"method\":\"GET\"}", "INVALID_REQUEST"},
		{"byte order mark", "\ufeff" + to("/api/x"), "INVALID_REQUEST"},
		{"JavaScript", `{endpoint:'/api/x',method:'GET'}`, "INVALID_REQUEST"},
		{"huge", with(`"body":"` + strings.Repeat("x", 1<<20) + `"`), "PAYLOAD_TOO_LARGE"},
		// Headers
		{"line break in a header", with(`"headers":{"Accept":"x\r\nX-Admin: 1"}`), "INVALID_REQUEST"},
		{"line feed in a header", with(`"headers":{"Accept":"x\nX-Admin: 1"}`), "INVALID_REQUEST"},
		{"NUL in a header", with(`"headers":{"Accept":"x\u0000"}`), "INVALID_REQUEST"},
		{"line break in a header's name", with(`"headers":{"X-A\r\nB":"x"}`), "INVALID_REQUEST"},
		{"space in a header's name", with(`"headers":{"Transfer-Encoding ":"chunked"}`), "INVALID_REQUEST"},
		{"colon in a header's name", with(`"headers":{"Authorization:":"x"}`), "INVALID_REQUEST"},
		{"empty header name", with(`"headers":{"":"x"}`), "INVALID_REQUEST"},
		{"two letter cases", with(`"headers":{"Authorization":"Bearer user","authorization":"Bearer admin"}`), "INVALID_REQUEST"},
		{"two letter cases of another", with(`"headers":{"Accept":"a","ACCEPT":"b"}`), "INVALID_REQUEST"},
		// Tokens
		{"lower case, forged", with(`"headers":{"authorization":"Bearer forged"}`), "INVALID_TOKEN"},
		{"no scheme", with(`"headers":{"Authorization":"user"}`), "INVALID_TOKEN"},
		{"Basic", with(`"headers":{"Authorization":"Basic dXNlcjp4"}`), "INVALID_TOKEN"},
		{"empty", with(`"headers":{"Authorization":""}`), "INVALID_TOKEN"},
		{"two tokens", with(`"headers":{"Authorization":"Bearer user, Bearer admin"}`), "INVALID_TOKEN"},
		{"two spaces", with(`"headers":{"Authorization":"Bearer  user"}`), "INVALID_TOKEN"},
		{"huge token", with(`"headers":{"Authorization":"Bearer ` + strings.Repeat("x", 9000) + `"}`), "INVALID_TOKEN"},
		// Texts
		{"too many recipients", `{"endpoint":"/apisms","method":"POST","body":{"to":[` + strings.Join(many, ",") + `]}}`, "INVALID_REQUEST"},
	}
	if len(tests) < 60 {
		t.Fatalf("only %d hostile requests", len(tests))
	}
	r := newRig(t, nil, nil)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := r.post(test.body)
			equal(t, "code", e.Error.Code, test.code)
			if e.status < 400 || e.status > 499 {
				t.Errorf("status %d", e.status)
			}
			if got := r.reached(); len(got) > 0 {
				t.Errorf("reached Verity: %s %s", got[0].Method, got[0].URI)
			}
			if strings.ContainsAny(e.raw, "\x00\r") {
				t.Error("the answer holds control characters")
			}
		})
	}
}

// TestHostileProxyPaths writes request lines as no client library would.
func TestHostileProxyPaths(t *testing.T) {
	r := newRig(t, nil, nil)
	for _, test := range []struct {
		target string
		status int
	}{
		{"/api/verity/proxy/api/x", 200},
		{"/api/verity/proxy/apicalls/x?a=..//", 200},
		{"/api/verity/proxy/../../admin", 400},
		{"/api/verity/proxy/api/../admin", 400},
		{"/api/verity/proxy/api/%2e%2e/admin", 400},
		{"/api/verity/proxy/api/%252e%252e/admin", 400},
		{"/api/verity/proxy//api/x", 400},
		{"/api/verity/proxy/api//x", 400},
		{"/api/verity/proxy/api/x%2fy", 400},
		{"/api/verity/proxy/api/x%5cy", 400},
		{"/api/verity/proxy/api/x%00", 400},
		{"/api/verity/proxy/api/x%0d%0aHost:evil", 400},
		{"/api/verity/proxy/admin", 400},
		{"/api/verity/proxy/", 400},
		{"/api/verity/proxy/http://evil.example.test/api", 400},
		{"/api/verity/proxy/api/{id}", 400},
		{"/api/verity/proxy/api/%7Bid%7D", 400},
		{"/api/verity/%70roxy/api/x", 404},
		{"/api/verity/x/../proxy/api/x", 404},
		{"/api//verity", 404},
		{"http://evil.example.test/api/verity/proxy/api/x", 200},
	} {
		status := rawRequest(t, r, "GET "+test.target+" HTTP/1.1\r\nHost: gw\r\nX-API-Key: "+goodKey+"\r\n\r\n")
		equal(t, test.target, status, test.status)
		for _, got := range r.reached() {
			if test.status != 200 {
				t.Errorf("%s reached Verity as %s", test.target, got.URI)
			}
			if got.Host == "evil.example.test" {
				t.Error("the host was passed on")
			}
		}
	}
}

// TestSmuggling sends requests whose length two servers could read differently.
func TestSmuggling(t *testing.T) {
	r := newRig(t, nil, nil)
	body := `{"endpoint":"/api/x","method":"GET"}`
	for name, head := range map[string]string{
		"both lengths, chunked last": fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: xchunked\r\n", len(body)),
		"two lengths":                fmt.Sprintf("Content-Length: %d\r\nContent-Length: 5\r\n", len(body)),
		"a length with a sign":       fmt.Sprintf("Content-Length: +%d\r\n", len(body)),
		"space before the colon":     fmt.Sprintf("Content-Length : %d\r\n", len(body)),
		"two keys":                   fmt.Sprintf("Content-Length: %d\r\nAuthorization: Bearer other\r\n", len(body)),
	} {
		status := rawRequest(t, r, "POST /api/verity HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer "+goodKey+"\r\n"+head+"\r\n"+body)
		if status < 400 || len(r.reached()) > 0 {
			t.Errorf("%s: got %d", name, status)
		}
	}
}

func rawRequest(t *testing.T, r *rig, text string) int {
	t.Helper()
	target, err := url.Parse(r.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", target.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// FuzzResolve holds what comes out of resolve against what must be true of any
// path that is sent.
func FuzzResolve(f *testing.F) {
	for _, seed := range []string{"/api/x", "/api/{a}/[b].json", "/api/%2e%2e", "/apisms", "/api.{a}", "/api/ü%25", "/api{a}", "/api/a%20b?x=1"} {
		f.Add(seed, "value", "..")
	}
	f.Fuzz(func(t *testing.T, endpoint, a, b string) {
		path, _, err := resolve(endpoint, map[string]string{"a": a, "b": b})
		if err != nil {
			return
		}
		if path != "/api" && !strings.HasPrefix(path, "/api/") {
			t.Fatalf("%q is not under /api", path)
		}
		parsed, err := url.ParseRequestURI(path)
		if err != nil || parsed.Host != "" || parsed.RawQuery != "" || parsed.EscapedPath() != path {
			t.Fatalf("%q is no plain path: %v", path, err)
		}
		for segment := range strings.SplitSeq(path, "/") {
			decoded, err := url.PathUnescape(segment)
			if err != nil || decoded == "." || decoded == ".." {
				t.Fatalf("segment %q of %q", segment, path)
			}
			if strings.ContainsAny(decoded, "\x00\r\n") {
				t.Fatalf("control character in %q", path)
			}
		}
		wantSegments := strings.Count(strings.SplitN(endpoint, "?", 2)[0], "/")
		if got := strings.Count(path, "/"); !strings.HasPrefix(endpoint, "/apisms") && got != wantSegments && got != wantSegments+1 && !isTextPath(path) {
			t.Fatalf("%q became %q: the values changed the number of segments", endpoint, path)
		}
		again, _, err := resolve(path, nil)
		if err == nil && again != path {
			t.Fatalf("%q resolves to %q, and that to %q", endpoint, path, again)
		}
	})
}

func FuzzDecodeRequest(f *testing.F) {
	for _, seed := range []string{getPallet, `{"endpoint":"/api/x","method":"POST","params":{"a":1},"query":{"b":[1,"x"]},"headers":{"Accept":"y"},"body":{"z":null}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		request, err := decodeRequest(data)
		if err != nil {
			if code := envelopeFault(err).Code; code != "INVALID_REQUEST" {
				t.Fatalf("code %s", code)
			}
			return
		}
		if request.Endpoint == "" || request.Method == "" {
			t.Fatal("passed without its fields")
		}
		for name, values := range request.Header {
			if strings.ContainsAny(name+values[0], "\r\n\x00") || len(values) != 1 {
				t.Fatalf("header %q: %q", name, values)
			}
		}
	})
}

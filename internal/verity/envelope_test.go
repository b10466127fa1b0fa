package verity

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/verity/catalogue"
)

const getPallet = `{"endpoint":"/api/warehouse/pallets/p-1","method":"GET"}`

// TestEveryRowOfTheErrorTable walks the table of the contract, §3, and the rows
// that this package adds to it.
func TestEveryRowOfTheErrorTable(t *testing.T) {
	enforce := func(c *Config) { c.Mode = Enforce }
	none := func(c *Config) { c.Mode, c.Catalogue = Enforce, func() *catalogue.Catalogue { return nil } }
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	reset := func(w http.ResponseWriter, _ *http.Request) { abort(w) }
	impatient := func(c *Config) { c.Timeout = 50 * time.Millisecond }
	closed := func(c *Config) { c.BaseURL = "http://127.0.0.1:1" }
	token := func(value string) string {
		return `{"endpoint":"/api/warehouse/pallets/p-1","method":"GET","headers":{"authorization":"` + value + `"}}`
	}
	to := func(path string) string { return `{"endpoint":"` + path + `","method":"GET"}` }
	tests := []struct {
		name, key, body string
		change          func(*Config)
		upstream        http.HandlerFunc
		status          int
		code, says      string
	}{
		{"no key", "", getPallet, nil, nil, 401, "UNAUTHORIZED", ""},
		{"wrong key", "Bearer nope", getPallet, nil, nil, 401, "UNAUTHORIZED", ""},
		{"key under another scheme", "Basic " + goodKey, getPallet, nil, nil, 401, "UNAUTHORIZED", ""},
		{"key without the scope", "Bearer no-scope", getPallet, nil, nil, 403, "FORBIDDEN", ""},
		{"key store down", "Bearer store-down", getPallet, nil, nil, 503, "UNAVAILABLE", ""},
		{"over the rate", "Bearer too-fast", getPallet, nil, nil, 429, "RATE_LIMITED", ""},
		{"no JSON", "ok", "hello", nil, nil, 400, "INVALID_REQUEST", "JSON"},
		{"no object", "ok", "[]", nil, nil, 400, "INVALID_REQUEST", "object"},
		{"no body", "ok", "", nil, nil, 400, "INVALID_REQUEST", "JSON"},
		{"neither field", "ok", "{}", nil, nil, 400, "INVALID_REQUEST", "endpoint and method"},
		{"endpoint missing", "ok", `{"method":"GET"}`, nil, nil, 400, "INVALID_REQUEST", "endpoint"},
		{"method missing", "ok", `{"endpoint":"/api/x"}`, nil, nil, 400, "INVALID_REQUEST", "method"},
		{"endpoint of the wrong type", "ok", `{"endpoint":5,"method":"GET"}`, nil, nil, 400, "INVALID_REQUEST", "endpoint"},
		{"endpoint outside /api", "ok", to("/admin"), nil, nil, 400, "INVALID_ENDPOINT", "/api"},
		{"endpoint with dots", "ok", to("/api/../x"), nil, nil, 400, "INVALID_ENDPOINT", ""},
		{"unfilled placeholder", "ok", to("/api/x/{id}"), nil, nil, 400, "INVALID_ENDPOINT", "params"},
		{"unknown method", "ok", `{"endpoint":"/api/x","method":"BREW"}`, nil, nil, 400, "INVALID_METHOD", "GET"},
		{"token that does not verify", "ok", token("Bearer forged"), nil, nil, 401, "INVALID_TOKEN", ""},
		{"token and no verifier", "ok", token("Bearer user"), func(c *Config) { c.Verifier = nil }, nil, 401, "INVALID_TOKEN", ""},
		{"any caller needed", "ok", to("/api/any"), enforce, nil, 401, "AUTH_REQUIRED", ""},
		{"user needed", "ok", to("/api/user"), enforce, nil, 401, "AUTH_REQUIRED", ""},
		{"user needed, machine came", "ok", strings.Replace(token("Bearer machine"), "/api/warehouse/pallets/p-1", "/api/user", 1), enforce, nil, 403, "FORBIDDEN", ""},
		{"admin needed, user came", "ok", strings.Replace(token("Bearer user"), "/api/warehouse/pallets/p-1", "/api/admin", 1), enforce, nil, 403, "FORBIDDEN", ""},
		{"not in the catalogue", "ok", to("/api/unlisted"), enforce, nil, 404, "ENDPOINT_NOT_FOUND", ""},
		{"method not in the catalogue", "ok", `{"endpoint":"/api/user","method":"DELETE"}`, enforce, nil, 404, "ENDPOINT_NOT_FOUND", ""},
		{"no catalogue", "ok", to("/api/any"), none, nil, 503, "CATALOG_UNAVAILABLE", ""},
		{"upstream says 404", "ok", getPallet, nil, answer(404, `{"error":"Pallet missing"}`), 404, "HTTP_404", "Pallet missing"},
		{"upstream says 422 in its own words", "ok", getPallet, nil, answer(422, `{"message":"no","why":1.10}`), 422, "HTTP_422", "no"},
		{"upstream says 500", "ok", getPallet, nil, answer(500, `{"stack":"at /srv/app.js"}`), 500, "HTTP_500", "HTTP 500: Internal Server Error"},
		{"upstream unreachable", "ok", getPallet, closed, nil, 500, "PROXY_ERROR", "reached"},
		{"upstream breaks off", "ok", getPallet, nil, reset, 500, "PROXY_ERROR", "broke"},
		{"upstream hangs", "ok", getPallet, impatient, hang, 500, "PROXY_ERROR", "in time"},
		{"body over the limit", "ok", `{"endpoint":"` + strings.Repeat("x", 1<<20) + `"}`, nil, nil, 413, "PAYLOAD_TOO_LARGE", "1048576"},
		{"schema, validated", "ok", `{"endpoint":"/api/warehouse/pallets","method":"POST","body":{"weightKg":"heavy"}}`,
			func(c *Config) { c.Mode, c.Validate = Enforce, true }, nil, 400, "INVALID_REQUEST", "schema"},
		{"text to somebody who opted out", "ok", `{"endpoint":"/apisms","method":"POST","body":{"to":"+1 500 555 0199","body":"hi"}}`, nil, nil, 403, "OPTED_OUT", ""},
		{"text and consent cannot be read", "ok", `{"endpoint":"/apisms","method":"POST","body":{"to":"+15005550198"}}`, nil, nil, 403, "OPTED_OUT", ""},
		{"text and no gate", "ok", `{"endpoint":"/apisms","method":"POST","body":{"to":"+15005550100"}}`, func(c *Config) { c.Gate = nil }, nil, 403, "OPTED_OUT", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, test.upstream, test.change)
			request := r.request("POST", "/api/verity", test.body)
			if test.key == "ok" {
				test.key = "Bearer " + goodKey
			}
			if test.key != "" {
				request.Header.Set("Authorization", test.key)
			}
			e := r.send(request)
			equal(t, "status", e.status, test.status)
			equal(t, "code", e.Error.Code, test.code)
			equal(t, "success", e.Success, false)
			equal(t, "meta.status", e.Meta.Status, test.status)
			if !strings.Contains(e.Error.Message, test.says) || e.Error.Message == "" {
				t.Errorf("message %q does not say %q", e.Error.Message, test.says)
			}
			if test.upstream == nil && len(r.reached()) > 0 {
				t.Error("it reached Verity")
			}
			if strings.Contains(e.raw, "srv/app.js") || strings.Contains(e.raw, "0199") {
				t.Errorf("the answer says too much: %s", e.raw)
			}
			equal(t, "nosniff", e.header.Get("X-Content-Type-Options"), "nosniff")
			if test.status == 429 {
				equal(t, "Retry-After", e.header.Get("Retry-After"), "2")
			}
			r.events.mu.Lock()
			defer r.events.mu.Unlock()
			if len(r.events.served) != 1 || r.events.served[0].Code != test.code {
				t.Errorf("observed %+v", r.events.served)
			}
		})
	}
}

// abort resets the connection without an answer.
func abort(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func TestSuccessfulCallIsWrapped(t *testing.T) {
	const big = `{"n":12345678901234567890.1234567890,"list":[1e400]}`
	tests := []struct {
		name, contentType, body string
		status                  int
		data, encoding          string
	}{
		{"JSON, numbers exact", "application/json", big, 200, big, ""},
		{"JSON of another name", "application/vnd.api+json; charset=utf-8", `[1]`, 201, `[1]`, ""},
		{"JSON without a name", "", `{"a":1}`, 200, `{"a":1}`, ""},
		{"text", "text/plain", "5\n", 200, `"5\n"`, ""},
		{"an HTML page", "text/html", "<b>&", 200, "\"\\u003cb\\u003e\\u0026\"", ""},
		// The original reported a 2xx with broken JSON as a failure, which
		// invited its callers to send twice (defect C7).
		{"broken JSON", "application/json", `{"id":1`, 200, `"{\"id\":1"`, ""},
		{"two JSON values", "application/json", `{} {}`, 200, `"{} {}"`, ""},
		{"empty", "application/json", "", 200, "null", ""},
		{"accepted", "", "", 202, "null", ""},
		{"binary", "application/pdf", "\xff\xfe\x00", 200, `"//4A"`, "base64"},
		{"JSON that is not UTF-8", "application/json", "\"\xff\"", 200, `"Iv8i"`, "base64"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = nil
				if test.contentType != "" {
					w.Header().Set("Content-Type", test.contentType)
				}
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}, nil)
			e := r.post(getPallet)
			equal(t, "status", e.status, test.status)
			equal(t, "success", e.Success, true)
			equal(t, "data", string(e.Data), test.data)
			equal(t, "encoding", e.Meta.Encoding, test.encoding)
			equal(t, "meta.endpoint", e.Meta.Endpoint, "/api/warehouse/pallets/p-1")
			equal(t, "meta.method", e.Meta.Method, "GET")
			equal(t, "meta.status", e.Meta.Status, test.status)
			if _, err := time.Parse(time.RFC3339, e.Meta.Timestamp); err != nil || e.Meta.Duration == nil {
				t.Errorf("meta: %+v", e.Meta)
			}
		})
	}
}

func TestNoContentHasNoEnvelope(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, nil)
	e := r.post(getPallet)
	equal(t, "status", e.status, 204)
	equal(t, "body", e.raw, "")
}

func TestWhatGoesUpstream(t *testing.T) {
	tests := []struct{ name, body, uri, sent string }{
		{"as it is", `{"endpoint":"/api/x/y","method":"GET"}`, "GET /api/x/y", ""},
		{"both placeholders", `{"endpoint":"/api/{a}/[b]","method":"GET","params":{"a":1,"b":true,"unused":"x"}}`, "GET /api/1/true", ""},
		{"part of a segment", `{"endpoint":"/api/f/{a}.json","method":"GET","params":{"a":"r"}}`, "GET /api/f/r.json", ""},
		{"one segment per value", `{"endpoint":"/api/x/{a}","method":"GET","params":{"a":"../../admin?x#y%2f"}}`, "GET /api/x/..%2F..%2Fadmin%3Fx%23y%252f", ""},
		{"a value that looks like a replacement", `{"endpoint":"/api/x/{a}","method":"GET","params":{"a":"$&{a}"}}`, "GET /api/x/$&%7Ba%7D", ""},
		{"spaces and umlauts", `{"endpoint":"/api/ä b","method":"GET"}`, "GET /api/%C3%A4%20b", ""},
		{"canonical escapes", `{"endpoint":"/api/%61%2Db","method":"GET"}`, "GET /api/a-b", ""},
		{"a percent sign", `{"endpoint":"/api/100%25","method":"GET"}`, "GET /api/100%25", ""},
		{"calls", `{"endpoint":"/apicalls/agents","method":"GET"}`, "GET /api/calls/agents", ""},
		{"comms", `{"endpoint":"/apicomms/contacts","method":"GET"}`, "GET /api/comms/contacts", ""},
		{"other domains", `{"endpoint":"/apiwarehouse/x","method":"GET"}`, "GET /api/warehouse/x", ""},
		{"sms", `{"endpoint":"/apisms","method":"POST","body":{"to":"+15005550100"}}`, "POST " + catalogue.TextPath, `{"to":"+15005550100"}`},
		{"sms with more", `{"endpoint":"/apisms/send","method":"POST","body":{"to":"+15005550100"}}`, "POST " + catalogue.TextPath, `{"to":"+15005550100"}`},
		// The original sent arrays as "a,b" and objects as "[object Object]",
		// and dropped falsy bodies and those of DELETE (defect C8).
		{"array query", `{"endpoint":"/api/x","method":"GET","query":{"t":["a","b"],"n":1.10,"b":false,"no":null,"none":[]}}`, "GET /api/x?b=false&n=1.10&t=a&t=b", ""},
		{"query behind the endpoint", `{"endpoint":"/api/x?a=1&t=x","method":"GET","query":{"t":"y z"}}`, "GET /api/x?a=1&t=x&t=y+z", ""},
		{"body of DELETE", `{"endpoint":"/api/x","method":"DELETE","body":{"ids":[1]}}`, "DELETE /api/x", `{"ids":[1]}`},
		{"falsy body", `{"endpoint":"/api/x","method":"POST","body":false}`, "POST /api/x", `false`},
		{"body byte for byte", `{"endpoint":"/api/x","method":"PUT","body":{ "n" : 1.000000000000000000001 }}`, "PUT /api/x", `{ "n" : 1.000000000000000000001 }`},
		{"no body", `{"endpoint":"/api/x","method":"PATCH","body":null}`, "PATCH /api/x", ``},
		{"GET takes none", `{"endpoint":"/api/x","method":"GET","body":{"a":1}}`, "GET /api/x", ``},
		{"slash at the end", `{"endpoint":"/api/x/","method":"GET"}`, "GET /api/x/", ""},
	}
	r := newRig(t, nil, nil)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := r.post(test.body)
			equal(t, "status", e.status, 200)
			got := r.reached()
			if len(got) != 1 {
				t.Fatalf("reached Verity %d times: %s", len(got), e.raw)
			}
			equal(t, "request", got[0].Method+" "+got[0].URI, test.uri)
			equal(t, "body", got[0].Body, test.sent)
		})
	}
}

// The original copied every header the caller gave, among them internal trust
// headers, and let an Authorization in lower case through unverified.
func TestOnlyListedHeadersGoUpstream(t *testing.T) {
	r := newRig(t, nil, func(c *Config) { c.AllowHeaders = []string{"x-team", "Cookie", "x-forwarded-host"} })
	e := r.post(`{"endpoint":"/api/x","method":"POST","body":{},"headers":{
		"aUTHORIZATION":"bearer user","idempotency-key":"i-1","X-Request-Id":"r-1","X-Team":"blue","content-type":"application/merge-patch+json",
		"Host":"evil.example.test","Cookie":"a=b","Connection":"close","Transfer-Encoding":"chunked","Content-Length":"0","X-Forwarded-For":"1.2.3.4",
		"X-Forwarded-Host":"evil","X-Real-IP":"1.2.3.4","X-Middleware-Secret":"s","X-Internal-Trust":"yes","X-HTTP-Method-Override":"DELETE","Proxy-Authorization":"x","X-API-Key":"k","Upgrade":"websocket","Te":"trailers"}}`)
	equal(t, "status", e.status, 200)
	got := r.reached()[0]
	want := map[string]string{
		"Authorization": "bearer user", "Idempotency-Key": "i-1", "X-Request-Id": "r-1", "X-Team": "blue",
		"Content-Type": "application/merge-patch+json", "User-Agent": "df-middleware", "Content-Length": "2",
	}
	for name := range got.Header {
		equal(t, name, got.Header.Get(name), want[name])
	}
	equal(t, "headers", len(got.Header), len(want))
	equal(t, "host", got.Host, strings.TrimPrefix(r.gateway.base.String(), "http://"))
}

func TestRedirectsStayWithVerity(t *testing.T) {
	elsewhere := make(chan string, 1)
	var other string
	r := newRig(t, func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/api/moved":
			http.Redirect(w, q, "/api/new?x=1", http.StatusFound)
		case "/api/away":
			http.Redirect(w, q, other, http.StatusFound)
		case "/api/out":
			http.Redirect(w, q, "/admin", http.StatusFound)
		case "/api/loop":
			http.Redirect(w, q, "/api/loop", http.StatusFound)
		default:
			_, _ = io.WriteString(w, q.RequestURI)
		}
	}, nil)
	evil := newRig(t, func(_ http.ResponseWriter, q *http.Request) { elsewhere <- q.Header.Get("Authorization") }, nil)
	other = evil.gateway.cfg.BaseURL + "/api/x"
	for path, want := range map[string]int{"/api/moved": 200, "/api/away": 302, "/api/out": 302, "/api/loop": 302} {
		e := r.post(`{"endpoint":"` + path + `","method":"GET","headers":{"Authorization":"Bearer user"}}`)
		equal(t, path, e.status, want)
		equal(t, path+" location", e.header.Get("Location"), "")
	}
	e := r.post(`{"endpoint":"/api/moved","method":"POST","body":{}}`)
	equal(t, "a POST is not repeated", e.Error.Code, "HTTP_302")
	select {
	case got := <-elsewhere:
		t.Errorf("another host was sent %q", got)
	default:
	}
}

func TestRightCallersPassInEnforceMode(t *testing.T) {
	r := newRig(t, nil, func(c *Config) { c.Mode, c.Validate = Enforce, true })
	for _, test := range []struct{ path, token string }{
		{"/api/any", "machine"}, {"/api/any", "user"}, {"/api/user", "user"}, {"/api/user", "admin"}, {"/api/admin", "admin"},
		{"/api/warehouse/pallets/x", "user"},
	} {
		e := r.post(`{"endpoint":"` + test.path + `","method":"GET","headers":{"Authorization":"Bearer ` + test.token + `"}}`)
		equal(t, test.path+" "+test.token, e.status, 200)
	}
}

func TestTextsPassTheGateHoweverTheyAreAskedFor(t *testing.T) {
	r := newRig(t, nil, nil)
	opted := `"+15005550199"`
	for name, body := range map[string]string{
		"alias":            `{"endpoint":"/apisms","method":"POST","body":{"to":` + opted + `}}`,
		"full path":        `{"endpoint":"` + catalogue.TextPath + `","method":"POST","body":{"to":` + opted + `}}`,
		"other case":       `{"endpoint":"/api/Integrations/DF-Middleware/Send-Message/","method":"POST","body":{"to":` + opted + `}}`,
		"encoded":          `{"endpoint":"/api/integrations/df%2Dmiddleware/send%2dmessage","method":"POST","body":{"to":` + opted + `}}`,
		"in parameters":    `{"endpoint":"/api/integrations/{a}/[b]","method":"POST","params":{"a":"df-middleware","b":"send-message"},"body":{"to":` + opted + `}}`,
		"alias by param":   `{"endpoint":"/api{a}","method":"POST","params":{"a":"sms"},"body":{"to":` + opted + `}}`,
		"another spelling": `{"endpoint":"/apisms","method":"POST","body":{"to":"(500) 555-0199"}}`,
		"a list":           `{"endpoint":"/apisms","method":"POST","body":{"to":["+15005550100",` + opted + `]}}`,
		"escaped key":      `{"endpoint":"/apisms","method":"POST","body":{"\u0074o":` + opted + `}}`,
		"flagged":          `{"endpoint":"/api/notify","method":"POST","body":{"person":{"phone":` + opted + `}}}`,
		"by its name":      `{"endpoint":"/api/comms/SMS/now","method":"PUT","body":{"recipients":[{"phoneE164":` + opted + `}]}}`,
	} {
		e := r.post(body)
		equal(t, name+" code", e.Error.Code, CodeOptedOut)
	}
	for name, body := range map[string]string{
		"no number":      `{"endpoint":"/apisms","method":"POST","body":{"body":"x"}}`,
		"no body":        `{"endpoint":"/apisms","method":"POST"}`,
		"not a number":   `{"endpoint":"/apisms","method":"POST","body":{"to":"bob"}}`,
		"a key twice":    `{"endpoint":"/apisms","method":"POST","body":{"to":"+15005550100","to":` + opted + `}}`,
		"twice, escaped": `{"endpoint":"/apisms","method":"POST","body":{"to":"+15005550100","t\u006f":` + opted + `}}`,
	} {
		equal(t, name, r.post(body).Error.Code, "INVALID_REQUEST")
	}
	if got := r.reached(); len(got) > 0 {
		t.Fatalf("Verity got %+v", got)
	}
	e := r.post(`{"endpoint":"/apisms","method":"POST","body":{"to":"+15005550100"}}`)
	equal(t, "an allowed text", e.status, 200)
	equal(t, "no credential of ours", r.reached()[0].Header.Get("Authorization"), "")
}

func TestCatalogueIsListedWithTag(t *testing.T) {
	r := newRig(t, nil, nil)
	get := func(path, tag string) envelope {
		request := r.request("GET", path, "")
		request.Header.Set("Authorization", goodKey) // the original took a bare key
		request.Header.Set("If-None-Match", tag)
		return r.send(request)
	}
	all := get("/api/verity", "")
	equal(t, "status", all.status, 200)
	for _, part := range []string{`"catalog":{"version":"1"`, `"endpoint":"/api/verity"`, `"method":"POST"`, `"description"`, "/apiwarehouse/pallets"} {
		if !strings.Contains(all.raw, part) {
			t.Errorf("%s is missing in %s", part, all.raw)
		}
	}
	equal(t, "not modified", get("/api/verity", all.header.Get("ETag")).status, 304)
	some := get("/api/verity?domain=warehouse&q=PALLETID", "")
	if !strings.Contains(some.raw, "palletId") || strings.Contains(some.raw, "/api/admin") {
		t.Errorf("got %s", some.raw)
	}
	equal(t, "another tag", some.header.Get("ETag") == all.header.Get("ETag"), false)
	equal(t, "without a key", r.send(r.request("GET", "/api/verity", "")).Error.Code, "UNAUTHORIZED")
	empty := newRig(t, nil, func(c *Config) { c.Catalogue = nil })
	request := empty.request("GET", "/api/verity", "")
	request.Header.Set("Authorization", "Bearer "+goodKey)
	equal(t, "no catalogue", empty.send(request).Error.Code, "CATALOG_UNAVAILABLE")
}

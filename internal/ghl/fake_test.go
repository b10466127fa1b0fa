package ghl

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
)

// directCaller keeps the promises of egress.Client with nothing behind them.
type directCaller struct{}

func (directCaller) Do(ctx context.Context, call egress.Call) (egress.Answer, error) {
	outcome := df.Unclear
	if call.Repeatable {
		outcome = df.RetryLater
	}
	request, err := http.NewRequestWithContext(ctx, call.Method, call.URL, bytes.NewReader(call.Body))
	if err != nil {
		return egress.Answer{}, failure(call.Operation, df.Refused, df.CodeInvalid, "bad URL")
	}
	request.Header = call.Header
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return egress.Answer{}, failure(call.Operation, outcome, df.CodeUnavailable, "the connection broke")
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return egress.Answer{}, failure(call.Operation, outcome, df.CodeUnavailable, "the connection broke")
	case response.StatusCode == http.StatusTooManyRequests:
		return egress.Answer{}, failure(call.Operation, df.RetryLater, df.CodeRateLimited, "")
	case response.StatusCode >= 500:
		return egress.Answer{}, failure(call.Operation, outcome, df.CodeUnavailable, "")
	}
	return egress.Answer{Status: response.StatusCode, Header: response.Header, Body: body}, nil
}

type seenRequest struct {
	line string // method and path
	body map[string]any
}

// fakeGHL behaves as GHL does: strict about paths, versions and properties,
// careless in its answers.
type fakeGHL struct {
	t   *testing.T
	url string

	mu       sync.Mutex
	token    string
	contacts map[string]map[string]any
	notes    map[string]map[string]any
	seen     []seenRequest
	last     int
	// answer, when set and true, has answered the request itself.
	answer func(w http.ResponseWriter, r *http.Request, body map[string]any) bool
}

const (
	fakeLocation = "loc1"
	fakeToken    = "pit-0001"
)

func newFake(t *testing.T) *fakeGHL {
	t.Helper()
	f := &fakeGHL{t: t, token: fakeToken, contacts: map[string]map[string]any{}, notes: map[string]map[string]any{}}
	mux := http.NewServeMux()
	f.routes(mux)
	server := httptest.NewServer(f.guard(mux))
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *fakeGHL) client() *Client {
	c, err := NewClient(ClientOptions{Caller: directCaller{}, Credentials: PIT(fakeToken), LocationID: fakeLocation, BaseURL: f.url})
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

func (f *fakeGHL) lines() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var lines []string
	for _, request := range f.seen {
		lines = append(lines, request.line)
	}
	return lines
}

func (f *fakeGHL) lastBody() map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[len(f.seen)-1].body
}

// bodyOf returns the body of the newest request with the method.
func (f *fakeGHL) bodyOf(method string) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range slices.Backward(f.seen) {
		if strings.HasPrefix(r.line, method) {
			return r.body
		}
	}
	return nil
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, message any) {
	reply(w, status, map[string]any{"statusCode": status, "message": message, "traceId": "3f0e-77"})
}

// guard checks what every request needs, in the order in which GHL does.
func (f *fakeGHL) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		var body map[string]any
		raw, _ := io.ReadAll(r.Body)
		if len(raw) > 0 && json.Unmarshal(raw, &body) != nil && !strings.HasPrefix(r.URL.Path, "/oauth/") {
			refuse(w, 400, "Unexpected token in JSON")
			return
		}
		f.seen = append(f.seen, seenRequest{r.Method + " " + r.URL.RequestURI(), body})
		if f.answer != nil && f.answer(w, r, body) {
			return
		}
		version := "2021-07-28"
		if strings.HasPrefix(r.URL.Path, "/conversations") {
			version = "2021-04-15"
		}
		switch {
		case r.Header.Get("Authorization") != "Bearer "+f.token:
			reply(w, 401, map[string]any{"statusCode": 401, "message": "Invalid token: access token is invalid", "error": "Unauthorized"})
		case r.Header.Get("Version") != version:
			refuse(w, 401, "version header was not found or is invalid")
		case body != nil && r.Header.Get("Content-Type") != "application/json":
			refuse(w, 415, "Unsupported Media Type")
		default:
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), bodyKey{}, body)))
		}
	})
}

type bodyKey struct{}

func bodyOf(r *http.Request) map[string]any {
	body, _ := r.Context().Value(bodyKey{}).(map[string]any)
	return body
}

const (
	updateProperties = "firstName lastName name email phone address1 city state postalCode website timezone dnd dndSettings " +
		"inboundDndSettings tags customFields source dateOfBirth country assignedTo"
	createProperties = updateProperties + " locationId gender companyName"
)

// allow wraps a handler whose body may have the given properties only.
func (f *fakeGHL) allow(properties, required string, handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body := bodyOf(r)
		var complaints []string
		for _, name := range slices.Sorted(maps.Keys(body)) {
			if !slices.Contains(strings.Fields(properties), name) {
				complaints = append(complaints, "property "+name+" should not exist")
			}
		}
		for name := range strings.FieldsSeq(required) {
			if body[name] == nil {
				complaints = append(complaints, name+" should not be empty")
			}
		}
		if email, _ := body["email"].(string); email != "" && !strings.Contains(email, "@") {
			complaints = append(complaints, "email "+email+" must be an email")
		}
		if len(complaints) > 0 {
			refuse(w, 422, complaints)
			return
		}
		handle(w, r)
	}
}

func (f *fakeGHL) routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /contacts/{$}", f.allow(createProperties, "locationId", f.create))
	mux.HandleFunc("GET /contacts/{id}", f.with(func(w http.ResponseWriter, _ *http.Request, k map[string]any) {
		reply(w, 200, map[string]any{"contact": k, "traceId": "t"})
	}))
	mux.HandleFunc("PUT /contacts/{id}", f.allow(updateProperties, "", f.with(f.update)))
	mux.HandleFunc("DELETE /contacts/{id}", f.with(func(w http.ResponseWriter, r *http.Request, _ map[string]any) {
		delete(f.contacts, r.PathValue("id"))
		reply(w, 200, map[string]any{"succeded": true})
	}))
	mux.HandleFunc("GET /contacts/search/duplicate", f.duplicate)
	mux.HandleFunc("POST /contacts/{id}/tags", f.allow("tags", "tags", f.with(f.addTags)))
	mux.HandleFunc("DELETE /contacts/{id}/tags", f.allow("tags", "tags", f.with(f.removeTags)))
	mux.HandleFunc("GET /locations/loc1/customFields", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, map[string]any{"customFields": []any{
			map[string]any{"id": "cf1", "name": "Case number", "fieldKey": "contact.case_number", "dataType": "TEXT"},
			map[string]any{"id": "cf2", "name": "Debt", "fieldKey": "contact.debt", "dataType": "MONETORY"},
			map[string]any{"id": "cf3", "name": "Interests", "fieldKey": "contact.interests", "dataType": "CHECKBOX"},
			map[string]any{"id": "cf4", "name": "Twice", "fieldKey": "contact.twice", "dataType": "TEXT"},
			map[string]any{"id": "cf5", "name": "twice", "fieldKey": "contact.twice_2", "dataType": "TEXT"},
			map[string]any{"id": "cf6", "name": "Court date", "fieldKey": "contact.court_date", "dataType": "DATE"},
		}})
	})
}

// with finds the contact of the path. One that is gone is a 400 for GHL.
func (f *fakeGHL) with(handle func(http.ResponseWriter, *http.Request, map[string]any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		if k, ok := f.contacts[id]; ok {
			handle(w, r, k)
			return
		}
		refuse(w, 400, "Contact with id "+id+" not found")
	}
}

// clash returns the contact that has the phone or e-mail of body.
func (f *fakeGHL) clash(body map[string]any, self string) (map[string]any, string) {
	for _, field := range []string{"email", "phone"} {
		for id, k := range f.contacts {
			if value, _ := body[field].(string); value != "" && id != self && k[field] == value {
				return k, field
			}
		}
	}
	return nil, ""
}

func clashed(w http.ResponseWriter, k map[string]any, field string) {
	reply(w, 400, map[string]any{"statusCode": 400, "message": "This location does not allow duplicated contacts.",
		"meta": map[string]any{"contactId": k["id"], "matchingField": field, "contactName": "Dana Reyes"}, "traceId": "3f0e-77"})
}

func (f *fakeGHL) create(w http.ResponseWriter, r *http.Request) {
	body := bodyOf(r)
	if body["locationId"] != fakeLocation {
		refuse(w, 403, "The token does not have access to this location.")
		return
	}
	if k, field := f.clash(body, ""); k != nil {
		clashed(w, k, field)
		return
	}
	f.last++
	k := map[string]any{"id": fmt.Sprintf("new%d", f.last), "tags": []any{}, "dnd": false}
	f.apply(k, body)
	f.contacts[k["id"].(string)] = k
	reply(w, 201, map[string]any{"contact": k})
}

func (f *fakeGHL) update(w http.ResponseWriter, r *http.Request, k map[string]any) {
	body := bodyOf(r)
	if other, field := f.clash(body, r.PathValue("id")); other != nil {
		clashed(w, other, field)
		return
	}
	f.apply(k, body)
	reply(w, 200, map[string]any{"succeeded": true, "contact": k})
}

// apply writes properties: tags replace all, null removes the property, custom
// fields are read back under another name than they are written.
func (f *fakeGHL) apply(k, body map[string]any) {
	for name, value := range body {
		switch {
		case value == nil:
			delete(k, name)
		case name == "customFields":
			for _, item := range value.([]any) {
				f.applyCustom(k, item.(map[string]any))
			}
		default:
			k[name] = value
		}
	}
}

func (f *fakeGHL) applyCustom(k, item map[string]any) {
	kept := []any{map[string]any{"id": item["id"], "value": item["field_value"]}}
	if old, ok := k["customFields"].([]any); ok {
		for _, was := range old {
			if was.(map[string]any)["id"] != item["id"] {
				kept = append(kept, was)
			}
		}
	}
	k["customFields"] = kept
}

func (f *fakeGHL) duplicate(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if query.Get("locationId") != fakeLocation {
		refuse(w, 403, "The token does not have access to this location.")
		return
	}
	k, _ := f.clash(map[string]any{"phone": query.Get("number"), "email": strings.ToLower(query.Get("email"))}, "")
	if k == nil {
		reply(w, 200, map[string]any{"contact": nil, "traceId": "t"})
		return
	}
	reply(w, 200, map[string]any{"contact": map[string]any{"id": k["id"]}})
}

func (f *fakeGHL) addTags(w http.ResponseWriter, r *http.Request, k map[string]any) {
	tags, _ := k["tags"].([]any)
	for _, tag := range bodyOf(r)["tags"].([]any) {
		if !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	k["tags"] = tags
	reply(w, 201, map[string]any{"tags": tags})
}

// removeTags removes by exact spelling.
func (f *fakeGHL) removeTags(w http.ResponseWriter, r *http.Request, k map[string]any) {
	tags, _ := k["tags"].([]any)
	kept := []any{}
	for _, tag := range tags {
		if !slices.Contains(bodyOf(r)["tags"].([]any), tag) {
			kept = append(kept, tag)
		}
	}
	k["tags"] = kept
	reply(w, 200, map[string]any{"tags": kept})
}

// logInto returns a logger that writes everything into text.
func logInto(text *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(text, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

package aloware

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
)

const (
	testToken = "aloware-test-token-93c1"
	base      = "https://app.aloware.test/api/v1"
	jo        = df.Phone("+12025550123")
	joNew     = df.Phone("+12025550188")
	other     = df.Phone("+12025550199")
)

// fakeAloware lies as the real one does: no id in answers to writes, a web page
// with 200 for paths it does not know, contacts keyed by number, and a lookup
// that hides some of what was written. It is strict about where the token is.
type fakeAloware struct {
	t        *testing.T
	contacts map[string]map[string]any // by number, also by other numbers
	next     int
	lag      int  // lookups that still do not show a new contact
	joins    bool // a new number with a known other number joins that contact
	calls    []egress.Call
	answers  map[string]egress.Answer // by path: said instead of acting
	errs     map[string]error         // by path
}

func newFake(t *testing.T) *fakeAloware {
	return &fakeAloware{t: t, contacts: map[string]map[string]any{}, next: 700001,
		answers: map[string]egress.Answer{}, errs: map[string]error{}}
}

func jsonWith(status int, body any) egress.Answer {
	encoded, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return egress.Answer{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: encoded}
}

func webPage(status int) egress.Answer {
	return egress.Answer{Status: status, Header: http.Header{"Content-Type": {"text/html; charset=UTF-8"}},
		Body: []byte("<!doctype html><title>Aloware</title>")}
}

func (f *fakeAloware) client() *Client { return NewClient(f, base+"/", testToken) }

// paths lists what was called, in order.
func (f *fakeAloware) paths() string {
	names := make([]string, len(f.calls))
	for i, call := range f.calls {
		names[i] = path(call)
	}
	return strings.Join(names, " ")
}

func path(call egress.Call) string {
	u, err := url.Parse(call.URL)
	if err != nil {
		panic(err)
	}
	return strings.TrimPrefix(u.Path, "/api/v1/webhook/")
}

// last is the body of the last call to a path, without the token.
func (f *fakeAloware) last(name string) map[string]any {
	f.t.Helper()
	for i := len(f.calls) - 1; i >= 0; i-- {
		if path(f.calls[i]) == name {
			body := map[string]any{}
			if err := json.Unmarshal(f.calls[i].Body, &body); err != nil {
				f.t.Fatal(err)
			}
			delete(body, "api_token")
			return body
		}
	}
	f.t.Fatalf("%s was not called, only %s", name, f.paths())
	return nil
}

func (f *fakeAloware) Do(_ context.Context, call egress.Call) (egress.Answer, error) {
	f.calls = append(f.calls, call)
	u, err := url.Parse(call.URL)
	if err != nil {
		f.t.Fatal(err)
	}
	body := map[string]any{}
	switch call.Method {
	case http.MethodGet:
		if u.Query().Get("api_token") != testToken || len(call.Body) > 0 {
			f.t.Errorf("GET %s: token missing in the query, or a body", u.Path)
		}
	case http.MethodPost:
		if err := json.Unmarshal(call.Body, &body); err != nil || body["api_token"] != testToken || u.RawQuery != "" {
			f.t.Errorf("POST %s: token missing in the body, or a query", u.Path)
		}
		if call.Header.Get("Content-Type") != "application/json" {
			f.t.Errorf("POST %s: content type %q", u.Path, call.Header.Get("Content-Type"))
		}
	}
	if call.Header.Get("Authorization") != "" || call.Header.Get("Accept") != "application/json" {
		f.t.Errorf("%s: header %v", u.Path, call.Header)
	}
	if call.Timeout != timeout || call.Operation == "" || strings.Contains(call.Operation, testToken) {
		f.t.Errorf("%s: operation %q, timeout %v", u.Path, call.Operation, call.Timeout)
	}
	name := path(call)
	if err := f.errs[name]; err != nil {
		return egress.Answer{}, err
	}
	if answer, ok := f.answers[name]; ok {
		return answer, nil
	}
	return f.act(name, call.Method, u.Query(), body), nil
}

func (f *fakeAloware) act(name, method string, query url.Values, body map[string]any) egress.Answer {
	switch method + " " + name {
	case "GET contact/phone-number":
		return f.lookup(query.Get("phone_number"))
	case "GET users":
		return jsonWith(200, []any{map[string]any{"id": 41, "name": "Ada", "email": "Ada@example.test", "agent_status": 4}})
	case "POST forms":
		return f.forms(body)
	case "POST sequence-disenroll", "POST sequence-enroll", "POST powerdialer-clear-list", "POST powerdialer-clear-user-lists":
		return jsonWith(200, map[string]any{"message": "ok"})
	case "POST sms-gateway/send":
		return jsonWith(202, map[string]any{"message": "Message sent."})
	case "POST powerdialer-remove-contact-from-lists":
		for _, contact := range f.contacts {
			if fmt.Sprint(contact["id"]) == number(body["contact_id"]) {
				return jsonWith(200, map[string]any{"message": "ok"})
			}
		}
		return jsonWith(404, map[string]any{"message": "The requested contact id does not exist."})
	default:
		return webPage(200)
	}
}

func number(value any) string {
	if f, ok := value.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}

func (f *fakeAloware) lookup(phone string) egress.Answer {
	contact := f.contacts[phone]
	if contact == nil || f.lag > 0 {
		f.lag = max(f.lag-1, 0)
		return jsonWith(404, map[string]any{"error": "Contact not found."})
	}
	shown := map[string]any{}
	for key, value := range contact {
		switch key {
		case "address", "zipcode", "website", "tags", "api_token", "force_update", "other_phone_numbers", "list_ids":
		default:
			shown[key] = value
		}
	}
	return jsonWith(200, shown)
}

func (f *fakeAloware) forms(body map[string]any) egress.Answer {
	phone, _ := body["phone_number"].(string)
	if phone == "" {
		return jsonWith(400, map[string]any{"message": "invalid", "errors": map[string]any{"phone_number": []string{"is required"}}})
	}
	contact := f.contacts[phone]
	if contact == nil && f.joins {
		for _, entry := range asList(body["other_phone_numbers"]) {
			contact = f.contacts[entry.(map[string]any)["phone_number"].(string)]
		}
	}
	if contact != nil && body["force_update"] != true {
		return jsonWith(409, map[string]any{"message": "Contact exists."})
	}
	status := 200
	if contact == nil {
		status = 201
		contact = map[string]any{"id": f.next, "is_dnc": 0, "is_opted_out": false, "updated_at": "2026-05-04 12:00:00"}
		f.next++
	}
	for key, value := range body {
		contact[key] = value
	}
	f.contacts[phone] = contact
	return jsonWith(status, map[string]any{"message": "Contact saved."})
}

func asList(value any) []any {
	list, _ := value.([]any)
	return list
}

// agents stands for agent_directory.
type agents map[string]string // user id to agent key

func (a agents) AgentKeyByAlowareUser(_ context.Context, id string) (string, bool, error) {
	if id == "13" {
		return "", false, context.DeadlineExceeded
	}
	key, found := a[id]
	return key, found, nil
}

func (a agents) AlowareUserByAgentKey(_ context.Context, key string) (string, bool, error) {
	if key == "BROKEN" {
		return "", false, context.DeadlineExceeded
	}
	for id, known := range a {
		if known == key {
			return id, true, nil
		}
	}
	return "", false, nil
}

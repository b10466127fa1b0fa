package alowareworld

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

const ada = "+15005550111"

func TestFormsAnswersAMessageAndNeverAnId(t *testing.T) {
	b := set(t, nil)
	for _, test := range []struct {
		name   string
		values map[string]any
		status int
	}{
		{"new", map[string]any{"phone_number": "500-555-0111", "first_name": "Ada"}, 201},
		{"known, not forced", map[string]any{"phone_number": ada, "first_name": "Eve"}, 409},
		{"known, forced with 1", map[string]any{"phone_number": ada, "city": "Paris", "force_update": 1}, 200},
		{"known, forced with true", map[string]any{"phone_number": "(500) 555-0111", "city": "Rome", "force_update": true}, 200},
		{"no phone", map[string]any{"first_name": "Eve"}, 400},
	} {
		status, out := b.post("/forms", test.values)
		if status != test.status {
			t.Errorf("%s: %d %v", test.name, status, out)
		}
		if out["id"] != nil || len(out) != 1 {
			t.Errorf("%s: the answer says more than a message: %v", test.name, out)
		}
	}
	k, _ := b.Contact(ada)
	if len(b.Contacts()) != 1 || k.Fields["first_name"] != "Ada" || k.Fields["city"] != "Rome" {
		t.Errorf("got %+v", b.Contacts())
	}
	if got := b.events(); !slices.Equal(got, []string{"Contact-Created", "Contact-Updated", "Contact-Updated"}) {
		t.Errorf("writes through the API echo: %v", got)
	}
	old := set(t, func(c *Config) { c.ExistsStatus = 400; c.SilentEcho = true })
	old.post("/forms", map[string]any{"phone_number": ada})
	if status, _ := old.post("/forms", map[string]any{"phone_number": ada}); status != 400 || len(old.events()) != 0 {
		t.Errorf("status %d", status)
	}
}

func TestFormsAddsTagsAndListsAndMarksDNC(t *testing.T) {
	b := set(t, func(c *Config) { c.Lists = []int64{11, 12} })
	b.post("/forms", map[string]any{"phone_number": ada, "tags": "a, b", "list_ids": "11"})
	b.post("/forms", map[string]any{"phone_number": ada, "tags": "B,c", "list_ids": "12", "is_dnc": 1, "force_update": 1, "nonsense": 1})
	k, _ := b.Contact(ada)
	if !slices.Equal(k.Tags, []string{"a", "b", "c"}) || !slices.Equal(k.Lists, []int64{11, 12}) || !k.DNC {
		t.Errorf("got %+v", k)
	}
	if status, out := b.post("/forms", map[string]any{"phone_number": ada, "list_ids": "99", "force_update": 1}); status != 422 || out["errors"] == nil {
		t.Errorf("an unknown list: %d %v", status, out)
	}
	b.post("/forms", map[string]any{"phone_number": ada, "is_dnc": 0, "force_update": 1})
	if k, _ = b.Contact(ada); k.DNC {
		t.Error("is_dnc 0 did not clear")
	}
	if got := b.events(); !slices.Contains(got, "Contact-DNC-Updated") {
		t.Errorf("events %v", got)
	}
	keeper := set(t, func(c *Config) { c.KeepDNC = true })
	keeper.post("/forms", map[string]any{"phone_number": ada, "is_dnc": 1})
	keeper.post("/forms", map[string]any{"phone_number": ada, "is_dnc": 0, "force_update": 1})
	if k, _ := keeper.Contact(ada); !k.DNC {
		t.Error("is_dnc 0 cleared")
	}
}

func TestLookupShowsLessThanCanBeWritten(t *testing.T) {
	b := set(t, nil)
	b.post("/forms", map[string]any{"phone_number": ada, "first_name": "Ada", "address": "Main St", "zipcode": "1", "website": "w", "city": "Paris", "csf1": "ghl", "tags": "x"})
	status, out := b.lookup("5005550111")
	if status != 200 || out["city"] != "Paris" || out["csf1"] != "ghl" || fmt.Sprint(out["tags"]) != "[x]" {
		t.Errorf("%d %v", status, out)
	}
	if _, isNumber := out["id"].(float64); !isNumber || out["is_dnc"] != 0.0 {
		t.Errorf("id %v, is_dnc %v", out["id"], out["is_dnc"])
	}
	for _, hiddenField := range []string{"address", "zipcode", "website", "notes"} {
		if _, shown := out[hiddenField]; shown {
			t.Errorf("%s is shown", hiddenField)
		}
	}
	if status, out := b.lookup("+15005550119"); status != 404 || out["error"] != "Contact not found." {
		t.Errorf("%d %v", status, out)
	}
	if status, out := b.lookup("12"); status != 400 || out["error"] != "Phone number is empty or invalid." {
		t.Errorf("%d %v", status, out)
	}
	wrapped := set(t, func(c *Config) { c.Envelope, c.BoolFlags = "data", true })
	wrapped.post("/forms", map[string]any{"phone_number": ada})
	if _, out := wrapped.lookup(ada); out["data"].(map[string]any)["is_dnc"] != false {
		t.Errorf("got %v", out)
	}
}

func TestWrongTokenAndUnknownPath(t *testing.T) {
	b := set(t, nil)
	if status, _ := b.post("/forms", map[string]any{"phone_number": ada, "api_token": "x"}); status != 401 {
		t.Errorf("status %d", status)
	}
	r := httptest.NewRequest("GET", "/api/v1/webhook/users", nil)
	r.Header.Set("Authorization", "Bearer "+b.Settings().Token)
	if status, _ := b.do(r); status != 401 {
		t.Errorf("a header is no credential, got %d", status)
	}
	for _, path := range []string{"/api/v1/calls/1", "/api/v1/webhook/powerdialer-add-contact-to-lists", "/x"} {
		if status, out := b.do(httptest.NewRequest("GET", path, nil)); status != 200 || out["html"] == nil {
			t.Errorf("%s: %d", path, status)
		}
	}
	if status, _ := b.do(httptest.NewRequest("GET", "/api/v1/webhook/forms", nil)); status != 405 {
		t.Errorf("wrong verb: %d", status)
	}
	page := set(t, func(c *Config) { c.TokenPage = true })
	if status, out := page.post("/forms", map[string]any{"api_token": "x"}); status != 200 || out["html"] == nil {
		t.Errorf("%d %v", status, out)
	}
}

func TestListsAreLeftAllAtOnce(t *testing.T) {
	b := set(t, func(c *Config) { c.Users = []User{{ID: 7, Name: "Ann", Status: 1}} })
	b.post("/forms", map[string]any{"phone_number": ada, "list_ids": "11,12", "user_id": 7})
	k, _ := b.Contact(ada)
	if status, _ := b.post("/powerdialer-clear-list", map[string]any{"list_id": "11"}); status != 200 {
		t.Errorf("clear list: %d", status)
	}
	if k, _ := b.Contact(ada); !slices.Equal(k.Lists, []int64{12}) {
		t.Errorf("lists %v", k.Lists)
	}
	if status, _ := b.post("/powerdialer-remove-contact-from-lists", map[string]any{"contact_id": k.ID}); status != 200 {
		t.Errorf("remove: %d", status)
	}
	if k, _ := b.Contact(ada); len(k.Lists) != 0 {
		t.Errorf("lists %v", k.Lists)
	}
	if status, out := b.post("/powerdialer-remove-contact-from-lists", map[string]any{"contact_id": 1}); status != 404 || out["message"] == nil {
		t.Errorf("%d %v", status, out)
	}
	if err := b.AddToList(ada, 13); err != nil {
		t.Fatal(err)
	}
	b.post("/powerdialer-clear-user-lists", map[string]any{"user_id": 7})
	if k, _ := b.Contact(ada); len(k.Lists) != 0 {
		t.Errorf("lists %v", k.Lists)
	}
}

func TestSequences(t *testing.T) {
	b := set(t, func(c *Config) { c.Sequences = []int64{5} })
	b.post("/forms", map[string]any{"phone_number": ada})
	k, _ := b.Contact(ada)
	for _, test := range []struct {
		path   string
		values map[string]any
		status int
	}{
		{"/sequence-enroll", map[string]any{"sequence_id": 5, "source": "gohighlevel", "phone_number": ada}, 400},
		{"/sequence-enroll", map[string]any{"sequence_id": 6, "source": "phone_number", "phone_number": ada}, 400},
		{"/sequence-enroll", map[string]any{"sequence_id": "5", "source": "phone_number", "phone_number": ada}, 200},
		{"/sequence-enroll", map[string]any{"sequence_id": 5, "source": "aloware", "id": k.ID}, 400},
		{"/sequence-enroll", map[string]any{"sequence_id": 5, "source": "aloware", "id": k.ID, "force_enroll": true}, 200},
		{"/sequence-disenroll", map[string]any{"source": "phone_number", "phone_number": ada}, 200},
		{"/sequence-disenroll", map[string]any{"source": "phone_number", "phone_number": "+15005550119"}, 400},
	} {
		if status, out := b.post(test.path, test.values); status != test.status {
			t.Errorf("%s %v: %d %v", test.path, test.values, status, out)
		}
	}
	if k, _ := b.Contact(ada); len(k.Sequences) != 0 {
		t.Errorf("sequences %v", k.Sequences)
	}
}

func TestTextsAreAcceptedAndFailLaterWhenOptedOut(t *testing.T) {
	b := set(t, nil)
	b.post("/forms", map[string]any{"phone_number": ada})
	if status, out := b.post("/sms-gateway/send", map[string]any{"from": "+15005550199", "to": ada, "message": strings.Repeat("x", 161)}); status != 422 || out["errors"] == nil {
		t.Errorf("161 characters: %d %v", status, out)
	}
	if status, out := b.post("/sms-gateway/send", map[string]any{"from": "+15005550199", "to": ada, "message": "hi"}); status != 202 || out["message"] != "Message sent." {
		t.Errorf("%d %v", status, out)
	}
	if err := b.ReceiveText(ada, "revoke"); err != nil {
		t.Fatal(err)
	}
	if k, _ := b.Contact(ada); k.OptedOut {
		t.Error("Aloware does not know REVOKE")
	}
	if err := b.ReceiveText(ada, "Stop"); err != nil {
		t.Fatal(err)
	}
	if status, _ := b.post("/sms-gateway/send", map[string]any{"line_id": 1, "to": ada, "message": "hi"}); status != 202 {
		t.Errorf("an opted-out number: %d", status)
	}
	want := []string{"Contact-Created", "OutboundSMS-DispositionCompleted", "InboundSMS-DispositionCompleted", "InboundSMS-DispositionCompleted", "Contact-DNC-Updated", "OutboundSMS-DispositionInvalid"}
	if got := b.events(); !slices.Equal(got, want) {
		t.Errorf("events %v", got)
	}
	texts := b.Texts()
	if len(texts) != 2 || texts[0].Failed || !texts[1].Failed {
		t.Errorf("got %+v", texts)
	}
}

func TestFanOutOfACall(t *testing.T) {
	b := set(t, nil)
	b.post("/forms", map[string]any{"phone_number": ada})
	b.hooks()
	for _, test := range []struct {
		call Call
		want []string
	}{
		{Call{TalkTime: 63, Agency: "No Answer", Recording: true, Summary: "s"}, []string{"OutboundPhoneCall", "OutboundPhoneCall-DispositionCompleted",
			"Recording-Saved", "Call-Disposed", "transcription.call.summarized", "transcription.open_search.saved"}},
		{Call{Disposition: "failed"}, []string{"OutboundPhoneCall", "OutboundPhoneCall-DispositionFailed"}},
		{Call{Direction: Inbound, Disposition: "missed"}, []string{"InboundPhoneCall", "InboundPhoneCall-DispositionMissed", "Call-Disposed"}},
	} {
		id := b.PlayCall(ada, test.call)
		hooks := b.hooks()
		var got []string
		for _, h := range hooks {
			got = append(got, h.event)
			where := h.body["id"]
			if strings.HasPrefix(h.event, "transcription") {
				where = h.body["communication"].(map[string]any)["id"]
				if h.body["id"] != nil {
					t.Errorf("%s has an id of its own", h.event)
				}
			}
			if where != float64(id) {
				t.Errorf("%s speaks of %v, want %d", h.event, where, id)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("got %v", got)
		}
		if start := hooks[0].body; start["disposition_status"] != nil || start["created_at"] != "2030-01-02 15:04:05" {
			t.Errorf("the start says %v at %v", start["disposition_status"], start["created_at"])
		}
	}
}

func TestWebhooksAreAuthenticatedAndNeverRepeated(t *testing.T) {
	b := set(t, nil)
	b.ears.code = 500
	b.Ping()
	if _, err := b.CreateContact(ada, map[string]string{"first_name": "Ada"}); err != nil {
		t.Fatal(err)
	}
	hooks := b.hooks()
	if len(hooks) != 2 || hooks[0].raw != `{"test_payload":true}` {
		t.Fatalf("%d deliveries", len(hooks))
	}
	r := &http.Request{Header: hooks[1].header}
	if user, pass, _ := r.BasicAuth(); user != "user" || pass != "pa:ss" || r.UserAgent() != "GuzzleHttp/7" {
		t.Errorf("headers %v", hooks[1].header)
	}
	bearer := set(t, func(c *Config) { c.BasicUser, c.BasicPass, c.Bearer, c.TextIDs = "", "", "tok", true })
	k, err := bearer.CreateContact(ada, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := bearer.hooks()[0]
	if h.header.Get("Authorization") != "Bearer tok" || h.body["id"] != fmt.Sprint(k.ID) || h.body["is_dnc"] != "0" {
		t.Errorf("got %v", h.body)
	}
}

func TestUsersAreABareArrayAndAvailabilityIsWrapped(t *testing.T) {
	b := set(t, func(c *Config) { c.Users = []User{{ID: 7, Name: "Ann", Email: "ann@example.test", Status: 1}} })
	rec := httptest.NewRecorder()
	b.ServeHTTP(rec, httptest.NewRequest("GET", "/api/v1/webhook/users?api_token="+b.Settings().Token, nil))
	var users []map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &users); err != nil || users[0]["human_readable_agent_status"] != "Available" {
		t.Errorf("%v: %s", err, rec.Body)
	}
	_, out := b.do(httptest.NewRequest("GET", "/api/v1/webhook/ring-group/availability?ring_group_id=3&api_token="+b.Settings().Token, nil))
	if len(out["test_results"].([]any)) != 1 {
		t.Errorf("got %v", out)
	}
}

func TestNotWrittenForms(t *testing.T) {
	b := set(t, nil)
	b.Next("write contact", stage.NotWritten)
	if status, _ := b.post("/forms", map[string]any{"phone_number": ada}); status != 200 || len(b.Contacts()) != 0 {
		t.Errorf("status %d, %d contacts", status, len(b.Contacts()))
	}
}

func TestPeopleDriveTheAccountWithCurl(t *testing.T) {
	b := set(t, nil)
	for _, step := range []struct {
		path, body string
		status     int
	}{
		{"/_sandbox/contacts", `{"phone":"+15005550111","fields":{"first_name":"Ada"}}`, 201},
		{"/_sandbox/contacts", `{"phone":"+15005550111"}`, 409},
		{"/_sandbox/contacts/+15005550111", `{"fields":{"city":"Paris"},"tags":["x"],"dnc":true,"text":"STOP"}`, 200},
		{"/_sandbox/contacts/+15005550111/call", `{"disposition":"missed","direction":1}`, 200},
		{"/_sandbox/contacts/+15005550111/call", `{"disposition":"eaten"}`, 400},
		{"/_sandbox/contacts/+15005550119", `{}`, 409},
	} {
		if status, out := b.do(httptest.NewRequest("POST", step.path, strings.NewReader(step.body))); status != step.status {
			t.Errorf("%s %s: %d %v", step.path, step.body, status, out)
		}
	}
	if k, _ := b.Contact(ada); !k.DNC || !k.OptedOut || k.Fields["city"] != "Paris" || !slices.Equal(k.Tags, []string{"x"}) {
		t.Errorf("got %+v", k)
	}
}

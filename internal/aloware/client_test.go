package aloware

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
)

func failure(t *testing.T, err error) *df.CallError {
	t.Helper()
	var call *df.CallError
	if !errors.As(err, &call) {
		t.Fatalf("no CallError but %v", err)
	}
	return call
}

// everyCall makes each of the client's calls once.
var everyCall = map[string]struct {
	repeatable bool
	make       func(*testing.T, *Client) error
}{
	"forms":                                 {true, func(t *testing.T, c *Client) error { _, err := c.Upsert(t.Context(), jo, nil); return err }},
	"contact/phone-number":                  {true, func(t *testing.T, c *Client) error { _, err := c.lookup(t.Context(), jo); return err }},
	"users":                                 {true, func(t *testing.T, c *Client) error { _, err := c.Users(t.Context()); return err }},
	"sequence-enroll":                       {false, func(t *testing.T, c *Client) error { return c.Enroll(t.Context(), jo, "9", true) }},
	"sequence-disenroll":                    {true, func(t *testing.T, c *Client) error { return c.Disenroll(t.Context(), jo) }},
	"powerdialer-clear-list":                {true, func(t *testing.T, c *Client) error { return c.ClearList(t.Context(), "9") }},
	"powerdialer-clear-user-lists":          {true, func(t *testing.T, c *Client) error { return c.ClearUserLists(t.Context(), "9") }},
	"powerdialer-remove-contact-from-lists": {true, func(t *testing.T, c *Client) error { return c.RemoveFromAllLists(t.Context(), "9") }},
	"sms-gateway/send": {false, func(t *testing.T, c *Client) error {
		return c.SendText(t.Context(), Text{From: other, To: jo, Message: "hi"})
	}},
}

func TestEveryCallJudgesEveryAnswer(t *testing.T) {
	for name, call := range everyCall {
		garbled := map[bool]df.Outcome{true: df.RetryLater, false: df.Unclear}[call.repeatable]
		for _, test := range []struct {
			name    string
			answer  egress.Answer
			code    string
			outcome df.Outcome
		}{
			// The original took any 200 for success, and Aloware says 200 to everything.
			{"web page with 200", webPage(200), df.CodeGarbled, garbled},
			{"JSON type, broken body", egress.Answer{Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"mess`)}, df.CodeGarbled, garbled},
			{"JSON body, other type", egress.Answer{Status: 200, Header: http.Header{"Content-Type": {"text/html"}}, Body: []byte(`{}`)}, df.CodeGarbled, garbled},
			{"204", egress.Answer{Status: 204, Header: http.Header{}}, df.CodeGarbled, garbled},
			{"redirect", webPage(302), df.CodeGarbled, map[bool]df.Outcome{true: df.RetryLater, false: df.Refused}[call.repeatable]},
			{"401", jsonWith(401, map[string]any{"message": "Unauthenticated."}), df.CodeUnauthorized, df.Refused},
			{"403 web page", webPage(403), df.CodeUnauthorized, df.Refused},
			{"422", jsonWith(422, map[string]any{"errors": map[string]any{"x": []string{"bad"}}}), df.CodeInvalid, df.Refused},
			{"405", jsonWith(405, map[string]any{"message": "Method"}), df.CodeInvalid, df.Refused},
			{"404 of the router", jsonWith(404, map[string]any{"message": "The route api/x could not be found."}), df.CodeInvalid, df.Refused},
			{"409", jsonWith(409, map[string]any{"message": "exists"}), df.CodeDuplicate, df.Refused},
		} {
			if name == "powerdialer-remove-contact-from-lists" || name == "sequence-disenroll" {
				if strings.HasPrefix(test.name, "404") {
					continue // what is not there is removed
				}
			}
			f := newFake(t)
			f.answers[name] = test.answer
			err := call.make(t, f.client())
			got := failure(t, err)
			if got.Code != test.code || got.Outcome != test.outcome || got.Upstream != "aloware" || got.Status != test.answer.Status {
				t.Errorf("%s, %s: %v, outcome %v", name, test.name, got, got.Outcome)
			}
			if len(f.calls) != 1 || f.calls[0].Repeatable != call.repeatable || path(f.calls[0]) != name {
				t.Errorf("%s: %s, repeatable %v", name, f.paths(), f.calls[0].Repeatable)
			}
		}
	}
}

func TestEveryCallSucceedsAndPassesOnTheVerdictOfTheWayOut(t *testing.T) {
	for name, call := range everyCall {
		f := newFake(t)
		f.contacts[string(jo)] = map[string]any{"id": 9}
		if err := call.make(t, f.client()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		verdict := &df.CallError{Outcome: df.RetryLater, Code: df.CodeRateLimited}
		f.errs[name] = verdict
		if err := call.make(t, f.client()); !errors.Is(err, verdict) {
			t.Errorf("%s: %v", name, err)
		}
		if err := call.make(t, NewClient(f, base, "")); !df.IsCode(err, df.CodeUnconfigured) {
			t.Errorf("%s without a token: %v", name, err)
		}
	}
}

func TestReservedCallsSaySo(t *testing.T) {
	f := newFake(t)
	if err := f.client().SetDoNotCall(t.Context(), jo, true); err != nil {
		t.Fatal(err)
	}
	if err := f.client().SetDoNotCall(t.Context(), jo, false); err != nil {
		t.Fatal(err)
	}
	if _, err := f.client().Users(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f.calls[0].Class != egress.Reserved || f.calls[2].Class != egress.Ordinary {
		t.Errorf("classes %v, %v", f.calls[0].Class, f.calls[2].Class)
	}
	if got := f.contacts[string(jo)]["is_dnc"]; fmt.Sprint(got) != "0" {
		t.Errorf("is_dnc %v", got)
	}
}

func TestErrorTextReadsFourShapesWithoutPersonalData(t *testing.T) {
	for _, test := range []struct{ body, want string }{
		{`{"error":"Contact not found."}`, "Contact not found."},
		{`{"message":"No."}`, "No."},
		{`{"errors":{"user":["busy","away"],"line":"gone"}}`, "line: gone; user: busy; user: away"},
		{`{"message":"Invalid.","errors":{"to":["+12025550123 of jo@example.test is wrong"]}}`, "Invalid.; to: [phone] of [email] is wrong"},
		{`{"message":"api_token aloware-test-token-93c1 unknown"}`, "api_token [secret] unknown"},
		{`[]`, ""}, {`{}`, ""}, {`{"errors":[1]}`, ""}, {`{"message":{"a":1}}`, ""},
	} {
		f := newFake(t)
		f.answers["users"] = egress.Answer{Status: 422, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(test.body)}
		_, err := f.client().Users(t.Context())
		if got := failure(t, err).Message; got != test.want {
			t.Errorf("%s: %q", test.body, got)
		}
	}
	f := newFake(t)
	f.answers["users"] = jsonWith(422, map[string]any{"message": strings.Repeat("é", 150) + " " + testToken + strings.Repeat("x", 500)})
	_, err := f.client().Users(t.Context())
	if got := failure(t, err).Message; len(got) > 310 || strings.Contains(got, "aloware-test") || strings.ContainsRune(got, '\uFFFD') {
		t.Errorf("%q", got)
	}
}

func TestCheckTokenTakesAWebPageForARefusal(t *testing.T) {
	f := newFake(t)
	if err := f.client().CheckToken(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.answers["users"] = webPage(200)
	got := failure(t, f.client().CheckToken(t.Context()))
	if got.Code != df.CodeUnauthorized || got.Outcome != df.Refused {
		t.Errorf("%v", got)
	}
	f.answers["users"] = jsonWith(200, map[string]any{"error": "x"})
	if err := f.client().CheckToken(t.Context()); !df.IsCode(err, df.CodeUnauthorized) {
		t.Errorf("an object instead of a list: %v", err)
	}
}

func TestUsers(t *testing.T) {
	f := newFake(t)
	got, err := f.client().Users(t.Context())
	if err != nil || len(got) != 1 || got[0] != (User{ID: "41", Name: "Ada", Email: "ada@example.test", Status: 4}) {
		t.Errorf("%+v, %v", got, err)
	}
	f.answers["users"] = jsonWith(200, []any{map[string]any{"id": "42", "agent_status": "x"}, map[string]any{"name": "nobody"}})
	if got, err = f.client().Users(t.Context()); err != nil || len(got) != 1 || got[0].ID != "42" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestLookupReadsEveryEnvelope(t *testing.T) {
	contact := map[string]any{"id": 7, "phone_number": string(jo)}
	for name, body := range map[string]any{
		"root": contact, "contact": map[string]any{"contact": contact}, "data": map[string]any{"data": contact},
		"data.contact": map[string]any{"data": map[string]any{"contact": contact}},
	} {
		f := newFake(t)
		f.answers["contact/phone-number"] = jsonWith(200, body)
		if got, err := f.client().lookup(t.Context(), jo); err != nil || got.text("id") != "7" {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// In the original an outage looked like "no such contact", and contacts were
// created in bulk; an empty 200 became a contact without an id.
func TestOnlyAlowaresWordMeansThatAContactIsNotThere(t *testing.T) {
	for _, test := range []struct {
		answer egress.Answer
		code   string
	}{
		{jsonWith(404, map[string]any{"error": "Contact not found."}), df.CodeNotFound},
		{jsonWith(200, map[string]any{"error": "Contact not found."}), df.CodeNotFound},
		{webPage(404), df.CodeGarbled},
		{jsonWith(404, map[string]any{"message": "The route x could not be found."}), df.CodeInvalid},
		{jsonWith(200, map[string]any{}), df.CodeGarbled},
		{jsonWith(200, []any{}), df.CodeGarbled},
		{jsonWith(200, map[string]any{"data": nil}), df.CodeGarbled},
		{jsonWith(400, map[string]any{"error": "Phone number is empty or invalid."}), df.CodeInvalid},
	} {
		f := newFake(t)
		f.answers["contact/phone-number"] = test.answer
		if _, err := f.client().lookup(t.Context(), jo); !df.IsCode(err, test.code) {
			t.Errorf("%d %s: %v, want %s", test.answer.Status, test.answer.Body, err, test.code)
		}
	}
}

func TestUpsertSendsTheFieldsAndForcesTheUpdate(t *testing.T) {
	f := newFake(t)
	created, err := f.client().Upsert(t.Context(), jo, map[string]any{"city": "Rome"})
	if err != nil || !created {
		t.Fatal(created, err)
	}
	if created, err = f.client().Upsert(t.Context(), jo, map[string]any{"city": "Oslo"}); err != nil || created {
		t.Fatal(created, err)
	}
	if got := f.last("forms"); len(got) != 3 || got["city"] != "Oslo" || got["force_update"] != true || got["phone_number"] != string(jo) {
		t.Errorf("%v", got)
	}
	f.answers["forms"] = jsonWith(400, map[string]any{"message": "Contact already exists."})
	if _, err := f.client().Upsert(t.Context(), jo, nil); !df.IsCode(err, df.CodeDuplicate) {
		t.Errorf("400 that means 409: %v", err)
	}
	calls := len(f.calls)
	if _, err := f.client().Upsert(t.Context(), "", nil); !df.IsCode(err, df.CodeInvalid) || len(f.calls) != calls {
		t.Errorf("no number: %v", err)
	}
}

func TestAddToListsGoesThroughForms(t *testing.T) {
	f := newFake(t)
	if err := f.client().AddToLists(t.Context(), jo); err != nil || len(f.calls) != 0 {
		t.Errorf("no lists: %v, %s", err, f.paths())
	}
	if err := f.client().AddToLists(t.Context(), jo, "4", "5"); err != nil || f.last("forms")["list_ids"] != "4,5" {
		t.Errorf("%v, %v", err, f.last("forms"))
	}
}

func TestRemovingWhatIsNotThereIsDone(t *testing.T) {
	f := newFake(t)
	if err := f.client().RemoveFromAllLists(t.Context(), "404"); err != nil {
		t.Error(err)
	}
	f.answers["sequence-disenroll"] = jsonWith(400, map[string]any{"message": "Contact is not enrolled in any sequence."})
	if err := f.client().Disenroll(t.Context(), jo); err != nil {
		t.Error(err)
	}
	f.answers["sequence-disenroll"] = jsonWith(400, map[string]any{"message": "The source field is required."})
	if err := f.client().Disenroll(t.Context(), jo); !df.IsCode(err, df.CodeInvalid) {
		t.Error(err)
	}
}

func TestSendText(t *testing.T) {
	f := newFake(t)
	text := Text{LineID: "12", To: jo, Message: strings.Repeat("é", 160), ImageURL: "https://example.test/a.png", UserID: "-1"}
	if err := f.client().SendText(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	body := f.last("sms-gateway/send")
	if body["line_id"] != 12.0 || body["from"] != nil || body["user_id"] != "-1" || body["image_url"] != text.ImageURL || body["message"] != text.Message {
		t.Errorf("%v", body)
	}
	for name, bad := range map[string]Text{
		"long": {From: other, To: jo, Message: strings.Repeat("x", 161)}, "no receiver": {From: other, Message: "x"},
		"no sender": {To: jo, Message: "x"}, "empty": {From: other, To: jo},
	} {
		if err := f.client().SendText(t.Context(), bad); !df.IsCode(err, df.CodeInvalid) || len(f.calls) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIDsAreSentAsAlowareKnowsThem(t *testing.T) {
	for text, want := range map[string]string{"700001": "700001", "0": "0", "007": `"007"`, "a1": `"a1"`, "": `""`, "-1": `"-1"`,
		"12345678901234567890": `"12345678901234567890"`} {
		if got := fmt.Sprintf("%q", id(text)); strings.Trim(got, `"`) != strings.Trim(want, `"`) {
			t.Errorf("%s: %s", text, got)
		}
	}
}

// The original logged failed requests with the URL, and the token in it.
func TestTheTokenNeverShows(t *testing.T) {
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(422)
		_, _ = fmt.Fprintf(w, `{"message":"cannot serve %s","errors":{"api_token":["%s is bad"]}}`, r.URL.RequestURI(), testToken)
	}))
	defer echo.Close()
	dead := httptest.NewServer(nil)
	dead.Close()
	transport := egress.NewTransport()
	defer transport.CloseIdleConnections()
	for _, address := range []string{echo.URL, dead.URL, "http://bad host"} {
		var observed []egress.Observed
		out := egress.New(egress.Options{Upstream: "aloware", Transport: transport, Log: log,
			Observe: func(o egress.Observed) { observed = append(observed, o) }})
		client := NewClient(out, address, testToken)
		for name, call := range everyCall {
			err := call.make(t, client)
			text := logged.String() + fmt.Sprintf("%+v %v %#v", observed, client.token, client.token)
			for e := err; e != nil; e = errors.Unwrap(e) {
				text += fmt.Sprintf("%v %+v %#v", e, e, e)
			}
			if err == nil || strings.Contains(text, testToken) || strings.Contains(text, "5550123") {
				t.Errorf("%s at %s: %s", name, address, text)
			}
		}
	}
}

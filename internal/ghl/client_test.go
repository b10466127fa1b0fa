package ghl

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
)

var _ Caller = (*egress.Client)(nil)

// stub is a Caller that answers as told and keeps the calls.
type stub struct {
	answers []egress.Answer
	errs    []error
	calls   []egress.Call
}

func (s *stub) Do(_ context.Context, call egress.Call) (egress.Answer, error) {
	i := len(s.calls)
	s.calls = append(s.calls, call)
	if i < len(s.errs) && s.errs[i] != nil {
		return egress.Answer{}, s.errs[i]
	}
	return s.answers[min(i, len(s.answers)-1)], nil
}

func answering(status int, bodies ...string) *stub {
	s := &stub{}
	for _, body := range bodies {
		s.answers = append(s.answers, egress.Answer{Status: status, Body: []byte(body)})
	}
	return s
}

func stubClient(t *testing.T, caller Caller) *Client {
	t.Helper()
	c, err := NewClient(ClientOptions{Caller: caller, Credentials: PIT(fakeToken), LocationID: fakeLocation})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTransportVerdictsPassThrough(t *testing.T) {
	want := failure("x", df.Unclear, df.CodeTimeout, "")
	caller := answering(200, `{}`)
	caller.errs = []error{want}
	_, err := stubClient(t, caller).CreateContact(t.Context(), NewContact{}, nil)
	if !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}

// Each operation has its own request: path with or without the slash, version of
// its family, repeatable or not. Several paths used to be invented (D-77).
func TestRequestsOfEachOperation(t *testing.T) {
	when := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	tests := []struct {
		call       func(context.Context, *Client) error
		line, body string
		version    string
		repeatable bool
	}{
		{func(ctx context.Context, c *Client) error {
			_, err := c.CreateContact(ctx, NewContact{FirstName: "Dana"}, []string{"a"})
			return err
		}, "POST /contacts/", `{"locationId":"loc1","firstName":"Dana","tags":["a"]}`, "2021-07-28", false},
		{func(ctx context.Context, c *Client) error {
			_, _, err := c.UpsertContact(ctx, NewContact{FirstName: "Dana"})
			return err
		}, "POST /contacts/upsert", `{"locationId":"loc1","firstName":"Dana"}`, "2021-07-28", true},
		{func(ctx context.Context, c *Client) error {
			return c.UpdateContact(ctx, "a/b", ContactUpdate{LastName: Set(""), PostalCode: Text(Set("")), City: Set("Tampa")})
		}, "PUT /contacts/a%2Fb", `{"lastName":null,"city":"Tampa","postalCode":""}`, "2021-07-28", true},
		{func(ctx context.Context, c *Client) error { return c.DeleteContact(ctx, "") }, "DELETE /contacts/_", ``, "2021-07-28", true},
		{func(ctx context.Context, c *Client) error { return c.DeleteContact(ctx, "..") }, "DELETE /contacts/_", ``, "2021-07-28", true},
		{func(ctx context.Context, c *Client) error { return c.RemoveTags(ctx, "c1", []string{"a"}) },
			"DELETE /contacts/c1/tags", `{"tags":["a"]}`, "2021-07-28", true},
		{func(ctx context.Context, c *Client) error {
			_, err := c.CreateNote(ctx, "c1", NoteDraft{Body: "x"})
			return err
		}, "POST /contacts/c1/notes", `{"body":"x"}`, "2021-07-28", false},
		{func(ctx context.Context, c *Client) error { _, err := c.GetLocation(ctx); return err }, "GET /locations/loc1", ``, "2021-07-28", true},
		{func(ctx context.Context, c *Client) error {
			_, _, err := c.SearchUsers(ctx, UserQuery{CompanyID: "co1", Skip: 50})
			return err
		}, "GET /users/search?companyId=co1&limit=100&locationId=loc1&skip=50", ``, "2021-07-28", true},
		{func(ctx context.Context, c *Client) error { _, err := c.CreateConversation(ctx, "c1"); return err },
			"POST /conversations/", `{"locationId":"loc1","contactId":"c1"}`, "2021-04-15", false},
		{func(ctx context.Context, c *Client) error {
			_, err := c.AddInbound(ctx, InboundMessage{Type: "SMS", ContactID: "c1", Body: "hi", AltID: "x1", Direction: "inbound", Date: when})
			return err
		}, "POST /conversations/messages/inbound",
			`{"type":"SMS","contactId":"c1","message":"hi","altId":"x1","direction":"inbound","date":"2026-05-01T10:00:00Z"}`, "2021-04-15", false},
		{func(ctx context.Context, c *Client) error {
			_, err := c.AddExternalCall(ctx, ExternalCall{ContactID: "c1", ProviderID: "p1", Call: &CallData{To: "+15005550111", Status: "completed"}})
			return err
		}, "POST /conversations/messages/outbound",
			`{"type":"Call","contactId":"c1","conversationProviderId":"p1","call":{"to":"+15005550111","status":"completed"}}`, "2021-04-15", false},
		{func(ctx context.Context, c *Client) error {
			return c.SetMessageStatus(ctx, "m1", "failed", &StatusError{"1", "carrier", "no route"})
		}, "PUT /conversations/messages/m1/status", `{"status":"failed","error":{"code":"1","type":"carrier","message":"no route"}}`, "2021-04-15", true},
		{func(ctx context.Context, c *Client) error {
			return c.SetAttachments(ctx, "m1", []string{"https://x.test/r.mp3"})
		},
			"PUT /conversations/messages/m1/attachments", `{"attachments":["https://x.test/r.mp3"]}`, "2021-04-15", true},
		{func(ctx context.Context, c *Client) error {
			_, _, err := c.ExportMessages(ctx, ExportQuery{ByUpdate: true, OldestFirst: true, Since: when, Limit: 1, Channel: "SMS", Cursor: "k"})
			return err
		}, "GET /conversations/messages/export?channel=SMS&cursor=k&limit=10&locationId=loc1&sortBy=updatedAt&sortOrder=asc&startDate=2026-05-01T10%3A00%3A00.000Z",
			``, "2021-04-15", true},
		{func(ctx context.Context, c *Client) error {
			_, err := c.FindRecord(ctx, ObjectBroadcasts, "broadcast_id", "b1")
			return err
		}, "POST /objects/custom_objects.broadcasts/records/search",
			`{"locationId":"loc1","page":1,"pageLimit":20,"query":"broadcast_id:b1","searchAfter":[]}`, "2021-07-28", true},
		{func(ctx context.Context, c *Client) error {
			_, err := c.ObjectProperties(ctx, ObjectBroadcasts)
			return err
		},
			"GET /objects/custom_objects.broadcasts?fetchProperties=true&locationId=loc1", ``, "2021-07-28", true},
	}
	for _, tt := range tests {
		caller := answering(200, `{"id":"x","messageId":"m","contact":{"id":"x"},"users":[],"messages":[],"records":[],"fields":[]}`)
		if err := tt.call(t.Context(), stubClient(t, caller)); err != nil {
			t.Errorf("%s: %v", tt.line, err)
			continue
		}
		call := caller.calls[0]
		if got := call.Method + " " + strings.TrimPrefix(call.URL, BaseURL); got != tt.line || string(call.Body) != tt.body {
			t.Errorf("got  %s %s\nwant %s %s", got, call.Body, tt.line, tt.body)
		}
		if call.Header.Get("Version") != tt.version || call.Repeatable != tt.repeatable || call.Header.Get("Authorization") != "Bearer "+fakeToken {
			t.Errorf("%s: version %s, repeatable %v", tt.line, call.Header.Get("Version"), call.Repeatable)
		}
	}
}

// The whitelist of an update differs from that of a creation; GHL answers 422 to
// any other property, and "tags" would replace all tags (D-43).
func TestRequestTypesKeepToTheirWhitelist(t *testing.T) {
	for _, tt := range []struct {
		body    any
		allowed string
	}{
		{ContactUpdate{}, strings.ReplaceAll(updateProperties, " tags ", " ")},
		{createContact{}, createProperties},
		{upsertContact{}, strings.ReplaceAll(createProperties, " tags ", " ")},
		{NoteDraft{}, "body userId title color pinned"},
	} {
		for _, name := range jsonNames(reflect.TypeOf(tt.body)) {
			if !slices.Contains(strings.Fields(tt.allowed), name) {
				t.Errorf("%T may send %s", tt.body, name)
			}
		}
	}
}

func jsonNames(of reflect.Type) []string {
	var names []string
	for i := range of.NumField() {
		field := of.Field(i)
		if field.Anonymous {
			names = append(names, jsonNames(field.Type)...)
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

func TestVersionThreeIsOneTableAway(t *testing.T) {
	caller := answering(200, `{"contact":{"id":"c1","dndSettings":{"sms":{"status":"inactive"},"email":{"status":"active"},"rcs":{"status":"active"}}}}`)
	c, err := NewClient(ClientOptions{Caller: caller, Credentials: PIT(fakeToken), LocationID: fakeLocation, Versions: Versions{FamilyContacts: "v3"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetChannel(t.Context(), "c1", ChannelSMS, true, "STOP"); err != nil {
		t.Fatal(err)
	}
	write := caller.calls[1]
	want := `{"dndSettings":{"email":{"status":"active"},"sms":{"status":"active","message":"STOP"}}}`
	if string(write.Body) != want || write.Header.Get("Version") != "v3" || write.Class != egress.Reserved {
		t.Errorf("sent %s", write.Body)
	}
}

func TestSetChannelLeavesOtherChannelsAndPermanentBlocksAlone(t *testing.T) {
	f := newFake(t)
	c := f.client()
	block := func(status string) {
		f.contacts["c1"] = map[string]any{"id": "c1", "dndSettings": map[string]any{
			"SMS": map[string]any{"status": status}, "Call": map[string]any{"status": "active", "message": "m", "code": "103"}}}
	}
	block("inactive")
	if err := c.SetChannel(t.Context(), "c1", ChannelSMS, true, "STOP"); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"dndSettings": map[string]any{"SMS": map[string]any{"status": "active", "message": "STOP"},
		"Call": map[string]any{"status": "active", "message": "m", "code": "103"}}}
	if got := f.lastBody(); !reflect.DeepEqual(got, want) {
		t.Errorf("sent %v", got)
	}
	before := len(f.lines())
	if err := c.SetChannel(t.Context(), "c1", ChannelSMS, true, "STOP"); err != nil || len(f.lines()) != before+1 {
		t.Errorf("blocked twice: %v, %v", err, f.lines())
	}
	block("permanent")
	if err := c.SetChannel(t.Context(), "c1", ChannelSMS, false, "START"); !df.IsCode(err, df.CodeNotWritten) {
		t.Errorf("a permanent block was lifted: %v", err)
	}
}

func TestUpsertThatDropsAPropertyIsNotWritten(t *testing.T) {
	c := stubClient(t, answering(200, `{"new":false,"contact":{"id":"c1","email":"dana@example.test","phone":"+15005550199"}}`))
	contact, created, err := c.UpsertContact(t.Context(), NewContact{Email: "Dana@Example.test", Phone: "+15005550111"})
	if e := callError(t, err); e.Code != df.CodeNotWritten || e.ContactID != "c1" || contact.ID != "c1" || created {
		t.Errorf("%+v, %+v, %v", e, contact, created)
	}
}

func TestContactOfAnotherLocationIsRefused(t *testing.T) {
	c := stubClient(t, answering(200, `{"contact":{"id":"c1","locationId":"theirs"}}`))
	if _, err := c.GetContact(t.Context(), "c1"); !df.IsCode(err, CodeForbidden) {
		t.Errorf("%v", err)
	}
}

func TestSearchPagesByCursorThenEnds(t *testing.T) {
	caller := answering(200,
		`{"contacts":[{"id":"c1"},{"id":"c2","searchAfter":[1788000000123,"c2"]}],"total":5}`,
		`{"contacts":[{"id":"c3"},{"id":"c4"}],"total":5}`,
		`{"contacts":[{"id":"c5"}],"total":5}`)
	c := stubClient(t, caller)
	var ids []string
	cursor := ""
	for range 3 {
		page, next, err := c.SearchContacts(t.Context(), SearchQuery{Limit: 2, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, contact := range page {
			ids = append(ids, contact.ID)
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	if len(caller.calls) != 2 { // the second page gave nothing to go on with
		t.Fatalf("%d calls, ids %v", len(caller.calls), ids)
	}
	for i, want := range []string{
		`{"locationId":"loc1","pageLimit":2,"page":1,"sort":[{"field":"dateUpdated","direction":"desc"}]}`,
		`{"locationId":"loc1","pageLimit":2,"searchAfter":[1788000000123,"c2"],"sort":[{"field":"dateUpdated","direction":"desc"}]}`,
	} {
		if got := string(caller.calls[i].Body); got != want {
			t.Errorf("call %d sent %s", i, got)
		}
	}
	if _, _, err := c.SearchContacts(t.Context(), SearchQuery{Cursor: "x"}); !df.IsCode(err, df.CodeInvalid) {
		t.Errorf("a foreign cursor: %v", err)
	}
	caller = answering(200, `{"contacts":[{"id":"c1"},{"id":"c2"}]}`)
	_, next, err := stubClient(t, caller).SearchContacts(t.Context(), SearchQuery{Limit: 2, Cursor: "page:2", OldestFirst: true})
	if err != nil || next != "page:3" || !strings.Contains(string(caller.calls[0].Body), `"page":2,`) {
		t.Errorf("by page: %q, %v", next, err)
	}
}

// renewing has one other token to offer.
type renewing struct {
	first, second df.Secret
	renewed       int
}

func (r *renewing) Token(context.Context) (df.Secret, error) { return r.first, nil }
func (r *renewing) Renew(_ context.Context, refused df.Secret) (df.Secret, bool, error) {
	if refused != r.first {
		return "", false, fmt.Errorf("renew of a token that was not used")
	}
	r.renewed++
	return r.second, r.second != "", nil
}

func TestRefusedTokenIsRenewedOnceAndTheCallRepeated(t *testing.T) {
	f := newFake(t)
	f.contacts["c1"] = map[string]any{"id": "c1"}
	for _, tt := range []struct {
		second  df.Secret
		code    string
		renewed int
		calls   int
	}{{fakeToken, "", 1, 2}, {"also-old", df.CodeUnauthorized, 1, 2}, {"", df.CodeUnauthorized, 1, 1}} {
		credentials := &renewing{first: "old", second: tt.second}
		c, err := NewClient(ClientOptions{Caller: directCaller{}, Credentials: credentials, LocationID: fakeLocation, BaseURL: f.url})
		if err != nil {
			t.Fatal(err)
		}
		before := len(f.lines())
		_, err = c.CreateContact(t.Context(), NewContact{FirstName: "Dana"}, nil)
		if (err == nil) != (tt.code == "") || err != nil && !df.IsCode(err, tt.code) {
			t.Errorf("%q: %v", string(tt.second), err)
		}
		if credentials.renewed != tt.renewed || len(f.lines())-before != tt.calls {
			t.Errorf("%q: renewed %d times, %d calls", string(tt.second), credentials.renewed, len(f.lines())-before)
		}
	}
}

func TestClientNeedsALocationAndAUsableURL(t *testing.T) {
	for _, options := range []ClientOptions{{}, {LocationID: "l", BaseURL: "ftp://x"}, {LocationID: "l", BaseURL: "not a url"}, {LocationID: "l", BaseURL: "https://x?y=1"}} {
		if _, err := NewClient(options); err == nil {
			t.Errorf("%+v: no error", options)
		}
	}
	if _, err := PIT("").Token(t.Context()); !df.IsCode(err, df.CodeUnconfigured) {
		t.Errorf("no token: %v", err)
	}
}

func TestFakeIsAsStrictAsGHL(t *testing.T) {
	f := newFake(t)
	for path, want := range map[string]bool{"/contacts": false, "/contacts/": true} {
		call := egress.Call{Method: http.MethodPost, URL: f.url + path, Body: []byte(`{"locationId":"loc1"}`),
			Header: http.Header{"Authorization": {"Bearer " + fakeToken}, "Version": {"2021-07-28"}, "Content-Type": {"application/json"}}}
		answer, err := directCaller{}.Do(t.Context(), call)
		if err != nil || (answer.Status == http.StatusCreated) != want {
			t.Errorf("POST %s: %d, %v", path, answer.Status, err)
		}
	}
	if !slices.Equal(slices.Sorted(maps.Keys(f.contacts)), []string{"new1"}) {
		t.Errorf("contacts %v", f.contacts)
	}
}

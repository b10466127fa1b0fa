package ghlworld

import (
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func encode(values ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(values); i += 2 {
		v.Set(values[i], values[i+1])
	}
	return v.Encode()
}

const formType = "application/x-www-form-urlencoded"

func (b *bench) trade(status int, values ...string) map[string]any {
	b.t.Helper()
	base := []string{"client_id", b.Settings().ClientID, "client_secret", b.Settings().ClientSecret}
	return b.must(status, "POST", "/oauth/token", encode(append(base, values...)...), "Content-Type", formType)
}

func TestRefreshTokensWorkOnceAndAreForgivingForHalfAMinute(t *testing.T) {
	b := set(t, nil)
	code := b.IssueCode("Location")
	first := b.trade(200, "grant_type", "authorization_code", "code", code)
	b.trade(400, "grant_type", "authorization_code", "code", code)
	if first["expires_in"] != 86399.0 || first["locationId"] != "SandboxLocation00001" {
		t.Errorf("got %v", first)
	}
	old := first["refresh_token"].(string)
	second := b.trade(200, "grant_type", "refresh_token", "refresh_token", old)
	b.clock.advance(29 * time.Second)
	again := b.trade(200, "grant_type", "refresh_token", "refresh_token", old)
	if second["refresh_token"] != again["refresh_token"] || second["refresh_token"] == old {
		t.Error("the grace did not give the same new token")
	}
	b.clock.advance(2 * time.Second)
	if out := b.trade(400, "grant_type", "refresh_token", "refresh_token", old); out["error"] != "invalid_grant" {
		t.Errorf("got %v", out)
	}
	b.trade(200, "grant_type", "refresh_token", "refresh_token", second["refresh_token"].(string))
	b.trade(422)

	b.token = second["access_token"].(string)
	b.must(200, "GET", "/locations/SandboxLocation00001", "")
	b.clock.advance(24 * time.Hour)
	b.must(401, "GET", "/locations/SandboxLocation00001", "")
}

func TestV3TokensAreCamelCase(t *testing.T) {
	b := set(t, nil)
	out := b.must(200, "POST", "/oauth/token", encode("clientId", b.Settings().ClientID, "clientSecret", b.Settings().ClientSecret,
		"grantType", "authorization_code", "code", b.IssueCode("Location")), "Content-Type", formType, "Version", "v3")
	if out["accessToken"] == nil || out["refreshToken"] == nil || out["access_token"] != nil {
		t.Errorf("got %v", out)
	}
}

func TestAgencyTokensBuyLocationTokens(t *testing.T) {
	b := set(t, nil)
	b.token = b.trade(200, "grant_type", "authorization_code", "code", b.IssueCode("Company"))["access_token"].(string)
	order := encode("companyId", "SandboxCompany000001", "locationId", "SandboxLocation00001")
	out := b.must(200, "POST", "/oauth/locationToken", order, "Content-Type", formType)
	b.must(404, "POST", "/oauth/location-token", order, "Content-Type", formType)
	b.must(200, "POST", "/oauth/location-token", order, "Content-Type", formType, "Version", "v3")
	b.token = out["access_token"].(string)
	b.must(401, "POST", "/oauth/locationToken", order, "Content-Type", formType)
	b.must(200, "GET", "/locations/SandboxLocation00001", "")
	b.Uninstall()
	b.must(401, "GET", "/locations/SandboxLocation00001", "")
	if got := b.types(); !slices.Equal(got, []string{"UNINSTALL"}) {
		t.Errorf("events %v", got)
	}
}

func TestInstallLinkGoesBackWithACodeAndTheState(t *testing.T) {
	b := set(t, nil)
	rec := httptest.NewRecorder()
	b.ServeHTTP(rec, httptest.NewRequest("GET", "/v2/oauth/chooselocation?"+encode("response_type", "code", "client_id", b.Settings().ClientID,
		"redirect_uri", "http://127.0.0.1:1/back?x=1", "state", "s"), nil))
	to, err := url.Parse(rec.Header().Get("Location"))
	if err != nil || rec.Code != 302 || to.Query().Get("state") != "s" || to.Query().Get("x") != "1" {
		t.Fatalf("%d to %q", rec.Code, rec.Header().Get("Location"))
	}
	b.trade(200, "grant_type", "authorization_code", "code", to.Query().Get("code"))
}

func TestRecordsAreUniqueByTheirKey(t *testing.T) {
	b := set(t, nil)
	path := "/objects/custom_objects.broadcasts/records"
	body := `{"locationId":"SandboxLocation00001","properties":{"broadcast_id":"b1","sent":3}}`
	id := dig(b.must(201, "POST", path, body), "record", "id").(string)
	if out := b.must(400, "POST", path, body); dig(out, "errors", 0, "conflictingRecordId") != id {
		t.Errorf("got %v", out)
	}
	b.must(422, "PUT", path+"/"+id, `{"properties":{}}`) // the location is missing in the query
	b.must(200, "PUT", path+"/"+id+"?locationId=SandboxLocation00001", `{"properties":{"sent":4}}`)
	out := b.must(200, "POST", path+"/search", `{"locationId":"SandboxLocation00001","page":1,"pageLimit":10,"query":"broadcast_id:b1","searchAfter":[]}`)
	if dig(out, "records", 0, "properties", "sent") != 4.0 || dig(out, "records", 0, "properties", "broadcast_id") != "b1" {
		t.Errorf("got %v", out)
	}
	b.must(400, "POST", "/objects/custom_objects.pets/records", body)
}

func TestUsersArePagedAndFoundByName(t *testing.T) {
	b := set(t, func(c *Config) {
		c.Users = []User{{ID: "u1", FirstName: "Ann", Email: "ann@example.test"}, {ID: "u2", FirstName: "Bob", Email: "bob@example.test", Phone: "+1 500-555-0102"}}
	})
	out := b.must(200, "GET", "/users/search?companyId=SandboxCompany000001&skip=1", "")
	if dig(out, "users", 0, "id") != "u2" || out["count"] != 2.0 {
		t.Errorf("got %v", out)
	}
	b.must(422, "GET", "/users/search", "")
	if out := b.must(200, "GET", "/users/u1", ""); out["email"] != "ann@example.test" {
		t.Errorf("a user comes without a wrapper: %v", out)
	}
}

func TestAppointmentsAreNestedInTheirEvents(t *testing.T) {
	b := set(t, nil)
	k := b.contact(map[string]string{"phone": "+15005550111"})
	out := b.must(200, "POST", "/calendars/events/appointments", `{"calendarId":"SandboxCalendar00001","locationId":"SandboxLocation00001","contactId":"`+k.ID+`","startTime":"2030-02-01T10:00:00+01:00"}`)
	id := out["id"].(string)
	b.must(200, "PUT", "/calendars/events/appointments/"+id, `{"appointmentStatus":"noshow"}`)
	events := b.must(200, "GET", "/calendars/events?locationId=SandboxLocation00001&calendarId=SandboxCalendar00001&startTime=1893000000000&endTime=1999000000000", "")
	if dig(events, "events", 0, "appointmentStatus") != "noshow" {
		t.Errorf("got %v", events)
	}
	own := b.must(200, "GET", "/contacts/"+k.ID+"/appointments", "")
	if got := dig(own, "events", 0, "startTime"); got != "2030-02-01 09:00:00" {
		t.Errorf("the contact's list has times without zone, got %v", got)
	}
	b.must(201, "DELETE", "/calendars/events/"+id, "{}")
	hooks := b.hooks("/events")
	if len(hooks) != 3 || dig(hooks[0].body, "appointment", "id") != id || !strings.HasPrefix(dig(hooks[0].body, "type").(string), "Appointment") {
		t.Errorf("got %v", hooks)
	}
}

func TestPeopleDriveTheWorldWithCurl(t *testing.T) {
	b := set(t, nil)
	send := func(method, path, body string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		b.ServeHTTP(rec, httptest.NewRequest(method, path, strings.NewReader(body)))
		return rec
	}
	if rec := send("POST", "/_sandbox/contacts", `{"fields":{"firstName":"Ada","phone":"+15005550111"},"tags":["x"]}`); rec.Code != 201 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	id := b.Contacts()[0].ID
	for _, step := range [][2]string{
		{"/_sandbox/contacts/" + id, `{"fields":{"city":"Paris"},"removeTags":["x"],"dnd":{"SMS":"inactive"}}`},
		{"/_sandbox/contacts/" + id + "/text", `{"text":"hello"}`},
		{"/_sandbox/contacts/" + id + "/text", `{"text":"STOP","direction":"inbound"}`},
		{"/_sandbox/emit", `{"type":"TaskCreate","fields":{"id":"t1"}}`},
		{"/_sandbox/settle", ``},
	} {
		if rec := send("POST", step[0], step[1]); rec.Code != 200 {
			t.Errorf("%s: %d %s", step[0], rec.Code, rec.Body)
		}
	}
	k, _ := b.Contact(id)
	if k.Fields["city"] != "Paris" || len(k.Tags) != 0 || k.DNDSettings["SMS"].Status != "permanent" {
		t.Errorf("got %+v", k)
	}
	if rec := send("GET", "/_sandbox/key", ""); !strings.HasPrefix(rec.Body.String(), "-----BEGIN PUBLIC KEY") {
		t.Errorf("key: %s", rec.Body)
	}
	if rec := send("POST", "/_sandbox/contacts/"+id, `{"feilds":{}}`); rec.Code != 400 {
		t.Errorf("a misspelt order got %d", rec.Code)
	}
	if rec := send("DELETE", "/_sandbox/contacts/"+id, ""); rec.Code != 200 || len(b.Contacts()) != 0 {
		t.Errorf("delete: %d", rec.Code)
	}
}

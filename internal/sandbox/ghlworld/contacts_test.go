package ghlworld

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

func TestAccessIsCheckedInTheVendorsWords(t *testing.T) {
	b := set(t, nil)
	for _, test := range []struct {
		name, path, header, value, message string
		status                             int
	}{
		{"no token", "/users/search", "Authorization", "", "Invalid token: access token is invalid", 401},
		{"wrong token", "/users/search", "Authorization", "Bearer x", "Invalid token: access token is invalid", 401},
		{"no version", "/users/search", "Version", "", "version header was not found.", 401},
		{"unknown version", "/users/search", "Version", "2020-01-01", "version header is invalid", 401},
		{"another family's version", "/users/search", "Version", inboxAPI, "version header is invalid", 401},
		{"another family's version", "/conversations/search", "Version", crm, "version header is invalid", 401},
		{"foreign location", "/conversations/search?locationId=other", "X", "", "The token does not have access to this location.", 403},
		{"no slash", "/contacts", "X", "", "Cannot GET /contacts", 404},
	} {
		status, out := b.do("GET", test.path, "", test.header, test.value)
		if status != test.status || out["message"] != test.message {
			t.Errorf("%s: %d %v", test.name, status, out["message"])
		}
	}
	lenient := set(t, func(c *Config) { c.AnyVersion = true })
	lenient.must(200, "GET", "/conversations/search?locationId=SandboxLocation00001", "", "Version", "2023-02-21")
}

func TestRateLimitCountsAndRecovers(t *testing.T) {
	b := set(t, func(c *Config) { c.RateMax = 3 })
	for range 3 {
		b.must(200, "GET", "/locations/SandboxLocation00001", "")
	}
	b.must(429, "GET", "/locations/SandboxLocation00001", "")
	b.clock.advance(9 * time.Second)
	b.must(429, "GET", "/locations/SandboxLocation00001", "")
	b.clock.advance(2 * time.Second)
	b.must(200, "GET", "/locations/SandboxLocation00001", "")
}

func TestCreateReadsBackAsStored(t *testing.T) {
	b := set(t, nil)
	out := b.must(201, "POST", "/contacts/", `{"locationId":"SandboxLocation00001","name":"Ada Byron","phone":"(500) 555-0111",
		"email":"Ada@example.test","tags":["Hot","hot "],"dateOfBirth":"12/10/1815","companyName":"Engines",
		"customFields":[{"key":"loan","field_value":"big"},{"id":"unknown","field_value":"lost"}]}`)
	id := dig(out, "contact", "id").(string)
	k := dig(b.must(200, "GET", "/contacts/"+id, ""), "contact").(map[string]any)
	for path, want := range map[string]any{
		"firstName": "Ada", "lastName": "Byron", "phone": "+15005550111", "email": "Ada@example.test",
		"dateOfBirth": "1815-12-10", "companyName": "Engines", "emailLowerCase": "ada@example.test", "type": "lead",
	} {
		if k[path] != want {
			t.Errorf("%s is %v, want %v", path, k[path], want)
		}
	}
	if v := dig(k, "customFields", 0, "value"); v != "big" || dig(k, "customFields", 1) != nil {
		t.Errorf("custom fields %v", k["customFields"])
	}
	if tags := k["tags"].([]any); len(tags) != 1 {
		t.Errorf("tags %v", tags)
	}
	if got := b.types(); !slices.Equal(got, []string{"ContactCreate"}) {
		t.Errorf("events %v", got)
	}
}

func TestOperationsRefusePropertiesTheyDoNotTake(t *testing.T) {
	b := set(t, nil)
	k := b.contact(map[string]string{"phone": "+15005550111"})
	for _, test := range []struct{ method, path, body, complaint string }{
		{"POST", "/contacts/", `{"locationId":"SandboxLocation00001","additionalEmails":[]}`, "property additionalEmails should not exist"},
		{"POST", "/contacts/", `{"firstName":"A"}`, "locationId should not be empty"},
		{"POST", "/contacts/", `{"locationId":"SandboxLocation00001","firstName":1}`, "firstName must be a string"},
		{"POST", "/contacts/", `{"locationId":"SandboxLocation00001","email":"no mail"}`, "email must be an email"},
		{"PUT", "/contacts/" + k.ID, `{"locationId":"SandboxLocation00001"}`, "property locationId should not exist"},
		{"PUT", "/contacts/" + k.ID, `{"companyName":"x"}`, "property companyName should not exist"},
		{"PUT", "/contacts/" + k.ID, `{"gender":"x"}`, "property gender should not exist"},
		{"PUT", "/contacts/" + k.ID, `{"dnd":"yes"}`, "dnd must be a boolean value"},
		{"PUT", "/contacts/" + k.ID, `{"dndSettings":{"sms":{"status":"active"}}}`, "dndSettings.property sms should not exist"},
		{"PUT", "/contacts/" + k.ID, `{"dndSettings":{"SMS":{"status":"on"}}}`, "dndSettings.SMS.status must be"},
		{"PUT", "/contacts/" + k.ID, `{"customFields":[{"id":"cfLoan","value":"x"}]}`, "customFields.0.property value should not exist"},
		{"PUT", "/contacts/" + k.ID, `{"tags":"a,b"}`, "tags must be an array"},
		{"PUT", "/contacts/" + k.ID, `{"country":"USA"}`, "country must be"},
		{"POST", "/contacts/" + k.ID + "/tags", `{"tag":"x"}`, "property tag should not exist"},
		{"POST", "/contacts/" + k.ID + "/notes", `{"text":"x"}`, "property text should not exist"},
	} {
		status, out := b.do(test.method, test.path, test.body)
		messages, _ := out["message"].([]any)
		if status != 422 || !strings.Contains(fmt.Sprint(messages...), test.complaint) {
			t.Errorf("%s %s: %d %v, want %q", test.method, test.body, status, out["message"], test.complaint)
		}
	}
	if got := b.types(); len(got) != 0 {
		t.Errorf("refused writes caused %v", got)
	}
}

func TestDuplicatesAre400WithTheOtherContact(t *testing.T) {
	b := set(t, nil)
	ada := b.contact(map[string]string{"firstName": "Ada", "phone": "+15005550111", "email": "ada@example.test"})
	eve := b.contact(map[string]string{"firstName": "Eve", "phone": "+15005550112"})
	for _, test := range []struct{ method, path, body, field string }{
		{"POST", "/contacts/", `{"locationId":"SandboxLocation00001","phone":"500-555-0111"}`, "phone"},
		{"POST", "/contacts/", `{"locationId":"SandboxLocation00001","email":"ADA@example.test"}`, "email"},
		{"PUT", "/contacts/" + eve.ID, `{"phone":"+15005550111"}`, "phone"},
	} {
		out := b.must(400, test.method, test.path, test.body)
		if dig(out, "meta", "contactId") != ada.ID || dig(out, "meta", "matchingField") != test.field || dig(out, "meta", "contactName") != "Ada" {
			t.Errorf("%s %s: %v", test.method, test.body, out)
		}
	}
	b.must(200, "PUT", "/contacts/"+eve.ID, `{"phone":"+15005550112","city":"Paris"}`)
	if len(b.Contacts()) != 2 {
		t.Error("a duplicate was made")
	}
	open := set(t, func(c *Config) { c.AllowDuplicates = true })
	open.contact(map[string]string{"phone": "+15005550111"})
	open.must(201, "POST", "/contacts/", `{"locationId":"SandboxLocation00001","phone":"+15005550111"}`)
}

func TestUpsertDropsTheFieldOfAnotherContactInSilence(t *testing.T) {
	b := set(t, nil)
	ada := b.contact(map[string]string{"firstName": "Ada", "email": "ada@example.test", "phone": "+15005550113"})
	b.contact(map[string]string{"firstName": "Eve", "phone": "+15005550112"})
	out := b.must(200, "POST", "/contacts/upsert", `{"locationId":"SandboxLocation00001","email":"ada@example.test","phone":"+15005550112","city":"Paris"}`)
	if out["new"] != false || dig(out, "contact", "id") != ada.ID || dig(out, "contact", "phone") != "+15005550113" || dig(out, "contact", "city") != "Paris" {
		t.Errorf("got %v", out)
	}
	out = b.must(200, "POST", "/contacts/upsert", `{"locationId":"SandboxLocation00001","email":"new@example.test"}`)
	if out["new"] != true {
		t.Errorf("got %v", out)
	}
	phoneFirst := set(t, func(c *Config) { c.MatchFirst = "phone" })
	phoneFirst.contact(map[string]string{"email": "ada@example.test"})
	eve := phoneFirst.contact(map[string]string{"phone": "+15005550112"})
	out = phoneFirst.must(200, "POST", "/contacts/upsert", `{"locationId":"SandboxLocation00001","email":"ada@example.test","phone":"+15005550112"}`)
	if dig(out, "contact", "id") != eve.ID || dig(out, "contact", "email") != nil {
		t.Errorf("got %v", out)
	}
}

func TestPutReplacesTagsAndClearsWithNull(t *testing.T) {
	b := set(t, nil)
	k := b.contact(map[string]string{"firstName": "Ada", "phone": "+15005550111", "city": "Paris"}, "a", "b")
	before, _ := b.Contact(k.ID)
	b.clock.advance(time.Minute)
	out := b.must(200, "PUT", "/contacts/"+k.ID, `{"tags":["c"],"city":null}`)
	if out["succeded"] != true || out["succeeded"] != nil {
		t.Errorf("dated versions say succeded only: %v", out)
	}
	after, _ := b.Contact(k.ID)
	if !slices.Equal(after.Tags, []string{"c"}) || after.Fields["city"] != "" || after.Fields["firstName"] != "Ada" {
		t.Errorf("got %+v", after)
	}
	if !after.DateUpdated.After(before.DateUpdated) {
		t.Error("dateUpdated did not move")
	}
	if got := b.types(); !slices.Equal(got, []string{"ContactTagUpdate", "ContactUpdate"}) {
		t.Errorf("events %v", got)
	}
	b.must(200, "PUT", "/contacts/"+k.ID, `{"tags":["C"]}`)
	if got := b.types(); len(got) != 0 {
		t.Errorf("writing what is there caused %v", got)
	}
}

func TestTagsAreAddedAndRemovedWithABody(t *testing.T) {
	b := set(t, nil)
	k := b.contact(map[string]string{"phone": "+15005550111"}, "a")
	if out := b.must(201, "POST", "/contacts/"+k.ID+"/tags", `{"tags":["b","A"]}`); fmt.Sprint(out["tags"]) != "[a b]" {
		t.Errorf("got %v", out)
	}
	if out := b.must(200, "DELETE", "/contacts/"+k.ID+"/tags", `{"tags":["A"]}`); fmt.Sprint(out["tags"]) != "[b]" {
		t.Errorf("got %v", out)
	}
	out := b.must(200, "GET", "/locations/SandboxLocation00001/tags", "")
	if len(out["tags"].([]any)) != 2 {
		t.Errorf("the location knows %v", out["tags"])
	}
}

func TestDNDIsReplacedUnlessMergedAndPermanentStays(t *testing.T) {
	b := set(t, nil)
	k := b.contact(map[string]string{"phone": "+15005550111"})
	b.must(200, "PUT", "/contacts/"+k.ID, `{"dndSettings":{"SMS":{"status":"active"},"Call":{"status":"active"}}}`)
	if got := b.types(); !slices.Equal(got, []string{"ContactDndUpdate", "ContactUpdate"}) {
		t.Errorf("events %v", got)
	}
	b.must(200, "PUT", "/contacts/"+k.ID, `{"dndSettings":{"Call":{"status":"inactive"}}}`)
	after, _ := b.Contact(k.ID)
	if _, kept := after.DNDSettings["SMS"]; kept {
		t.Error("the map was merged")
	}
	if _, err := b.ReceiveText(k.ID, " stop "); err != nil {
		t.Fatal(err)
	}
	b.must(200, "PUT", "/contacts/"+k.ID, `{"dndSettings":{"SMS":{"status":"inactive"}}}`)
	if after, _ = b.Contact(k.ID); after.DNDSettings["SMS"].Status != "permanent" || !after.Blocked("SMS") {
		t.Errorf("the account took back a carrier's stop: %+v", after.DNDSettings)
	}
	merging := set(t, func(c *Config) { c.MergeDND, c.SingleEvents = true, true })
	k = merging.contact(map[string]string{"phone": "+15005550111"})
	merging.must(200, "PUT", "/contacts/"+k.ID, `{"dndSettings":{"SMS":{"status":"active"}}}`)
	merging.must(200, "PUT", "/contacts/"+k.ID, `{"dndSettings":{"Call":{"status":"active"}}}`)
	if after, _ = merging.Contact(k.ID); len(after.DNDSettings) != 2 {
		t.Errorf("got %+v", after.DNDSettings)
	}
	if got := merging.types(); !slices.Equal(got, []string{"ContactDndUpdate", "ContactDndUpdate"}) {
		t.Errorf("events %v", got)
	}
}

func TestV3HasItsOwnSpelling(t *testing.T) {
	b := set(t, nil)
	k := b.contact(map[string]string{"phone": "+15005550111"})
	out := b.must(200, "PUT", "/contacts/"+k.ID, `{"dndSettings":{"sms":{"status":"active"}},"customFields":[{"id":"cfLoan","fieldValue":"x"}]}`, "Version", "v3")
	if out["succeeded"] != true || out["succeded"] != nil || dig(out, "contact", "dndSettings", "sms", "status") != "active" {
		t.Errorf("got %v", out)
	}
	for _, h := range b.hooks("/events") {
		if h.body["type"] == "ContactDndUpdate" && dig(h.body, "dndSettings", "SMS", "status") != "active" {
			t.Errorf("webhooks keep the capitals: %v", h.body)
		}
	}
	out = b.must(200, "DELETE", "/contacts/"+k.ID, "", "Version", "v3")
	if out["succeeded"] != true || out["succeded"] != true {
		t.Errorf("got %v", out)
	}
	b.must(400, "GET", "/contacts/"+k.ID, "")
}

func TestSearchLagsBehindWritesAndPagesBothWays(t *testing.T) {
	b := set(t, func(c *Config) { c.IndexLag = 5 * time.Second })
	for i := range 25 {
		b.clock.advance(time.Second)
		b.contact(map[string]string{"firstName": fmt.Sprint(i), "phone": fmt.Sprintf("+1500555%04d", 1000+i), "address1": "Main St"})
	}
	const base = `"locationId":"SandboxLocation00001","pageLimit":10`
	if out := b.must(200, "POST", "/contacts/search", `{`+base+`}`); out["total"] != 20.0 {
		t.Errorf("the index has %v contacts already", out["total"])
	}
	b.clock.advance(10 * time.Second)
	var byPage, byCursor []string
	for page := 1; page <= 3; page++ {
		out := b.must(200, "POST", "/contacts/search", fmt.Sprintf(`{%s,"page":%d,"sort":[{"field":"dateUpdated","direction":"asc"}]}`, base, page))
		for _, row := range out["contacts"].([]any) {
			byPage = append(byPage, dig(row, "firstName").(string))
		}
	}
	cursor := ""
	for {
		out := b.must(200, "POST", "/contacts/search", `{`+base+cursor+`,"sort":[{"field":"dateUpdated","direction":"asc"}]}`)
		rows := out["contacts"].([]any)
		if len(rows) == 0 {
			break
		}
		for _, row := range rows {
			byCursor = append(byCursor, dig(row, "firstName").(string))
		}
		last := rows[len(rows)-1]
		cursor = fmt.Sprintf(`,"searchAfter":[%.0f,%q]`, dig(last, "searchAfter", 0), dig(last, "searchAfter", 1))
		if dig(last, "address") != "Main St" || dig(last, "address1") != nil {
			t.Fatalf("search rows say address: %v", last)
		}
	}
	if len(byPage) != 25 || !slices.Equal(byPage, byCursor) {
		t.Errorf("by page %v\nby cursor %v", byPage, byCursor)
	}
}

func TestSearchFilters(t *testing.T) {
	b := set(t, nil)
	b.contact(map[string]string{"firstName": "Ada", "phone": "+15005550111", "email": "ada@example.test"}, "hot")
	b.clock.advance(time.Hour)
	eve := b.contact(map[string]string{"firstName": "Eve", "phone": "+15005550112"})
	if err := b.SetDND(eve.ID, "SMS", "active"); err != nil {
		t.Fatal(err)
	}
	for filter, want := range map[string]string{
		`{"field":"phone","operator":"eq","value":"+15005550111"}`:                                                 "Ada",
		`{"field":"tags","operator":"contains","value":"HO"}`:                                                      "Ada",
		`{"field":"email","operator":"not_exists"}`:                                                                "Eve",
		`{"field":"dndSettings.SMS.status","operator":"eq","value":"active"}`:                                      "Eve",
		`{"field":"dateUpdated","operator":"range","value":{"gte":"2030-01-02T15:30:00Z"}}`:                        "Eve",
		`{"field":"dateUpdated","operator":"range","value":{"lt":1893600000000,"gt":"2030-01-02"}}`:                "Ada",
		`{"group":"OR","filters":[{"field":"firstNameLowerCase","operator":"eq","value":"eve"}]}`:                  "Eve",
		`{"field":"firstNameLowerCase","operator":"not_eq","value":"eve"},{"field":"email","operator":"exists"}`:   "Ada",
		`{"field":"firstNameLowerCase","operator":"not_contains","value":"a"},{"field":"dnd","operator":"exists"}`: "Eve",
		`{"group":"AND","filters":[{"field":"city","operator":"exists"},{"field":"id","operator":"exists"}]}`:      "",
	} {
		out := b.must(200, "POST", "/contacts/search", `{"locationId":"SandboxLocation00001","pageLimit":10,"filters":[`+filter+`]}`)
		var got []string
		for _, row := range out["contacts"].([]any) {
			got = append(got, dig(row, "firstName").(string))
		}
		if strings.Join(got, ",") != want {
			t.Errorf("%s found %v, want %q", filter, got, want)
		}
	}
	b.must(400, "POST", "/contacts/search", `{"locationId":"SandboxLocation00001","pageLimit":1,"filters":[{"field":"shoe","operator":"eq","value":"1"}]}`)
	b.must(422, "POST", "/contacts/search", `{"locationId":"SandboxLocation00001","pageLimit":501}`)
	b.must(400, "POST", "/contacts/search", `{"locationId":"SandboxLocation00001","pageLimit":500,"page":21}`)
}

func TestDuplicateLookup(t *testing.T) {
	b := set(t, nil)
	k := b.contact(map[string]string{"phone": "+15005550111", "email": "ada@example.test"})
	base := "/contacts/search/duplicate?locationId=SandboxLocation00001&"
	if out := b.must(200, "GET", base+"number=%2B15005550111", ""); dig(out, "contact", "id") != k.ID {
		t.Errorf("got %v", out)
	}
	if out := b.must(200, "GET", base+"number=%2B15005550119", ""); out["contact"] != nil {
		t.Errorf("got %v", out)
	}
}

func TestNotesLiveAndTellOfIt(t *testing.T) {
	b := set(t, nil)
	k := b.contact(map[string]string{"phone": "+15005550111"})
	path := "/contacts/" + k.ID + "/notes"
	id := dig(b.must(201, "POST", path, `{"body":"one"}`), "note", "id").(string)
	b.must(200, "PUT", path+"/"+id, `{"body":"two"}`)
	if out := b.must(200, "GET", path, ""); dig(out, "notes", 0, "body") != "two" {
		t.Errorf("got %v", out)
	}
	b.must(200, "DELETE", path+"/"+id, "")
	b.must(404, "GET", path+"/"+id, "")
	if got := b.types(); !slices.Equal(got, []string{"NoteCreate", "NoteUpdate", "NoteDelete"}) {
		t.Errorf("events %v", got)
	}
}

func TestAcceptedButNotWritten(t *testing.T) {
	b := set(t, nil)
	k := b.contact(map[string]string{"phone": "+15005550111", "city": "Paris"})
	b.Next("update contact", stage.NotWritten)
	out := b.must(200, "PUT", "/contacts/"+k.ID, `{"city":"Rome"}`)
	after, _ := b.Contact(k.ID)
	if dig(out, "contact", "city") != "Rome" || after.Fields["city"] != "Paris" || len(b.types()) != 0 {
		t.Errorf("answered %v, stored %v", dig(out, "contact", "city"), after.Fields["city"])
	}
}

func TestNormalisingUpstreamRewritesWhatItIsGiven(t *testing.T) {
	b := set(t, nil)
	b.SetMischief(stage.Mischief{Normalise: true})
	out := b.must(201, "POST", "/contacts/", `{"locationId":"SandboxLocation00001","firstName":"ada ","email":"Ada@Example.test","tags":["Hot"]}`)
	if dig(out, "contact", "firstName") != "ADA" || dig(out, "contact", "email") != "ada@example.test" || dig(out, "contact", "tags", 0) != "hot" {
		t.Errorf("got %v", out)
	}
}

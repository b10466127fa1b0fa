package ghlworld

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestLoggedMessagesAreWrappedCarryAltIdAndAreNotDeduped(t *testing.T) {
	b := set(t, nil)
	b.oauth()
	k := b.contact(map[string]string{"phone": "+15005550111"})
	body := fmt.Sprintf(`{"type":"SMS","contactId":%q,"message":"hi","altId":"tx_1","direction":"inbound","date":"2029-12-31T00:00:00.000Z"}`, k.ID)
	out := b.must(200, "POST", "/conversations/messages/inbound", body)
	b.must(200, "POST", "/conversations/messages/inbound", body)
	id, conversation := out["messageId"].(string), out["conversationId"].(string)
	if got := dig(b.must(200, "GET", "/conversations/messages/"+id, ""), "message", "altId"); got != "tx_1" {
		t.Errorf("altId %v", got)
	}
	list := b.must(200, "GET", "/conversations/"+conversation+"/messages?type=TYPE_SMS,TYPE_CALL", "")
	rows := dig(list, "messages", "messages").([]any)
	if len(rows) != 2 || dig(rows[0], "source") != "api" || dig(rows[0], "dateAdded") != "2029-12-31T00:00:00.000Z" || dig(rows[0], "type") != 2.0 {
		t.Errorf("got %v", list)
	}
	if got := b.types(); !slices.Equal(got, []string{"InboundMessage", "InboundMessage"}) {
		t.Errorf("events %v", got)
	}
}

func TestOutboundIsTheDefaultDirection(t *testing.T) {
	b := set(t, nil)
	k := b.contact(map[string]string{"phone": "+15005550111"})
	b.must(200, "POST", "/conversations/messages/inbound", `{"type":"SMS","contactId":"`+k.ID+`","message":"hi"}`)
	if got := b.Messages(k.ID)[0].Direction; got != "outbound" {
		t.Errorf("direction %s", got)
	}
}

func TestMessageRefusals(t *testing.T) {
	b := set(t, nil)
	k := b.contact(map[string]string{"phone": "+15005550111"})
	call := `"conversationProviderId":"656565656565656565656502"`
	for _, test := range []struct {
		name, path, body string
		status           int
	}{
		{"unknown property", "inbound", `{"type":"SMS","contactId":"` + k.ID + `","duration":3}`, 422},
		{"nobody", "inbound", `{"type":"SMS","message":"x"}`, 400},
		{"unknown contact", "inbound", `{"type":"SMS","contactId":"x","message":"x"}`, 400},
		{"PIT as provider", "inbound", `{"type":"Call","contactId":"` + k.ID + `",` + call + `}`, 400},
		{"call without provider", "inbound", `{"type":"Call","contactId":"` + k.ID + `"}`, 400},
		{"wrong provider", "inbound", `{"type":"SMS","contactId":"` + k.ID + `","conversationProviderId":"x"}`, 400},
		{"bad direction", "inbound", `{"type":"SMS","contactId":"` + k.ID + `","direction":"up"}`, 422},
		{"outbound text", "outbound", `{"type":"SMS","contactId":"` + k.ID + `"}`, 422},
	} {
		if status, out := b.do("POST", "/conversations/messages/"+test.path, test.body); status != test.status {
			t.Errorf("%s: %d %v", test.name, status, out)
		}
	}
	status, out := b.do("POST", "/conversations/messages/inbound", `{"type":"Custom","contactId":"`+k.ID+`","message":"x"}`)
	if status != 201 || out != nil || len(b.Messages(k.ID)) != 0 {
		t.Errorf("type Custom without a provider: %d %v", status, out)
	}
}

func TestCallsAreLoggedByTheProvidersApp(t *testing.T) {
	b := set(t, nil)
	b.oauth()
	k := b.contact(map[string]string{"phone": "+15005550111"})
	post := func(path, call string) (int, map[string]any) {
		return b.do("POST", "/conversations/messages/"+path, fmt.Sprintf(
			`{"type":"Call","contactId":%q,"conversationProviderId":"656565656565656565656502","altId":"900000001","call":%s}`, k.ID, call))
	}
	status, out := post("outbound", `{"from":"+15005550199","to":"+15005550111","status":"completed"}`)
	if status != 200 {
		t.Fatalf("%d %v", status, out)
	}
	id := out["messageId"].(string)
	b.must(200, "PUT", "/conversations/messages/"+id+"/attachments", `{"attachments":["https://example.test/a.mp3"]}`)
	m := b.Messages(k.ID)[0]
	if m.CallStatus != "completed" || m.AltID != "900000001" || len(m.Attachments) != 1 {
		t.Errorf("got %+v", m)
	}
	if got := dig(b.must(200, "GET", "/conversations/messages/"+id, ""), "message", "meta", "call", "status"); got != "completed" {
		t.Errorf("meta %v", got)
	}
	for _, bad := range []string{`{"status":"done"}`, `{"duration":3}`} {
		if status, _ := post("outbound", bad); status != 422 {
			t.Errorf("%s: %d", bad, status)
		}
	}
	if status, _ := post("inbound", `{"from":"+15005550112","to":"+15005550199","status":"completed"}`); status != 400 {
		t.Errorf("a stranger's number: %d", status)
	}
}

func TestExportPagesByUpdateTime(t *testing.T) {
	b := set(t, nil)
	k := b.contact(map[string]string{"phone": "+15005550111"})
	for i := range 25 {
		b.clock.advance(time.Second)
		b.must(200, "POST", "/conversations/messages/inbound", fmt.Sprintf(`{"type":"SMS","contactId":%q,"message":"%d","direction":"inbound"}`, k.ID, i))
	}
	var got []string
	cursor := ""
	for {
		out := b.must(200, "GET", "/conversations/messages/export?locationId=SandboxLocation00001&limit=10&sortBy=updatedAt&sortOrder=asc&channel=SMS&cursor="+cursor, "")
		for _, m := range out["messages"].([]any) {
			got = append(got, dig(m, "body").(string))
		}
		if out["nextCursor"] == nil {
			break
		}
		cursor = out["nextCursor"].(string)
	}
	if len(got) != 25 || got[0] != "0" || got[24] != "24" {
		t.Errorf("got %v", got)
	}
	b.must(400, "GET", "/conversations/messages/export?locationId=SandboxLocation00001&limit=5", "")
}

func TestAContactHasOneConversation(t *testing.T) {
	b := set(t, nil)
	k := b.contact(map[string]string{"firstName": "Ada", "phone": "+15005550111"})
	body := `{"locationId":"SandboxLocation00001","contactId":"` + k.ID + `"}`
	id := dig(b.must(201, "POST", "/conversations/", body), "conversation", "id")
	if out := b.must(400, "POST", "/conversations/", body); out["conversationId"] != id {
		t.Errorf("got %v", out)
	}
	out := b.must(200, "GET", "/conversations/search?locationId=SandboxLocation00001&contactId="+k.ID, "")
	if dig(out, "conversations", 0, "id") != id || dig(out, "conversations", 0, "fullName") != "Ada" || out["total"] != 1.0 {
		t.Errorf("got %v", out)
	}
}

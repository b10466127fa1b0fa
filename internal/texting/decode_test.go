package texting

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/payload"
)

const (
	ann  df.Phone = "+15005550111"
	line df.Phone = "+15005550199"
)

func owns(phone df.Phone) bool { return phone == line || phone == "+15005550198" }

func TestDecodeMessageReadsEveryForm(t *testing.T) {
	inbound := Message{EventType: MessageReceived, MessageID: "tx_501", Direction: Inbound, From: ann, To: line,
		FromText: string(ann), ToText: string(line), Body: "yes please", Status: Received}
	with := func(change func(*Message)) Message { m := inbound; change(&m); return m }
	for _, test := range []struct {
		name     string
		provider Provider
		raw      string
		headers  map[string]string
		want     Message
	}{
		{"df-hmac, the original's own", ProviderDF, `{"eventType":"message.received","messageId":"tx_501","conversationId":"chat-1","direction":"inbound",
			"from":"+15005550111","to":"+15005550199","body":"yes please","timestamp":"2026-08-05T12:00:00Z","status":"received","raw":{}}`, nil,
			with(func(m *Message) {
				m.WireType, m.EventID, m.ConversationID, m.OccurredAt = "message.received", "tx_501:message.received:received", "chat-1", noon
			})},
		// The original dropped ids that were numbers, and numbers in other notations slipped past a STOP.
		{"df-hmac, nested, numeric ids, national numbers", ProviderDF, `{"type":"SMS","event":"Message_Sent","conversationId":77,"message":{"id":502,
			"from":15005550199,"to":"(500) 555-0111","text":" Great! ","createdAt":1785931200000,"segments":"2","correlation_id":"ghl-9","telnyxMessageId":"t-1"}}`, nil,
			Message{EventType: MessageSent, WireType: "Message_Sent", EventID: "502:message.sent:sent", MessageID: "502", ConversationID: "77",
				CorrelationID: "ghl-9", OtherIDs: []string{"t-1"}, Direction: Outbound, From: line, To: ann, FromText: "15005550199",
				ToText: "(500) 555-0111", Body: " Great! ", Segments: 2, Status: Sent, OccurredAt: noon}},
		{"df-hmac, under data, root messageId, failed", ProviderDF, `{"event":"message.finalized","messageId":"c-1","data":{"direction":"outgoing","status":"delivery_failed",
			"from":{"phone_number":"+15005550199"},"to":[{"phoneNumber":"+15005550111"}],"error":{"code":40300,"message":"Blocked"}}}`, nil,
			Message{EventType: MessageSent, WireType: "message.finalized", EventID: "c-1:message.sent:failed", MessageID: "c-1", Direction: Outbound,
				From: line, To: ann, FromText: string(line), ToText: string(ann), Status: Failed, ErrorCode: "40300", ErrorMessage: "Blocked"}},
		{"df-hmac, opt-out", ProviderDF, `{"type":"optout.stop","messageId":"tx_501","from":"+15005550111","to":"+15005550199","body":"yes please"}`, nil,
			with(func(m *Message) {
				m.EventType, m.WireType, m.OptOut, m.EventID = OptOutStop, "optout.stop", Stop, "tx_501:optout.stop:received"
			})},
		// The original lost every picture, and a picture-only text became an empty one.
		{"df-hmac, picture only", ProviderDF, `{"type":"message.received","messageId":"tx_501","from":"+15005550111","to":"+15005550199",
			"mediaUrls":["https://m.test/1","ftp://m.test/2","javascript:x",7,{"url":"http://m.test/3","content_type":"Image/PNG; q=1"}]}`, nil,
			with(func(m *Message) {
				m.WireType, m.EventID, m.Body = "message.received", "tx_501:message.received:received", ""
				m.Media = []Media{{URL: "https://m.test/1"}, {URL: "http://m.test/3", ContentType: "image/png"}}
			})},
		{"standard", ProviderStandard, `{"type":"message.received","timestamp":"2026-08-05T14:00:00+02:00","data":{"message":{"id":"tx_501",
			"from":"+15005550111","to":"+15005550199","content":"yes please"},"attachments":"https://m.test/1"}}`, map[string]string{"Webhook-Id": "msg_1", "Svix-Id": "no"},
			with(func(m *Message) {
				m.WireType, m.EventID, m.OccurredAt, m.Media = "message.received", "msg_1", noon, []Media{{URL: "https://m.test/1"}}
			})},
		{"svix", ProviderStandard, `{"type":"message.delivered","data":{"messageId":"tx_501","from":"+15005550199","to":"+15005550111"}}`,
			map[string]string{"Svix-Id": "msg_2"}, Message{EventType: MessageDelivered, WireType: "message.delivered", EventID: "msg_2", MessageID: "tx_501",
				Direction: Outbound, From: line, To: ann, FromText: string(line), ToText: string(ann), Status: Delivered}},
		{"twilio, text", ProviderTwilio, url.Values{"MessageSid": {"tx_501"}, "SmsSid": {"tx_501"}, "From": {string(ann)}, "To": {string(line)},
			"Body": {"yes please"}, "SmsStatus": {"received"}, "NumMedia": {"2"}, "NumSegments": {"1"}, "OptOutType": {"STOP"}, "Brand-New": {"x"},
			"MediaUrl0": {"https://m.test/0"}, "MediaContentType0": {"image/jpeg"}, "MediaUrl1": {"https://m.test/1"}}.Encode(), nil,
			with(func(m *Message) {
				m.WireType, m.EventID, m.Segments, m.OptOut = "message.received", "tx_501:received", 1, Stop
				m.Media = []Media{{"https://m.test/0", "image/jpeg"}, {URL: "https://m.test/1"}}
			})},
		{"twilio, opted out", ProviderTwilio, "MessageSid=SM2&MessageStatus=undelivered&ErrorCode=21610&From=%2B15005550199&To=%2B15005550111&RawDlrDoneDate=2608051200", nil,
			Message{EventType: MessageFailed, WireType: "message.failed", EventID: "SM2:undelivered", MessageID: "SM2", Direction: Outbound, From: line, To: ann,
				FromText: string(line), ToText: string(ann), Status: Failed, ErrorCode: "21610"}},
		{"twilio, JSON", ProviderTwilio, ` {"MessageSid":"SM3","MessageStatus":"read","From":"12345","To":"+15005550111"}`, nil,
			Message{EventType: MessageDelivered, WireType: "message.delivered", EventID: "SM3:read", MessageID: "SM3", Direction: Outbound, To: ann,
				FromText: "12345", ToText: string(ann), Status: Read}},
		{"telnyx, text", ProviderTelnyx, `{"data":{"record_type":"event","id":"e-1","event_type":"message.received","occurred_at":"2026-08-05T12:00:00.000Z","payload":{
			"id":"tx_501","direction":"inbound","type":"MMS","text":"yes please","parts":1,"from":{"phone_number":"+15005550111"},"autoresponse_type":"STOP",
			"to":[{"phone_number":"+15005550199","status":"delivered"}],"media":[{"url":"https://m.test/1","content_type":"image/gif"}],"errors":[]}},"meta":{"attempt":2}}`, nil,
			with(func(m *Message) {
				m.WireType, m.EventID, m.OccurredAt, m.Segments, m.OptOut = "message.received", "e-1", noon, 1, Stop
				m.Media = []Media{{"https://m.test/1", "image/gif"}}
			})},
		{"telnyx, refused", ProviderTelnyx, `{"data":{"id":"e-2","event_type":"message.finalized","payload":{"id":"t-2","direction":"outbound","text":"hi",
			"from":{"phone_number":"+15005550199"},"to":[{"phone_number":"+15005550111","status":"delivery_failed"}],"errors":[{"code":40300,"title":"Blocked due to STOP message"}]}}}`, nil,
			Message{EventType: MessageFailed, WireType: "message.finalized", EventID: "e-2", MessageID: "t-2", Direction: Outbound, From: line, To: ann,
				FromText: string(line), ToText: string(ann), Body: "hi", Status: Failed, ErrorCode: "40300", ErrorMessage: "Blocked due to STOP message"}},
		{"telnyx, unconfirmed", ProviderTelnyx, `{"data":{"id":"e-3","event_type":"message.finalized","payload":{"id":"t-3","direction":"outbound",
			"from":{"phone_number":"+15005550199"},"to":[{"phone_number":"+15005550111","status":"delivery_unconfirmed"}]}}}`, nil,
			Message{EventType: MessageSent, WireType: "message.finalized", EventID: "e-3", MessageID: "t-3", Direction: Outbound, From: line, To: ann,
				FromText: string(line), ToText: string(ann), Status: Sent}},
	} {
		got, reason := Decoder{}.DecodeMessage(test.provider, []byte(test.raw), test.headers)
		test.want.Provider = test.provider
		if reason != "" || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %q\n got %+v\nwant %+v", test.name, reason, got, test.want)
		}
	}
}

// Without a direction the original took every text for an outgoing one, and made
// a contact of the company's own number.
func TestDirectionIsInferredOrRefused(t *testing.T) {
	for _, test := range []struct {
		name, fields string
		own          func(df.Phone) bool
		event        EventType
		direction    Direction
		reason       string
	}{
		{"said", `"type":"message.received","direction":"inbound"`, nil, MessageReceived, Inbound, ""},
		{"by the event", `"type":"message.received"`, nil, MessageReceived, Inbound, ""},
		{"by the event, sent", `"type":"message.sent"`, nil, MessageSent, Outbound, ""},
		{"by the event, delivered", `"type":"message.delivered"`, nil, MessageDelivered, Outbound, ""},
		{"a word in it", `"type":"message.sent","direction":"Outbound-API"`, nil, MessageSent, Outbound, ""},
		{"contradiction", `"type":"message.received","direction":"outbound"`, nil, MessageReceived, "", skipDirection},
		{"contradiction, our numbers decide", `"type":"message.received","direction":"outbound"`, owns, MessageReceived, Inbound, ""},
		{"sent by the customer", `"type":"message.sent","direction":"inbound"`, owns, MessageReceived, Inbound, ""},
		{"event against our numbers", `"type":"message.sent"`, owns, MessageSent, "", skipDirection},
		{"failed at the customer", `"type":"message.failed","direction":"inbound"`, owns, MessageFailed, "", skipDirection},
		{"no name, by the state", `"status":"received"`, nil, MessageReceived, Inbound, ""},
		{"no name, delivered", `"status":"delivered"`, nil, MessageDelivered, Outbound, ""},
		{"no name, by the word", `"direction":"incoming"`, nil, MessageReceived, Inbound, ""},
		{"no name, going out", `"direction":"outgoing"`, nil, MessageSent, Outbound, ""},
		{"no name, by our numbers", `"x":1`, owns, MessageReceived, Inbound, ""},
		{"nothing says", `"x":1`, nil, EventUnknown, "", skipNameless},
		{"both words", `"direction":"inbound outbound"`, nil, EventUnknown, "", skipNameless},
		{"an opt-out on a text of ours", `"type":"optout.stop","direction":"outbound"`, nil, OptOutStop, Outbound, ""},
		{"an opt-out", `"type":"optout.start"`, nil, OptOutStart, Inbound, ""},
		{"unknown event", `"type":"message.exploded","direction":"inbound"`, nil, EventUnknown, Inbound, "unknown event message.exploded"},
	} {
		raw := `{"messageId":"m1","from":"+15005550111","to":"+15005550199","body":"hi",` + test.fields + `}`
		m, reason := Decoder{Own: test.own}.DecodeMessage(ProviderDF, []byte(raw), nil)
		if m.EventType != test.event || m.Direction != test.direction || reason != test.reason {
			t.Errorf("%s: %s %q %q", test.name, m.EventType, m.Direction, reason)
		}
	}
	swapped := `{"messageId":"m1","from":"+15005550199","to":"+15005550111","body":"hi","type":"message.received","direction":"outbound"}`
	if m, reason := (Decoder{Own: owns}).DecodeMessage(ProviderDF, []byte(swapped), nil); m.EventType != MessageSent || m.Direction != Outbound || m.Status != Sent || reason != "" {
		t.Errorf("our own text, called received: %+v %q", m, reason)
	}
}

func TestStateIsTheLaterOfEventAndStatus(t *testing.T) {
	for _, test := range []struct {
		event, status string
		want          Status
	}{
		{"message.sent", "", Sent}, {"message.sent", "delivered", Delivered}, {"message.sent", "failed", Failed}, {"message.sent", "queued", Sent},
		{"message.delivered", "sent", Delivered}, {"message.delivered", "failed", Delivered}, {"message.queued", "sending", Sending},
		{"message.failed", "undelivered", Failed}, {"message.sent", "received", Sent}, {"message.sent", "exploded", Sent}, {"message.read", "", Read},
		{"message.received", "delivered", Received},
	} {
		raw := fmt.Sprintf(`{"type":%q,"status":%q,"messageId":"m","from":"+15005550111","to":"+15005550112","body":"x"}`, test.event, test.status)
		if m, reason := (Decoder{}).DecodeMessage(ProviderDF, []byte(raw), nil); m.Status != test.want || reason != "" {
			t.Errorf("%s with status %q: %s %q", test.event, test.status, m.Status, reason)
		}
	}
}

func TestNotices(t *testing.T) {
	const numbers = `"from":"+15005550111","to":"+15005550199"`
	for _, test := range []struct {
		name     string
		provider Provider
		raw      string
		want     df.Notice
	}{
		{"received", ProviderDF, `{"type":"message.received","messageId":7,"timestamp":"2026-08-05T12:00:00Z",` + numbers + `}`,
			df.Notice{Type: "message.received", Kind: df.KindMessage, EntityType: "message", EntityID: "7", DeliveryID: "df-hmac:7:message.received:received", OccurredAt: noon, Phone: ann}},
		{"sent, without words", ProviderDF, `{"type":"message.sent","messageId":"7",` + numbers + `}`,
			df.Notice{Type: "message.sent", Kind: df.KindMessageStatus, EntityType: "message", EntityID: "7", DeliveryID: "df-hmac:7:message.sent:sent", Phone: line}},
		{"sent, with words", ProviderDF, `{"type":"message.sent","messageId":"7","body":"x",` + numbers + `}`,
			df.Notice{Type: "message.sent", Kind: df.KindMessage, EntityType: "message", EntityID: "7", DeliveryID: "df-hmac:7:message.sent:sent", Phone: line}},
		// Without a message id the original's key made all texts of a conversation one.
		{"no message id", ProviderDF, `{"type":"message.received","conversationId":"c",` + numbers + `}`,
			df.Notice{Type: "message.received", Kind: df.KindMessage, EntityType: "message", EntityID: "c", Phone: ann}},
		{"no ids at all", ProviderDF, `{"type":"message.received",` + numbers + `}`,
			df.Notice{Type: "message.received", Kind: df.KindMessage, EntityType: "message", Phone: ann}},
		{"a status without numbers", ProviderDF, `{"type":"message.delivered","messageId":"7"}`,
			df.Notice{Type: "message.delivered", Kind: df.KindMessageStatus, EntityType: "message", EntityID: "7", DeliveryID: "df-hmac:7:message.delivered:delivered"}},
		{"a status of nothing", ProviderDF, `{"type":"message.delivered","conversationId":"c"}`,
			df.Notice{Type: "message.delivered", Kind: df.KindMessageStatus, EntityType: "message", EntityID: "c", Skip: skipNoMessage}},
		{"conversation", ProviderDF, `{"type":"conversation.created","conversation":{"id":8}}`,
			df.Notice{Type: "conversation.created", Kind: df.KindConversation, EntityType: "conversation", EntityID: "8"}},
		{"conversation without an id", ProviderDF, `{"type":"conversation.created"}`,
			df.Notice{Type: "conversation.created", Kind: df.KindConversation, EntityType: "conversation", Skip: "names no conversation"}},
		{"ping", ProviderDF, `{ }`, df.Notice{Kind: df.KindPing, Ping: pingEmpty}},
		{"telnyx ping", ProviderTelnyx, `{}`, df.Notice{Kind: df.KindPing, Ping: pingEmpty}},
		{"unknown", ProviderDF, `{"type":"solar.flare<b>","id":"m"}`,
			df.Notice{Type: "solar.flare<b>", Kind: df.KindUnknown, EntityType: "message", EntityID: "m", Skip: "unknown event solar.flareb"}},
		{"nothing known", ProviderStandard, `{"x":1}`, df.Notice{Kind: df.KindUnknown, Skip: skipNameless}},
		{"a number nobody can read", ProviderDF, `{"type":"message.received","messageId":"7","from":"anonymous","to":"+15005550199"}`,
			df.Notice{Type: "message.received", Kind: df.KindMessage, EntityType: "message", EntityID: "7", DeliveryID: "df-hmac:7:message.received:received", Skip: skipNumber}},
		{"no number", ProviderDF, `{"type":"message.received","messageId":"7","to":"+15005550199"}`,
			df.Notice{Type: "message.received", Kind: df.KindMessage, EntityType: "message", EntityID: "7", DeliveryID: "df-hmac:7:message.received:received", Skip: skipNoCustomer}},
		{"between our numbers", ProviderDF, `{"type":"message.received","messageId":"7","from":"+15005550198","to":"+15005550199"}`,
			df.Notice{Type: "message.received", Kind: df.KindMessage, EntityType: "message", EntityID: "7", DeliveryID: "df-hmac:7:message.received:received", Phone: "+15005550198", Skip: skipOurs}},
		{"whatsapp", ProviderTwilio, "MessageSid=SM1&SmsStatus=received&Body=x&From=whatsapp%3A%2B15005550111&To=whatsapp%3A%2B15005550199",
			df.Notice{Type: "message.received", Kind: df.KindMessage, EntityType: "message", EntityID: "SM1", DeliveryID: "twilio:SM1:received", Skip: skipChannel}},
		{"twilio, no state but words", ProviderTwilio, "MessageSid=SM1&Body=x&From=%2B15005550111&To=%2B15005550199",
			df.Notice{Type: "message.received", Kind: df.KindMessage, EntityType: "message", EntityID: "SM1", DeliveryID: "twilio:SM1:received", Phone: ann}},
		{"twilio, a state we do not know", ProviderTwilio, "MessageSid=SM1&MessageStatus=exploded",
			df.Notice{Kind: df.KindUnknown, EntityType: "message", EntityID: "SM1", DeliveryID: "twilio:SM1:exploded", Skip: "unknown state exploded"}},
		{"twilio, a call", ProviderTwilio, "CallSid=CA1&CallStatus=ringing", df.Notice{Kind: df.KindUnknown, Skip: skipNoMessage}},
		{"telnyx, a call", ProviderTelnyx, `{"data":{"id":"e","event_type":"call.answered","payload":{}}}`,
			df.Notice{Type: "call.answered", Kind: df.KindUnknown, DeliveryID: "telnyx:e", Skip: "unknown event call.answered"}},
		{"telnyx, a group", ProviderTelnyx, `{"data":{"id":"e","event_type":"message.sent","payload":{"id":"m","direction":"outbound","from":{"phone_number":"+15005550199"},
			"to":[{"phone_number":"+15005550111","status":"sent"},{"phone_number":"+15005550112","status":"sent"}]}}}`,
			df.Notice{Type: "message.sent", Kind: df.KindMessageStatus, EntityType: "message", EntityID: "m", DeliveryID: "telnyx:e", Phone: ann, Skip: skipGroup}},
		{"telnyx, ended nobody knows how", ProviderTelnyx, `{"data":{"id":"e","event_type":"message.finalized","payload":{"id":"m","to":[{"status":"exploded"}]}}}`,
			df.Notice{Type: "message.finalized", Kind: df.KindUnknown, EntityType: "message", EntityID: "m", DeliveryID: "telnyx:e", Skip: "unknown state exploded"}},
		{"telnyx, nameless", ProviderTelnyx, `{"data":7}`, df.Notice{Kind: df.KindUnknown, Skip: skipNameless}},
	} {
		if got := (Decoder{Own: func(p df.Phone) bool { return test.want.Skip == skipOurs && owns(p) }}).notice(test.provider, []byte(test.raw), nil); got != test.want {
			t.Errorf("%s:\n got %+v\nwant %+v", test.name, got, test.want)
		}
	}
}

func TestAdaptersDecodeTheirOwnForm(t *testing.T) {
	plain := []byte(`{"type":"message.received","data":{"id":"m","from":"+15005550111","to":"+15005550199"}}`)
	telnyx, _ := NewTelnyx(nil, atNoon, Decoder{})
	twilio, _ := NewTwilio("", nil, Decoder{})
	for name, n := range map[string]df.Notice{
		"df-hmac:m:message.received:received":  NewDF("", Decoder{}).Decode(plain),
		"standard:m:message.received:received": standard(t, atNoon).DecodeRequest(nil, plain),
		"standard:msg_1":                       standard(t, atNoon).DecodeRequest(header("Webhook-Id", "msg_1", "Svix-Id", "msg_2"), plain),
		"standard:msg_2":                       standard(t, atNoon).DecodeRequest(header("Svix-Id", "msg_2"), plain),
		"twilio:m:received":                    twilio.Decode([]byte("MessageSid=m&SmsStatus=received&From=%2B15005550111")),
		"telnyx:e":                             telnyx.Decode([]byte(`{"data":{"id":"e","event_type":"message.received","payload":{"id":"m","from":{"phone_number":"+15005550111"}}}}`)),
	} {
		if n.DeliveryID != name || n.EntityID != "m" || n.Kind != df.KindMessage || n.Phone != ann || n.Skip != "" {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

// Two repetitions are one delivery; another state, another text, another provider
// and the same words again are not.
func TestDeliveryIDsTellRepetitionsFromNews(t *testing.T) {
	of := func(provider Provider, raw string) string {
		return Decoder{}.notice(provider, []byte(raw), nil).DeliveryID
	}
	const numbers = `,"from":"+15005550111","to":"+15005550199"}`
	base := of(ProviderDF, `{"type":"message.sent","id":"1"`+numbers)
	if again := of(ProviderDF, `{"eventType":"Message.Sent","messageId":1,"retry":2`+numbers); again != base {
		t.Errorf("%q and %q", base, again)
	}
	seen := map[string]bool{base: true}
	for _, id := range []string{of(ProviderDF, `{"type":"message.sent","id":"2"`+numbers), of(ProviderDF, `{"type":"message.delivered","id":"1"`+numbers),
		of(ProviderDF, `{"type":"message.sent","status":"failed","id":"1"`+numbers), of(ProviderStandard, `{"type":"message.sent","id":"1"`+numbers),
		of(ProviderTwilio, "MessageSid=1&MessageStatus=sent"), of(ProviderTwilio, "MessageSid=1&MessageStatus=queued"), of(ProviderTwilio, "MessageSid=1&MessageStatus=accepted")} {
		if id == "" || seen[id] {
			t.Errorf("%q is not new", id)
		}
		seen[id] = true
	}
}

func TestNumbersAreNeverGuessed(t *testing.T) {
	for text, want := range map[string]df.Phone{
		"+15005550111": ann, "+1 (500) 555-0111": ann, "5005550111": ann, "500.555.0111": ann, "15005550111": ann,
		"5550111": "", "12345": "", "ACME": "", "1-800-FLOWERS": "", "447700900123": "", "anonymous": "", "": "", "+": "", "whatsapp:+15005550111": "",
		"+15005550111;ext=5": "", "+15005550111x5": "", "\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668": "", strings.Repeat("1", 5000): "",
	} {
		if got := (Decoder{}).phone(text); got != want {
			t.Errorf("%.30q: %q", text, got)
		}
	}
	if got := (Decoder{Region: "GB"}).phone("07700 900123"); got != "+447700900123" {
		t.Errorf("national, in another region: %q", got)
	}
}

func TestMediaIsReadInEveryForm(t *testing.T) {
	one := []Media{{URL: "https://m.test/1"}}
	for raw, want := range map[string][]Media{
		`"media":"https://m.test/1"`: one, `"mediaUrl":"https://m.test/1"`: one, `"media_urls":["https://m.test/1"]`: one,
		`"attachments":[{"mediaUrl":"https://m.test/1","type":"image"}]`: one, `"media":[],"attachments":["https://m.test/1"]`: one,
		`"media":[{"url":"https://m.test/1","mimeType":"video/mp4"}]`:                                                                   {{"https://m.test/1", "video/mp4"}},
		`"media":["file:///etc/passwd","//m.test/1","https://","data:x","https://m.test/` + strings.Repeat("x", 3000) + `",null,[],{}]`: nil,
	} {
		root, err := parseRecord([]byte("{" + raw + "}"))
		if err != nil {
			t.Fatal(err)
		}
		if got := mediaOf(layers{root}); !reflect.DeepEqual(got, want) {
			t.Errorf("%.60s: %+v", raw, got)
		}
	}
	many := `["https://m.test/1"` + strings.Repeat(`,"https://m.test/1"`, 500) + `]`
	root, _ := parseRecord([]byte(`{"media":` + many + `}`))
	if got := mediaOf(layers{root}); len(got) != mostMedia {
		t.Errorf("%d pictures", len(got))
	}
}

func TestTimes(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-08-05T12:00:00Z": noon, "2026-08-05T14:00:00.000+02:00": noon, "2026-08-05 12:00:00": noon, "2026-08-05T12:00:00": noon,
		"1785931200": noon, "1785931200000": noon, "7": {}, "-1785931200": {}, "99999999999999999": {}, "yesterday": {}, "": {}, "0001-01-01T00:00:00Z": {},
	} {
		if got := payload.Time(text); !got.Equal(want) || got.IsZero() != want.IsZero() {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestDecodeKeepsWhatItCannotRead(t *testing.T) {
	for _, raw := range []string{"", "null", "[]", "[{}]", "7", `"x"`, "{", `{"a":1}{"b":2}`, `{"a":1} x`, "<html>", "\x00", "a=%zz", strings.Repeat("[", 20000),
		`{"data":` + strings.Repeat(`{"data":`, 9000), strings.Repeat("a", 1<<20), "MessageSid=%ff%fe%00", strings.Repeat("a=b&", 100_000)} {
		for _, provider := range []Provider{ProviderDF, ProviderStandard, ProviderTelnyx, ProviderTwilio, "another"} {
			got := Decoder{}.notice(provider, []byte(raw), nil)
			if got.Kind != df.KindUnknown || got.Skip == "" || got.Ping != "" || got.DeliveryID != "" || got.EntityID != "" {
				t.Errorf("%s: %.20q: %+v", provider, raw, got)
			}
		}
		if got := NewBroadcast("").Decode([]byte(raw)); got.Kind != df.KindUnknown || got.Skip == "" {
			t.Errorf("broadcast: %.20q: %+v", raw, got)
		}
	}
}

func TestBroadcastNotice(t *testing.T) {
	want := df.Notice{Type: "analytics_updated", Kind: df.KindBroadcast, EntityType: "broadcast", EntityID: "7",
		DeliveryID: "7:analytics_updated:2026-08-05T12:00:00Z", OccurredAt: noon}
	for name, test := range map[string]struct {
		raw    string
		change func(*df.Notice)
	}{
		"the original's":    {`{"broadcastId":"7","eventType":"analytics_updated","timestamp":"2026-08-05T12:00:00Z"}`, func(*df.Notice) {}},
		"a numeric id":      {`{"broadcast_id":7,"type":"analytics_updated","timestamp":1785931200}`, func(*df.Notice) {}},
		"nested":            {`{"event":"analytics_updated","data":{"broadcast":{"id":7},"timestamp":"2026-08-05T12:00:00Z"}}`, func(*df.Notice) {}},
		"any other event":   {`{"broadcastId":"7","type":"x","timestamp":"2026-08-05T12:00:00Z"}`, func(n *df.Notice) { n.Type, n.DeliveryID = "x", "7:x:2026-08-05T12:00:00Z" }},
		"no time, so no id": {`{"broadcastId":"7","eventType":"analytics_updated"}`, func(n *df.Notice) { n.DeliveryID, n.OccurredAt = "", time.Time{} }},
		"nameless": {`{"broadcastId":"7"}`, func(n *df.Notice) {
			*n = df.Notice{Kind: df.KindBroadcast, EntityType: "broadcast", EntityID: "7", Skip: skipNameless}
		}},
		"of no broadcast": {`{"type":"x"}`, func(n *df.Notice) {
			*n = df.Notice{Type: "x", Kind: df.KindBroadcast, EntityType: "broadcast", Skip: "names no broadcast"}
		}},
		"ping": {`{}`, func(n *df.Notice) { *n = df.Notice{Kind: df.KindPing, Ping: pingEmpty} }},
		"an id that is a tale": {`{"type":"x","broadcastId":"once upon"}`, func(n *df.Notice) {
			*n = df.Notice{Type: "x", Kind: df.KindBroadcast, EntityType: "broadcast", Skip: "names no broadcast"}
		}},
	} {
		expected := want
		test.change(&expected)
		if got := NewBroadcast("").Decode([]byte(test.raw)); got != expected {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, expected)
		}
	}
}

func TestMessagesAreLoggedWithoutWordsAndNumbers(t *testing.T) {
	var out bytes.Buffer
	m, _ := Decoder{}.DecodeMessage(ProviderDF, []byte(`{"type":"message.received","id":"m7","from":"+15005550111","to":"+15005550199","body":"my pin is 1234"}`), nil)
	slog.New(slog.NewTextHandler(&out, nil)).Info("read", "message", m)
	if text := out.String(); strings.Contains(text, "555") || strings.Contains(text, "pin") || !strings.Contains(text, "m7") {
		t.Error(text)
	}
	if m.Ours() != line {
		t.Errorf("ours is %s", m.Ours())
	}
	m.Direction = Outbound
	if phone, text := m.Customer(); phone != line || text != string(line) || m.Ours() != ann {
		t.Errorf("%s %s", phone, m.Ours())
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"type":"message.received","id":1e400,"message":{"message":{"from":[{}]}}}`, `{"data":{"event_type":"message.finalized","payload":{"to":[7],"errors":{}}}}`,
		`{"":{},"_":1,"media":[[[]]]}`, "MessageSid=SM1&SmsStatus=received&MediaUrl0=http://x", "{}", `{"eventType":"optout.stop","direction":"outbound","status":"read"}`} {
		f.Add([]byte(seed), "id")
	}
	f.Fuzz(func(t *testing.T, raw []byte, id string) {
		for _, provider := range []Provider{ProviderDF, ProviderTwilio, ProviderTelnyx, ProviderStandard} {
			headers := map[string]string{"Webhook-Id": id}
			decoder := Decoder{Own: owns}
			m, reason := decoder.DecodeMessage(provider, raw, headers)
			n := decoder.notice(provider, raw, headers)
			again, _ := json.Marshal(decoder.notice(provider, raw, headers))
			if first, _ := json.Marshal(n); !bytes.Equal(first, again) {
				t.Errorf("%q decodes in two ways:\n%s\n%s", raw, first, again)
			}
			phone, _ := m.Customer()
			switch {
			case n.Kind == df.KindUnknown && n.Skip == "", n.Kind == df.KindPing && n.Ping == "", n.Kind == "":
				t.Errorf("%s: %q: %+v", provider, raw, n)
			case reason == "" && n.Kind == df.KindMessage && (m.Direction == "" || phone == "" || owns(phone)):
				t.Errorf("%s: %q is to be acted on, but for whom? %+v", provider, raw, m)
			case reason == "" && m.EventType == MessageReceived && m.Direction != Inbound:
				t.Errorf("%s: %q was received and is outbound: %+v", provider, raw, m)
			case len(m.MessageID) > payload.LongestID, len(m.WireType) > longestName, len(m.Media) > mostMedia:
				t.Errorf("%s: %q grows without bound: %+v", provider, raw, m)
			}
		}
		NewBroadcast("x").Decode(raw)
	})
}

func BenchmarkDecode(b *testing.B) {
	raw := []byte(`{"eventType":"message.received","messageId":"tx_501","conversationId":"chat-1","direction":"inbound","from":"+15005550111",
		"to":"+15005550199","body":"yes please","timestamp":"2026-08-05T12:00:00Z","status":"received"}`)
	b.ReportAllocs()
	for b.Loop() {
		Decoder{}.notice(ProviderDF, raw, nil)
	}
}

func TestIDsOfEveryTypeAreKept(t *testing.T) {
	for value, want := range map[string]string{
		`501`: "501", `"501"`: "501", `" tx_501 "`: "tx_501", `9007199254740993`: "9007199254740993", `5.01e2`: "501", `501.0`: "501",
		`1.5`: "1.5", `1e400`: "1e400", `true`: "", `null`: "", `{}`: "", `[1]`: "", `"two words"`: "", `"a\u0000b"`: "", `"` + strings.Repeat("x", 129) + `"`: "",
	} {
		root, err := parseRecord([]byte(`{"message_id":` + value + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := root.id("messageid"); got != want {
			t.Errorf("%.40s: %q, want %q", value, got, want)
		}
	}
}

func TestKeywordsThatAProviderActedOn(t *testing.T) {
	for word, want := range map[string]OptOutType{"STOP": Stop, "stop": Stop, "opt_out": Stop, "START": Start, "UNSTOP": Start, "HELP": Help, "INFO": Help, "": "", "weekend": ""} {
		raw := "MessageSid=SM1&SmsStatus=received&From=%2B15005550111&OptOutType=" + word
		if m, reason := (Decoder{}).DecodeMessage(ProviderTwilio, []byte(raw), nil); m.OptOut != want || reason != "" {
			t.Errorf("%q: %q %q", word, m.OptOut, reason)
		}
	}
	m, reason := Decoder{}.DecodeMessage(ProviderDF, []byte(`{"type":"message.received","optOutType":"START","from":"+15005550111"}`), nil)
	if m.OptOut != Start || reason != "" {
		t.Errorf("%+v %q", m, reason)
	}
}

func TestTelnyxSentTakesTheRecipientsState(t *testing.T) {
	for status, want := range map[string]Status{"queued": Sent, "sent": Sent, "delivered": Delivered, "sending_failed": Failed, "": Sent} {
		raw := `{"data":{"event_type":"message.sent","payload":{"id":"m","direction":"outbound","to":[{"phone_number":"+15005550111","status":"` + status + `"}]}}}`
		if m, reason := (Decoder{}).DecodeMessage(ProviderTelnyx, []byte(raw), nil); m.Status != want || reason != "" || m.EventID != "" {
			t.Errorf("%q: %+v %q", status, m, reason)
		}
	}
}

func TestTheRootsIDIsNotTheMessages(t *testing.T) {
	for raw, want := range map[string]string{
		`"id":"evt","messageId":"m","message":{"text":"x"}`:                                       "m",
		`"id":"evt","data":{"messageId":"m"}`:                                                     "m",
		`"id":"evt","message":{"text":"x"}`:                                                       "",
		`"id":"evt","message":{"id":"m","messageId":"carrier"}`:                                   "m",
		`"id":"m","messageId":"carrier"`:                                                          "m", // as the original chose
		`"id":"evt","message":{"id":"m"},"data":{"id":"other"}`:                                   "m",
		`"messageId":"m","message":"just words","data":{"message":{"providerMessageId":"other"}}`: "m",
	} {
		m, _ := Decoder{}.DecodeMessage(ProviderDF, []byte(`{"type":"message.received",`+raw+`}`), nil)
		if m.MessageID != want {
			t.Errorf("%s: %q", raw, m.MessageID)
		}
	}
}

package ghl

import (
	"slices"
	"testing"
)

func TestOutgoingReadsWhatTheAgentWrote(t *testing.T) {
	t.Parallel()
	d := Decoder{LocationID: "L1"}
	for name, raw := range map[string]string{
		"flat":   `{"contactId":"c1","locationId":"L1","messageId":"m1","type":"SMS","phone":"+15005550111","message":" Hi \n","attachments":["https://example.test/a.jpg"],"userId":"u"}`,
		"nested": `{"contactId":"c1","locationId":"L1","type":"SMS","phone":"(500) 555-0111","attachments":["https://example.test/a.jpg"],"message":{"id":"m1","body":" Hi \n"}}`,
		"data":   `{"data":{"contactId":"c1","locationId":"L1","messageId":"m1","type":"SMS","phone":"+15005550111","message":" Hi \n","attachments":["https://example.test/a.jpg"]}}`,
	} {
		got := d.Outgoing([]byte(raw))
		if got.MessageID != "m1" || got.ContactID != "c1" || got.Channel != "SMS" || got.Phone != "+15005550111" || got.Body != " Hi \n" ||
			!slices.Equal(got.Attachments, []string{"https://example.test/a.jpg"}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := d.Outgoing([]byte("no")); got.MessageID != "" {
		t.Errorf("%+v", got)
	}
}

func TestSaidTellsTextsFromEverythingElse(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]Said{
		`{"type":"InboundMessage","messageType":"SMS","direction":"inbound","body":"STOP"}`:                                                       {Text: true, Body: "STOP"},
		`{"type":"OutboundMessage","messageTypeString":"TYPE_SMS","direction":"outbound","body":"x","source":"api","conversationProviderId":"p"}`: {Text: true, Outbound: true, Body: "x", Source: "api", ProviderID: "p"},
		`{"type":"InboundMessage","messageType":"Email","direction":"inbound","body":"STOP"}`:                                                     {Body: "STOP"},
		`[]`: {},
	} {
		if got := (Decoder{}).Said([]byte(raw)); got != want {
			t.Errorf("%s: %+v", raw, got)
		}
	}
}

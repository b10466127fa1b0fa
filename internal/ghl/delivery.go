package ghl

import (
	"strings"

	"github.com/df-middleware/dfm/internal/df"
)

// Outgoing is a message that GHL wants its conversation provider, which is us, to
// send.
type Outgoing struct {
	MessageID   string
	ContactID   string
	Channel     string // "SMS", "Email", …; the payload's "type"
	Phone       df.Phone
	Body        string
	Attachments []string // URLs
}

// Outgoing reads a delivery that DecodeDelivery took. What it does not say is
// empty.
func (d Decoder) Outgoing(raw []byte) Outgoing {
	payload, err := parseObject(raw)
	if err != nil {
		return Outgoing{}
	}
	payload = flatten(payload)
	notice := d.DecodeDelivery(raw)
	out := Outgoing{
		MessageID: notice.EntityID, ContactID: notice.ContactID, Phone: notice.Phone, Channel: payload.text("type"),
		Body: words(payload, "message", "body", "text"),
	}
	if out.Body == "" {
		out.Body = words(payload.child("message"), "body", "message", "text")
	}
	out.Attachments, _ = payload.texts("attachments")
	return out
}

// words returns somebody's words as they are.
func words(o object, keys ...string) string {
	for _, key := range keys {
		if text, _ := o[key].(string); strings.TrimSpace(text) != "" {
			return text
		}
	}
	return ""
}

// Said is what a webhook about a message (InboundMessage, OutboundMessage) says.
type Said struct {
	Text       bool // it is an SMS, not a call, e-mail or chat
	Outbound   bool
	Body       string
	Source     string // of outbound ones: "api" for what was written through the API
	ProviderID string // the conversation provider's, empty for GHL's own numbers
}

// Said reads a webhook about a message.
func (d Decoder) Said(raw []byte) Said {
	payload, err := parseObject(raw)
	if err != nil {
		return Said{}
	}
	payload = flatten(payload)
	kind := strings.ToUpper(firstText(payload.text("messageType"), payload.text("messageTypeString")))
	return Said{
		Text: kind == "SMS" || kind == "TYPE_SMS", Outbound: strings.EqualFold(payload.text("direction"), "outbound"),
		Body: words(payload, "body", "message"), Source: payload.text("source"), ProviderID: payload.id("conversationProviderId"),
	}
}

package ghlworld

import (
	"net/http"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// sendMessage sends a text through the location's SMS provider, which is the
// program under test when it has a delivery URL.
func (w *World) sendMessage(c *call) (int, any, *failure) {
	if complaints := sendBody.check(c.body, "type", "contactId"); len(complaints) > 0 {
		return 0, nil, invalid(complaints...)
	}
	if kind := c.body.Text("type"); kind != "SMS" {
		return 0, nil, fail(http.StatusBadRequest, "No provider is set up for "+kind)
	}
	k, f := w.party(c.body)
	if f != nil {
		return 0, nil, f
	}
	m := w.text(k, c.body.Text("message"), "api", "")
	m.Attachments = c.body.Texts("attachments")
	if f := w.sendable(k, m); f != nil {
		return 0, nil, f
	}
	if stage.Unwritten(c.r) {
		m.ConversationID = w.ID(20)
	} else {
		w.deliver(k, m)
	}
	return http.StatusOK, map[string]any{
		"conversationId": m.ConversationID, "messageId": m.ID, "msg": "Message queued successfully.",
	}, nil
}

func (w *World) text(k *Contact, body, source, userID string) *Message {
	return &Message{
		ID: w.ID(20), ContactID: k.ID, Type: "SMS", Direction: "outbound", Status: "pending", Body: body,
		Source: source, UserID: userID, ProviderID: w.config.SMSProvider, DateAdded: w.Now(), DateUpdated: w.Now(),
	}
}

func (w *World) sendable(k *Contact, m *Message) *failure {
	switch {
	case k.Blocked("SMS"):
		return fail(http.StatusBadRequest, "Cannot send message as DND is active for SMS.")
	case k.Fields["phone"] == "":
		return fail(http.StatusBadRequest, "Missing phone number")
	case m.Body == "" && len(m.Attachments) == 0:
		return fail(http.StatusBadRequest, "There is no message or attachments for this message")
	}
	return nil
}

// deliver stores an outbound text and posts it to the provider's delivery URL:
// flat, without an event name, signed with X-GHL-Signature only.
func (w *World) deliver(k *Contact, m *Message) {
	w.store(m)
	m.posted = w.Now()
	w.post("provider delivery", w.listeners.Delivery, map[string]any{
		"contactId": k.ID, "locationId": w.config.LocationID, "messageId": m.ID, "type": "SMS",
		"phone": k.Fields["phone"], "message": m.Body, "attachments": append([]string{}, m.Attachments...),
		"userId": m.UserID,
	})
}

// putStatus takes status reports of the provider's own app, and not before the
// message has settled: an early one is answered with 403.
func (w *World) putStatus(c *call) (int, any, *failure) {
	m, f := w.message(c)
	if f != nil {
		return 0, nil, f
	}
	body := dto{"status": text, "error": object, "emailMessageId": text, "recipients": anything}
	if complaints := body.check(c.body, "status"); len(complaints) > 0 {
		return 0, nil, invalid(complaints...)
	}
	statuses := []string{"delivered", "failed", "pending", "read"}
	if !slices.Contains(statuses, c.body.Text("status")) {
		return 0, nil, invalid("status must be one of the following values: " + strings.Join(statuses, ", "))
	}
	if !c.who.provider || m.ProviderID == "" {
		return 0, nil, fail(http.StatusForbidden, "No access to update the status of this message")
	}
	if !m.posted.IsZero() && w.Now().Before(m.posted.Add(w.config.StatusGap)) {
		return 0, nil, fail(http.StatusForbidden, "The message is not ready for a status update")
	}
	if !stage.Unwritten(c.r) {
		m.Status, m.DateUpdated = c.body.Text("status"), w.Now()
		reason, _ := c.body["error"].(map[string]any)
		m.ErrorCode = stage.Object(reason).Text("code")
	}
	return http.StatusOK, map[string]any{"conversationId": m.ConversationID, "messageId": m.ID, "status": c.body.Text("status")}, nil
}

// putAttachments replaces the attachments of a logged call.
func (w *World) putAttachments(c *call) (int, any, *failure) {
	m, f := w.message(c)
	if f != nil {
		return 0, nil, f
	}
	if complaints := (dto{"attachments": texts}).check(c.body, "attachments"); len(complaints) > 0 {
		return 0, nil, invalid(complaints...)
	}
	urls := c.body.Texts("attachments")
	if len(urls) > 5 {
		return 0, nil, invalid("attachments must contain no more than 5 elements")
	}
	if m.Type != "Call" || m.ProviderID == "" {
		return 0, nil, fail(http.StatusForbidden, "Attachments can only be set on external calls")
	}
	if !stage.Unwritten(c.r) {
		m.Attachments, m.DateUpdated = urls, w.Now()
	}
	return http.StatusOK, map[string]any{"success": true, "messageId": m.ID, "attachments": urls}, nil
}

package ghlworld

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// Message is one entry of a conversation: a text or a logged call.
type Message struct {
	ID             string    `json:"id"`
	ConversationID string    `json:"conversationId"`
	ContactID      string    `json:"contactId"`
	AltID          string    `json:"altId,omitempty"` // the writer's own id; GHL does not dedupe by it
	Type           string    `json:"type"`            // SMS, Call, …
	Direction      string    `json:"direction"`
	Status         string    `json:"status"`
	Body           string    `json:"body"`
	Source         string    `json:"source"` // api, app, workflow
	UserID         string    `json:"userId,omitempty"`
	ProviderID     string    `json:"conversationProviderId,omitempty"`
	Attachments    []string  `json:"attachments"`
	CallStatus     string    `json:"callStatus,omitempty"`
	From           string    `json:"from,omitempty"`
	To             string    `json:"to,omitempty"`
	ErrorCode      string    `json:"errorCode,omitempty"`
	DateAdded      time.Time `json:"dateAdded"`
	DateUpdated    time.Time `json:"dateUpdated"`

	posted time.Time // when the delivery post left
}

var (
	inboundBody = dto{
		"type": text, "attachments": texts, "message": text, "conversationId": text, "contactId": text,
		"conversationProviderId": text, "html": text, "subject": text, "emailFrom": text, "emailTo": text,
		"emailCc": texts, "emailBcc": texts, "emailMessageId": text, "altId": text, "direction": text,
		"date": text, "call": object,
	}
	outboundBody = dto{
		"type": text, "attachments": texts, "conversationId": text, "contactId": text,
		"conversationProviderId": text, "altId": text, "date": text, "call": object,
	}
	sendBody = dto{
		"type": text, "subType": anything, "contactId": text, "appointmentId": text, "attachments": texts,
		"emailFrom": text, "emailCc": texts, "emailBcc": texts, "html": text, "message": text, "subject": text,
		"replyMessageId": text, "templateId": text, "threadId": text, "scheduledTimestamp": numeric,
		"conversationProviderId": text, "emailTo": text, "emailReplyMode": text, "fromNumber": text,
		"toNumber": text, "forward": anything, "status": text,
	}
	messageTypes = []string{"SMS", "RCS", "Email", "WhatsApp", "GMB", "IG", "FB", "Custom", "Live_Chat", "TIKTOK", "Call"}
	callStatuses = []string{"pending", "completed", "answered", "busy", "no-answer", "failed", "canceled", "voicemail"}
)

func (m *Message) typeNumber() int {
	switch {
	case m.Type == "Call" && m.ProviderID != "":
		return 34
	case m.Type == "Call":
		return 1
	case m.Type == "SMS":
		return 2
	}
	return 3
}

func (m *Message) typeString() string {
	return map[int]string{34: "TYPE_CUSTOM_CALL", 1: "TYPE_CALL", 2: "TYPE_SMS", 3: "TYPE_EMAIL"}[m.typeNumber()]
}

func (m *Message) view() map[string]any {
	out := map[string]any{
		"id": m.ID, "type": m.typeNumber(), "messageType": m.typeString(), "contactId": m.ContactID,
		"conversationId": m.ConversationID, "dateAdded": stage.ISO(m.DateAdded), "dateUpdated": stage.ISO(m.DateUpdated),
		"body": m.Body, "direction": m.Direction, "status": m.Status, "contentType": "text/plain",
		"attachments": append([]string{}, m.Attachments...), "source": m.Source,
	}
	for name, value := range map[string]string{"altId": m.AltID, "userId": m.UserID, "conversationProviderId": m.ProviderID} {
		if value != "" {
			out[name] = value
		}
	}
	if m.Type == "Call" {
		out["meta"] = map[string]any{"call": map[string]any{"duration": nil, "status": m.CallStatus}}
	}
	return out
}

func (w *World) message(c *call) (*Message, *failure) {
	for _, m := range w.messages {
		if m.ID == c.r.PathValue("id") {
			return m, nil
		}
	}
	return nil, fail(http.StatusNotFound, "Message not found")
}

func (w *World) getMessage(c *call) (int, any, *failure) {
	m, f := w.message(c)
	if f != nil {
		return 0, nil, f
	}
	return http.StatusOK, map[string]any{"message": m.view()}, nil
}

// party finds the contact a message is for, by contactId or by conversation.
func (w *World) party(body stage.Object) (*Contact, *failure) {
	id := body.Text("contactId")
	if v := w.conversation(body.Text("conversationId")); v != nil {
		if id != "" && id != v.ContactID {
			return nil, fail(http.StatusBadRequest, "The conversation belongs to another contact")
		}
		id = v.ContactID
	} else if body.Text("conversationId") != "" {
		return nil, fail(http.StatusBadRequest, "Conversation not found")
	}
	if id == "" {
		return nil, fail(http.StatusBadRequest, "conversationId or contactId is required")
	}
	k := w.contacts[id]
	if k == nil {
		return nil, fail(http.StatusBadRequest, "Contact not found")
	}
	return k, nil
}

func (w *World) addInbound(c *call) (int, any, *failure) {
	if complaints := inboundBody.check(c.body, "type"); len(complaints) > 0 {
		return 0, nil, invalid(complaints...)
	}
	kind, providerID := c.body.Text("type"), c.body.Text("conversationProviderId")
	if kind == "Custom" && providerID == "" {
		return http.StatusCreated, nil, nil // stores nothing and says nothing
	}
	direction := c.body.Text("direction")
	if direction == "" {
		direction = "outbound" // what the field's description says
		if kind == "Call" {
			direction = "inbound"
		}
	}
	if direction != "inbound" && direction != "outbound" {
		return 0, nil, invalid("direction must be one of the following values: inbound, outbound")
	}
	return w.log(c, kind, direction)
}

func (w *World) addOutboundCall(c *call) (int, any, *failure) {
	if complaints := outboundBody.check(c.body, "type"); len(complaints) > 0 {
		return 0, nil, invalid(complaints...)
	}
	if c.body.Text("type") != "Call" {
		return 0, nil, invalid("type must be one of the following values: Call")
	}
	return w.log(c, "Call", "outbound")
}

// log stores a message that happened elsewhere.
func (w *World) log(c *call, kind, direction string) (int, any, *failure) {
	if !slices.Contains(messageTypes, kind) {
		return 0, nil, invalid("type must be one of the following values: " + strings.Join(messageTypes, ", "))
	}
	if f := w.checkProvider(c, kind); f != nil {
		return 0, nil, f
	}
	k, f := w.party(c.body)
	if f != nil {
		return 0, nil, f
	}
	m := &Message{
		ID: w.ID(20), ContactID: k.ID, AltID: c.body.Text("altId"), Type: kind, Direction: direction,
		Status: "delivered", Body: c.body.Text("message"), Source: "api", DateAdded: w.Now(), DateUpdated: w.Now(),
		ProviderID: c.body.Text("conversationProviderId"), Attachments: c.body.Texts("attachments"),
	}
	if date := c.body.Text("date"); date != "" {
		at, ok := moment(date)
		if !ok {
			return 0, nil, invalid("date must be a valid ISO 8601 date string")
		}
		m.DateAdded = at
	}
	if kind == "Call" {
		if f := w.logCall(c, k, m); f != nil {
			return 0, nil, f
		}
	}
	if stage.Unwritten(c.r) {
		m.ConversationID = w.ID(20)
	} else {
		w.store(m)
	}
	return http.StatusOK, map[string]any{
		"success": true, "conversationId": m.ConversationID, "messageId": m.ID, "message": "Message added successfully",
		"contactId": k.ID, "dateAdded": stage.ISO(m.DateAdded),
	}, nil
}

// checkProvider refuses calls without a provider, unknown providers, and
// tokens that are not those of the provider's app.
func (w *World) checkProvider(c *call, kind string) *failure {
	id := c.body.Text("conversationProviderId")
	switch {
	case id == "" && kind == "Call":
		return fail(http.StatusBadRequest, "conversationProviderId is required")
	case id == "":
		return nil
	case id != w.config.SMSProvider && id != w.config.CallProvider, kind == "Call" && id != w.config.CallProvider:
		return fail(http.StatusBadRequest, "Invalid conversationProviderId")
	case !c.who.provider:
		return fail(http.StatusBadRequest, "You don't have access to the conversationProvider")
	}
	return nil
}

// logCall checks the call's details: the contact's side of the call must be a
// number of the contact.
func (w *World) logCall(c *call, k *Contact, m *Message) *failure {
	details, _ := c.body["call"].(map[string]any)
	o := stage.Object(details)
	if complaints := (dto{"to": text, "from": text, "status": text}).check(o); len(complaints) > 0 {
		return invalid("call." + strings.Join(complaints, ", call."))
	}
	m.From, m.To, m.CallStatus = o.Text("from"), o.Text("to"), o.Text("status")
	if m.CallStatus == "" {
		m.CallStatus = "pending"
	}
	if !slices.Contains(callStatuses, m.CallStatus) {
		return invalid("call.status must be one of the following values: " + strings.Join(callStatuses, ", "))
	}
	m.Status = m.CallStatus
	theirs := m.From
	if m.Direction == "outbound" {
		theirs = m.To
	}
	if theirs != "" && theirs != k.Fields["phone"] {
		return fail(http.StatusBadRequest, "The phone number of the call does not belong to the contact")
	}
	return nil
}

// store adds the message to its contact's conversation and tells the listeners.
func (w *World) store(m *Message) {
	v := w.converse(m.ContactID)
	v.DateUpdated = w.Now()
	m.ConversationID = v.ID
	w.messages = append(w.messages, m)
	w.messageEvent(m)
}

func (w *World) messageEvent(m *Message) {
	event, kind := "InboundMessage", m.Type
	if m.Direction == "outbound" {
		event = "OutboundMessage"
	}
	if kind == "Call" {
		kind = "CALL"
	}
	fields := map[string]any{
		"contactId": m.ContactID, "conversationId": m.ConversationID, "messageId": m.ID, "body": m.Body,
		"attachments": append([]string{}, m.Attachments...), "contentType": "text/plain",
		"dateAdded": stage.ISO(m.DateAdded), "direction": m.Direction, "messageType": kind, "status": m.Status,
		"messageTypeId": m.typeNumber(), "messageTypeString": m.typeString(),
	}
	if m.Direction == "outbound" {
		fields["source"] = m.Source
	}
	if m.Type == "Call" {
		fields["callDuration"], fields["callStatus"] = 0, m.CallStatus
		fields["from"], fields["to"] = m.From, m.To
	}
	if m.ProviderID != "" {
		fields["conversationProviderId"] = m.ProviderID
	}
	if m.UserID != "" {
		fields["userId"] = m.UserID
	}
	w.emit(event, fields)
}

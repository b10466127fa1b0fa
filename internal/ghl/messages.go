package ghl

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Conversation is the thread of one contact; a contact has at most one.
type Conversation struct {
	ID        string
	ContactID string
}

// FindConversation returns the conversation of a contact, and code
// df.CodeNotFound when there is none yet.
func (c *Client) FindConversation(ctx context.Context, contactID string) (Conversation, error) {
	r := request{operation: "search conversations", family: FamilyConversations, method: http.MethodGet,
		path: "/conversations/search", query: url.Values{"locationId": {c.location}, "contactId": {contactID}}}
	_, rows, err := c.rows(ctx, r, "conversations")
	if err != nil {
		return Conversation{}, err
	}
	for _, row := range rows {
		found := Conversation{ID: row.id("id", "_id"), ContactID: row.id("contactId")}
		if found.ID != "" && found.ContactID == contactID {
			return found, nil
		}
	}
	return Conversation{}, failure(r.operation, df.Refused, df.CodeNotFound, "the contact has no conversation")
}

// CreateConversation opens a contact's conversation. Search first: what GHL does
// when there is one already is not documented.
func (c *Client) CreateConversation(ctx context.Context, contactID string) (Conversation, error) {
	o, err := c.fetch(ctx, request{operation: "create conversation", family: FamilyConversations, method: http.MethodPost,
		path: "/conversations/", body: struct {
			LocationID string `json:"locationId"`
			ContactID  string `json:"contactId"`
		}{c.location, contactID}}, "conversation")
	if err != nil {
		return Conversation{}, err
	}
	return Conversation{ID: o.id("id", "_id"), ContactID: firstText(o.id("contactId"), contactID)}, nil
}

// InboundMessage is what the "add inbound message" operation takes. It logs a
// message or call that took place elsewhere; with Direction "outbound" also one
// that was sent. Nothing is sent by it. Conversation or contact may be left
// empty, not both. From and to of a text, and the duration of a call, cannot be
// given.
type InboundMessage struct {
	Type           string    `json:"type"` // SMS or Call
	ConversationID string    `json:"conversationId,omitempty"`
	ContactID      string    `json:"contactId,omitempty"`
	ProviderID     string    `json:"conversationProviderId,omitempty"` // required for calls and extra SMS providers
	Body           string    `json:"message,omitempty"`
	Attachments    []string  `json:"attachments,omitempty"`
	AltID          string    `json:"altId,omitempty"` // our id; listed later, but GHL does not dedupe by it
	Direction      string    `json:"direction,omitempty"`
	Date           time.Time `json:"date,omitzero"`
	Call           *CallData `json:"call,omitempty"`
}

// ExternalCall is what the "add external outbound call" operation takes.
type ExternalCall struct {
	ConversationID string    `json:"conversationId,omitempty"`
	ContactID      string    `json:"contactId,omitempty"`
	ProviderID     string    `json:"conversationProviderId"`
	AltID          string    `json:"altId,omitempty"`
	Date           time.Time `json:"date,omitzero"`
	Attachments    []string  `json:"attachments,omitempty"`
	Call           *CallData `json:"call,omitempty"`
}

// CallData are a call's ends and how it went. The contact's number must be From
// of an inbound call and To of an outbound one.
type CallData struct {
	To     string `json:"to,omitempty"`
	From   string `json:"from,omitempty"`
	Status string `json:"status,omitempty"` // pending, completed, answered, busy, no-answer, failed, canceled, voicemail
}

// Logged is where a message or call was logged.
type Logged struct {
	MessageID      string
	ConversationID string
	ContactID      string
}

// AddInbound logs a message or an inbound call. GHL has answered 201 with an
// empty body and stored nothing; that, and a 500 for a wrong provider, come back
// as df.Unclear: look for AltID among the conversation's messages before trying
// again.
func (c *Client) AddInbound(ctx context.Context, message InboundMessage) (Logged, error) {
	return c.logMessage(ctx, request{operation: "add inbound message", path: "/conversations/messages/inbound", body: message})
}

// AddExternalCall logs an outbound call that was made elsewhere. Its unknown
// outcomes are resolved as those of AddInbound.
func (c *Client) AddExternalCall(ctx context.Context, call ExternalCall) (Logged, error) {
	body := struct {
		Type string `json:"type"`
		ExternalCall
	}{"Call", call}
	return c.logMessage(ctx, request{operation: "add external call", path: "/conversations/messages/outbound", body: body})
}

func (c *Client) logMessage(ctx context.Context, r request) (Logged, error) {
	r.family, r.method = FamilyConversations, http.MethodPost
	o, err := c.do(ctx, r)
	if err != nil {
		return Logged{}, err
	}
	logged := Logged{MessageID: o.id("messageId"), ConversationID: o.id("conversationId"), ContactID: o.id("contactId")}
	if logged.MessageID == "" {
		return Logged{}, failure(r.operation, df.Unclear, df.CodeGarbled, "the answer names no message")
	}
	return logged, nil
}

// StatusError says why a message failed. GHL wants all three.
type StatusError struct {
	Code    string `json:"code"`
	Type    string `json:"type"`
	Message string `json:"message"`
}

// SetMessageStatus tells GHL what became of a message: delivered, failed,
// pending or read. Only the token of the app that owns the provider may. For
// some seconds after a delivery GHL answers 403, which is therefore to be retried.
func (c *Client) SetMessageStatus(ctx context.Context, messageID, status string, reason *StatusError) error {
	_, err := c.do(ctx, request{operation: "set message status", family: FamilyConversations, method: http.MethodPut,
		path: "/conversations/messages/" + segment(messageID) + "/status", repeatable: true, body: struct {
			Status string       `json:"status"`
			Error  *StatusError `json:"error,omitempty"`
		}{status, reason}})
	var call *df.CallError
	if errors.As(err, &call) && call.Code == CodeForbidden {
		call.Outcome, call.Message = df.RetryLater, "the message is not handed to the provider yet, or not ours"
	}
	return err
}

// SetAttachments replaces the attachments of a logged call, at most five URLs.
// It is how a recording is added later.
func (c *Client) SetAttachments(ctx context.Context, messageID string, urls []string) error {
	_, err := c.do(ctx, request{operation: "set attachments", family: FamilyConversations, method: http.MethodPut,
		path: "/conversations/messages/" + segment(messageID) + "/attachments", repeatable: true, body: struct {
			Attachments []string `json:"attachments"`
		}{urls}})
	return err
}

// Message is a message or call as GHL lists it.
type Message struct {
	ID             string
	ConversationID string
	ContactID      string
	Type           string // "TYPE_SMS", "TYPE_CALL", …; an open set
	Direction      string
	Status         string
	Body           string
	Source         string // "api" for what was written through the API
	AltID          string // our id, for what we logged
	ProviderID     string
	UserID         string
	CallStatus     string
	CallSeconds    int
	Attachments    []string
	AddedAt        time.Time
	UpdatedAt      time.Time
}

func readMessage(o object) Message {
	meta := o.child("meta")
	call := meta.child("call")
	attachments, _ := o.texts("attachments")
	m := Message{
		ID: o.id("id", "messageId"), ConversationID: o.id("conversationId"), ContactID: o.id("contactId"),
		Type: o.text("messageType", "type"), Direction: o.text("direction"), Status: o.text("status"), Body: o.text("body"),
		Source: o.text("source"), AltID: o.id("altId"), ProviderID: o.id("conversationProviderId"), UserID: o.id("userId"),
		CallStatus: firstText(call.text("status"), meta.text("callStatus")), CallSeconds: call.number("duration"),
		Attachments: attachments, AddedAt: o.time("dateAdded"), UpdatedAt: o.time("dateUpdated"),
	}
	if m.CallSeconds == 0 {
		m.CallSeconds = meta.number("callDuration")
	}
	return m
}

func readMessages(rows []object) []Message {
	messages := make([]Message, 0, len(rows))
	for _, row := range rows {
		messages = append(messages, readMessage(row))
	}
	return messages
}

// GetMessage reads one message. The documents show it flat, the API wraps it.
func (c *Client) GetMessage(ctx context.Context, id string) (Message, error) {
	o, err := c.fetch(ctx, request{operation: "get message", family: FamilyConversations, method: http.MethodGet,
		path: "/conversations/messages/" + segment(id)}, "message")
	if err != nil {
		return Message{}, err
	}
	return readMessage(o), nil
}

// ListMessages returns one page of a conversation's messages, newest first, and
// the cursor of the next, empty after the last. Types (TYPE_SMS, TYPE_CALL, …)
// narrow the list.
func (c *Client) ListMessages(
	ctx context.Context, conversationID, cursor string, types ...string,
) (page []Message, next string, err error) {
	query := url.Values{"limit": {"100"}}
	if cursor != "" {
		query.Set("lastMessageId", cursor)
	}
	if len(types) > 0 {
		query.Set("type", strings.Join(types, ","))
	}
	r := request{operation: "list messages", family: FamilyConversations, method: http.MethodGet,
		path: "/conversations/" + segment(conversationID) + "/messages", query: query}
	o, err := c.do(ctx, r)
	if err != nil {
		return nil, "", err
	}
	o = o.inside("messages")
	rows := o.list("messages")
	if rows == nil {
		return nil, "", failure(r.operation, df.RetryLater, df.CodeGarbled, "the answer holds no list of messages")
	}
	if more, _ := o.flag("nextPage"); more && len(rows) > 0 {
		next = o.id("lastMessageId")
	}
	return readMessages(rows), next, nil
}

// ExportQuery asks for one page of the location's messages.
type ExportQuery struct {
	ContactID   string    // empty for all contacts
	Channel     string    // Call, SMS, Email, …; empty for all
	Since       time.Time // zero for the beginning
	Until       time.Time // zero for now
	ByUpdate    bool      // sort by update time instead of creation time
	OldestFirst bool
	Limit       int    // 10 to 500; 100 when 0
	Cursor      string // what the page before returned as next
}

// ExportMessages returns one page and the cursor of the next, empty after the last.
func (c *Client) ExportMessages(ctx context.Context, query ExportQuery) (page []Message, next string, err error) {
	values := url.Values{"locationId": {c.location}, "sortBy": {"createdAt"}, "sortOrder": {"desc"}}
	if query.ByUpdate {
		values.Set("sortBy", "updatedAt")
	}
	if query.OldestFirst {
		values.Set("sortOrder", "asc")
	}
	if query.Limit == 0 {
		query.Limit = 100
	}
	values.Set("limit", strconv.Itoa(min(max(query.Limit, 10), 500)))
	for key, value := range map[string]string{"contactId": query.ContactID, "channel": query.Channel,
		"cursor": query.Cursor, "startDate": stamp(query.Since), "endDate": stamp(query.Until)} {
		if value != "" {
			values.Set(key, value)
		}
	}
	o, rows, err := c.rows(ctx, request{operation: "export messages", family: FamilyConversations,
		method: http.MethodGet, path: "/conversations/messages/export", query: values}, "messages")
	if err != nil {
		return nil, "", err
	}
	return readMessages(rows), o.text("nextCursor"), nil
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

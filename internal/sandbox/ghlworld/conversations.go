package ghlworld

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// Conversation is the one conversation of a contact.
type Conversation struct {
	ID          string    `json:"id"`
	ContactID   string    `json:"contactId"`
	DateAdded   time.Time `json:"dateAdded"`
	DateUpdated time.Time `json:"dateUpdated"`
}

func (w *World) routeConversations() {
	w.route("search conversations", "GET", "/conversations/search", inboxAPI, w.searchConversations)
	w.route("create conversation", "POST", "/conversations/", inboxAPI, w.postConversation)
	w.route("get conversation", "GET", "/conversations/{id}", inboxAPI, w.getConversation)
	w.route("list messages", "GET", "/conversations/{id}/messages", inboxAPI, w.listMessages)
	w.route("export messages", "GET", "/conversations/messages/export", inboxAPI, w.exportMessages)
	w.route("get message", "GET", "/conversations/messages/{id}", inboxAPI, w.getMessage)
	w.route("send message", "POST", "/conversations/messages", inboxAPI, w.sendMessage)
	w.route("add inbound message", "POST", "/conversations/messages/inbound", inboxAPI, w.addInbound)
	w.route("add outbound call", "POST", "/conversations/messages/outbound", inboxAPI, w.addOutboundCall)
	w.route("update message status", "PUT", "/conversations/messages/{id}/status", inboxAPI, w.putStatus)
	w.route("set message attachments", "PUT", "/conversations/messages/{id}/attachments", inboxAPI, w.putAttachments)
}

func (w *World) conversationOf(contactID string) *Conversation {
	for _, v := range w.conversations {
		if v.ContactID == contactID {
			return v
		}
	}
	return nil
}

func (w *World) conversation(id string) *Conversation {
	for _, v := range w.conversations {
		if v.ID == id {
			return v
		}
	}
	return nil
}

func (w *World) converse(contactID string) *Conversation {
	if v := w.conversationOf(contactID); v != nil {
		return v
	}
	v := &Conversation{ID: w.ID(20), ContactID: contactID, DateAdded: w.Now(), DateUpdated: w.Now()}
	w.conversations = append(w.conversations, v)
	return v
}

func (w *World) searchConversations(c *call) (int, any, *failure) {
	query := c.r.URL.Query()
	if f := w.reach(c, query.Get("locationId")); f != nil {
		return 0, nil, f
	}
	out := []map[string]any{}
	for _, v := range slices.Backward(w.conversations) {
		if id := query.Get("contactId"); id == "" || id == v.ContactID {
			out = append(out, w.conversationRow(v))
		}
	}
	total := len(out)
	return http.StatusOK, map[string]any{"conversations": out[:min(total, number(query.Get("limit"), 20))], "total": total}, nil
}

func (w *World) conversationRow(v *Conversation) map[string]any {
	row := map[string]any{
		"id": v.ID, "contactId": v.ContactID, "locationId": w.config.LocationID, "type": "TYPE_PHONE", "unreadCount": 0,
		"dateAdded": v.DateAdded.UnixMilli(), "dateUpdated": v.DateUpdated.UnixMilli(),
	}
	if k := w.contacts[v.ContactID]; k != nil {
		row["fullName"], row["contactName"] = k.name(), k.name()
		row["email"], row["phone"] = k.Fields["email"], k.Fields["phone"]
	}
	for _, m := range w.messages {
		if m.ConversationID == v.ID {
			row["lastMessageBody"], row["lastMessageType"] = m.Body, m.typeString()
			row["lastMessageDate"], row["lastMessageDirection"] = m.DateAdded.UnixMilli(), m.Direction
		}
	}
	return row
}

func (w *World) postConversation(c *call) (int, any, *failure) {
	if complaints := (dto{"locationId": text, "contactId": text}).check(c.body, "locationId", "contactId"); len(complaints) > 0 {
		return 0, nil, fail(http.StatusBadRequest, strings.Join(complaints, ", "))
	}
	if f := w.reach(c, c.body.Text("locationId")); f != nil {
		return 0, nil, f
	}
	contactID := c.body.Text("contactId")
	if w.contacts[contactID] == nil {
		return 0, nil, fail(http.StatusBadRequest, "Contact not found")
	}
	if v := w.conversationOf(contactID); v != nil {
		f := fail(http.StatusBadRequest, "Conversation already exists")
		f.body["conversationId"] = v.ID
		return 0, nil, f
	}
	v := &Conversation{ID: w.ID(20), ContactID: contactID, DateAdded: w.Now(), DateUpdated: w.Now()}
	if !stage.Unwritten(c.r) {
		w.conversations = append(w.conversations, v)
	}
	return http.StatusCreated, map[string]any{"success": true, "conversation": map[string]any{
		"id": v.ID, "dateAdded": stage.ISO(v.DateAdded), "dateUpdated": stage.ISO(v.DateUpdated), "deleted": false,
		"contactId": v.ContactID, "locationId": w.config.LocationID,
	}}, nil
}

func (w *World) getConversation(c *call) (int, any, *failure) {
	v := w.conversation(c.r.PathValue("id"))
	if v == nil {
		return 0, nil, fail(http.StatusBadRequest, "Conversation not found")
	}
	row := w.conversationRow(v)
	row["type"] = 1 // a number here, a word in search results
	return http.StatusOK, row, nil
}

func (w *World) listMessages(c *call) (int, any, *failure) {
	v := w.conversation(c.r.PathValue("id"))
	if v == nil {
		return 0, nil, fail(http.StatusBadRequest, "Conversation not found")
	}
	query := c.r.URL.Query()
	rows := w.pick(func(m *Message) bool {
		types := query.Get("type")
		return m.ConversationID == v.ID && (types == "" || slices.Contains(strings.Split(types, ","), m.typeString()))
	})
	slices.Reverse(rows) // newest first
	if last := query.Get("lastMessageId"); last != "" {
		i := slices.IndexFunc(rows, func(m *Message) bool { return m.ID == last })
		rows = rows[i+1:]
	}
	limit := number(query.Get("limit"), 20)
	more := len(rows) > limit
	rows = rows[:min(len(rows), limit)]
	page := map[string]any{"nextPage": more, "lastMessageId": "", "messages": viewAll(rows)}
	if len(rows) > 0 {
		page["lastMessageId"] = rows[len(rows)-1].ID
	}
	return http.StatusOK, map[string]any{"messages": page}, nil // wrapped once more than the specification says
}

func (w *World) exportMessages(c *call) (int, any, *failure) {
	query := c.r.URL.Query()
	if f := w.reach(c, query.Get("locationId")); f != nil {
		return 0, nil, f
	}
	limit := number(query.Get("limit"), 100)
	if limit < 10 || limit > 500 {
		return 0, nil, fail(http.StatusBadRequest, "limit must be between 10 and 500")
	}
	from, fromOK := exportBound(query.Get("startDate"))
	until, untilOK := exportBound(query.Get("endDate"))
	if !fromOK || !untilOK {
		return 0, nil, fail(http.StatusBadRequest, "Invalid date")
	}
	at := func(m *Message) time.Time { return m.DateAdded }
	if query.Get("sortBy") == "updatedAt" {
		at = func(m *Message) time.Time { return m.DateUpdated }
	}
	rows := w.pick(func(m *Message) bool {
		return wanted(query.Get("conversationId"), m.ConversationID) && wanted(query.Get("contactId"), m.ContactID) &&
			wanted(strings.ToUpper(query.Get("channel")), strings.ToUpper(m.Type)) &&
			(from.IsZero() || !at(m).Before(from)) && (until.IsZero() || !at(m).After(until))
	})
	key := func(m *Message) string { return strconv.FormatInt(1e15+at(m).UnixMilli(), 10) + m.ID }
	slices.SortFunc(rows, func(a, b *Message) int { return strings.Compare(key(a), key(b)) })
	down := query.Get("sortOrder") != "asc"
	if down {
		slices.Reverse(rows)
	}
	total := len(rows)
	if cursor, err := base64.StdEncoding.DecodeString(query.Get("cursor")); err == nil && len(cursor) > 0 {
		rows = slices.DeleteFunc(rows, func(m *Message) bool {
			c := strings.Compare(key(m), string(cursor))
			return down && c >= 0 || !down && c <= 0
		})
	}
	answer := map[string]any{"total": total, "nextCursor": nil}
	if len(rows) > limit {
		rows = rows[:limit]
		answer["nextCursor"] = base64.StdEncoding.EncodeToString([]byte(key(rows[limit-1])))
	}
	answer["messages"] = viewAll(rows)
	return http.StatusOK, answer, nil
}

func wanted(filter, value string) bool { return filter == "" || filter == value }

// exportBound reads startDate and endDate: ISO 8601 or epoch milliseconds.
func exportBound(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, true
	}
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.UnixMilli(ms), true
	}
	return moment(s)
}

// pick returns the messages that satisfy keep, oldest first.
func (w *World) pick(keep func(*Message) bool) []*Message {
	var out []*Message
	for _, m := range w.messages {
		if keep(m) {
			out = append(out, m)
		}
	}
	slices.SortStableFunc(out, func(a, b *Message) int { return a.DateAdded.Compare(b.DateAdded) })
	return out
}

func viewAll(rows []*Message) []map[string]any {
	out := []map[string]any{}
	for _, m := range rows {
		out = append(out, m.view())
	}
	return out
}

package texting

import (
	"log/slog"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Provider is a kind of sender of texting webhooks. It is also the last part of
// the sender's route, but for ProviderDF, whose route is "texting".
type Provider string

// The providers.
const (
	ProviderDF       Provider = "df-hmac"
	ProviderTwilio   Provider = "twilio"
	ProviderTelnyx   Provider = "telnyx"
	ProviderStandard Provider = "standard"
)

// ProviderOf returns the provider whose deliveries the route takes (df.Event.Route):
// "texting", "texting/twilio" and so on. It reports false for any other route.
func ProviderOf(route string) (Provider, bool) {
	if route == "texting" {
		return ProviderDF, true
	}
	name, found := strings.CutPrefix(route, "texting/")
	switch provider := Provider(name); provider {
	case ProviderTwilio, ProviderTelnyx, ProviderStandard:
		if found {
			return provider, true
		}
	}
	return "", false
}

// EventType is what a delivery reports, in our words.
type EventType string

// The events.
const (
	MessageReceived     EventType = "message.received"
	MessageSent         EventType = "message.sent"
	MessageQueued       EventType = "message.queued"
	MessageDelivered    EventType = "message.delivered"
	MessageFailed       EventType = "message.failed"
	OptOutStop          EventType = "optout.stop"
	OptOutStart         EventType = "optout.start"
	OptOutHelp          EventType = "optout.help"
	ConversationCreated EventType = "conversation.created"
	EventUnknown        EventType = "unknown"
)

// Direction says who wrote a text.
type Direction string

// The directions: Inbound from the customer, Outbound from us.
const (
	Inbound  Direction = "inbound"
	Outbound Direction = "outbound"
)

// OptOutType is the keyword on which the sender of the webhook has acted itself.
// It comes beside the words, which are classified all the same.
type OptOutType string

// The keywords.
const (
	Stop  OptOutType = "stop"
	Start OptOutType = "start"
	Help  OptOutType = "help"
)

// Media is a picture or another file of a text.
type Media struct {
	// URL is http or https. Whoever has it can often read the file without a
	// login.
	URL         string
	ContentType string // empty when not said
}

// Message is a texting webhook in normal form. What the sender does not say is
// zero; nothing is guessed.
type Message struct {
	Provider  Provider
	EventType EventType
	WireType  string // the event's name as spelled on the wire; EventType where there is none

	// EventID identifies what is reported, over all repetitions: Twilio's
	// MessageSid and status, Telnyx's data.id, webhook-id, and for df-hmac the
	// message's id with event and state. Empty when the sender gives no such id.
	EventID        string
	MessageID      string
	ConversationID string
	// CorrelationID is what we gave when we had the text sent: GHL's message id.
	CorrelationID string
	// OtherIDs are further ids of the same message: one system's own where
	// MessageID is the carrier's, or the other way round.
	OtherIDs []string

	Direction Direction
	From, To  df.Phone // empty when absent or not readable as a number
	// FromText and ToText are the numbers as the sender wrote them. A text
	// whose number is empty is a short code, a name, or unreadable.
	FromText, ToText string

	Body         string // as written
	Media        []Media
	Segments     int
	Status       Status
	ErrorCode    string // the carrier's own
	ErrorMessage string // the carrier's own words; not for people outside
	OccurredAt   time.Time
	OptOut       OptOutType
}

// Customer returns the number of the person at the other end, and how the sender
// wrote it. The number is empty when it cannot be read.
func (m Message) Customer() (df.Phone, string) {
	if m.Direction == Inbound {
		return m.From, m.FromText
	}
	return m.To, m.ToText
}

// Ours returns the number of the company, empty when it is none (a short code).
func (m Message) Ours() df.Phone {
	if m.Direction == Inbound {
		return m.To
	}
	return m.From
}

// Kind returns df.KindMessage for a text that came in or went out, also for one by
// which somebody opted out or in, and df.KindMessageStatus for what became of one. A report that a text went out that
// shows neither words nor pictures can only be a status.
func (m Message) Kind() df.Kind {
	switch m.EventType {
	case MessageReceived, OptOutStop, OptOutStart, OptOutHelp:
		return df.KindMessage
	case MessageSent:
		if m.Body != "" || len(m.Media) > 0 {
			return df.KindMessage
		}
		return df.KindMessageStatus
	case MessageQueued, MessageDelivered, MessageFailed:
		return df.KindMessageStatus
	case ConversationCreated:
		return df.KindConversation
	}
	return df.KindUnknown
}

// LogValue keeps words and numbers out of logs, whoever logs a Message.
func (m Message) LogValue() slog.Value {
	phone, _ := m.Customer()
	return slog.GroupValue(slog.String("provider", string(m.Provider)), slog.String("event", string(m.EventType)),
		slog.String("message", m.MessageID), slog.String("status", string(m.Status)), slog.Any("customer", phone))
}

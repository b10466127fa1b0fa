package texting

import (
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/payload"
)

// Decoder reads deliveries. The zero Decoder reads national phone numbers as
// American ones and knows none of our own numbers.
type Decoder struct {
	Region string // ISO 3166 alpha-2, for numbers without a country code
	// Own, when set, says whether a number is one of the company's. It decides
	// who wrote a text where the sender does not say, or contradicts itself.
	Own func(df.Phone) bool
}

// Reasons for which a delivery is skipped or is a ping.
const (
	skipUnreadable = "the body is not one JSON object"
	skipNoForm     = "the body is neither a form nor one JSON object"
	skipNameless   = "the body names no event"
	skipNoMessage  = "names no message"
	skipChannel    = "is about another channel than texts"
	skipDirection  = "does not say who wrote the text, or contradicts itself"
	skipNoCustomer = "names no customer's number"
	skipNumber     = "the customer's number cannot be read"
	skipOurs       = "both numbers are our own"
	skipGroup      = "is about a text to several numbers"
	pingEmpty      = "an empty object"
)

// DecodeMessage reads a delivery of the provider from its raw bytes and the
// headers that were kept with it (df.Event.Headers; only webhook-id and svix-id
// are read). It never fails: the reason is empty when the message can be acted
// on, else it says in safe text why not, and the message holds what could be read.
func (d Decoder) DecodeMessage(provider Provider, raw []byte, headers map[string]string) (m Message, reason string) {
	switch provider {
	case ProviderTwilio:
		m, reason = d.twilio(raw)
	case ProviderTelnyx:
		m, reason = d.telnyx(raw)
	default:
		m, reason = d.plain(raw)
	}
	m.Provider = provider
	if m.EventType == "" {
		m.EventType = EventUnknown
	}
	if m.WireType == "" && m.EventType != EventUnknown {
		m.WireType = string(m.EventType)
	}
	m.EventID = eventID(m, headers)
	if reason == "" {
		reason = d.judge(m)
	}
	return m, reason
}

// eventID finds what identifies the delivery over its repetitions. A message
// without an id has none: the original took the conversation's instead, and all
// but the first message of a conversation vanished as duplicates.
func eventID(m Message, headers map[string]string) string {
	if m.Provider == ProviderStandard {
		if id := firstText(headers["Webhook-Id"], headers["Svix-Id"]); id != "" {
			return id
		}
	}
	plain := m.Provider == ProviderDF || m.Provider == ProviderStandard
	if plain && m.MessageID != "" && m.EventType != EventUnknown {
		return m.MessageID + ":" + string(m.EventType) + ":" + string(m.Status)
	}
	return m.EventID
}

// judge says why nothing can be done with a message that was read, or nothing.
func (d Decoder) judge(m Message) string {
	kind := m.Kind()
	phone, text := m.Customer()
	switch {
	case kind == df.KindUnknown:
		return skipNameless
	case kind == df.KindConversation && m.ConversationID == "":
		return "names no conversation"
	case kind == df.KindConversation:
		return ""
	case m.Direction == "":
		return skipDirection
	case kind == df.KindMessageStatus && m.MessageID == "":
		return skipNoMessage
	case d.own(phone):
		return skipOurs
	case kind == df.KindMessageStatus:
		return ""
	case text == "":
		return skipNoCustomer
	case phone == "":
		return skipNumber
	}
	return ""
}

// notice is the short form of a delivery for the inbox.
func (d Decoder) notice(provider Provider, raw []byte, headers map[string]string) df.Notice {
	m, reason := d.DecodeMessage(provider, raw, headers)
	if reason == pingEmpty {
		return df.Notice{Kind: df.KindPing, Ping: reason}
	}
	n := df.Notice{Type: m.WireType, Kind: m.Kind(), OccurredAt: m.OccurredAt, Skip: reason}
	if m.EventID != "" {
		n.DeliveryID = string(provider) + ":" + m.EventID
	}
	switch {
	case n.Kind == df.KindConversation:
		n.EntityType, n.EntityID = "conversation", m.ConversationID
	case n.Kind != df.KindUnknown || m.MessageID != "":
		n.EntityType, n.EntityID = "message", firstText(m.MessageID, m.ConversationID)
	}
	if m.Direction != "" {
		n.Phone, _ = m.Customer()
	}
	return n
}

func (d Decoder) own(phone df.Phone) bool { return phone != "" && d.Own != nil && d.Own(phone) }

// directed decides who wrote a text from three witnesses: the sender's word for
// it, what the event can only mean, and our own numbers. Where word and event
// contradict each other the numbers decide; where they agree and the numbers
// speak against them, and where nobody knows, it stays open.
func (d Decoder) directed(m Message, word, event Direction) Direction {
	var numbers Direction
	switch from, to := d.own(m.From), d.own(m.To); {
	case to && !from:
		numbers = Inbound
	case from && !to:
		numbers = Outbound
	}
	claimed := word
	switch {
	case word == "":
		claimed = event
	case event != "" && word != event:
		claimed = ""
	}
	switch {
	case claimed == "":
		return numbers
	case numbers != "" && numbers != claimed:
		return ""
	}
	return claimed
}

// settle decides who wrote the text and makes the event agree with it. A text
// that our own numbers show to have come in was received, whatever it is called.
func (d Decoder) settle(m *Message, word Direction) {
	event, optOut := directionOf(m.EventType), m.EventType == OptOutStop || m.EventType == OptOutStart || m.EventType == OptOutHelp
	if optOut && word != "" {
		event = "" // an opt-out may be reported on a text of ours that was refused
	}
	m.Direction = d.directed(*m, word, event)
	switch {
	case optOut && m.Direction == Outbound:
		m.Status = ""
	case optOut:
	case m.Direction == Inbound && (m.EventType == MessageSent || m.EventType == MessageDelivered):
		m.EventType, m.Status = MessageReceived, Received
	case m.Direction == Inbound && directionOf(m.EventType) == Outbound:
		m.Direction = ""
	case m.Direction == Outbound && m.EventType == MessageReceived:
		m.EventType, m.Status = MessageSent, Sent
	}
}

// direction reads a sender's word for the direction: inbound, outgoing,
// outbound-api and the like.
func direction(word string) Direction {
	word = payload.Fold(word)
	in := strings.Contains(word, "inbound") || strings.Contains(word, "incoming")
	out := strings.Contains(word, "outbound") || strings.Contains(word, "outgoing")
	switch {
	case in && !out:
		return Inbound
	case out && !in:
		return Outbound
	}
	return ""
}

// directionOf is what an event can only mean.
func directionOf(event EventType) Direction {
	switch event {
	case MessageReceived, OptOutStop, OptOutStart, OptOutHelp:
		return Inbound
	case MessageSent, MessageQueued, MessageDelivered, MessageFailed:
		return Outbound
	}
	return ""
}

// shortest is how many digits a number without a country code has at least.
// Fewer make a short code, or a local number whose area nobody can know.
const shortest = 8

// phone reads a number in E.164. Text that is not written as a number is none:
// ACME is a sender's name and not a number to be spelled on a keypad.
func (d Decoder) phone(text string) df.Phone {
	count := 0
	for _, r := range text {
		switch {
		case r >= '0' && r <= '9':
			count++
		case !strings.ContainsRune("+-.() ", r):
			return ""
		}
	}
	if count < shortest && !strings.HasPrefix(text, "+") {
		return ""
	}
	phone, err := df.ParsePhone(text, d.Region)
	if err != nil {
		return ""
	}
	return phone
}

// setNumbers keeps the numbers as they are written and as they read.
func (d Decoder) setNumbers(m *Message, from, to string) {
	m.FromText, m.ToText = from, to
	m.From, m.To = d.phone(from), d.phone(to)
}

// optOutOf reads the keyword on which a provider acted: STOP, START, HELP.
func optOutOf(word string) OptOutType {
	switch payload.Fold(word) {
	case "stop", "optout":
		return Stop
	case "start", "unstop", "optin":
		return Start
	case "help", "info":
		return Help
	}
	return ""
}

// printable returns a name as it may be shown: short, and without anything but
// letters, digits and the punctuation of names.
func printable(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r < 0x80 && payload.Fold(string(r)) != "" || strings.ContainsRune("-._ ", r) {
			return r
		}
		return -1
	}, name)
	if clean == "" {
		return "without a name"
	}
	return clean[:min(len(clean), 48)]
}

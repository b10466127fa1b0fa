package texting

import (
	"strconv"

	"github.com/df-middleware/dfm/internal/payload"
)

// meaning is what an event's name says.
type meaning struct {
	event  EventType
	status Status
	optOut OptOutType
}

// plainEvents are the names, folded, that Verity and Standard Webhooks senders
// use: the original's own, and the carriers' that Verity passes on.
var plainEvents = map[string]meaning{
	"messagereceived":      {event: MessageReceived, status: Received},
	"messageinbound":       {event: MessageReceived, status: Received},
	"messagequeued":        {event: MessageQueued, status: Queued},
	"messagesending":       {event: MessageQueued, status: Sending},
	"messagesent":          {event: MessageSent, status: Sent},
	"messageoutbound":      {event: MessageSent, status: Sent},
	"messagefinalized":     {event: MessageSent, status: Sent},
	"messagedelivered":     {event: MessageDelivered, status: Delivered},
	"messageread":          {event: MessageDelivered, status: Read},
	"messagefailed":        {event: MessageFailed, status: Failed},
	"messageundelivered":   {event: MessageFailed, status: Failed},
	"messagedeliveryerror": {event: MessageFailed, status: Failed},
	"optoutstop":           {event: OptOutStop, status: Received, optOut: Stop},
	"optoutstart":          {event: OptOutStart, status: Received, optOut: Start},
	"optouthelp":           {event: OptOutHelp, status: Received, optOut: Help},
	"conversationcreated":  {event: ConversationCreated},
}

// plain reads df-hmac's form and that of Standard Webhooks, which is the same
// with the message under data.
func (d Decoder) plain(raw []byte) (Message, string) {
	root, err := parseRecord(raw)
	switch {
	case err != nil:
		return Message{}, skipUnreadable
	case len(root) == 0:
		return Message{}, pingEmpty
	}
	l := layersOf(root, "data", "message")
	name, says, known := plainName(l)
	m := Message{
		EventType: says.event, WireType: name, OptOut: says.optOut,
		ConversationID: l.id("conversationid", "chatid"), CorrelationID: l.id("correlationid"),
		Body: l.words("body", "text", "message", "content"), Media: mediaOf(l), Segments: segments(l.text("segments", "numsegments", "parts")),
		OccurredAt:   l.at("timestamp", "createdat", "date", "occurredat"),
		ErrorCode:    firstText(l.id("errorcode"), l.object("error").id("code")),
		ErrorMessage: firstText(l.words("errormessage", "error"), l.object("error").text("message")),
	}
	d.setNumbers(&m, party(l, "from"), party(l, "to"))
	if m.OptOut == "" {
		m.OptOut = optOutOf(l.text("optouttype"))
	}
	if m.EventType == ConversationCreated {
		m.ConversationID = firstText(m.ConversationID, l.object("conversation").id("id"), l[0].id("id"))
		return m, ""
	}
	setIDs(&m, l)
	d.setState(&m, says, l, known || name != "")
	switch {
	case !known && name != "":
		return m, "unknown event " + printable(name)
	case name == "" && m.MessageID == "" && m.Body == "" && len(m.Media) == 0:
		m.EventType = EventUnknown
		return m, skipNameless
	}
	return m, ""
}

// plainName finds the event's name: the first that we know, else the first there
// is. Beside the event's name, "type" may stand for the channel, sms.
func plainName(l layers) (string, meaning, bool) {
	first := ""
	for i := len(l) - 1; i >= 0; i-- {
		for _, key := range [...]string{"type", "eventtype", "event"} {
			name := l[i].name(key)
			if says, known := plainEvents[payload.Fold(name)]; known {
				return name, says, true
			}
			if channel := payload.Fold(name); channel != "sms" && channel != "mms" {
				first = firstText(first, name)
			}
		}
	}
	return first, meaning{}, false
}

// setIDs reads the message's id: its own, else what the root calls messageId.
// Other ids of it are kept beside, since one message has one at Verity and
// another at the carrier.
func setIDs(m *Message, l layers) {
	m.MessageID = firstText(l[0].id("id", "messageid"), l.id("messageid"))
	for _, key := range [...]string{"messageid", "carriermessageid", "providermessageid", "telnyxmessageid", "twiliosid", "externalid", "internalid"} {
		if id := l.id(key); id != "" && id != m.MessageID {
			m.OtherIDs = append(m.OtherIDs, id)
		}
	}
}

// setState settles direction, event and state, which each may be missing. A body
// without a name is read by its shape: state and direction say what it is.
func (d Decoder) setState(m *Message, says meaning, l layers, named bool) {
	status := statusWords[payload.Fold(l.text("status"))]
	m.Status = says.status
	if !named {
		m.EventType, m.Status = eventOf(status), status
	}
	d.settle(m, direction(l.text("direction")))
	switch {
	case !named && status == "" && m.Direction == Inbound:
		m.EventType, m.Status = MessageReceived, Received
	case !named && status == "" && m.Direction == Outbound:
		m.EventType, m.Status = MessageSent, Sent
	case m.Direction == Outbound && directionOf(eventOf(status)) == Outbound && Later(status, m.Status):
		m.Status = status
	}
}

// party returns a number under the key: text, a number, an object that has one,
// or a list of one of these.
func party(l layers, key string) string {
	for _, r := range l {
		value := r[key]
		if list, ok := value.([]any); ok && len(list) == 1 {
			value = list[0]
		}
		text := payload.Word(value)
		if object, ok := value.(map[string]any); ok {
			text = newRecord(object).text("phonenumber", "phone", "number", "phonee164")
		}
		if text != "" {
			return text
		}
	}
	return ""
}

func segments(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 1000 {
		return 0
	}
	return n
}

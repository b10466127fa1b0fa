package texting

import (
	"bytes"
	"net/url"
	"strconv"
	"strings"

	"github.com/df-middleware/dfm/internal/payload"
)

// twilio reads what Twilio posts: an inbound text, or the state of one that went
// out. Neither has a name; which of the two it is, the state says. Twilio gives
// no time that names its zone, so OccurredAt stays zero.
func (d Decoder) twilio(raw []byte) (Message, string) {
	r, reason := twilioRecord(raw)
	if reason != "" {
		return Message{}, reason
	}
	word := r.name("messagestatus", "smsstatus")
	m := Message{
		MessageID: r.id("messagesid", "smssid", "smsmessagesid"), Status: statusWords[payload.Fold(word)],
		Body: layers{r}.words("body"), Media: twilioMedia(r), Segments: segments(r.text("numsegments")),
		ErrorCode: r.id("errorcode"), ErrorMessage: layers{r}.words("errormessage"), OptOut: optOutOf(r.text("optouttype")),
	}
	from, to := r.text("from"), r.text("to")
	d.setNumbers(&m, from, to)
	if word == "" && (m.Body != "" || len(m.Media) > 0 || m.OptOut != "") {
		word, m.Status = string(Received), Received
	}
	m.EventType = eventOf(m.Status)
	d.settle(&m, direction(r.text("direction")))
	if m.MessageID != "" && word != "" {
		m.EventID = m.MessageID + ":" + payload.Fold(word)
	}
	switch {
	case m.MessageID == "":
		return m, skipNoMessage
	case strings.Contains(from+to, ":"):
		return m, skipChannel
	case m.EventType == EventUnknown:
		return m, "unknown state " + printable(word)
	}
	return m, ""
}

// twilioRecord reads a form, of a repeated parameter the first value, or one JSON
// object with the same names.
func twilioRecord(raw []byte) (record, string) {
	if raw = bytes.TrimSpace(raw); bytes.HasPrefix(raw, []byte("{")) {
		r, err := parseRecord(raw)
		switch {
		case err != nil:
			return nil, skipUnreadable
		case len(r) == 0:
			return nil, pingEmpty
		}
		return r, ""
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil || len(form) == 0 {
		return nil, skipNoForm
	}
	object := make(map[string]any, len(form))
	for name, values := range form {
		object[name] = strings.ToValidUTF8(values[0], "\uFFFD")
	}
	return newRecord(object), ""
}

// twilioMedia reads MediaUrl0, MediaUrl1 and so on, as many as there are; NumMedia
// says nothing that they do not.
func twilioMedia(r record) []Media {
	var media []Media
	for i := range mostMedia {
		number := strconv.Itoa(i)
		if address := r.text("mediaurl" + number); fetchable(address) {
			media = append(media, Media{URL: address, ContentType: contentType(r.text("mediacontenttype" + number))})
		}
	}
	return media
}

// telnyx reads Telnyx's event. Of an outbound text the state stands with its
// recipient; message.finalized says by nothing else how it ended.
func (d Decoder) telnyx(raw []byte) (Message, string) {
	root, err := parseRecord(raw)
	switch {
	case err != nil:
		return Message{}, skipUnreadable
	case len(root) == 0:
		return Message{}, pingEmpty
	}
	data := root.object("data")
	sms := data.object("payload")
	to, recipients := firstOf(sms["to"])
	problem, _ := firstOf(sms["errors"])
	m := Message{
		EventID: data.id("id"), WireType: data.name("eventtype"), MessageID: sms.id("id"),
		Body: layers{sms}.words("text"), Media: readMedia(sms["media"]), Segments: segments(sms.text("parts")),
		OccurredAt: layers{data, sms}.at("occurredat", "receivedat"), OptOut: optOutOf(sms.text("autoresponsetype")),
		ErrorCode: problem.id("code"), ErrorMessage: problem.text("title", "detail"),
	}
	d.setNumbers(&m, party(layers{sms}, "from"), to.text("phonenumber"))
	status := statusWords[payload.Fold(to.text("status"))]
	switch payload.Fold(m.WireType) {
	case "messagereceived":
		m.EventType, m.Status = MessageReceived, Received
	case "messagesent":
		m.EventType, m.Status = MessageSent, Sent
		if Later(status, Sent) {
			m.Status = status
		}
	case "messagefinalized":
		m.EventType, m.Status = eventOf(status), status
	case "":
		return m, skipNameless
	default:
		return m, "unknown event " + printable(m.WireType)
	}
	d.settle(&m, direction(sms.text("direction")))
	switch {
	case m.EventType == EventUnknown:
		return m, "unknown state " + printable(to.name("status"))
	case recipients > 1 && m.Direction != Inbound:
		return m, skipGroup
	}
	return m, ""
}

// firstOf returns the first object of a list and how many entries the list has.
func firstOf(value any) (record, int) {
	list, _ := value.([]any)
	if len(list) == 0 {
		return nil, 0
	}
	object, _ := list[0].(map[string]any)
	return newRecord(object), len(list)
}

package aloware

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/payload"
)

// Communication is what a delivery says about one call or text. Aloware has one
// id space for both. What a delivery does not say is zero: a start has no
// outcome, only a later delivery brings the recording, and a restatement must not
// erase either.
type Communication struct {
	ID        string
	ContactID string
	UserID    string // the agent; empty for the company's own (-1)
	LineID    string // campaign_id on the wire
	Contact   df.Phone
	Line      df.Phone // our own number, whichever the direction
	Kind      df.Kind  // df.KindCall or df.KindMessage; df.KindCommunication for all else
	Outbound  bool
	Directed  bool // whether the direction is known at all

	// Ending is Aloware's word for how it ended, e.g. "completed", "missed",
	// "voicemail"; empty while it has not.
	Ending string
	// Delivery is a text's state at the carrier: received, sent, delivered,
	// accepted, queued, sending, receiving, undelivered or failed.
	Delivery string
	// Rejection is Aloware's code for why it refused a text of ours, e.g. "11"
	// for do-not-call and "32" for opted out. Its list of codes is known, the
	// name of the field is not documented, so likely ones are read.
	Rejection   string
	Disposition string // the account's own name for the outcome; may be set by itself
	Duration    time.Duration
	TalkTime    time.Duration
	StartedAt   time.Time
	UpdatedAt   time.Time

	// Recording and Voicemail lead to audio without a login, so they are secrets.
	Recording     df.Secret
	Voicemail     df.Secret
	Text          string // a text's words
	Notes         string
	Summary       string
	Transcription string
	// Outcomes are what the summary names as outcomes in fields of their own.
	// Its prose is not searched for any.
	Outcomes []string
}

// The codes with which Aloware refuses a text because of consent: the contact is
// is_dnc, or opted out by text.
const (
	RejectedDNC    = "11"
	RejectedOptOut = "32"
)

// endings are Aloware's codes of disposition_status2.
var endings = map[string]string{"2": "abandoned", "3": "missed", "4": "completed", "5": "failed", "6": "dead-end",
	"7": "invalid", "8": "placed", "9": "attended", "10": "canceled", "11": "set", "12": "voicemail",
	"13": "missed-voicemail", "14": "appointment-missed"}

// deliveries are those of Aloware's codes of current_status2 that are about texts.
var deliveries = map[string]string{"11": "received", "12": "sent", "13": "delivered", "14": "accepted", "15": "queued",
	"16": "sending", "17": "receiving", "18": "undelivered", "19": "failed"}

// Communication reads the call or text that a delivery is about. It reports false
// when the delivery carries none.
func (d Decoder) Communication(raw []byte) (Communication, bool) {
	root, err := parseRecord(raw)
	if err != nil {
		return Communication{}, false
	}
	notice := d.Decode(raw)
	p := split(root)
	r := p.communication
	if notice.EntityType == "contact" || notice.EntityID == "" || notice.Kind == df.KindUnknown {
		return Communication{}, false
	}
	c := Communication{
		ID: notice.EntityID, ContactID: notice.ContactID, Contact: notice.Phone, Kind: df.KindCommunication,
		LineID: r.text("campaignid"), Ending: coded(r, endings, "dispositionstatus2", "dispositionstatus"),
		Delivery:    coded(r, deliveries, "currentstatus2", "currentstatus"),
		Disposition: r.text("calldisposition"), Duration: seconds(r, "duration"), TalkTime: seconds(r, "talktime"),
		StartedAt: r.at("createdat"), UpdatedAt: r.at("updatedat"), Notes: r.text("notes"),
		Recording: df.Secret(r.text("directrecordingurl")), Voicemail: df.Secret(r.text("directvoicemailurl", "voicemailurl")),
	}
	if notice.Kind == df.KindVoicemail && !c.Voicemail.Set() {
		// The event's name was never captured, nor was a field of its own seen.
		c.Recording, c.Voicemail = "", c.Recording
	}
	if user := r.text("userid"); user != "-1" && user != "0" {
		c.UserID = user
	}
	if line, err := df.ParsePhone(r.text("incomingnumber"), d.Region); err == nil {
		c.Line = line
	}
	switch notice.Kind {
	case df.KindCall, df.KindCallDisposed, df.KindRecording, df.KindVoicemail, df.KindTranscription, df.KindCallSummary:
		c.Kind = df.KindCall
	case df.KindMessage, df.KindMessageStatus:
		c.Kind, c.Text = df.KindMessage, r.text("body")
		c.Rejection = r.text("rejectionreason", "rejectionreasonid", "rejectreason", "rejectioncode", "rejection")
	}
	if c.Kind != df.KindMessage {
		c.Delivery = ""
	}
	c.Outbound, c.Directed = direction(r.text("direction"), notice.Type)
	c.Summary = firstText(p.body.text("summary"), r.text("callsummary"))
	c.Transcription = transcript(p.body["transcription"])
	c.Outcomes = outcomes(p.body)
	return c, true
}

// outcomes reads the outcomes that a summary names, sorted and each once.
func outcomes(body record) []string {
	var found []string
	for _, holder := range [...]record{body, body.object("jsonsummary")} {
		for _, key := range [...]string{"outcomes", "outcome"} {
			list, isList := holder[key].([]any)
			if !isList {
				list = []any{holder[key]}
			}
			for _, value := range list {
				if text, _ := payload.Scalar(value); text != "" {
					found = append(found, text)
				}
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// direction reads 1 and 2, or the words, and falls back to the event's name.
func direction(text, event string) (outbound, known bool) {
	switch name := payload.Fold(event); {
	case text == "2" || payload.Fold(text) == "outbound":
		return true, true
	case text == "1" || payload.Fold(text) == "inbound":
		return false, true
	default:
		outbound = strings.HasPrefix(name, "outbound")
		return outbound, outbound || strings.HasPrefix(name, "inbound")
	}
}

// coded reads a code or, where there is none, its word. In both places either
// may stand; a word is taken only when it is one of the code's.
func coded(r record, words map[string]string, keys ...string) string {
	for _, key := range keys {
		text := r.text(key)
		if word := words[text]; word != "" {
			return word
		}
		for _, word := range words {
			if payload.Fold(word) == payload.Fold(text) {
				return word
			}
		}
	}
	return ""
}

func seconds(r record, key string) time.Duration {
	n, err := strconv.ParseFloat(r.text(key), 64)
	if err != nil || !(n > 0 && n < 7*24*3600) {
		return 0
	}
	return time.Duration(n * float64(time.Second))
}

// transcript reads a transcription that is one text, or a list of utterances
// with the speaker where one is named. Either may stand in an object.
func transcript(value any) string {
	if object, ok := value.(map[string]any); ok {
		r := newRecord(object)
		if text := r.text("text", "transcript", "transcription", "content"); text != "" {
			return text
		}
		for _, key := range [...]string{"utterances", "sentences", "segments", "transcript", "transcription"} {
			if list, isList := r[key].([]any); isList {
				return transcript(list)
			}
		}
		return ""
	}
	list, isList := value.([]any)
	if !isList {
		text, _ := payload.Scalar(value)
		return text
	}
	lines := make([]string, 0, len(list))
	for _, entry := range list {
		line, _ := payload.Scalar(entry)
		if object, ok := entry.(map[string]any); ok {
			r := newRecord(object)
			line = r.text("text", "transcript", "sentence", "content")
			if speaker := r.text("speaker", "speakername"); speaker != "" && line != "" {
				line = speaker + ": " + line
			}
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func firstText(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

package aloware

import (
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/payload"
)

// communication is Aloware's own code for what a communication is (TALK's
// enumeration, confirmed by captures), folded to what we do with it.
type communication int

const (
	untyped communication = iota
	aCall
	aText
	aNote
	anAppointment
	aReminder
	anotherKind // email, WhatsApp, fax, ringless voicemail, …
)

// communicationOf reads the type field, a number or, through Zapier, a word.
func communicationOf(text string) communication {
	switch payload.Fold(text) {
	case "1", "3", "call", "phonecall", "conference":
		return aCall
	case "2", "sms", "mms":
		return aText
	case "10", "note":
		return aNote
	case "12", "appointment":
		return anAppointment
	case "11", "13", "systemnote", "reminder":
		return aReminder
	case "4", "5", "6", "7", "8", "rvm", "email", "facebook", "whatsapp", "fax":
		return anotherKind
	default:
		return untyped
	}
}

// families are groups of event names that share a substring once folded. The order
// matters: transcription.call.summarized is a summary, not a transcription and
// not a call; a call that ended in voicemail is a call.
var families = []struct {
	part string
	kind df.Kind
}{
	{"contactcreated", df.KindContactCreated},
	{"contactdeleted", df.KindContactDeleted},
	{"contactdisposed", df.KindContactDisposed},
	{"contactdnc", df.KindContactDND},
	{"dncupdated", df.KindContactDND},
	{"contact", df.KindContactUpdated},
	{"opensearch", df.KindOther},
	{"summar", df.KindCallSummary},
	{"transcription", df.KindTranscription},
	{"recording", df.KindRecording},
	{"calldisposed", df.KindCallDisposed},
	{"phonecall", df.KindCall},
	{"voicemail", df.KindVoicemail},
	{"sms", df.KindMessage},
	{"communication", df.KindCommunication},
	{"appointment", df.KindAppointment},
	{"reminder", df.KindOther},
	{"call", df.KindCall},
}

// classify returns our name for an event. The wire names differ from the labels
// of Aloware's check-boxes, and through Zapier even calls are called
// OutboundSMS-DispositionCompleted; so the name only decides what the record's
// type does not.
func classify(event, kind string) df.Kind {
	name := payload.Fold(event)
	for _, family := range families {
		if strings.Contains(name, family.part) {
			return byType(family.kind, communicationOf(kind), name)
		}
	}
	if kind := byType(df.KindCommunication, communicationOf(kind), name); kind != df.KindCommunication {
		return kind
	}
	return df.KindUnknown
}

// byType corrects the kinds whose names cannot be trusted.
func byType(kind df.Kind, what communication, name string) df.Kind {
	switch kind {
	case df.KindCall, df.KindMessage, df.KindCommunication:
	default:
		return kind
	}
	switch what {
	case aCall:
		if strings.Contains(name, "communicationdisposed") {
			return df.KindCallDisposed
		}
		return df.KindCall
	case aText:
		return textKind(name)
	case aNote:
		return df.KindNote
	case anAppointment:
		return df.KindAppointment
	case aReminder:
		return df.KindOther
	case anotherKind:
		return df.KindCommunication
	}
	if kind == df.KindMessage {
		return textKind(name)
	}
	return kind
}

// textKind tells a text from news about one that Aloware could not send.
func textKind(name string) df.Kind {
	for _, word := range [...]string{"invalid", "failed", "undelivered", "canceled"} {
		if strings.HasSuffix(name, word) {
			return df.KindMessageStatus
		}
	}
	return df.KindMessage
}

// entityTypes names what the id of a notice belongs to.
var entityTypes = map[df.Kind]string{
	df.KindContactCreated: "contact", df.KindContactUpdated: "contact", df.KindContactDeleted: "contact",
	df.KindContactDisposed: "contact", df.KindContactDND: "contact",
	df.KindCall: "call", df.KindCallDisposed: "call", df.KindRecording: "call", df.KindVoicemail: "call",
	df.KindTranscription: "call", df.KindCallSummary: "call",
	df.KindMessage: "message", df.KindMessageStatus: "message",
	df.KindAppointment: "appointment", df.KindNote: "note", df.KindUnknown: "unknown",
}

func entityType(kind df.Kind) string {
	if name := entityTypes[kind]; name != "" {
		return name
	}
	return "communication"
}

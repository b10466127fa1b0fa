package aloware

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/payload"
)

func ptr[T any](v T) *T { return &v }

var noon = time.Date(2026, 8, 5, 12, 0, 0, 0, time.UTC)

func TestDecodeReadsEveryShape(t *testing.T) {
	for _, test := range []struct {
		name, raw string
		want      df.Notice // Contact aside
	}{
		// The original took only textual ids, so every live event was dropped.
		{"live call, numeric ids", `{"event":"OutboundPhoneCall-DispositionCompleted","body":{"id":987654321,"contact_id":700001,
			"direction":2,"type":1,"lead_number":"(202) 555-0123","incoming_number":"+12025550100","updated_at":"2026-08-05 12:00:00",
			"contact":{"id":700001,"phone_number":"+12025550123","email":" Jo@Example.Test ","is_dnc":0}}}`,
			df.Notice{Type: "OutboundPhoneCall-DispositionCompleted", Kind: df.KindCall, EntityType: "call", EntityID: "987654321",
				OccurredAt: noon, ContactID: "700001", Phone: jo, Email: "jo@example.test"}},
		{"vendor's sample, all text", `{"event":"InboundPhoneCall-DispositionMissed","body":{"id":"987654321","contact_id":"700001",
			"direction":"1","type":"1","lead_number":"2025550123","created_at":"2026-08-05 12:00:00"}}`,
			df.Notice{Type: "InboundPhoneCall-DispositionMissed", Kind: df.KindCall, EntityType: "call", EntityID: "987654321",
				OccurredAt: noon, ContactID: "700001", Phone: jo}},
		{"summary, nested communication", `{"event":"transcription.call.summarized","body":{"summary":"s","transcription":[],
			"contact":{"id":700001,"phone_number":"+12025550123"},"communication":{"id":987654321,"type":1,"updated_at":"2026-08-05T14:00:00+02:00"}}}`,
			df.Notice{Type: "transcription.call.summarized", Kind: df.KindCallSummary, EntityType: "call", EntityID: "987654321",
				OccurredAt: noon, ContactID: "700001", Phone: jo}},
		{"contact is the body", `{"event":"Contact-Created","body":{"id":700001,"first_name":"Jo","phone_number":"+12025550123","updated_at":"2026-08-05 12:00:00"}}`,
			df.Notice{Type: "Contact-Created", Kind: df.KindContactCreated, EntityType: "contact", EntityID: "700001",
				OccurredAt: noon, ContactID: "700001", Phone: jo}},
		{"contact under contact", `{"event":"Contact Updated","body":{"contact":{"id":"700001","updated_at":"2026-08-05 12:00:00"}}}`,
			df.Notice{Type: "Contact Updated", Kind: df.KindContactUpdated, EntityType: "contact", EntityID: "700001", OccurredAt: noon, ContactID: "700001"}},
		// The original read fields at the root only, or only in body, and threw.
		{"flat, at the root", `{"event":"Contact DNC Updated","id":"700001","is_dnc":true}`,
			df.Notice{Type: "Contact DNC Updated", Kind: df.KindContactDND, EntityType: "contact", EntityID: "700001", ContactID: "700001"}},
		{"Zapier's call under a text's name", `{"Event":"OutboundSMS-DispositionCompleted","Id":"987654321","Contact Id":"700001",
			"Type":"1","Direction":"1","Lead Number":"+1 202 555 0123","Talk Time":"63","Updated At":"2026-08-05 12:00:00"}`,
			df.Notice{Type: "OutboundSMS-DispositionCompleted", Kind: df.KindCall, EntityType: "call", EntityID: "987654321",
				OccurredAt: noon, ContactID: "700001", Phone: jo}},
		{"text", `{"event":"InboundSMS-DispositionCompleted","body":{"id":5,"type":2,"body":"hello","lead_number":"+12025550123"}}`,
			df.Notice{Type: "InboundSMS-DispositionCompleted", Kind: df.KindMessage, EntityType: "message", EntityID: "5", Phone: jo}},
		{"under data", `{"data":{"event":"Recording-Saved","id":5,"contactId":7}}`,
			df.Notice{Type: "Recording-Saved", Kind: df.KindRecording, EntityType: "call", EntityID: "5", ContactID: "7"}},
		{"no name, but a type", `{"id":5,"type":2,"contact_id":7}`,
			df.Notice{Kind: df.KindMessage, EntityType: "message", EntityID: "5", ContactID: "7"}},
		{"number with an exponent", `{"event":"Call-Disposed","body":{"id":9.87654321e8}}`,
			df.Notice{Type: "Call-Disposed", Kind: df.KindCallDisposed, EntityType: "call", EntityID: "987654321"}},
		{"test payload", `{"test_payload":true}`, df.Notice{Kind: df.KindPing, Ping: "Aloware's test payload"}},
		{"empty object", ` {} `, df.Notice{Kind: df.KindPing, Ping: "an empty object"}},
		{"unknown", `{"event":"Solar-Flare <b>","body":{"id":1}}`,
			df.Notice{Type: "Solar-Flare <b>", Kind: df.KindUnknown, EntityType: "unknown", EntityID: "1", Skip: "unknown event Solar-Flare b"}},
		{"nothing known", `{"x":1}`, df.Notice{Kind: df.KindUnknown, EntityType: "unknown", Skip: "unknown event without a name"}},
		{"no ids", `{"event":"Contact-Created","body":{"first_name":"Jo"}}`,
			df.Notice{Type: "Contact-Created", Kind: df.KindContactCreated, EntityType: "contact", Skip: "carries neither an id nor a phone number"}},
	} {
		got := Decoder{}.Decode([]byte(test.raw))
		got.Contact = nil
		if got != test.want {
			t.Errorf("%s:\n got %+v\nwant %+v", test.name, got, test.want)
		}
	}
}

func TestDecodeKeepsWhatItCannotRead(t *testing.T) {
	for _, raw := range []string{"", "null", "[]", "7", `"x"`, "{", `{"a":1}{"b":2}`, `{"a":1} x`, "<html>", "a=1", "\x00", strings.Repeat("[", 20000)} {
		if got := (Decoder{}).Decode([]byte(raw)); got.Kind != df.KindUnknown || got.Skip == "" || got.Ping != "" {
			t.Errorf("%.20q: %+v", raw, got)
		}
	}
}

// The original classified by case-sensitive substrings: summaries came out as
// calls, lower-case transcriptions and all texts as unknown.
func TestClassify(t *testing.T) {
	for _, test := range []struct {
		event, kind string
		want        df.Kind
	}{
		{"OutboundPhoneCall", "", df.KindCall}, {"InboundPhoneCall-DispositionAbandoned", "1", df.KindCall},
		{"InboundPhoneCall-DispositionVoicemail", "", df.KindCall}, {"Call-Disposed", "1", df.KindCallDisposed},
		{"Call Disposed", "", df.KindCallDisposed}, {"call_disposed", "", df.KindCallDisposed},
		{"Recording-Saved", "", df.KindRecording}, {"Recording Saved", "1", df.KindRecording},
		{"Voicemail-Saved", "", df.KindVoicemail}, {"VoicemailSaved", "4", df.KindVoicemail},
		{"Transcription-Saved", "", df.KindTranscription}, {"transcription.saved", "", df.KindTranscription},
		{"transcription.call.summarized", "1", df.KindCallSummary}, {"Call Summarized", "", df.KindCallSummary},
		{"CallSummarized", "", df.KindCallSummary}, {"transcription.open_search.saved", "", df.KindOther},
		{"InboundSMS-DispositionCompleted", "2", df.KindMessage}, {"OutboundSMS-DispositionCompleted", "", df.KindMessage},
		{"OutboundSMS-DispositionInvalid", "2", df.KindMessageStatus}, {"OutboundSMS-DispositionFailed", "", df.KindMessageStatus},
		{"OutboundSMS-DispositionCompleted", "call", df.KindCall}, {"OutboundPhoneCall-DispositionCompleted", "2", df.KindMessage},
		{"Communication-Initiated", "1", df.KindCall}, {"Communication Initiated", "2", df.KindMessage},
		{"Communication-Disposed", "1", df.KindCallDisposed}, {"Communication-Disposed", "", df.KindCommunication},
		{"Communication-Disposed", "5", df.KindCommunication}, {"Communication-Initiated", "10", df.KindNote},
		{"OutboundAppointment", "12", df.KindAppointment}, {"Appointment Saved", "", df.KindAppointment},
		{"OutboundReminder", "13", df.KindOther}, {"Communication-Initiated", "12", df.KindAppointment},
		{"Contact-Created", "", df.KindContactCreated}, {"contact.updated", "", df.KindContactUpdated},
		{"Contact Disposed", "", df.KindContactDisposed}, {"Contact-DNC-Updated", "", df.KindContactDND},
		{"ContactDNCUpdated", "", df.KindContactDND}, {"Contact_Deleted", "", df.KindContactDeleted},
		{"Contact-Renamed", "", df.KindContactUpdated}, {"", "1", df.KindCall}, {"", "", df.KindUnknown}, {"Fax", "", df.KindUnknown},
	} {
		if got := classify(test.event, test.kind); got != test.want {
			t.Errorf("%q of type %q: %s, want %s", test.event, test.kind, got, test.want)
		}
	}
}

func TestDecodeCarriesTheContactWithOnlyWhatIsShown(t *testing.T) {
	raw := `{"event":"OutboundPhoneCall","body":{"id":1,"contact":{"id":700001,"first_name":" Jo ","last_name":null,"email":"JO@example.test",
		"phone_number":"2025550123","date_of_birth":"02/29/1980","is_dnc":"1","is_opted_out":0,"tags":[{"name":"Hot"},"VIP","SYS:x"],
		"updated_at":"2026-08-05 12:00:00","city":{"odd":1},"hobby":"chess","user_id":41}}}`
	decoder := Decoder{Custom: Custom{df.CustomField("hobby"): "hobby", df.CustomField("none"): "csf1"}}
	got := decoder.Decode([]byte(raw)).Contact
	if got == nil {
		t.Fatal("no contact")
	}
	want := map[df.Field]string{df.FirstName: "Jo", df.LastName: "", df.Email: "jo@example.test", df.PhoneNumber: string(jo),
		df.DateOfBirth: "1980-02-29", df.CustomField("hobby"): "chess"}
	if len(got.Fields) != len(want) {
		t.Errorf("fields %v", got.Fields)
	}
	for field, value := range want {
		if got.Get(field) != value || !got.Known(field) {
			t.Errorf("%s: %q", field, got.Get(field))
		}
	}
	if got.ID != "700001" || !got.UpdatedAt.Equal(noon) || strings.Join(got.Tags, ",") != "Hot,VIP" {
		t.Errorf("%+v", got)
	}
	if got.DoNotCall == nil || !*got.DoNotCall || got.DoNotText == nil || *got.DoNotText {
		t.Errorf("flags %v %v", got.DoNotCall, got.DoNotText)
	}
}

// Do-not-call is the flag that matters most in law; the original never read it,
// because it looked contacts up by an id that Aloware cannot be asked for.
func TestDecodeReadsFlagsInEverySpelling(t *testing.T) {
	for text, want := range map[string]*bool{`0`: ptr(false), `1`: ptr(true), `true`: ptr(true), `false`: ptr(false), `"1"`: ptr(true),
		`"0"`: ptr(false), `"TRUE"`: ptr(true), `null`: nil, `""`: nil, `"maybe"`: nil, `2`: nil, `[1]`: nil} {
		notice := Decoder{}.Decode([]byte(`{"event":"Contact-DNC","body":{"id":7,"is_dnc":` + text + `}}`))
		got := notice.Contact.DoNotCall
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestTimesWithoutAZoneAreUTC(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-08-05 12:00:00": noon, "2026-08-05T12:00:00": noon, "2026-08-05T12:00:00Z": noon,
		"2026-08-05T12:00:00.000000Z": noon, "2026-08-05 14:00:00+02:00": noon, "0000-00-00 00:00:00": {}, "yesterday": {}, "": {}, "1754395200": {},
	} {
		if got := payload.Written(text); !got.Equal(want) {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestAllowedEvents(t *testing.T) {
	for _, test := range []struct {
		list, event string
		want        bool
	}{
		{"", "anything", true}, {" , ", "anything", true},
		{"Contact-Created, Recording-Saved", "recording-saved", true}, {"Contact-Created", "Contact-Updated", false},
		{"Contact", "Contact-Created", false},
		{"OutboundPhoneCall-DispositionCompleted", "OutboundPhoneCall-DispositionFailed", true},
		{"OutboundPhoneCall-x", "outboundphonecall-DispositionFailed", true},
		{"OutboundPhoneCall-x", "OutboundPhoneCall", false}, {"OutboundPhoneCall", "OutboundPhoneCall-x", false},
		{"OutboundPhoneCall-x", "InboundPhoneCall-x", false}, {"InboundPhoneCall-x", "InboundPhoneCall-y", true},
	} {
		if got := ParseAllowedEvents(test.list).Allows(test.event); got != test.want {
			t.Errorf("%q allows %q: %v", test.list, test.event, got)
		}
	}
	notice := Decoder{Allowed: ParseAllowedEvents("Contact-Created")}.Decode([]byte(`{"event":"Recording-Saved","body":{"id":1}}`))
	if notice.Skip == "" || notice.EntityID != "1" || notice.Kind != df.KindRecording {
		t.Errorf("an unwanted event is kept, skipped and readable: %+v", notice)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"event":"Contact-Created","body":{"id":1,"tags":"a,b","is_dnc":1}}`, `{"test_payload":true}`, `{}`,
		`{"Event":"x","Contact Id":1e400}`, `{"event":"sms","body":{"communication":{"contact":{"contact":{}}}}}`, `{"":{},"_":1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		first, second := Decoder{}.Decode(raw), Decoder{}.Decode(raw)
		if first.Kind == "" || first.Kind == df.KindUnknown && first.Skip == "" || first.Kind == df.KindPing && first.Ping == "" {
			t.Errorf("%q: %+v", raw, first)
		}
		a, _ := json.Marshal(first)
		b, _ := json.Marshal(second)
		if string(a) != string(b) {
			t.Errorf("%q decodes in two ways:\n%s\n%s", raw, a, b)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	raw := []byte(`{"event":"OutboundPhoneCall-DispositionCompleted","body":{"id":987654321,"contact_id":700001,"direction":2,"type":1,
		"lead_number":"+12025550123","updated_at":"2026-08-05 12:00:00","contact":{"id":700001,"phone_number":"+12025550123","is_dnc":0}}}`)
	b.ReportAllocs()
	for b.Loop() {
		Decoder{}.Decode(raw)
	}
}

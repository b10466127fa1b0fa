package aloware

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

func TestCommunicationOfACall(t *testing.T) {
	for name, raw := range map[string]string{
		"numbers": `{"event":"OutboundPhoneCall-DispositionCompleted","body":{"id":987654321,"contact_id":700001,"user_id":41,"campaign_id":12,
			"incoming_number":"+12025550100","lead_number":"+12025550123","direction":2,"type":1,"disposition_status2":4,"current_status2":9,
			"call_disposition":"No Answer","duration":70,"talk_time":63,"notes":"n","direct_recording_url":"https://r.test/x",
			"created_at":"2026-08-05 11:58:50","updated_at":"2026-08-05 12:00:00"}}`,
		"text, flat": `{"Event":"OutboundSMS-DispositionCompleted","Id":"987654321","Contact Id":"700001","User Id":"41","Campaign Id":"12",
			"Incoming Number":"2025550100","Lead Number":"2025550123","Direction":"outbound","Type":"1","Disposition Status":"Completed",
			"Call Disposition":"No Answer","Duration":"70","Talk Time":"63","Notes":"n","Direct Recording Url":"https://r.test/x",
			"Created At":"2026-08-05 11:58:50","Updated At":"2026-08-05 12:00:00"}`,
	} {
		got, ok := Decoder{}.Communication([]byte(raw))
		want := Communication{ID: "987654321", ContactID: "700001", UserID: "41", LineID: "12", Contact: jo, Line: "+12025550100",
			Kind: df.KindCall, Outbound: true, Directed: true, Ending: "completed", Disposition: "No Answer", Duration: 70 * time.Second,
			TalkTime: 63 * time.Second, StartedAt: noon.Add(-70 * time.Second), UpdatedAt: noon, Recording: "https://r.test/x", Notes: "n"}
		if !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
		}
		if strings.Contains(fmt.Sprintf("%+v", got), "r.test") {
			t.Error("the recording's address is printed, and whoever reads it can listen")
		}
	}
}

func TestCommunicationOfATextAndASummary(t *testing.T) {
	got, ok := Decoder{}.Communication([]byte(`{"event":"OutboundSMS-DispositionInvalid","body":{"id":5,"type":2,"body":" hello ","user_id":-1,"current_status2":"18"}}`))
	if !ok || got.Kind != df.KindMessage || got.Text != "hello" || got.Delivery != "undelivered" || !got.Outbound || got.UserID != "" {
		t.Errorf("%+v", got)
	}
	got, ok = Decoder{}.Communication([]byte(`{"event":"transcription.call.summarized","body":{"summary":"They agreed.",
		"transcription":[{"speaker":"Agent","text":"Hi"},"Hello",{"text":""},7],"communication":{"id":6,"type":1,"direction":1}}}`))
	if !ok || got.ID != "6" || got.Summary != "They agreed." || got.Transcription != "Agent: Hi\nHello\n7" || got.Outbound || !got.Directed {
		t.Errorf("%+v", got)
	}
	got, _ = Decoder{}.Communication([]byte(`{"event":"Transcription-Saved","body":{"id":6,"transcription":"words","duration":-4,"talk_time":"x"}}`))
	if got.Transcription != "words" || got.Duration != 0 || got.TalkTime != 0 || got.Directed {
		t.Errorf("%+v", got)
	}
}

func TestAVoicemailsAddressIsNotTakenForTheCallsRecording(t *testing.T) {
	for _, raw := range []string{
		`{"event":"Voicemail-Saved","body":{"id":5,"type":1,"direct_recording_url":"https://r.test/v"}}`,
		`{"event":"Voicemail-Saved","body":{"id":5,"type":1,"direct_voicemail_url":"https://r.test/v"}}`,
		`{"event":"Call-Disposed","body":{"id":5,"type":1,"voicemail_url":"https://r.test/v"}}`,
	} {
		if got, ok := (Decoder{}).Communication([]byte(raw)); !ok || got.Voicemail != "https://r.test/v" || got.Recording.Set() {
			t.Errorf("%s: voicemail %v, recording %v", raw, got.Voicemail.Set(), got.Recording.Set())
		}
	}
}

// D-61: the original looked for words in the summary, so that "not interested"
// made somebody interested.
func TestOutcomesAreThoseThatTheSummaryNames(t *testing.T) {
	got, _ := Decoder{}.Communication([]byte(`{"event":"transcription.call.summarized","body":{"summary":"They are not interested.",
		"json_summary":{"outcomes":["Callback","Declined","Callback"]},"communication":{"id":6,"type":1}}}`))
	if !reflect.DeepEqual(got.Outcomes, []string{"Callback", "Declined"}) {
		t.Errorf("%q", got.Outcomes)
	}
	got, _ = Decoder{}.Communication([]byte(`{"event":"transcription.call.summarized","body":{"summary":"They are interested and want it.","communication":{"id":6}}}`))
	if len(got.Outcomes) != 0 {
		t.Errorf("found in the prose: %q", got.Outcomes)
	}
}

func TestATranscriptionMayStandInAnObject(t *testing.T) {
	for body, want := range map[string]string{
		`{"id":7,"text":"Hi"}`: "Hi", `{"utterances":[{"speaker":"A","text":"Hi"},{"text":"Ho"}]}`: "A: Hi\nHo", `{"id":7}`: "", `{"text":{}}`: "",
	} {
		got, _ := Decoder{}.Communication([]byte(`{"event":"transcription.call.summarized","body":{"transcription":` + body + `,"communication":{"id":6}}}`))
		if got.Transcription != want {
			t.Errorf("%s: %q", body, got.Transcription)
		}
	}
}

func TestCommunicationOfWhatIsNone(t *testing.T) {
	for _, raw := range []string{"", "{}", `{"event":"Contact-Created","body":{"id":1}}`, `{"event":"OutboundPhoneCall","body":{}}`, `{"event":"x","id":1}`} {
		if got, ok := (Decoder{}).Communication([]byte(raw)); ok {
			t.Errorf("%s: %+v", raw, got)
		}
	}
}

func FuzzCommunication(f *testing.F) {
	f.Add([]byte(`{"event":"Call-Disposed","body":{"id":1,"duration":1e300,"transcription":[{}]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if c, ok := (Decoder{}).Communication(raw); ok && (c.ID == "" || c.Duration < 0 || c.Kind == "") {
			t.Errorf("%q: %+v", raw, c)
		}
	})
}

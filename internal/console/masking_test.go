package console

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Aloware's links to recordings need no login. They stood in clear on the page of
// an event, in the API's answer and in the download that every viewer had.
func TestLinksToRecordingsAreHidden(t *testing.T) {
	const link, other = "https://recordings.example.test/abc/def", "https://example.test/contact/7"
	for name, body := range map[string]string{
		"a field":       `{"event":"Recording-Saved", "body":{"direct_recording_url":"` + link + `","id": 12345678901234567890,"link":"` + other + `"}}`,
		"escaped":       `{"direct_recording_url":"https:\/\/recordings.example.test\/abc\/def"}`,
		"elsewhere too": `{"notes":"listen: ` + link + `.","voicemail_url":"` + link + `"}`,
		"below it":      `{"recordings":[{"url":"` + link + `"}, ["` + link + `"]],"x":1}`,
		"in an object":  `[{"recording":{"a":{"b":1},"href":"` + link + `"}}]`,
		"no JSON":       `direct_recording_url=` + link,
		"form, escaped": `{"direct_recording_url":"https:\/\/recordings.example.test\/abc\/def"`,
	} {
		got := string(masked([]byte(body)))
		if strings.Contains(got, "abc") || !strings.Contains(got, "[hidden link ") {
			t.Errorf("%s: %s", name, got)
		}
		if json.Valid([]byte(body)) != json.Valid([]byte(got)) {
			t.Errorf("%s is no JSON any more: %s", name, got)
		}
		if strings.Contains(body, other) && (!strings.Contains(got, other) || !strings.Contains(got, `"id": 12345678901234567890`)) {
			t.Errorf("%s: more was changed than the link: %s", name, got)
		}
	}
	a, b := masked([]byte(`{"recording":"https://r.test/1"}`)), masked([]byte(`{"recording":"https://r.test/2"}`))
	if bytes.Equal(a, b) {
		t.Error("two recordings cannot be told apart")
	}
}

func TestABodyWithoutRecordingsIsShownAsItCame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw, err := json.MarshalIndent(drawJSON(t, 3), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if got := masked(raw); !bytes.Equal(got, raw) {
			t.Fatalf("%s became %s", raw, got)
		}
		wrapped := []byte(`{"z": ` + string(raw) + `, "recording": "https://r.test/secret"}`)
		if got := string(masked(wrapped)); !strings.HasPrefix(got, `{"z": `+string(raw)+`, "recording": "[hidden link `) || strings.Contains(got, "secret") {
			t.Fatalf("%s became %s", wrapped, got)
		}
	})
}

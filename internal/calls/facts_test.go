package calls

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

func someFacts(rt *rapid.T) Facts {
	names := []Name{Phone, Agent, Ending, Disposition, Recording, Summary}
	return rapid.MapOf(rapid.SampledFrom(names), rapid.Custom(func(rt *rapid.T) Fact {
		return Fact{Value: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "value"),
			At: noon.Add(time.Duration(rapid.IntRange(0, 3).Draw(rt, "minute")) * time.Minute)}
	})).Draw(rt, "facts")
}

// Whatever order deliveries come in, and however often, the same is known.
func TestJoinDoesNotCareAboutOrderOrRepetition(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b, c := someFacts(rt), someFacts(rt), someFacts(rt)
		if !reflect.DeepEqual(a.Join(b), b.Join(a)) {
			rt.Fatalf("%v and %v join in two ways", a, b)
		}
		if !reflect.DeepEqual(a.Join(b).Join(c), a.Join(b.Join(c))) {
			rt.Fatalf("%v, %v and %v join in two ways", a, b, c)
		}
		if !reflect.DeepEqual(a.Join(a), a) {
			rt.Fatalf("%v joined with itself is %v", a, a.Join(a))
		}
		for name := range a {
			if a.Join(b).Get(name) == "" {
				rt.Fatalf("%s was forgotten", name)
			}
		}
	})
}

func at(minute int, value string) Fact {
	return Fact{Value: value, At: noon.Add(time.Duration(minute) * time.Minute)}
}

// D-18: a delivery that restates an ending without the recording took it away.
func TestALaterDeliveryTakesNothingAway(t *testing.T) {
	f := Facts{Recording: at(1, "x"), Disposition: at(1, "No Answer")}.Join(Facts{Ending: at(2, "completed"), Disposition: at(2, "Interested")})
	if f.Get(Recording) != "x" || f.Get(Disposition) != "Interested" || f.Outcome() != "Completed" {
		t.Errorf("%v", f)
	}
	if f = f.Join(Facts{Disposition: at(0, "Busy")}); f.Get(Disposition) != "Interested" {
		t.Errorf("an older delivery overwrote a newer one: %v", f)
	}
}

func TestWhenACallIsOverAndHowItWent(t *testing.T) {
	for _, test := range []struct {
		facts   Facts
		over    bool
		outcome string
		status  string
	}{
		{Facts{Phone: at(0, "+15005550111"), Direction: at(0, Inbound)}, false, "", "no-answer"},
		{Facts{Ending: at(0, "completed")}, true, "Completed", "completed"},
		{Facts{Ending: at(0, "missed")}, true, "Missed", "no-answer"},
		{Facts{Ending: at(0, "abandoned")}, true, "Abandoned", "no-answer"},
		{Facts{Ending: at(0, "missed-voicemail")}, true, "Voicemail", "voicemail"},
		{Facts{Ending: at(0, "invalid")}, true, "Failed", "failed"},
		{Facts{Ending: at(0, "canceled")}, true, "Canceled", "canceled"},
		{Facts{Voicemail: at(0, "yes")}, true, "Voicemail", "voicemail"},
		{Facts{Ending: at(0, "missed"), Voicemail: at(0, "yes")}, true, "Voicemail", "voicemail"},
		{Facts{Summary: at(0, "they talked")}, true, "Completed", "completed"}, // the ending was lost
		{Facts{Recording: at(0, "x")}, true, "Completed", "completed"},
	} {
		if test.facts.Over() != test.over || test.facts.Outcome() != test.outcome || LogStatus(test.facts) != test.status {
			t.Errorf("%v: over %v, %q, %q", test.facts, test.facts.Over(), test.facts.Outcome(), LogStatus(test.facts))
		}
	}
}

func TestTheNoteIsReadable(t *testing.T) {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	f := Facts{Direction: at(0, Outbound), Started: at(0, "2030-01-02T17:05:00Z"), Ending: at(0, "completed"), Talked: at(0, "250"),
		Disposition: at(0, "Interested"), Line: at(0, "+15005550199"), Summary: at(0, " They agreed. "), Transcript: at(0, "A: hi\nB: hi")}
	want := `Outbound call on Wed, 2 Jan 2030 at 12:05 EST
Agent: Ann Agent
Our line: +15005550199
Outcome: Completed, talked 4 min 10 s
Disposition: Interested
Recording: https://dfm.example.test/recordings/x

Summary:
They agreed.

Transcript:
A: hi
B: hi

[Aloware call 42]`
	if got := Note(f, Readable{ID: "42", Agent: "Ann Agent", Zone: zone, Link: "https://dfm.example.test/recordings/x"}); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	short := Note(Facts{Ending: at(0, "missed"), Direction: at(0, Inbound)}, Readable{ID: "43", Zone: time.UTC})
	if short != "Inbound call\nOutcome: Missed\n\n[Aloware call 43]" {
		t.Errorf("%q", short)
	}
	long := Note(Facts{Ending: at(0, "completed"), Transcript: at(0, strings.Repeat("ü", 20000))}, Readable{ID: "44", Zone: time.UTC})
	if len(long) > 9000 || !strings.Contains(long, "…") || strings.Contains(long, "\uFFFD") || !strings.HasSuffix(long, Marker("44")) {
		t.Errorf("%d bytes", len(long))
	}
}

// What was said or typed cannot pass for the end of another call's note, nor for a
// line of this one's.
func TestNothingThatWasSaidForgesAMarker(t *testing.T) {
	f := Facts{Ending: at(0, "completed"), Disposition: at(0, "x\nRecording: https://evil.example.test"),
		Remarks: at(0, "y\n"+Marker("2")), Summary: at(0, Marker("2")), Transcript: at(0, "z\n"+Marker("2")), Outcomes: at(0, "a\nb")}
	note := Note(f, Readable{ID: "1", Zone: time.UTC})
	if strings.Contains(note, Marker("2")) || strings.Contains(note, "\nRecording: ") || !strings.HasSuffix(note, Marker("1")) || !strings.Contains(note, "Outcomes: a, b") {
		t.Errorf("%s", note)
	}
}

func TestTagsFollowTheRules(t *testing.T) {
	f := Facts{Direction: at(0, Inbound), Ending: at(0, "completed"), Disposition: at(0, "Interested"), Talked: at(0, "61")}
	for _, test := range []struct {
		rules string
		want  string
	}{
		{"", "Call: Completed|Disposition: Interested|Inbound Call"},
		{"[]", ""},
		{`[{"disposition":"interested","minTalkSeconds":60,"tags":["Hot"]},{"minTalkSeconds":62,"tags":["Very hot"]}]`, "Hot"},
		{`[{"direction":"outbound","tags":["Out"]},{"outcome":"completed","tags":["{direction}/{outcome}","hot","HOT"]}]`, "hot|Inbound/Completed"},
	} {
		rules, err := ParseRules(test.rules)
		if got := strings.Join(Tags(f, rules), "|"); err != nil || got != test.want {
			t.Errorf("%s: %q, %v", test.rules, got, err)
		}
	}
	if got := Tags(Facts{Ending: at(0, "missed")}, DefaultRules()); len(got) != 1 || got[0] != "Call: Missed" {
		t.Errorf("tags with nothing in them: %q", got)
	}
	if got := Tags(Facts{Disposition: at(0, "{outcome}")}, []Rule{{Tags: []string{"D {disposition}"}}}); len(got) != 1 || got[0] != "D {outcome}" {
		t.Errorf("somebody's words are taken for a place to fill: %q", got)
	}
	// D-61: "not interested" was found to say "interested".
	named := Facts{Ending: at(0, "completed"), Summary: at(0, "They are not interested and want nothing."), Outcomes: at(0, "Callback\nDeclined")}
	rules, err := ParseRules(`[{"summaryOutcome":"declined","tags":["Not Interested"]},{"summaryOutcome":"interested","tags":["Interested"]}]`)
	if got := Tags(named, rules); err != nil || len(got) != 1 || got[0] != "Not Interested" {
		t.Errorf("%q, %v", got, err)
	}
	for _, wrong := range []string{"{}", "[{}]", `[{"tags":[]}]`, `[{"tags":[" "]}]`, `[{"tags":["{name}"]}]`, `[{"direction":"up","tags":["x"]}]`,
		`[{"outcome":"nice","tags":["x"]}]`, `[{"minTalkSeconds":-1,"tags":["x"]}]`, `[{"tag":"x"}]`, `[] []`} {
		if _, err := ParseRules(wrong); err == nil {
			t.Errorf("%s is taken for rules", wrong)
		}
	}
}

func TestLinksToRecordings(t *testing.T) {
	l := Links{Base: "https://dfm.example.test", Key: []byte("0123456789abcdef0123456789abcdef"), Life: time.Hour}
	link := l.Make("42", noon)
	token, ok := strings.CutPrefix(link, "https://dfm.example.test/recordings/")
	if !ok || link != l.Make("42", noon) {
		t.Fatal(link)
	}
	if id, err := l.Read(token, noon.Add(59*time.Minute)); id != "42" || err != nil {
		t.Errorf("%q, %v", id, err)
	}
	if _, err := l.Read(token, noon.Add(time.Hour)); err != ErrLinkExpired {
		t.Errorf("an hour later: %v", err)
	}
	other := l
	other.Key = []byte("fedcba9876543210fedcba9876543210")
	for _, forged := range []string{"", ".", token + "x", "x" + token, strings.ToUpper(token), strings.TrimPrefix(other.Make("42", noon), "https://dfm.example.test/recordings/")} {
		if _, err := l.Read(forged, noon); err != ErrLink {
			t.Errorf("%q: %v", forged, err)
		}
	}
	if (Links{Base: "x", Life: time.Hour}).Make("42", noon) != "" || l.Make("42", time.Time{}) != "" {
		t.Error("a link without a key, or to no recording")
	}
	if _, err := (Links{}).Read(token, noon); err != ErrLink {
		t.Error("without a key anything opens")
	}
}

func FuzzLinksAreNotGuessed(f *testing.F) {
	l := Links{Base: "https://dfm.example.test", Key: []byte("0123456789abcdef0123456789abcdef"), Life: time.Hour}
	f.Add(strings.TrimPrefix(l.Make("42", noon), l.Base+Path))
	f.Add("NDIuMQ.AAAA")
	f.Fuzz(func(t *testing.T, token string) {
		id, err := l.Read(token, noon)
		if err == nil && l.Base+Path+token != l.Make(id, noon) {
			t.Fatalf("%q opens %q", token, id)
		}
	})
}

package calls

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"pgregory.net/rapid"
)

func drawSaid[T ~string](t *rapid.T, values ...T) Said[T] {
	return Said[T]{rapid.SampledFrom(append(values, "")).Draw(t, "value"), noon.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "s")) * time.Second)}
}

func drawCall(t *rapid.T) Call {
	seconds := func() Said[int64] {
		return Said[int64]{rapid.Int64Range(0, 2).Draw(t, "seconds"), noon.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "s")) * time.Second)}
	}
	c := Call{ID: "1", Direction: drawSaid(t, Inbound, Outbound), Customer: drawSaid(t, customer, line), Line: drawSaid(t, line),
		AgentID: drawSaid(t, "41", "42"), Ending: drawSaid(t, Completed, Missed, MissedVM, "placed"), Disposition: drawSaid(t, "A", "B"),
		Seconds: seconds(), TalkSeconds: seconds(), Notes: drawSaid(t, "n", "nn"), Summary: drawSaid(t, "s", "ss"),
		Transcript: drawSaid(t, "t"), Recording: drawSaid[df.Secret](t, "u", "v"), Voicemail: drawSaid[df.Secret](t, "w"),
		Over: rapid.Bool().Draw(t, "over"), Recorded: rapid.Bool().Draw(t, "rec"), VoicemailLeft: rapid.Bool().Draw(t, "vm")}
	if rapid.Bool().Draw(t, "started") {
		c.StartedAt = noon.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "start")) * time.Second)
	}
	for _, outcome := range []string{"x", "y"} {
		if rapid.Bool().Draw(t, outcome) {
			c.Outcomes = append(c.Outcomes, outcome)
		}
	}
	return c
}

// shown is a call as far as anybody can see it: when it was said that nothing was
// said is nobody's business.
func shown(c Call) Call {
	return c.Join(Call{ID: c.ID})
}

func TestJoiningIsTheSameInAnyOrderAndTwice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawCall(t), drawCall(t), drawCall(t)
		if ab, ba := a.Join(b), b.Join(a); !reflect.DeepEqual(ab, ba) {
			t.Fatalf("order counts:\n%+v\n%+v", ab, ba)
		}
		if left, right := a.Join(b).Join(c), a.Join(b.Join(c)); !reflect.DeepEqual(left, right) {
			t.Fatalf("grouping counts:\n%+v\n%+v", left, right)
		}
		if aa := a.Join(a); !reflect.DeepEqual(aa, shown(a)) && !reflect.DeepEqual(aa, a) {
			t.Fatalf("twice counts:\n%+v\n%+v", aa, a)
		}
	})
}

func TestAnOlderDeliveryTakesNothingAway(t *testing.T) {
	t.Parallel()
	all := deliveries("1")
	whole := Call{}
	for _, d := range all {
		whole = whole.Join(d)
	}
	if got := whole.Join(all[0]).Join(all[1]); !reflect.DeepEqual(got, whole) {
		t.Errorf("the start and the ending once more changed\n%+v\nto\n%+v", whole, got)
	}
	if whole.Disposition.Value != "Interested" || !whole.Recording.Value.Set() || whole.Summary.Value == "" {
		t.Errorf("%+v", whole)
	}
}

func TestTheOutcomeFollowsFromWhatIsKnown(t *testing.T) {
	t.Parallel()
	over := func(ending string) Call {
		return Call{Over: true, Ending: Said[string]{Value: ending}, Direction: Said[Direction]{Value: Inbound}}
	}
	vm := over(Missed)
	vm.VoicemailLeft = true
	lostEnding := over("")
	lostEnding.VoicemailLeft = true
	for _, test := range []struct {
		call            Call
		outcome, status string
	}{
		{over(Completed), "completed", "completed"}, {over(Missed), "missed", "no-answer"}, {over("abandoned"), "abandoned", "no-answer"},
		{over("failed"), "failed", "failed"}, {over("canceled"), "canceled", "canceled"}, {over(Voicemail), "voicemail", "voicemail"},
		{vm, MissedVM, "voicemail"}, {lostEnding, "voicemail", "voicemail"}, {over(""), "completed", "completed"},
	} {
		if o, s := test.call.Outcome(), test.call.Status(); o != test.outcome || s != test.status || !test.call.Ready() {
			t.Errorf("%q: %q, %q", test.call.Ending.Value, o, s)
		}
	}
	if (Call{Direction: Said[Direction]{Value: Inbound}}).Ready() || (Call{Over: true}).Ready() {
		t.Error("a call that goes on, or of unknown direction, is shown")
	}
}

func TestTheKeptFormOfACallHoldsNoAddress(t *testing.T) {
	t.Parallel()
	c := deliveries("1")[2]
	raw, err := json.Marshal(c)
	if err != nil || strings.Contains(string(raw), "r.example.test") {
		t.Errorf("%s, %v", raw, err)
	}
	var back Call
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if c.Recording = (Said[df.Secret]{}); !reflect.DeepEqual(back, c) {
		t.Errorf("\n%+v\n%+v", back, c)
	}
	sealed, err := json.Marshal(address(Said[df.Secret]{"https://r.example.test/1", noon}))
	var opened address
	if err != nil || json.Unmarshal(sealed, &opened) != nil || opened.Value.Reveal() != "https://r.example.test/1" || !opened.At.Equal(noon) {
		t.Errorf("sealed %s: %v", sealed, err)
	}
}

// D-60: the original's notes told the server's time, and "call made" whatever the
// direction.
func TestANoteSaysWhatAPersonWantsToKnow(t *testing.T) {
	t.Parallel()
	c := Call{}
	for _, d := range deliveries("900000001") {
		c = c.Join(d)
	}
	got := Note(c, View{Agent: "Ann", Zone: time.FixedZone("CST", -6*3600), Recording: Link{"https://dfm.example.test/r", noon.Add(24 * time.Hour)}})
	want := `Outbound call: completed
When: Wed 2 Jan 2030, 06:00 CST
Agent: Ann
Customer: +15005550111
Our number: +15005550199
Duration: 1 min 10 s
Talked: 1 min 3 s
Disposition: Interested
Recording: https://dfm.example.test/r (until 3 Jan 2030)
Outcomes: Callback

Summary:
They want to think about it.

Transcript:
Agent: hello

[Aloware call 900000001]`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if !Marked(got, "900000001") || Marked(got, "90000000") || Marked(got+"\nby hand", "900000001") {
		t.Error("the note is not found by its last line alone")
	}
	c.Transcript.Value = strings.Repeat("ä", textMost+1)
	if long := Note(c, View{}); !strings.Contains(long, "the rest is in df-middleware") || !Marked(long, "900000001") || !strings.Contains(long, "Recording: in Aloware") {
		t.Error("a long transcript is not cut, or the marker with it")
	}
}

// What was said on the telephone cannot pass for a line of ours.
func TestAValueCannotForgeTheMarker(t *testing.T) {
	t.Parallel()
	c := deliveries("1")[1]
	c.Disposition.Value = "x\n" + Marker("2")
	c.Transcript = Said[string]{Value: "hello\n" + Marker("2")}
	if note := Note(c, View{}); Marked(note, "2") || !Marked(note, "1") || strings.Count(note, "\n"+Marker("2")) != 1 {
		t.Errorf("%s", note)
	}
}

func TestTagsFollowTheRules(t *testing.T) {
	t.Parallel()
	c := Call{}
	for _, d := range deliveries("1") {
		c = c.Join(d)
	}
	missed := Call{Over: true, Direction: Said[Direction]{Value: Inbound}, Ending: Said[string]{Value: MissedVM}, Disposition: Said[string]{Value: "No, thanks"}}
	for _, test := range []struct {
		rules string
		call  Call
		want  []string
	}{
		{"", c, []string{"Call: Completed", "Disposition: Interested", "Outbound Call"}},
		{"", missed, []string{"Call: Missed Voicemail", "Disposition: No thanks", "Inbound Call"}},
		{"", deliveries("1")[0], nil},
		{"off", c, nil},
		{"outcome:missed-voicemail => Call back; disposition: interested => HOT", missed, []string{"Call back"}},
		{"disposition: interested => HOT;", c, []string{"HOT"}},
		{"summary:* => Summary: {}; summary:callback=>Follow Up", c, []string{"Follow Up", "Summary: Callback"}},
	} {
		rules, err := ParseRules(test.rules)
		if got := rules.Tags(test.call); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, %v", test.rules, got, err)
		}
	}
	for _, bad := range []string{"x", "outcome => y", "outcome: => y", "outcome:* => ", "words:* => y"} {
		if _, err := ParseRules(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func FuzzParseRules(f *testing.F) {
	f.Add(DefaultRules)
	f.Add("outcome:*=>{}{};;summary:=>")
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := ParseRules(text)
		if err != nil && rules != nil {
			t.Errorf("%q: rules and an error", text)
		}
		for _, tag := range rules.Tags(deliveries("1")[3]) {
			if strings.ContainsAny(tag, ",\n") {
				t.Errorf("%q makes %q", text, tag)
			}
		}
	})
}

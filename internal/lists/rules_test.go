package lists

import (
	"strings"
	"testing"
	"time"
)

func TestRulesAreCheckedAndEveryFaultIsNamed(t *testing.T) {
	t.Parallel()
	v := Vocabulary{ListKeys: keys, TagMode: TagsRegex}
	for _, c := range []struct{ name, text, want string }{
		{"a good table", `{"rules":[{"name":"a","when":{"tags":["hot"],"createdWithin":"14d"},"on":["HOT"]},{"name":"b","when":{"statuses":["won"]},"off":["*"]}]}`, ""},
		{"no JSON", `{`, "the table must be"},
		{"two objects", `{"rules":[]}{}`, "nothing after it"},
		{"an unknown field", `{"rules":[{"name":"a","when":{"tag":["x"]},"on":["HOT"]}]}`, "unknown field"},
		{"a wrong type", `{"rules":[{"name":1}]}`, "wrong type"},
		{"no name", `{"rules":[{"when":{"tags":["x"]},"on":["HOT"]}]}`, "name must have"},
		{"a name twice", `{"rules":[{"name":"a","when":{"tags":["x"]},"on":["HOT"]},{"name":"a","when":{"tags":["x"]},"on":["HOT"]}]}`, "two rules"},
		{"for everybody", `{"rules":[{"name":"a","when":{},"on":["HOT"]}]}`, "must have a condition"},
		{"without effect", `{"rules":[{"name":"a","when":{"tags":["x"]}}]}`, "on or off"},
		{"an unknown list", `{"rules":[{"name":"a","when":{"tags":["x"]},"on":["COLD"]}]}`, "AGENT_LIST_KEYS"},
		{"on everything", `{"rules":[{"name":"a","when":{"tags":["x"]},"on":["*"]}]}`, "AGENT_LIST_KEYS"},
		{"a status that is none", `{"rules":[{"name":"a","when":{"statuses":["closed"]},"off":["*"]}]}`, "is none of"},
		{"a stage without words", `{"rules":[{"name":"a","when":{"stages":["="]},"off":["*"]}]}`, "has no word"},
		{"no expression", `{"rules":[{"name":"a","when":{"tags":["("]},"on":["HOT"]}]}`, "no regular expression"},
		{"no duration", `{"rules":[{"name":"a","when":{"createdWithin":"soon"},"on":["HOT"]}]}`, "must be a duration"},
		{"an age beyond the calendar", `{"rules":[{"name":"a","when":{"createdWithin":"99999d"},"on":["HOT"]}]}`, "must be a duration"},
		{"an empty value", `{"rules":[{"name":"a","when":{"tags":[" "]},"on":["HOT"]}]}`, "empty values"},
	} {
		_, err := ParseRules([]byte(c.text), v)
		switch {
		case c.want == "" && err != nil, c.want != "" && err == nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: %v does not say %q", c.name, err, c.want)
		}
	}
	for _, mode := range []TagMode{TagsIgnoreCase, TagsExact, TagsRegex} {
		v := Vocabulary{ListKeys: []string{"HOT", "A-1"}, TagMode: mode}
		if err := DefaultRules(v).Check(v); err != nil {
			t.Errorf("the built-in rules are faulty: %v", err)
		}
	}
}

func FuzzParseRules(f *testing.F) {
	f.Add(`{"rules":[{"name":"a","when":{"tags":["hot"],"stages":["=New"],"createdWithin":"14d"},"on":["HOT"],"off":["*"]}]}`)
	f.Add(`{"rules":[]}`)
	v := Vocabulary{ListKeys: keys, TagMode: TagsRegex}
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := ParseRules([]byte(text), v)
		if err != nil {
			return
		}
		s := setup()
		s.Rules, s.Vocabulary = rules, v
		facts := Facts{Owner: Owner{Assigned: "DANA"}, Tags: []string{"hot"}, Opportunities: []Opportunity{stageOf("New", "open")}, CreatedAt: now.Add(-time.Hour)}
		first, second := Desired(facts, s, now), Desired(facts, s, now)
		if first.Key() != second.Key() || len(first.Said) != len(rules.Rules) {
			t.Fatalf("%+v, %+v", first, second)
		}
	})
}

func TestStatusesMeanSequences(t *testing.T) {
	t.Parallel()
	got, err := ParseSequences(`{"Hot":"12","Cold":{"sequence_id":34,"optional":true},"Warm":56}`)
	if err != nil || got["Hot"] != (Sequence{ID: "12"}) || got["Cold"] != (Sequence{"34", true}) || got["Warm"].ID != "56" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, text := range []string{`[]`, `null`, `{"Hot":""}`, `{"Hot":"x1"}`, `{"":"1"}`, `{"Hot":{}}`, `{"Hot":[]}`, `{`} {
		if got, err := ParseSequences(text); err == nil {
			t.Errorf("%s: %+v", text, got)
		}
	}
	if got, err := ParseSequences(" "); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// D-70: a failed enrolment left people in no sequence at all, as handled.
func TestASequenceIsLeftAndEnteredStepByStep(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		at   Enrolment
		want string
		step Step
	}{
		{"nothing to do", Enrolment{}, "", Rest},
		{"in it already", Enrolment{In: "1"}, "1", Rest},
		{"into a first one", Enrolment{}, "1", Enter},
		{"into another one", Enrolment{In: "1"}, "2", Leave},
		{"out", Enrolment{In: "1"}, "", Leave},
		{"died while leaving", Enrolment{Leaving: true, In: "1"}, "2", Leave},
		{"died while entering", Enrolment{Entering: "2"}, "2", Enter},
		{"died while entering one that is wanted no more", Enrolment{Entering: "2"}, "3", Leave},
		{"refused before: the old one is not left for it", Enrolment{In: "1", Refused: "2"}, "2", Rest},
	} {
		if got := c.at.Next(c.want); got != c.step {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

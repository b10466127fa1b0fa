package calls

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
)

// Rule says which tags a contact gets for a call. What is empty or zero in it
// matches every call. Words are compared without regard to case.
type Rule struct {
	Direction   string `json:"direction,omitempty"` // inbound, outbound
	Outcome     string `json:"outcome,omitempty"`   // Completed, Missed, Abandoned, Voicemail, Failed, Canceled
	Disposition string `json:"disposition,omitempty"`
	// SummaryOutcome is one of the outcomes that the call's summary names. Its
	// prose is not searched.
	SummaryOutcome string `json:"summaryOutcome,omitempty"`
	MinTalk        int    `json:"minTalkSeconds,omitempty"`
	// Tags are names, in which {direction}, {outcome} and {disposition} stand
	// for what is known of the call. A name with one that is not known yet is
	// left out.
	Tags []string `json:"tags"`
}

// DefaultRules are the tags of the original system.
func DefaultRules() []Rule {
	return []Rule{{Tags: []string{"Disposition: {disposition}", "Call: {outcome}", "{direction} Call"}}}
}

// outcomes are the words of Facts.Outcome.
var outcomes = []string{"Completed", "Missed", "Abandoned", "Voicemail", "Failed", "Canceled"}

// ParseRules reads a JSON array of rules. An empty array means no tags; empty
// text means DefaultRules. The error says which rule is wrong and how.
func ParseRules(text string) ([]Rule, error) {
	if strings.TrimSpace(text) == "" {
		return DefaultRules(), nil
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	var rules []Rule
	if err := decoder.Decode(&rules); err != nil {
		return nil, fmt.Errorf("must be a JSON array of rules: %w", err)
	}
	if decoder.More() {
		return nil, errors.New("must be one JSON array of rules")
	}
	for i, rule := range rules {
		if err := rule.check(); err != nil {
			return nil, fmt.Errorf("rule %d %w", i+1, err)
		}
	}
	return rules, nil
}

func (r Rule) check() error {
	same := func(word string) func(string) bool {
		return func(other string) bool { return strings.EqualFold(word, other) }
	}
	switch {
	case r.Direction != "" && !slices.ContainsFunc([]string{Inbound, Outbound}, same(r.Direction)):
		return errors.New("has a direction that is neither inbound nor outbound")
	case r.Outcome != "" && !slices.ContainsFunc(outcomes, same(r.Outcome)):
		return errors.New("has an outcome that is none of " + strings.Join(outcomes, ", "))
	case r.MinTalk < 0:
		return errors.New("has a negative minTalkSeconds")
	case len(r.Tags) == 0:
		return errors.New("names no tags")
	}
	for _, tag := range r.Tags {
		rest := strings.NewReplacer("{direction}", "", "{outcome}", "", "{disposition}", "").Replace(tag)
		if strings.TrimSpace(tag) == "" || strings.ContainsAny(rest, "{}") {
			return fmt.Errorf("has the tag %q: only {direction}, {outcome} and {disposition} may stand in one", tag)
		}
	}
	return nil
}

func (r Rule) matches(f Facts) bool {
	return (r.Direction == "" || strings.EqualFold(r.Direction, f.Get(Direction))) &&
		(r.Outcome == "" || strings.EqualFold(r.Outcome, f.Outcome())) &&
		(r.Disposition == "" || strings.EqualFold(r.Disposition, f.Get(Disposition))) &&
		(r.SummaryOutcome == "" || slices.ContainsFunc(strings.Split(f.Get(Outcomes), "\n"), func(named string) bool {
			return strings.EqualFold(named, strings.TrimSpace(r.SummaryOutcome))
		})) &&
		int(f.Seconds(Talked).Seconds()) >= r.MinTalk
}

// longestTag is the longest name of a tag that is made, in bytes.
const longestTag = 100

// Tags returns the tags that the contact gets for the call, sorted.
func Tags(f Facts, rules []Rule) []string {
	values := map[string]string{"{outcome}": f.Outcome(), "{disposition}": f.Get(Disposition), "{direction}": ""}
	if direction := f.Get(Direction); direction != "" {
		values["{direction}"] = strings.ToUpper(direction[:1]) + direction[1:]
	}
	var tags []string
	for _, rule := range rules {
		if !rule.matches(f) {
			continue
		}
		for _, tag := range rule.Tags {
			if name, ok := fill(tag, values); ok {
				tags = append(tags, clip(name, longestTag))
			}
		}
	}
	return df.Tags(tags...)
}

// fill puts values into a name, and reports false when one is not known.
func fill(tag string, values map[string]string) (string, bool) {
	pairs := make([]string, 0, 2*len(values))
	for place, value := range values {
		value = strings.TrimSpace(value)
		if value == "" && strings.Contains(tag, place) {
			return "", false
		}
		pairs = append(pairs, place, value)
	}
	return strings.NewReplacer(pairs...).Replace(tag), true
}

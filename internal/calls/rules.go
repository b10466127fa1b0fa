package calls

import (
	"fmt"
	"slices"
	"strings"
)

// DefaultRules are the rules without a setting. Outcomes of summaries make no
// tags by themselves: a model words them as it likes.
const DefaultRules = "disposition:* => Disposition: {}; outcome:* => Call: {}; direction:inbound => Inbound Call; direction:outbound => Outbound Call"

// The fields that rules can be about.
var ruleFields = []string{"disposition", "outcome", "direction", "summary"}

// Rule says which tag a call causes: one whose field has the value, or any value
// when it is "*".
type Rule struct {
	Field string // disposition, outcome, direction, summary
	Value string // compared without case
	Tag   string // {} stands for the call's own value
}

// Rules make tags of calls.
type Rules []Rule

// ParseRules reads "field:value => tag" separated by semicolons. "off" means no
// rules, and no text the default ones.
func ParseRules(text string) (Rules, error) {
	switch text = strings.TrimSpace(text); {
	case text == "":
		text = DefaultRules
	case strings.EqualFold(text, "off"):
		return nil, nil
	}
	var rules Rules
	for item := range strings.SplitSeq(text, ";") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		test, tag, ok := strings.Cut(item, "=>")
		field, value, tested := strings.Cut(test, ":")
		rule := Rule{strings.ToLower(strings.TrimSpace(field)), strings.TrimSpace(value), strings.TrimSpace(tag)}
		switch {
		case !ok || !tested || rule.Value == "" || rule.Tag == "":
			return nil, fmt.Errorf("%q is not of the form field:value => tag", item)
		case !slices.Contains(ruleFields, rule.Field):
			return nil, fmt.Errorf("%q is none of %s", rule.Field, strings.Join(ruleFields, ", "))
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// Tags are the tags that a call causes, sorted, each once. A call that is not
// over causes none.
func (r Rules) Tags(c Call) []string {
	if !c.Ready() {
		return nil
	}
	values := map[string][]string{
		"disposition": {c.Disposition.Value}, "outcome": {c.Outcome()},
		"direction": {string(c.Direction.Value)}, "summary": c.Outcomes,
	}
	var tags []string
	for _, rule := range r {
		for _, value := range values[rule.Field] {
			if value != "" && (rule.Value == "*" || strings.EqualFold(rule.Value, value)) {
				shown := value
				if rule.Field == "outcome" || rule.Field == "direction" {
					shown = words(value)
				}
				tags = append(tags, tagText(strings.ReplaceAll(rule.Tag, "{}", shown)))
			}
		}
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}

// tagText takes commas and line ends out of a tag: Aloware takes tags as one text
// with commas between them.
func tagText(text string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(text, ",", " ")), " ")
}

// words writes a word of Aloware's list as people do: "Missed Voicemail".
func words(code string) string {
	parts := strings.Split(code, "-")
	for i, part := range parts {
		if part != "" {
			parts[i] = strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return strings.Join(parts, " ")
}

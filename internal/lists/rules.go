package lists

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// All, among the lists that a rule keeps people off, stands for every list.
const All = "*"

// Rules are the table by which lists are decided. Every rule that applies has its
// say: a list is wanted if some rule puts the person on it and none keeps the
// person off it. So the order of the rules means nothing.
type Rules struct {
	Rules []Rule `json:"rules"`
}

// Rule puts people on lists of their agent, or keeps them off.
type Rule struct {
	Name string   `json:"name"`
	When When     `json:"when"`
	On   []string `json:"on,omitempty"`  // list keys
	Off  []string `json:"off,omitempty"` // list keys, or All
}

// When says to whom a rule applies: to those of whom every condition that is
// given holds. A condition with several values holds if one of them does.
//
// Stages, Statuses and Pipelines are asked of the person's current opportunities:
// the open ones or, when none is open, the one that changed last. One and the
// same opportunity must fulfil them.
type When struct {
	Tags   []string `json:"tags,omitempty"`   // some tag is one of these, by TAG_MATCH_MODE
	NoTags []string `json:"noTags,omitempty"` // no tag is
	// Stages are ids of stages, or words that stand in a stage's name one after
	// the other ("hot" is in "Hot lead" and not in "Photo"), or "=" and the
	// whole name.
	Stages    []string `json:"stages,omitempty"`
	Statuses  []string `json:"statuses,omitempty"`  // open, won, lost, abandoned
	Pipelines []string `json:"pipelines,omitempty"` // ids or names
	// CreatedWithin holds for contacts that GHL has had for no longer: "36h",
	// "14d".
	CreatedWithin string   `json:"createdWithin,omitempty"`
	Agents        []string `json:"agents,omitempty"` // the person's agent is one of these
}

// opportunity reports whether the rule asks about opportunities.
func (w When) opportunity() bool { return len(w.Stages)+len(w.Statuses)+len(w.Pipelines) > 0 }

func (w When) empty() bool {
	return !w.opportunity() && len(w.Tags)+len(w.NoTags)+len(w.Agents) == 0 && w.CreatedWithin == ""
}

// asksStages reports whether some rule asks about opportunities.
func (r Rules) asksStages() bool {
	return slices.ContainsFunc(r.Rules, func(rule Rule) bool { return rule.When.opportunity() })
}

// Vocabulary is what rules may speak of.
type Vocabulary struct {
	ListKeys []string // AGENT_LIST_KEYS
	TagMode  TagMode
}

// The bounds of a table.
const (
	maxRules  = 200
	maxValues = 100
	maxText   = 200
)

// ParseRules reads and checks a table. The error names every fault, in words for
// the person who wrote it.
func ParseRules(text []byte, v Vocabulary) (Rules, error) {
	var rules Rules
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&rules); err != nil {
		return Rules{}, fmt.Errorf("the table must be an object {\"rules\":[…]} of known fields: %s", plainJSONError(err))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Rules{}, errors.New("the table must be one JSON object and nothing after it")
	}
	return rules, rules.Check(v)
}

// plainJSONError says what is wrong without repeating more of the text than a
// field's name.
func plainJSONError(err error) string {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return kind.Field + " has the wrong type"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// Check returns what is wrong with a table, or nil.
func (r Rules) Check(v Vocabulary) error {
	var faults []error
	if len(r.Rules) > maxRules {
		faults = append(faults, fmt.Errorf("there are %d rules; %d are the most", len(r.Rules), maxRules))
	}
	names := map[string]bool{}
	for i, rule := range r.Rules {
		name := rule.Name
		if name == "" || len(name) > maxText {
			name = "rule " + strconv.Itoa(i+1)
			faults = append(faults, fmt.Errorf("%s: name must have 1 to %d characters", name, maxText))
		}
		if names[name] {
			faults = append(faults, fmt.Errorf("%s: two rules have this name", name))
		}
		names[name] = true
		for _, fault := range rule.faults(v) {
			faults = append(faults, fmt.Errorf("%s: %w", name, fault))
		}
	}
	return errors.Join(faults...)
}

var statuses = []string{"open", "won", "lost", "abandoned"}

func (r Rule) faults(v Vocabulary) []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if r.When.empty() {
		fault("when must have a condition; a rule for everybody is nearly always a mistake")
	}
	if len(r.On)+len(r.Off) == 0 {
		fault("on or off must name a list")
	}
	for _, key := range r.On {
		if !slices.Contains(v.ListKeys, key) {
			fault("on: %q is not one of AGENT_LIST_KEYS (%s)", key, strings.Join(v.ListKeys, ", "))
		}
	}
	for _, key := range r.Off {
		if key != All && !slices.Contains(v.ListKeys, key) {
			fault("off: %q is neither * nor one of AGENT_LIST_KEYS (%s)", key, strings.Join(v.ListKeys, ", "))
		}
	}
	for name, values := range map[string][]string{"tags": r.When.Tags, "noTags": r.When.NoTags, "stages": r.When.Stages,
		"statuses": r.When.Statuses, "pipelines": r.When.Pipelines, "agents": r.When.Agents} {
		if len(values) > maxValues {
			fault("%s has %d values; %d are the most", name, len(values), maxValues)
		}
		for _, value := range values {
			if strings.TrimSpace(value) == "" || len(value) > maxText {
				fault("%s must not have empty values, nor such of more than %d characters", name, maxText)
			}
		}
	}
	for _, status := range r.When.Statuses {
		if !slices.Contains(statuses, status) {
			fault("statuses: %q is none of %s", status, strings.Join(statuses, ", "))
		}
	}
	for _, stage := range r.When.Stages {
		if len(words(strings.TrimPrefix(stage, "="))) == 0 {
			fault("stages: %q has no word in it", stage)
		}
	}
	if v.TagMode == TagsRegex {
		for _, pattern := range append(slices.Clone(r.When.Tags), r.When.NoTags...) {
			if _, err := regexp.Compile(pattern); err != nil {
				fault("tags: %q is no regular expression", pattern)
			}
		}
	}
	if _, err := parseAge(r.When.CreatedWithin); err != nil {
		fault("createdWithin: %w", err)
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return faults
}

// maxAge keeps what is reckoned from an age within the calendar.
const maxAge = 10 * 365 * 24 * time.Hour

// parseAge reads "36h" or "14d"; empty is 0.
func parseAge(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	fault := fmt.Errorf("%q must be a duration such as 36h or 14d, at most %d days", text, maxAge/(24*time.Hour))
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 1 || n > int(maxAge/(24*time.Hour)) {
			return 0, fault
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	age, err := time.ParseDuration(text)
	if err != nil || age <= 0 || age > maxAge {
		return 0, fault
	}
	return age, nil
}

// DefaultRules is the table that holds until an operator writes one: what the
// original system meant by its four built-in lists, and for every list key that a
// tag of the same name puts people on it.
func DefaultRules(v Vocabulary) Rules {
	var r Rules
	for _, key := range v.ListKeys {
		tag := key
		if v.TagMode == TagsRegex {
			tag = regexp.QuoteMeta(key)
		}
		r.Rules = append(r.Rules, Rule{Name: "tag " + key, When: When{Tags: []string{tag}}, On: []string{key}})
	}
	for _, rule := range []Rule{
		{Name: "new contact", When: When{CreatedWithin: "30d"}, On: []string{"NEW_LEADS"}},
		{Name: "stage new lead", When: When{Stages: []string{"new lead", "=new"}}, On: []string{"NEW_LEADS"}},
		{Name: "stage follow up", When: When{Stages: []string{"follow up", "=followup"}}, On: []string{"FOLLOW_UP"}},
		{Name: "stage hot", When: When{Stages: []string{"hot"}}, On: []string{"HOT"}},
		{Name: "stage closed", When: When{Stages: []string{"closed", "dead"}}, Off: []string{All}},
		{Name: "won or lost", When: When{Statuses: []string{"won", "lost"}}, Off: []string{All}},
	} {
		if len(rule.On) == 0 || slices.Contains(v.ListKeys, rule.On[0]) {
			r.Rules = append(r.Rules, rule)
		}
	}
	return r
}

// TagMode is the setting TAG_MATCH_MODE.
type TagMode string

// The ways in which a rule's tag is compared with a contact's. A regular
// expression must describe the whole tag: the original's matched anywhere, and
// "photo shoot" was HOT.
const (
	TagsIgnoreCase TagMode = "case_insensitive"
	TagsExact      TagMode = "exact"
	TagsRegex      TagMode = "regex"
)

// Matches reports whether the tag is the one that a rule means.
func (m TagMode) Matches(pattern, tag string) bool {
	switch m {
	case TagsExact:
		return strings.TrimSpace(pattern) == strings.TrimSpace(tag)
	case TagsRegex:
		expression, err := regexp.Compile(`(?i)^(?:` + pattern + `)$`)
		return err == nil && expression.MatchString(strings.TrimSpace(tag))
	}
	return df.TagKey(pattern) == df.TagKey(tag)
}

// words splits a text into its words, in lower case.
func words(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return strings.ContainsRune(" \t\n_-/|,.:;()[]&+", r)
	})
}

// inName reports whether the pattern's words stand in the name one after the
// other, or with "=" whether they are the whole name.
func inName(pattern, name string) bool {
	whole := strings.HasPrefix(pattern, "=")
	want, have := words(strings.TrimPrefix(pattern, "=")), words(name)
	if len(want) == 0 || whole && len(want) != len(have) {
		return false
	}
	for start := 0; start+len(want) <= len(have); start++ {
		if slices.Equal(have[start:start+len(want)], want) {
			return true
		}
	}
	return false
}

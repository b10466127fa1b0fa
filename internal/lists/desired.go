package lists

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Facts is everything about one person that lists depend on. It holds no number
// and no address.
type Facts struct {
	Tags          []string      `json:"tags"`
	Owner         Owner         `json:"owner"`
	Opportunities []Opportunity `json:"opportunities,omitempty"`
	AskedAt       time.Time     `json:"askedAt,omitzero"`   // when GHL was asked for the opportunities
	CreatedAt     time.Time     `json:"createdAt,omitzero"` // at GHL; zero when it does not say
	// Barred says why consent lets the person on no list; empty when it does.
	Barred string `json:"barred,omitempty"`
	// ListStatus is the status in Aloware that sequences go by.
	ListStatus string `json:"listStatus,omitempty"`
}

// Opportunity is one of a person's opportunities in GHL.
type Opportunity struct {
	ID         string    `json:"id"`
	PipelineID string    `json:"pipelineId"`
	Pipeline   string    `json:"pipeline"` // empty when GHL has no such pipeline
	StageID    string    `json:"stageId"`
	Stage      string    `json:"stage"` // empty when GHL has no such stage
	Status     string    `json:"status"`
	ChangedAt  time.Time `json:"changedAt,omitzero"`
}

// List is one list of an agent's that the dialer has.
type List struct {
	AgentKey string
	ListKey  string
	ID       string // at Aloware; empty until somebody entered it
	Name     string
}

// Setup is what is the same for everybody.
type Setup struct {
	Rules        Rules
	Vocabulary   Vocabulary
	Agents       []Agent
	Lists        []List
	DefaultAgent string
}

// Membership is one list that a person should be on.
type Membership struct {
	AgentKey string `json:"agentKey"`
	ListKey  string `json:"listKey"`
	ListID   string `json:"listId"`
	Rule     string `json:"rule"` // the first rule, in the table's order, that asked for it
}

// Said is what one rule said about a person.
type Said struct {
	Rule    string `json:"rule"`
	Applies bool   `json:"applies"`
	Why     string `json:"why"` // which condition did or did not hold
}

// NotOn is a list that some rule asked for and the person is not to be on.
type NotOn struct {
	ListKey string `json:"listKey"`
	Rule    string `json:"rule"` // what decided: a rule's name, "consent" or "registry"
	Why     string `json:"why"`
}

// Problem is something that an operator can mend.
type Problem struct {
	Kind   string `json:"kind"` // unknown_agent, ambiguous_agent, unknown_list, unknown_stage, …
	Detail string `json:"detail"`
}

// The kinds of problems beside those with agents.
const (
	UnknownList  = "unknown_list"
	UnknownStage = "unknown_stage"
)

// Intent is what follows from the facts and the rules.
type Intent struct {
	Agent    Resolution   `json:"agent"`
	Wanted   []Membership `json:"wanted"`
	NotOn    []NotOn      `json:"notOn,omitempty"`
	Said     []Said       `json:"said"`
	Problems []Problem    `json:"problems,omitempty"`
	// Leave says that nobody knows what is wanted, so nothing is touched.
	Leave bool `json:"leave,omitempty"`
	// RecheckAt is when a rule that asks for time says something else.
	RecheckAt time.Time `json:"recheckAt,omitzero"`
	// Refused are ids of wanted lists that Aloware refused. They are not tried
	// again until the registry names other ones or an operator asks for it.
	Refused []string `json:"refused,omitempty"`
}

// possible is what is wanted and was not refused.
func (i Intent) possible() []Membership {
	return slices.DeleteFunc(slices.Clone(i.Wanted), func(m Membership) bool { return slices.Contains(i.Refused, m.ListID) })
}

// Key is the wanted set as one text, which is never empty. Equal sets have equal
// keys.
func (i Intent) Key() string {
	if i.Leave {
		return "?"
	}
	parts := make([]string, len(i.Wanted))
	for n, m := range i.Wanted {
		parts[n] = m.AgentKey + "/" + m.ListKey + "=" + m.ListID
	}
	if len(parts) == 0 {
		return "-"
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

// Desired says which lists a person should be on. It is a pure function: the same
// facts, setup and time give the same answer, in whatever order the facts came to
// be known.
func Desired(f Facts, s Setup, now time.Time) Intent {
	owner := f.Owner
	owner.Tags = f.Tags
	intent := Intent{Agent: Resolve(owner, s.Agents, s.Vocabulary.TagMode, s.DefaultAgent), Wanted: []Membership{}, Said: []Said{}}
	asked, off := map[string]string{}, map[string]string{}
	for _, rule := range s.Rules.Rules {
		said := judge(rule, f, s, intent.Agent.Key, now)
		intent.Said = append(intent.Said, said)
		intent.recheck(rule, f, now)
		if !said.Applies {
			continue
		}
		for _, key := range rule.On {
			first(asked, key, rule.Name)
		}
		for _, key := range rule.Off {
			first(off, key, rule.Name)
		}
	}
	if intent.Agent.Key == "" {
		intent.Problems = append(intent.Problems, Problem{intent.Agent.Kind, intent.Agent.Problem})
		intent.Leave = f.Barred == ""
	}
	intent.unknownStages(f, s)
	for _, key := range s.Vocabulary.ListKeys {
		if rule, ok := asked[key]; ok {
			intent.place(key, rule, off, f, s)
		}
	}
	return intent
}

func first(set map[string]string, key, rule string) {
	if _, there := set[key]; !there {
		set[key] = rule
	}
}

// place decides one list that some rule asks for.
func (i *Intent) place(key, rule string, off map[string]string, f Facts, s Setup) {
	keptOff, ok := off[key]
	if !ok {
		keptOff, ok = off[All]
	}
	switch {
	case f.Barred != "":
		i.NotOn = append(i.NotOn, NotOn{key, "consent", f.Barred})
		return
	case ok:
		i.NotOn = append(i.NotOn, NotOn{key, keptOff, fmt.Sprintf("%q asks for it, %q keeps the person off it", rule, keptOff)})
		return
	case i.Agent.Key == "":
		return
	}
	list, ok := s.list(i.Agent.Key, key)
	if ok && list.ID != "" {
		i.Wanted = append(i.Wanted, Membership{i.Agent.Key, key, list.ID, rule})
		return
	}
	name := ListName(i.Agent.Key, key)
	i.NotOn = append(i.NotOn, NotOn{key, "registry", "the registry has no id for " + name})
	if i.Agent.By == "default" && !s.hasLists(i.Agent.Key) {
		return // people of nobody need not be called
	}
	i.Problems = append(i.Problems, Problem{UnknownList,
		"there is no id for the list " + name + "; make it in Aloware and enter its id under Lists"})
}

// ListName is what an agent's list is called in Aloware.
func ListName(agentKey, listKey string) string {
	return "DF_" + strings.ToUpper(agentKey) + "_" + strings.ToUpper(listKey)
}

func (s Setup) list(agentKey, listKey string) (List, bool) {
	i := slices.IndexFunc(s.Lists, func(l List) bool { return l.AgentKey == agentKey && l.ListKey == listKey })
	if i < 0 {
		return List{}, false
	}
	return s.Lists[i], true
}

func (s Setup) hasLists(agentKey string) bool {
	return slices.ContainsFunc(s.Lists, func(l List) bool { return l.AgentKey == agentKey })
}

// recheck remembers when a rule's condition on the contact's age ends.
func (i *Intent) recheck(rule Rule, f Facts, now time.Time) {
	age, err := parseAge(rule.When.CreatedWithin)
	if err != nil || age == 0 || f.CreatedAt.IsZero() {
		return
	}
	end := f.CreatedAt.Add(age)
	if end.After(now) && (i.RecheckAt.IsZero() || end.Before(i.RecheckAt)) {
		i.RecheckAt = end
	}
}

// unknownStages tells of stages that GHL's pipelines do not have, if any rule
// could have asked for their names.
func (i *Intent) unknownStages(f Facts, s Setup) {
	if !s.Rules.asksStages() {
		return
	}
	for _, o := range current(f.Opportunities) {
		if o.StageID != "" && o.Stage == "" {
			i.Problems = append(i.Problems, Problem{UnknownStage,
				"an opportunity is in a stage that no pipeline of GoHighLevel has; rules that name stages pass it over. Move it to a stage that exists"})
			return
		}
	}
}

// judge asks one rule, and says which condition decided.
func judge(rule Rule, f Facts, s Setup, agent string, now time.Time) Said {
	var held []string
	for _, c := range []condition{
		tagCondition(rule.When, f, s.Vocabulary.TagMode), opportunityCondition(rule.When, f),
		ageCondition(rule.When, f, now), agentCondition(rule.When, agent),
	} {
		switch {
		case !c.asked:
		case !c.holds:
			return Said{Rule: rule.Name, Why: c.why}
		default:
			held = append(held, c.why)
		}
	}
	return Said{Rule: rule.Name, Applies: len(held) > 0, Why: strings.Join(held, "; ")}
}

// condition is how one of a rule's conditions went.
type condition struct {
	asked, holds bool
	why          string
}

func tagCondition(w When, f Facts, mode TagMode) condition {
	find := func(patterns []string) string {
		for _, pattern := range patterns {
			for _, tag := range f.Tags {
				if mode.Matches(pattern, tag) {
					return tag
				}
			}
		}
		return ""
	}
	if len(w.Tags)+len(w.NoTags) == 0 {
		return condition{}
	}
	has, bad := find(w.Tags), find(w.NoTags)
	switch {
	case len(w.Tags) > 0 && has == "":
		return condition{asked: true, why: "none of the tags " + strings.Join(w.Tags, ", ")}
	case bad != "":
		return condition{asked: true, why: "has the tag " + bad}
	case has != "":
		return condition{true, true, "has the tag " + has}
	}
	return condition{true, true, "none of the tags " + strings.Join(w.NoTags, ", ")}
}

// current returns the opportunities that count: the open ones or, when none is
// open, the one that changed last. Ties go to the id, so that the order in which
// GHL lists them means nothing.
func current(all []Opportunity) []Opportunity {
	var open []Opportunity
	last := -1
	for i, o := range all {
		if o.Status == "open" || o.Status == "" {
			open = append(open, o)
		}
		if last < 0 || o.ChangedAt.After(all[last].ChangedAt) || o.ChangedAt.Equal(all[last].ChangedAt) && o.ID > all[last].ID {
			last = i
		}
	}
	if len(open) == 0 && last >= 0 {
		open = append(open, all[last])
	}
	slices.SortFunc(open, func(a, b Opportunity) int { return strings.Compare(a.ID, b.ID) })
	return open
}

func opportunityCondition(w When, f Facts) condition {
	if !w.opportunity() {
		return condition{}
	}
	now := current(f.Opportunities)
	if len(now) == 0 {
		return condition{asked: true, why: "has no opportunity"}
	}
	seen := make([]string, len(now))
	for i, o := range now {
		seen[i] = "opportunity in " + firstText(o.Stage, "an unknown stage") + ", " + firstText(o.Status, "open")
		if w.fits(o) {
			return condition{true, true, seen[i]}
		}
	}
	return condition{asked: true, why: strings.Join(slices.Compact(seen), "; ")}
}

// fits reports whether one opportunity fulfils all that is asked of it.
func (w When) fits(o Opportunity) bool {
	any := func(patterns []string, fits func(string) bool) bool {
		return len(patterns) == 0 || slices.ContainsFunc(patterns, fits)
	}
	return any(w.Stages, func(p string) bool { return p == o.StageID || inName(p, o.Stage) }) &&
		any(w.Statuses, func(p string) bool { return p == firstText(o.Status, "open") }) &&
		any(w.Pipelines, func(p string) bool { return p == o.PipelineID || strings.EqualFold(p, o.Pipeline) && p != "" })
}

func ageCondition(w When, f Facts, now time.Time) condition {
	age, err := parseAge(w.CreatedWithin)
	switch {
	case err != nil || w.CreatedWithin == "":
		return condition{}
	case f.CreatedAt.IsZero():
		return condition{asked: true, why: "GoHighLevel does not say when the contact was created"}
	case !now.Before(f.CreatedAt.Add(age)):
		return condition{asked: true, why: "created more than " + w.CreatedWithin + " ago"}
	}
	return condition{true, true, "created within " + w.CreatedWithin}
}

func agentCondition(w When, agent string) condition {
	if len(w.Agents) == 0 {
		return condition{}
	}
	if slices.Contains(w.Agents, agent) {
		return condition{true, true, "the agent is " + agent}
	}
	return condition{asked: true, why: "the agent is " + firstText(agent, "not known")}
}

func firstText(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

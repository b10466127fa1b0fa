package lists

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var now = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

var keys = []string{"CALL_NOW", "NEW_LEADS", "FOLLOW_UP", "HOT"}

// setup has two agents with all lists, and the built-in rules.
func setup() Setup {
	v := Vocabulary{ListKeys: keys, TagMode: TagsIgnoreCase}
	s := Setup{Rules: DefaultRules(v), Vocabulary: v, DefaultAgent: "UNASSIGNED",
		Agents: []Agent{{Key: "DANA", RequiredTag: "Owner: Dana", FieldValue: "dana", Active: true}, {Key: "ELI", RequiredTag: "Owner: Eli", FieldValue: "eli", Active: true},
			{Key: "OLD", RequiredTag: "Owner: Old", Active: false}}}
	for i, agent := range []string{"DANA", "ELI"} {
		for j, key := range keys {
			s.Lists = append(s.Lists, List{AgentKey: agent, ListKey: key, ID: string(rune('1'+i)) + string(rune('0'+j)), Name: ListName(agent, key)})
		}
	}
	return s
}

func onKeys(i Intent) string {
	var on []string
	for _, m := range i.Wanted {
		on = append(on, m.AgentKey+"/"+m.ListKey)
	}
	return strings.Join(on, " ")
}

func stageOf(stage, status string) Opportunity {
	return Opportunity{ID: "o1", PipelineID: "p", Pipeline: "Sales", StageID: "s-" + stage, Stage: stage, Status: status, ChangedAt: now}
}

func TestWhatTheBuiltInRulesWant(t *testing.T) {
	t.Parallel()
	old, young := now.Add(-400*24*time.Hour), now.Add(-time.Hour)
	dana := Owner{Assigned: "DANA"}
	for _, c := range []struct {
		name  string
		facts Facts
		want  string
	}{
		{"nothing is known of the contact", Facts{Owner: dana, CreatedAt: old}, ""},
		{"a young contact", Facts{Owner: dana, CreatedAt: young}, "DANA/NEW_LEADS"},
		{"a tag in another case", Facts{Owner: dana, CreatedAt: old, Tags: []string{"hot"}}, "DANA/HOT"},
		{"a stage by its words", Facts{Owner: dana, CreatedAt: old, Opportunities: []Opportunity{stageOf("Follow-Up call", "open")}}, "DANA/FOLLOW_UP"},
		// D-69: "contains hot" matched "photo".
		{"a word that merely contains another", Facts{Owner: dana, CreatedAt: old, Tags: []string{"photo"}, Opportunities: []Opportunity{stageOf("Photo shoot", "open")}}, ""},
		{"a stage that is only called new", Facts{Owner: dana, CreatedAt: old, Opportunities: []Opportunity{stageOf("New", "open")}}, "DANA/NEW_LEADS"},
		{"new as a part of a name", Facts{Owner: dana, CreatedAt: old, Opportunities: []Opportunity{stageOf("New York", "open")}}, ""},
		{"a closed stage beats a tag", Facts{Owner: dana, CreatedAt: young, Tags: []string{"HOT"}, Opportunities: []Opportunity{stageOf("Closed", "open")}}, ""},
		{"lost", Facts{Owner: dana, CreatedAt: young, Opportunities: []Opportunity{stageOf("Hot", "lost")}}, ""},
		{"lost once and open again", Facts{Owner: dana, CreatedAt: old, Opportunities: []Opportunity{stageOf("Hot", "lost"), {ID: "o2", Stage: "Hot", Status: "open"}}}, "DANA/HOT"},
		{"opted out", Facts{Owner: dana, CreatedAt: young, Tags: []string{"HOT", "CALL_NOW"}, Barred: "opted out"}, ""},
		{"the field names the agent", Facts{Owner: Owner{Field: "Eli"}, CreatedAt: young}, "ELI/NEW_LEADS"},
		{"a tag names the agent", Facts{CreatedAt: young, Tags: []string{"owner: eli"}}, "ELI/NEW_LEADS"},
		{"nobody's person, whose default agent has no lists", Facts{CreatedAt: young}, ""},
	} {
		intent := Desired(c.facts, setup(), now)
		if got := onKeys(intent); got != c.want || intent.Leave || len(intent.Problems) > 0 {
			t.Errorf("%s: on %q, want %q; %+v", c.name, got, c.want, intent.Problems)
		}
		if len(intent.Said) != len(setup().Rules.Rules) {
			t.Errorf("%s: %d rules spoke", c.name, len(intent.Said))
		}
		for _, said := range intent.Said {
			if said.Why == "" {
				t.Errorf("%s: %q does not say why", c.name, said.Rule)
			}
		}
	}
}

// D-66: a directory hiccup, or an agent that nobody knows, made people
// "unassigned", and they were stripped from their agents' lists.
func TestAnUnknownAgentIsAProblemAndNeverTheDefaultAgent(t *testing.T) {
	t.Parallel()
	two := append(slices.Clone(setup().Agents), Agent{Key: "DANA2", FieldValue: "DANA", RequiredTag: "Owner: Dana", Active: true})
	for _, c := range []struct {
		name   string
		owner  Owner
		agents []Agent
		key    string
		by     string
		kind   string
	}{
		{"assigned", Owner{Assigned: "DANA", Field: "eli", Tags: []string{"Owner: Eli"}}, setup().Agents, "DANA", "assignedTo", ""},
		{"the field comes before the tag", Owner{Field: " eli ", Tags: []string{"Owner: Dana"}}, setup().Agents, "ELI", "field", ""},
		{"the tag", Owner{Tags: []string{"x", "OWNER: dana"}}, setup().Agents, "DANA", "tag", ""},
		{"nobody", Owner{}, setup().Agents, "UNASSIGNED", "default", ""},
		{"a user whom no agent is", Owner{Unknown: true}, setup().Agents, "", "", UnknownAgent},
		{"a user whom no agent is, but a tag says who", Owner{Unknown: true, Tags: []string{"Owner: Eli"}}, setup().Agents, "ELI", "tag", ""},
		{"an agent who is active no more", Owner{Assigned: "OLD"}, setup().Agents, "", "", UnknownAgent},
		{"an inactive agent's tag", Owner{Tags: []string{"Owner: Old"}}, setup().Agents, "UNASSIGNED", "default", ""},
		{"a field value that nobody has", Owner{Field: "zed"}, setup().Agents, "", "", UnknownAgent},
		{"two agents with the field value", Owner{Field: "dana"}, two, "", "", AmbiguousAgent},
		{"two agents with the tag", Owner{Tags: []string{"owner: dana"}}, two, "", "", AmbiguousAgent},
	} {
		got := Resolve(c.owner, c.agents, TagsIgnoreCase, "UNASSIGNED")
		if got.Key != c.key || got.By != c.by || got.Kind != c.kind || (got.Problem == "") != (c.kind == "") {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	s := setup()
	intent := Desired(Facts{Owner: Owner{Unknown: true}, Tags: []string{"HOT"}}, s, now)
	if !intent.Leave || len(intent.Wanted) > 0 || len(intent.Problems) != 1 {
		t.Errorf("%+v", intent)
	}
	if barred := Desired(Facts{Owner: Owner{Unknown: true}, Barred: "opted out"}, s, now); barred.Leave {
		t.Error("who opted out stays on lists until somebody knows the agent")
	}
}

// D-69: a new key in AGENT_LIST_KEYS did nothing, and regular expressions matched
// any part of a tag.
func TestTagsMatchByTheMode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode         TagMode
		pattern, tag string
		want         bool
	}{
		{TagsIgnoreCase, "HOT", " hot ", true}, {TagsIgnoreCase, "HOT", "photo", false},
		{TagsExact, "HOT", "HOT", true}, {TagsExact, "HOT", "hot", false},
		{TagsRegex, "HOT", "hot", true}, {TagsRegex, "HOT", "photo shoot", false}, {TagsRegex, "hot|warm", "warm", true},
		{TagsRegex, "hot|warm", "lukewarm", false}, {TagsRegex, "VIP.*", "vip gold", true},
	} {
		if got := c.mode.Matches(c.pattern, c.tag); got != c.want {
			t.Errorf("%s: %q is %q: %v", c.mode, c.pattern, c.tag, got)
		}
	}
	v := Vocabulary{ListKeys: []string{"VIP"}}
	s := setup()
	s.Vocabulary, s.Rules = v, DefaultRules(v)
	s.Lists = append(s.Lists, List{AgentKey: "DANA", ListKey: "VIP", ID: "99"})
	if got := onKeys(Desired(Facts{Owner: Owner{Assigned: "DANA"}, Tags: []string{"vip"}}, s, now)); got != "DANA/VIP" {
		t.Errorf("on %q", got)
	}
}

func TestAListWithoutAnIdIsAProblemThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	s := setup()
	s.Lists = s.Lists[:1] // DANA/CALL_NOW
	intent := Desired(Facts{Owner: Owner{Assigned: "DANA"}, Tags: []string{"HOT", "CALL_NOW"}}, s, now)
	if onKeys(intent) != "DANA/CALL_NOW" || len(intent.Problems) != 1 || intent.Problems[0].Kind != UnknownList ||
		!strings.Contains(intent.Problems[0].Detail, "DF_DANA_HOT") || len(intent.NotOn) != 1 {
		t.Errorf("%+v", intent)
	}
}

func TestAStageThatNoPipelineHasIsAProblem(t *testing.T) {
	t.Parallel()
	f := Facts{Owner: Owner{Assigned: "DANA"}, Tags: []string{"HOT"}, Opportunities: []Opportunity{{ID: "o", StageID: "gone", Status: "open"}}}
	intent := Desired(f, setup(), now)
	if onKeys(intent) != "DANA/HOT" || len(intent.Problems) != 1 || intent.Problems[0].Kind != UnknownStage {
		t.Errorf("%+v", intent)
	}
	s := setup()
	s.Rules.Rules = append(s.Rules.Rules, Rule{Name: "by id", When: When{Stages: []string{"gone"}}, On: []string{"CALL_NOW"}})
	if got := onKeys(Desired(f, s, now)); got != "DANA/CALL_NOW DANA/HOT" {
		t.Errorf("a rule that names the id: on %q", got)
	}
}

func TestAYoungContactIsLookedAtAgainWhenItIsOld(t *testing.T) {
	t.Parallel()
	f := Facts{Owner: Owner{Assigned: "DANA"}, CreatedAt: now.Add(-29 * 24 * time.Hour)}
	intent := Desired(f, setup(), now)
	if want := now.Add(24 * time.Hour); onKeys(intent) != "DANA/NEW_LEADS" || !intent.RecheckAt.Equal(want) {
		t.Errorf("on %q, again at %v", onKeys(intent), intent.RecheckAt)
	}
	if later := Desired(f, setup(), intent.RecheckAt); len(later.Wanted) > 0 || !later.RecheckAt.IsZero() {
		t.Errorf("%+v", later)
	}
}

// drawFacts draws a person.
func drawFacts(t *rapid.T) Facts {
	tags := rapid.SliceOfN(rapid.SampledFrom([]string{"HOT", "hot", "call_now", "FOLLOW_UP", "x", "Owner: Eli", "Owner: Dana"}), 0, 4).Draw(t, "tags")
	f := Facts{Tags: tags, Owner: Owner{
		Assigned: rapid.SampledFrom([]string{"", "DANA", "ELI", "OLD"}).Draw(t, "assigned"),
		Unknown:  rapid.Bool().Draw(t, "unknown"), Field: rapid.SampledFrom([]string{"", "eli", "zed"}).Draw(t, "field")},
		CreatedAt: now.Add(-time.Duration(rapid.IntRange(0, 60).Draw(t, "days")) * 24 * time.Hour),
		Barred:    rapid.SampledFrom([]string{"", "", "opted out"}).Draw(t, "barred")}
	for i := range rapid.IntRange(0, 3).Draw(t, "deals") {
		f.Opportunities = append(f.Opportunities, Opportunity{ID: string(rune('a' + i)), StageID: "s", ChangedAt: now.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "at")) * time.Hour),
			Stage: rapid.SampledFrom([]string{"New Lead", "Follow Up", "Hot", "Closed", ""}).Draw(t, "stage"), Status: rapid.SampledFrom([]string{"open", "won", "lost"}).Draw(t, "status")})
	}
	return f
}

// What is wanted does not depend on the order in which anything came to be known,
// nor on the order of the rules.
func TestTheDesiredSetKnowsNoOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f, s := drawFacts(t), setup()
		want := Desired(f, s, now)
		g := f
		g.Tags = rapid.Permutation(f.Tags).Draw(t, "tags shuffled")
		g.Opportunities = rapid.Permutation(f.Opportunities).Draw(t, "deals shuffled")
		s.Rules.Rules = rapid.Permutation(s.Rules.Rules).Draw(t, "rules shuffled")
		s.Agents = rapid.Permutation(s.Agents).Draw(t, "agents shuffled")
		s.Lists = rapid.Permutation(s.Lists).Draw(t, "lists shuffled")
		if got := Desired(g, s, now); got.Key() != want.Key() || got.Leave != want.Leave || got.Agent.Key != want.Agent.Key {
			t.Fatalf("%+v\n%+v", got, want)
		}
	})
}

// Invariant 5: whatever the facts and rules, who is barred is wanted on no list
// and is not left on one.
func TestWhoIsBarredIsWantedNowhere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		f.Barred = "opted out"
		intent := Desired(f, setup(), now)
		held := Holding{Lists: []Held{{"DANA", "HOT", "13", rapid.Bool().Draw(t, "unsure")}}}
		if c := Diff(held, intent.possible()); intent.Leave || len(intent.Wanted) > 0 || !c.Clear || len(c.Add) > 0 {
			t.Fatalf("%+v, %+v", intent, c)
		}
	})
}

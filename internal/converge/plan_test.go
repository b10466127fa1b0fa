package converge

import (
	"reflect"
	"slices"
	"testing"

	"github.com/df-middleware/dfm/internal/df"
)

// able takes every field but those named.
func able(not ...df.Field) Ability {
	return Ability{Holds: func(df.Field) bool { return true },
		Writable: func(f df.Field) bool { return !slices.Contains(not, f) }, RemoveTags: true}
}

func rules(policy Policy) Rules {
	return Rules{Policy: policy, Can: map[df.Side]Ability{df.SideGHL: able(df.Company, df.LeadSource), df.SideAloware: able()}}
}

type fields = map[df.Field]string

func sides(ghl, aloware fields) map[df.Side]df.Contact {
	return map[df.Side]df.Contact{df.SideGHL: {ID: "g1", Fields: ghl}, df.SideAloware: {ID: "7", Fields: aloware}}
}

func agreedOn(ghl, aloware fields) Agreed {
	return Agreed{df.SideGHL: {ContactID: "g1", Fields: ghl}, df.SideAloware: {ContactID: "7", Fields: aloware}}
}

func name(v string) fields { return fields{df.FirstName: v} }

func TestPlanForOneField(t *testing.T) {
	const ghl, aloware = df.SideGHL, df.SideAloware
	tests := []struct {
		name     string
		policy   Policy
		field    df.Field
		agreed   [2]string // "-" means never agreed
		seen     [2]string // "-" means not shown
		to       df.Side   // "" means no write
		value    string
		conflict string
	}{
		{"nothing changed", Merge, df.FirstName, [2]string{"Ann", "Ann"}, [2]string{"Ann", "Ann"}, "", "", ""},
		{"GHL changed", Merge, df.FirstName, [2]string{"Ann", "Ann"}, [2]string{"Anne", "Ann"}, aloware, "Anne", ""},
		{"Aloware changed", Merge, df.FirstName, [2]string{"Ann", "Ann"}, [2]string{"Ann", "Anne"}, ghl, "Anne", ""},
		{"both changed to the same", Merge, df.FirstName, [2]string{"Ann", "Ann"}, [2]string{"Anne", "Anne"}, "", "", ""},
		{"both changed to spellings of one value", Merge, df.FirstName, [2]string{"Ann", "Ann"}, [2]string{"Anne", "ANNE"}, "", "", ""},
		{"both changed", Merge, df.FirstName, [2]string{"Ann", "Ann"}, [2]string{"Anne", "Anna"}, aloware, "Anne", "both_changed"},
		// D-57: the longer name won, so a typo could not be corrected.
		{"a correction to something shorter moves", Merge, df.LastName, [2]string{"Smiith", "Smiith"}, [2]string{"Smith", "Smiith"}, aloware, "Smith", ""},
		{"a longer name does not win", FromGHL, df.LastName, [2]string{"Bo", "Bo"}, [2]string{"Bo", "Bonaventure"}, aloware, "Bo", "put_back"},
		{"a side's own spelling is not fought", Merge, df.FirstName, [2]string{"ann", "ANN"}, [2]string{"ann", "ANN"}, "", "", ""},
		{"a change of case moves", Merge, df.FirstName, [2]string{"ann", "ann"}, [2]string{"Ann", "ann"}, aloware, "Ann", ""},
		{"notation is no change", Merge, df.PhoneNumber, [2]string{"+12025550101", "+12025550101"}, [2]string{"(202) 555-0101", "+12025550101"}, "", "", ""},
		{"emptying is a change", Merge, df.City, [2]string{"Rome", "Rome"}, [2]string{"", "Rome"}, aloware, "", ""},
		{"emptying an e-mail is a change", Merge, df.Email, [2]string{"a@example.test", "a@example.test"}, [2]string{"a@example.test", ""}, ghl, "", ""},
		{"a phone is never cleared", Merge, df.PhoneNumber, [2]string{"+12025550101", "+12025550101"}, [2]string{"", "+12025550101"}, "", "", ""},
		{"what is no phone does not move", Merge, df.PhoneNumber, [2]string{"+12025550101", "+12025550101"}, [2]string{"ask Bob", "+12025550101"}, "", "", ""},
		{"a phone moves in E.164", Merge, df.PhoneNumber, [2]string{"+12025550101", "+12025550101"}, [2]string{"(202) 555-0102", "+12025550101"}, aloware, "+12025550102", ""},
		{"a date of birth moves as ISO", Merge, df.DateOfBirth, [2]string{"", ""}, [2]string{"05/01/1990", ""}, aloware, "1990-05-01", ""},
		{"first meeting, equal", Merge, df.Email, [2]string{"-", "-"}, [2]string{"A@example.test", "a@example.test"}, "", "", ""},
		{"first meeting, one empty", Merge, df.Email, [2]string{"-", "-"}, [2]string{"", "a@example.test"}, ghl, "a@example.test", ""},
		{"first meeting, different", Merge, df.City, [2]string{"-", "-"}, [2]string{"Rome", "Oslo"}, aloware, "Rome", "first_meeting"},
		{"first meeting, different, Aloware rules", FromAloware, df.City, [2]string{"-", "-"}, [2]string{"Rome", "Oslo"}, ghl, "Oslo", "first_meeting"},
		{"first meeting fills what the source leaves empty", FromGHL, df.City, [2]string{"-", "-"}, [2]string{"", "Oslo"}, ghl, "Oslo", ""},
		{"a hidden field gets a change", Merge, df.Address, [2]string{"1 A St", "-"}, [2]string{"2 B St", "-"}, aloware, "2 B St", ""},
		{"a hidden field is not overwritten at first meeting", Merge, df.Address, [2]string{"-", "-"}, [2]string{"1 A St", "-"}, "", "", ""},
		{"a hidden field is no cleared field", Merge, df.Address, [2]string{"1 A St", "1 A St"}, [2]string{"1 A St", "-"}, "", "", ""},
		{"a copy's change is not written over what its source hides", FromGHL, df.Address, [2]string{"-", "1 A St"}, [2]string{"-", "2 B St"}, "", "", ""},
		{"Aloware's change is put back", FromGHL, df.City, [2]string{"Rome", "Rome"}, [2]string{"Rome", "Oslo"}, aloware, "Rome", "put_back"},
		{"GHL's change is put back", FromAloware, df.City, [2]string{"Rome", "Rome"}, [2]string{"Oslo", "Rome"}, ghl, "Rome", "put_back"},
		{"the source's change moves", FromGHL, df.City, [2]string{"Rome", "Rome"}, [2]string{"Oslo", "Rome"}, aloware, "Oslo", ""},
		{"both changed, the source wins", FromAloware, df.City, [2]string{"Rome", "Rome"}, [2]string{"Oslo", "Bern"}, ghl, "Bern", "both_changed"},
		{"a field that GHL takes on creation only", Merge, df.Company, [2]string{"A", "A"}, [2]string{"A", "B"}, "", "", ""},
		{"the same field the other way", Merge, df.Company, [2]string{"A", "A"}, [2]string{"B", "A"}, aloware, "B", ""},
		{"a custom field", Merge, df.CustomField("shoe"), [2]string{"1", "1"}, [2]string{"1", "2"}, ghl, "2", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			of := func(v string) fields {
				if v == "-" {
					return fields{}
				}
				return fields{test.field: v}
			}
			agreed := agreedOn(of(test.agreed[0]), of(test.agreed[1]))
			p := Plan(agreed, sides(of(test.seen[0]), of(test.seen[1])), rules(test.policy))
			want := map[df.Side]df.Patch{}
			if test.to != "" {
				want[test.to] = df.Patch{Set: fields{test.field: test.value}}
			}
			if !reflect.DeepEqual(p.Writes, want) {
				t.Errorf("writes %v, want %v", p.Writes, want)
			}
			kind := ""
			for _, c := range p.Conflicts {
				kind = c.Kind
				if c.Value != test.value || c.Rule == "" || c.Chosen == "" || c.Seen[ghl] != test.seen[0] || c.Seen[aloware] != test.seen[1] {
					t.Errorf("conflict is told as %+v", c)
				}
			}
			if kind != test.conflict {
				t.Errorf("conflict %q, want %q", kind, test.conflict)
			}
		})
	}
}

func TestWhatCannotBeWrittenIsAgreedToDiffer(t *testing.T) {
	agreed := agreedOn(fields{df.Company: "A"}, fields{df.Company: "A"})
	seen := sides(fields{df.Company: "A"}, fields{df.Company: "B"})
	p := Plan(agreed, seen, rules(Merge))
	if len(p.Decisions) != 1 || p.Decisions[0].Action != CannotWrite {
		t.Fatalf("decisions %+v", p.Decisions)
	}
	// GHL's next change is a change, not a conflict with the old difference.
	seen[df.SideGHL].Fields[df.Company] = "C"
	next := Plan(p.Next, seen, rules(Merge))
	if len(next.Conflicts) != 0 || next.Writes[df.SideAloware].Set[df.Company] != "C" {
		t.Errorf("then %+v", next)
	}
}

func TestOneSideAlonePlansAndForgetsNothing(t *testing.T) {
	agreed := agreedOn(name("Ann"), name("Ann"))
	seen := sides(name("Anne"), name("Ann"))
	delete(seen, df.SideAloware)
	p := Plan(agreed, seen, rules(Merge))
	if !p.Quiet() || !reflect.DeepEqual(p.Next, agreed) {
		t.Fatalf("planned %+v", p)
	}
	seen = sides(name("Anne"), name("Ann"))
	if p := Plan(p.Next, seen, rules(Merge)); p.Writes[df.SideAloware].Set[df.FirstName] != "Anne" {
		t.Errorf("the change was lost while Aloware was away: %+v", p)
	}
}

func TestASnapshotOfAnotherContactDoesNotCount(t *testing.T) {
	agreed := agreedOn(name("Ann"), name("Ann"))
	seen := sides(name("Ann"), fields{df.FirstName: ""})
	seen[df.SideAloware] = df.Contact{ID: "9", Fields: fields{df.FirstName: ""}}
	p := Plan(agreed, seen, rules(Merge))
	if len(p.Writes[df.SideGHL].Set) != 0 || p.Writes[df.SideAloware].Set[df.FirstName] != "Ann" {
		t.Errorf("a new contact's empty field cleared the name: %v", p.Writes)
	}
}

func TestAFieldsOwnRuleOverridesThePolicy(t *testing.T) {
	agreed, seen := agreedOn(name("Ann"), name("Ann")), sides(name("Anne"), name("Anna"))
	r := rules(Merge)
	for rule, want := range map[FieldRule]map[df.Side]string{
		PreferGHL:     {df.SideAloware: "Anne"},
		PreferAloware: {df.SideGHL: "Anna"},
		MirrorAloware: {df.SideGHL: "Anna"},
		Never:         {},
	} {
		r.Fields = map[df.Field]FieldRule{df.FirstName: rule}
		p := Plan(agreed, seen, r)
		for _, side := range order {
			if got := p.Writes[side].Set[df.FirstName]; got != want[side] {
				t.Errorf("%s: %s gets %q, want %q", rule, side, got, want[side])
			}
		}
	}
}

func TestTagsMergeAsSets(t *testing.T) {
	none := []string(nil)
	tests := []struct {
		name         string
		rule         FieldRule
		base         [2][]string
		seen         [2][]string
		ghl, aloware df.Patch
		keepsTags    bool // Aloware cannot remove tags
	}{
		{name: "nothing changed", base: [2][]string{{"a"}, {"a"}}, seen: [2][]string{{"a"}, {"A"}}},
		{name: "added here, added there", base: [2][]string{{"a"}, {"a"}}, seen: [2][]string{{"a", "b"}, {"a", "c"}},
			ghl: df.Patch{AddTags: []string{"c"}}, aloware: df.Patch{AddTags: []string{"b"}}},
		{name: "removed", base: [2][]string{{"a", "b"}, {"a", "b"}}, seen: [2][]string{{"a"}, {"a", "b"}},
			aloware: df.Patch{RemoveTags: []string{"b"}}},
		{name: "removed where it cannot be removed", base: [2][]string{{"a"}, {"a"}}, seen: [2][]string{{}, {"a"}}, keepsTags: true},
		{name: "first meeting: both get all", base: [2][]string{none, none}, seen: [2][]string{{"a"}, {"b"}},
			ghl: df.Patch{AddTags: []string{"b"}}, aloware: df.Patch{AddTags: []string{"a"}}},
		{name: "first meeting under a mirror loses nothing either", rule: MirrorGHL, base: [2][]string{none, none},
			seen: [2][]string{{"a"}, {"b"}}, ghl: df.Patch{AddTags: []string{"b"}}, aloware: df.Patch{AddTags: []string{"a"}}},
		{name: "a mirror puts back", rule: MirrorGHL, base: [2][]string{{"a"}, {"a"}}, seen: [2][]string{{"a"}, {"b"}},
			aloware: df.Patch{AddTags: []string{"a"}, RemoveTags: []string{"b"}}},
		{name: "hidden tags get changes", base: [2][]string{{"a"}, none}, seen: [2][]string{{"b"}, none},
			aloware: df.Patch{AddTags: []string{"b"}, RemoveTags: []string{"a"}}},
		{name: "hidden tags are not guessed at first meeting", base: [2][]string{none, none}, seen: [2][]string{{"a"}, none}},
		{name: "left alone", rule: Never, base: [2][]string{{"a"}, {"a"}}, seen: [2][]string{{"b"}, {"a"}}},
		// The original's origin marks stayed for ever and silenced later edits (D-39).
		{name: "SYS: tags are ignored", base: [2][]string{{}, {}}, seen: [2][]string{{"SYS:df_middleware_origin"}, {}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			agreed, seen := agreedOn(nil, nil), sides(nil, nil)
			for i, side := range order {
				agreed[side] = Snapshot{ContactID: seen[side].ID, Tags: test.base[i]}
				seen[side] = df.Contact{ID: seen[side].ID, Tags: test.seen[i]}
			}
			r := rules(Merge)
			if test.rule != "" {
				r.Fields = map[df.Field]FieldRule{TagsField: test.rule}
			}
			if test.keepsTags {
				a := able()
				a.RemoveTags = false
				r.Can[df.SideAloware] = a
			}
			p := Plan(agreed, seen, r)
			if !reflect.DeepEqual(p.Writes[df.SideGHL], test.ghl) || !reflect.DeepEqual(p.Writes[df.SideAloware], test.aloware) {
				t.Errorf("writes %+v", p.Writes)
			}
			if again := Plan(p.Next, seen, r); !reflect.DeepEqual(again.Writes, p.Writes) {
				t.Errorf("what needs no write changed the plan: %+v", again.Writes)
			}
		})
	}
}

func TestATagThatStaysIsNotResurrected(t *testing.T) {
	agreed, seen := Agreed{}, sides(nil, nil)
	for _, side := range order {
		agreed[side] = Snapshot{ContactID: seen[side].ID, Tags: []string{"a"}}
	}
	seen[df.SideGHL] = df.Contact{ID: "g1", Tags: []string{}}
	seen[df.SideAloware] = df.Contact{ID: "7", Tags: []string{"a"}}
	r := rules(Merge)
	stuck := able()
	stuck.RemoveTags = false
	r.Can[df.SideAloware] = stuck
	for range 3 {
		p := Plan(agreed, seen, r)
		if !p.Quiet() {
			t.Fatalf("planned %+v", p.Writes)
		}
		agreed = p.Next
	}
}

func TestParsePolicy(t *testing.T) {
	for text, want := range map[string]Policy{"": Merge, "merge": Merge, "ghl": FromGHL, "aloware": FromAloware} {
		if got, err := ParsePolicy(text); got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if _, err := ParsePolicy("GHL"); err == nil {
		t.Error("an unknown policy was taken")
	}
}

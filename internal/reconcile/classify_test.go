package reconcile

import (
	"fmt"
	"testing"

	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
)

func everything(df.Field) bool { return true }

// Each difference is named once, with the side whose news has not come through;
// spellings that were agreed on are none.
func TestDriftIsWhatPlanWouldWrite(t *testing.T) {
	agreed := converge.Agreed{
		df.SideGHL:     {ContactID: "g", Fields: map[df.Field]string{df.FirstName: "Ada", df.City: "Waco", df.State: "TX"}, Tags: []string{"Hot"}},
		df.SideAloware: {ContactID: "a", Fields: map[df.Field]string{df.FirstName: "ADA", df.City: "Waco", df.State: "TX"}, Tags: []string{"hot"}},
	}
	rules := converge.Rules{Can: map[df.Side]converge.Ability{
		df.SideGHL: {Holds: everything, Writable: everything, RemoveTags: true}, df.SideAloware: {Holds: everything, Writable: everything},
	}}
	mirror := rules
	mirror.Policy = converge.FromGHL
	for _, c := range []struct {
		name         string
		rules        converge.Rules
		ghl, aloware map[df.Field]string
		tags         []string
		want         string
	}{
		{"as agreed", rules, map[df.Field]string{df.FirstName: "Ada"}, map[df.Field]string{df.FirstName: "ADA"}, nil, "[]"},
		{"changed at GHL", rules, map[df.Field]string{df.City: "Tyler"}, nil, nil, "[ghl field city]"},
		{"changed at Aloware", rules, nil, map[df.Field]string{df.City: "Tyler"}, nil, "[aloware field city]"},
		{"changed alike on both", rules, map[df.Field]string{df.City: "Tyler"}, map[df.Field]string{df.City: "Tyler"}, nil, "[]"},
		{"changed on both", rules, map[df.Field]string{df.City: "Tyler"}, map[df.Field]string{df.City: "Austin"}, nil, "[ghl field city]"},
		{"a copy was changed", mirror, nil, map[df.Field]string{df.City: "Tyler"}, nil, "[aloware field city]"},
		{"a tag came", rules, nil, nil, []string{"Hot", "New"}, "[ghl tags tags]"},
		{"two fields", rules, map[df.Field]string{df.City: "Tyler", df.State: "LA"}, nil, nil, "[ghl field city ghl field state]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen := map[df.Side]df.Contact{}
			for side, edits := range map[df.Side]map[df.Field]string{df.SideGHL: c.ghl, df.SideAloware: c.aloware} {
				base := agreed.Clone()[side]
				for field, value := range edits {
					base.Fields[field] = value
				}
				seen[side] = df.Contact{ID: base.ContactID, Fields: base.Fields, Tags: base.Tags}
			}
			if c.tags != nil {
				contact := seen[df.SideGHL]
				contact.Tags = c.tags
				seen[df.SideGHL] = contact
			}
			var got []string
			for _, d := range Classify(agreed, seen, converge.Plan(agreed, seen, c.rules), epoch) {
				got = append(got, fmt.Sprintf("%s %s %s", d.Side, d.Kind, d.Field))
			}
			if fmt.Sprint(got) != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestAChangeOfTagsAloneIsATagWebhook(t *testing.T) {
	for want, changed := range map[df.Kind][]df.Field{
		df.KindContactTags: {converge.TagsField}, df.KindContactUpdated: {df.City, converge.TagsField},
	} {
		if got := kindOf(changed); got != want {
			t.Errorf("%v is %s, want %s", changed, got, want)
		}
	}
}

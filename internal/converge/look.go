package converge

import (
	"context"
	"fmt"
	"slices"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

// View is a person as somebody finds them who only looks.
type View struct {
	State
	Seen map[df.Side]df.Contact
	Gone map[df.Side]bool // contacts that are not there
}

// Look reads the person's contacts at both sides, as a run does first, and
// decides and keeps nothing. Its errors are those of Person.
func (c *Converger) Look(ctx context.Context, personID string) (View, error) {
	state, err := c.Ledger.Load(ctx, personID)
	if err != nil {
		return View{}, fmt.Errorf("load person: %w", err)
	}
	if state.Person.Status == people.Ended {
		return View{State: state}, nil
	}
	r := c.newRun(Work{PersonID: personID}, state)
	err = r.read(ctx)
	return View{State: state, Seen: r.seen, Gone: r.gone}, err
}

// Compare returns what Plan proposes for contacts that were seen just now. A side
// that was not looked at is taken to hold what it held when both last agreed; one
// that has never agreed leaves the proposal empty.
func (c *Converger) Compare(agreed Agreed, seen map[df.Side]df.Contact) Proposal {
	both := make(map[df.Side]df.Contact, len(order))
	for _, name := range order {
		if contact, ok := seen[name]; ok {
			both[name] = contact
		} else if base, ok := agreed[name]; ok {
			both[name] = df.Contact{ID: base.ContactID, Fields: base.Fields, Tags: base.Tags}
		}
	}
	return Plan(agreed, both, c.InForce())
}

// InForce returns the rules by which people converge, with what each side that
// is configured can take.
func (c *Converger) InForce() Rules {
	rules := c.Rules
	rules.Can = map[df.Side]Ability{}
	for name, side := range c.Sides {
		if side != nil {
			rules.Can[name] = AbilityOf(side)
		}
	}
	return rules
}

// Changed lists, sorted, in what a contact differs from what its side held when
// both last agreed, with TagsField for tags. What the side does not show, or was
// never agreed on, is not among it.
func Changed(agreed Agreed, side df.Side, contact df.Contact) []df.Field {
	base := agreed.base(side, contact.ID)
	var changed []df.Field
	for field, was := range base.Fields {
		if now, shown := contact.Fields[field]; shown && !Same(field, now, was) {
			changed = append(changed, field)
		}
	}
	if base.Tags != nil && contact.Tags != nil && !slices.Equal(keysOf(base.Tags), keysOf(contact.Tags)) {
		changed = append(changed, TagsField)
	}
	slices.Sort(changed)
	return changed
}

// keysOf returns the sorted keys of tags, each once.
func keysOf(tags []string) []string {
	keys := make([]string, 0, len(tags))
	for _, tag := range df.Tags(tags...) {
		keys = append(keys, df.TagKey(tag))
	}
	return keys
}

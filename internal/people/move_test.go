package people_test

import (
	"errors"
	"testing"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

// At Aloware a new number is a new contact, which is announced at once. Whoever
// handled that before our own write was recorded made a person of it, and then
// nobody could record anything: the contact was taken.
func TestMoveAbsorbsThePersonThatTheAnnouncementMade(t *testing.T) {
	ours := people.Person{ID: "p", GHLContactID: "g", AlowareContactID: "7", Phone: ann}
	for name, c := range map[string]struct {
		holder people.Person
		want   error
	}{
		"nobody has it":      {people.Person{}, nil},
		"the half is ours":   {people.Person{ID: "h", AlowareContactID: "8", Phone: bob}, nil},
		"another number":     {people.Person{ID: "h", AlowareContactID: "8", Phone: "+15005550177"}, people.ErrHeld},
		"a whole person":     {people.Person{ID: "h", GHLContactID: "g2", AlowareContactID: "8", Phone: bob}, people.ErrHeld},
		"split off by hand":  {people.Person{ID: "h", AlowareContactID: "8", Phone: bob, ApartFrom: []string{"p"}}, people.ErrHeld},
		"theirs before, too": {people.Person{ID: "p2", AlowareContactID: "9", Phone: bob}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			rows := []people.Person{ours}
			if c.holder.ID != "" {
				rows = append(rows, c.holder)
			}
			d, r := directory(t, rows...)
			match, err := d.Move(t.Context(), people.Lease{}, "p", df.SideAloware, contact("8", bob))
			if !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			if err == nil && (match.Person.ID != "p" || match.Person.AlowareContactID != "8" || match.Person.GHLContactID != "g") {
				t.Errorf("moved to %+v", match.Person)
			}
			late, lateErr := d.Identify(t.Context(), people.Lease{}, people.Clue{Side: df.SideAloware, ContactID: "7", Phone: ann})
			if lateErr != nil || late.Person.ID != "p" {
				t.Errorf("a late event about the old contact is about %+v, %v", late.Person, lateErr)
			}
			if err != nil && r.rows["p"].AlowareContactID != "7" {
				t.Errorf("refused, but moved: %+v", r.rows["p"])
			}
		})
	}
}

package people_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

func TestIdentifyFindsOrMakesThePerson(t *testing.T) {
	ghl := func(id string, phone df.Phone, email string) people.Clue {
		return people.Clue{Side: df.SideGHL, ContactID: id, Phone: phone, Email: email}
	}
	aloware := func(id string, phone df.Phone, email string) people.Clue {
		return people.Clue{Side: df.SideAloware, ContactID: id, Phone: phone, Email: email}
	}
	tests := []struct {
		name   string
		rows   []people.Person
		clue   people.Clue
		person string
		rule   people.Rule
		review people.ReviewKind
		err    error
	}{
		{name: "an id of a side is proof, whatever else disagrees",
			rows: []people.Person{{ID: "p", GHLContactID: "g1", Phone: ann, Email: "ann@example.test"}},
			clue: ghl("g1", bob, "bob@example.test"), person: "p", rule: people.ByContactID},
		{name: "ids are case-sensitive",
			rows: []people.Person{{ID: "p", GHLContactID: "Ab", Phone: ann}},
			clue: ghl("aB", "", ""), person: "new-1", rule: people.AsNew},
		{name: "the one person with the phone, free at this side",
			rows: []people.Person{{ID: "p", GHLContactID: "g1", Phone: ann}},
			clue: aloware("7", ann, ""), person: "p", rule: people.ByPhone},
		// D-50: a mapping made by a text alone could never be upgraded.
		{name: "a person known by texts only is upgraded, not doubled",
			rows: []people.Person{{ID: "p", Phone: ann}},
			clue: ghl("g1", ann, ""), person: "p", rule: people.ByPhone},
		// D-92: look-up by phone returned an arbitrary row of a household.
		{name: "a shared phone is not one person",
			rows: []people.Person{{ID: "p", GHLContactID: "g1", Phone: ann}},
			clue: ghl("g2", ann, ""), person: "new-1", rule: people.AsNew, review: people.SharedPhone},
		// D-46: the first hit of a search linked two people for good.
		{name: "several people with the phone make a new person and a question",
			rows: []people.Person{{ID: "p", GHLContactID: "g1", Phone: ann}, {ID: "q", GHLContactID: "g2", Phone: ann}},
			clue: aloware("7", ann, ""), person: "new-1", rule: people.AsNew, review: people.AmbiguousPhone},
		{name: "without an id, several people with the phone are no answer",
			rows: []people.Person{{ID: "p", GHLContactID: "g1", Phone: ann}, {ID: "q", GHLContactID: "g2", Phone: ann}},
			clue: people.Clue{Phone: ann}, review: people.AmbiguousPhone, err: people.ErrAmbiguous},
		{name: "a current number beats somebody's former one",
			rows: []people.Person{{ID: "p", GHLContactID: "g1", Phone: bob, OtherPhones: []df.Phone{ann}}, {ID: "q", GHLContactID: "g2", Phone: ann}},
			clue: aloware("7", ann, ""), person: "q", rule: people.ByPhone},
		{name: "a former number still finds the person",
			rows: []people.Person{{ID: "p", GHLContactID: "g1", Phone: bob, OtherPhones: []df.Phone{ann}}},
			clue: people.Clue{Phone: ann}, person: "p", rule: people.ByPhone},
		{name: "an e-mail joins when one person has it and no phone disagrees",
			rows: []people.Person{{ID: "p", GHLContactID: "g1", Email: "ann@example.test"}},
			clue: aloware("7", ann, "ann@example.test"), person: "p", rule: people.ByEmail},
		{name: "an e-mail does not join against a phone",
			rows: []people.Person{{ID: "p", GHLContactID: "g1", Phone: bob, Email: "ann@example.test"}},
			clue: aloware("7", ann, "ann@example.test"), person: "new-1", rule: people.AsNew},
		{name: "a shared e-mail is not one person",
			rows: []people.Person{{ID: "p", GHLContactID: "g1", Email: "x@example.test"}, {ID: "q", GHLContactID: "g2", Email: "x@example.test"}},
			clue: aloware("7", "", "x@example.test"), person: "new-1", rule: people.AsNew, review: people.AmbiguousEmail},
		{name: "a late event does not bring an ended person back",
			rows: []people.Person{{ID: "p", GHLContactID: "g1", Phone: ann, Status: people.Ended, EndedAt: noon}},
			clue: ghl("g1", ann, ""), person: "p", rule: people.ByContactID},
		{name: "another contact with an ended person's number is a new person",
			rows: []people.Person{{ID: "p", GHLContactID: "g1", Phone: ann, Status: people.Ended, EndedAt: noon}},
			clue: ghl("g2", ann, ""), person: "new-1", rule: people.AsNew},
		{name: "the contact of a merged person finds the one that took it over",
			rows: []people.Person{{ID: "p", GHLContactID: "g1", Status: people.Ended, EndedAt: noon, MergedInto: "q"}, {ID: "q", GHLContactID: "g2"}},
			clue: ghl("g1", "", ""), person: "q", rule: people.AsMerged},
		{name: "nothing to go by", clue: people.Clue{Side: df.SideGHL}, err: people.ErrNobody},
		{name: "a deletion makes nobody", clue: people.Clue{Side: df.SideGHL, ContactID: "g9", OnlyKnown: true}, err: people.ErrUnknown},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d, r := directory(t, test.rows...)
			match, err := d.Identify(t.Context(), people.Lease{}, test.clue)
			if !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if err == nil && (match.Person.ID != test.person || match.Rule != test.rule) {
				t.Errorf("found %q by %q, want %q by %q", match.Person.ID, match.Rule, test.person, test.rule)
			}
			kept := people.ReviewKind("")
			for _, review := range r.reviews {
				kept = review.Kind
			}
			if kept != test.review {
				t.Errorf("kept review %q, want %q", kept, test.review)
			}
			if stored := r.rows[match.Person.ID]; err == nil && stored.Version != match.Person.Version {
				t.Errorf("answered version %d of a row with version %d", match.Person.Version, stored.Version)
			}
			if again, err := d.Identify(t.Context(), people.Lease{}, test.clue); err == nil && again.Person.ID != match.Person.ID {
				t.Errorf("asked again, found %q", again.Person.ID)
			}
		})
	}
}

// D-49: two first messages at once made two contacts, or lost one of them.
func TestTwoFirstEventsAtOnceMakeOnePerson(t *testing.T) {
	d, r := directory(t)
	clues := []people.Clue{
		{Side: df.SideGHL, ContactID: "g1", Phone: ann},
		{Side: df.SideAloware, ContactID: "7", Phone: ann},
		{Phone: ann},
	}
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			if _, err := d.Identify(context.Background(), people.Lease{}, clues[i%len(clues)]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(r.rows) != 1 {
		t.Fatalf("%d people, want 1: %v", len(r.rows), r.rows)
	}
	for _, p := range r.rows {
		if p.GHLContactID != "g1" || p.AlowareContactID != "7" || p.SyncDirection != people.Bidirectional {
			t.Errorf("person is %+v", p)
		}
	}
	for _, phone := range r.locked {
		if phone != ann {
			t.Errorf("worked under the lock of %q", phone)
		}
	}
}

func TestALostRaceIsDecidedAnew(t *testing.T) {
	d, r := directory(t)
	clue := people.Clue{Side: df.SideGHL, ContactID: "g1"} // no phone, so no lock: only the unique id protects
	r.before = func() {
		r.rows["other"] = people.Person{ID: "other", GHLContactID: "g1", Status: people.Active, Version: 1}
	}
	match, err := d.Identify(t.Context(), people.Lease{}, clue)
	if err != nil || match.Person.ID != "other" {
		t.Fatalf("got %q, %v", match.Person.ID, err)
	}
}

func TestAWorkerThatLostItsLeaseIdentifiesNobody(t *testing.T) {
	d, r := directory(t)
	r.fence["ghl:g1"] = 2
	_, err := d.Identify(t.Context(), people.Lease{Lane: "ghl:g1", Fence: 1}, people.Clue{Side: df.SideGHL, ContactID: "g1"})
	if !errors.Is(err, people.ErrLeaseLost) || len(r.rows) != 0 {
		t.Fatalf("error %v, rows %v", err, r.rows)
	}
}

func TestClueOfReadsTheSideFromTheSource(t *testing.T) {
	n := df.Notice{ContactID: "7", Phone: ann, Email: " Ann@Example.test ", Kind: df.KindContactDeleted}
	if c := people.ClueOf(df.SourceAloware, n); c.Side != df.SideAloware || c.ContactID != "7" || c.Email != "ann@example.test" || !c.OnlyKnown {
		t.Errorf("clue %+v", c)
	}
	if c := people.ClueOf(df.SourceTexting, n); c.Side != "" || c.ContactID != "" {
		t.Errorf("a texting system has no contact ids: %+v", c)
	}
}

// contact is a contact with a phone.
func contact(id string, phone df.Phone) df.Contact {
	return df.Contact{ID: id, Fields: map[df.Field]string{df.PhoneNumber: string(phone)}}
}

func TestLinkJoinsAContactOnlyToItsPerson(t *testing.T) {
	tests := []struct {
		name string
		rows []people.Person
		rule people.Rule
		err  error
	}{
		{"a free contact is linked", nil, people.ByPhone, nil},
		{"a contact of an ended person is free",
			[]people.Person{{ID: "q", AlowareContactID: "7", Phone: ann, Status: people.Ended, EndedAt: noon}}, people.ByPhone, nil},
		{"the side's own announcement of the contact is absorbed",
			[]people.Person{{ID: "q", AlowareContactID: "7"}}, people.AsAbsorbed, nil},
		{"a person with both contacts keeps them",
			[]people.Person{{ID: "q", AlowareContactID: "7", GHLContactID: "g2", Phone: ann}}, "", people.ErrHeld},
		{"another phone keeps two halves apart",
			[]people.Person{{ID: "q", AlowareContactID: "7", Phone: bob}}, "", people.ErrHeld},
		{"a split is never joined again",
			[]people.Person{{ID: "q", AlowareContactID: "7", Phone: ann, ApartFrom: []string{"p"}}}, "", people.ErrHeld},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d, r := directory(t, append(test.rows, people.Person{ID: "p", GHLContactID: "g1", Phone: ann})...)
			match, err := d.Link(t.Context(), people.Lease{}, "p", df.SideAloware, contact("7", ann))
			if !errors.Is(err, test.err) || err == nil && match.Rule != test.rule {
				t.Fatalf("rule %q, error %v", match.Rule, err)
			}
			if err != nil && len(r.reviews) != 1 {
				t.Errorf("reviews %v, want one", r.reviews)
			}
			if linked := r.rows["p"].AlowareContactID == "7"; linked != (err == nil) {
				t.Errorf("linked: %v", linked)
			}
			if err == nil {
				again, err := d.Link(t.Context(), people.Lease{}, "p", df.SideAloware, contact("7", ann))
				if err != nil || again.Person.Version != match.Person.Version {
					t.Errorf("linking again changed the row: %v", err)
				}
			}
		})
	}
}

// D-58: a mapping silently jumped to another contact.
func TestLinkNeverReplacesAContact(t *testing.T) {
	d, r := directory(t, people.Person{ID: "p", GHLContactID: "g1", AlowareContactID: "7", Phone: ann})
	_, err := d.Link(t.Context(), people.Lease{}, "p", df.SideAloware, contact("9", ann))
	if !errors.Is(err, people.ErrHeld) || r.rows["p"].AlowareContactID != "7" {
		t.Fatalf("error %v, row %+v", err, r.rows["p"])
	}
}

package converge

import (
	"context"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

// lead returns a world with a person that only GHL holds.
func lead(t rapid.TB, set fields, tags ...string) *world {
	w := newWorld(t)
	w.ghl.has("g1", set, tags...)
	phone, _ := df.ParsePhone(set[df.PhoneNumber], "")
	w.person(people.Person{ID: "p", GHLContactID: "g1", Phone: phone})
	return w
}

func TestALeadOfGHLAppearsInAlowareOnce(t *testing.T) {
	w := lead(t, annFields(), "lead")
	w.converge(t)
	p := w.store.rows["p"]
	c := w.aloware.contacts[p.AlowareContactID]
	if w.aloware.creates != 1 || c.Get(df.City) != "Rome" || !hasTag(c.Tags, "lead") || p.SyncDirection != people.Bidirectional {
		t.Fatalf("person %+v, aloware %v", p, w.aloware.contacts)
	}
	w.quiet(t)
}

func TestAnAlowareContactAppearsInGHLOnce(t *testing.T) {
	w := newWorld(t)
	w.aloware.has("7", annFields(), "called")
	w.person(people.Person{ID: "p", AlowareContactID: "7", Phone: annPhone})
	w.converge(t)
	if w.ghl.creates != 1 || w.ghl.get(w.store.rows["p"].GHLContactID, df.FirstName) != "Ann" {
		t.Fatalf("%s, %v", w.upstream(), w.ghl.contacts)
	}
	w.quiet(t)
}

func TestWhatIsThereIsLinkedAndOnlyFilled(t *testing.T) {
	w := lead(t, annFields())
	w.aloware.has("7", fields{df.PhoneNumber: "202-555-0101", df.LastName: "Lee", df.City: "Oslo"})
	w.converge(t)
	if w.aloware.creates != 0 || w.store.rows["p"].AlowareContactID != "7" {
		t.Fatalf("%s", w.upstream())
	}
	if w.ghl.get("g1", df.LastName) != "Lee" || w.aloware.get("7", df.City) != "Rome" || w.aloware.get("7", df.Email) != "ann@example.test" {
		t.Errorf("ghl %v, aloware %v", w.ghl.contacts, w.aloware.contacts)
	}
	if len(w.store.conflicts) != 1 || w.store.conflicts[0].Kind != "first_meeting" {
		t.Errorf("conflicts %+v", w.store.conflicts)
	}
	w.quiet(t)
}

func TestAContactWithoutAPhoneStaysInGHL(t *testing.T) {
	w := lead(t, fields{df.FirstName: "Ann", df.Email: "ann@example.test"})
	r := w.converge(t)
	if w.aloware.creates+w.aloware.finds != 0 || len(r.Issues) != 1 || r.Issues[0].Kind != IssueNoPhone || !r.Settled() {
		t.Fatalf("%s, issues %+v", w.upstream(), r.Issues)
	}
	w.quiet(t)
	w.ghl.edit("g1", fields{df.PhoneNumber: string(annPhone)})
	w.converge(t)
	if w.aloware.creates != 1 || len(w.store.issues["p"]) != 0 || w.store.rows["p"].Phone != annPhone {
		t.Errorf("with a phone: %s, issues %v", w.upstream(), w.store.issues["p"])
	}
	w.quiet(t)
}

// D-48: the duplicate's id was thrown away with the error. GHL answers 400 with
// meta.contactId.
func TestADuplicateOnCreationIsLinked(t *testing.T) {
	w := newWorld(t)
	w.aloware.has("7", annFields())
	w.ghl.has("g1", annFields())
	w.person(people.Person{ID: "p", AlowareContactID: "7", Phone: annPhone})
	w.ghl.fault = func(op string) (error, bool) { // the search index lags behind
		if op == "find" {
			return w.ghl.fail(df.CodeNotFound, df.Refused, ""), false
		}
		return nil, false
	}
	w.converge(t)
	if len(w.ghl.contacts) != 1 || w.store.rows["p"].GHLContactID != "g1" {
		t.Fatalf("%v, person %+v", w.ghl.contacts, w.store.rows["p"])
	}
	w.quiet(t)
}

func TestASharedEmailIsNotOnePerson(t *testing.T) {
	w := newWorld(t)
	w.aloware.has("7", annFields())
	w.ghl.has("g9", fields{df.FirstName: "Bob", df.PhoneNumber: string(bobPhone), df.Email: "ann@example.test"})
	w.person(people.Person{ID: "p", AlowareContactID: "7", Phone: annPhone})
	r := w.converge(t)
	if w.store.rows["p"].GHLContactID != "" || len(r.Issues) != 1 || r.Issues[0].Kind != IssueDuplicate || r.Issues[0].ContactID != "g9" {
		t.Fatalf("person %+v, issues %+v", w.store.rows["p"], r.Issues)
	}
	if w.ghl.get("g9", df.FirstName) != "Bob" {
		t.Error("one person's data was written over another's")
	}
}

// D-46: the first hit of a search was taken.
func TestSeveralContactsThatFitAreAQuestion(t *testing.T) {
	w := newWorld(t)
	w.aloware.has("7", annFields())
	w.ghl.noDuplicates = false
	w.ghl.has("g1", annFields())
	w.ghl.has("g2", annFields())
	w.person(people.Person{ID: "p", AlowareContactID: "7", Phone: annPhone})
	r := w.converge(t)
	if w.ghl.creates != 0 || len(r.Issues) != 1 || r.Issues[0].Kind != IssueAmbiguous {
		t.Fatalf("%s, issues %+v", w.upstream(), r.Issues)
	}
	w.quiet(t)
}

func TestAContactOfSomebodyElseIsNotTaken(t *testing.T) {
	w := lead(t, annFields())
	w.aloware.has("7", annFields())
	w.ghl.has("g2", annFields())
	w.person(people.Person{ID: "q", GHLContactID: "g2", AlowareContactID: "7", Phone: annPhone})
	r := w.converge(t)
	if w.aloware.creates != 0 || w.store.rows["p"].AlowareContactID != "" || len(r.Issues) != 1 || r.Issues[0].Kind != IssueHeld || len(w.store.reviews) != 1 {
		t.Fatalf("person %+v, issues %+v, reviews %v", w.store.rows["p"], r.Issues, w.store.reviews)
	}
	w.quiet(t)
}

func TestTheAnnouncementOfOurOwnContactIsAbsorbed(t *testing.T) {
	w := lead(t, annFields())
	w.aloware.fault = func(op string) (error, bool) {
		if op == "create" { // its webhook, without a phone, is identified before we hear of the id
			w.store.rows["echo"] = people.Person{ID: "echo", AlowareContactID: "101", Status: people.Active, Version: 1}
		}
		return nil, false
	}
	w.converge(t)
	if p := w.store.rows["p"]; p.AlowareContactID != "101" || w.store.rows["echo"].MergedInto != "p" {
		t.Fatalf("people %+v", w.store.rows)
	}
	w.quiet(t)
}

func TestAnUnansweredCreationIsFoundBeforeItIsRepeated(t *testing.T) {
	w := lead(t, annFields())
	w.aloware.fault = func(op string) (error, bool) {
		if op == "create" {
			return w.aloware.fail(df.CodeTimeout, df.Unclear, ""), true
		}
		return nil, false
	}
	_, err := w.c.Reconcile(context.Background(), Lease{}, "p")
	if outcome, at := df.OutcomeOf(err); outcome != df.Unclear || !at.Equal(w.now.Add(w.c.Limits.UnclearAfter)) {
		t.Fatalf("outcome %v at %v", outcome, at)
	}
	w.aloware.fault = nil
	w.converge(t)
	if w.aloware.creates != 1 {
		t.Fatalf("%s", w.upstream())
	}
	w.quiet(t)
}

func TestAnUnansweredCreationIsFoundUnderTheNumberItWasMadeWith(t *testing.T) {
	w := lead(t, annFields())
	w.aloware.fault = func(op string) (error, bool) {
		if op == "create" {
			return w.aloware.fail(df.CodeTimeout, df.Unclear, ""), true
		}
		return nil, false
	}
	if _, err := w.c.Reconcile(context.Background(), Lease{}, "p"); err == nil {
		t.Fatal("no error")
	}
	w.aloware.fault = nil
	w.ghl.edit("g1", fields{df.PhoneNumber: string(bobPhone)})
	w.converge(t)
	if len(w.aloware.contacts) != 1 || w.aloware.contacts["101"].Phone() != bobPhone || len(w.store.issues["p"]) != 0 {
		t.Fatalf("aloware %v, issues %v", w.aloware.contacts, w.store.issues["p"])
	}
	w.quiet(t)
}

func TestASideThatIsNotConfiguredIsNotLinked(t *testing.T) {
	w := lead(t, annFields())
	w.aloware.absent = true
	if r := w.converge(t); !r.Settled() || len(r.Issues) != 0 {
		t.Fatalf("%+v", r)
	}
	w.aloware.absent = false
	w.converge(t)
	if w.aloware.creates != 1 {
		t.Errorf("%s", w.upstream())
	}
}

func TestOneBadFieldDoesNotKeepAPersonOut(t *testing.T) {
	set := annFields()
	set[df.Website] = "not a site"
	w := lead(t, set, "lead")
	w.aloware.hidden, w.aloware.noTags = []df.Field{df.Address, df.Website}, true
	w.ghl.edit("g1", fields{df.Address: "1 A St"})
	w.aloware.refuse = func(p df.Patch) error {
		if p.Set[df.Website] != "" {
			return w.aloware.fail(df.CodeInvalid, df.Refused, "website must be a URL")
		}
		return nil
	}
	w.converge(t)
	id := w.store.rows["p"].AlowareContactID
	if w.aloware.creates != 1 || w.aloware.get(id, df.City) != "Rome" || w.aloware.get(id, df.Address) != "1 A St" || !hasTag(w.aloware.contacts[id].Tags, "lead") {
		t.Errorf("aloware %v", w.aloware.contacts)
	}
	if issue := w.store.issues["p"]["aloware/website"]; issue.Kind != IssueRefused {
		t.Errorf("issues %v", w.store.issues["p"])
	}
	w.quiet(t)
}

func TestWhereNothingIsCreatedItIsStillFound(t *testing.T) {
	w := lead(t, annFields())
	w.c.NoCreate = map[df.Side]bool{df.SideAloware: true}
	w.converge(t)
	if w.aloware.creates != 0 {
		t.Fatal("created")
	}
	w.aloware.has("7", annFields())
	w.converge(t)
	if w.store.rows["p"].AlowareContactID != "7" {
		t.Error("not linked")
	}
}

// U9: an upsert that answers 2xx and drops the phone.
func TestWhatACreationLostIsWrittenAfterwards(t *testing.T) {
	w := newWorld(t)
	w.aloware.has("7", annFields())
	w.person(people.Person{ID: "p", AlowareContactID: "7", Phone: annPhone})
	w.ghl.drops = func(f df.Field) bool {
		return f == df.PhoneNumber && len(w.ghl.contacts) == 0
	}
	w.converge(t)
	if got := w.ghl.get(w.store.rows["p"].GHLContactID, df.PhoneNumber); got != string(annPhone) {
		t.Errorf("phone %q", got)
	}
	w.quiet(t)
}

// D-59: the phone number was stored as the contact's id when the answer had none.
func TestAnAnswerWithoutAnIDIsNoContact(t *testing.T) {
	w := lead(t, annFields())
	w.c.Sides[df.SideAloware] = anonymous{w.aloware}
	_, err := w.c.Reconcile(t.Context(), Lease{}, "p")
	if outcome, _ := df.OutcomeOf(err); outcome != df.Unclear || w.store.rows["p"].AlowareContactID != "" {
		t.Fatalf("error %v, person %+v", err, w.store.rows["p"])
	}
	w.c.Sides[df.SideAloware] = w.aloware
	w.converge(t)
	if w.aloware.creates != 1 {
		t.Errorf("%s", w.upstream())
	}
}

// anonymous forgets to say which contact it made.
type anonymous struct{ *fakeSide }

func (a anonymous) Create(ctx context.Context, c df.Contact) (df.Contact, error) {
	made, err := a.fakeSide.Create(ctx, c)
	made.ID = ""
	return made, err
}

func TestConsentFlagsAreNeverWritten(t *testing.T) {
	w := lead(t, annFields())
	yes := true
	c := w.ghl.contacts["g1"]
	c.DoNotCall, c.DoNotText = &yes, &yes
	w.ghl.contacts["g1"] = c
	var drafted df.Contact
	w.c.Sides[df.SideAloware] = spy{w.aloware, &drafted}
	w.converge(t)
	if drafted.DoNotCall != nil || drafted.DoNotText != nil {
		t.Error("consent travelled as data")
	}
}

type spy struct {
	*fakeSide
	drafted *df.Contact
}

func (s spy) Create(ctx context.Context, c df.Contact) (df.Contact, error) {
	*s.drafted = c
	return s.fakeSide.Create(ctx, c)
}

func TestPickNeverTakesAFirstHit(t *testing.T) {
	c := func(id, phone, email string) df.Contact {
		return df.Contact{ID: id, Fields: fields{df.PhoneNumber: phone, df.Email: email}}
	}
	a, b := string(annPhone), string(bobPhone)
	tests := []struct {
		name    string
		found   []df.Contact
		phone   df.Phone
		email   string
		id      string
		several bool
	}{
		{"nothing", nil, annPhone, "", "", false},
		{"one by phone", []df.Contact{c("1", a, "")}, annPhone, "x@example.test", "1", false},
		{"the same contact twice", []df.Contact{c("1", a, ""), c("1", a, "")}, annPhone, "", "1", false},
		{"phone before e-mail", []df.Contact{c("2", "", "x@example.test"), c("1", a, "")}, annPhone, "x@example.test", "1", false},
		{"an e-mail against a phone", []df.Contact{c("1", b, "x@example.test")}, annPhone, "x@example.test", "", false},
		{"an e-mail without a phone", []df.Contact{c("1", "", "X@example.test")}, annPhone, "x@example.test", "1", false},
		{"two by phone", []df.Contact{c("1", a, ""), c("2", a, "")}, annPhone, "", "", true},
		{"a fragment is no match", []df.Contact{c("1", a+"0", "")}, annPhone, "", "", false},
		{"no id", []df.Contact{c("", a, "")}, annPhone, "", "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, several := pick(test.found, test.phone, test.email)
			if got.ID != test.id || several != test.several {
				t.Errorf("picked %q, several %v", got.ID, several)
			}
		})
	}
}

func TestALostLeaseLinksNothing(t *testing.T) {
	w := lead(t, annFields())
	w.store.fence["person:p"] = 2
	_, err := w.c.Person(t.Context(), Work{PersonID: "p", Lease: Lease{Lane: "person:p", Fence: 1}})
	if !errors.Is(err, people.ErrLeaseLost) || w.store.rows["p"].AlowareContactID != "" {
		t.Fatalf("error %v, person %+v", err, w.store.rows["p"])
	}
}

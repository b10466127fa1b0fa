package aloware

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
)

func (f *fakeAloware) side() *Side {
	return NewSide(SideOptions{Client: f.client(), Clock: func() time.Time { return noon },
		Agents: agents{"41": "ADA", "42": "BOB"}, Custom: Custom{df.CustomField("ghlId"): "csf1", df.CustomField("hobby"): "hobby"}})
}

// joThere is the fake with one contact, 700001, under jo.
func joThere(t *testing.T) *fakeAloware {
	f := newFake(t)
	f.forms(map[string]any{"phone_number": string(jo), "first_name": "Jo", "last_name": "Doe", "email": "jo@example.test",
		"user_id": 41, "csf1": "ghl-1", "lead_source": "web"})
	return f
}

func TestReadShowsTheContactAndItsOwner(t *testing.T) {
	f := joThere(t)
	got, err := f.side().Read(t.Context(), df.Ref{ID: "700001", Phone: jo})
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != "700001" || got.Get(df.Owner) != "ADA" || got.Get(df.CustomField("ghlId")) != "ghl-1" || got.Phone() != jo ||
		got.DoNotCall == nil || *got.DoNotCall || !got.UpdatedAt.Equal(time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", got)
	}
	if got.Known(df.Address) || got.Tags != nil {
		t.Errorf("shows what the lookup hides: %+v", got)
	}
}

func TestReadRefusesAnotherContactUnderTheNumber(t *testing.T) {
	f := joThere(t)
	_, err := f.side().Read(t.Context(), df.Ref{ID: "1", Phone: jo})
	if got := failure(t, err); got.Code != df.CodeNotFound || !strings.Contains(got.Message, "another contact") {
		t.Error(got)
	}
	if _, err := f.side().Read(t.Context(), df.Ref{ID: "700001"}); !df.IsCode(err, df.CodeNotFound) {
		t.Errorf("no number: %v", err)
	}
	if found, err := f.side().Find(t.Context(), other, "jo@example.test"); err != nil || len(found) != 0 {
		t.Errorf("%+v, %v", found, err)
	}
	if found, err := f.side().Find(t.Context(), jo, ""); err != nil || len(found) != 1 || found[0].ID != "700001" {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestOwners(t *testing.T) {
	for _, test := range []struct {
		user  any
		owner string
		known bool
		err   error
	}{{41, "ADA", true, nil}, {"42", "BOB", true, nil}, {nil, "", true, nil}, {0, "", true, nil}, {-1, "", true, nil},
		{99, "", false, nil}, {13, "", false, context.DeadlineExceeded}} {
		f := joThere(t)
		f.contacts[string(jo)]["user_id"] = test.user
		got, err := f.side().byPhone(t.Context(), jo)
		if !errors.Is(err, test.err) || got.Get(df.Owner) != test.owner || got.Known(df.Owner) != test.known {
			t.Errorf("%v: %q, known %v, %v", test.user, got.Get(df.Owner), got.Known(df.Owner), err)
		}
	}
	f := joThere(t)
	nobody := NewSide(SideOptions{Client: f.client()})
	if got, err := nobody.byPhone(t.Context(), jo); err != nil || got.Known(df.Owner) || nobody.Holds(df.Owner) || nobody.Writable(df.Owner) {
		t.Errorf("without agents: %+v, %v", got, err)
	}
}

func TestWhatAlowareHoldsAndTakes(t *testing.T) {
	s := newFake(t).side()
	for _, field := range df.Fields() {
		if !s.Holds(field) {
			t.Errorf("does not hold %s", field)
		}
		if s.Writable(field) != (field != df.LeadSource) {
			t.Errorf("takes %s: %v", field, s.Writable(field))
		}
	}
	for field, want := range map[string][2]bool{"ghlId": {true, true}, "hobby": {true, false}, "unmapped": {false, false}} {
		f := df.CustomField(field)
		if s.Holds(f) != want[0] || s.Writable(f) != want[1] {
			t.Errorf("custom %s: holds %v, takes %v", field, s.Holds(f), s.Writable(f))
		}
	}
	if s.CanRemoveTags() || s.Name() != df.SideAloware {
		t.Error("Aloware removes no tags")
	}
}

func TestWriteSendsOnlyWhatChanged(t *testing.T) {
	f := joThere(t)
	err := f.side().Write(t.Context(), df.Ref{ID: "700001", Phone: jo}, df.Contact{}, df.Patch{
		Set:     map[df.Field]string{df.City: "", df.DateOfBirth: "2/9/1980", df.Owner: "BOB", df.CustomField("ghlId"): "g2"},
		AddTags: []string{"VIP", "Hot"}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"phone_number": string(jo), "force_update": true, "city": "", "date_of_birth": "1980-02-09",
		"user_id": 42.0, "csf1": "g2", "tags": "Hot,VIP"}
	if got := f.last("forms"); fmt.Sprint(got) != fmt.Sprint(want) || f.paths() != "forms" {
		t.Errorf("%v by %s", got, f.paths())
	}
}

func TestWriteNamesWhatAlowareHasNoPlaceFor(t *testing.T) {
	f := joThere(t)
	err := f.side().Write(t.Context(), df.Ref{Phone: jo}, df.Contact{}, df.Patch{Set: map[df.Field]string{df.City: "Rome",
		df.Owner: "NOBODY", df.LeadSource: "x", df.CustomField("hobby"): "chess"}, AddTags: []string{"a,b"}})
	got := failure(t, err)
	if got.Code != df.CodeNotWritten || got.Outcome != df.Refused {
		t.Errorf("%v", got)
	}
	for _, name := range []string{"assignedTo", "source", "custom:hobby", "tags"} {
		if !strings.Contains(got.Message, name) {
			t.Errorf("%q does not name %s", got.Message, name)
		}
	}
	if body := f.last("forms"); body["city"] != "Rome" || len(body) != 3 {
		t.Errorf("the rest was not written: %v", body)
	}
	for _, patch := range []df.Patch{{RemoveTags: []string{"x"}}, {Set: map[df.Field]string{df.Owner: ""}}} {
		before := len(f.calls)
		if err := f.side().Write(t.Context(), df.Ref{Phone: jo}, df.Contact{}, patch); !df.IsCode(err, df.CodeNotWritten) || len(f.calls) != before {
			t.Errorf("%+v: %v", patch, err)
		}
	}
	broken := df.Patch{Set: map[df.Field]string{df.Owner: "BROKEN"}}
	if err := f.side().Write(t.Context(), df.Ref{Phone: jo}, df.Contact{}, broken); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestCreateReturnsAlowaresOwnID(t *testing.T) {
	f := newFake(t)
	got, err := f.side().Create(t.Context(), df.Contact{Fields: map[df.Field]string{df.PhoneNumber: "(202) 555-0123", df.FirstName: "Jo",
		df.LastName: "", df.LeadSource: "ads", df.Owner: "ADA"}, Tags: []string{"VIP", "a,b"}, DoNotCall: ptr(true)})
	if err != nil || got.ID != "700001" || got.Get(df.FirstName) != "Jo" || got.DoNotCall == nil || !*got.DoNotCall {
		t.Fatalf("%+v, %v", got, err)
	}
	want := map[string]any{"phone_number": string(jo), "force_update": true, "first_name": "Jo", "lead_source": "ads", "user_id": 41.0,
		"tags": "VIP", "is_dnc": 1.0}
	if body := f.last("forms"); fmt.Sprint(body) != fmt.Sprint(want) {
		t.Errorf("%v", body)
	}
}

// The original, when its look-up found nothing yet, stored the phone number as
// the contact's id, which then clashed with the real one.
func TestCreateNeverInventsAnID(t *testing.T) {
	f := newFake(t)
	f.lag = 1
	contact := df.Contact{Fields: map[df.Field]string{df.PhoneNumber: string(jo)}}
	got, err := f.side().Create(t.Context(), contact)
	call := failure(t, err)
	if got.ID != "" || call.Outcome != df.RetryLater || call.Code != df.CodeNotWritten || !call.RetryAt.After(noon) {
		t.Fatalf("%+v, %v", got, call)
	}
	if got, err = f.side().Create(t.Context(), contact); err != nil || got.ID != "700001" || len(f.contacts) != 1 {
		t.Errorf("second try: %+v, %v", got, err)
	}
}

func TestCreateSaysWhoIsThereAlready(t *testing.T) {
	f := joThere(t)
	f.answers["forms"] = jsonWith(409, map[string]any{"message": "Contact exists."})
	contact := df.Contact{Fields: map[df.Field]string{df.PhoneNumber: string(jo)}}
	_, err := f.side().Create(t.Context(), contact)
	if got := failure(t, err); got.Code != df.CodeDuplicate || got.ContactID != "700001" {
		t.Errorf("%+v", got)
	}
	f.errs["contact/phone-number"] = &df.CallError{Outcome: df.RetryLater, Code: df.CodeTimeout}
	if _, err := f.side().Create(t.Context(), contact); !df.IsCode(err, df.CodeTimeout) {
		t.Error(err)
	}
	for _, phone := range []string{"", "12"} {
		if _, err := f.side().Create(t.Context(), df.Contact{Fields: map[df.Field]string{df.PhoneNumber: phone}}); !df.IsCode(err, df.CodeInvalid) {
			t.Errorf("number %q: %v", phone, err)
		}
	}
}

func move(extra map[df.Field]string) df.Patch {
	patch := df.Patch{Set: map[df.Field]string{df.PhoneNumber: string(joNew)}}
	for field, value := range extra {
		patch.Set[field] = value
	}
	return patch
}

func seenBy(t *testing.T, f *fakeAloware) df.Contact {
	t.Helper()
	seen, err := f.side().byPhone(t.Context(), jo)
	if err != nil {
		t.Fatal(err)
	}
	f.calls = nil
	return seen
}

// In the original a changed number made a second contact, and the mapping went
// on pointing at the first.
func TestWriteOfANewNumberWhereAlowareJoinsThem(t *testing.T) {
	f := joThere(t)
	f.joins = true
	seen := seenBy(t, f)
	if err := f.side().Write(t.Context(), df.Ref{ID: "700001", Phone: jo}, seen, move(nil)); err != nil {
		t.Fatal(err)
	}
	body := f.last("forms")
	if body["phone_number"] != string(joNew) || fmt.Sprint(body["other_phone_numbers"]) != "[map[label:Previous phone_number:"+string(jo)+"]]" {
		t.Errorf("%v", body)
	}
	if strings.Contains(f.paths(), "sequence") || strings.Contains(f.paths(), "powerdialer") {
		t.Errorf("the same contact was taken off its lists: %s", f.paths())
	}
}

func TestWriteOfANewNumberWhereAlowareMakesASecondContact(t *testing.T) {
	f := joThere(t)
	f.contacts[string(jo)]["is_dnc"] = 1
	seen := seenBy(t, f)
	seen.Tags = []string{"VIP"}
	// The owner without a user at Aloware must not hide that the id is another now.
	patch := move(map[df.Field]string{df.City: "Rome", df.Owner: "NOBODY"})
	patch.AddTags = []string{"Hot"}
	err := f.side().Write(t.Context(), df.Ref{ID: "700001", Phone: jo}, seen, patch)
	if got := failure(t, err); got.Code != df.CodeRekeyed || got.ContactID != "700002" {
		t.Fatalf("%+v", got)
	}
	body := f.contacts[string(joNew)]
	for key, want := range map[string]any{"first_name": "Jo", "email": "jo@example.test", "city": "Rome", "tags": "Hot,VIP", "is_dnc": 1.0, "user_id": 41.0} {
		if body[key] != want {
			t.Errorf("%s is %v, not %v: lost on the way", key, body[key], want)
		}
	}
	if !strings.HasSuffix(f.paths(), "powerdialer-remove-contact-from-lists contact/phone-number sequence-disenroll") {
		t.Errorf("the old number is still called: %s", f.paths())
	}
	if f.last("sequence-disenroll")["phone_number"] != string(jo) || f.last("powerdialer-remove-contact-from-lists")["contact_id"] != 700001.0 {
		t.Error("the wrong contact left its lists")
	}
}

func TestRekeyMayBeRepeatedAfterItWasCutShort(t *testing.T) {
	f := joThere(t)
	seen := seenBy(t, f)
	f.errs["powerdialer-remove-contact-from-lists"] = &df.CallError{Outcome: df.RetryLater, Code: df.CodeTimeout}
	if _, err := f.side().Rekey(t.Context(), df.Ref{ID: "700001", Phone: jo}, seen, move(nil)); !df.IsCode(err, df.CodeTimeout) {
		t.Fatal(err)
	}
	delete(f.errs, "powerdialer-remove-contact-from-lists")
	got, err := f.side().Rekey(t.Context(), df.Ref{ID: "700001", Phone: jo}, seen, move(nil))
	if err != nil || got.ID != "700002" || f.next != 700003 {
		t.Errorf("%+v, %v, %d made", got, err, f.next-700001)
	}
}

func TestRekeyLeavesSomebodyElsesNumberAlone(t *testing.T) {
	f := joThere(t)
	f.forms(map[string]any{"phone_number": string(joNew), "first_name": "Jo", "last_name": "Roe"})
	seen := seenBy(t, f)
	_, err := f.side().Rekey(t.Context(), df.Ref{ID: "700001", Phone: jo}, seen, move(nil))
	if got := failure(t, err); got.Code != df.CodeDuplicate || got.ContactID != "700002" || strings.Contains(f.paths(), "forms") {
		t.Errorf("%+v by %s", got, f.paths())
	}
	for _, patch := range []df.Patch{{Set: map[df.Field]string{df.PhoneNumber: ""}}, {Set: map[df.Field]string{df.PhoneNumber: "x"}}} {
		if err := f.side().Write(t.Context(), df.Ref{Phone: jo}, seen, patch); !df.IsCode(err, df.CodeInvalid) {
			t.Errorf("%v: %v", patch.Set, err)
		}
	}
	f.errs["contact/phone-number"] = &df.CallError{Outcome: df.RetryLater, Code: df.CodeUnavailable}
	if _, err := f.side().Rekey(t.Context(), df.Ref{Phone: jo}, seen, move(nil)); !df.IsCode(err, df.CodeUnavailable) {
		t.Error(err)
	}
}

func TestRetireSetsDoNotCallAndLeavesEverything(t *testing.T) {
	f := joThere(t)
	for range 2 { // each step may be repeated
		if err := f.side().Retire(t.Context(), df.Ref{Phone: jo}); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.paths(); !strings.HasPrefix(got, "contact/phone-number forms sequence-disenroll powerdialer-remove-contact-from-lists contact") {
		t.Errorf("%s", got)
	}
	if f.contacts[string(jo)]["is_dnc"] != 1.0 || len(f.contacts) != 1 {
		t.Errorf("%v", f.contacts)
	}
	for _, call := range f.calls {
		if call.Class != egress.Reserved {
			t.Errorf("%s does not use the reserve", path(call))
		}
	}
}

func TestRetireTriesEveryStepAndReturnsTheFirstFailure(t *testing.T) {
	f := joThere(t)
	first := &df.CallError{Outcome: df.RetryLater, Code: df.CodeTimeout}
	f.errs["forms"] = first
	f.errs["powerdialer-remove-contact-from-lists"] = errors.New("second")
	if err := f.side().Retire(t.Context(), df.Ref{ID: "700001", Phone: jo}); !errors.Is(err, first) {
		t.Error(err)
	}
	if f.paths() != "contact/phone-number forms sequence-disenroll powerdialer-remove-contact-from-lists" {
		t.Error(f.paths())
	}
}

func TestRetireTouchesNobodyElse(t *testing.T) {
	for name, ref := range map[string]df.Ref{"nobody has the number": {ID: "700001", Phone: other}, "somebody else has it": {ID: "1", Phone: jo},
		"no number": {ID: "700001"}} {
		f := joThere(t)
		if err := f.side().Retire(t.Context(), ref); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(f.paths(), "forms") || strings.Contains(f.paths(), "disenroll") || !strings.HasSuffix(f.paths(), "from-lists") {
			t.Errorf("%s: %s", name, f.paths())
		}
	}
	f := joThere(t)
	down := &df.CallError{Outcome: df.RetryLater, Code: df.CodeUnavailable}
	f.errs["contact/phone-number"] = down
	if err := f.side().Retire(t.Context(), df.Ref{ID: "700001", Phone: jo}); !errors.Is(err, down) || !strings.HasSuffix(f.paths(), "from-lists") {
		t.Errorf("look-up down: %v, %s", err, f.paths())
	}
}

package ghl

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"pgregory.net/rapid"
)

// converge declares this interface; it is repeated here because rooms do not
// import upwards.
var _ interface {
	Name() df.Side
	Read(ctx context.Context, ref df.Ref) (df.Contact, error)
	Find(ctx context.Context, phone df.Phone, email string) ([]df.Contact, error)
	Create(ctx context.Context, contact df.Contact) (df.Contact, error)
	Write(ctx context.Context, ref df.Ref, seen df.Contact, patch df.Patch) error
	Writable(field df.Field) bool
	Holds(field df.Field) bool
	CanRemoveTags() bool
} = (*Side)(nil)

// directory is an agent_directory of two.
type directory struct{ err error }

func (d directory) AgentKeyByGHLUser(_ context.Context, id string) (string, bool, error) {
	key, ok := map[string]string{"u1": "ANA", "u2": "BEN"}[id]
	return key, ok, d.err
}

func (d directory) GHLUserByAgentKey(_ context.Context, key string) (string, bool, error) {
	id, ok := map[string]string{"ANA": "u1", "BEN": "u2"}[key]
	return id, ok, d.err
}

var testFields = map[string]string{"case": "contact.case_number", "debt": "cf2", "interests": "interests", "twice": "Twice", "court": "court date", "gone": "no such"}

func testSide(f *fakeGHL) *Side {
	return NewSide(SideOptions{Client: f.client(), Agents: directory{}, CustomFields: testFields})
}

func TestReadNormalisesAndKnowsWhatIsEmpty(t *testing.T) {
	f := newFake(t)
	f.contacts["c1"] = map[string]any{"id": "c1", "locationId": fakeLocation, "firstName": " Dana ", "email": "Dana@Example.test",
		"phone": "+1 202-555-0143", "country": "us", "dateOfBirth": "1980-03-04T00:00:00.000Z", "assignedTo": "u1", "website": nil,
		"tags": []any{"Hot", "hot", "call_now", "SYS:df_middleware_origin"}, "dateUpdated": "2026-05-01T10:00:00.000Z", "dnd": false,
		"dndSettings": map[string]any{"SMS": map[string]any{"status": "permanent"}}, "unheardOf": []any{1},
		"customFields": []any{map[string]any{"id": "cf1", "value": "A-77"}, map[string]any{"id": "cf2", "value": 12.5},
			map[string]any{"id": "cf3", "value": []any{"law", "tax"}}, map[string]any{"id": "cf4", "value": "x"}}}
	got, err := testSide(f).Read(t.Context(), df.Ref{ID: "c1"})
	if err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	want := df.Contact{ID: "c1", Tags: []string{"call_now", "Hot"}, UpdatedAt: time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC),
		DoNotText: &yes, DoNotCall: &no, Fields: map[df.Field]string{df.FirstName: "Dana", df.LastName: "",
			df.Email: "dana@example.test", df.PhoneNumber: "+12025550143", df.Address: "", df.City: "", df.State: "", df.PostalCode: "",
			df.Country: "US", df.Website: "", df.DateOfBirth: "1980-03-04", df.Timezone: "", df.Company: "", df.LeadSource: "",
			df.Owner: "ANA", df.CustomField("case"): "A-77", df.CustomField("debt"): "12.5", df.CustomField("interests"): "law, tax",
			df.CustomField("court"): ""}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestWhatCannotBeReadIsUnknownNotEmpty(t *testing.T) {
	f := newFake(t)
	f.contacts["c1"] = map[string]any{"id": "c1", "phone": "call me", "country": "Florida", "dateOfBirth": "in spring",
		"assignedTo": "u99", "city": map[string]any{}, "customFields": []any{map[string]any{"id": "cf1", "value": map[string]any{"url": "x"}}}}
	got, err := testSide(f).Read(t.Context(), df.Ref{ID: "c1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []df.Field{df.PhoneNumber, df.Country, df.DateOfBirth, df.Owner, df.City, df.CustomField("case"), df.CustomField("twice")} {
		if got.Known(field) {
			t.Errorf("%s is known as %q", field, got.Get(field))
		}
	}
}

func TestReadOfWhatIsGone(t *testing.T) {
	f := newFake(t)
	f.contacts["c2"] = map[string]any{"id": "c2", "deleted": true}
	for _, id := range []string{"c1", "c2"} {
		if _, err := testSide(f).Read(t.Context(), df.Ref{ID: id}); !df.IsCode(err, df.CodeNotFound) {
			t.Errorf("%s: %v", id, err)
		}
	}
	// A mapping must never jump to another contact by itself (D-58).
	f.contacts["c3"] = map[string]any{"id": "c4"}
	if _, err := testSide(f).Read(t.Context(), df.Ref{ID: "c3"}); !df.IsCode(err, df.CodeNotFound) {
		t.Errorf("another contact: %v", err)
	}
	// No id is a mistake of ours, and must not look like a deletion.
	if _, err := testSide(f).Read(t.Context(), df.Ref{Phone: "+15005550111"}); !df.IsCode(err, df.CodeInvalid) {
		t.Errorf("no id: %v", err)
	}
}

// A fuzzy first hit used to link two different people for good (D-46), and a
// failed search to create a second contact (D-47).
func TestFindTakesExactMatchesOnly(t *testing.T) {
	f := newFake(t)
	f.contacts["c1"] = map[string]any{"id": "c1", "phone": "+12025550143", "email": "dana@example.test"}
	f.contacts["c2"] = map[string]any{"id": "c2", "phone": "+12025550144", "email": "ben@example.test"}
	s := testSide(f)
	tests := []struct {
		phone df.Phone
		email string
		want  string
	}{
		{"+12025550143", "", "c1"}, {"", " Dana@Example.test", "c1"}, {"+12025550143", "dana@example.test", "c1"},
		{"+12025550143", "ben@example.test", "c1 c2"}, {"+12025550199", "nobody@example.test", ""}, {"", "", ""},
	}
	for _, tt := range tests {
		found, err := s.Find(t.Context(), tt.phone, tt.email)
		var ids []string
		for _, contact := range found {
			ids = append(ids, contact.ID)
		}
		if err != nil || strings.Join(ids, " ") != tt.want {
			t.Errorf("%s %s: %v, %v", tt.phone, tt.email, ids, err)
		}
	}
	f.answer = func(w http.ResponseWriter, r *http.Request, _ map[string]any) bool {
		if strings.HasSuffix(r.URL.Path, "/duplicate") {
			reply(w, 200, map[string]any{"contact": map[string]any{"id": "c2", "phone": "+12025550143"}})
		}
		return strings.HasSuffix(r.URL.Path, "/duplicate")
	}
	if found, err := s.Find(t.Context(), "+12025550143", ""); err != nil || len(found) != 0 {
		t.Errorf("a hit that is another person was taken: %v, %v", found, err)
	}
	f.answer = func(w http.ResponseWriter, _ *http.Request, _ map[string]any) bool {
		refuse(w, 500, "Internal server error")
		return true
	}
	if _, err := s.Find(t.Context(), "+12025550143", ""); !df.IsCode(err, df.CodeUnavailable) {
		t.Errorf("an outage: %v", err)
	}
}

func TestFoundContactThatHasJustGoneIsNone(t *testing.T) {
	f := newFake(t)
	f.answer = func(w http.ResponseWriter, r *http.Request, _ map[string]any) bool {
		if strings.HasSuffix(r.URL.Path, "/duplicate") {
			reply(w, 200, map[string]any{"contact": map[string]any{"id": "c9"}})
			return true
		}
		return false
	}
	if found, err := testSide(f).Find(t.Context(), "+12025550143", ""); err != nil || len(found) != 0 {
		t.Errorf("%v, %v", found, err)
	}
}

func TestCreateWritesEverythingOnce(t *testing.T) {
	f := newFake(t)
	yes := true
	got, err := testSide(f).Create(t.Context(), df.Contact{Tags: []string{"Hot"}, DoNotText: &yes, Fields: map[df.Field]string{
		df.FirstName: "Dana", df.LastName: "", df.Email: "Dana@Example.test", df.PhoneNumber: "202-555-0143", df.Country: "us",
		df.Company: "Reyes LLC", df.LeadSource: "aloware", df.Owner: "BEN", df.CustomField("debt"): "12.50",
		df.CustomField("interests"): "law, tax,law", df.CustomField("unmapped"): "x"}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"locationId": fakeLocation, "firstName": "Dana", "email": "dana@example.test", "phone": "+12025550143",
		"country": "US", "companyName": "Reyes LLC", "source": "aloware", "assignedTo": "u2", "tags": []any{"Hot"},
		"dndSettings": map[string]any{"SMS": map[string]any{"status": "active", "message": "opted out before the contact was created"}},
		"customFields": []any{map[string]any{"id": "cf2", "field_value": 12.5},
			map[string]any{"id": "cf3", "field_value": []any{"law", "tax"}}}}
	if body := f.bodyOf(http.MethodPost); !reflect.DeepEqual(body, want) {
		t.Errorf("sent %v\nwant %v", body, want)
	}
	if got.ID != "new1" || got.Get(df.Owner) != "BEN" || got.Get(df.CustomField("debt")) != "12.5" || !got.Known(df.City) {
		t.Errorf("got %+v", got)
	}
}

// Found by the storm: GHL answered 201 with an id and kept nothing. The person
// was linked to a contact that never was; a day later that looked like a
// deletion, and the dialer was told never to call again.
func TestCreateDoesNotBelieveInAContactThatIsNotThere(t *testing.T) {
	f := newFake(t)
	f.answer = func(w http.ResponseWriter, r *http.Request, _ map[string]any) bool {
		if r.Method != http.MethodPost {
			return false
		}
		reply(w, 201, map[string]any{"contact": map[string]any{"id": "never"}})
		return true
	}
	got, err := testSide(f).Create(t.Context(), df.Contact{Fields: map[df.Field]string{df.PhoneNumber: "+12025550143"}})
	if e := callError(t, err); e.Outcome != df.Unclear || e.Code != df.CodeNotWritten || got.ID != "" {
		t.Errorf("%+v, %+v", got, e)
	}
}

// GHL names the contact that is already there; that used to be thrown away (D-48).
func TestCreateOfADuplicateNamesTheContact(t *testing.T) {
	f := newFake(t)
	f.contacts["c1"] = map[string]any{"id": "c1", "phone": "+12025550143"}
	_, err := testSide(f).Create(t.Context(), df.Contact{Fields: map[df.Field]string{df.PhoneNumber: "+12025550143"}})
	if e := callError(t, err); e.Code != df.CodeDuplicate || e.ContactID != "c1" || e.Outcome != df.Refused {
		t.Errorf("%+v", e)
	}
}

func TestWriteSendsOnlyWhatChanged(t *testing.T) {
	f := newFake(t)
	f.contacts["c1"] = map[string]any{"id": "c1", "firstName": "Dana", "lastName": "Reyes", "postalCode": "1", "assignedTo": "u1", "tags": []any{"HOT", "old"}}
	err := testSide(f).Write(t.Context(), df.Ref{ID: "c1"}, df.Contact{Tags: []string{"HOT", "old"}},
		df.Patch{Set: map[df.Field]string{df.LastName: "", df.PostalCode: "", df.Owner: "", df.Company: "x", df.LeadSource: "x"},
			AddTags: []string{"New"}, RemoveTags: []string{"hot"}})
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var got []any
	for _, request := range f.seen {
		got = append(got, request.line, request.body)
	}
	want := []any{"PUT /contacts/c1", map[string]any{"lastName": nil, "postalCode": "", "assignedTo": nil},
		"POST /contacts/c1/tags", map[string]any{"tags": []any{"New"}}, "DELETE /contacts/c1/tags", map[string]any{"tags": []any{"HOT"}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("sent %v", got)
	}
	if tags := f.contacts["c1"]["tags"]; !reflect.DeepEqual(tags, []any{"old", "New"}) {
		t.Errorf("tags %v", tags)
	}
}

func TestWriteOfNothingCallsNobody(t *testing.T) {
	f := newFake(t)
	s := testSide(f)
	for _, patch := range []df.Patch{{}, {Set: map[df.Field]string{df.Company: "x"}}, {Set: map[df.Field]string{df.CustomField("unmapped"): "x"}}} {
		if err := s.Write(t.Context(), df.Ref{ID: "c1"}, df.Contact{}, patch); err != nil || len(f.lines()) != 0 {
			t.Errorf("%v: %v, %v", patch, err, f.lines())
		}
	}
}

func TestValuesThatGHLHasNoFormForAreLeftOutAndNamed(t *testing.T) {
	f := newFake(t)
	f.contacts["c1"] = map[string]any{"id": "c1"}
	var log bytes.Buffer
	s := NewSide(SideOptions{Client: f.client(), Agents: directory{}, CustomFields: testFields, Log: logInto(&log)})
	err := s.Write(t.Context(), df.Ref{ID: "c1"}, df.Contact{}, df.Patch{Set: map[df.Field]string{df.City: "Tampa",
		df.PhoneNumber: "5", df.Country: "Atlantis", df.DateOfBirth: "soon", df.Owner: "UNASSIGNED",
		df.CustomField("debt"): "much", df.CustomField("gone"): "x", df.CustomField("twice"): "x"}})
	if err != nil {
		t.Fatal(err)
	}
	if body := f.lastBody(); !reflect.DeepEqual(body, map[string]any{"city": "Tampa"}) {
		t.Errorf("sent %v", body)
	}
	for _, field := range []string{"phone", "country", "dateOfBirth", "assignedTo", "custom:debt", "custom:gone", "custom:twice"} {
		if !strings.Contains(log.String(), "field="+field) {
			t.Errorf("%s is not logged", field)
		}
	}
	if strings.Contains(log.String(), "Atlantis") || strings.Contains(log.String(), "much") {
		t.Error("a value is in the log")
	}
}

func TestRefusedFieldsDoNotHoldTheTagsBack(t *testing.T) {
	f := newFake(t)
	f.contacts["c1"] = map[string]any{"id": "c1"}
	f.contacts["c2"] = map[string]any{"id": "c2", "phone": "+12025550143"}
	s := testSide(f)
	patch := df.Patch{Set: map[df.Field]string{df.PhoneNumber: "+12025550143"}, AddTags: []string{"a"}}
	err := s.Write(t.Context(), df.Ref{ID: "c1"}, df.Contact{}, patch)
	if e := callError(t, err); e.Code != df.CodeDuplicate || e.ContactID != "c2" {
		t.Errorf("%+v", e)
	}
	if tags := f.contacts["c1"]["tags"]; !reflect.DeepEqual(tags, []any{"a"}) {
		t.Errorf("tags %v", tags)
	}
	f.answer = func(w http.ResponseWriter, r *http.Request, _ map[string]any) bool {
		if r.Method == http.MethodPost {
			refuse(w, 429, "Too Many Requests")
		}
		return r.Method == http.MethodPost
	}
	if err := s.Write(t.Context(), df.Ref{ID: "c1"}, df.Contact{}, patch); !df.IsCode(err, df.CodeRateLimited) {
		t.Errorf("what is to be retried must show: %v", err)
	}
	if err := s.Write(t.Context(), df.Ref{ID: "c9"}, df.Contact{}, patch); !df.IsCode(err, df.CodeNotFound) {
		t.Errorf("gone: %v", err)
	}
}

func TestDirectoryThatFailsIsAnErrorNotAnUnknownOwner(t *testing.T) {
	f := newFake(t)
	f.contacts["c1"] = map[string]any{"id": "c1", "assignedTo": "u1"}
	broken := errors.New("database is down")
	s := NewSide(SideOptions{Client: f.client(), Agents: directory{broken}})
	if _, err := s.Read(t.Context(), df.Ref{ID: "c1"}); !errors.Is(err, broken) {
		t.Errorf("read: %v", err)
	}
	if err := s.Write(t.Context(), df.Ref{ID: "c1"}, df.Contact{}, df.Patch{Set: map[df.Field]string{df.Owner: "ANA"}}); !errors.Is(err, broken) {
		t.Errorf("write: %v", err)
	}
	// A contact that was created is there, whatever cannot be looked up about it.
	f.answer = func(w http.ResponseWriter, _ *http.Request, _ map[string]any) bool {
		reply(w, 201, map[string]any{"contact": map[string]any{"id": "new", "assignedTo": "u1"}})
		return true
	}
	if got, err := s.Create(t.Context(), df.Contact{Fields: map[df.Field]string{df.City: "Tampa"}}); err != nil || got.ID != "new" {
		t.Errorf("create: %+v, %v", got, err)
	}
}

func TestWhichFieldsGHLHolds(t *testing.T) {
	s := testSide(newFake(t))
	for _, field := range df.Fields() {
		if !s.Holds(field) {
			t.Errorf("%s is not held", field)
		}
		if s.Writable(field) == (field == df.Company || field == df.LeadSource) {
			t.Errorf("%s writable: %v", field, s.Writable(field))
		}
	}
	if !s.Holds(df.CustomField("debt")) || s.Holds(df.CustomField("other")) || s.Name() != df.SideGHL || !s.CanRemoveTags() {
		t.Error("custom fields")
	}
}

// Whatever is written and accepted reads back as written, and writing it again
// changes nothing more.
func TestWrittenValuesReadBack(t *testing.T) {
	f := newFake(t)
	s := testSide(f)
	word := rapid.StringMatching(`[A-Za-z][A-Za-z ]{0,8}[A-Za-z]`)
	values := map[df.Field]*rapid.Generator[string]{
		df.FirstName: word, df.LastName: word, df.City: word, df.State: word, df.Address: word, df.Timezone: word,
		df.PostalCode: rapid.StringMatching(`[0-9]{5}`), df.Website: rapid.Just("https://example.test"),
		df.Email:       rapid.StringMatching(`[A-Za-z]{1,8}@example\.test`),
		df.PhoneNumber: rapid.StringMatching(`\+1202555[0-9]{4}`), df.Country: rapid.StringMatching(`[A-Za-z]{2}`),
		df.DateOfBirth: rapid.Just("1980-03-04"), df.Owner: rapid.SampledFrom([]string{"ANA", "BEN"}),
		df.CustomField("case"): word, df.CustomField("debt"): rapid.StringMatching(`[1-9][0-9]{0,5}`), df.CustomField("interests"): word,
	}
	fields := slices.Sorted(maps.Keys(values))
	rapid.Check(t, func(t *rapid.T) {
		f.contacts = map[string]map[string]any{"c1": {"id": "c1"}}
		want := map[df.Field]string{}
		for range 3 {
			patch := df.Patch{Set: map[df.Field]string{}}
			for _, field := range rapid.SliceOfDistinct(rapid.SampledFrom(fields), rapid.ID).Draw(t, "fields") {
				value := rapid.OneOf(values[field], rapid.Just("")).Draw(t, string(field))
				patch.Set[field] = value
				want[field], _ = normalise(field, value, "")
			}
			if err := s.Write(context.Background(), df.Ref{ID: "c1"}, df.Contact{}, patch); err != nil {
				t.Fatal(err)
			}
			got, err := s.Read(context.Background(), df.Ref{ID: "c1"})
			if err != nil {
				t.Fatal(err)
			}
			for field, value := range want {
				if got.Get(field) != value || !got.Known(field) {
					t.Fatalf("%s = %q, want %q", field, got.Get(field), value)
				}
			}
		}
	})
}

package console_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// api sends JSON to the admin API and returns its answer.
func (w *world) api(method, path, body string) (int, map[string]any) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.URL+path, strings.NewReader(body))
	w.must(err)
	r.Header.Set(auth.AdminHeader, adminSecret)
	response, err := http.DefaultClient.Do(r)
	w.must(err)
	defer func() { _ = response.Body.Close() }()
	var answer map[string]any
	w.must(json.NewDecoder(response.Body).Decode(&answer))
	return response.StatusCode, answer
}

// half adds a person who is known at Aloware only.
func (w *world) half(contact string, phone df.Phone) string {
	w.t.Helper()
	now := w.clock.now()
	id := w.id(now)
	w.must(w.store.InTx(w.t.Context(), func(tx store.Tx) error {
		return store.InsertPerson(w.t.Context(), tx, store.Person{ID: id, AlowareContactID: contact, Phone: phone, Status: "active", SyncDirection: "bidirectional", CreatedAt: now, UpdatedAt: now})
	}))
	return id
}

func (w *world) personNow(id string) store.Person {
	w.t.Helper()
	p, err := store.PersonByID(w.t.Context(), w.store, id)
	w.must(err)
	return p
}

// The admin API of the contract names merge and split; the original had neither,
// and two halves of one person stayed apart for ever.
func TestTwoPeopleAreMergedAndTheMergeIsUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	other := w.half("99001", "+15005550120")
	w.must(w.store.InTx(t.Context(), func(tx store.Tx) error {
		return store.InsertReview(t.Context(), tx, store.Review{Key: "ambiguous_phone/x", Kind: "ambiguous_phone", PersonID: w.person, Side: df.SideAloware,
			Phone: "+15005550120", Candidates: []string{other}, At: w.clock.now()})
	}))
	if status, answer := w.api("GET", "/api/admin/mappings/reviews", ""); status != 200 || len(answer["data"].([]any)) != 1 {
		t.Fatalf("the question: %d %v", status, answer)
	}
	body := `{"winnerId":"` + w.person + `","loserId":"` + other + `"`
	if status, _ := w.api("POST", "/api/admin/mappings/merge", body+`}`); status != 400 {
		t.Errorf("a merge without a reason: %d", status)
	}
	asked := w.syncs.Load()
	if status, answer := w.api("POST", "/api/admin/mappings/merge", body+`,"reason":"the same woman"}`); status != 200 {
		t.Fatalf("merge: %d %v", status, answer)
	}
	if p := w.personNow(other); p.MergedInto != w.person || p.Status != "ended" {
		t.Errorf("after the merge the other is %+v", p)
	}
	if w.syncs.Load() != asked+1 {
		t.Error("the merged person does not converge")
	}
	if status, answer := w.api("GET", "/api/admin/mappings/reviews", ""); status != 200 || len(answer["data"].([]any)) != 0 {
		t.Errorf("the question is still open: %v", answer)
	}
	if status, _ := w.api("POST", "/api/admin/mappings/merge", body+`,"reason":"again"}`); status != 409 {
		t.Errorf("a second merge: %d", status)
	}
	_, answer := w.api("GET", "/api/admin/mappings/changes?personId="+other, "")
	change := answer["data"].([]any)[0].(map[string]any)
	undo := "/api/admin/mappings/changes/" + change["id"].(string) + "/undo"
	if status, answer := w.api("POST", undo, `{"reason":"a mistake"}`); status != 200 {
		t.Fatalf("undo: %d %v", status, answer)
	}
	if p := w.personNow(other); p.MergedInto != "" || p.AlowareContactID != "99001" {
		t.Errorf("after the undo the other is %+v", p)
	}
	if status, _ := w.api("POST", undo, `{"reason":"again"}`); status != 409 {
		t.Errorf("a second undo: %d", status)
	}
	_, audited := w.api("GET", "/api/admin/audit", "")
	if text, _ := json.Marshal(audited); !strings.Contains(string(text), "mapping.merge") || !strings.Contains(string(text), "mapping.undo") {
		t.Errorf("the audit log lacks it: %s", text)
	}
}

func TestAnOperatorMergesSplitsAndUndoesOnThePages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	other := w.half("99001", "+15005550120")
	w.has("/mappings", "Repair a mapping", "seD4PfOuKoVMLkEZqohJ")
	w.has("/mappings/merge?keep="+w.person+"&end="+other, "The other way round", "99001")
	if got := w.post("/mappings/merge", "keep", w.person, "end", other, "reason", "the same"); got.status != http.StatusSeeOther {
		t.Fatalf("merge: %d %.300s", got.status, got.body)
	}
	w.has("/people/"+w.person, "Merged and split", "the same")
	changes, err := w.store.PeopleChanges(t.Context(), w.person, "", 9)
	if err != nil || len(changes) != 1 {
		t.Fatalf("%v, %v", changes, err)
	}
	w.has("/mappings?view=changes", changes[0].ID)
	undo := "/mappings/changes/" + changes[0].ID + "/undo"
	w.has(undo, "Undo this merge?")
	if got := w.post(undo, "reason", "a mistake"); got.status != http.StatusSeeOther {
		t.Fatalf("undo: %d %.300s", got.status, got.body)
	}
	w.has("/mappings/split?person="+w.person, "12025550143", "88213")
	if got := w.post("/mappings/split", "person", w.person, "side", "aloware", "phone", "+12025550143", "reason", "two sisters"); got.status != http.StatusSeeOther {
		t.Fatalf("split: %d %.300s", got.status, got.body)
	}
	if p := w.personNow(w.person); p.AlowareContactID != "" || len(p.ApartFrom) != 1 || len(p.OtherPhones) != 0 {
		t.Errorf("after the split the person is %+v", p)
	}
	if got := w.get("/mappings/split?person=" + w.person); got.status != http.StatusConflict {
		t.Errorf("a person with one contact can be split: %d", got.status)
	}
	if got := w.post("/mappings/repair", "phone", "no number"); got.status != http.StatusBadRequest {
		t.Errorf("a repair of nobody: %d", got.status)
	}
	if got := w.post("/mappings/repair", "ghlContactId", "seD4PfOuKoVMLkEZqohJ"); got.status != http.StatusSeeOther {
		t.Errorf("a repair: %d", got.status)
	}
}

func TestAQuestionOfWhoIsWhoIsClosedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	for i, key := range []string{"shared/phone/one", "shared/phone/two"} {
		w.must(w.store.InTx(t.Context(), func(tx store.Tx) error {
			return store.InsertReview(t.Context(), tx, store.Review{Key: key, Kind: "shared_phone", PersonID: w.person, Side: df.SideGHL, Candidates: []string{w.ended},
				At: w.clock.now().Add(time.Duration(i) * time.Second)})
		}))
	}
	w.has("/mappings?view=questions", "shared phone", "The same", "Different")
	w.has("/mappings/resolve?key=shared/phone/one", "Are they different people?")
	if got := w.post("/mappings/resolve", "key", "shared/phone/one", "reason", "sisters"); got.status != http.StatusSeeOther {
		t.Fatalf("%d %.300s", got.status, got.body)
	}
	if got := w.post("/mappings/resolve", "key", "shared/phone/one", "reason", "sisters"); got.status != http.StatusConflict {
		t.Errorf("again: %d", got.status)
	}
	status, answer := w.api("GET", "/api/admin/mappings/reviews?limit=1", "")
	if status != 200 || len(answer["data"].([]any)) != 1 || answer["nextCursor"] == nil {
		t.Fatalf("%d %v", status, answer)
	}
	if _, rest := w.api("GET", "/api/admin/mappings/reviews?limit=1&cursor="+answer["nextCursor"].(string), ""); len(rest["data"].([]any)) != 0 {
		t.Errorf("the page after the last holds %v", rest)
	}
}

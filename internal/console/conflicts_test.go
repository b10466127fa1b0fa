package console_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// conflict adds one about a field, with Houston in GHL and El Paso in Aloware.
func (w *world) conflict(field df.Field) string {
	w.t.Helper()
	now := w.clock.now()
	p, err := store.PersonByID(w.t.Context(), w.store, w.person)
	w.must(err)
	id := w.id(now)
	w.must(w.store.SaveConvergence(w.t.Context(), store.Lease{}, store.Convergence{Person: p, At: now, Conflicts: []store.Conflict{
		{ID: id, Field: field, Kind: "both_changed", Base: map[df.Side]string{}, Chosen: df.SideGHL, Value: "Houston", Rule: "prefer_ghl",
			Seen: map[df.Side]string{df.SideGHL: "Houston", df.SideAloware: "El Paso"}}}}))
	return id
}

func (w *world) conflictOf(id string) store.Conflict {
	w.t.Helper()
	k, err := store.ConflictByID(w.t.Context(), w.store, id)
	w.must(err)
	return k
}

// code returns the stable code of a refusal, and its details.
func code(body map[string]any) string {
	failure, _ := body["error"].(map[string]any)
	return fmt.Sprint(failure["code"], " ", failure["details"])
}

func TestAConflictIsResolvedThroughTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	id := w.conflict(df.State)
	at := "/api/admin/conflicts/" + id
	for body, want := range map[string]int{
		`{"choice":"ghl"}`: 400, `{"choice":"ghl","reason":"  "}`: 400, `{"choice":"both","reason":"r"}`: 400, `{}`: 400,
	} {
		if status, _ := w.api("POST", at+"/resolve", body); status != want || w.conflictOf(id).State != store.ConflictOpen {
			t.Errorf("%s: %d", body, status)
		}
	}
	if status, _ := w.api("POST", "/api/admin/conflicts/nobody/resolve", `{"choice":"keep","reason":"r"}`); status != http.StatusNotFound {
		t.Errorf("one that is not there: %d", status)
	}
	ask := `{"choice":"aloware","reason":"she said so"}`
	for range 2 {
		status, body := w.api("POST", at+"/resolve", ask)
		data, _ := body["data"].(map[string]any)
		if status != 200 || data["state"] != "asked" || data["decidedBy"] != "admin" || data["reason"] != "she said so" {
			t.Errorf("%d %v", status, body)
		}
	}
	for _, other := range []string{"ghl", "keep"} {
		status, body := w.api("POST", at+"/resolve", `{"choice":"`+other+`","reason":"no"}`)
		if status != http.StatusConflict || code(body) != "CONFLICT_DECIDED map[choice:aloware state:asked]" {
			t.Errorf("%s afterwards: %d %s", other, status, code(body))
		}
	}
	status, body := w.api("GET", at, "")
	if data, _ := body["data"].(map[string]any); status != 200 || data["choice"] != "aloware" || len(data["choices"].([]any)) != 3 {
		t.Errorf("%d %v", status, body)
	}
	for query, want := range map[string]int{"state=asked": 1, "state=open": 2, "field=city": 1, "field=city&state=asked": 0, "chosen=none": 1, "chosen=ghl&personId=" + w.person: 2, "personId=x": 0} {
		status, body := w.api("GET", "/api/admin/conflicts?"+query, "")
		if rows, _ := body["data"].([]any); status != 200 || len(rows) != want {
			t.Errorf("%s: %d, %d rows", query, status, len(rows))
		}
	}
	for _, query := range []string{"state=shut", "chosen=verity", "cursor=x"} {
		if status, _ := w.api("GET", "/api/admin/conflicts?"+query, ""); status != http.StatusBadRequest {
			t.Errorf("%s: %d", query, status)
		}
	}
}

// What consent or identity owns can only be accepted, and that is said before
// anything changes.
func TestSomeConflictsCanOnlyBeAccepted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	for field, because := range map[df.Field]string{"tags": "tags", df.PhoneNumber: "phone", "dnd": "consent"} {
		id := w.conflict(field)
		at := "/api/admin/conflicts/" + id + "/resolve"
		status, body := w.api("POST", at, `{"choice":"aloware","reason":"r"}`)
		if status != http.StatusConflict || code(body) != "CONFLICT_ONLY_KEPT map[because:"+because+"]" || w.conflictOf(id).State != store.ConflictOpen {
			t.Errorf("%s: %d %s", field, status, code(body))
		}
		if status, body := w.api("POST", at, `{"choice":"keep","reason":"r"}`); status != 200 || w.conflictOf(id).State != store.ConflictAccepted {
			t.Errorf("%s accepted: %d %v", field, status, body)
		}
	}
	id := w.conflict(df.City)
	_, err := w.store.Exec(t.Context(), `UPDATE contact_mappings SET ended_at = $1 WHERE id = $2`, w.clock.now(), w.person)
	w.must(err)
	if status, body := w.api("POST", "/api/admin/conflicts/"+id+"/resolve", `{"choice":"ghl","reason":"r"}`); status != http.StatusConflict ||
		code(body) != "CONFLICT_ONLY_KEPT map[because:person_ended]" {
		t.Errorf("of somebody who ended: %d %s", status, code(body))
	}
}

func TestAConflictIsResolvedFromItsPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	id := w.conflict(df.City)
	at := "/conflicts/" + id
	w.has("/conflicts?state=open&field=city", at, "El Paso", `name="id" value="`+id+`"`, "Accept everything open that fits")
	w.has(at, "Houston", "El Paso", "never agreed", "both sides may change the field; where both did, GoHighLevel wins", "What may be chosen", "Let the value of Aloware stand")
	w.has(at+"/resolve?choice=aloware", "Reason, kept in the audit log", "El Paso", "Both sides are read first")
	if got := w.get(at + "/resolve?choice=both"); got.status != http.StatusBadRequest {
		t.Errorf("a choice that there is not: %d", got.status)
	}
	if got := w.post(at+"/resolve", "choice", "aloware", "reason", " "); got.status != http.StatusBadRequest || w.conflictOf(id).State != store.ConflictOpen {
		t.Errorf("without a reason: %d", got.status)
	}
	w.done(w.post(at+"/resolve", "choice", "aloware", "reason", "she said so"), at)
	page := w.has(at, "Asked for: both sides are read now", "The value of Aloware was asked for by admin", "she said so")
	if strings.Contains(page, "What may be chosen") {
		t.Error("it may be chosen about once more")
	}
	if got := w.get(at + "/resolve?choice=keep"); got.status != http.StatusConflict {
		t.Errorf("it is asked about once more: %d", got.status)
	}
	if got := w.post(at+"/resolve", "choice", "keep", "reason", "no"); got.status != http.StatusConflict {
		t.Errorf("decided otherwise: %d", got.status)
	}
	w.has("/people/"+w.person, "conflict.ask", "by admin: she said so", "The value of Aloware was asked for by admin")
	phone := w.conflict(df.PhoneNumber)
	w.has("/conflicts/"+phone, "Cannot be chosen: the phone is how a person is known")
	if got := w.get("/conflicts/" + phone + "/resolve?choice=ghl"); got.status != http.StatusConflict {
		t.Errorf("a phone: %d", got.status)
	}
}

// Who only looks sees the values, as on the person's page, and no button.
func TestAViewerResolvesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	id := w.conflict(df.City)
	w.signInAs(w.user("Vera", console.Viewer))
	for _, path := range []string{"/conflicts", "/conflicts/" + id} {
		if page := w.has(path, "El Paso"); strings.Contains(page, "stand…") || strings.Contains(page, "ticked…") {
			t.Errorf("%s offers a viewer to resolve", path)
		}
	}
	for path, fields := range map[string][]string{
		"/conflicts/" + id + "/resolve": {"choice", "aloware", "reason", "r"},
		"/conflicts/bulk":               {"which", "ticked", "id", id, "conflicts", "1", "untilSeq", "9", "reason", "r"},
	} {
		if got := w.post(path, fields...); got.status != http.StatusForbidden || w.conflictOf(id).State != store.ConflictOpen {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	w.signInAs(w.robin)
	w.done(w.post("/conflicts/"+id+"/resolve", "choice", "keep", "reason", "fine"), "/conflicts/"+id)
	if k := w.conflictOf(id); k.State != store.ConflictAccepted || !strings.Contains(k.DecidedBy, "Robin") {
		t.Errorf("%+v", k)
	}
}

func TestManyConflictsAreAcceptedAsOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	var ids []string
	for range 3 {
		ids = append(ids, w.conflict(df.State))
	}
	bulk := func(body string) (int, map[string]any) {
		status, answer := w.api("POST", "/api/admin/conflicts/bulk", body)
		data, _ := answer["data"].(map[string]any)
		if data == nil {
			data = answer
		}
		return status, data
	}
	status, dry := bulk(`{"action":"accept","filter":{"field":"state"}}`)
	if status != 200 || dry["conflicts"] != 3.0 || dry["people"] != 1.0 || dry["more"] != false || w.conflictOf(ids[0]).State != store.ConflictOpen {
		t.Fatalf("%d %v", status, dry)
	}
	for _, body := range []string{`{"action":"accept","filter":{"field":"state"},"dryRun":false}`, `{"action":"ask","filter":{}}`, `{"action":"accept"}`,
		`{"action":"accept","ids":[],"filter":{}}`, `{"action":"accept","filter":{"chosen":"x"}}`, `{"action":"accept","filter":{},"untilSeq":-1}`} {
		if status, _ := bulk(body); status != http.StatusBadRequest {
			t.Errorf("%s: %d", body, status)
		}
	}
	until, _ := json.Marshal(dry["untilSeq"])
	late := w.conflict(df.State)
	if status, answer := bulk(`{"action":"accept","filter":{"field":"state"},"reason":"r","dryRun":false,"conflicts":2,"untilSeq":` + string(until) + `}`); status != http.StatusConflict ||
		w.conflictOf(ids[0]).State != store.ConflictOpen {
		t.Errorf("more than was confirmed: %d %v", status, answer)
	}
	if status, answer := bulk(`{"action":"accept","filter":{"field":"state"},"reason":"looked through","dryRun":false,"conflicts":3,"untilSeq":` + string(until) + `}`); status != 200 || answer["accepted"] != 3.0 {
		t.Errorf("%d %v", status, answer)
	}
	if w.conflictOf(ids[2]).State != store.ConflictAccepted || w.conflictOf(late).State != store.ConflictOpen {
		t.Error("not those that were counted were accepted")
	}
	w.signIn()
	page := w.has("/conflicts/bulk?which=ticked&id="+late, "1 open conflict of 1 person", "Accept 1 conflict?", "state 1")
	seq := tokenOf(t, page, "untilSeq")
	w.done(w.post("/conflicts/bulk", "which", "ticked", "id", late, "conflicts", "0", "untilSeq", seq, "reason", "r"), "/conflicts/bulk?"+url.Values{"id": {late}, "which": {"ticked"}}.Encode())
	w.has("/conflicts/bulk?which=ticked&id="+late, "Nothing was done")
	w.done(w.post("/conflicts/bulk", "which", "ticked", "id", late, "conflicts", "1", "untilSeq", seq, "reason", "by hand"), "/conflicts")
	w.has("/conflicts", "Accepted: 1 conflict.")
	w.has("/conflicts/bulk?which=ticked&id="+late, "There is nothing to do")
	w.has("/audit", "conflict.accept", "looked through", "by hand")
	if got := w.get("/conflicts/bulk?which=all"); got.status != http.StatusBadRequest {
		t.Errorf("all of them without a filter: %d", got.status)
	}
}

// tokenOf reads a hidden field of a page.
func tokenOf(t *testing.T, page, name string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, `name="`+name+`" value="`)
	value, _, found := strings.Cut(rest, `"`)
	if !ok || !found {
		t.Fatalf("the page has no field %s", name)
	}
	return value
}

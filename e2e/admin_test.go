package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/store"
)

// Every admin and jobs route asks for its secret, in either header.
func TestAdminAndJobsAskForTheirSecrets(t *testing.T) {
	t.Parallel()
	_, env := newWorld(t)
	p := serve(t, env.with(basics(sqliteURL(t), t.TempDir())))
	bearer := func(secret string) http.Header { return http.Header{"Authorization": {"Bearer " + secret}} }
	jobs := func(secret string) http.Header { return http.Header{"X-Df-Jobs-Secret": {secret}} }
	tests := []struct {
		name, method, path string
		header             http.Header
		want               int
	}{
		{"admin header", "GET", "/api/admin/events", asAdmin(), 200},
		{"admin bearer", "GET", "/api/admin/events", bearer(adminSecret), 200},
		{"admin without", "GET", "/api/admin/events", nil, 401},
		{"admin with the jobs secret", "GET", "/api/admin/events", bearer(jobsSecret), 401},
		{"admin with a prefix", "GET", "/api/admin/events", bearer(adminSecret[:10]), 401},
		{"admin with the gateway key", "GET", "/api/admin/keys", bearer(gatewayKey), 401},
		{"jobs header", "GET", "/api/jobs/process-pending", jobs(jobsSecret), 200},
		{"jobs bearer", "POST", "/api/jobs/process-pending", bearer(jobsSecret), 200},
		{"jobs with the admin secret", "POST", "/api/jobs/enqueue-pending", asAdmin(), 200},
		{"jobs without", "POST", "/api/jobs/process-pending", nil, 401},
		{"sync without", "POST", "/api/sync/contacts?all=true", nil, 401},
		{"sync with the jobs secret", "POST", "/api/sync/contacts?all=true", jobs(jobsSecret), 200},
		{"sync of nobody", "POST", "/api/sync/contacts", jobs(jobsSecret), 400},
		{"test connections", "GET", "/api/test/connections", jobs(jobsSecret), 200},
		{"test without", "GET", "/api/test/connections", nil, 401},
		{"no such route", "GET", "/api/nothing", asAdmin(), 404},
		{"health", "GET", "/health", nil, 200},
		{"ready", "GET", "/ready", nil, 200},
	}
	for _, test := range tests {
		if got := call(t, test.method, p.web()+test.path, test.header, ""); got.status != test.want {
			t.Errorf("%s: %d %s", test.name, got.status, got.body)
		}
	}
	for _, source := range []string{"ghl", "aloware", "texting", "broadcast"} {
		got := call(t, http.MethodPost, p.web()+"/api/test/webhooks/"+source, asAdmin(), "")
		var sample struct {
			Status int
			Answer struct{ Status string }
		}
		if err := json.Unmarshal(got.Data, &sample); err != nil || sample.Status != 200 || sample.Answer.Status != "accepted" {
			t.Errorf("the sample of %s: %d %s, %v", source, got.status, got.body, err)
		}
	}
}

// Events: list with filters and cursor, get, replay, quarantine, release,
// mark-done, and a row in the audit log for each change.
func TestEventsOfTheAdminAPI(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		world, env := newWorld(t)
		p := serve(t, env.with(basics(databaseURL, t.TempDir())))
		contact := makeCrowd(t, world, 1)[0]
		var ids []string
		for i := range 7 {
			d := fromGHL(world, "ContactUpdate", map[string]any{"id": contact, "phone": phone(0), "note": fmt.Sprint("needle-", i)})
			ids = append(ids, d.mustPost(t, p.web()).EventID)
		}
		p.quiet(30 * time.Second)
		listEvents(t, p, ids, contact)
		changeEvents(t, p, ids)
		db := database(t, databaseURL)
		var actions []string
		err := db.Each(t.Context(), `SELECT DISTINCT action FROM audit_log ORDER BY action`, nil, func(row store.Row) error {
			var action string
			err := row.Scan(&action)
			actions = append(actions, action)
			return err
		})
		want := []string{"event.mark-done", "event.quarantine", "event.replay"}
		if err != nil || !slices.Equal(actions, want) {
			t.Errorf("the audit log has %v, %v", actions, err)
		}
		var audit []struct{ Actor, Action, Target string }
		if p.admin(http.MethodGet, "/api/admin/audit", "", &audit); len(audit) < 4 || audit[0].Actor == "" || audit[0].Target == "" {
			t.Errorf("the audit log shows %v", audit)
		}
	})
}

type eventRow struct{ ID, Status, Source, EventType, EntityID, Reason string }

func listEvents(t *testing.T, p *process, ids []string, contact string) {
	t.Helper()
	var page []eventRow
	var walked []string
	for cursor := ""; ; {
		got := p.admin(http.MethodGet, "/api/admin/events?limit=3&cursor="+cursor, "", &page)
		for _, e := range page {
			walked = append(walked, e.ID)
		}
		if got.NextCursor == nil {
			break
		}
		cursor = url.QueryEscape(*got.NextCursor)
	}
	newestFirst := slices.Clone(ids)
	slices.Reverse(newestFirst)
	if !slices.Equal(walked, newestFirst) {
		t.Errorf("paging shows %v, want %v", walked, newestFirst)
	}
	for query, want := range map[string]int{
		"source=ghl": 7, "source=aloware": 0, "status=done": 7, "status=error": 0, "type=ContactUpdate": 7, "type=Nothing": 0,
		"entityId=" + contact: 7, "q=needle-3": 1, "from=2001-01-01T00:00:00Z": 7, "to=2001-01-01T00:00:00Z": 0,
	} {
		if p.admin(http.MethodGet, "/api/admin/events?"+query, "", &page); len(page) != want {
			t.Errorf("%s finds %d events", query, len(page))
		}
	}
	for _, query := range []string{"limit=0", "limit=x", "cursor=zzz", "from=yesterday"} {
		if got := call(t, http.MethodGet, p.web()+"/api/admin/events?"+query, asAdmin(), ""); got.status != 400 || got.Error.Code != "INVALID_REQUEST" {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
	if got := call(t, http.MethodGet, p.web()+"/api/admin/events/"+uuid(), asAdmin(), ""); got.status != 404 || got.Error.Code != "NOT_FOUND" {
		t.Errorf("an unknown event: %d %s", got.status, got.body)
	}
}

func changeEvents(t *testing.T, p *process, ids []string) {
	t.Helper()
	do := func(id, action string, want int) eventRow {
		t.Helper()
		got := call(t, http.MethodPost, p.web()+"/api/admin/events/"+id+"/"+action, asAdmin(), `{"reason":"e2e"}`)
		if got.status != want {
			t.Errorf("%s: %d %s", action, got.status, got.body)
		}
		var e eventRow
		_ = json.Unmarshal(got.Data, &e) // an error has no data
		return e
	}
	if e := do(ids[0], "quarantine", 200); e.Status != "quarantined" || e.Reason != "e2e" {
		t.Errorf("quarantined: %+v", e)
	}
	do(ids[0], "quarantine", 409)
	do(ids[0], "release", 200)
	do(ids[1], "mark-done", 409) // it is done
	do(ids[2], "replay", 200)
	p.quiet(30 * time.Second)
	for _, id := range []string{ids[0], ids[2]} {
		var detail struct {
			eventRow
			Payload  struct{ Type string }
			History  []any
			Effects  []any
			PersonID string
		}
		p.admin(http.MethodGet, "/api/admin/events/"+id, "", &detail)
		if detail.Status != "done" || detail.Payload.Type != "ContactUpdate" || detail.PersonID == "" || detail.History == nil || detail.Effects == nil {
			t.Errorf("after release or replay: %+v", detail)
		}
	}
	do(ids[3], "quarantine", 200)
	if e := do(ids[3], "mark-done", 200); e.Status != "done" {
		t.Errorf("marked done: %+v", e)
	}
	var plan struct {
		DryRun             bool
		Events, Superseded int
	}
	p.admin(http.MethodPost, "/api/admin/events/replay", `{"filter":{"source":"ghl"},"dryRun":true}`, &plan)
	if !plan.DryRun || plan.Events != 7 || plan.Superseded > plan.Events { // what came before the sides last agreed is superseded, and part of them
		t.Errorf("a dry run says %+v", plan)
	}
	var replay struct {
		ID     string
		Events int
	}
	p.admin(http.MethodPost, "/api/admin/events/replay", `{"filter":{"q":"needle-5"},"dryRun":false}`, &replay)
	if replay.ID == "" || replay.Events != 1 {
		t.Errorf("a replay says %+v", replay)
	}
	p.quiet(30 * time.Second)
}

// The shapes that scripts of the original use.
func TestAgentsAndKeys(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		world, env := newWorld(t)
		p := serve(t, env.with(basics(databaseURL, t.TempDir())))
		agents(t, p)
		keys(t, p, world.Clerk.Token("user_e2e"), databaseURL)
	})
}

func agents(t *testing.T, p *process) {
	t.Helper()
	const dana = `{"agentKey":"DANA","displayName":"Dana","ghlOwnerId":"u1","ghlOwnerEmail":"dana@example.test",
		"ghlAssignedAgentFieldValue":"Dana R","requiredTag":"Owner: Dana","alowareUserId":"9","isActive":true}`
	want := map[string]any{}
	if err := json.Unmarshal([]byte(dana), &want); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	same := func(step string) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", step, got, want)
		}
	}
	p.admin(http.MethodPost, "/api/admin/agents", dana, &got)
	same("created")
	if again := call(t, http.MethodPost, p.web()+"/api/admin/agents", asAdmin(), dana); again.status != http.StatusConflict {
		t.Errorf("created twice: %d %s", again.status, again.body)
	}
	want["displayName"], want["isActive"] = "Dana Reyes", false
	body, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	clear(got)
	p.admin(http.MethodPut, "/api/admin/agents/DANA", string(body), &got)
	same("replaced")
	var list []map[string]any
	if p.admin(http.MethodGet, "/api/admin/agents", "", &list); len(list) != 1 {
		t.Errorf("listed: %v", list)
	} else if got = list[0]; true {
		same("listed")
	}
	p.admin(http.MethodDelete, "/api/admin/agents/DANA", "", nil)
	for method, path := range map[string]string{http.MethodDelete: "/api/admin/agents/DANA", http.MethodPut: "/api/admin/agents/NOBODY"} {
		if got := call(t, method, p.web()+path, asAdmin(), string(body)); got.status != http.StatusNotFound {
			t.Errorf("%s of nobody: %d", method, got.status)
		}
	}
	for _, bad := range []string{`{}`, `{"agentKey":5}`, `[]`, `{"agentKey":"` + strings.Repeat("x", 65) + `"}`} {
		if got := call(t, http.MethodPost, p.web()+"/api/admin/agents", asAdmin(), bad); got.status != http.StatusBadRequest {
			t.Errorf("%.20s: %d", bad, got.status)
		}
	}
}

// keys makes one, uses it, revokes it. Only its hash is kept.
func keys(t *testing.T, p *process, token, databaseURL string) {
	t.Helper()
	var made struct{ ID, Key string }
	p.admin(http.MethodPost, "/api/admin/keys", `{"name":"billing","scopes":["gateway"]}`, &made)
	journal.secret("an API key", made.Key)
	if made.ID == "" || len(made.Key) < 20 {
		t.Fatalf("made %q, a key of %d letters", made.ID, len(made.Key))
	}
	use := func() int {
		body := encoded(map[string]any{"endpoint": "/api/widgets", "method": "GET", "headers": map[string]string{"Authorization": "Bearer " + token}})
		got := call(t, http.MethodPost, p.url("gateway")+"/api/verity", http.Header{"Authorization": {"Bearer " + made.Key}, "Content-Type": {"application/json"}}, string(body))
		return got.status
	}
	if status := use(); status != http.StatusOK {
		t.Errorf("the new key is answered %d", status)
	}
	if got := call(t, http.MethodGet, p.web()+"/api/admin/keys", asAdmin(), ""); strings.Contains(string(got.body), made.Key) || !strings.Contains(string(got.body), made.ID) {
		t.Error("the list shows the key itself, or not its id")
	}
	db := database(t, databaseURL)
	if n := number(t, db, `SELECT count(*) FROM api_keys WHERE name = 'billing'`); n != 1 {
		t.Errorf("%d keys are stored", n)
	}
	p.admin(http.MethodDelete, "/api/admin/keys/"+made.ID, "", nil)
	eventually(t, 15*time.Second, func() error {
		if status := use(); status != http.StatusUnauthorized {
			return fmt.Errorf("a revoked key is answered %d", status)
		}
		return nil
	})
	if got := call(t, http.MethodDelete, p.web()+"/api/admin/keys/"+uuid(), asAdmin(), ""); got.status != http.StatusNotFound {
		t.Errorf("revoking none: %d", got.status)
	}
	if got := call(t, http.MethodPost, p.web()+"/api/admin/keys", asAdmin(), `{"name":"x","scopes":["everything"]}`); got.status != http.StatusBadRequest {
		t.Errorf("an unknown scope: %d %s", got.status, got.body)
	}
}

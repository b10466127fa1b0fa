package console_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
)

func newTLS(t testing.TB, handler http.Handler) *httptest.Server {
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	return server
}

func (w *world) status(mark string) df.Status {
	w.t.Helper()
	e, err := w.store.Event(w.t.Context(), w.events[mark])
	w.must(err)
	return e.Status
}

// done fails the test unless the form was taken and led to the address.
func (w *world) done(got answer, location string) {
	w.t.Helper()
	if got.status != http.StatusSeeOther || got.header.Get("Location") != location {
		w.t.Fatalf("%d to %q, want %q: %s", got.status, got.header.Get("Location"), location, got.body)
	}
}

// The original's mark-done answered success for ids that do not exist, kept no
// reason and no audit; its quarantine could not be taken back.
func TestEventsAreChangedWithAReasonThatTheAuditKeeps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	for _, step := range []struct {
		mark, action string
		want         df.Status
	}{
		{"pending", "quarantine", df.Quarantined}, {"pending", "release", df.Pending}, {"pending", "mark-done", df.Done}, {"pending", "replay", df.Pending},
		{"error", "replay", df.Failed}, {"error", "quarantine", df.Quarantined}, {"quarantined", "mark-done", df.Done},
	} {
		at := "/events/" + w.events[step.mark]
		w.has(at+"/"+step.action, "Reason")
		w.done(w.post(at+"/"+step.action, "reason", "because of "+step.action), at)
		if got := w.status(step.mark); got != step.want {
			t.Errorf("%s of %s made it %s, want %s", step.action, step.mark, got, step.want)
		}
	}
	notice := w.has("/events/"+w.events["quarantined"], "The event is marked as done.")
	if again := w.has("/events/" + w.events["quarantined"]); strings.Contains(again, "The event is marked as done.") || again == notice {
		t.Error("a notice is said twice")
	}
	w.has("/audit", "event.quarantine", "event.release", "event.mark-done", "event.replay", "because of release", ">admin<")
}

func TestWhatIsNotPossibleIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	for path, want := range map[string]int{
		"/events/" + w.events["done"] + "/release":   http.StatusConflict,
		"/events/" + w.events["done"] + "/delete":    http.StatusConflict,
		"/events/" + w.events["skipped"] + "/replay": http.StatusConflict,
		"/events/none/replay":                        http.StatusNotFound,
		"/people/none/converge":                      http.StatusNotFound,
		"/people/" + w.ended + "/converge":           http.StatusConflict,
		"/agents/none":                               http.StatusNotFound,
		"/keys/none/rotate":                          http.StatusNotFound,
		"/keys/env/rotate":                           http.StatusConflict,
	} {
		if got := w.post(path, "reason", "x"); got.status != want {
			t.Errorf("%s answers %d, want %d", path, got.status, want)
		}
	}
	if got := w.post("/events/"+w.events["done"]+"/replay", "reason", "  "); got.status != http.StatusBadRequest || w.status("done") != df.Done {
		t.Errorf("without a reason: %d", got.status)
	}
}

func TestConvergeNowAsksOnceForThePerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	at := "/people/" + w.person
	w.done(w.post(at+"/converge"), at)
	if n := w.syncs.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	w.has(at, "both sides are read now")
	w.has("/audit", "person.converge")
}

func TestAgentsAreAddedChangedAndDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signIn()
	w.done(w.post("/agents", "key", "A/B", "displayName", "Ann", "alowareUserId", "7", "active", "yes"), "/agents")
	w.has("/agents", "Saved Ann.", `href="/agents/A%2FB"`)
	if got := w.post("/agents", "key", "A/B"); got.status != http.StatusConflict {
		t.Errorf("a second agent with one key: %d", got.status)
	}
	for _, key := range []string{"", "two words", strings.Repeat("x", 65)} {
		if got := w.post("/agents", "key", key); got.status != http.StatusBadRequest {
			t.Errorf("key %q: %d", key, got.status)
		}
	}
	w.done(w.post("/agents/A%2FB", "displayName", "Anna", "ghlOwnerId", "G1"), "/agents")
	agents, err := w.store.Agents(t.Context())
	if err != nil || len(agents) != 1 || agents[0].DisplayName != "Anna" || agents[0].Active || agents[0].AlowareUserID != "" {
		t.Errorf("%+v, %v", agents, err)
	}
	w.has("/agents/A%2FB/delete", "Delete this agent?")
	w.done(w.post("/agents/A%2FB/delete"), "/agents")
	if agents, _ := w.store.Agents(t.Context()); len(agents) != 0 {
		t.Errorf("still there: %+v", agents)
	}
	w.has("/audit", "agent.save", "agent.delete")
}

func TestAKeyIsShownOnceRotatedAndRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signIn()
	shown := regexp.MustCompile(`<code id="key">(dfm_([0-9a-f]{16})_[^<]+)</code>`)
	made := w.post("/keys", "name", "robot", "scope", "gateway", "scope", "mcp", "expires", "2999-12-31")
	found := shown.FindStringSubmatch(made.body)
	if made.status != http.StatusOK || found == nil || made.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", made.status, made.body)
	}
	text, id := found[1], found[2]
	if body := w.has("/keys", "robot", "mcp", id); strings.Contains(body, text) {
		t.Error("the key is shown again")
	}
	if key, err := w.console.Keys.Authenticate(t.Context(), text, auth.ScopeMCP); err != nil || key.Name != "robot" {
		t.Errorf("the key does not work: %v", err)
	}
	for _, fields := range [][]string{{"name", ""}, {"name", "x"}, {"name", "x", "scope", "root"}, {"name", "x", "scope", "mcp", "expires", "soon"}} {
		if got := w.post("/keys", fields...); got.status != http.StatusBadRequest {
			t.Errorf("%v: %d", fields, got.status)
		}
	}
	w.has("/keys/"+id+"/rotate", "The old key goes on working for")
	if got := w.post("/keys/"+id+"/rotate", "overlapHours", "99999"); got.status != http.StatusBadRequest {
		t.Errorf("an overlap of years: %d", got.status)
	}
	next := shown.FindStringSubmatch(w.post("/keys/"+id+"/rotate", "overlapHours", "24").body)
	if next == nil {
		t.Fatal("no key after the rotation")
	}
	w.has("/keys", "ends")
	w.has("/keys/"+next[2]+"/revoke", "cannot be taken back")
	w.done(w.post("/keys/"+next[2]+"/revoke"), "/keys")
	if _, err := w.console.Keys.Authenticate(t.Context(), next[1], auth.ScopeMCP); err == nil {
		t.Error("a revoked key works")
	}
	w.has("/keys", "revoked")
	for _, path := range []string{"/audit", "/keys"} {
		if body := w.has(path); strings.Contains(body, text) || strings.Contains(body, next[1]) {
			t.Errorf("%s shows a key", path)
		}
	}
}

package console_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// pagesToSee names every page with an address at which it shows the seed.
func (w *world) pagesToSee() map[string]string {
	return map[string]string{
		"overview": "/", "events": "/events", "events-filtered": "/events?status=quarantined&source=ghl", "event": "/events/" + w.events["done"],
		"event-failing": "/events/" + w.events["error"], "event-hostile": "/events/" + w.events["hostile"], "event-binary": "/events/" + w.events["binary"],
		"event-compare": "/events/compare?a=" + w.events["done"] + "&b=" + w.events["hostile"],
		"event-confirm": "/events/" + w.events["done"] + "/replay", "people": "/people", "person": "/people/" + w.person, "person-ended": "/people/" + w.ended,
		"mappings": "/mappings", "mappings-questions": "/mappings?view=questions", "mappings-changes": "/mappings?view=changes",
		"merge": "/mappings/merge?keep=" + w.person + "&end=" + w.ended, "split": "/mappings/split?person=" + w.person, "resolve": "/mappings/resolve?key=k",
		"overview-week": "/?over=week", "jobs": "/jobs",
		"conflicts": "/conflicts", "conflict": "/conflicts/" + w.conflicts["firstName"], "conflict-confirm": "/conflicts/" + w.conflicts["firstName"] + "/resolve?choice=aloware",
		"conflicts-bulk": "/conflicts/bulk?which=all&field=city", "issues": "/issues", "alerts": "/alerts", "sync-log": "/sync-log", "agents": "/agents", "agent": "/agents/DANA",
		"agent-delete": "/agents/DANA/delete", "chat": "/chat", "chat-talk": "/chat/talk", "keys": "/keys", "connections": "/connections", "audit": "/audit", "settings": "/settings",
		"lists": "/lists", "list": "/lists/DANA/HOT", "list-delete": "/lists/DANA/HOT/delete", "list-rules": "/lists/rules", "list-rebuild": "/lists/rebuild",
		"list-runs": "/lists/runs", "person-lists": "/people/" + w.person + "/lists", "person-why": "/people/" + w.person + "/why?question=called",
		"person-consent": "/people/" + w.person + "?kind=consent&kind=incident", "person-erased": "/people/" + erasedPerson, "agents-seed": "/agents/seed",
		"users": "/users", "user": "/users/" + w.robin.ID, "user-disable": "/users/" + w.robin.ID + "/disable", "password": "/password",
	}
}

// has fails the test unless the page answers 200 and holds all of the texts.
func (w *world) has(path string, texts ...string) string {
	w.t.Helper()
	got := w.get(path)
	if got.status != http.StatusOK {
		w.t.Errorf("%s answers %d: %.300s", path, got.status, got.body)
	}
	for _, text := range texts {
		if !strings.Contains(got.body, text) {
			w.t.Errorf("%s does not hold %q", path, text)
		}
	}
	return got.body
}

func TestEveryPageShowsWhatItIsFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	done := "/events/" + w.events["done"]
	for path, texts := range map[string][]string{
		"/":                              {"66 received", "1 failed", "quarantined events", "not written", "Aloware does not answer", `<svg class="flow wide"`},
		"/events":                        {"ContactUpdate", "quarantined", "ed25519", `rel="next"`},
		"/events?status=error":           {"HTTP 503", "/events/" + w.events["error"]},
		"/events?entityId=" + w.person:   {"person"},
		"/events?q=nothing-has-this":     {"No event fits"},
		done:                             {"12345678901234567890.10", "verified", "only_one_changed", "GoHighLevel → Aloware", "Replay", "User-Agent", "What it changed", "Shelbyville"},
		"/events/" + w.events["error"]:   {"Try again now", "Quarantine", "Mark done", "HTTP 503"},
		"/events/" + w.events["hostile"]: {"unsigned", "DFM_ALLOW_UNSIGNED"},
		"/events/" + w.events["binary"]:  {"ff fe 00", "the body is no JSON"},
		"/events?person=" + w.person:     {"person"},
		"/events?person=%2B15005550199":  {"No event fits"},
		"/events/compare?a=" + w.events["done"] + "&b=" + w.events["more-1"]:  {"The bodies say the same", "paths that are alike", "differs"},
		"/events/compare?a=" + w.events["done"] + "&b=" + w.events["hostile"]: {"/balance", "removed", "&lt;script&gt;"},
		done + "/replay":                  {"Reason, kept in the audit log", "never brings old values back"},
		"/people":                         {"Fox</a>", "15005550111", "88213"},
		"/people?q=dana+fox":              {"15005550111"},
		"/people?q=nobody-at-all":         {"Nobody fits"},
		"/people/" + w.person:             {"Converge now", "SPRINGFIELD", "differs", "not shown", "empty", "12025550143", "only_one_changed", "both changed", "rule <code>newer_change"},
		"/people/" + w.ended:              {"deleted in GHL", "Nothing is agreed yet"},
		"/conflicts":                      {"Daniel", "newer_change", "nothing"},
		"/issues":                         {"not written", "refused"},
		"/sync-log?status=error":          {"HTTP 422", "sweep"},
		"/sync-log?direction=nowhere_to_": {"No line fits"},
		"/agents":                         {"DANA", "4711", "inactive"},
		"/agents/DANA":                    {"Owner: Dana", "checked"},
		"/keys":                           {"DF_MIDDLEWARE_API_KEY", "admin:read"},
		"/connections": {"HTTP 401", "/api/integrations/aloware/webhook", "/leadconnector/install", "81.2 ms", "not configured",
			"Two engines on one pair", "187,654", "17 of 18", "breaker open", "as the upstream asked", "never heard", "fetched when it is first needed"},
		"/audit":               {"console.sign-in", "event.replay", "key:0011223344556677"},
		"/chat":                {"New conversation", "wait for your approval", "Writing needs JavaScript"},
		"/users":               {"Robin", "robin@example.test", "operator", "never", "Add a user"},
		"/users/" + w.robin.ID: {"robin@example.test", "Set a password"},
		"/settings":            {"WEB_PORT", "3002", "DF_ADMIN_SECRET", `<span class="chip good">set</span>`, "not set"},
	} {
		w.has(path, texts...)
	}
}

// The original showed a hard-coded green "Connected" for every system. Ours is
// what a live check found, and one check serves everybody for 30 seconds.
func TestConnectionsAreCheckedLiveButNotForEveryPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signIn()
	for range 3 {
		w.has("/connections", "failed")
		w.has("/", "Aloware does not answer")
	}
	if n := w.checked.Load(); n != 1 {
		t.Errorf("%d checks for 6 pages, want 1", n)
	}
	w.clock.skip(31 * time.Second)
	w.has("/connections", "failed")
	if n := w.checked.Load(); n != 2 {
		t.Errorf("%d checks after 31 seconds, want 2", n)
	}
}

func TestEmptyPagesSayWhatToDoNext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signIn()
	for path, text := range map[string]string{
		"/": "Nothing has arrived yet", "/events": "Paste the webhook addresses", "/people": "Connect a system", "/conflicts": "No conflicts",
		"/issues": "No open issues", "/sync-log": "Nothing was written yet", "/agents": "Add one for everybody",
	} {
		w.has(path, text)
	}
}

// Names, payloads, headers, reasons and settings come from strangers. None of
// their markup becomes ours, and no secret of ours is in any page.
func TestNoPageRunsHostileTextOrShowsASecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	for name, path := range w.pagesToSee() {
		body := w.has(path)
		if strings.Contains(body, hostile) || strings.Contains(body, "<script>") {
			t.Errorf("%s holds markup of strangers", name)
		}
		for _, secret := range []string{adminSecret, envKey} {
			if strings.Contains(body, secret) {
				t.Errorf("%s shows a secret", name)
			}
		}
		if strings.Contains(body, ` style="`) || strings.Contains(body, " onclick=") {
			t.Errorf("%s has inline style or script, which its policy forbids", name)
		}
	}
	w.has("/events/"+w.events["hostile"], "&lt;script&gt;")
	w.has("/people/"+w.person, "Dana &lt;script&gt;")
}

// A payload that is HTML is handed out as a file, never as a page.
func TestRawBytesComeBackExactlyAndAsAFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	got := w.get("/events/" + w.events["binary"] + "/raw")
	if got.body != "\xff\xfe\x00" || got.header.Get("Content-Type") != "application/octet-stream" ||
		!strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment") || got.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%q, %v", got.body, got.header)
	}
}

// A link to a recording of Aloware's needs no login: whoever reads it can listen. It
// stood in every kept body for whoever may look at events.
func TestOnlyAdministratorsGetLinksToRecordings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	const link = "https://recordings.example.test/abc"
	id := w.recorded(link)
	for _, page := range []string{"/events/" + id, "/events/compare?a=" + id + "&b=" + w.events["done"]} {
		if body := w.has(page, "[hidden link "); strings.Contains(body, link) {
			t.Errorf("%s shows the link", page)
		}
	}
	if got := w.get("/events/" + id + "/raw"); !strings.Contains(got.body, link) {
		t.Errorf("an administrator downloads %s", got.body)
	}
	got := w.do(http.MethodGet, "/api/admin/events/"+id, nil, http.Header{auth.AdminHeader: {adminSecret}})
	if got.status != http.StatusOK || strings.Contains(got.body, link) || !strings.Contains(got.body, "[hidden link ") {
		t.Errorf("the API answers %d %s", got.status, got.body)
	}
	w.signInAs(w.user("Vera", console.Viewer))
	if got := w.get("/events/" + id + "/raw"); strings.Contains(got.body, link) || !strings.Contains(got.body, `"id":7`) {
		t.Errorf("a viewer downloads %s", got.body)
	}
}

// recorded accepts an event that tells of a recording.
func (w *world) recorded(link string) string {
	now := w.clock.now()
	e := df.Event{ID: w.id(now), ReceivedAt: now, Source: df.SourceAloware, Route: "aloware", Status: df.Pending, Verified: "basic",
		Notice: df.Notice{Type: "Recording-Saved", Kind: df.KindRecording, EntityType: "call", EntityID: "7"}, DedupeKey: "recorded",
		Raw: []byte(`{"event":"Recording-Saved","body":{"id":7,"direct_recording_url":"` + link + `"}}`)}
	accepted, err := w.store.Accept(w.t.Context(), []store.Delivery{{Event: e, DedupeKey: "recorded", DedupeUntil: now.Add(time.Minute)}}, now)
	w.must(err)
	return accepted[0].EventID
}

func TestTickingTwoComparesThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	a, b := w.events["done"], w.events["more-1"]
	if got := w.get("/events/compare?id=" + b + "&id=" + a + "&status="); got.status != http.StatusSeeOther || got.header.Get("Location") != "/events/compare?a="+a+"&b="+b {
		t.Errorf("%d to %q", got.status, got.header.Get("Location"))
	}
	if got := w.get("/events/compare?id=" + a); got.status != http.StatusBadRequest {
		t.Errorf("one alone: %d", got.status)
	}
	w.has("/events/"+b, "Before and after it", "this one", "Compare with the one before", "no duplicate was refused")
}

func TestTimesBrowsersSendMeanUTC(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	at := w.clock.now().UTC()
	w.has("/events?from="+at.Add(-10*time.Minute).Format("2006-01-02T15:04"), "/events/"+w.events["done"])
	if body := w.has("/events?to=" + at.Add(-20*time.Hour).Format("2006-01-02T15:04")); strings.Contains(body, w.events["done"]) {
		t.Error("the end of the time was not heeded")
	}
	if got := w.get("/events?from=yesterday"); got.status != http.StatusBadRequest {
		t.Errorf("a time that is none answers %d", got.status)
	}
}

func TestPagesLeadThroughAListWithoutGapsOrRepeats(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	link, next := regexp.MustCompile(`data-label="Received"><a href="/events/([0-9a-f-]+)"`), regexp.MustCompile(`href="([^"]+)" rel="next"`)
	seen := map[string]bool{}
	pages := 0
	for path := "/events?source=ghl"; path != "" && pages < 10; pages++ {
		body := w.has(path)
		for _, found := range link.FindAllStringSubmatch(body, -1) {
			if seen[found[1]] {
				t.Errorf("event %s is on two pages", found[1])
			}
			seen[found[1]] = true
		}
		path = ""
		if found := next.FindStringSubmatch(body); found != nil {
			path = strings.ReplaceAll(found[1], "&amp;", "&")
		}
	}
	if len(seen) != 66 || pages != 2 {
		t.Errorf("%d events on %d pages, want 66 on 2", len(seen), pages)
	}
	for _, path := range []string{"/events?cursor=x", "/issues?cursor=x", "/audit?cursor=x", "/conflicts?cursor=x", "/sync-log?cursor=x"} {
		if got := w.get(path); got.status != http.StatusBadRequest {
			t.Errorf("%s answers %d", path, got.status)
		}
	}
}

func TestIssuesAndPeopleArePaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	now := w.clock.now()
	person, err := store.PersonByID(t.Context(), w.store, w.person)
	w.must(err)
	var issues []store.Issue
	for i := range 60 {
		issues = append(issues, store.Issue{Topic: fmt.Sprintf("ghl/many%d", i), Kind: "refused", Side: df.SideGHL, Open: true, Since: now, At: now})
	}
	w.must(w.store.SaveConvergence(t.Context(), store.Lease{}, store.Convergence{Person: person, Issues: issues, At: now}))
	next := regexp.MustCompile(`href="([^"]+)" rel="next"`).FindStringSubmatch(w.has("/issues"))
	if next == nil {
		t.Fatal("64 issues are on one page")
	}
	if body := w.has(next[1], "Newest"); strings.Count(body, `data-label="Kind"`) != 14 {
		t.Error("the second page does not hold the other 14")
	}
}

func TestAnUnknownAddressOrIDIsNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signIn()
	for _, path := range []string{"/nowhere", "/events/none", "/events/none/raw", "/people/none", "/agents/none", "/keys/none/revoke", "/keys/env/revoke", "/keys/env/steal", "/static/none.css"} {
		if got := w.get(path); got.status != http.StatusNotFound && got.status != http.StatusConflict {
			t.Errorf("%s answers %d", path, got.status)
		}
	}
	if got := w.get("/api/nowhere"); got.status != http.StatusNotFound || !strings.HasPrefix(got.body, `{"success":false`) {
		t.Errorf("the API answers %d %q", got.status, got.body)
	}
}

// A page that refreshes itself every few seconds is sent again only when it
// differs.
func TestAPageThatIsTheSameIsNotSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signIn()
	first := w.get("/audit")
	tag := http.Header{"If-None-Match": {first.header.Get("ETag")}}
	if again := w.do(http.MethodGet, "/audit", nil, tag); again.status != http.StatusNotModified || again.body != "" {
		t.Errorf("the same page: %d", again.status)
	}
	w.must(w.store.Audit(t.Context(), store.AuditRow{At: w.clock.now(), Actor: "admin", Action: "test", Target: "x"}))
	if again := w.do(http.MethodGet, "/audit", nil, tag); again.status != http.StatusOK {
		t.Errorf("a page with news: %d", again.status)
	}
}

func TestStaticFilesHaveTheirTypes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for file, kind := range map[string]string{"console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"} {
		got := w.get("/static/" + file)
		if got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), kind) {
			t.Errorf("%s: %d %s", file, got.status, got.header.Get("Content-Type"))
		}
		same := w.do(http.MethodGet, "/static/"+file, nil, http.Header{"If-None-Match": {got.header.Get("ETag")}})
		if same.status != http.StatusNotModified {
			t.Errorf("%s is sent twice", file)
		}
	}
}

// adminRoutes finds the routes of the JSON API in the source, so that one added
// tomorrow is tested too.
func adminRoutes(t *testing.T) []string {
	var routes []string
	for _, file := range []string{"server.go", "users.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`(?:admin|jobs)\("((?:GET|POST|PUT|PATCH|DELETE) [^"]+)"`).FindAllStringSubmatch(string(source), -1) {
			routes = append(routes, found[1])
		}
	}
	if len(routes) < 25 {
		t.Fatalf("found %d routes of the API: the test looks at the wrong thing", len(routes))
	}
	return routes
}

func TestNothingAnswersWithoutASecretOrSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	fill := strings.NewReplacer("{id}", w.events["done"], "{key}", "DANA", "{agentKey}", "DANA", "{action}", "replay", "{file}", "console.css", "{source}", "ghl", "{$}", "")
	open := []string{"GET /sign-in", "GET /static/{file}"}
	var pages []string
	for _, r := range w.console.Routes() {
		pages = append(pages, r.Pattern)
	}
	if len(pages) < 25 {
		t.Fatalf("only %d pages", len(pages))
	}
	for _, pattern := range append(pages, adminRoutes(t)...) {
		method, path, found := strings.Cut(pattern, " ")
		if !found {
			method, path = http.MethodGet, pattern
		}
		got := w.do(method, fill.Replace(path), url.Values{"csrf": {"guess"}, "reason": {"x"}}, nil)
		switch {
		case slices.Contains(open, pattern):
			if got.status != http.StatusOK {
				t.Errorf("%s answers %d", pattern, got.status)
			}
		case pattern == "POST /sign-in", pattern == "POST /sign-in/clerk":
			if got.status != http.StatusForbidden || len(got.header["Set-Cookie"]) > 1 {
				t.Errorf("%s answers %d", pattern, got.status)
			}
		case got.status == http.StatusSeeOther && strings.HasPrefix(got.header.Get("Location"), "/sign-in?next="):
		case got.status == http.StatusUnauthorized:
		case got.status == http.StatusTooManyRequests: // the brake holds the test's address
		default:
			t.Errorf("%s answers %d without a session", pattern, got.status)
		}
		if strings.Contains(got.body, "ContactUpdate") || strings.Contains(got.body, "example.test") {
			t.Errorf("%s shows data without a session", pattern)
		}
	}
	e, err := w.store.Event(t.Context(), w.events["done"])
	if err != nil || e.Status != df.Done {
		t.Errorf("the event is %s now, %v", e.Status, err)
	}
}

func TestEveryAnswerIsProtected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	check := func(path string) {
		t.Helper()
		h := w.get(path).header
		policy := h.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s has the policy %q", path, policy)
		}
		for name, want := range map[string]string{"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
			if h.Get(name) != want {
				t.Errorf("%s has %s %q", path, name, h.Get(name))
			}
		}
		if cache := h.Get("Cache-Control"); cache != "no-store" && !strings.HasPrefix(path, "/static") {
			t.Errorf("%s may be kept: %q", path, cache)
		}
	}
	for _, path := range []string{"/", "/sign-in", "/static/console.js", "/nowhere"} {
		check(path)
	}
	w.signIn()
	for path := range maps.Values(w.pagesToSee()) {
		check(path)
	}
	check("/nowhere")
}

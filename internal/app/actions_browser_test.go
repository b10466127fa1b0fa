//go:build browser

package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/console/browsertest"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/lists"
	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/sandbox/alowareworld"
	"github.com/df-middleware/dfm/internal/sandbox/ghlworld"
	"github.com/df-middleware/dfm/internal/store"
)

// elsewhere are addresses of forms that other tests send in a browser, or that no
// browser of ours can send.
var elsewhere = map[string]string{
	"POST /sign-in/clerk":    "wants a session of Clerk's own page: TestATokenOfClerksSignsIn",
	"POST /chat/turn":        "TestThePageOfTheChatInARealBrowser",
	"POST /chat/{id}/forget": "TestThePageOfTheChatInARealBrowser",
}

// hands is somebody at a browser who does one thing after another.
type hands struct {
	*browsertest.Browser
	*apiWorld
	sent map[string]bool // addresses, as patterns
}

// does opens the page and sends a form of it. The address is a pattern with what
// stands in its places, in their order.
func (h *hands) does(page, pattern string, places []string, form browsertest.Form) {
	h.t.Helper()
	if form.Action = pattern; form.Action[0] != '/' {
		h.t.Fatalf("%q is no address", pattern)
	}
	for _, place := range places {
		before, rest, found := strings.Cut(form.Action, "{")
		_, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			h.t.Fatalf("%s has no place for %q", pattern, place)
		}
		form.Action = before + place + after
	}
	if page == "" {
		page = form.Action
	}
	h.Visit(h.app.URL("web") + page)
	h.Fill(form)
	h.Quiet(form.Action)
	h.sent["POST "+pattern] = true
}

type typed = map[string]string

// because is the field that most changes ask for.
var because = browsertest.Form{Fields: typed{"reason": "seen to"}}

// Every form of the console is sent in a real browser, by somebody who may do
// everything. A new form fails the test until it is sent here too.
func TestEveryActionIsDoneInARealBrowser(t *testing.T) {
	config := sandbox.Config{ // somebody who may be seeded as an agent
		GHL:     ghlworld.Config{Users: []ghlworld.User{{ID: "user_lee", FirstName: "Lee", Email: "lee@example.test"}}},
		Aloware: alowareworld.Config{Users: []alowareworld.User{{ID: 501, Name: "Lee", Email: "lee@example.test"}}},
	}
	api := newAPIWorld(t, newTextingWorld(t, databases()["sqlite"](t), config))
	h := &hands{browsertest.Open(t), api, map[string]bool{"POST /sign-in": true}}
	h.Dress(browsertest.Desk)
	h.SignIn(h.app.URL("web")+"/", adminSecret, "#main")
	h.events()
	h.consents()
	h.agentsAndLists()
	h.access()
	h.flows()
	h.people()
	i := slices.IndexFunc(h.app.servers, func(s *server) bool { return s.name == "web" })
	for _, pattern := range h.app.addresses(t, h.app.servers[i]) {
		_, excused := elsewhere[pattern]
		if strings.HasPrefix(pattern, "POST /") && !strings.HasPrefix(pattern, "POST /api/") && !h.sent[pattern] && !excused {
			t.Errorf("nobody has sent the form of %s", pattern)
		}
	}
}

func (h *hands) events() {
	h.t.Helper()
	events, err := h.app.store.Events(h.t.Context(), store.EventFilter{Source: df.SourceGHL, Status: df.Done, Limit: 3})
	if err != nil || len(events) != 3 {
		h.t.Fatalf("%d events, %v", len(events), err)
	}
	const pattern = "/events/{id}/{action}"
	h.does("", pattern, []string{events[0].ID, "replay"}, because)
	settle(h.t, h.World, h.app)
	h.aside(events[0].ID, df.Failed)
	h.does("", pattern, []string{events[0].ID, "quarantine"}, because)
	h.does("", pattern, []string{events[0].ID, "release"}, because)
	h.aside(events[1].ID, df.Failed)
	h.does("", pattern, []string{events[1].ID, "mark-done"}, because)
	h.aside(events[2].ID, df.Failed)
	h.does("/events/bulk?action=mark-done&which=all&status=error", "/events/bulk", nil, because)
	h.does("/replays?source=ghl", "/replays", nil, browsertest.Form{})
	rows, err := h.app.store.Replays(h.t.Context(), 1)
	if err != nil || len(rows) != 1 {
		h.t.Fatalf("%d replays, %v", len(rows), err)
	}
	h.replayed(rows[0].ID)
	if _, err := h.app.store.Exec(h.t.Context(), "UPDATE replays SET status = 'working' WHERE id = $1", rows[0].ID); err != nil {
		h.t.Fatal(err)
	}
	h.does("/replays", "/replays/{id}/stop", []string{rows[0].ID}, browsertest.Form{})
}

func (h *hands) consents() {
	h.t.Helper()
	ctx := h.t.Context()
	h.does("", "/opt-outs", nil, browsertest.Form{Fields: typed{"phone": "+15005550199", "evidence": "said so on the phone", "confirm": "yes"}})
	events, err := h.app.store.ConsentEvents(ctx, store.ConsentFilter{Limit: 1})
	if err == nil && len(events) == 1 {
		err = h.app.store.InTx(ctx, func(tx store.Tx) error {
			return store.InsertConsentReview(ctx, tx, store.ConsentReview{EventID: events[0].ID, Kind: "unclear", Phone: customerPhone, At: h.app.clock()})
		})
	}
	if err != nil {
		h.t.Fatal(err)
	}
	found := browsertest.Form{Fields: typed{"note": "asked the agent"}}
	h.does("/opt-outs", "/opt-outs/incidents", nil, found)
	h.does("/opt-outs", "/opt-outs/reviews", nil, found)
}

func (h *hands) agentsAndLists() {
	h.t.Helper()
	h.does("", "/agents", nil, browsertest.Form{Fields: typed{"key": "DANA", "displayName": "Dana"}})
	h.does("", "/agents/{key}", []string{"DANA"}, browsertest.Form{Fields: typed{"displayName": "Dana Dee"}})
	h.does("", "/agents/seed", nil, browsertest.Form{})
	h.does("", "/lists", nil, browsertest.Form{Fields: typed{"agentKey": "DANA", "listKey": "HOT", "alowareListId": "4711"}})
	h.does("", "/lists/rules", nil, browsertest.Form{Press: `button[value="try"]`, Shows: `form[action="/lists/rules"]`})
	h.does("", "/lists/rules", nil, browsertest.Form{Press: `button[value="enforce"]`, Fields: typed{"note": "as it was"}})
	h.does("", "/lists/rebuild", nil, browsertest.Form{})
	for _, verdict := range []string{"approve", "decline"} {
		row := store.ListRun{ID: h.app.newID(), Kind: lists.RunRebuild, State: lists.RunWaiting, Totals: "{}", CreatedBy: "test", CreatedAt: h.app.clock().UTC()}
		if err := store.InsertListRun(h.t.Context(), h.app.store, row); err != nil {
			h.t.Fatal(err)
		}
		h.does("", "/lists/runs/{id}", []string{row.ID}, browsertest.Form{Press: `button[value="` + verdict + `"]`})
	}
	h.does("", "/lists/{agent}/{list}/delete", []string{"DANA", "HOT"}, browsertest.Form{})
	h.does("", "/agents/{key}/delete", []string{"DANA"}, browsertest.Form{})
}

// access makes and ends keys and a user, who then signs in and changes the password.
func (h *hands) access() {
	h.t.Helper()
	const first, second, third = "a first long password", "a second long password", "a third long password"
	h.does("", "/keys", nil, browsertest.Form{Fields: typed{"name": "reports", "scope": "admin:read"}, Shows: "#key"})
	keys, err := h.app.store.APIKeys(h.t.Context())
	if err != nil || len(keys) != 1 {
		h.t.Fatalf("%d keys, %v", len(keys), err)
	}
	h.does("", "/keys/{id}/{action}", []string{keys[0].ID, "rotate"}, browsertest.Form{Fields: typed{"overlapHours": "1"}, Shows: "#key"})
	h.does("", "/keys/{id}/{action}", []string{keys[0].ID, "revoke"}, browsertest.Form{})
	h.does("", "/users", nil, browsertest.Form{Fields: typed{"name": "Robin", "email": "robin@example.test", "password": first, "role": "admin"}})
	users, err := h.app.store.ConsoleUsers(h.t.Context())
	if err != nil || len(users) != 1 {
		h.t.Fatalf("%d users, %v", len(users), err)
	}
	h.does("", "/users/{id}", []string{users[0].ID}, browsertest.Form{Fields: typed{"email": "robin.r@example.test"}})
	h.does("/users/"+users[0].ID, "/users/{id}/password", []string{users[0].ID}, browsertest.Form{Fields: typed{"password": second}})
	h.does("/", "/sign-out", nil, browsertest.Form{Shows: "#secret"})
	h.does("", "/sign-in", nil, browsertest.Form{Fields: typed{"email": "robin.r@example.test", "secret": second}, Shows: "#main"})
	h.does("", "/password", nil, browsertest.Form{Fields: typed{"now": second, "next": third, "again": third}, Shows: "#secret"})
	h.does("", "/sign-in", nil, browsertest.Form{Fields: typed{"secret": adminSecret}, Shows: "#main"})
	h.does("", "/users/{id}/{action}", []string{users[0].ID, "disable"}, browsertest.Form{})
}

func (h *hands) flows() {
	h.t.Helper()
	ctx := h.t.Context()
	h.does("/alerts", "/alerts/{id}/{action}", []string{h.ids["alert0"], "ack"}, browsertest.Form{})
	h.does("/alerts", "/alerts/{id}/{action}", []string{h.ids["alert1"], "resolve"}, browsertest.Form{})
	h.does("/jobs", "/jobs/ring", nil, browsertest.Form{})
	h.does("/drift", "/drift/run", nil, browsertest.Form{Press: `button[value="measure"]`})
	h.does("/broadcasts", "/broadcasts/{id}/refresh", []string{"b0"}, browsertest.Form{})
	rows, err := h.app.store.Forwards(ctx, store.ForwardFilter{Limit: 1})
	if err == nil && len(rows) == 1 {
		_, err = h.app.store.Exec(ctx, "UPDATE forwards SET status = 'given_up' WHERE event_id = $1", rows[0].EventID)
	}
	if err != nil || len(rows) != 1 {
		h.t.Fatalf("%d forwards, %v", len(rows), err)
	}
	h.does("/forwards?status=given_up", "/forwards/{id}/retry", []string{rows[0].EventID}, browsertest.Form{})
	h.does("/tools/catalogue", "/tools/catalogue/reload", nil, browsertest.Form{})
	h.tries()
}

// tries calls an operation; its form leads to the answer on the same page.
func (h *hands) tries() {
	h.t.Helper()
	const page = "/tools/operations/widgets_by_id_get"
	h.Visit(h.app.URL("web") + page)
	h.Fill(browsertest.Form{Action: page + "#result", Fields: typed{"path.id": "w1"}, Shows: "#result"})
	h.Quiet(page)
	h.sent["POST /tools/operations/{name}"] = true
}

func (h *hands) people() {
	h.t.Helper()
	ctx := h.t.Context()
	person, other := h.ids["person"], h.ids["other"]
	open, err := h.app.store.Conflicts(ctx, store.ConflictFilter{PersonID: person, State: store.ConflictOpen, Limit: 10})
	if err != nil || len(open) != 2 {
		h.t.Fatalf("%d open conflicts, %v", len(open), err)
	}
	h.does("/conflicts/"+open[0].ID+"/resolve?choice=aloware", "/conflicts/{id}/resolve", []string{open[0].ID}, because)
	h.does("/conflicts/bulk?which=all&field=city", "/conflicts/bulk", nil, because)
	h.does("/people/"+person, "/people/{id}/converge", []string{person}, browsertest.Form{})
	h.does("/people/"+person, "/people/{id}/read", []string{person}, browsertest.Form{Shows: "#main"})
	h.does("/mappings", "/mappings/repair", nil, browsertest.Form{Fields: typed{"phone": customerPhone}})
	h.does("/mappings/merge?keep="+person+"&end="+other, "/mappings/merge", nil, because)
	h.undo()
	h.does("/mappings/split?person="+person, "/mappings/split", nil, browsertest.Form{Fields: typed{"side": "aloware", "reason": "two people"}})
	h.undo()
	err = h.app.store.InTx(ctx, func(tx store.Tx) error {
		return store.InsertReview(ctx, tx, store.Review{Key: "asked", Kind: "shared_phone", PersonID: person, Side: df.SideGHL, Phone: customerPhone, At: h.app.clock().Add(time.Second)})
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.does("/mappings/resolve?key=asked", "/mappings/resolve", nil, because)
	h.does("", "/people/{id}/erase", []string{person}, browsertest.Form{Fields: typed{"confirm": person, "reason": "asked for it"}})
}

// undo takes back what was done last to people.
func (h *hands) undo() {
	h.t.Helper()
	settle(h.t, h.World, h.app)
	changes, err := h.app.store.PeopleChanges(h.t.Context(), "", "", 10)
	i := slices.IndexFunc(changes, func(c store.Change) bool { return c.UndoneAt.IsZero() })
	if err != nil || i < 0 {
		h.t.Fatal(fmt.Sprint("nothing to undo ", err))
	}
	h.does("", "/mappings/changes/{id}/undo", []string{changes[i].ID}, because)
}

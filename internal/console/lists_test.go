package console_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/lists"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// obedient is a dialer that does what it is told.
type obedient struct{}

func (obedient) AddToLists(context.Context, df.Phone, ...string) error        { return nil }
func (obedient) RemoveFromAllLists(context.Context, string) error             { return nil }
func (obedient) Enroll(context.Context, df.Phone, string, bool) error         { return nil }
func (obedient) Disenroll(context.Context, df.Phone) error                    { return nil }
func (w *world) Users(context.Context) (ghl, aloware []lists.User, err error) { return w.users() }

// users are one person whom both systems have, one whom each has twice, and one
// with a name that is no name.
func (w *world) users() (ghl, aloware []lists.User, err error) {
	return []lists.User{{ID: "u1", Name: "Eli Stone", Email: "eli@example.test"}, {ID: "u2", Name: "Lee", Email: "lee@example.test"}, {ID: "u3", Name: hostile, Email: "x@example.test"}},
		[]lists.User{{ID: "9", Name: "Eli", Email: "ELI@example.test"}, {ID: "10", Name: "Lee", Email: "lee@example.test"}, {ID: "11", Name: "Lee", Email: "lee@example.test"}}, nil
}

func (w *world) desk() *lists.Desk {
	return &lists.Desk{Store: w.store, Gate: consent.Gate{Registry: w.store}, Dialer: obedient{}, Apply: true, DefaultAgent: "UNASSIGNED",
		Vocabulary: lists.Vocabulary{ListKeys: []string{"HOT", "COLD"}, TagMode: lists.TagsIgnoreCase}, Brake: lists.Brake{Percent: 20},
		Clock: w.clock.now, NewID: df.IDs(w.clock.now), Log: slog.New(slog.DiscardHandler)}
}

// listed puts the person on a list of DANA's.
func (w *world) listed(now time.Time) {
	w.t.Helper()
	ctx := w.t.Context()
	w.must(w.store.SaveCallList(ctx, store.CallList{AgentKey: "DANA", ListKey: "HOT", AlowareID: "8101", Name: "DF_DANA_HOT", UpdatedAt: now}))
	row, err := store.PersonByID(ctx, w.store, w.person)
	w.must(err)
	desk := w.desk()
	desk.Gate = open{}
	p := people.FromRow(row)
	w.must(desk.Follow(ctx, people.Lease{}, lists.Turn{Person: p,
		GHL:     &df.Contact{ID: p.GHLContactID, Tags: []string{"hot", hostile}, Fields: map[df.Field]string{df.Owner: "DANA"}},
		Aloware: &df.Contact{ID: p.AlowareContactID, Fields: map[df.Field]string{df.PhoneNumber: string(p.Phone)}}}))
}

type open struct{}

func (open) May(context.Context, consent.Question) consent.Decision {
	return consent.Decision{Allowed: true, Reason: consent.Clear}
}

func TestThePagesOfListsSayWhoIsOnThemAndWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	for path, texts := range map[string][]string{
		"/lists":                         {"DF_DANA_HOT", "8101", "Enter a list", `aria-current="page">Proof`},
		"/lists/DANA/HOT":                {"Everybody is where they should be", "Take out of the registry"},
		"/lists/rules":                   {"The built-in one is in force", "&#34;tag HOT&#34;", "Nobody has written any yet", "Put in force"},
		"/lists/rebuild":                 {"See who would move", "write everybody anew"},
		"/lists/rebuild?look=yes":        {"Nobody would be moved", "write everybody anew"},
		"/lists/runs":                    {"No runs yet"},
		"/people/" + w.person + "/lists": {"tag HOT", "has the tag hot", "by assignedTo", "settled"},
		"/people/" + w.ended + "/lists":  {"Nothing is decided yet"},
		"/agents/seed":                   {"ELI_STONE", "Left to you", "lee@example.test", "Only in one system"},
		"/agents":                        {"Seed from both systems"},
		"/people/" + w.person:            {`href="/people/` + w.person + `/lists"`},
		"/lists/DANA/HOT/delete":         {"Take this list out of the registry?"},
	} {
		w.has(path, texts...)
	}
	for _, path := range []string{"/lists/DANA/COLD", "/lists/runs/none", "/people/none/lists"} {
		if got := w.get(path); got.status != http.StatusNotFound {
			t.Errorf("%s answers %d", path, got.status)
		}
	}
}

// What was typed is tried first, waits when it would move many, and is never lost.
func TestRulesAreWrittenTriedAndApprovedInTheConsole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	const cold = `[{"name":"cold","when":{"tags":["cold"]},"on":["COLD"]}]`
	if got := w.post("/lists/rules", "rules", "[{", "version", "0", "do", "try"); !strings.Contains(got.body, "cannot be used") || !strings.Contains(got.body, "[{</textarea>") {
		t.Errorf("%d %.400s", got.status, got.body)
	}
	if got := w.post("/lists/rules", "rules", cold, "version", "0", "do", "try"); !strings.Contains(got.body, "1 taken off") || !strings.Contains(got.body, "DANA/HOT") {
		t.Errorf("%d %.400s", got.status, got.body)
	}
	got := w.post("/lists/rules", "rules", cold, "note", "only the cold", "version", "0", "do", "enforce")
	place := got.header.Get("Location")
	if got.status != http.StatusSeeOther || !strings.HasPrefix(place, "/lists/runs/") {
		t.Fatalf("%d to %q", got.status, place)
	}
	w.has(place, "waits for approval", "Approve: move them", "DANA/HOT")
	w.has("/lists", "A change waits for you")
	if got := w.post(place, "do", "approve"); got.status != http.StatusSeeOther || got.header.Get("Location") != "/lists" {
		t.Fatalf("%d to %q", got.status, got.header.Get("Location"))
	}
	w.has("/lists/rules", "Version 1 is in force", "only the cold")
	w.has("/lists/runs", "rules, rules 1", "done")
	if got := w.post(place, "do", "decline"); got.status != http.StatusConflict {
		t.Errorf("a run that is done was declined: %d", got.status)
	}
	if got := w.post("/lists/rules", "rules", cold, "version", "0", "do", "enforce"); !strings.Contains(got.body, "in force by now") {
		t.Errorf("a table that nobody saw was replaced: %d", got.status)
	}
	w.has("/audit", "lists.rules", "lists.approve")
}

func TestListsAndAgentsAreKeptInTheConsole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	if got := w.post("/lists", "agentKey", "DANA", "listKey", "COLD", "alowareListId", "8102"); got.status != http.StatusSeeOther {
		t.Errorf("%d", got.status)
	}
	w.has("/lists", "DF_DANA_COLD", "8102")
	for _, bad := range [][]string{{"agentKey", "NOBODY", "listKey", "COLD"}, {"agentKey", "DANA", "listKey", "WARM"}, {"agentKey", "DANA", "listKey", "COLD", "alowareListId", "x"}} {
		if got := w.post("/lists", bad...); got.status != http.StatusBadRequest {
			t.Errorf("%v: %d", bad, got.status)
		}
	}
	if got := w.post("/lists/DANA/COLD/delete"); got.status != http.StatusSeeOther {
		t.Errorf("%d", got.status)
	}
	if got := w.post("/agents/seed"); got.status != http.StatusSeeOther {
		t.Errorf("%d", got.status)
	}
	w.has("/agents", "ELI_STONE", "1 agents were made, 0 completed, 1 addresses are left to you")
	if got := w.post("/lists/rebuild", "force", "yes"); got.status != http.StatusSeeOther {
		t.Errorf("%d", got.status)
	}
	w.has("/audit", "list.save", "list.delete", "agent.seed", "lists.rebuild")
	if got := w.post("/agents", "key", "ELI2", "ghlOwnerId", "u1", "active", "yes"); got.status != http.StatusConflict {
		t.Errorf("one user is two agents: %d", got.status)
	}
	var lists struct{ Data []json.RawMessage }
	header := http.Header{"X-Df-Admin-Secret": {adminSecret}}
	if got := w.do(http.MethodGet, "/api/admin/lists", nil, header); got.status != 200 || json.Unmarshal([]byte(got.body), &lists) != nil || len(lists.Data) != 1 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

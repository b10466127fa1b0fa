package console_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/explain"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

func (w *world) explain() *explain.Desk {
	return &explain.Desk{Store: w.store, Gate: consent.Gate{Registry: w.store, People: consent.Book{Store: w.store}}, Lists: w.desk(), ListSync: true, Clock: w.clock.now,
		Upstreams: func(context.Context) ([]explain.Upstream, error) {
			return []explain.Upstream{{Name: "aloware", Configured: true}, {Name: "ghl", Configured: true, OpenUntil: w.clock.now().Add(time.Hour)}, {Name: "verity", Configured: true}}, nil
		}}
}

// looker finds another city in GHL than was agreed, and somebody's budget used up.
type looker struct{ *world }

var _ console.Looker = looker{}

func (l looker) rules() converge.Converger {
	return converge.Converger{Rules: converge.Rules{Policy: converge.Merge, Fields: map[df.Field]converge.FieldRule{df.Company: converge.MirrorGHL}}}
}

func (l looker) InForce() converge.Rules {
	rules := l.rules().Rules
	all := func(df.Field) bool { return true }
	rules.Can = map[df.Side]converge.Ability{df.SideGHL: {Holds: all, Writable: all},
		df.SideAloware: {Holds: func(f df.Field) bool { return f != df.Company }, Writable: func(f df.Field) bool { return f != df.PhoneNumber }}}
	return rules
}

func (l looker) Compare(agreed converge.Agreed, seen map[df.Side]df.Contact) converge.Proposal {
	return converge.Plan(agreed, seen, l.InForce())
}

func (l looker) Look(ctx context.Context, id string) (converge.View, error) {
	if id == l.ended {
		return converge.View{}, &df.CallError{Upstream: "ghl", Operation: "read contact", Outcome: df.RetryLater, Code: df.CodeRateLimited, Message: "the budget is used up"}
	}
	state, err := converge.Stored{Store: l.store, Clock: l.clock.now, NewID: df.IDs(l.clock.now)}.Load(ctx, id)
	if err != nil {
		return converge.View{}, people.ErrNotFound
	}
	seen := map[df.Side]df.Contact{}
	for side, base := range state.Agreed.Clone() {
		seen[side] = df.Contact{ID: base.ContactID, Fields: base.Fields, Tags: base.Tags}
	}
	seen[df.SideGHL].Fields[df.LastName] = "Wolf"
	return converge.View{State: state, Seen: seen}, nil
}

func TestAPersonsPageLaysBothSidesBesideEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	at := "/people/" + w.person
	w.has(at, "Side by side", "GoHighLevel last seen", "who changed it; GoHighLevel where both did", "nobody else: Aloware has no such field", "prefer_ghl",
		"/conflicts/"+w.conflicts["city"], "Read both sides now", "Why, and why not")
	got := w.post(at + "/read")
	if got.status != http.StatusOK {
		t.Fatalf("%d %.300s", got.status, got.body)
	}
	for _, want := range []string{"GoHighLevel now", "Wolf", "Fox", "waiting", "move to Aloware", "Both sides were read just now"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("what was read just now does not hold %q", want)
		}
	}
	if w.csrf = ""; w.post(at+"/read").status != http.StatusForbidden {
		t.Error("a form without a token reads")
	}
	w.signInAgain()
	got = w.post("/people/" + w.ended + "/read")
	if got.status != http.StatusOK || !strings.Contains(got.body, "the budget is used up") {
		t.Errorf("a used up budget: %d %.300s", got.status, got.body)
	}
	if got := w.post("/people/none/read"); got.status != http.StatusNotFound {
		t.Errorf("nobody: %d", got.status)
	}
}

// signInAgain takes the token of the session again.
func (w *world) signInAgain() { w.csrf = tokenIn(w.t, w.get("/agents").body) }

func TestWhyIsAnsweredOnThePageAndAsJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	at := "/people/" + w.person
	w.has(at+"/why", "lane.blocked", "consent.opt_out", "upstream.verity")
	w.has(at+"/why?question=listed", "breaker.ghl", "tag HOT", `href="/lists/rules"`)
	w.has("/people/"+w.ended+"/why?question=called", "person.ended", "deleted in GHL", "<span class=\"chip bad\">no</span>")
	admin := http.Header{"X-Df-Admin-Secret": {adminSecret}}
	got := w.do(http.MethodGet, "/api/admin/people/"+w.ended+"/why?question=texted", nil, admin)
	var answer struct {
		Success bool
		Data    explain.Answer
	}
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil || !answer.Success || answer.Data.Verdict != explain.No || answer.Data.PersonID != w.ended {
		t.Errorf("%d %s", got.status, got.body)
	}
	for path, want := range map[string]int{at + "/why?question=x": 400, at + "/why": 400, "/people/none/why?question=texted": 404} {
		if got := w.do(http.MethodGet, "/api/admin"+path, nil, admin); got.status != want {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}

func TestTheTimelineHasFiltersAndPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.calls(1)
	now := w.clock.now().UTC().Truncate(time.Microsecond)
	recorder := consent.Recorder{Clock: w.clock.now, NewID: df.IDs(w.clock.now)}
	w.must(w.store.InTx(t.Context(), func(tx store.Tx) error {
		_, err := recorder.Record(t.Context(), tx, consent.Act{Kind: consent.Stop, Phone: "+12025550143", Holder: consent.Text, Actor: "customer", At: now, HeardAt: now,
			Source: "texting", Words: "STOP " + hostile, Rule: "keyword", Certain: true, EventID: w.events["done"]})
		if err != nil {
			return err
		}
		_, err = store.InsertIncident(t.Context(), tx, store.Incident{Key: "i1", Phone: "+12025550143", Scope: "sms", At: now, SeenAt: now, OutSince: now, Source: "ghl", PersonID: w.person})
		return err
	}))
	w.signIn()
	at := "/people/" + w.person
	w.post(at + "/converge")
	w.has(at+"?kind=consent&kind=incident", "STOP &lt;script&gt;", "rule <code>keyword</code>", "incident", "/events/"+w.events["done"])
	w.has(at+"?kind=action&kind=change", "person.converge", "by admin")
	admin := http.Header{"X-Df-Admin-Secret": {adminSecret}}
	ids, cursor := map[string]int{}, ""
	for range 100 {
		got := w.do(http.MethodGet, "/api/admin"+at+"/timeline?limit=3&cursor="+url.QueryEscape(cursor), nil, admin)
		var list struct {
			Data []struct {
				At   time.Time
				Kind string
				Sync *struct{ ID string }
			}
			NextCursor string
		}
		w.must(json.Unmarshal([]byte(got.body), &list))
		for _, entry := range list.Data {
			ids[entry.Kind]++
		}
		if cursor = list.NextCursor; cursor == "" {
			break
		}
	}
	if ids["sync"] != 15 || ids["conflict"] != 2 || ids["consent"] != 1 || ids["incident"] != 1 || ids["action"] != 1 || ids["call"] == 0 {
		t.Errorf("over all pages: %v", ids)
	}
	for _, query := range []string{"cursor=x", "kind=x", "limit=0"} {
		if got := w.do(http.MethodGet, "/api/admin"+at+"/timeline?"+query, nil, admin); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d", query, got.status)
		}
	}
}

func TestAnErasedPersonIsSaidToBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	w.has("/people/"+erasedPerson, "This person was erased", "admin", "&lt;script&gt;")
	if got := w.get("/people/" + w.ended); strings.Contains(got.body, "/erase") {
		t.Error("an erasure is offered that no feature brings")
	}
}

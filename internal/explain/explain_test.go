package explain

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/lists"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

const (
	ann   = df.Phone("+15005550111")
	other = df.Phone("+15005550112")
)

var noon = time.Date(2030, 5, 3, 12, 0, 0, 0, time.UTC)

// registry is the store's, which may be broken.
type registry struct {
	*store.Store
	broken error
}

func (r *registry) Consents(ctx context.Context, phones ...string) (map[string]store.Consent, error) {
	if r.broken != nil {
		return nil, r.broken
	}
	return r.Store.Consents(ctx, phones...)
}

// dialer takes everything, but what answer says.
type dialer struct{ answer error }

func (d *dialer) AddToLists(context.Context, df.Phone, ...string) error { return d.answer }
func (d *dialer) RemoveFromAllLists(context.Context, string) error      { return d.answer }
func (d *dialer) Enroll(context.Context, df.Phone, string, bool) error  { return d.answer }
func (d *dialer) Disenroll(context.Context, df.Phone) error             { return d.answer }

// rig is one person about whom everything is in order: texts may go, and the tag
// HOT has put her on a list of Dana's.
type rig struct {
	t         *testing.T
	store     *store.Store
	registry  *registry
	gate      *consent.Gate
	dialer    *dialer
	lists     *lists.Desk
	desk      *Desk
	upstreams []Upstream
	person    store.Person
	tags      []string
	ids       func() string
}

func newRig(t *testing.T, s *store.Store) *rig {
	clock := func() time.Time { return noon }
	r := &rig{t: t, store: s, registry: &registry{Store: s}, dialer: &dialer{}, tags: []string{"HOT", "Owner: Dana"}, ids: df.IDs(time.Now),
		upstreams: []Upstream{{Name: "ghl", Configured: true}, {Name: "aloware", Configured: true}, {Name: "verity", Configured: true}}}
	r.gate = &consent.Gate{Registry: r.registry, People: consent.Book{Store: s}, Zones: consent.Book{Store: s}, Clock: clock}
	r.lists = &lists.Desk{Store: s, Gate: r.gate, Dialer: r.dialer, Urgent: r.dialer, DefaultAgent: "UNASSIGNED", Apply: true,
		Vocabulary: lists.Vocabulary{ListKeys: []string{"HOT", "COLD"}, TagMode: lists.TagsIgnoreCase}, Brake: lists.Brake{Percent: 100},
		Clock: clock, NewID: r.ids, Log: slog.New(slog.DiscardHandler)}
	r.desk = &Desk{Store: s, Gate: r.gate, Lists: r.lists, ListSync: true, Clock: clock,
		Upstreams: func(context.Context) ([]Upstream, error) { return r.upstreams, nil }}
	r.person = store.Person{ID: "person-1", GHLContactID: "g1", AlowareContactID: "a1", Phone: ann, OtherPhones: []df.Phone{other}, Status: "active",
		SyncDirection: "bidirectional", CreatedAt: noon, UpdatedAt: noon}
	r.tx(func(tx store.Tx) error { return store.InsertPerson(t.Context(), tx, r.person) })
	r.must(s.SaveAgent(t.Context(), store.Agent{Key: "DANA", DisplayName: "Dana", RequiredTag: "Owner: Dana", Active: true}, false, noon))
	r.must(s.SaveCallList(t.Context(), store.CallList{AgentKey: "DANA", ListKey: "HOT", AlowareID: "71", Name: "DF_DANA_HOT", UpdatedAt: noon}))
	r.must(r.follow())
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) tx(f func(tx store.Tx) error) { r.t.Helper(); r.must(r.store.InTx(r.t.Context(), f)) }

// follow lets the lists follow a convergence that saw the person's tags.
func (r *rig) follow() error {
	contact := df.Contact{ID: "a1", Fields: map[df.Field]string{df.PhoneNumber: string(ann)}}
	return r.lists.Follow(r.t.Context(), people.Lease{}, lists.Turn{Person: people.FromRow(r.person),
		GHL: &df.Contact{ID: "g1", Tags: r.tags, Fields: map[df.Field]string{df.Owner: ""}}, Aloware: &contact})
}

// refollow decides again with other tags.
func (r *rig) refollow(tags ...string) { r.t.Helper(); r.tags = tags; r.must(r.follow()) }

// stop records an opt-out, told by the event.
func (r *rig) stop(phone df.Phone, event string, scopes ...consent.Scope) {
	recorder := consent.Recorder{Clock: func() time.Time { return noon }, NewID: r.ids}
	r.tx(func(tx store.Tx) error {
		_, err := recorder.Record(r.t.Context(), tx, consent.Act{Kind: consent.Stop, Phone: phone, Holder: consent.Text, Scopes: scopes,
			Actor: "customer", HeardAt: noon, At: noon, Source: "texting", Words: "STOP", Rule: "keyword", Certain: true, EventID: event})
		return err
	})
}

// event has an event wait in the person's lane.
func (r *rig) event() string {
	r.t.Helper()
	id := r.ids()
	_, err := r.store.Accept(r.t.Context(), []store.Delivery{{DedupeKey: id, DedupeUntil: noon.Add(time.Minute), Event: df.Event{ID: id, ReceivedAt: noon,
		Source: df.SourceGHL, Route: "ghl", Status: df.Pending, Verified: "ed25519", Raw: []byte(`{}`), DedupeKey: id,
		Notice: df.Notice{Type: "ContactUpdate", Kind: df.KindContactUpdated, EntityType: "contact", EntityID: "g1", ContactID: "g1"}}}}, noon)
	r.must(err)
	e, err := r.store.Event(r.t.Context(), id)
	r.must(err)
	if e.Lane == store.PersonLane(r.person.ID) {
		return id
	}
	r.turn(e.Lane, store.Result{EventID: id, Status: df.Pending, PersonID: r.person.ID, MoveTo: store.PersonLane(r.person.ID)}, time.Time{})
	return id
}

// turn has a worker's turn at a lane end as the result says.
func (r *rig) turn(lane string, result store.Result, wake time.Time) {
	r.t.Helper()
	turn, ok, err := r.store.TakeTurn(r.t.Context(), lane, "test", 10, noon, noon.Add(time.Minute))
	r.must(err)
	if !ok {
		r.t.Fatalf("the lane %s gives no turn", lane)
	}
	_, err = r.store.FinishTurn(r.t.Context(), turn.Lease, []store.Result{result}, 0, noon, wake)
	r.must(err)
}

// change changes the person's row.
func (r *rig) change(f func(p *store.Person)) {
	r.t.Helper()
	p, err := store.PersonByID(r.t.Context(), r.store, r.person.ID)
	r.must(err)
	f(&p)
	r.tx(func(tx store.Tx) error { return store.UpdatePerson(r.t.Context(), tx, p) })
}

// converge leaves issues and conflicts behind.
func (r *rig) converge(c store.Convergence) {
	r.t.Helper()
	var err error
	c.Person, err = store.PersonByID(r.t.Context(), r.store, r.person.ID)
	r.must(err)
	c.At = noon
	r.must(r.store.SaveConvergence(r.t.Context(), store.Lease{}, c))
}

// situation is one reason: what is done, and what the answers must then say.
type situation struct {
	name     string
	question Question
	set      func(r *rig) (evidence string)
	verdict  Verdict
	code     string
	state    df.CheckState
	kind     string // of the evidence
}

func (s situation) run(t *testing.T, db *store.Store) {
	r := newRig(t, db)
	evidence := ""
	if s.set != nil {
		evidence = s.set(r)
	}
	answer, err := r.desk.Why(t.Context(), r.person.ID, s.question)
	r.must(err)
	if answer.Verdict != s.verdict {
		t.Errorf("the verdict is %q, want %q: %s", answer.Verdict, s.verdict, answer.Summary)
	}
	i := slices.IndexFunc(answer.Checks, func(c df.Check) bool { return c.Code == s.code && c.State == s.state })
	if i < 0 {
		t.Fatalf("no check %s that says %s in %+v", s.code, s.state, answer.Checks)
	}
	found := answer.Checks[i]
	if found.Rule == "" || found.Detail == "" {
		t.Errorf("the check names no rule or says nothing: %+v", found)
	}
	if s.verdict != Yes && s.state != df.Note && s.state != df.Passes && !strings.Contains(answer.Summary, found.Detail) {
		t.Errorf("the summary %q says another reason than %q", answer.Summary, found.Detail)
	}
	if s.kind != "" && !slices.ContainsFunc(found.Evidence, func(e df.Evidence) bool { return e.Kind == s.kind && (evidence == "" || e.ID == evidence) }) {
		t.Errorf("the evidence is %+v, want %s %s", found.Evidence, s.kind, evidence)
	}
	for _, c := range answer.Checks {
		if strings.Contains(c.Rule+c.Detail, "+1500") {
			t.Errorf("a check shows a number: %+v", c)
		}
	}
}

func quiet(zones ...*time.Location) consent.Policy {
	return consent.Policy{Quiet: &consent.QuietHours{From: 11 * time.Hour, Until: 13 * time.Hour, Elsewhere: zones}}
}

// TestEveryReasonIsTold sets each situation and asks: what is told must be what
// decides.
func TestEveryReasonIsTold(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, db *store.Store) {
		for _, s := range slices.Concat(contacting(), listing(), beside()) {
			t.Run(string(s.question)+"/"+s.name, func(t *testing.T) {
				empty(t, db)
				s.run(t, db)
			})
		}
	})
}

// empty forgets the situation before: one database serves all.
func empty(t *testing.T, db *store.Store) {
	t.Helper()
	for _, table := range []string{"contact_mappings", "contact_phones", "contact_agreements", "sync_issues", "sync_conflicts", "sync_log", "people_reviews",
		"webhook_events", "webhook_dedupe", "lanes", "agent_directory", "call_list_registry", "contact_list_memberships", "contact_agent_state",
		"list_intents", "list_holdings", "list_rules", "list_runs", "optout_registry", "consent_holds", "consent_fanout", "phone_locks"} {
		if _, err := db.Exec(t.Context(), "DELETE FROM "+table); err != nil {
			t.Fatal(err)
		}
	}
}

func contacting() []situation {
	no := func(name string, q Question, verdict Verdict, code string, set func(r *rig) string, kind string) situation {
		state := df.Fails
		if verdict == Later {
			state = df.Waits
		}
		return situation{name, q, set, verdict, code, state, kind}
	}
	return []situation{
		{"nothing stands against it", Texted, nil, Yes, "consent.opt_out", df.Passes, ""},
		{"nothing stands against it", Called, nil, Yes, "lists.on", df.Passes, "rules"},
		{"nothing stands against it", Listed, nil, Yes, "lists.on", df.Passes, "rules"},
		no("stop", Texted, No, "consent.opted_out", func(r *rig) string { r.stop(ann, "event-1"); return "event-1" }, "event"),
		no("stop, in the registry", Texted, No, "consent.opted_out", func(r *rig) string { r.stop(ann, "event-1"); return "" }, "opt_out"),
		no("stop from an old number", Texted, No, "consent.opted_out", func(r *rig) string { r.stop(other, "event-2"); return "event-2" }, "event"),
		no("stop of texts only", Texted, No, "consent.opted_out", func(r *rig) string { r.stop(ann, "event-3", consent.SMS); return "event-3" }, "event"),
		{"stop of texts only", Called, func(r *rig) string { r.stop(ann, "event-3", consent.SMS); return "" }, Yes, "consent.opt_out", df.Passes, ""},
		no("stop of calls", Called, No, "consent.opted_out", func(r *rig) string { r.stop(ann, "event-4", consent.Call); return "event-4" }, "event"),
		{"stop of calls only", Texted, func(r *rig) string { r.stop(ann, "event-4", consent.Call); return "" }, Yes, "consent.opt_out", df.Passes, ""},
		no("consent cannot be read", Texted, Later, "consent.consent_unavailable", func(r *rig) string { r.registry.broken = errors.New("no database"); return "" }, ""),
		no("quiet hours", Texted, No, "consent.quiet_hours", func(r *rig) string { r.gate.Policy = quiet(time.UTC); return "" }, ""),
		no("quiet hours", Called, No, "consent.quiet_hours", func(r *rig) string { r.gate.Policy = quiet(time.UTC); return "" }, ""),
		{"quiet hours concern no list", Listed, func(r *rig) string { r.gate.Policy = quiet(time.UTC); return "" }, Yes, "consent.hour", df.Passes, ""},
		no("zone unknown", Texted, No, "consent.zone_unknown", func(r *rig) string { r.gate.Policy = quiet(); return "" }, ""),
		no("no number", Texted, No, "consent.bad_phone", func(r *rig) string { r.change(func(p *store.Person) { p.Phone = "" }); return "" }, ""),
		no("verity not configured", Texted, No, "upstream.verity", func(r *rig) string { r.upstreams[2].Configured = false; return "" }, ""),
		no("verity failed too often", Texted, Later, "breaker.verity", func(r *rig) string { r.upstreams[2].OpenUntil = noon.Add(time.Minute); return "" }, ""),
		{"a breaker that let a probe through", Texted, func(r *rig) string { r.upstreams[2].OpenUntil = noon.Add(-time.Minute); return "" }, Yes, "upstream.verity", df.Passes, ""},
		no("ended", Texted, No, "person.ended", func(r *rig) string {
			r.change(func(p *store.Person) { p.Status, p.EndedAt, p.EndedReason = "ended", noon, "deleted in GHL" })
			return ""
		}, ""),
		no("merged", Texted, No, "person.merged", func(r *rig) string {
			r.change(func(p *store.Person) { p.Status, p.EndedAt, p.MergedInto = "ended", noon, "person-2" })
			return "person-2"
		}, "person"),
		no("an event waits", Texted, Later, "lane.pending", func(r *rig) string { return r.event() }, "event"),
		no("the lane is blocked", Texted, Later, "lane.blocked", func(r *rig) string {
			id := r.event()
			r.turn(store.PersonLane(r.person.ID), store.Result{EventID: id, Status: df.Failed, PersonID: r.person.ID,
				Error: "ghl: update contact: unavailable (HTTP 503)", RetryAt: noon.Add(time.Minute)}, noon.Add(time.Minute))
			return id
		}, "event"),
		no("a convergence waits", Texted, Later, "lane.nudged", func(r *rig) string {
			r.must(r.store.Nudge(r.t.Context(), store.PersonLane(r.person.ID), noon))
			return ""
		}, ""),
	}
}

func listing() []situation {
	no := func(name string, code string, kind string, set func(r *rig) string) situation {
		return situation{name, Listed, set, No, code, df.Fails, kind}
	}
	later := func(name string, code string, kind string, set func(r *rig) string) situation {
		return situation{name, Listed, set, Later, code, df.Waits, kind}
	}
	return []situation{
		no("stop", "consent.opted_out", "event", func(r *rig) string { r.stop(ann, "event-1"); return "event-1" }),
		no("no rule asks", "lists.no_rule", "rules", func(r *rig) string { r.refollow("Owner: Dana"); return "" }),
		no("kept off by a rule", "lists.kept_off", "rules", func(r *rig) string {
			r.rules(lists.Rule{Name: "cold ones", When: lists.When{Tags: []string{"Cold"}}, Off: []string{"HOT"}})
			r.refollow("HOT", "Owner: Dana", "Cold")
			return ""
		}),
		no("agent unknown", "lists.unknown_agent", "", func(r *rig) string {
			r.must(r.lists.Follow(r.t.Context(), people.Lease{}, lists.Turn{Person: people.FromRow(r.person),
				GHL: &df.Contact{ID: "g1", Tags: []string{"HOT"}}, Aloware: &df.Contact{ID: "a1"}}))
			return ""
		}),
		no("agent ambiguous", "lists.ambiguous_agent", "", func(r *rig) string {
			r.must(r.store.SaveAgent(r.t.Context(), store.Agent{Key: "ELI", DisplayName: "Eli", RequiredTag: "Owner: Eli", Active: true}, false, noon))
			r.refollow("HOT", "Owner: Dana", "Owner: Eli")
			return ""
		}),
		no("list without id", "lists.unknown_list", "", func(r *rig) string { r.refollow("COLD", "Owner: Dana"); return "" }),
		no("id refused", "lists.refused", "rules", func(r *rig) string {
			r.must(r.store.SaveCallList(r.t.Context(), store.CallList{AgentKey: "DANA", ListKey: "COLD", AlowareID: "72", UpdatedAt: noon}))
			r.lists.Dialer = refusing{r.dialer}
			r.refollow("COLD", "Owner: Dana")
			return ""
		}),
		no("nothing is sent", "lists.apply", "", func(r *rig) string {
			r.lists.Apply = false
			r.must(r.store.SaveCallList(r.t.Context(), store.CallList{AgentKey: "DANA", ListKey: "COLD", AlowareID: "72", UpdatedAt: noon}))
			r.refollow("COLD", "Owner: Dana")
			return ""
		}),
		no("no contact at Aloware", "mapping.aloware", "", func(r *rig) string {
			r.change(func(p *store.Person) { p.AlowareContactID = "" })
			return ""
		}),
		no("no contact at GHL", "mapping.ghl", "", func(r *rig) string {
			r.change(func(p *store.Person) { p.GHLContactID = "" })
			return ""
		}),
		no("lists are off", "lists.off", "", func(r *rig) string { r.desk.ListSync = false; return "" }),
		no("aloware not configured", "upstream.aloware", "", func(r *rig) string { r.upstreams[1].Configured = false; return "" }),
		later("the budget is used up", "budget.aloware", "", func(r *rig) string { r.upstreams[1].HeldUntil = noon.Add(time.Minute); return "" }),
		later("ghl failed too often", "breaker.ghl", "", func(r *rig) string { r.upstreams[0].OpenUntil = noon.Add(time.Minute); return "" }),
		later("nothing decided yet", "lists.undecided", "", func(r *rig) string {
			p := r.person
			p.ID, p.GHLContactID, p.AlowareContactID, p.Phone, p.OtherPhones = "person-9", "g9", "a9", "+15005550119", nil
			r.tx(func(tx store.Tx) error { return store.InsertPerson(r.t.Context(), tx, p) })
			r.person = p
			return ""
		}),
		later("the brake waits", "lists.brake", "run", func(r *rig) string {
			r.lists.Brake = lists.Brake{Percent: 0}
			r.must(r.store.SaveCallList(r.t.Context(), store.CallList{AgentKey: "DANA", ListKey: "COLD", AlowareID: "72", UpdatedAt: noon}))
			r.refollow("COLD", "Owner: Dana")
			run, err := store.WaitingListRun(r.t.Context(), r.store, lists.RunBrake)
			r.must(err)
			return run.ID
		}),
		later("aloware did not take it", "lists.failed", "", func(r *rig) string { r.unavailable(); return "" }),
		no("given up", "lists.blocked", "", func(r *rig) string {
			for range 9 {
				r.unavailable()
			}
			return ""
		}),
		later("the rules changed since", "lists.next", "", func(r *rig) string {
			r.must(r.store.SaveCallList(r.t.Context(), store.CallList{AgentKey: "DANA", ListKey: "HOT", AlowareID: "99", UpdatedAt: noon}))
			return ""
		}),
		{"not on a list is not called", Called, func(r *rig) string { r.refollow("Owner: Dana"); return "" }, No, "lists.no_rule", df.Fails, "rules"},
		{"a rule that does not apply", Listed, nil, Yes, "lists.rule", df.Note, "rules"},
		{"sequences are off", Listed, nil, Yes, "sequence", df.Note, ""},
	}
}

// refusing refuses adds, and nothing else.
type refusing struct{ *dialer }

func (refusing) AddToLists(context.Context, df.Phone, ...string) error {
	return &df.CallError{Upstream: "aloware", Operation: "write contact", Outcome: df.Refused, Status: 422, Code: df.CodeInvalid, Message: "no such list"}
}

// unavailable asks for another list while Aloware cannot be reached.
func (r *rig) unavailable() {
	r.t.Helper()
	r.dialer.answer = &df.CallError{Upstream: "aloware", Operation: "write contact", Outcome: df.RetryLater, Status: 503, Code: df.CodeUnavailable, Message: "down"}
	r.must(r.store.SaveCallList(r.t.Context(), store.CallList{AgentKey: "DANA", ListKey: "COLD", AlowareID: "72", UpdatedAt: noon}))
	r.tags = []string{"COLD", "Owner: Dana"}
	if err := r.follow(); err != nil && !df.IsCode(err, df.CodeUnavailable) {
		r.t.Fatal(err)
	}
}

// rules puts more rules behind those that are built in.
func (r *rig) rules(more ...lists.Rule) {
	r.t.Helper()
	table := lists.DefaultRules(r.lists.Vocabulary)
	table.Rules = append(table.Rules, more...)
	text, err := json.Marshal(table)
	r.must(err)
	r.tx(func(tx store.Tx) error {
		version, err := store.InsertListRules(r.t.Context(), tx, store.ListRules{State: "waiting", Rules: string(text), Author: "test", CreatedAt: noon})
		if err != nil {
			return err
		}
		return store.EnforceListRules(r.t.Context(), tx, version, "test", noon)
	})
}

// beside is what is told and decides nothing.
func beside() []situation {
	note := func(name, code, kind string, set func(r *rig) string) situation {
		return situation{name, Texted, set, Yes, code, df.Note, kind}
	}
	return []situation{
		note("a conflict", "conflict", "conflict", func(r *rig) string {
			r.converge(store.Convergence{Conflicts: []store.Conflict{{ID: "conflict-1", Field: df.City, Kind: "both_changed", Base: map[df.Side]string{},
				Seen: map[df.Side]string{}, Chosen: df.SideGHL, Rule: "prefer_ghl"}}})
			return "conflict-1"
		}),
		note("a field's breaker", "breaker.field", "issue", func(r *rig) string {
			r.converge(store.Convergence{Issues: []store.Issue{{Topic: "aloware/city", Kind: "ping_pong", Side: df.SideAloware, Field: df.City, Open: true, Since: noon, At: noon}}})
			return "aloware/city"
		}),
		note("an issue", "issue.refused", "issue", func(r *rig) string {
			r.converge(store.Convergence{Issues: []store.Issue{{Topic: "aloware/city", Kind: "refused", Side: df.SideAloware, Field: df.City, Open: true, Detail: "too long", Since: noon, At: noon}}})
			return ""
		}),
		note("an event that was put aside", "event.quarantined", "event", func(r *rig) string {
			id := r.event()
			r.must(r.store.CloseEvent(r.t.Context(), id, df.Quarantined, "several people fit", noon))
			return id
		}),
		note("not settled who it is", "review.shared_phone", "review", func(r *rig) string {
			r.tx(func(tx store.Tx) error {
				return store.InsertReview(r.t.Context(), tx, store.Review{Key: "review-1", Kind: "shared_phone", PersonID: "somebody", Side: df.SideGHL,
					Candidates: []string{r.person.ID}, At: noon})
			})
			return "review-1"
		}),
		note("no contact at Aloware", "mapping.aloware", "", func(r *rig) string {
			r.change(func(p *store.Person) { p.AlowareContactID = "" })
			r.converge(store.Convergence{Issues: []store.Issue{{Topic: "aloware/link", Kind: "no_phone", Side: df.SideAloware, Detail: "has none", Since: noon, At: noon}}})
			return ""
		}),
	}
}

func TestOnlyKnownQuestionsAboutKnownPeopleAreAnswered(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	if _, err := r.desk.Why(t.Context(), r.person.ID, "loved"); !errors.Is(err, ErrQuestion) {
		t.Errorf("another question: %v", err)
	}
	if _, err := r.desk.Why(t.Context(), "nobody", Texted); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
	all, err := r.desk.All(t.Context(), r.person.ID)
	r.must(err)
	if len(all) != 3 || all[0].Summary != "would be texted" || all[1].Summary != "would be called" || all[2].Summary != "would be listed" {
		t.Errorf("all answers: %+v", all)
	}
}

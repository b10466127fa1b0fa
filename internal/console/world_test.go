package console_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// The secrets of the tests. None may ever be in a page.
const (
	adminSecret  = "admin-secret-of-the-tests"
	envKey       = "gateway-key-of-the-tests"
	verityOrigin = "https://verity.example.test"
	userPassword = "password-of-the-tests"
	hostile      = `<script>alert("x")</script>`
)

// world is a console over a store, and a browser without JavaScript.
type world struct {
	*httptest.Server
	t        testing.TB
	store    *store.Store
	console  *console.Server
	accounts *auth.Users
	clerk    map[string]string // user of Clerk's by token
	talked   *talked
	clock    *clock
	syncs    atomic.Int64
	checked  atomic.Int64
	browser  *http.Client
	csrf     string

	person, ended string
	robin         auth.User         // an operator
	events        map[string]string // id by mark
	conflicts     map[string]string // id by field
}

// clock runs as real time does, so that River and the pages agree, and can skip.
type clock struct{ skipped atomic.Int64 }

func (c *clock) now() time.Time       { return time.Now().Add(time.Duration(c.skipped.Load())) }
func (c *clock) skip(d time.Duration) { c.skipped.Add(int64(d)) }

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, store: storetest.SQLite(t), clock: &clock{}, talked: &talked{}, events: map[string]string{}, conflicts: map[string]string{}}
	stored := auth.Stored{Store: w.store, Clock: w.clock.now}
	log := slog.New(slog.DiscardHandler)
	keys := auth.NewKeys(auth.KeysConfig{Store: stored, EnvKey: envKey, Clock: w.clock.now, Random: rand.Reader, Log: log,
		Limiter: auth.NewLimiter(stored, w.clock.now, log), Rate: auth.Rate{PerMinute: 600, Burst: 100}})
	guard := auth.NewGuard(auth.GuardConfig{Name: "admin", Brake: auth.NewBrake(w.clock.now), Readers: keys,
		Doors: []auth.Door{{Actor: "admin", Header: auth.AdminHeader, Secret: adminSecret}}})
	w.accounts = &auth.Users{Store: w.store, Passwords: auth.NewPasswords(auth.HashParams{MemoryKiB: 64, Passes: 1, Lanes: 1}, rand.Reader),
		Clock: w.clock.now, NewID: df.IDs(w.clock.now), Addresses: guard.Brake, Accounts: auth.NewBrake(w.clock.now)}
	var err error
	w.console, err = console.New(console.Config{
		Store: w.store, Sync: w, People: &people.Directory{Registry: people.Stored{Store: w.store}, Clock: w.clock.now, NewID: df.IDs(w.clock.now)}, Clock: w.clock.now, Log: log, Admin: guard.Wrap, Jobs: guard.Wrap, Guard: guard, Random: rand.Reader,
		Accounts: w.accounts, Clerk: w.vouch, ClerkOrigins: []string{verityOrigin},
		Connections: w.check, Outward: w.outward, Keys: keys, Metrics: http.NotFoundHandler(), Version: "1.2.3", Started: w.clock.now(),
		Decode: func(e df.Event) df.Notice { return e.Notice }, Lists: w.desk(), ListSync: true, Users: w, Look: looker{w}, Explain: w.explain(),
		Webhooks: []console.Webhook{
			{Name: "ghl", Source: df.SourceGHL, Paths: []string{"/api/webhooks/ghl"}},
			{Name: "aloware", Source: df.SourceAloware, Paths: []string{"/api/webhooks/aloware", "/api/integrations/aloware/webhook"}},
		},
		RecordingLink: func(callID string) string { return "/listen/" + callID }, InstallPath: "/leadconnector/install", Chat: w.talked,
		Settings: []console.Setting{{Name: "WEB_PORT", Value: "3002", Set: true}, {Name: "DF_ADMIN_SECRET", Secret: true, Set: true},
			{Name: "X_DF_JOBS_SECRET", Secret: true}, {Name: "BASE_URL", Value: hostile, Set: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	w.console.Register(mux)
	w.Server = httptest.NewServer(mux)
	t.Cleanup(w.Close)
	w.browser = w.newBrowser()
	return w
}

// newBrowser keeps cookies and does not follow redirects.
func (w *world) newBrowser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// vouch says whose token of Clerk's it is.
func (w *world) vouch(_ context.Context, token string) (string, error) {
	if subject, ok := w.clerk[token]; ok {
		return subject, nil
	}
	return "", auth.ErrInvalidToken
}

// user adds a user of the console and returns the id.
func (w *world) user(name string, role console.Role) auth.User {
	w.t.Helper()
	u, err := w.accounts.Create(auth.WithActor(w.t.Context(), "admin"), auth.NewUser{Name: name, Email: strings.ToLower(name) + "@example.test", Role: role, Password: userPassword})
	w.must(err)
	return u
}

// signInAs signs a browser of the user's own in.
func (w *world) signInAs(u auth.User) {
	w.t.Helper()
	w.browser = w.newBrowser()
	if got := w.trySignIn(u.Email, userPassword); got.status != http.StatusSeeOther {
		w.t.Fatalf("%s signs in: %d %.300s", u.Name, got.status, got.body)
	}
	w.csrf = tokenIn(w.t, w.get("/agents").body)
}

func (w *world) trySignIn(email, password string) answer {
	w.t.Helper()
	return w.do(http.MethodPost, "/sign-in", url.Values{"csrf": {tokenIn(w.t, w.get("/sign-in").body)}, "email": {email}, "secret": {password}}, nil)
}

func (w *world) check(context.Context) []console.Connection {
	w.checked.Add(1)
	return []console.Connection{
		{Name: "database", Status: "ok", Message: "sqlite", TookMS: 0.4}, {Name: "ghl", Status: "ok", Message: "location loc1", TookMS: 81.25},
		{Name: "aloware", Status: "failed", Message: "aloware: list users: unauthorized (HTTP 401) " + hostile, TookMS: 120},
		{Name: "verity", Status: "ok", Message: "http://127.0.0.1:3000", TookMS: 3}, {Name: "clerk", Status: "not_configured"},
		{Name: "aloware-native", Status: "warning", Message: "Aloware's own integration is on: it made 3 contacts. Switch it off.", TookMS: 1},
	}
}

// outward is one budget that is free and one that is held, a breaker that is
// open, and tokens of every kind.
func (w *world) outward(context.Context) (console.Outward, error) {
	left := int64(187_654)
	now := w.clock.now()
	return console.Outward{
		Budgets: []console.Budget{
			{Upstream: "aloware", Account: "aloware", Limit: "2 calls in 1s, 8 at once", Most: 6, HeldUntil: now.Add(time.Hour)},
			{Upstream: "ghl", Account: "ghl:loc1", Limit: "80 calls in 10s, 20 at once", Now: 17, Most: 18, Daily: &left, DailyAt: now},
		},
		Breakers: []console.Breaker{
			{Upstream: "aloware", State: "open", Until: now.Add(time.Minute), Failures: 5, Calls: 40, Failed: 12}, {Upstream: "ghl", State: "closed", Calls: 1200},
		},
		Tokens: []console.Token{
			{Name: "GoHighLevel app", State: "valid", IssuedAt: now, ExpiresAt: now.Add(time.Hour), Note: "renewed by itself"},
			{Name: "our own for Verity", State: "missing", Note: "fetched when it is first needed"},
		},
	}, nil
}

// SyncContact implements console.Syncer.
func (w *world) SyncContact(_ context.Context, ghl, aloware, phone string) (string, error) {
	w.syncs.Add(1)
	if ghl+aloware+phone == "" {
		return "", errors.New("nobody was named")
	}
	return w.person, nil
}

// SyncAll implements console.Syncer.
func (w *world) SyncAll(context.Context) (int, error) { return 0, nil }

// answer is what a request came to.
type answer struct {
	status int
	header http.Header
	body   string
}

func (w *world) do(method, path string, form url.Values, header http.Header) answer {
	w.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.URL+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, values := range header {
		r.Header[name] = values
	}
	response, err := w.browser.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(data)}
}

func (w *world) get(path string) answer { w.t.Helper(); return w.do(http.MethodGet, path, nil, nil) }

// post sends a form with the session's token.
func (w *world) post(path string, fields ...string) answer {
	w.t.Helper()
	form := url.Values{"csrf": {w.csrf}}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return w.do(http.MethodPost, path, form, nil)
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

func tokenIn(t testing.TB, page string) string {
	t.Helper()
	found := csrfField.FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("no token in %.300s", page)
	}
	return found[1]
}

// signIn signs the browser in as its user would: reads the form, sends it.
func (w *world) signIn() {
	w.t.Helper()
	form := url.Values{"csrf": {tokenIn(w.t, w.get("/sign-in").body)}, "secret": {adminSecret}, "next": {"/events"}}
	got := w.do(http.MethodPost, "/sign-in", form, nil)
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/events" {
		w.t.Fatalf("sign-in: %d to %q: %.300s", got.status, got.header.Get("Location"), got.body)
	}
	w.csrf = tokenIn(w.t, w.get("/agents").body)
}

// seed fills the store with a bit of everything, hostile names and bodies
// among it.
func (w *world) seed() {
	w.t.Helper()
	now := w.clock.now().UTC()
	w.person, w.ended = w.id(now), w.id(now.Add(time.Millisecond))
	w.people(now)
	w.robin = w.user("Robin", console.Operator)
	for i, mark := range []string{"done", "skipped", "error", "quarantined", "pending", "hostile", "binary"} {
		w.event(mark, now.Add(-time.Duration(i)*73*time.Minute))
	}
	for i := range 60 {
		w.event(fmt.Sprintf("more-%d", i), now.Add(-time.Duration((59-i)*(59-i))*20*time.Second))
	}
	w.settle(now)
	w.converged(now)
	for _, a := range []store.Agent{
		{Key: "DANA", DisplayName: "Dana " + hostile, GHLOwnerID: "ve9EPM428h8vShlRW1KT", GHLOwnerEmail: "dana@example.test", RequiredTag: "Owner: Dana", AlowareUserID: "4711", Active: true},
		{Key: "LEE", DisplayName: "Lee", Active: false},
	} {
		w.must(w.store.SaveAgent(w.t.Context(), a, false, now))
	}
	w.listed(now)
	w.must(w.store.Audit(w.t.Context(), store.AuditRow{At: now, Actor: "key:0011223344556677", Action: "event.replay", Target: w.events["done"],
		Details: map[string]any{"reason": hostile}}))
	w.must(w.store.Audit(w.t.Context(), store.AuditRow{At: now, Actor: "admin", Action: "person.erase", Target: erasedPerson, Details: map[string]any{"reason": hostile}}))
}

// erasedPerson is the id of somebody who is gone.
const erasedPerson = "0197a3b2-4c5d-7e8f-9a0b-1c2d3e4f5a6b"

func (w *world) id(at time.Time) string { return df.IDs(func() time.Time { return at })() }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) people(now time.Time) {
	w.must(w.store.InTx(w.t.Context(), func(tx store.Tx) error {
		return errors.Join(
			store.InsertPerson(w.t.Context(), tx, store.Person{ID: w.person, GHLContactID: "seD4PfOuKoVMLkEZqohJ", AlowareContactID: "88213", Phone: "+15005550111",
				OtherPhones: []df.Phone{"+12025550143"}, Email: "dana.fox@example.test", Status: "active", SyncDirection: "bidirectional",
				LastSyncedAt: now.Add(-time.Minute), CreatedAt: now.Add(-72 * time.Hour), UpdatedAt: now}),
			store.InsertPerson(w.t.Context(), tx, store.Person{ID: w.ended, GHLContactID: "gone", Phone: "+15005550112", Status: "ended", EndedAt: now,
				EndedReason: "deleted in GHL", SyncDirection: "bidirectional", CreatedAt: now, UpdatedAt: now}),
		)
	}))
}

// event accepts one event and brings it into the state that its mark names.
func (w *world) event(mark string, at time.Time) {
	w.t.Helper()
	body := []byte(`{"type":"ContactUpdate","id":"seD4PfOuKoVMLkEZqohJ","balance":12345678901234567890.10,"firstName":"Dana"}`)
	e := df.Event{ID: w.id(at), ReceivedAt: at, Source: df.SourceGHL, Route: "ghl", Status: df.Pending, Verified: "ed25519",
		Notice: df.Notice{Type: "ContactUpdate", Kind: df.KindContactUpdated, EntityType: "contact", EntityID: "seD4PfOuKoVMLkEZqohJ",
			ContactID: "seD4PfOuKoVMLkEZqohJ", OccurredAt: at.Add(-time.Second)},
		DedupeKey: "ghl:ContactUpdate:" + mark, Headers: map[string]string{"User-Agent": "GHL"}}
	switch mark {
	case "hostile":
		body = []byte(`{"type":"` + strings.ReplaceAll(hostile, `"`, `\"`) + `"}`)
		e.Notice.Type, e.Notice.EntityID, e.Headers["User-Agent"], e.Verified = hostile, hostile, hostile, "unsigned"
		e.Source, e.Route = df.SourceAloware, "aloware"
	case "binary":
		body, e.Status, e.Reason, e.Notice.Skip = []byte{0xff, 0xfe, 0x00}, df.Skipped, "the body is no JSON", "the body is no JSON"
	case "skipped":
		e.Status, e.Reason, e.Notice.Skip = df.Skipped, "this type needs nothing", "this type needs nothing"
	}
	e.Raw = body
	accepted, err := w.store.Accept(w.t.Context(), []store.Delivery{{Event: e, DedupeKey: mark, DedupeUntil: at.Add(time.Minute)}}, at)
	w.must(err)
	w.events[mark] = accepted[0].EventID
}

// settle gives the events their ends.
func (w *world) settle(now time.Time) {
	w.t.Helper()
	for mark, status := range map[string]df.Status{"done": df.Done, "quarantined": df.Quarantined} {
		w.must(w.store.CloseEvent(w.t.Context(), w.events[mark], status, "by "+hostile, now))
	}
	for i := range 60 {
		status := df.Done
		if i%9 == 8 {
			status = df.Quarantined
		}
		if i > 2 {
			w.must(w.store.CloseEvent(w.t.Context(), w.events[fmt.Sprintf("more-%d", i)], status, "", now))
		}
	}
	w.fail(w.events["error"], now)
}

// fail makes the tries at an event fail, as a worker's turn does.
func (w *world) fail(id string, now time.Time) {
	w.t.Helper()
	e, err := w.store.Event(w.t.Context(), id)
	w.must(err)
	turn, ok, err := w.store.TakeTurn(w.t.Context(), e.Lane, "test", 100, now, now.Add(time.Minute))
	w.must(err)
	if !ok {
		w.t.Fatalf("the lane %s gives no turn", e.Lane)
	}
	var results []store.Result
	for _, one := range turn.Events {
		r := store.Result{EventID: one.ID, Status: df.Pending}
		if one.ID == id {
			r = store.Result{EventID: id, Status: df.Failed, Error: "ghl: update contact: unavailable (HTTP 503)", RetryAt: now.Add(time.Minute), PersonID: w.person}
		}
		results = append(results, r)
	}
	_, err = w.store.FinishTurn(w.t.Context(), turn.Lease, results, 0, now, now.Add(time.Minute))
	w.must(err)
}

func (w *world) converged(now time.Time) {
	decided, err := json.Marshal([]map[string]any{
		{"Action": "move", "Side": "aloware", "Field": "city", "Rule": "only_one_changed", "Value": "Springfield " + hostile, "Writes": true, "Before": "Shelbyville"},
		{"Action": "agree", "Side": "ghl", "Field": "phone", "Rule": "spelling", "Value": "+15005550111", "Detail": "the same number"},
	})
	w.must(err)
	line := func(direction df.Direction, status, message, event string, age time.Duration) store.SyncRow {
		at := now.Add(-age)
		return store.SyncRow{ID: w.id(at), Direction: direction, EntityType: "contact", EntityID: w.person, SourceID: "seD4PfOuKoVMLkEZqohJ",
			TargetID: "88213", Status: status, StartedAt: at, FinishedAt: at, Message: message, CorrelationID: event, PersonID: w.person,
			Fields: "city,firstName", Decisions: decided}
	}
	log := []store.SyncRow{line(df.AlowareToGHL, "error", "ghl: update contact: invalid (HTTP 422)", "", time.Hour)}
	for i := range 12 {
		log = append(log, line(df.GHLToAloware, "success", "", w.events["done"], time.Duration(i)*time.Minute))
	}
	log = append(log, line(df.AlowareToGHL, "success", "", w.events["hostile"], 2*time.Minute), line(df.GHLToAloware, "skipped", "nothing to write", w.events["done"], 0))
	var issues []store.Issue
	for i, kind := range []string{"not_written", "refused", "duplicate", "ping_pong"} {
		issues = append(issues, store.Issue{Topic: fmt.Sprintf("aloware/%d", i), Kind: kind, Side: df.SideAloware, Field: df.City, Want: "Springfield", Got: "SPRINGFIELD " + hostile,
			ContactID: "99", Tries: 3, Open: true, Detail: "Aloware took the value and kept another.", Since: now.Add(-3 * time.Hour), At: now.Add(-time.Duration(i) * time.Minute)})
	}
	person, err := store.PersonByID(w.t.Context(), w.store, w.person)
	w.must(err)
	for _, field := range []df.Field{df.FirstName, df.City} {
		w.conflicts[string(field)] = w.id(now)
	}
	w.must(w.store.SaveConvergence(w.t.Context(), store.Lease{}, store.Convergence{
		Person: person, At: now, Log: log, Issues: issues,
		Agreements: []store.Agreement{
			{Side: df.SideGHL, ContactID: "seD4PfOuKoVMLkEZqohJ", Tags: []string{"VIP", "Webinar 2030"}, Fields: map[df.Field]string{df.FirstName: "Dana " + hostile, df.LastName: "Fox",
				df.PhoneNumber: "+15005550111", df.Email: "dana.fox@example.test", df.City: "Springfield", df.Company: "Fox & Partners", df.CustomField("Score"): "17"}},
			{Side: df.SideAloware, ContactID: "88213", Tags: []string{"VIP", "Webinar 2030"}, Fields: map[df.Field]string{df.FirstName: "Dana " + hostile, df.LastName: "Fox",
				df.PhoneNumber: "+15005550111", df.City: "SPRINGFIELD", df.Email: ""}},
		},
		Conflicts: []store.Conflict{
			{ID: w.conflicts["firstName"], Field: df.FirstName, Kind: "both_changed", Base: map[df.Side]string{df.SideGHL: "Dan", df.SideAloware: "Dan"},
				Seen: map[df.Side]string{df.SideGHL: "Dana " + hostile, df.SideAloware: "Daniel"}, Chosen: df.SideGHL, Value: "Dana " + hostile, Rule: "newer_change", CorrelationID: w.events["done"]},
			{ID: w.conflicts["city"], Field: df.City, Kind: "ping_pong", Base: map[df.Side]string{}, Seen: map[df.Side]string{df.SideGHL: "Springfield", df.SideAloware: "SPRINGFIELD"}, Rule: "breaker"},
		},
	}))
}

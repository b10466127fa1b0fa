package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/store"
)

// Invariant 7: two worker processes and one web process on one PostgreSQL.
func TestTwoWorkersShareOneDatabase(t *testing.T) {
	t.Parallel()
	if os.Getenv("TEST_DATABASE_URL") == "" {
		t.Log("TEST_DATABASE_URL is not set: several processes need PostgreSQL; on SQLite one process owns the file")
		return
	}
	databaseURL := postgresURL(t)
	world, env := newWorld(t)
	env = env.with(basics(databaseURL, t.TempDir())).with(settings{"DFM_WORKERS": "8"})
	web := serve(t, env, "--roles", "web,scheduler")
	world.Connect(web.web())
	db, seen := database(t, databaseURL), &trace{}
	first, firstGate := serveWorker(t, world, seen, env, "first")
	second, _ := serveWorker(t, world, seen, env, "second")

	contacts := makeCrowd(t, world, 30)
	settled(t, world, web)
	for round := range 4 {
		editCrowd(t, world, contacts, round)
	}
	settled(t, world, web)
	eachIsInAgreement(t, world, contacts)
	for _, name := range []string{"first", "second"} {
		if seen.of(name) == 0 {
			t.Errorf("the %s worker did nothing", name)
		}
	}
	seen.neverInterleaves(t)
	inOrder(t, db)

	took := takeover(t, world, db, first, firstGate, contacts)
	t.Logf("the second worker had taken everything over %v after the first was killed", took.Round(100*time.Millisecond))
	if took > 90*time.Second {
		t.Errorf("taking over took %v", took)
	}
	settled(t, world, web)
	eachIsInAgreement(t, world, contacts)
	if n := number(t, db, `SELECT count(*) FROM webhook_events WHERE status NOT IN ('done', 'skipped')`); n > 0 {
		t.Errorf("%d events did not end well", n)
	}
	if ran := second.stop(); ran > 25*time.Second {
		t.Errorf("stopping took %v", ran)
	}
}

// takeover kills a worker in the middle of its work and returns how long it
// takes until nothing of that is left undone.
func takeover(t *testing.T, world *sandbox.World, db store.Engine, dying *process, g *gate, contacts []string) time.Duration {
	t.Helper()
	owner := "%-" + strconv.Itoa(dying.pid()) + "-%"
	held := func() int {
		return number(t, db, `SELECT count(*) FROM lanes WHERE lease_until IS NOT NULL AND owner LIKE $1`, owner)
	}
	g.shut()
	editCrowd(t, world, contacts, 99)
	eventually(t, 20*time.Second, func() error {
		if n := held(); n < 3 {
			return fmt.Errorf("the worker holds %d lanes", n)
		}
		return nil
	})
	dying.kill()
	killed := time.Now()
	lanes := held()
	if lanes == 0 {
		t.Error("the worker was killed while it held no lane")
	}
	eventually(t, 100*time.Second, func() error {
		open := number(t, db, `SELECT count(*) FROM webhook_events WHERE status IN ('pending', 'processing', 'error')`)
		if n := held(); n+open > 0 {
			return fmt.Errorf("%d lanes still belong to the dead worker, %d events are open", n, open)
		}
		return nil
	})
	t.Logf("%d lanes were held by the worker that died", lanes)
	return time.Since(killed)
}

// serveWorker starts a worker whose calls go through gates that note who asked
// about which contact.
func serveWorker(t *testing.T, world *sandbox.World, seen *trace, env settings, name string) (*process, *gate) {
	g := &gate{}
	ghl := seen.proxy(t, name, world.GHL.URL(), g)
	aloware := seen.proxy(t, name, world.Aloware.URL(), g)
	return serve(t, env.with(settings{"GHL_BASE_URL": ghl, "ALOWARE_BASE_URL": aloware + "/api/v1"}), "--roles", "worker"), g
}

// gate lets requests through until it is shut; then they hang.
type gate struct {
	mu     sync.Mutex
	closed bool
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

func (g *gate) isShut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

// step is one call about one contact at one upstream.
type step struct {
	worker, contact string
	write           bool
}

// trace is what all workers did, in order of arrival.
type trace struct {
	mu    sync.Mutex
	steps []step
}

var (
	ghlContact   = regexp.MustCompile(`/contacts/([A-Za-z0-9]{20})`)
	alowarePhone = regexp.MustCompile(`phone_number"?[=:] ?"?(?:%2B|\+)(\d+)`)
)

func (tr *trace) proxy(t *testing.T, worker, target string, g *gate) string {
	t.Helper()
	address, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(address)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the worker was killed
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if g.isShut() {
			<-r.Context().Done()
			return
		}
		tr.note(worker, r, body)
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (tr *trace) note(worker string, r *http.Request, body []byte) {
	about := ghlContact.FindStringSubmatch(r.URL.Path)
	if about == nil {
		about = alowarePhone.FindStringSubmatch(r.URL.RawQuery + string(body))
	}
	if about == nil {
		return
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.steps = append(tr.steps, step{worker, about[1], r.Method != http.MethodGet})
}

func (tr *trace) of(worker string) int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	n := 0
	for _, s := range tr.steps {
		if s.worker == worker {
			n++
		}
	}
	return n
}

// neverInterleaves wants every write to follow a look at the contact by the
// same worker, and to be followed by one, with nobody else in between.
func (tr *trace) neverInterleaves(t *testing.T) {
	t.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	byContact := map[string][]step{}
	for _, s := range tr.steps {
		byContact[s.contact] = append(byContact[s.contact], s)
	}
	writes := 0
	for contact, steps := range byContact {
		for i, s := range steps {
			if !s.write {
				continue
			}
			writes++
			if i == 0 || steps[i-1].worker != s.worker {
				t.Errorf("contact %s: the %s worker wrote on what another had read", contact, s.worker)
			}
			if i+1 < len(steps) && steps[i+1].worker != s.worker {
				t.Errorf("contact %s: somebody came between the %s worker's write and its reading back", contact, s.worker)
			}
		}
	}
	if writes < 30 {
		t.Errorf("only %d writes were seen", writes)
	}
}

// inOrder wants events of one person to end in the order of their acceptance.
func inOrder(t *testing.T, db store.Engine) {
	t.Helper()
	last, ended, events := "", time.Time{}, 0
	err := db.Each(t.Context(), `SELECT lane, processed_at FROM webhook_events
		WHERE status = 'done' AND lane LIKE 'person:%' ORDER BY lane, seq`, nil, func(row store.Row) error {
		var lane string
		var at time.Time
		err := row.Scan(&lane, &at)
		if lane == last && at.Before(ended) {
			t.Errorf("lane %s: an event ended before an older one", lane)
		}
		last, ended, events = lane, at, events+1
		return err
	})
	if err != nil || events < 100 {
		t.Errorf("%d events looked at, %v", events, err)
	}
}

// makeCrowd creates contacts in GHL and returns their ids.
func makeCrowd(t *testing.T, world *sandbox.World, n int) []string {
	t.Helper()
	ids := make([]string, n)
	for i := range ids {
		c, err := world.GHL.CreateContact(map[string]string{
			"firstName": "Lead", "phone": phone(i), "email": fmt.Sprintf("lead%d@example.test", i),
		})
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = c.ID
	}
	return ids
}

// editCrowd edits everybody on both sides, another field on each.
func editCrowd(t *testing.T, world *sandbox.World, ids []string, round int) {
	t.Helper()
	for i, id := range ids {
		if err := world.GHL.EditContact(id, map[string]string{"city": fmt.Sprint("City ", round)}); err != nil {
			t.Fatal(err)
		}
		if err := world.Aloware.EditContact(phone(i), map[string]string{"last_name": fmt.Sprint("Round ", round)}); err != nil {
			t.Fatal(err)
		}
	}
}

// settled waits until no webhook is on its way and none is unprocessed.
func settled(t *testing.T, world *sandbox.World, web *process) {
	t.Helper()
	if err := world.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	web.quiet(60 * time.Second)
	if err := world.Settle(t.Context()); err != nil { // the echoes of the last writes
		t.Fatal(err)
	}
	web.quiet(60 * time.Second)
}

func eachIsInAgreement(t *testing.T, world *sandbox.World, ids []string) {
	t.Helper()
	for i, id := range ids {
		g, _ := world.GHL.Contact(id)
		a, ok := world.Aloware.Contact(phone(i))
		if !ok {
			t.Fatalf("contact %d is not in Aloware", i)
		}
		for here, there := range map[string]string{"firstName": "first_name", "lastName": "last_name", "city": "city", "email": "email"} {
			if g.Fields[here] != a.Fields[there] {
				t.Errorf("contact %d: %s is %q and %q", i, here, g.Fields[here], a.Fields[there])
			}
		}
	}
	if len(world.GHL.Contacts()) != len(ids) || len(world.Aloware.Contacts()) != len(ids) {
		t.Errorf("%d and %d contacts of %d people", len(world.GHL.Contacts()), len(world.Aloware.Contacts()), len(ids))
	}
}

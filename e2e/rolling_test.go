package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/sandbox/alowareworld"
	"github.com/df-middleware/dfm/internal/store"
)

// Two instances on one PostgreSQL are replaced by new ones, one after the other,
// while webhooks arrive: nobody is told of a failure, and everything that was
// taken is done, once.
func TestARollingUpgradeLosesNothing(t *testing.T) {
	t.Parallel()
	if os.Getenv("TEST_DATABASE_URL") == "" {
		t.Log("TEST_DATABASE_URL is not set: several processes need PostgreSQL; on SQLite one process owns the file")
		return
	}
	databaseURL := postgresURL(t)
	world, env := newWorld(t)
	env = env.with(basics(databaseURL, t.TempDir())).with(settings{"DFM_WORKERS": "8", "DFM_DRAIN": "1s"})
	running := []*process{serve(t, env), serve(t, env)}
	b := newBalancer(t, running...)
	world.Connect(b.url)
	f := newFlood(t, world, nil)

	upgraded := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() { f.sendDuring(b.url, upgraded) })
	sending.Go(func() { playCalls(t, world, upgraded) })
	for i, old := range running {
		f.wait(int64((i + 1) * flood / 10))
		fresh := serve(t, env)
		b.add(fresh)
		f.wait(f.answered.Load() + flood/20)
		if took := old.stop(); took > 26*time.Second {
			t.Errorf("stopping under load took %v", took)
		}
		b.remove(old)
		running[i] = fresh
	}
	f.wait(f.answered.Load() + flood/20) // the new ones alone
	close(upgraded)
	sending.Wait()

	settled(t, world, running[0])
	db := database(t, databaseURL)
	f.eachIsThereOnce(db)
	if n := number(t, db, `SELECT count(*) FROM webhook_events WHERE status NOT IN ('done', 'skipped')`); n > 0 {
		t.Errorf("%d events did not end well", n)
	}
	eachCallIsNotedOnce(t, world)
	t.Logf("%d requests through the balancer, %d of them tried at a second instance", b.requests.Load(), b.refused.Load())
}

// playCalls has the dialer tell of a call of everybody while the upgrade goes
// on. Aloware sends nothing twice.
func playCalls(t *testing.T, world *sandbox.World, until <-chan struct{}) {
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for i := range crowd {
		world.Aloware.PlayCall(phone(i), alowareworld.Call{})
		select {
		case <-until: // without pauses from here on
		case <-pace.C:
		}
	}
	if err := world.Settle(t.Context()); err != nil {
		t.Error(err)
	}
}

func eachCallIsNotedOnce(t *testing.T, world *sandbox.World) {
	t.Helper()
	for i := range crowd {
		contacts := world.GHL.ByPhone(phone(i))
		if len(contacts) != 1 {
			t.Errorf("number %d has %d contacts", i, len(contacts))
			continue
		}
		if notes := world.GHL.Notes(contacts[0].ID); len(notes) != 1 {
			t.Errorf("the call of contact %d stands in %d notes", i, len(notes))
		}
	}
}

// wait waits until so many of the webhooks are answered.
func (f *inundation) wait(n int64) {
	f.t.Helper()
	eventually(f.t, 120*time.Second, func() error {
		if got := f.answered.Load(); got < n {
			return fmt.Errorf("%d webhooks are answered, waiting for %d", got, n)
		}
		return nil
	})
}

// sendDuring posts some webhooks at a time until the upgrade is over, then what
// is left of them at once. Each is answered 200 in the end, and nothing but a 503
// comes before that.
func (f *inundation) sendDuring(base string, upgraded <-chan struct{}) {
	indexes := make(chan int)
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			for i := range indexes {
				f.deliver(base, i)
			}
		})
	}
	pace := time.NewTicker(15 * time.Millisecond)
	defer pace.Stop()
	for i := range f.deliveries {
		if i >= flood*9/10 { // there is something to send as long as it takes
			<-upgraded
		}
		select {
		case <-upgraded:
		case <-pace.C:
		}
		indexes <- i
	}
	close(indexes)
	sending.Wait()
}

func (f *inundation) deliver(base string, i int) {
	ctx, cancel := context.WithTimeout(f.t.Context(), 60*time.Second)
	defer cancel()
	for {
		got, err := f.deliveries[i].post(ctx, base)
		switch {
		case err == nil && got.status == http.StatusOK:
			f.accept(i, got)
			return
		case err == nil && got.status == http.StatusServiceUnavailable && ctx.Err() == nil:
			continue
		}
		f.t.Errorf("webhook %d: the sender was answered %d %s, %v", i, got.status, got.body, err)
		return
	}
}

// balancer passes requests on to instances in turn, as the proxies do that stand
// in front of the real ones: it leaves out who is not ready, and goes on to the
// next only when a connection is refused.
type balancer struct {
	url               string
	transport         *http.Transport
	requests, refused atomic.Int64

	mu      sync.Mutex
	targets []*target
	next    int
}

type target struct {
	p     *process
	base  string
	ready atomic.Bool
}

func newBalancer(t *testing.T, instances ...*process) *balancer {
	b := &balancer{transport: &http.Transport{DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, MaxIdleConnsPerHost: senders}}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme = "http"; r.Out.URL.Host = "chosen later" }, Transport: b,
	})
	b.url = server.URL
	for _, p := range instances {
		b.add(p)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { b.watch(ctx) })
	t.Cleanup(func() {
		cancel()
		watching.Wait()
		server.Close()
		b.transport.CloseIdleConnections()
	})
	return b
}

func (b *balancer) add(p *process) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fresh := &target{p: p, base: p.web()}
	fresh.ready.Store(true)
	b.targets = append(b.targets, fresh)
}

func (b *balancer) remove(p *process) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.targets = slices.DeleteFunc(b.targets, func(one *target) bool { return one.p == p })
}

// watch asks every instance whether it is ready.
func (b *balancer) watch(ctx context.Context) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, one := range b.all() {
			got, err := request(ctx, http.MethodGet, one.base+"/ready", nil, nil)
			one.ready.Store(err == nil && got.status == http.StatusOK)
		}
	}
}

func (b *balancer) all() []*target {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.targets)
}

// pick returns the next instance that is ready, or nil.
func (b *balancer) pick() *target {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.targets {
		b.next = (b.next + 1) % len(b.targets)
		if one := b.targets[b.next]; one.ready.Load() {
			return one
		}
	}
	return nil
}

// RoundTrip implements http.RoundTripper.
func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	b.requests.Add(1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	for range 4 {
		one := b.pick()
		if one == nil {
			break
		}
		attempt, err := http.NewRequestWithContext(r.Context(), r.Method, one.base+r.URL.RequestURI(), bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		attempt.Header = r.Header
		answer, err := b.transport.RoundTrip(attempt)
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return answer, err
		}
		b.refused.Add(1)
	}
	return &http.Response{
		StatusCode: http.StatusServiceUnavailable, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Retry-After": {"1"}}, Body: http.NoBody,
	}, nil
}

// The newest migration is taken back and made again over a database that was in
// use; and a process of the release before goes on when a newer one has migrated
// under it, though it would not start any more.
func TestAMigrationBackAndForthKeepsWhatWasThere(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		world, env := newWorld(t)
		env = env.with(basics(databaseURL, t.TempDir()))
		p := serve(t, env)
		world.Connect(p.web())
		contacts := makeCrowd(t, world, 10)
		settled(t, world, p)
		p.stop()
		db := database(t, databaseURL)
		before := tables(t, db)
		if before["webhook_events"] == 0 || before["contact_mappings"] != len(contacts) {
			t.Fatalf("there is nothing to keep: %v", before)
		}
		if got := dfm(t, env, "migrate", "down"); got.code != 0 {
			t.Fatalf("down: %s", got.stderr)
		}
		if got := dfm(t, env, "migrate", "status"); got.code != 0 || bytes.Count([]byte(got.stdout), []byte("pending")) != 1 {
			t.Errorf("after one step down: %s", got.stdout)
		}
		p.start()
		for table, n := range tables(t, db) {
			if before[table] != n {
				t.Errorf("%s has %d rows after it, %d before", table, n, before[table])
			}
		}
		world.Connect(p.web())
		editCrowd(t, world, contacts, 1)
		settled(t, world, p)
		eachIsInAgreement(t, world, contacts)

		migratedByANewerRelease(t, db)
		editCrowd(t, world, contacts, 2)
		settled(t, world, p)
		eachIsInAgreement(t, world, contacts)
		p.stop()
		if err := p.tryStart(); err == nil {
			t.Error("a release that does not know the schema starts on it")
		}
	})
}

// migratedByANewerRelease makes the database say so.
func migratedByANewerRelease(t *testing.T, db store.Engine) {
	t.Helper()
	_, err := db.Exec(t.Context(), `INSERT INTO dfm_migrations (version, name, applied_at) VALUES ($1, $2, $3)`, 9999, "tomorrow", time.Now())
	if err != nil {
		t.Fatal(err)
	}
}

// tables counts the rows of tables that no step back and forth may touch.
func tables(t *testing.T, db store.Engine) map[string]int {
	t.Helper()
	rows := map[string]int{}
	for _, table := range []string{"webhook_events", "contact_mappings", "lanes", "sync_log", "contact_agreements", "effects", "optout_registry"} {
		rows[table] = number(t, db, "SELECT count(*) FROM "+table)
	}
	return rows
}

// systemd is told by the real program when it is ready and when it stops.
func TestSystemdHearsOfTheRealProgram(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "notify")
	supervisor, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = supervisor.Close() }()
	p := serve(t, basics(sqliteURL(t), t.TempDir()).with(settings{"NOTIFY_SOCKET": socket}))
	hears := func(want string) {
		t.Helper()
		if err := supervisor.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		heard := make([]byte, 64)
		if n, err := supervisor.Read(heard); err != nil || string(heard[:n]) != want {
			t.Errorf("systemd hears %q, %v, want %s", heard[:n], err, want)
		}
	}
	hears("READY=1")
	if got := dfm(t, nil, "health", "--url", p.web()); got.code != 0 {
		t.Errorf("health: %+v", got)
	}
	gone := p.web()
	p.stop()
	hears("STOPPING=1")
	if got := dfm(t, nil, "health", "--url", gone); got.code != 1 {
		t.Errorf("health of what has stopped: %+v", got)
	}
}

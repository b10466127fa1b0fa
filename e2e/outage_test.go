package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// line is a TCP connection to the database that can be cut.
type line struct {
	target string
	mu     sync.Mutex
	down   bool
	open   map[net.Conn]bool
}

// newLine returns the database's URL by way of the line.
func newLine(t *testing.T, databaseURL string) (*line, string) {
	t.Helper()
	address, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{target: address.Host, open: map[net.Conn]bool{}}
	var serving sync.WaitGroup
	serving.Go(func() { l.serve(listener, &serving) })
	t.Cleanup(func() {
		_ = listener.Close()
		l.cut()
		serving.Wait()
	})
	address.Host = listener.Addr().String()
	return l, address.String()
}

func (l *line) serve(listener net.Listener, serving *sync.WaitGroup) {
	for {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", l.target)
		if err != nil || !l.add(near, far) {
			_ = near.Close()
			continue
		}
		for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
			serving.Go(func() {
				_, _ = io.Copy(way[0], way[1])
				_, _ = way[0].Close(), way[1].Close()
			})
		}
	}
}

func (l *line) add(near, far net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		_ = far.Close()
		return false
	}
	l.open[near], l.open[far] = true, true
	return true
}

// cut ends all connections and refuses new ones.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	for conn := range l.open {
		_ = conn.Close()
	}
	clear(l.open)
}

func (l *line) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}

// The database goes away and comes back while the server runs. The original
// answered 200 to Aloware, which never sends twice, and lost the event.
func TestTheDatabaseGoesAndComesBack(t *testing.T) {
	t.Parallel()
	if os.Getenv("TEST_DATABASE_URL") == "" {
		t.Log("TEST_DATABASE_URL is not set: a SQLite file does not go away; TestASpoiltSQLiteFile covers its troubles")
		return
	}
	world, env := newWorld(t)
	direct := postgresURL(t)
	l, through := newLine(t, direct)
	env = env.with(basics(through, t.TempDir())).with(settings{"DFM_ALOWARE_HOLD": "2s", "LOG_LEVEL": "info"})
	p := serve(t, env)
	db := database(t, direct)
	contact := makeCrowd(t, world, 1)[0]
	ghl := fromGHL(world, "ContactUpdate", map[string]any{"id": contact, "phone": phone(0)})

	l.cut()
	got := ghl.mustPost(t, p.web())
	if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" || got.Error.Code != "UNAVAILABLE" {
		t.Errorf("GHL was answered %d %s", got.status, got.body)
	}
	spilled := aloware(1).mustPost(t, p.web())
	if spilled.status != http.StatusOK || spilled.Status != "accepted" {
		t.Errorf("Aloware was answered %d %s", spilled.status, spilled.body)
	}
	if files, _ := filepath.Glob(filepath.Join(env["DFM_SPILL_DIR"], "*.json")); len(files) != 1 {
		t.Errorf("%d spill files", len(files))
	}
	for path, want := range map[string]int{"/health": 200, "/ready": 503} {
		if got := call(t, http.MethodGet, p.web()+path, nil, ""); got.status != want {
			t.Errorf("%s answers %d without a database", path, got.status)
		}
	}
	held := make(chan reply, 1)
	go func() { // held until the database is back, without a file
		got, err := aloware(2).post(t.Context(), p.web())
		if err != nil {
			t.Error(err)
		}
		held <- got
	}()
	eventually(t, 10*time.Second, func() error {
		if p.said("waiting lanes cannot be looked for") == 0 {
			return errors.New("the worker has not noticed")
		}
		return nil
	})
	l.mend()
	if got := <-held; got.status != http.StatusOK || got.Status != "accepted" {
		t.Errorf("the held delivery was answered %d %s", got.status, got.body)
	}
	eventually(t, 30*time.Second, func() error {
		if got := ghl.mustPost(t, p.web()); got.status != http.StatusOK {
			return fmt.Errorf("GHL is still answered %d", got.status)
		}
		return nil
	})
	eventually(t, 30*time.Second, func() error {
		if n := number(t, db, `SELECT count(*) FROM webhook_events`); n != 3 {
			return fmt.Errorf("%d of 3 events are stored", n)
		}
		return nil
	})
	p.quiet(60 * time.Second)
	if n := number(t, db, `SELECT count(*) FROM webhook_events WHERE id = $1`, spilled.EventID); n != 1 {
		t.Error("the spilled delivery was not taken in under the id that its sender was told")
	}
	wasSaidOnce(t, p)
}

func aloware(n int) delivery {
	return fromAloware("Contact-Updated", map[string]any{"id": 700 + n, "phone_number": phone(700 + n), "first_name": "Bo"})
}

// wasSaidOnce wants the outage in the log, but not over and over.
func wasSaidOnce(t *testing.T, p *process) {
	t.Helper()
	for _, text := range []string{"webhooks cannot be stored", "webhooks are stored again", "waiting lanes cannot be looked for"} {
		if n := p.said(text); n != 1 {
			t.Errorf("%q was logged %d times", text, n)
		}
	}
	loud := map[string]int{}
	for _, line := range p.log() {
		if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, `"level":"WARN"`) {
			loud[message(line)]++
		}
	}
	for text, n := range loud {
		if n > 1 {
			t.Errorf("%q was logged %d times", text, n)
		}
	}
	t.Log("warnings and errors of the outage:", loud)
}

// A database that ends connections one by one, as a failover does, is survived
// without a word to any sender but "again".
func TestEndedConnectionsAreSurvived(t *testing.T) {
	t.Parallel()
	if os.Getenv("TEST_DATABASE_URL") == "" {
		t.Log("TEST_DATABASE_URL is not set: only PostgreSQL has connections that others can end")
		return
	}
	world, env := newWorld(t)
	databaseURL := postgresURL(t)
	mark := "e2e-" + uuid()[:8]
	p := serve(t, env.with(basics(databaseURL+"&application_name="+mark, t.TempDir())))
	db := database(t, databaseURL)
	contacts := makeCrowd(t, world, 20)
	accepted := 0
	for round := range 5 {
		for i, id := range contacts {
			d := fromGHL(world, "ContactUpdate", map[string]any{"id": id, "phone": phone(i), "round": round})
			eventually(t, 20*time.Second, func() error {
				if got := d.mustPost(t, p.web()); got.status != http.StatusOK {
					return fmt.Errorf("answered %d %s", got.status, got.body)
				}
				return nil
			})
			accepted++
		}
		number(t, db, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1`, mark)
	}
	eventually(t, 60*time.Second, func() error {
		if done := number(t, db, `SELECT count(*) FROM webhook_events WHERE status = 'done'`); done != accepted {
			return fmt.Errorf("%d of %d events are done", done, accepted)
		}
		return nil
	})
}

// A SQLite file that cannot be used is said clearly, with its path.
func TestASpoiltSQLiteFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "notes.db")
	if err := os.WriteFile(file, []byte(strings.Repeat("this is no database, ", 400)), 0o600); err != nil {
		t.Fatal(err)
	}
	inTheWay := filepath.Join(folder, "in-the-way")
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"not a database": file, "a folder": folder, "below a file": filepath.Join(inTheWay, "dfm.db"), "not writable": "/proc/dfm.db",
	} {
		got := dfm(t, basics("sqlite:"+path, folder), "serve")
		if got.code != 1 || !strings.Contains(got.stderr, path) && !strings.Contains(got.stderr, filepath.Dir(path)) {
			t.Errorf("%s: exit %d, %s", name, got.code, got.stderr)
		}
		if lines := strings.Count(strings.TrimSpace(got.stderr), "\n"); lines > 3 {
			t.Errorf("%s: said in %d lines: %s", name, lines+1, got.stderr)
		}
	}
}

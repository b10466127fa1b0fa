package e2e_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/store/postgres"
)

// server is a PostgreSQL server of the test's own, which may be stopped.
type server struct {
	t       *testing.T
	bin     string
	folder  string
	port    int
	run     *syscall.SysProcAttr // as whom
	command *exec.Cmd
}

// newServer makes a server, or returns nil where PostgreSQL is not installed.
func newServer(t *testing.T) *server {
	t.Helper()
	bin := postgresBin()
	if bin == "" {
		return nil
	}
	// Not t.TempDir: the server's user must be able to enter it, and the path of
	// its socket may not be long.
	folder, err := os.MkdirTemp("/tmp", "dfm-e2e-pg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	s := &server{t: t, bin: bin, folder: folder, port: freePort(t), run: &syscall.SysProcAttr{}}
	if os.Getuid() == 0 { // as which PostgreSQL refuses to run
		s.run.Credential = ordinaryUser(t, folder)
	}
	s.must("initdb", "-D", filepath.Join(folder, "data"), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--auth=trust")
	s.start()
	t.Cleanup(func() {
		if s.command != nil {
			s.stop(syscall.SIGQUIT)
		}
	})
	return s
}

func postgresBin() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if inPath, err := exec.LookPath("postgres"); err == nil {
		found = append(found, inPath)
	}
	for _, name := range found {
		if _, err := os.Stat(filepath.Join(filepath.Dir(name), "initdb")); err == nil {
			return filepath.Dir(name)
		}
	}
	return ""
}

// ordinaryUser gives the folder to nobody in particular and returns who that is.
func ordinaryUser(t *testing.T, folder string) *syscall.Credential {
	t.Helper()
	const id = 65534
	if err := os.Chown(folder, id, id); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: id, Gid: id}
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}

func (s *server) must(name string, args ...string) {
	s.t.Helper()
	command := exec.Command(filepath.Join(s.bin, name), args...)
	command.Dir, command.SysProcAttr = s.folder, s.run
	if out, err := command.CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func (s *server) url() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.port)
}

// start starts the server and waits until it takes connections.
func (s *server) start() {
	s.t.Helper()
	command := exec.Command(filepath.Join(s.bin, "postgres"), "-D", filepath.Join(s.folder, "data"), "-p", strconv.Itoa(s.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="+s.folder, "-c", "max_connections=100")
	command.Dir, command.SysProcAttr = s.folder, s.run
	if err := command.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.command = command
	eventually(s.t, 60*time.Second, func() error {
		engine, err := postgres.Open(s.t.Context(), s.url(), slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		return errors.Join(engine.Ping(s.t.Context()), engine.Close())
	})
}

// stop ends the server: in order (SIGINT), or as a crash would (SIGQUIT).
func (s *server) stop(how syscall.Signal) {
	s.t.Helper()
	if err := s.command.Process.Signal(how); err != nil {
		s.t.Fatal(err)
	}
	_ = s.command.Wait() // a crash is no success
	s.command = nil
}

// PostgreSQL is stopped and started again under load, once in order and once as a
// crash. Nothing that was answered with 2xx is lost, whether it was committed just
// before or written to a file meanwhile, and each webhook becomes one event.
func TestPostgreSQLStopsAndStartsUnderLoad(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	if s == nil {
		t.Log("not run: there is no initdb here, and a server that others use is not stopped")
		return
	}
	world, env := newWorld(t)
	p := serve(t, env.with(basics(s.url(), t.TempDir())).with(settings{"DFM_ALOWARE_HOLD": "500ms", "LOG_LEVEL": "info"}))
	f := newFlood(t, world, p)
	var sending sync.WaitGroup
	sending.Go(f.send)
	for round, how := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
		want := int64(flood * (round + 1) / 3)
		eventually(t, 60*time.Second, func() error {
			if n := f.answered.Load(); n < want {
				return fmt.Errorf("%d webhooks are answered, waiting for %d", n, want)
			}
			return nil
		})
		before := p.said("webhooks cannot be stored")
		s.stop(how)
		eventually(t, 60*time.Second, func() error {
			if p.said("webhooks cannot be stored") == before {
				return fmt.Errorf("the outage was not noticed")
			}
			if got, err := request(t.Context(), "GET", p.web()+"/ready", nil, nil); err != nil || got.status != 503 {
				return fmt.Errorf("without a database it is ready: %d, %w", got.status, err)
			}
			return nil
		})
		s.start()
	}
	sending.Wait()
	db := database(t, s.url())
	eventually(t, 60*time.Second, func() error { // what was spilled is taken in
		if n := number(t, db, `SELECT count(*) FROM webhook_events`); n != flood {
			return fmt.Errorf("%d of %d webhooks are stored", n, flood)
		}
		return nil
	})
	p.quiet(90 * time.Second)
	f.booksBalance(db)
	f.eachIsThereOnce(db)
	eventually(t, 15*time.Second, func() error {
		if got := call(t, "GET", p.web()+"/ready", nil, ""); got.status != 200 {
			return fmt.Errorf("with the database back it is not ready: %d", got.status)
		}
		return nil
	})
}

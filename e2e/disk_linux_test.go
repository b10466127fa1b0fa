package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/df-middleware/dfm/internal/store"
)

// trouble is a way in which nothing more can be written.
type trouble struct {
	name string
	// prepare makes the folder of database and files ready, or says why this
	// machine cannot play the trouble.
	prepare func(t *testing.T, folder string) error
	begin   func(t *testing.T, folder string, p *process) error
	end     func(t *testing.T, folder string, p *process)
}

// troubles are what really happens (a disk without room, files that must not be
// written), where this user may bring it about, and a limit on the size of files
// that anybody may set: the kernel then refuses every write with EFBIG.
//
// Mode bits do nothing to root, and a file system with open files cannot be
// remounted read-only; hence the attribute.
func troubles() []trouble {
	return []trouble{
		{"full disk", mountSmall, func(t *testing.T, folder string, _ *process) error { return fill(folder) },
			func(t *testing.T, folder string, _ *process) { must(t, os.Remove(filepath.Join(folder, "ballast"))) }},
		{"read-only files", func(*testing.T, string) error { return nil }, func(t *testing.T, folder string, _ *process) error { return freeze(t, folder) },
			func(t *testing.T, folder string, _ *process) { thaw(t, folder) }},
		{"file size limit", func(*testing.T, string) error { return nil }, func(t *testing.T, _ string, p *process) error { limitFiles(t, p, 0); return nil },
			func(t *testing.T, _ string, p *process) { limitFiles(t, p, unlimitedFiles) }},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mountSmall mounts a small disk on the folder.
func mountSmall(t *testing.T, folder string) error {
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=24m,mode=0700"); err != nil {
		return fmt.Errorf("a small disk cannot be mounted: %w", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(folder, syscall.MNT_DETACH) })
	return nil
}

// fill leaves no room on the disk of the folder.
func fill(folder string) (err error) {
	ballast, err := os.Create(filepath.Join(folder, "ballast"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ballast.Close()) }()
	for piece := make([]byte, 4096); err == nil; {
		_, err = ballast.Write(piece)
	}
	if errors.Is(err, syscall.ENOSPC) {
		err = nil
	}
	return err
}

func frozen(folder string) []string {
	return []string{filepath.Join(folder, "dfm.db"), filepath.Join(folder, "dfm.db-wal"), filepath.Join(folder, "spill"), folder}
}

// freeze has nothing written to the files, not even by root and by who has them
// open.
func freeze(t *testing.T, folder string) error {
	probe := filepath.Join(folder, "probe")
	open, err := os.Create(probe)
	must(t, err)
	defer func() { _ = open.Close(); _ = os.Remove(probe) }()
	if out, err := exec.Command("chattr", "+i", probe).CombinedOutput(); err != nil {
		return fmt.Errorf("files cannot be made immutable: %w %s", err, out)
	}
	_, err = open.Write([]byte("x"))
	must(t, exec.Command("chattr", "-i", probe).Run())
	if err == nil {
		return errors.New("this file system lets an immutable file be written by who has it open")
	}
	must(t, os.MkdirAll(filepath.Join(folder, "spill"), 0o700))
	_ = os.Remove(probe)
	t.Cleanup(func() { _ = exec.Command("chattr", append([]string{"-i"}, frozen(folder)...)...).Run() })
	must(t, exec.Command("chattr", append([]string{"+i"}, frozen(folder)...)...).Run())
	return nil
}

func thaw(t *testing.T, folder string) {
	t.Helper()
	must(t, exec.Command("chattr", append([]string{"-i"}, frozen(folder)...)...).Run())
}

const unlimitedFiles = ^uint64(0)

// limitFiles sets how large a file the process may write, as prlimit(1) does.
func limitFiles(t *testing.T, p *process, size uint64) {
	t.Helper()
	limit := syscall.Rlimit{Cur: size, Max: unlimitedFiles}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(p.pid()), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		t.Fatalf("limit the size of files: %v", errno)
	}
}

// A disk that takes no more, while webhooks arrive: none is answered with 2xx
// unless it is stored, readiness says 503, and all goes on by itself once the
// disk takes writes again. The sources that never send twice are told the truth
// too: with nowhere to write there is nothing to promise.
func TestADiskThatTakesNoMore(t *testing.T) {
	t.Parallel()
	for _, trouble := range troubles() {
		t.Run(strings.ReplaceAll(trouble.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			if err := trouble.prepare(t, folder); err != nil {
				t.Log("not run:", err)
				return
			}
			world, env := newWorld(t)
			env = env.with(basics("sqlite:"+filepath.Join(folder, "dfm.db"), folder)).
				with(settings{"DFM_ALOWARE_HOLD": "300ms", "LOG_LEVEL": "info"})
			p := serve(t, env)
			contacts := makeCrowd(t, world, 4)
			l := &ledger{t: t, p: p}
			var sending sync.WaitGroup
			done := make(chan struct{})
			for sender := range 4 {
				sending.Go(func() {
					for n := 0; ; n++ {
						select {
						case <-done:
							return
						default:
						}
						if sender%2 == 0 {
							l.post(fromGHL(world, "ContactUpdate", map[string]any{"id": contacts[sender], "phone": phone(sender), "filling": filling}))
						} else {
							l.post(fromAloware("Contact-Updated", map[string]any{"id": 9000 + sender, "phone_number": phone(sender), "notes": fmt.Sprint(n, filling)}))
						}
					}
				})
			}
			stop := sync.OnceFunc(func() { close(done); sending.Wait() })
			t.Cleanup(stop)
			eventually(t, 30*time.Second, func() error { return l.at(20, 0) })
			if err := trouble.begin(t, folder, p); err != nil {
				t.Log("not run:", err)
				return
			}
			eventually(t, 60*time.Second, func() error {
				if got, err := request(t.Context(), http.MethodGet, p.web()+"/ready", nil, nil); err != nil || got.status != http.StatusServiceUnavailable {
					return fmt.Errorf("ready answers %d, %w", got.status, err)
				}
				return l.at(20, 20)
			})
			trouble.end(t, folder, p)
			was := l.accepted()
			eventually(t, 60*time.Second, func() error {
				if got, err := request(t.Context(), http.MethodGet, p.web()+"/ready", nil, nil); err != nil || got.status != http.StatusOK {
					return fmt.Errorf("ready answers %d, %w", got.status, err)
				}
				return l.at(was+20, 20)
			})
			stop()
			l.balances(database(t, env["DATABASE_URL"]))
			t.Logf("%d were answered with 2xx and are stored, %d were refused", l.accepted(), l.refused.Load())
		})
	}
}

// filling makes deliveries large, so that what room is left in files that are
// there already is soon used up.
var filling = strings.Repeat("filling ", 4000)

// ledger is what was answered to deliveries.
type ledger struct {
	t       *testing.T
	p       *process
	mu      sync.Mutex
	ids     []string // of what was answered with 2xx
	refused atomic.Int64
}

func (l *ledger) post(d delivery) {
	got, err := d.post(l.t.Context(), l.p.web())
	switch {
	case err != nil:
	case got.status/100 == 2 && got.EventID != "":
		l.mu.Lock()
		l.ids = append(l.ids, got.EventID)
		l.mu.Unlock()
	case got.status/100 == 2:
		l.t.Errorf("answered %d without an event: %s", got.status, got.body)
	default:
		l.refused.Add(1)
	}
}

func (l *ledger) accepted() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ids)
}

func (l *ledger) at(accepted int, refused int64) error {
	if a, r := l.accepted(), l.refused.Load(); a < accepted || r < refused {
		return fmt.Errorf("%d accepted, %d refused, waiting for %d and %d", a, r, accepted, refused)
	}
	return nil
}

// balances finds every event that a sender was promised.
func (l *ledger) balances(db store.Engine) {
	l.t.Helper()
	eventually(l.t, 30*time.Second, func() error {
		there := map[string]bool{}
		err := db.Each(l.t.Context(), `SELECT id FROM webhook_events`, nil, func(row store.Row) error {
			var id string
			err := row.Scan(&id)
			there[id] = true
			return err
		})
		if err != nil {
			return err
		}
		missing := 0
		for _, id := range l.ids {
			if !there[id] {
				missing++
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d of %d that were answered with 2xx are not stored", missing, len(l.ids))
		}
		return nil
	})
}

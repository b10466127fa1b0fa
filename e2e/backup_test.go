package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// backedUp is what dfm backup prints with --json.
type backedUp struct {
	OK        bool
	Problems  []string
	ChainHead string
	Kept      string
	Tables    map[string]int
}

func backupJSON(t *testing.T, env settings, code int, args ...string) backedUp {
	t.Helper()
	got := dfm(t, env, append([]string{"backup", "--json"}, args...)...)
	var r backedUp
	if err := json.Unmarshal([]byte(got.stdout), &r); err != nil || got.code != code {
		t.Fatalf("dfm backup %v: exit %d, %v: %s%s", args, got.code, err, got.stdout, got.stderr)
	}
	return r
}

// The real binary is backed up while it takes webhooks, killed in the middle of
// it, and restored: everything that was answered before the backup is back, and
// the old file is still there.
func TestABackupOfARunningServerRestores(t *testing.T) {
	t.Parallel()
	world, upstreams := newWorld(t)
	folder := t.TempDir()
	path := filepath.Join(folder, "dfm.db")
	backups := filepath.Join(folder, "backups")
	env := upstreams.with(basics("sqlite:"+path, folder)).with(settings{"DFM_BACKUP_DIR": backups, "LOG_LEVEL": "info"})
	p := serve(t, env)
	contacts := makeCrowd(t, world, 8)
	for i, id := range contacts {
		if got := fromGHL(world, "ContactUpdate", map[string]any{"id": id, "phone": phone(i)}).mustPost(t, p.web()); got.status != 200 {
			t.Fatalf("answered %d %s", got.status, got.body)
		}
	}
	stop := storm(t, p)
	file := filepath.Join(folder, "by-hand.db")
	made := backupJSON(t, env, 0, "create", "--out", file)
	drilled := backupJSON(t, env, 0, "drill")
	if !made.OK || !drilled.OK || made.Tables["webhook_events"] < len(contacts) || len(drilled.Tables) != len(made.Tables) {
		t.Errorf("%+v, %+v", made, drilled)
	}
	if got := dfm(t, env, "backup", "restore", "--force", file); got.code != 1 || !strings.Contains(got.stderr, "in use by another dfm serve") {
		t.Errorf("restored under a running server: exit %d, %s", got.code, got.stderr)
	}
	p.kill()
	stop()
	if got := dfm(t, env, "backup", "restore", file); got.code != 1 || !strings.Contains(got.stderr, "--force") {
		t.Errorf("replaced without being told to: exit %d, %s", got.code, got.stderr)
	}
	done := backupJSON(t, env, 0, "restore", "--force", file)
	if done.ChainHead != made.ChainHead || done.Tables["webhook_events"] != made.Tables["webhook_events"] {
		t.Errorf("restored %+v from %+v", done, made)
	}
	// What the kill left verifies as well, and has more in it.
	if old := backupJSON(t, env, 0, "verify", done.Kept); old.Tables["webhook_events"] < made.Tables["webhook_events"] {
		t.Errorf("the old database: %+v", old)
	}
	p.start()
	p.quiet(60 * time.Second)
	if n := number(t, database(t, "sqlite:"+path), `SELECT count(*) FROM webhook_events`); n != made.Tables["webhook_events"] {
		t.Errorf("%d events after the restore, %d in the backup", n, made.Tables["webhook_events"])
	}
	byItself(t, p, env, backups)
}

// storm posts webhooks until the returned function is called.
func storm(t *testing.T, p *process) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			default:
				_, _ = fromAloware("Contact-Updated", map[string]any{"id": 800 + n%8, "phone_number": phone(800 + n%8), "notes": fmt.Sprint(n)}).
					post(t.Context(), p.web()) // which fails once it is killed
			}
		}
	})
	return sync.OnceFunc(func() { close(done); sending.Wait() })
}

// byItself looks at the backup that the scheduler makes, and at its metric.
func byItself(t *testing.T, p *process, env settings, folder string) {
	t.Helper()
	var files []string
	eventually(t, 30*time.Second, func() error {
		files, _ = filepath.Glob(filepath.Join(folder, "dfm-*.db"))
		if len(files) == 0 {
			return errors.New("no backup was made")
		}
		return nil
	})
	if got := backupJSON(t, env, 0, "verify", files[0]); !got.OK {
		t.Errorf("%+v", got)
	}
	if got := call(t, "GET", p.web()+"/metrics", asAdmin(), ""); !strings.Contains(string(got.body), "dfm_backup_age_seconds") {
		t.Error("its age is not among the metrics")
	}
	spoilt, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(folder, "spoilt.db")
	if err := os.WriteFile(bad, spoilt[:len(spoilt)/3], 0o600); err != nil {
		t.Fatal(err)
	}
	if got := dfm(t, env, "backup", "verify", bad); got.code != 1 || !strings.Contains(got.stdout, "must not be restored") || !strings.Contains(got.stdout, "damaged") {
		t.Errorf("a spoilt file: exit %d, %s%s", got.code, got.stdout, got.stderr)
	}
}

// PostgreSQL brings its own tools, and the command says which.
func TestPostgreSQLIsBackedUpByItsOwnTools(t *testing.T) {
	t.Parallel()
	env := basics("postgres://nobody:e2e-database-password-95@127.0.0.1:1/none", t.TempDir())
	for _, args := range [][]string{{"create"}, {"drill"}, {"restore", "x"}} {
		got := dfm(t, env, append([]string{"backup"}, args...)...)
		if got.code != 2 || !strings.Contains(got.stderr, "pg_dump") || strings.Contains(got.stderr, "e2e-database-password") {
			t.Errorf("%v: exit %d, %s", args, got.code, got.stderr)
		}
	}
	if got := dfm(t, env.with(settings{"DFM_BACKUP_DIR": "x"}), "doctor"); got.code != 2 || !strings.Contains(got.stderr, "DFM_BACKUP_DIR") {
		t.Errorf("exit %d, %s", got.code, got.stderr)
	}
}

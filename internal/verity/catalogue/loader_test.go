package catalogue

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const (
	one = `{"version":"1","endpoints":[{"path":"/api/a","methods":["GET"]}]}`
	two = `{"version":"2","endpoints":[{"path":"/api/a","methods":["GET"]},{"path":"/api/b","methods":["GET"]}]}`
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The original read its catalogue once and kept it for the life of the process
// (defect C12).
func TestLoaderSeesAChangedFileAndKeepsTheLastGoodOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "catalogue.json")
		changed := 0
		l := NewLoader(Source{Location: path, Changed: func(*Catalogue) { changed++ }})
		ctx, cancel := context.WithCancel(t.Context())
		go l.Run(ctx)
		defer func() { cancel(); synctest.Wait() }()
		synctest.Wait()
		if l.Current() != nil || l.Status().Err == nil {
			t.Fatal("there is no file yet")
		}
		steps := []struct {
			content, version string
			failed           bool
		}{
			{one, "1", false}, {two, "2", false}, {`{"endpoints":[`, "2", true}, {"", "2", true}, {one, "1", false},
		}
		for _, step := range steps {
			write(t, path, step.content)
			time.Sleep(6 * time.Second)
			synctest.Wait()
			want(t, "version", l.Current().Version, step.version)
			want(t, "failed", l.Status().Err != nil, step.failed)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		want(t, "kept without a file", l.Current().Version, "1")
		want(t, "changes", changed, 3)
	})
}

func TestReloadReadsNow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalogue.json")
	write(t, path, one)
	l := NewLoader(Source{Location: path})
	if err := l.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, path, strings.Replace(two, `"2"`, `"x"`, 1))
	if err := l.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, "operations", l.Status().Operations, 2)
	write(t, path, "garbage")
	if err := l.Reload(t.Context()); err == nil || l.Current() == nil {
		t.Fatalf("got %v, %v", err, l.Current())
	}
}

func TestLoaderAsksAURLOnlyForWhatIsNew(t *testing.T) {
	var full, notModified atomic.Int32
	content := atomic.Value{}
	content.Store(one)
	status := atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s := status.Load(); s != 0 {
			w.WriteHeader(int(s))
			return
		}
		body := content.Load().(string)
		w.Header().Set("ETag", `"`+body[12:13]+`"`)
		if r.Header.Get("If-None-Match") == w.Header().Get("ETag") {
			notModified.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		full.Add(1)
		_, _ = w.Write([]byte(body))
	}))
	defer server.Close()
	l := NewLoader(Source{Location: server.URL + "/?secret=hush", Client: server.Client()})
	for range 3 {
		l.poll(t.Context())
	}
	if full.Load() != 1 || notModified.Load() != 2 {
		t.Fatalf("%d full answers, %d not modified", full.Load(), notModified.Load())
	}
	content.Store(two)
	l.poll(t.Context())
	want(t, "version", l.Current().Version, "2")
	status.Store(500)
	l.poll(t.Context())
	want(t, "kept", l.Current().Version, "2")
	want(t, "said", l.Status().Err != nil, true)
	server.Close()
	if err := l.Reload(t.Context()); err == nil || strings.Contains(err.Error(), "hush") {
		t.Fatalf("got %v", err)
	}
}

func TestLoaderRefusesWhatIsTooLarge(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write([]byte(strings.Repeat(" ", 4096))); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	l := NewLoader(Source{Location: server.URL, Limit: 1 << 16, Client: server.Client()})
	if err := l.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Fatalf("got %v", err)
	}
}

func TestLoaderGivesUpOnAHangingURL(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	l := NewLoader(Source{Location: server.URL, Timeout: 30 * time.Millisecond, Client: server.Client()})
	if err := l.Reload(t.Context()); err == nil {
		t.Fatal("no error")
	}
}

package app

import (
	"net/http"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox"
)

// A process with neither web app nor gateway must be seen too, and profiles show
// what the program holds in memory.
func TestAWorkerIsWatchedAtAnAddressOfItsOwn(t *testing.T) {
	a := build(t, newWorld(t, sandbox.Config{}), databases()["sqlite"](t), time.Now, map[string]string{
		"DFM_ROLES": "worker", "DFM_METRICS_ADDR": "127.0.0.1:0",
	})
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, a) })
	for _, c := range []struct {
		path, secret string
		status       int
	}{
		{"/metrics", "", 200}, {"/health", "", 200}, {"/ready", "", 200},
		{"/debug/pprof/heap", "", 401}, {"/debug/pprof/heap", "guess", 401}, {"/debug/pprof/cmdline", "test-admin-secret", 200},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.URL("metrics")+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.secret != "" {
			request.Header.Set("X-DF-ADMIN-SECRET", c.secret)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != c.status {
			t.Errorf("%s with %q: %d, want %d", c.path, c.secret, answer.StatusCode, c.status)
		}
	}
}

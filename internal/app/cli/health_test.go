package cli

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// answering is a server that is alive and answers /ready as given.
func answering(t *testing.T, status int, body string) (url, port string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return server.URL, port
}

func TestHealthAsksTheServersOfTheSettings(t *testing.T) {
	t.Parallel()
	_, up := answering(t, 200, "")
	_, second := answering(t, 200, "")
	_, down := answering(t, 503, `{"success":false,"data":{"checks":[{"name":"database","status":"failed"},{"name":"disk","status":"ok"}]}}`)
	_, gateway := answering(t, 503, `{"status":"unavailable","checks":{"catalogue":{"status":"error"},"verity":{"status":"error","optional":true}}}`)
	for _, c := range []struct {
		title    string
		settings map[string]string
		code     int
		want     []string
	}{
		{"both ready", map[string]string{"PORT": up, "WEB_PORT": second, "HOST": "0.0.0.0"}, exitOK, []string{up + "/health  ok", second + "/ready  ok"}},
		{"the web app is not", map[string]string{"PORT": up, "WEB_PORT": down}, exitFailed, []string{up + "/ready  ok", down + "/ready  answers 503, database failed\n"}},
		{"the gateway is not", map[string]string{"PORT": gateway, "DFM_ROLES": "gateway,worker"}, exitFailed, []string{"answers 503, catalogue error\n"}},
		{"a worker says it where the web app would", map[string]string{"PORT": "1", "WEB_PORT": up, "DFM_ROLES": "worker"}, exitOK, []string{up + "/ready  ok"}},
		{"any free port", map[string]string{"PORT": "0", "WEB_PORT": "0"}, exitUsage, nil},
		{"bad settings", map[string]string{"PORT": "x"}, exitUsage, nil},
	} {
		got := run(t, c.settings, "health")
		if got.code != c.code {
			t.Errorf("%s: %+v", c.title, got)
		}
		for _, want := range c.want {
			if !strings.Contains(got.out, want) {
				t.Errorf("%s: %q is not in %q", c.title, want, got.out)
			}
		}
	}
}

func TestHealthOfAGivenServer(t *testing.T) {
	t.Parallel()
	url, _ := answering(t, 200, "")
	got := run(t, map[string]string{"PORT": "settings are not read"}, "health", "--url", url+"/", "--json")
	var answers []struct {
		URL string
		OK  bool
	}
	if err := json.Unmarshal([]byte(got.out), &answers); err != nil || got.code != exitOK || len(answers) != 2 || !answers[1].OK || answers[1].URL != url+"/ready" {
		t.Errorf("%+v, %v", got, err)
	}
	if got := run(t, nil, "health", "--url", "localhost:3002"); got.code != exitUsage {
		t.Errorf("without a scheme: %+v", got)
	}
	if got := run(t, nil, "health", "now"); got.code != exitUsage {
		t.Errorf("with an argument: %+v", got)
	}
}

// A server that hangs must not hang whoever asks: a container's health check
// would pile up.
func TestHealthDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // connects, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	began := time.Now()
	got := run(t, nil, "health", "--url", "http://"+silent.Addr().String(), "--timeout", "100ms")
	if got.code != exitFailed || !strings.Contains(got.out, "does not answer") || time.Since(began) > 10*time.Second {
		t.Errorf("%+v after %v", got, time.Since(began))
	}
}

func TestWhereAServerCanBeReached(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{"0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "localhost", "10.1.2.3": "10.1.2.3"} {
		if got := reachable(host); got != want {
			t.Errorf("%s: %s", host, got)
		}
	}
}

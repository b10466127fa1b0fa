//go:build conformance

package mcp

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The public suite of the protocol, which nobody here wrote. script/conformance
// installs it and says where it is. What it must not pass is in
// testdata/expected-*.yml, with reasons.

func suite(t *testing.T, name string) string {
	t.Helper()
	path := os.Getenv(name)
	if path == "" {
		t.Fatalf("%s is not set: run script/conformance", name)
	}
	return path
}

// suiteAPI is the Verity of testdata/conformance.json.
func suiteAPI(w http.ResponseWriter, r *http.Request) bool {
	what := strings.TrimPrefix(r.URL.Path, "/api/suite/")
	bodies := map[string][2]string{
		"text":  {"text/plain", "This is a simple text response for testing."},
		"image": {"image/png", "\x89PNG\r\n\x1a\n"},
		"audio": {"audio/wav", "RIFF\x24\x00\x00\x00WAVE\xff"},
		"pdf":   {"application/pdf", "%PDF-1.7\n\xe2\xe3"},
	}
	switch what {
	case "error":
		w.WriteHeader(http.StatusInternalServerError)
		return true
	case "slow", "logged":
		select {
		case <-time.After(300 * time.Millisecond):
		case <-r.Context().Done():
		}
		return false
	}
	body, special := bodies[what]
	if special {
		w.Header().Set("Content-Type", body[0])
		_, _ = w.Write([]byte(body[1]))
	}
	return special
}

func TestThePublicSuiteAgrees(t *testing.T) {
	catalogue, err := os.ReadFile("testdata/conformance.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, revision := range []string{"2025-11-25", "2026-07-28"} {
		t.Run(revision, func(t *testing.T) {
			r := newRig(t, string(catalogue), func(c *Config) { c.Progress = 50 * time.Millisecond })
			r.upstream.hook = suiteAPI
			server := r.listen(Door{})
			// The suite cannot show a token, so it is shown for it.
			inner := server.Config.Handler
			server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				q.Header.Set("Authorization", "Bearer good")
				inner.ServeHTTP(w, q)
			})
			out := os.Getenv("CONFORMANCE_OUT")
			if out == "" {
				out = t.TempDir()
			}
			command := exec.CommandContext(t.Context(), suite(t, "CONFORMANCE_NODE"), suite(t, "CONFORMANCE_CLI"), "server",
				"--url", server.URL+Path, "--requirements", revision,
				"--expected-failures", "testdata/expected-"+revision+".yml", "-o", filepath.Join(out, revision))
			said, err := command.CombinedOutput()
			t.Logf("%s", said)
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// The inspector is the client that people try servers with.
func TestTheInspectorWorksOverHTTP(t *testing.T) {
	r := newRig(t, document, nil)
	server := r.listen(Door{})
	for _, era := range []string{"legacy", "modern", "auto"} {
		t.Run(era, func(t *testing.T) {
			run := func(arguments ...string) (string, error) {
				return inspect(t, append([]string{
					"--cli", server.URL + Path, "--transport", "http", "--header", "Authorization: Bearer good", "--protocol-era", era,
				}, arguments...)...)
			}
			equal(t, "tools", countTools(t, run), 9)
			called, err := run("--method", "tools/call", "--tool-name", getWidget, "--tool-arg", `path={"id":"7"}`)
			if err != nil || !strings.Contains(called, `"big"`) {
				t.Errorf("call: %v %.500s", err, called)
			}
			equal(t, "sent", strings.Join(r.upstream.reached(), ""), "GET /api/widgets/7")
			if _, err := run("--method", "tools/call", "--tool-name", createWidget, "--tool-arg", `body={}`); err == nil {
				t.Error("wrong arguments end well")
			}
		})
	}
}

func TestTheInspectorWorksOnStandardInput(t *testing.T) {
	folder := t.TempDir()
	catalogue := filepath.Join(folder, "catalogue.json")
	if err := os.WriteFile(catalogue, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	verity := newUpstream(t)
	for name, value := range map[string]string{
		"VERITY_CATALOG_PATH": catalogue, "VERITY_BASE_URL": verity.URL, "DFM_MCP_TOOLS": "all",
		"DATABASE_URL": "sqlite:" + filepath.Join(folder, "dfm.db"),
	} {
		t.Setenv(name, value)
	}
	program := suite(t, "DFM_BINARY")
	run := func(arguments ...string) (string, error) {
		var settings []string
		for _, name := range []string{"VERITY_CATALOG_PATH", "VERITY_BASE_URL", "DFM_MCP_TOOLS", "DATABASE_URL"} {
			settings = append(settings, "-e", name+"="+os.Getenv(name))
		}
		return inspect(t, slices.Concat([]string{"--cli", program, "mcp"}, settings, arguments)...)
	}
	equal(t, "tools", countTools(t, run), 14)
	called, err := run("--method", "tools/call", "--tool-name", getWidget, "--tool-arg", `path={"id":"7"}`)
	if err != nil || !strings.Contains(called, `"big"`) {
		t.Errorf("call: %v %.500s", err, called)
	}
	equal(t, "sent", strings.Join(verity.reached(), ""), "GET /api/widgets/7")
}

func inspect(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), suite(t, "INSPECTOR_CLI"), arguments...)
	command.Env = append(os.Environ(), "HOME="+t.TempDir())
	said, err := command.Output()
	return string(said), err
}

func countTools(t *testing.T, run func(...string) (string, error)) int {
	t.Helper()
	listed, err := run("--method", "tools/list")
	var list struct{ Tools []struct{ Name string } }
	if err != nil || json.Unmarshal([]byte(listed), &list) != nil {
		t.Errorf("list: %v %.500s", err, listed)
	}
	return len(list.Tools)
}

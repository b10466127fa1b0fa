package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// binary builds dfm.
func binary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dfm")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/df-middleware/dfm/cmd/dfm")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build dfm: %v\n%s", err, said)
	}
	return path
}

// mcpEnv are the settings of a dfm mcp in front of a Verity, as talkative as
// they can be.
func mcpEnv(t *testing.T, veritySettings map[string]string) []string {
	t.Helper()
	folder := t.TempDir()
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + folder, "LOG_LEVEL=debug", "LOG_FORMAT=json",
		"DATABASE_URL=sqlite:" + filepath.Join(folder, "dfm.db"),
	}
	for name, value := range veritySettings {
		env = append(env, name+"="+value)
	}
	return env
}

func fakeVerity(t *testing.T) map[string]string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/catalog.json" {
			_, _ = io.WriteString(w, `{"version":"1","endpoints":[
				{"path":"/api/widgets","methods":["GET","POST"]},{"path":"/api/widgets/{id}","methods":["DELETE"]},{"nonsense":true}]}`)
			return
		}
		_, _ = io.WriteString(w, `{"id":9007199254740993}`)
	}))
	t.Cleanup(server.Close)
	return map[string]string{"VERITY_BASE_URL": server.URL, "VERITY_CATALOG_PATH": server.URL + "/catalog.json"}
}

// The original printed log lines on standard output before and between the
// messages, which no client could read.
func TestTheRealBinaryPrintsNothingButMessages(t *testing.T) {
	program := binary(t)
	good := fakeVerity(t)
	for name, settings := range map[string]map[string]string{
		"all is well":          good,
		"no Verity":            {"VERITY_BASE_URL": "http://127.0.0.1:9", "VERITY_CATALOG_PATH": good["VERITY_CATALOG_PATH"]},
		"no catalogue":         {"VERITY_BASE_URL": "http://127.0.0.1:9", "VERITY_CATALOG_PATH": "/nowhere.json"},
		"no setting at all":    {},
		"a setting is wrong":   {"DFM_MCP_TOOLS": "some"},
		"a database is absent": {"DATABASE_URL": "sqlite:/proc/nowhere/dfm.db"},
	} {
		t.Run(name, func(t *testing.T) {
			command := exec.CommandContext(t.Context(), program, "mcp")
			command.Env, command.Dir = mcpEnv(t, settings), t.TempDir()
			command.Stdin = strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"call_operation","arguments":{"name":"widgets_get"}}}
{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"call_operation","arguments":{"name":"nothing"}}}
`)
			var out, log bytes.Buffer
			command.Stdout, command.Stderr = &out, &log
			err := command.Run()
			broken := name == "a setting is wrong" || name == "a database is absent"
			if (err != nil) != broken {
				t.Errorf("ends with %v\n%s", err, log.String())
			}
			answers := 0
			for line := range strings.Lines(out.String()) {
				var message struct {
					Version string `json:"jsonrpc"`
				}
				if err := json.Unmarshal([]byte(line), &message); err != nil || message.Version != "2.0" {
					t.Errorf("standard output has %q", line)
				}
				answers++
			}
			if broken && answers > 0 || !broken && answers < 3 {
				t.Errorf("%d answers\n%s", answers, log.String())
			}
			if log.Len() == 0 && !broken && name != "no setting at all" {
				t.Error("the log is empty: it went somewhere else")
			}
		})
	}
}

func TestAClientTalksToTheRealBinary(t *testing.T) {
	program := binary(t)
	for _, version := range []string{"2025-11-25", "2026-07-28"} {
		t.Run(version, func(t *testing.T) {
			command := exec.Command(program, "mcp", "--tools", "all", "--read-only")
			command.Env, command.Dir = mcpEnv(t, fakeVerity(t)), t.TempDir()
			client := sdk.NewClient(&sdk.Implementation{Name: "t", Version: "1"}, nil)
			session, err := client.Connect(t.Context(), &sdk.CommandTransport{Command: command}, &sdk.ClientSessionOptions{ProtocolVersion: version})
			if err != nil {
				t.Fatal(err)
			}
			list, err := session.ListTools(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, one := range list.Tools {
				names = append(names, one.Name)
			}
			if got := strings.Join(names, " "); got != "call_operation describe_operation drift_report explain_why find_person list_events person_timeline replay_dry_run search_operations widgets_get" {
				t.Errorf("tools: %s", got)
			}
			result, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: "widgets_get"})
			if err != nil || result.IsError || result.Content[0].(*sdk.TextContent).Text != `{"id":9007199254740993}` {
				t.Errorf("call: %v %+v", err, result)
			}
			people, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: "find_person", Arguments: map[string]any{"text": "ada"}})
			if err != nil || people.IsError {
				t.Errorf("find_person: %v %+v", err, people)
			}
			if err := session.Close(); err != nil {
				t.Errorf("the program ends with %v", err)
			}
		})
	}
}

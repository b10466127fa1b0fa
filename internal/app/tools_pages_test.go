package app

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/verity/catalogue"
	"github.com/df-middleware/dfm/internal/verity/mcp/toolset"
)

// toolWorld is the app with the sandbox's catalogue, and somebody signed in.
func toolWorld(t *testing.T, more map[string]string) (*App, *sandbox.World, *visitor) {
	t.Helper()
	world := newWorld(t, sandbox.Config{})
	a := build(t, world, databases()["sqlite"](t), (&skipping{}).now, more)
	start(t, world, a)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &visitor{t: t, http: &http.Client{Jar: jar}, base: a.URL("web")}
	b.get("/sign-in", 200)
	b.post("/sign-in", 200, url.Values{"secret": {"test-admin-secret"}, "next": {"/"}})
	return a, world, b
}

// lacks fails for texts that a page must not hold.
func lacks(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(page, text) {
			t.Errorf("the page says %q", text)
		}
	}
}

func TestTheOperationsCanBeFoundByDomainMethodRightsAndWords(t *testing.T) {
	_, _, b := toolWorld(t, nil)
	holds(t, b.get("/tools", 200), "GET /api/widgets/{id}", "DELETE /api/widgets/{id}", "asks a person first", "/tools/openapi.json")
	page := b.get("/tools?method=DELETE&domain=widgets", 200)
	holds(t, page, "DELETE /api/widgets/{id}")
	lacks(t, page, "GET /api/widgets")
	page = b.get("/tools?effect=reads&q=one+call", 200)
	holds(t, page, "GET /api/calls/{id}")
	lacks(t, page, "POST /api")
	page = b.get("/tools?auth=requireAdmin", 200)
	holds(t, page, "DELETE /api/widgets/{id}")
	lacks(t, page, "/api/account")
	holds(t, b.get("/tools?q=nothing-is-like-this", 200), "No operation is like that")
	b.get("/tools?effect=odd", 400)
	b.get("/tools?from=x", 400)
	b.get("/tools/operations/nobody", 404)
}

func TestThePageOfAnOperationSaysHowToCallIt(t *testing.T) {
	a, _, b := toolWorld(t, nil)
	page := b.get("/tools/operations/widgets_by_id_get", 200)
	holds(t, page, "GET /api/widgets/{id}", "yes, listed", "tools/call", "widgets_by_id_get", "X-API-Key: $DF_MIDDLEWARE_API_KEY",
		a.URL("gateway")+"/api/verity/proxy/api/widgets/", "/mcp", `name="path.id"`)
	holds(t, b.get("/tools/operations/widgets_create", 200), `name="body"`, "&#34;name&#34;: ", "color")
}

func TestATriedReadIsAnsweredAndInTheAuditLog(t *testing.T) {
	a, _, b := toolWorld(t, nil)
	made := b.post("/tools/operations/widgets_create", 200, url.Values{"body": {`{"name":"Lamp <b>","color":"red"}`}})
	holds(t, made, "HTTP 201", "Lamp \\u003cb\\u003e")
	lacks(t, made, "Lamp <b>")
	holds(t, b.post("/tools/operations/widgets_get", 200, url.Values{"query.limit": {"5"}}), "HTTP 200", "red")
	holds(t, b.post("/tools/operations/widgets_by_id_get", 200, url.Values{"path.id": {"nobody"}}), "HTTP 404", `value="nobody"`)
	holds(t, b.post("/tools/operations/widgets_by_id_get", 200, url.Values{}), "INVALID_ARGUMENTS", "path")
	holds(t, b.post("/tools/operations/widgets_get", 200, url.Values{"query.limit": {"five"}}), "INVALID_ARGUMENTS")
	holds(t, b.post("/tools/operations/widgets_create", 200, url.Values{"body": {"{half"}}), "Nothing was sent: the body is not JSON", "{half")
	eventually(t, 5*time.Second, func() error {
		rows, err := a.store.AuditLog(t.Context(), 0, 50)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.Action == "mcp.call" && row.Target == "widgets_get" && row.Actor == "admin" && row.Details["status"] == "ok" {
				return nil
			}
		}
		return errors.New("the call is not in the audit log")
	})
}

func TestWhatCannotBeTakenBackIsPutToAPersonFirst(t *testing.T) {
	_, world, b := toolWorld(t, nil)
	made := b.post("/tools/operations/widgets_create", 200, url.Values{"body": {`{"name":"Lamp"}`}})
	found := regexp.MustCompile(`&#34;id&#34;: &#34;([^&]+)&#34;`).FindStringSubmatch(made)
	if found == nil {
		t.Fatal("the answer names no id")
	}
	id := found[1]
	page := b.post("/tools/operations/widgets_by_id_delete", 200, url.Values{"path.id": {id}})
	holds(t, page, "Call DELETE /api/widgets/{id}?", "Call it", id)
	if n := world.Verity.CallsOf("delete widget"); n != 0 {
		t.Fatal("it was deleted before anybody agreed")
	}
	holds(t, b.post("/tools/operations/widgets_by_id_delete", 200, url.Values{"path.id": {id}, "confirmed": {"yes"}}), "HTTP 200")
	if n := world.Verity.CallsOf("delete widget"); n != 1 {
		t.Errorf("%d deletions, want 1", n)
	}
}

// A text that is tried here passes the opt-out gate as every other does.
func TestATriedTextToSomebodyWhoSaidStopIsRefused(t *testing.T) {
	a, _, b := toolWorld(t, nil)
	if _, err := a.changeOptOut(t.Context(), optOutChange{Phone: "+15005550177", Status: "opted_out", Reason: "said so"}); err != nil {
		t.Fatal(err)
	}
	var name string
	_, set := (&toolBook{app: a}).current()
	for _, tool := range set.Tools {
		if tool.Operation.Path == catalogue.TextPath {
			name = tool.Name
		}
	}
	holds(t, b.post(toolLink(name), 200, url.Values{"body": {`{"to":"+15005550177","body":"hello"}`}, "confirmed": {"yes"}}), "OPTED_OUT")
}

func TestOperatorsOnlyTryWhatReads(t *testing.T) {
	a, _, _ := toolWorld(t, nil)
	p := &toolBook{app: a}
	_, set := p.current()
	tool := func(name string) *toolset.Tool {
		one, there := set.Tool(name)
		if !there {
			t.Fatalf("no %s", name)
		}
		return one
	}
	for _, c := range []struct {
		role console.Role
		name string
		may  bool
	}{
		{console.Viewer, "widgets_get", false}, {console.Operator, "widgets_get", true}, {console.Operator, "widgets_create", false},
		{console.Operator, "widgets_by_id_delete", false}, {console.Admin, "widgets_create", true}, {console.Admin, "widgets_by_id_delete", true},
	} {
		caller := p.callerAs("somebody", c.role)
		if may, why := p.mayAs(c.role, caller, tool(c.name)); may != c.may || may == (why != "") {
			t.Errorf("%s, %s: %v %q", c.role, c.name, may, why)
		}
	}
}

func TestWhatTheSettingsKeepFromBeingAToolCannotBeTried(t *testing.T) {
	_, _, b := toolWorld(t, map[string]string{"DFM_MCP_READ_ONLY": "true", "DFM_MCP_TOOLS": "search"})
	holds(t, b.get("/tools/operations/widgets_create", 200), "the settings of the MCP server leave it out", "keep it from being called here")
	holds(t, b.get("/tools/operations/widgets_get", 200), "found by search_operations", "call_operation")
	b.post("/tools/operations/widgets_create", 403, url.Values{"body": {`{"name":"Lamp"}`}})
}

func TestThePageOfClientsShowsProfilesAndSettingsWithoutKeys(t *testing.T) {
	a, _, b := toolWorld(t, map[string]string{"BASE_URL": "https://dfm.example.test", "DFM_MCP_READ_ONLY_CALLERS": "clerk:user_ann"})
	page := b.get("/tools/clients", 200)
	holds(t, page, "https://dfm.example.test/mcp", "claude mcp add --transport http df-middleware", "mcpServers", "promptString", "clerk:user_ann", "${env:DFM_MCP_KEY}")
	if key := a.config.GatewayKey.Reveal(); key != "" {
		lacks(t, page, key)
	}
	for _, s := range snippets("https://dfm.example.test/mcp") {
		if start := strings.Index(s.Text, "{"); strings.HasPrefix(s.Text, "{") && !json.Valid([]byte(s.Text[start:])) {
			t.Errorf("%s: not JSON: %s", s.Name, s.Text)
		}
	}
}

func TestTheCatalogueIsReadAgainFromThePage(t *testing.T) {
	file := t.TempDir() + "/catalogue.json"
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"version":"7.1","endpoints":[{"path":"/api/widgets","methods":["GET"]},{"path":"/api/widgets","methods":["GET"]},{"path":"/widgets","methods":["GET"]}]}`)
	a, _, b := toolWorld(t, map[string]string{"VERITY_CATALOG_PATH": file})
	holds(t, b.get("/tools/catalogue", 200), "7.1", "the same method and path as", "not under /api", "error", "warning")
	write(`{"version":"7.2","endpoints":[{"path":"/api/lamps","methods":["GET"]}]}`)
	holds(t, b.post("/tools/catalogue/reload", 200, url.Values{}), "The catalogue was read: 1 operations.", "7.2", "None")
	holds(t, b.get("/tools", 200), "/api/lamps")
	write(`{half`)
	holds(t, b.post("/tools/catalogue/reload", 200, url.Values{}), "could not be read", "7.2")
	rows, err := a.store.AuditLog(t.Context(), 0, 50)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(slices.DeleteFunc(rows, func(r store.AuditRow) bool { return r.Action != "catalogue.reload" })); n != 2 {
		t.Errorf("%d lines in the audit log, want 2", n)
	}
}

func TestWithoutACatalogueThePageSaysWhatToDo(t *testing.T) {
	_, _, b := toolWorld(t, map[string]string{"VERITY_CATALOG_PATH": ""})
	holds(t, b.get("/tools", 200), "Set VERITY_CATALOG_PATH")
	holds(t, b.get("/tools/catalogue", 200), "There is no catalogue")
	b.post("/tools/catalogue/reload", 409, url.Values{})
	var document struct{ OpenAPI string }
	for _, path := range []string{"/tools/openapi.json", "/tools/openapi-gateway.json"} {
		if err := json.Unmarshal([]byte(b.get(path, 200)), &document); err != nil || !strings.HasPrefix(document.OpenAPI, "3.1") {
			t.Errorf("%s: %v %q", path, err, document.OpenAPI)
		}
	}
}

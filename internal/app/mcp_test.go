package app

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/verity/catalogue"
	"github.com/df-middleware/dfm/internal/verity/mcp"
)

const mcpCatalogue = `{"version":"1","endpoints":[
 {"path":"/api/widgets","methods":["GET","POST"],"authType":"none","schema":{"request":{"type":"object","properties":{"name":{"type":"string"}}}}},
 {"path":"/api/widgets/{id}","methods":["DELETE"],"authType":"requireAdmin"}]}`

const mcpIssuer = "https://clerk.example.test"

// mcpWorld is the program in front of a Verity that echoes who called it.
type mcpWorld struct {
	config Config
	key    *rsa.PrivateKey
	verity *httptest.Server
	asked  chan string // "METHOD path authorization"
}

func newMCPWorld(t *testing.T, more map[string]string) *mcpWorld {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	w := &mcpWorld{key: key, asked: make(chan string, 100)}
	w.verity = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/catalog.json" {
			_, _ = io.WriteString(rw, mcpCatalogue)
			return
		}
		w.asked <- r.Method + " " + r.URL.Path + " " + r.Header.Get("Authorization")
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, `{"ok":true}`)
	}))
	t.Cleanup(w.verity.Close)
	env := map[string]string{
		"DFM_ROLES": "web", "DATABASE_URL": "sqlite:" + filepath.Join(t.TempDir(), "dfm.db"), "DFM_SPILL_DIR": t.TempDir(),
		"PORT": "0", "WEB_PORT": "0", "DF_MIDDLEWARE_API_KEY": "env-gateway-key", "VERITY_BASE_URL": w.verity.URL,
		"VERITY_CATALOG_PATH": w.verity.URL + "/catalog.json", "CLERK_ISSUER": mcpIssuer, "DFM_MCP_TOOLS": "all",
		"CLERK_JWT_KEY": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
	}
	for name, value := range more {
		env[name] = value
	}
	w.config, err = Load(func(name string) (string, bool) { value, ok := env[name]; return value, ok })
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *mcpWorld) options() Options {
	return Options{Log: slog.New(slog.DiscardHandler), Clock: time.Now, Version: "test"}
}

// start runs the web app alone: the MCP server works without the gateway's port.
func (w *mcpWorld) start(t *testing.T) *App {
	t.Helper()
	a, err := New(t.Context(), w.config, w.options())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), StopTime)
		defer cancel()
		if err := a.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return a
}

// token is a Clerk session of a person.
func (w *mcpWorld) token(t *testing.T, subject, role string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: w.key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	claims, err := json.Marshal(map[string]any{
		"iss": mcpIssuer, "sub": subject, "sid": "sess_1", "exp": time.Now().Add(time.Minute).Unix(),
		"iat": time.Now().Unix(), "org_id": "org_1", "org_role": role,
	})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

type bearerTransport string

// RoundTrip shows the token.
func (b bearerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func dialMCP(t *testing.T, a *App, token string) *sdk.ClientSession {
	t.Helper()
	session, err := sdk.NewClient(&sdk.Implementation{Name: "t", Version: "1"}, nil).Connect(t.Context(),
		&sdk.StreamableClientTransport{Endpoint: a.URL("web") + mcp.Path, HTTPClient: &http.Client{Transport: bearerTransport(token)}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

func listMCP(t *testing.T, session *sdk.ClientSession) string {
	t.Helper()
	list, err := session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, one := range list.Tools {
		names = append(names, one.Name)
	}
	return strings.Join(names, " ")
}

func TestTheWebAppServesMCPToKeysAndPeople(t *testing.T) {
	w := newMCPWorld(t, map[string]string{"DFM_MCP_READ_ONLY_CALLERS": "clerk:user_reader"})
	a := w.start(t)
	ctx := auth.WithActor(t.Context(), "test")
	_, good, err := a.keys.Create(ctx, auth.NewKey{Name: "agent", Scopes: []auth.Scope{auth.ScopeMCP}})
	if err != nil {
		t.Fatal(err)
	}
	_, scopeless, err := a.keys.Create(ctx, auth.NewKey{Name: "other", Scopes: []auth.Scope{auth.ScopeGateway}})
	if err != nil {
		t.Fatal(err)
	}
	const search, records = "call_operation describe_operation", "find_person list_events person_timeline"
	for name, c := range map[string]struct{ token, want string }{
		"a key":              {good.Reveal(), search + " " + records + " search_operations widgets_by_id_delete widgets_create widgets_get"},
		"the environment's":  {"env-gateway-key", search + " " + records + " search_operations widgets_by_id_delete widgets_create widgets_get"},
		"an administrator":   {w.token(t, "user_admin", "org:admin"), search + " " + records + " search_operations widgets_by_id_delete widgets_create widgets_get"},
		"a person":           {w.token(t, "user_1", "org:member"), search + " search_operations widgets_create widgets_get"},
		"one who only reads": {w.token(t, "user_reader", "org:member"), search + " search_operations widgets_get"},
	} {
		t.Run(name, func(t *testing.T) {
			session := dialMCP(t, a, c.token)
			if got := listMCP(t, session); got != c.want {
				t.Errorf("sees %s, want %s", got, c.want)
			}
			result, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: "widgets_get"})
			if err != nil || result.IsError {
				t.Fatalf("call: %v %+v", err, result)
			}
			// No token of our own is configured, so none is sent; above all not the caller's.
			if got := <-w.asked; got != "GET /api/widgets " {
				t.Errorf("Verity was asked %q", got)
			}
		})
	}
	for name, c := range map[string]struct {
		token  string
		status int
	}{
		"nobody": {"", 401}, "a wrong key": {"wrong", 401}, "no scope": {scopeless.Reveal(), 403},
		"a bad token": {w.token(t, "user_1", "") + "x", 401}, "not a person": {w.token(t, "org_1", ""), 401},
	} {
		request, err := http.NewRequestWithContext(t.Context(), "POST", a.URL("web")+mcp.Path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if c.token != "" {
			request.Header.Set("Authorization", "Bearer "+c.token)
		}
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", name, response.StatusCode, c.status)
		}
	}
}

func TestEveryToolCallIsInTheAuditLog(t *testing.T) {
	w := newMCPWorld(t, nil)
	a := w.start(t)
	session := dialMCP(t, a, "env-gateway-key")
	for _, name := range []string{"widgets_create", "widgets_get"} {
		if _, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: name, Arguments: map[string]any{}}); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := a.store.AuditLog(t.Context(), 0, 10) // a write is there before its answer
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(rows, func(r store.AuditRow) bool { return r.Target == "widgets_create" })
	if i < 0 || rows[i].Actor != "key:env" || rows[i].Action != "mcp.call" || rows[i].Details["status"] != "ok" || rows[i].Details["operation"] != "POST /api/widgets" {
		t.Errorf("audit log: %+v", rows)
	}
	deadline, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for !slices.ContainsFunc(rows, func(r store.AuditRow) bool { return r.Target == "widgets_get" }) {
		if rows, err = a.store.AuditLog(deadline, 0, 10); err != nil {
			t.Fatal(err) // a read never came, or the log cannot be read
		}
	}
}

func TestMCPOnStandardInputRunsBesideAServer(t *testing.T) {
	w := newMCPWorld(t, nil)
	a := w.start(t) // owns the SQLite file
	input := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"widgets_create","arguments":{"body":{"name":"n"}}}}
`
	var out strings.Builder
	if err := ServeMCP(t.Context(), w.config, w.options(), strings.NewReader(input), &out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, `"structuredContent":{"ok":true}`) {
		t.Errorf("answers: %s", got)
	}
	rows, err := a.store.AuditLog(t.Context(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || rows[0].Actor != "stdio" {
		t.Errorf("audit log: %+v", rows)
	}
}

func TestMCPSettings(t *testing.T) {
	load := func(env map[string]string) (MCPConfig, error) {
		c, err := Load(func(name string) (string, bool) { value, ok := env[name]; return value, ok })
		return c.MCP, err
	}
	c, err := load(map[string]string{
		"DFM_MCP_TOOLS": "Search", "DFM_MCP_READ_ONLY": "true", "DFM_MCP_METHODS": "get, post",
		"DFM_MCP_CALLER_DOMAINS": "stdio=comms, stdio=calls,key:1=deals", "DFM_MCP_UNCONFIRMED_CALLERS": "stdio",
	})
	if err != nil {
		t.Fatal(err)
	}
	caller := c.caller("stdio", "")
	if c.Tools != "search" || !c.ReadOnly || !caller.Profile.Unconfirmed || fmt.Sprint(caller.Profile.Filter.Domains) != "[comms calls]" {
		t.Errorf("%+v %+v", c, caller)
	}
	if other := c.caller("key:2", ""); other.Profile.Unconfirmed || other.Profile.Filter.Domains != nil {
		t.Errorf("%+v", other)
	}
	for name, value := range map[string]string{
		"DFM_MCP_TOOLS": "some", "DFM_MCP_READ_ONLY": "perhaps", "DFM_MCP_METHODS": "HEAD", "DFM_MCP_CALLER_DOMAINS": "stdio",
		"DFM_MCP_RATE_PER_MINUTE": "-1", "DFM_MCP_MAX_RESULT": "1",
	} {
		_, err := load(map[string]string{name: value})
		var problems Problems
		if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Name != name {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}

func TestMachinesDoNotActForPeople(t *testing.T) {
	caller := mcpDoor{}.person(auth.Identity{Subject: "mch_1", Machine: true})
	if slices.Contains(caller.Levels, catalogue.RequireUser) || slices.Contains(caller.Levels, catalogue.RequireAdmin) || caller.Records {
		t.Errorf("%+v", caller)
	}
}

func TestCallsOfOneCallerAreLimited(t *testing.T) {
	limit := callLimit{auth.NewLimiter(nil, time.Now, slog.New(slog.DiscardHandler)), auth.Rate{PerMinute: 1, Burst: 1}, "mcp:"}
	if err := limit.Take(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	var wait interface{ RetryAfter() time.Duration }
	if err := limit.Take(t.Context(), "one"); !errors.As(err, &wait) || df.AsError(err).Status != 429 {
		t.Errorf("the second call: %v", err)
	}
	if err := limit.Take(t.Context(), "other"); err != nil {
		t.Errorf("another caller: %v", err)
	}
}

// The metadata promised tokens of Clerk's authorization server, all of which we
// refused.
func TestTheMetadataPromisesOnlyTokensThatWeTake(t *testing.T) {
	for clients, promised := range map[string]bool{"": false, "client_ours": true} {
		w := newMCPWorld(t, map[string]string{"DFM_MCP_OAUTH_CLIENTS": clients})
		a := w.start(t)
		metadata := string(mustGet(t, a.URL("web")+"/.well-known/oauth-protected-resource/mcp"))
		if strings.Contains(metadata, mcpIssuer) != promised {
			t.Errorf("%q: %s", clients, metadata)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: w.key}, (&jose.SignerOptions{}).WithType("at+jwt"))
		if err != nil {
			t.Fatal(err)
		}
		claims, _ := json.Marshal(map[string]any{"iss": mcpIssuer, "sub": "user_1", "client_id": "client_ours", "exp": time.Now().Add(time.Minute).Unix()})
		signed, err := signer.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		token, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		caller, err := mcpDoor{a.keys, a.gateway.verifier, a.config.MCP}.authenticate(t.Context(), token)
		if (err == nil) != promised || promised && (caller.ID != "clerk:user_1" || caller.Records) {
			t.Errorf("%q: %+v, %v", clients, caller, err)
		}
	}
}

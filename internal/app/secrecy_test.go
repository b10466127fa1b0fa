package app

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/observe"
	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/store"
)

// heard keeps what is logged.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heard) Write(line []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(line)
}

func (h *heard) said() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// plant gives every secret setting a value of its own, but for those without which
// the sandbox would not know us; those have values of the sandbox's.
func plant(world *sandbox.World) map[string]string {
	planted := map[string]string{
		"DF_ENCRYPTION_KEY":          base64.StdEncoding.EncodeToString([]byte("planted-encryption-key-32-bytes!")),
		"DF_ENCRYPTION_KEY_PREVIOUS": base64.StdEncoding.EncodeToString([]byte("planted-previous-key-of-32-bytes")),
		"ALERT_WEBHOOK_URL":          world.Verity.URL() + "/planted-alert-path",
		"OTEL_EXPORTER_OTLP_HEADERS": "authorization=planted-otlp-header",
		"ALOWARE_WEBHOOK_BEARER":     "planted-aloware-bearer",
		"DFM_TRUSTED_PROXIES":        "127.0.0.0/8",
	}
	for _, name := range []string{
		"DF_MIDDLEWARE_API_KEY", "DF_ADMIN_SECRET", "X_DF_JOBS_SECRET", "GHL_WEBHOOK_SECRET", "OPENAI_API_KEY", "CLERK_MACHINE_SECRET_KEY",
	} {
		planted[name] = "planted-" + strings.ToLower(strings.ReplaceAll(name, "_", "-")) + "-value"
	}
	return planted
}

// notSecret are settings that are hidden like secrets although they are none: public
// keys, a path and a switch.
var notSecret = []string{"CLERK_JWT_KEY", "DATABASE_URL", "GHL_WEBHOOK_PUBLIC_KEYS", "GHL_WEBHOOK_RSA_PUBLIC_KEYS", "VERITY_FORWARD_PLAIN_SECRET"}

// secrecy is a running program with planted secrets, and what came out of it.
type secrecy struct {
	*testing.T
	app     *App
	log     *heard
	secrets map[string]string // value by what it is
	admin   *http.Client
	csrf    string
	seen    int
}

func newSecrecy(t *testing.T) *secrecy {
	t.Helper()
	world := newWorld(t, sandbox.Config{})
	env := settingsOf(t, world, databases()["sqlite"](t), plant(world))
	config := configOf(t, env)
	s := &secrecy{T: t, log: &heard{}, secrets: map[string]string{}, admin: newStranger().client}
	for _, shown := range config.Shown {
		if !shown.Secret || slices.Contains(notSecret, shown.Name) {
			continue
		}
		if !shown.Set || len(env[shown.Name]) < 8 {
			t.Errorf("plant a secret for %s", shown.Name)
			continue
		}
		s.secrets[shown.Name] = env[shown.Name]
	}
	log := observe.NewLogger(s.log, "debug", "json", func(next slog.Handler) slog.Handler {
		return egress.RedactHandler(next, config.Redactor())
	})
	var err error
	if s.app, err = New(t.Context(), config, Options{Log: log, Clock: time.Now, Version: "test"}); err != nil {
		t.Fatal(err)
	}
	start(t, world, s.app)
	return s
}

// given names the secrets that a text gives away, as they are or in the ways that
// HTTP and HTML write things.
func given(secrets map[string]string, text string) (names []string) {
	for name, secret := range secrets {
		for _, spelling := range []string{secret, url.QueryEscape(secret), html.EscapeString(secret), base64.StdEncoding.EncodeToString([]byte(secret))} {
			if strings.Contains(text, spelling) {
				names = append(names, name)
				break
			}
		}
	}
	return names
}

// hold reports every secret that a text gives away.
func (s *secrecy) hold(where, text string) {
	s.Helper()
	s.seen++
	for _, name := range given(s.secrets, text) {
		s.Errorf("%s holds %s", where, name)
	}
}

// ask sends a request and looks for secrets in whatever comes back.
func (s *secrecy) ask(client *http.Client, method, address, body string, header http.Header) (int, string) {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, address, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("192.0.%d.%d", s.seen/250, s.seen%250+1)) // so that no brake hides an answer
	response, err := client.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data := []byte("(a stream)")
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		if data, err = io.ReadAll(response.Body); err != nil {
			s.Fatal(err)
		}
	}
	s.hold(method+" "+r.URL.Path, fmt.Sprint(response.Header)+string(data))
	return response.StatusCode, string(data)
}

// byAdmin asks the admin API.
func (s *secrecy) byAdmin(method, path, body string) (int, string) {
	s.Helper()
	return s.ask(http.DefaultClient, method, s.app.URL("web")+path, body, http.Header{"X-Df-Admin-Secret": {s.secrets["DF_ADMIN_SECRET"]}})
}

// traffic makes the program handle every secret: right ones, wrong ones, and
// those that come in odd places.
func (s *secrecy) traffic() (ids []string) {
	s.Helper()
	web, gateway := s.app.URL("web"), s.app.URL("gateway")
	for _, source := range []string{"ghl", "aloware", "texting"} {
		s.byAdmin(http.MethodPost, "/api/test/webhooks/"+source, "")
	}
	for _, secret := range s.secrets { // in headers, paths and bodies where they do not belong
		bearer := http.Header{"Authorization": {"Bearer " + secret}, "X-Ghl-Webhook-Secret": {secret}, "Content-Type": {"application/json"}}
		for _, path := range []string{"/api/webhooks/ghl", "/api/webhooks/texting", "/api/webhooks/aloware", "/mcp", "/api/mcp/chat", "/sign-in/clerk", "/api/admin/events"} {
			s.ask(http.DefaultClient, http.MethodPost, web+path, `{"type":"x"`, bearer)
		}
		s.ask(http.DefaultClient, http.MethodPost, gateway+"/api/verity", `{"endpoint":"/api/nowhere","method":"GET"}`, bearer)
	}
	made := s.once(http.MethodPost, "/api/admin/keys", `{"name":"made","scopes":["gateway","mcp","chat","admin:read"]}`)
	s.secrets["an API key"] = made["key"].(string)
	key := http.Header{"Authorization": {"Bearer " + s.secrets["an API key"]}}
	s.ask(http.DefaultClient, http.MethodPost, gateway+"/api/verity", `{"endpoint":"/api/calls/{id}","method":"GET","params":{"id":"42"}}`, key)
	s.ask(http.DefaultClient, http.MethodGet, gateway+"/api/verity", "", key)
	s.ask(http.DefaultClient, http.MethodGet, web+"/api/admin/keys", "", key)
	s.ask(http.DefaultClient, http.MethodPost, web+"/api/mcp/chat", `{"messages":[{"role":"user","content":"hello"}]}`, key)
	s.secrets["a password"] = "planted-password-of-a-user"
	body, _ := json.Marshal(map[string]string{"name": "Dana", "email": "dana@example.test", "role": "admin", "password": s.secrets["a password"]})
	_, text := s.byAdmin(http.MethodPost, "/api/admin/users", string(body))
	var user struct{ Data struct{ ID string } }
	if err := json.Unmarshal([]byte(text), &user); err != nil || user.Data.ID == "" {
		s.Fatalf("%s, %v", text, err)
	}
	if u, err := s.app.store.ConsoleUser(s.Context(), user.Data.ID); err != nil {
		s.Fatal(err)
	} else {
		s.secrets["a password's hash"] = u.PasswordHash
	}
	return append(ids, user.Data.ID, made["id"].(string))
}

// once asks for what is shown this once; its answer is not looked at.
func (s *secrecy) once(method, path, body string) map[string]any {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, s.app.URL("web")+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("X-DF-ADMIN-SECRET", s.secrets["DF_ADMIN_SECRET"])
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct{ Data map[string]any }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Data == nil {
		s.Fatalf("%s: %v", path, err)
	}
	return answer.Data
}

// signIn signs an administrator in: after wrong tries, one with the password in
// the field of the e-mail.
func (s *secrecy) signIn() {
	s.Helper()
	who := signInAs(s.T, s.app, console.Admin)
	s.admin, s.csrf = who.http, who.csrf
	at, _ := url.Parse(who.base)
	for _, c := range who.http.Jar.Cookies(at) {
		s.secrets["the cookie "+c.Name] = c.Value
	}
	for _, form := range []url.Values{
		{"email": {"dana@example.test"}, "secret": {"wrong"}}, {"secret": {s.secrets["a password"]}}, {"email": {"dana@example.test"}, "secret": {s.secrets["DF_ADMIN_SECRET"]}},
	} {
		s.ask(http.DefaultClient, http.MethodPost, who.base+"/sign-in", form.Encode(), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
	}
}

// slow are addresses that work for half a minute.
var slow = []string{"GET /debug/pprof/profile", "GET /debug/pprof/trace"}

// walk visits every address that can be read, with every id there is.
func (s *secrecy) walk(ids []string) {
	s.Helper()
	patterns := map[string][]string{}
	for _, one := range s.app.servers {
		patterns[one.name] = s.app.addresses(s.T, one)
	}
	for name, all := range patterns {
		for _, pattern := range all {
			methods, _ := asks(pattern)
			if methods[0] != http.MethodGet || slices.Contains(slow, pattern) {
				continue
			}
			for _, id := range append(ids, "DANA") {
				_, path := asks(strings.NewReplacer("{id}", id, "{key}", id, "{agentKey}", id).Replace(pattern))
				header := http.Header{"X-Df-Admin-Secret": {s.secrets["DF_ADMIN_SECRET"]}}
				if name == "gateway" {
					header = http.Header{"Authorization": {"Bearer " + s.secrets["an API key"]}}
				}
				s.ask(s.admin, http.MethodGet, s.app.URL(name)+path, "", header)
				if !strings.ContainsAny(pattern, "{") {
					break
				}
			}
		}
	}
}

// events waits until what was received is worked, and returns some ids.
func (s *secrecy) events() (ids []string) {
	s.Helper()
	eventually(s.T, 30*time.Second, func() error {
		events, err := s.app.store.Events(s.Context(), store.EventFilter{Limit: 20})
		if err != nil {
			return err
		}
		ids = nil
		for _, e := range events {
			if ids = append(ids, e.ID); e.Status == df.Pending || e.Status == df.Processing {
				return fmt.Errorf("%s is still %s", e.ID, e.Status)
			}
		}
		if len(ids) == 0 {
			return fmt.Errorf("no events")
		}
		return nil
	})
	return ids[:min(3, len(ids))]
}

// None of the secrets that the program holds comes out of it: in no page, no
// answer, no header and no line of the log, whatever is asked and however much
// goes wrong.
func TestNoSecretComesOut(t *testing.T) {
	t.Parallel()
	s := newSecrecy(t)
	ids := s.traffic()
	s.signIn()
	ids = append(ids, s.events()...)
	people, err := s.app.store.FindPeople(t.Context(), store.PersonSearch{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range people {
		ids = append(ids, p.ID)
	}
	s.walk(ids)
	said := s.log.said()
	s.hold("the log", said)
	if len(s.secrets) < 20 || s.seen < 200 || len(said) < 1000 {
		t.Errorf("%d secrets, %d answers and %d bytes of log: the test looks at too little", len(s.secrets), s.seen, len(said))
	}
}

func TestASecretIsFoundHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`x a+b<c>d&e y`, `"?q=a%2Bb%3Cc%3Ed%26e"`, `a+b&lt;c&gt;d&amp;e`, `Basic YStiPGM+ZCZl`} {
		if got := given(map[string]string{"one": "a+b<c>d&e", "other": "nowhere to be seen"}, text); len(got) != 1 || got[0] != "one" {
			t.Errorf("%s: %q", text, got)
		}
	}
}

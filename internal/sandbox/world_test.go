package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/df-middleware/dfm/internal/sandbox/alowareworld"
	"github.com/df-middleware/dfm/internal/sandbox/carrier"
	"github.com/df-middleware/dfm/internal/sandbox/ghlworld"
	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk counts webhooks by the path they came to.
type desk struct {
	mu   sync.Mutex
	seen map[string]int
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen == nil {
		d.seen = map[string]int{}
	}
	d.seen[r.URL.Path]++
}

func (d *desk) count(path string) int { d.mu.Lock(); defer d.mu.Unlock(); return d.seen[path] }

func TestEveryUpstreamListensAnswersAndReachesItsRoute(t *testing.T) {
	w := New(Config{TimeScale: 0.001, Aloware: alowareworld.Config{BasicUser: "u", BasicPass: "p"}})
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	d := &desk{}
	receiver := stage.New(stage.Config{Name: "desk", Clock: time.Now})
	for _, path := range []string{"ghl", "ghl/provider-delivery", "ghl/workflow", "aloware", "broadcast", "texting", "texting/twilio", "texting/telnyx", "texting/standard"} {
		receiver.Route(path, "POST", "/api/webhooks/"+path, d.ServeHTTP)
	}
	if err := receiver.Listen(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	w.Connect(receiver.URL())

	k, err := w.GHL.CreateContact(map[string]string{"phone": "+15005550111"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.GHL.AgentText(k.ID, "u1", "hello"); err != nil {
		t.Fatal(err)
	}
	w.GHL.RunWorkflow(k.ID, "x", nil)
	w.Aloware.PlayCall("+15005550111", alowareworld.Call{})
	w.Verity.PostBroadcast("broadcast_completed", "b1", nil)
	for _, provider := range carrier.Providers() {
		w.Carrier.Receive(provider, carrier.Text{From: "+15005550111", To: "+15005550199", Body: "hi"})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := w.Settle(ctx); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"ghl": 2, "ghl/provider-delivery": 1, "ghl/workflow": 1, "aloware": 4, "broadcast": 1,
		"texting": 1, "texting/twilio": 1, "texting/telnyx": 1, "texting/standard": 1} {
		if got := d.count("/api/webhooks/" + path); got != want {
			t.Errorf("%s got %d webhooks, want %d", path, got, want)
		}
	}
	for name, url := range w.URLs() {
		answer, err := http.Get(url + "/_sandbox/state")
		if err != nil {
			t.Fatal(err)
		}
		var state struct {
			Name string `json:"name"`
		}
		err = json.NewDecoder(answer.Body).Decode(&state)
		answer.Body.Close()
		if err != nil || state.Name != name {
			t.Errorf("%s says it is %q: %v", name, state.Name, err)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestEnvNamesEverySettingOfTheContractThatPointsHere(t *testing.T) {
	w := New(Config{Aloware: alowareworld.Config{Bearer: "b"}})
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	env, err := w.Env()
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range env {
		if value == "" || strings.HasPrefix(value, "/") {
			t.Errorf("%s is %q", name, value)
		}
	}
	if env["ALOWARE_WEBHOOK_BEARER"] != "b" || !strings.HasPrefix(env["CLERK_SESSION_ID"], "sess_") {
		t.Errorf("got %v", env)
	}
	if _, there := env["ALOWARE_WEBHOOK_BASIC_USER"]; there {
		t.Error("a credential that is not set is listed")
	}
}

func TestStartStopsTheOthersWhenOneCannotListen(t *testing.T) {
	w := New(Config{Addresses: map[string]string{"carrier": "0.0.0.0:0"}})
	if err := w.Start(t.Context()); err == nil {
		t.Fatal("a public address was accepted")
	}
	if url := w.GHL.URL(); url != "" {
		t.Errorf("GHL still listens at %s", url)
	}
}

// story is a run of the world under mischief, without sockets.
func story(t *testing.T, seed uint64) []string {
	t.Helper()
	wire := &Wire{}
	w := New(Config{Rand: rand.NewPCG(seed, 0), Transport: wire, GHL: ghlworld.Config{RateMax: 10000}})
	defer w.Close()
	var mu sync.Mutex
	var got []string
	wire.Attach("dfm.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		mu.Lock()
		got = append(got, string(raw))
		mu.Unlock()
		rw.WriteHeader([]int{200, 503}[len(raw)%2])
	}))
	wire.Attach("ghl.test", w.GHL)
	w.Connect("http://dfm.test")
	w.SetMischief(stage.Mischief{DropWebhooks: 0.2, DoubleWebhooks: 0.2, DelayWebhooks: 0.3, DelayBy: time.Minute, ReorderWebhooks: 0.2, LoseAnswer: 0.1, ServerError: 0.1})
	client := &http.Client{Transport: wire}
	for i := range 30 {
		body := fmt.Sprintf(`{"locationId":"SandboxLocation00001","phone":"+1500555%04d"}`, 1000+i)
		r, err := http.NewRequestWithContext(t.Context(), "POST", "http://ghl.test/contacts/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer pit-sandbox")
		r.Header.Set("Version", "2021-07-28")
		outcome := "lost"
		if answer, err := client.Do(r); err == nil {
			answer.Body.Close()
			outcome = answer.Status
		}
		synctest.Wait() // let what was caused arrive
		mu.Lock()
		got = append(got, outcome)
		mu.Unlock()
	}
	if err := w.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	return append(got, fmt.Sprint(len(w.GHL.Contacts())))
}

func TestTheSameSeedIsTheSameStory(t *testing.T) {
	var runs [3][]string
	for i, seed := range []uint64{7, 7, 8} {
		synctest.Test(t, func(t *testing.T) { runs[i] = story(t, seed) })
	}
	if !slices.Equal(runs[0], runs[1]) {
		t.Error("one seed told two stories")
	}
	if slices.Equal(runs[0], runs[2]) {
		t.Error("two seeds told one story")
	}
}

func TestWireBreaksWhereASocketWould(t *testing.T) {
	wire := &Wire{}
	wire.Attach("a.test", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/hang":
			<-r.Context().Done()
		default:
			w.Header().Set("X-A", "1")
			w.WriteHeader(201)
			w.Header().Set("X-B", "too late")
			_, _ = io.Copy(w, r.Body)
		}
	}))
	client := &http.Client{Transport: wire}
	answer, err := client.Post("http://a.test/x", "text/plain", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != 201 || string(body) != "body" || answer.Header.Get("X-A") != "1" || answer.Header.Get("X-B") != "" {
		t.Errorf("%d %s %v", answer.StatusCode, body, answer.Header)
	}
	if _, err := client.Get("http://a.test/abort"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("abort: %v", err)
	}
	if _, err := client.Get("http://b.test/"); err == nil {
		t.Error("nobody answered")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", "http://a.test/hang", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Do(r); !errors.Is(err, context.Canceled) {
		t.Errorf("hang: %v", err)
	}
}

func TestOnePortSteersTheWholeWorld(t *testing.T) {
	w := New(Config{TimeScale: 0.001})
	wire := &Wire{}
	wire.Attach("clerk.test", w.Clerk)
	client := &http.Client{Transport: wire}
	for path, body := range map[string]string{
		"mischief": `{"rateLimited":1}`, "connect": `{"url":"http://127.0.0.1:1"}`, "settle": `{}`,
	} {
		answer, err := client.Post("http://clerk.test/_sandbox/world/"+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != 200 {
			t.Errorf("%s: %d", path, answer.StatusCode)
		}
	}
	wire.Attach("aloware.test", w.Aloware)
	answer, err := client.Get("http://aloware.test/api/v1/webhook/users")
	if err != nil || answer.StatusCode != 429 {
		t.Errorf("the mischief did not reach Aloware: %v %v", answer, err)
	}
	w.Behave()
	if answer, err = client.Get("http://aloware.test/api/v1/webhook/users"); err != nil || answer.StatusCode != 401 {
		t.Errorf("the mischief did not end: %v %v", answer, err)
	}
	w.PauseWebhooks()
	if _, err := w.GHL.CreateContact(map[string]string{"phone": "+15005550111"}); err != nil {
		t.Fatal(err)
	}
	if n := w.DropPending(); n != 1 {
		t.Errorf("dropped %d", n)
	}
	w.ResumeWebhooks()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

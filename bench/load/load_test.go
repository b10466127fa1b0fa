package load

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestQuantilesStayWithinTheBucketsWidth(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var (
		h      Histogram
		values []time.Duration
	)
	for range 20_000 {
		// From microseconds to minutes, evenly over the orders of magnitude.
		d := time.Duration(float64(time.Microsecond) * float64(uint64(1)<<random.IntN(27)) * (1 + random.Float64()))
		h.Record(d)
		values = append(values, d)
	}
	slices.Sort(values)
	for _, q := range []float64{0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1} {
		exact := values[max(1, int(q*float64(len(values))+0.5))-1]
		got := h.Quantile(q)
		if got < exact || float64(got) > float64(exact)*(1+1.0/half)+float64(2*time.Microsecond) {
			t.Errorf("quantile %v = %v, want %v or at most 1/%d more", q, got, exact, half)
		}
	}
}

func TestAMergedHistogramIsTheOneOfAllValues(t *testing.T) {
	var a, b, all Histogram
	for i := range 1000 {
		d := time.Duration(i*i) * time.Microsecond
		all.Record(d)
		if i%3 == 0 {
			a.Record(d)
		} else {
			b.Record(d)
		}
	}
	a.Merge(&b)
	if a != all {
		t.Error("merging two halves gave another histogram than recording all")
	}
	if (&Histogram{}).Quantile(0.5) != 0 {
		t.Error("the quantile of nothing should be 0")
	}
}

func TestTheConnectionReadsEveryFormOfAnswer(t *testing.T) {
	answers := map[string]http.HandlerFunc{
		"/length":  func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") },
		"/empty":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"/refused": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"/chunks": func(w http.ResponseWriter, _ *http.Request) {
			for range 3 {
				_, _ = io.WriteString(w, strings.Repeat("x", 5000))
				_ = http.NewResponseController(w).Flush()
			}
		},
		"/close": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answers[r.URL.Path](w, r)
	}))
	defer server.Close()
	c, err := dial(strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.hangUp()
	for _, step := range []struct {
		path   string
		status int
		again  bool
	}{
		{"/length", 200, true}, {"/chunks", 200, true}, {"/empty", 204, true},
		{"/refused", 401, true}, {"/chunks", 200, true}, {"/close", 200, false},
	} {
		status, again, err := c.do([]byte("GET " + step.path + " HTTP/1.1\r\nHost: x\r\n\r\n"))
		if err != nil || status != step.status || again != step.again {
			t.Fatalf("%s: %d, %v, %v; want %d, %v", step.path, status, again, err, step.status, step.again)
		}
	}
}

// inbox keeps what the webhooks' source sends, as a server would see it.
type inbox struct {
	mu     sync.Mutex
	bodies map[string]int
	proofs []string
	last   []byte
	size   int
}

func (b *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var event struct{ WebhookID string }
	_ = json.Unmarshal(body, &event)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bodies[event.WebhookID]++
	b.proofs = append(b.proofs, r.Header.Get("X-GHL-Signature"))
	b.last, b.size = body, len(body)
}

func TestAcceptedCountsTheDifferentEventsThatTheServerSaw(t *testing.T) {
	seen := &inbox{bodies: map[string]int{}}
	server := httptest.NewServer(seen)
	defer server.Close()
	webhooks := Webhooks{URL: server.URL, Secret: "s", Contacts: 10, Duplicates: 0.5, Seed: 3}
	result, err := Run(t.Context(), Load{
		URL: server.URL, Connections: 4, Warmup: 20 * time.Millisecond, Measure: 100 * time.Millisecond, Source: webhooks.Source,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if result.Accepted != int64(len(seen.bodies)) || seen.bodies[""] > 0 {
		t.Errorf("accepted %d, but the server saw %d different events", result.Accepted, len(seen.bodies))
	}
	if result.Accepted >= int64(len(seen.proofs)) {
		t.Errorf("no event was repeated among %d requests", len(seen.proofs))
	}
	if seen.size < 900 || seen.size > 1300 {
		t.Errorf("a body has %d bytes, want about 1 KB", seen.size)
	}
	if !json.Valid(seen.last) {
		t.Errorf("not JSON: %s", seen.last)
	}
	if result.Bad() != 0 || result.PerSecond() <= 0 {
		t.Errorf("bad %d, %v requests per second", result.Bad(), result.PerSecond())
	}
}

func TestWebhooksAreSignedAsTheServerChecksThem(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"a":1}`)
	mac := hmac.New(sha256.New, []byte("s"))
	mac.Write(body)
	if got := string((Webhooks{Secret: "s"}).sign(nil, body)); got != hex.EncodeToString(mac.Sum(nil)) {
		t.Errorf("HMAC = %s", got)
	}
	proof, err := base64.StdEncoding.DecodeString(string((Webhooks{Key: private}).sign(nil, body)))
	if err != nil || !ed25519.Verify(public, body, proof) {
		t.Errorf("the Ed25519 signature does not verify: %v", err)
	}
}

func TestAnOpenLoopKeepsItsRateAndCountsTheWait(t *testing.T) {
	var once sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		once.Do(func() { time.Sleep(150 * time.Millisecond) }) // a stall, as a pause for garbage is
	}))
	defer server.Close()
	result, err := Run(t.Context(), Load{
		URL: server.URL, Connections: 1, Measure: 500 * time.Millisecond, Rate: 200, Source: Fixed(server.URL, nil, ""),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := result.Latencies.Count(); n != 100 {
		t.Errorf("%d requests in half a second at 200/s, want 100", n)
	}
	// Behind the stall some 30 requests were due. A closed loop would have seen one.
	if q := result.Latencies.Quantile(0.9); q < 50*time.Millisecond {
		t.Errorf("p90 = %v hides the requests that waited behind the stall", q)
	}
}

func TestALoadOutOfBoundsIsRefused(t *testing.T) {
	good := Load{URL: "http://127.0.0.1:9/", Connections: 1, Measure: time.Second}
	for title, change := range map[string]func(*Load){
		"another machine":      func(l *Load) { l.URL = "http://192.0.2.1:80/" },
		"a name":               func(l *Load) { l.URL = "http://example.test:80/" },
		"another scheme":       func(l *Load) { l.URL = "https://127.0.0.1:9/" },
		"no connections":       func(l *Load) { l.Connections = 0 },
		"too many connections": func(l *Load) { l.Connections = maxConnections + 1 },
		"no time":              func(l *Load) { l.Measure = 0 },
		"too long":             func(l *Load) { l.Measure = time.Hour },
	} {
		l := good
		change(&l)
		if _, err := Run(t.Context(), l, nil); err == nil {
			t.Errorf("%s: was not refused", title)
		}
	}
	for title, w := range map[string]Webhooks{
		"no proof":    {URL: good.URL, Contacts: 1},
		"no contacts": {URL: good.URL, Secret: "s"},
	} {
		if _, err := w.Source(0); err == nil {
			t.Errorf("%s: was not refused", title)
		}
	}
}

func TestALoadWithoutAnyAnswerIsAnError(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close() // nobody listens there any more
	l := Load{URL: server.URL, Connections: 2, Measure: 200 * time.Millisecond, Source: Fixed(server.URL, nil, "")}
	if _, err := Run(t.Context(), l, nil); err == nil {
		t.Error("a server that is not there was measured")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, l, nil); err == nil {
		t.Error("an interrupted run was taken for a whole one")
	}
}

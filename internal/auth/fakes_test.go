package auth

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// middle is a source of jitter that adds none.
func middle() float64 { return 0.5 }

// rsaKey returns the n-th of a few RSA keys, each made once.
var rsaKey = func() func(n int) *rsa.PrivateKey {
	var keys [3]func() *rsa.PrivateKey
	for i := range keys {
		keys[i] = sync.OnceValue(func() *rsa.PrivateKey {
			key, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				panic(err)
			}
			return key
		})
	}
	return func(n int) *rsa.PrivateKey { return keys[n]() }
}()

// sign makes a JWT with the given header and payload, both taken as they are.
func sign(t testing.TB, key *rsa.PrivateKey, header, payload string) string {
	t.Helper()
	input := b64(header) + "." + b64(payload)
	signature, err := signRS256(key, input)
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + signature
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// object returns m with the changes applied; a nil value takes the member out.
func object(m map[string]any, changes ...map[string]any) string {
	m = maps.Clone(m)
	for _, change := range changes {
		for name, value := range change {
			if value == nil {
				delete(m, name)
			} else {
				m[name] = value
			}
		}
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(text)
}

type doerFunc func(*http.Request) (*http.Response, error)

func (f doerFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, header map[string]string, body string) *http.Response {
	response := &http.Response{StatusCode: status, Header: make(http.Header), Body: io.NopCloser(strings.NewReader(body))}
	for name, value := range header {
		response.Header.Set(name, value)
	}
	return response
}

// keySetJSON returns a JWK set of the numbered keys under the ids key-0, key-1, …
func keySetJSON(numbers ...int) string {
	set := jose.JSONWebKeySet{}
	for _, n := range numbers {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &rsaKey(n).PublicKey, KeyID: fmt.Sprint("key-", n), Use: "sig", Algorithm: "RS256"})
	}
	text, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// memKeys is a KeyStore in memory that counts what it is asked.
type memKeys struct {
	mu      sync.Mutex
	keys    map[string]Key
	audits  []Audit
	reads   int
	touches int
	slow    time.Duration // time to read a key
	down    error
}

func newMemKeys() *memKeys { return &memKeys{keys: make(map[string]Key)} }

func (m *memKeys) CreateKey(_ context.Context, key Key, audit Audit) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, exists := m.keys[key.ID]; exists {
		return errors.New("id exists")
	}
	m.keys[key.ID] = key
	m.audits = append(m.audits, audit)
	return m.down
}

func (m *memKeys) KeyByID(_ context.Context, id string) (Key, error) {
	time.Sleep(m.slow)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	if m.down != nil {
		return Key{}, m.down
	}
	key, ok := m.keys[id]
	if !ok {
		return Key{}, ErrNoKey
	}
	return key, nil
}

func (m *memKeys) ListKeys(context.Context) ([]Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.keys)), m.down
}

func (m *memKeys) RevokeKey(_ context.Context, id string, at time.Time, audit Audit) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	key, ok := m.keys[id]
	if !ok {
		return ErrNoKey
	}
	if key.RevokedAt.IsZero() || at.Before(key.RevokedAt) {
		key.RevokedAt = at
	}
	m.keys[id] = key
	m.audits = append(m.audits, audit)
	return m.down
}

func (m *memKeys) RotateKey(ctx context.Context, old string, at time.Time, next Key, audit Audit) error {
	if err := m.RevokeKey(ctx, old, at, audit); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys[next.ID] = next
	return nil
}

func (m *memKeys) TouchKeys(_ context.Context, used map[string]time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.touches++
	if m.down != nil {
		return m.down
	}
	for id, at := range used {
		if key, ok := m.keys[id]; ok && at.After(key.LastUsedAt) {
			key.LastUsedAt = at
			m.keys[id] = key
		}
	}
	return nil
}

func (m *memKeys) uses(a, b string) (touches int, aUsed, bUsed time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.touches, m.keys[a].LastUsedAt, m.keys[b].LastUsedAt
}

func (m *memKeys) readCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads
}

func (m *memKeys) setDown(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = err
}

// memRates is a RateStore in memory, exact to the token.
type memRates struct {
	mu      sync.Mutex
	clock   func() time.Time
	buckets map[string]*bucket
	calls   int
	down    error
}

func newMemRates() *memRates { return &memRates{clock: time.Now, buckets: make(map[string]*bucket)} }

func (m *memRates) TakeRate(_ context.Context, name string, rate Rate, want int) (int, time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if m.down != nil {
		return 0, 0, m.down
	}
	if m.buckets[name] == nil {
		m.buckets[name] = &bucket{}
	}
	granted := 0
	for granted < want {
		if wait := m.buckets[name].take(m.clock(), rate.Every(), rate.Size()); wait > 0 {
			return granted, wait, nil
		}
		granted++
	}
	return granted, 0, nil
}

// memShared is a SharedState in memory with strict leases.
type memShared struct {
	mu    sync.Mutex
	rows  map[string]SharedToken
	owner map[string]string
	until map[string]time.Time
	down  error
	// between, when set, runs once after a LoadToken, as another instance might.
	between func()
}

func newMemShared() *memShared {
	return &memShared{rows: make(map[string]SharedToken), owner: make(map[string]string), until: make(map[string]time.Time)}
}

func (m *memShared) LoadToken(_ context.Context, name string) (SharedToken, error) {
	m.mu.Lock()
	row, down, between := m.rows[name], m.down, m.between
	m.between = nil
	m.mu.Unlock()
	if between != nil {
		between()
	}
	return row, down
}

func (m *memShared) LeaseToken(_ context.Context, name, owner string, lease time.Duration) (SharedToken, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return SharedToken{}, false, m.down
	}
	if m.owner[name] != "" && m.owner[name] != owner && time.Now().Before(m.until[name]) {
		return m.rows[name], false, nil
	}
	m.owner[name], m.until[name] = owner, time.Now().Add(lease)
	return m.rows[name], true, nil
}

func (m *memShared) SaveToken(_ context.Context, name, owner string, row SharedToken) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return m.down
	}
	if m.owner[name] != owner || !time.Now().Before(m.until[name]) {
		return errors.New("lease lost")
	}
	m.rows[name] = row
	delete(m.owner, name)
	return nil
}

// fakeClerk is Clerk's Backend API as far as tokens go, as strict as it is
// known to be and, when told so, as unreliable.
type fakeClerk struct {
	mu       sync.Mutex
	requests []string      // method and path
	bodies   []string      // of the requests
	life     time.Duration // of the tokens, whatever is asked for
	ahead    time.Duration // its clock minus ours
	slow     time.Duration // time to answer
	noDate   bool
	claims   map[string]any             // instead of the usual ones
	fail     func(n int) *http.Response // nil result: answer as usual
}

func (f *fakeClerk) Do(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	f.requests = append(f.requests, r.Method+" "+r.URL.Path)
	f.bodies = append(f.bodies, string(body))
	n, slow := len(f.requests), f.slow
	f.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Header.Get("Clerk-API-Version") != "2026-05-12" || r.Header.Get("Authorization") == "" ||
		r.Header.Get("Content-Type") != "application/json" || !json.Valid(body) {
		return answer(http.StatusBadRequest, nil, `{"errors":[{"code":"bad_request"}]}`), nil
	}
	if f.fail != nil {
		if response := f.fail(n); response != nil {
			return response, nil
		}
	}
	return f.mint(r, n), nil
}

func (f *fakeClerk) mint(r *http.Request, n int) *http.Response {
	now := time.Now().Add(f.ahead)
	claims := f.claims
	if claims == nil {
		claims = map[string]any{"iss": testIssuer, "sub": "user_1", "sid": "sess_1", "jti": fmt.Sprint("token-", n),
			"iat": now.Unix(), "nbf": now.Unix() - 5, "exp": now.Add(f.life).Unix()}
	}
	jwt := b64(`{"alg":"RS256","typ":"JWT","kid":"key-0"}`) + "." + b64(object(claims)) + "." + b64(fmt.Sprint("signature", n))
	header := map[string]string{"Date": now.UTC().Format(http.TimeFormat)}
	if f.noDate {
		header = nil
	}
	if strings.HasSuffix(r.URL.Path, "/m2m_tokens") {
		return answer(http.StatusCreated, header, fmt.Sprintf(`{"object":"machine_to_machine_token","token":%q}`, jwt))
	}
	return answer(http.StatusOK, header, fmt.Sprintf(`{"object":"token","jwt":%q}`, jwt))
}

func (f *fakeClerk) mints() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.requests)
}

func (f *fakeClerk) set(change func(*fakeClerk)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// endless is randomness that never runs out and never repeats soon.
func endless() io.Reader { return &counter{} }

type counter struct{ n byte }

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		c.n++
		p[i] = c.n ^ byte(i*7)
	}
	return len(p), nil
}

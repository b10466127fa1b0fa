package ghl

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
)

// tokenEndpoint hands out tokens as GHL does: a refresh token works once, and
// the same call within 30 seconds gets the same pair again.
type tokenEndpoint struct {
	now func() time.Time

	mu      sync.Mutex
	pairs   int
	valid   map[string]string // refresh token → user type
	spent   map[string]spent
	lose    int // how many answers get lost on the way
	refuse  bool
	v3      bool
	company bool // a code is an agency's
	calls   []url.Values
	gate    chan struct{} // when set, a refresh waits for it
}

type spent struct {
	at   time.Time
	pair map[string]any
}

func (e *tokenEndpoint) Do(ctx context.Context, call egress.Call) (egress.Answer, error) {
	if e.gate != nil {
		select {
		case <-e.gate:
		case <-ctx.Done():
			return egress.Answer{}, failure(call.Operation, df.Unclear, df.CodeTimeout, "")
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	form, err := url.ParseQuery(string(call.Body))
	if err != nil || call.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return egress.Answer{Status: 415}, nil
	}
	e.calls = append(e.calls, form)
	pair := e.grant(call, form)
	switch {
	case pair == nil || e.refuse:
		return egress.Answer{Status: 400, Body: []byte(`{"error":"invalid_grant","error_description":"refresh token is used: ` +
			form.Get("refresh_token") + `"}`)}, nil
	case e.lose > 0:
		e.lose--
		return egress.Answer{}, failure(call.Operation, df.Unclear, df.CodeTimeout, "")
	}
	body, _ := json.Marshal(pair)
	return egress.Answer{Status: 200, Body: body}, nil
}

func (e *tokenEndpoint) grant(call egress.Call, form url.Values) map[string]any {
	if strings.HasSuffix(call.URL, "/oauth/locationToken") {
		if call.Header.Get("Version") != "2021-07-28" || !strings.HasPrefix(call.Header.Get("Authorization"), "Bearer access-") {
			return nil
		}
		pair := e.pair("Location")
		delete(pair, "refresh_token")
		delete(pair, "companyId")
		return pair
	}
	if form.Get("client_id") != "app1-x" || form.Get("client_secret") != "client-secret" || !strings.HasSuffix(call.URL, "/oauth/token") {
		return nil
	}
	switch form.Get("grant_type") {
	case "authorization_code":
		if form.Get("code") != "good" || form.Get("redirect_uri") != "https://dfm.example.test/leadconnector/oauth" {
			return nil
		}
		if e.company {
			return e.pair("Company")
		}
		return e.pair("Location")
	case "refresh_token":
		return e.rotate(form.Get("refresh_token"))
	}
	return nil
}

func (e *tokenEndpoint) rotate(token string) map[string]any {
	if was, ok := e.spent[token]; ok && e.now().Sub(was.at) <= 30*time.Second {
		return was.pair
	}
	userType, ok := e.valid[token]
	if !ok {
		return nil
	}
	delete(e.valid, token)
	pair := e.pair(userType)
	e.spent[token] = spent{e.now(), pair}
	return pair
}

func (e *tokenEndpoint) pair(userType string) map[string]any {
	e.pairs++
	refresh := fmt.Sprintf("refresh-%d", e.pairs)
	e.valid[refresh] = userType
	pair := map[string]any{"access_token": fmt.Sprintf("access-%d", e.pairs), "refresh_token": refresh, "token_type": "Bearer",
		"expires_in": 86399, "scope": "contacts.readonly", "userType": userType, "companyId": "co1"}
	if userType == "Location" {
		pair["locationId"] = fakeLocation
	}
	if e.v3 {
		pair["accessToken"], pair["refreshToken"], pair["expiresIn"] = pair["access_token"], pair["refresh_token"], "86399"
		maps.DeleteFunc(pair, func(name string, _ any) bool { return strings.Contains(name, "_") })
	}
	return pair
}

// vault stores tokens and states in memory, with the lock that a row gives.
type vault struct {
	mu        sync.Mutex
	rows      map[string]*row
	nonces    map[string]bool
	failStore int
}

type row struct {
	mu    sync.Mutex
	token Token
}

func (v *vault) row(id string) *row {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.rows[id] == nil {
		v.rows[id] = &row{}
	}
	return v.rows[id]
}

func (v *vault) Token(_ context.Context, id string) (Token, error) {
	r := v.row(id)
	v.mu.Lock()
	defer v.mu.Unlock()
	if r.token.LocationID == "" {
		return Token{}, fmt.Errorf("store: %w", ErrNoToken)
	}
	return r.token, nil
}

func (v *vault) LockToken(ctx context.Context, id string, change func(context.Context, Token) (Token, error)) error {
	r := v.row(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	v.mu.Lock()
	stored := r.token
	v.mu.Unlock()
	changed, err := change(ctx, stored)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.failStore > 0 {
		v.failStore--
		return errors.New("commit failed")
	}
	r.token = changed
	return nil
}

func (v *vault) ConsumeState(_ context.Context, nonce string, _ time.Time) (bool, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fresh := !v.nonces[nonce]
	v.nonces[nonce] = true
	return fresh, nil
}

// flipper seals by flipping bits.
type flipper struct{}

func (flipper) Seal(plain []byte) ([]byte, error) { return flip(plain), nil }
func (flipper) Open(sealed []byte) ([]byte, error) {
	return flip(sealed), nil
}

func flip(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = ^b[i]
	}
	return out
}

type oauthWorld struct {
	now      time.Time
	endpoint *tokenEndpoint
	vault    *vault
	log      bytes.Buffer
	app      *App
}

func newOAuthWorld(t *testing.T) *oauthWorld {
	t.Helper()
	w := &oauthWorld{now: time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)}
	w.endpoint = &tokenEndpoint{now: w.clock, valid: map[string]string{}, spent: map[string]spent{}}
	w.vault = &vault{rows: map[string]*row{}, nonces: map[string]bool{}}
	w.app = w.instance(t)
	return w
}

func (w *oauthWorld) clock() time.Time { return w.now }

// instance returns another process that shares the store.
func (w *oauthWorld) instance(t *testing.T) *App {
	t.Helper()
	app, err := NewApp(AppOptions{ClientID: "app1-x", ClientSecret: "client-secret", RedirectURI: "https://dfm.example.test/leadconnector/oauth",
		StateKey: "0123456789abcdef", LocationID: fakeLocation, Caller: w.endpoint, Tokens: w.vault, States: w.vault, Sealer: flipper{},
		Clock: w.clock, Random: rand.Reader, Log: logInto(&w.log)})
	if err != nil {
		t.Fatal(err)
	}
	return app
}

func (w *oauthWorld) install(t *testing.T) {
	t.Helper()
	state, err := w.app.NewState()
	if err != nil {
		t.Fatal(err)
	}
	if id, err := w.app.Callback(t.Context(), "good", state); err != nil || id != fakeLocation {
		t.Fatalf("callback: %q, %v", id, err)
	}
}

func (w *oauthWorld) token(t *testing.T, app *App) string {
	t.Helper()
	token, err := app.Credentials(fakeLocation).Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal()
}

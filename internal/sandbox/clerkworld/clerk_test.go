package clerkworld

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

var now = time.Date(2030, 1, 2, 15, 4, 5, 0, time.UTC)

// firstKey is made once for all tests.
var firstKey = sync.OnceValue(makeKey)

func set(t *testing.T, change func(*Config)) *World {
	t.Helper()
	c := Config{Stage: stage.Config{Seed: 1, Clock: func() time.Time { return now }}, Key: firstKey()}
	if change != nil {
		change(&c)
	}
	return New(c)
}

func do(t *testing.T, w *World, method, path, body, key string) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	var out map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if rec.Code >= 400 && (rec.Header().Get("Clerk-Trace-Id") == "" || out["errors"] == nil) {
		t.Errorf("%s %s: an error without Clerk's envelope: %v", method, path, out)
	}
	return rec.Code, out
}

// open verifies a token against the published keys, as a careful receiver does.
func open(t *testing.T, w *World, token string) (header, claims map[string]any, good bool) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	for i, to := range []*map[string]any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(raw, to) != nil {
			t.Fatalf("part %d: %v", i, err)
		}
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	_, set := do(t, w, "GET", "/.well-known/jwks.json", "", "")
	for _, item := range set["keys"].([]any) {
		k := item.(map[string]any)
		n, err := base64.RawURLEncoding.DecodeString(k["n"].(string))
		if err != nil {
			t.Fatal(err)
		}
		public := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}
		if k["e"] != "AQAB" {
			t.Errorf("e is %v", k["e"])
		}
		if k["kid"] == header["kid"] && rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature) == nil {
			good = true
		}
	}
	return header, claims, good
}

func TestSessionTokensLiveAsLongAsAskedUnlessIgnored(t *testing.T) {
	for _, test := range []struct {
		name, path, body string
		change           func(*Config)
		lasts            float64
		sid              bool
	}{
		{"default", "/tokens", ``, nil, 60, true},
		{"asked", "/tokens", `{"expires_in_seconds":3600}`, nil, 3600, true},
		{"ignored", "/tokens", `{"expires_in_seconds":3600}`, func(c *Config) { c.IgnoreAsked = true }, 60, true},
		{"template", "/tokens/verity", ``, func(c *Config) { c.TemplateLife = 5 * time.Minute }, 300, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := set(t, test.change)
			id := w.StartSession("user_1")
			status, out := do(t, w, "POST", "/v1/sessions/"+id+test.path, test.body, "sk_test_sandbox")
			if status != 200 || len(out) != 2 || out["object"] != "token" {
				t.Fatalf("%d %v", status, out)
			}
			header, claims, good := open(t, w, out["jwt"].(string))
			if !good || header["alg"] != "RS256" || claims["sub"] != "user_1" || claims["iss"] != "https://clerk.sandbox.test" {
				t.Errorf("%v %v %v", good, header, claims)
			}
			if claims["exp"].(float64)-claims["iat"].(float64) != test.lasts || (claims["sid"] == id) != test.sid {
				t.Errorf("claims %v", claims)
			}
		})
	}
}

func TestDeadSessionsAndBadKeysAreRefused(t *testing.T) {
	w := set(t, nil)
	id := w.StartSession("user_1")
	for _, test := range []struct {
		path, body, key string
		status          int
	}{
		{"/v1/sessions/" + id + "/tokens", "", "sk_wrong", 401},
		{"/v1/sessions/" + id + "/tokens", "", "", 401},
		{"/v1/sessions/" + id + "/tokens", `{"expires_in_seconds":5}`, "sk_test_sandbox", 422},
		{"/v1/sessions/sess_x/tokens", "", "sk_test_sandbox", 404},
		{"/v1/sessions", `{"user_id":"user_1"}`, "sk_test_sandbox", 403},
		{"/v1/m2m_tokens", "", "sk_test_sandbox", 401},
		{"/v1/nothing", "", "sk_test_sandbox", 404},
	} {
		if status, out := do(t, w, "POST", test.path, test.body, test.key); status != test.status {
			t.Errorf("%s with %q: %d %v", test.path, test.key, status, out)
		}
	}
	if err := w.EndSession(id); err != nil {
		t.Fatal(err)
	}
	if status, _ := do(t, w, "POST", "/v1/sessions/"+id+"/tokens", "", "sk_test_sandbox"); status != 404 {
		t.Errorf("a dead session: %d", status)
	}
	if w.Minted() != 0 {
		t.Errorf("%d tokens were minted", w.Minted())
	}
}

func TestMachineTokens(t *testing.T) {
	w := set(t, nil)
	status, out := do(t, w, "POST", "/v1/m2m_tokens", `{"token_format":"jwt","seconds_until_expiration":300,"claims":{"role":"sync"}}`, "ak_sandbox")
	if status != 201 {
		t.Fatalf("%d %v", status, out)
	}
	_, claims, good := open(t, w, out["token"].(string))
	if !good || claims["sub"] != "mch_sandbox" || claims["role"] != "sync" || claims["exp"].(float64)-claims["iat"].(float64) != 300 {
		t.Errorf("%v %v", good, claims)
	}
	_, out = do(t, w, "POST", "/v1/m2m_tokens", ``, "ak_sandbox")
	token := out["token"].(string)
	if !strings.HasPrefix(token, "mt_") || out["expiration"] != nil {
		t.Errorf("got %v", out)
	}
	if _, out := do(t, w, "POST", "/v1/m2m_tokens", `{"min_remaining_ttl_seconds":60}`, "ak_sandbox"); out["token"] != token || w.Minted() != 2 {
		t.Errorf("a living token was not handed back: %v, %d minted", out, w.Minted())
	}
	if status, _ := do(t, w, "POST", "/v1/m2m_tokens/verify", `{"token":"`+token+`"}`, "ak_sandbox"); status != 200 {
		t.Errorf("verify: %d", status)
	}
	if status, _ := do(t, w, "POST", "/v1/m2m_tokens/verify", `{"token":"mt_x"}`, "ak_sandbox"); status != 404 {
		t.Errorf("verify a stranger: %d", status)
	}
}

func TestRotationKeepsOrWithdrawsTheOldKey(t *testing.T) {
	w := set(t, nil)
	old := w.Token("user_1")
	w.RotateKey(true)
	if _, _, good := open(t, w, old); !good || !w.Good(old) {
		t.Error("a kept key does not verify")
	}
	if _, _, good := open(t, w, w.Token("user_1")); !good {
		t.Error("the new key does not verify")
	}
	w.RotateKey(false)
	if _, _, good := open(t, w, old); good || w.Good(old) {
		t.Error("a withdrawn key verifies")
	}
}

func TestForgeriesAreForgeries(t *testing.T) {
	w := set(t, nil)
	claims := w.SessionClaims("user_1", "sess_1", time.Hour)
	for name, token := range map[string]string{
		"none":     w.Mint(map[string]any{"alg": "none"}, claims),
		"HS256":    w.Mint(map[string]any{"alg": "HS256"}, claims),
		"stranger": w.MintByStranger(claims),
		"no kid":   w.Mint(map[string]any{"kid": nil}, claims),
	} {
		if _, _, good := open(t, w, token); good {
			t.Errorf("%s verifies", name)
		}
	}
	if !strings.HasSuffix(w.Mint(map[string]any{"alg": "none"}, claims), ".") {
		t.Error("an unsigned token has a signature")
	}
	delete(claims, "exp")
	if _, got, good := open(t, w, w.Mint(nil, claims)); !good || got["exp"] != nil || w.Good(w.Mint(nil, claims)) {
		t.Error("a token without exp is signed well and not good")
	}
	if !strings.HasPrefix(w.PublicKeyPEM(), "-----BEGIN PUBLIC KEY") {
		t.Error("no PEM")
	}
}

func TestKeySetOfTheBackendNeedsTheSecret(t *testing.T) {
	w := set(t, nil)
	if status, _ := do(t, w, "GET", "/v1/jwks", "", ""); status != 401 {
		t.Errorf("status %d", status)
	}
	if status, out := do(t, w, "GET", "/v1/jwks", "", "sk_test_sandbox"); status != 200 || len(out["keys"].([]any)) != 1 {
		t.Errorf("%d %v", status, out)
	}
}

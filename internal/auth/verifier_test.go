package auth

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/df"
)

const testIssuer = "https://clerk.example.test"

var testNow = time.Date(2031, 5, 1, 8, 0, 0, 0, time.UTC)

func signRS256(key *rsa.PrivateKey, input string) (string, error) {
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	return base64.RawURLEncoding.EncodeToString(signature), err
}

func publicPEM(t testing.TB, key *rsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// keysByID is a KeySource with a fixed set.
type keysByID map[string]*rsa.PublicKey

func (k keysByID) Key(_ context.Context, kid string) (*rsa.PublicKey, error) {
	if key := k[kid]; key != nil {
		return key, nil
	}
	return nil, &TokenError{Reason: ReasonUnknownKey}
}

func (k keysByID) NeedsKid() bool { return true }

func testVerifier(t testing.TB, change func(*VerifierConfig)) *Verifier {
	t.Helper()
	config := VerifierConfig{Issuer: testIssuer, Parties: []string{"https://app.example.test"},
		Keys:  keysByID{"key-0": &rsaKey(0).PublicKey, "key-1": &rsaKey(1).PublicKey},
		Clock: func() time.Time { return testNow }}
	if change != nil {
		change(&config)
	}
	v, err := NewVerifier(config)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

type fields = map[string]any

func goodHeader() fields { return fields{"alg": "RS256", "typ": "JWT", "kid": "key-0"} }

func goodClaims() fields {
	return fields{"iss": testIssuer, "sub": "user_1", "sid": "sess_1", "azp": "https://app.example.test", "v": 2, "jti": "j1",
		"iat": testNow.Unix() - 10, "nbf": testNow.Unix() - 15, "exp": testNow.Unix() + 50}
}

func machineClaims() fields {
	return fields{"iss": testIssuer, "sub": "mch_caller", "aud": []string{"mch_us"}, "scopes": "mch_us mch_them", "jti": "mt_1",
		"iat": testNow.Unix() - 10, "nbf": testNow.Unix() - 15, "exp": testNow.Unix() + 50}
}

// TestHostileTokensAreRefused is the list of attacks and faults. The original
// never verified a token at all: its check was a call that did not exist, and a
// lower-case header name went round it.
func TestHostileTokensAreRefused(t *testing.T) {
	now := testNow.Unix()
	good := func() string { return sign(t, rsaKey(0), object(goodHeader()), object(goodClaims())) }
	header := func(change fields) string {
		return sign(t, rsaKey(0), object(goodHeader(), change), object(goodClaims()))
	}
	claims := func(change fields) string {
		return sign(t, rsaKey(0), object(goodHeader()), object(goodClaims(), change))
	}
	payload := func(text string) string { return sign(t, rsaKey(0), object(goodHeader()), text) }
	unsigned := func(alg string) string {
		return b64(object(goodHeader(), fields{"alg": alg})) + "." + b64(object(goodClaims())) + "."
	}
	hs256 := func() string {
		input := b64(object(goodHeader(), fields{"alg": "HS256"})) + "." + b64(object(goodClaims()))
		mac := hmac.New(sha256.New, []byte(publicPEM(t, rsaKey(0))))
		mac.Write([]byte(input))
		return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	embedded := fields{"kty": "RSA", "n": base64.RawURLEncoding.EncodeToString(rsaKey(2).N.Bytes()), "e": "AQAB"}
	attacker := func(change fields) string {
		return sign(t, rsaKey(2), object(goodHeader(), change), object(goodClaims()))
	}
	cut := func(token string, n int) string { return strings.Join(strings.Split(token, ".")[:n], ".") }

	tests := []struct {
		name, token, reason string
	}{
		{"nothing", "", ReasonMalformed},
		{"one part", "abc", ReasonMalformed},
		{"two parts", cut(good(), 2), ReasonMalformed},
		{"four parts", good() + ".x", ReasonMalformed},
		{"only dots", "..", ReasonAlgorithm},
		{"over 8 KiB", claims(fields{"x": strings.Repeat("a", 8<<10)}), ReasonMalformed},
		{"line break inside", strings.Replace(good(), ".", ".\n", 1), ReasonMalformed},
		{"white space before", " " + good(), ReasonMalformed},
		{"padding", good() + "==", ReasonMalformed},
		{"NUL inside", good()[:20] + "\x00" + good()[20:], ReasonMalformed},
		{"standard base64 letters", strings.Replace(good(), ".", "+.", 1), ReasonMalformed},
		{"JSON serialisation", `{"payload":"e30","signatures":[]}`, ReasonMalformed},
		{"encrypted, five parts", "a.b.c.d.e", ReasonMalformed},
		{"header is no JSON", b64("no") + "." + b64("{}") + ".AA", ReasonMalformed},
		{"header is a list", b64("[]") + "." + b64("{}") + ".AA", ReasonMalformed},
		{"header member twice", sign(t, rsaKey(0), `{"alg":"none","alg":"RS256","typ":"JWT","kid":"key-0"}`, object(goodClaims())), ReasonMalformed},

		{"alg none", unsigned("none"), ReasonAlgorithm},
		{"alg None", unsigned("None"), ReasonAlgorithm},
		{"alg empty", unsigned(""), ReasonAlgorithm},
		{"alg missing", header(fields{"alg": nil}), ReasonAlgorithm},
		{"alg is a number", header(fields{"alg": 256}), ReasonAlgorithm},
		{"HS256 with the public key", hs256(), ReasonAlgorithm},
		{"RS512", header(fields{"alg": "RS512"}), ReasonAlgorithm},
		{"PS256", header(fields{"alg": "PS256"}), ReasonAlgorithm},
		{"ES256", header(fields{"alg": "ES256"}), ReasonAlgorithm},

		{"OAuth access token", header(fields{"typ": "at+jwt"}), ReasonType},
		{"no typ", header(fields{"typ": nil}), ReasonType},
		{"typ is a number", header(fields{"typ": 1}), ReasonType},
		{"crit", header(fields{"crit": []string{"exp"}}), ReasonMalformed},
		{"crit, empty", header(fields{"crit": []string{}}), ReasonMalformed},
		{"crit b64", header(fields{"crit": []string{"b64"}, "b64": false}), ReasonMalformed},
		{"b64 without crit", header(fields{"b64": false}), ReasonMalformed},

		{"no kid", header(fields{"kid": nil}), ReasonUnknownKey},
		{"empty kid", header(fields{"kid": ""}), ReasonUnknownKey},
		{"unknown kid", header(fields{"kid": "key-9"}), ReasonUnknownKey},
		{"kid as a path", header(fields{"kid": "../../etc/passwd"}), ReasonUnknownKey},
		{"very long kid", header(fields{"kid": strings.Repeat("k", 200)}), ReasonUnknownKey},
		{"kid of another good key", header(fields{"kid": "key-1"}), ReasonSignature},
		{"attacker's key under a good kid", attacker(nil), ReasonSignature},
		{"embedded jwk", attacker(fields{"jwk": embedded}), ReasonSignature},
		{"jku", attacker(fields{"jku": "https://evil.example.test/jwks.json"}), ReasonSignature},
		{"x5u", attacker(fields{"x5u": "https://evil.example.test/cert.pem"}), ReasonSignature},
		{"embedded certificate", attacker(fields{"x5c": []string{"AAAA"}}), ReasonMalformed},
		{"no signature", cut(good(), 2) + ".", ReasonSignature},
		{"signature of another token", cut(good(), 2) + "." + strings.Split(claims(fields{"jti": "j2"}), ".")[2], ReasonSignature},
		{"payload changed", strings.Split(good(), ".")[0] + "." + b64(object(goodClaims(), fields{"sub": "user_2"})) + "." + strings.Split(good(), ".")[2], ReasonSignature},

		{"payload is a JWT (nested)", payload(good()), ReasonMalformed},
		{"payload is a list", payload("[]"), ReasonMalformed},
		{"payload is null", payload("null"), ReasonNoExpiry},
		{"payload is empty", payload(""), ReasonMalformed},
		{"two payloads", payload(object(goodClaims()) + object(goodClaims())), ReasonMalformed},
		{"exp twice", payload(strings.Replace(object(goodClaims()), "{", fmt.Sprintf(`{"exp":%d,`, now+9999), 1)), ReasonMalformed},
		{"sub twice", payload(strings.Replace(object(goodClaims()), "{", `{"sub":"user_admin",`, 1)), ReasonMalformed},
		{"exp in capitals does not count", claims(fields{"exp": nil, "EXP": now + 50}), ReasonNoExpiry},

		{"no exp", claims(fields{"exp": nil}), ReasonNoExpiry},
		{"exp null", payload(strings.Replace(object(goodClaims(), fields{"exp": 7}), `"exp":7`, `"exp":null`, 1)), ReasonNoExpiry},
		{"exp is text", claims(fields{"exp": fmt.Sprint(now + 50)}), ReasonMalformed},
		{"exp is true", claims(fields{"exp": true}), ReasonMalformed},
		{"exp is negative", claims(fields{"exp": -1}), ReasonMalformed},
		{"exp beyond the calendar", claims(fields{"exp": 1e300}), ReasonMalformed},
		{"exp in milliseconds", claims(fields{"exp": now * 1000}), ReasonMalformed},
		{"expired", claims(fields{"exp": now - 60}), ReasonExpired},
		{"expired by the leeway", claims(fields{"exp": now - 5}), ReasonExpired},
		{"not yet valid", claims(fields{"nbf": now + 60}), ReasonNotYet},
		{"issued in the future", claims(fields{"iat": now + 60}), ReasonNotYet},
		{"nbf is text", claims(fields{"nbf": "now"}), ReasonMalformed},

		{"other issuer", claims(fields{"iss": "https://clerk.evil.example.test"}), ReasonIssuer},
		{"issuer with a slash", claims(fields{"iss": testIssuer + "/"}), ReasonIssuer},
		{"issuer in capitals", claims(fields{"iss": strings.ToUpper(testIssuer)}), ReasonIssuer},
		{"issuer that only contains ours", claims(fields{"iss": testIssuer + ".evil.example.test"}), ReasonIssuer},
		{"no issuer", claims(fields{"iss": nil}), ReasonIssuer},
		{"issuer is a list", claims(fields{"iss": []string{testIssuer}}), ReasonMalformed},
		{"other party", claims(fields{"azp": "https://evil.example.test"}), ReasonParty},
		{"party that only begins like ours", claims(fields{"azp": "https://app.example.test.evil.example.test"}), ReasonParty},

		{"no sub", claims(fields{"sub": nil}), ReasonSubject},
		{"sub is a number", claims(fields{"sub": 5}), ReasonMalformed},
		{"sub is a list", claims(fields{"sub": []string{"user_1"}}), ReasonMalformed},
		{"sub is an organisation", claims(fields{"sub": "org_1"}), ReasonSubject},
		{"sub is an API key", claims(fields{"sub": "ak_1"}), ReasonSubject},
		{"a machine where a person is asked for", sign(t, rsaKey(0), object(goodHeader()), object(machineClaims())), ReasonMachine},
		{"no session (custom template)", claims(fields{"sid": nil}), ReasonSession},
		{"pending session", claims(fields{"sts": "pending"}), ReasonPending},
		{"impersonation without a name", claims(fields{"act": fields{}}), ReasonMalformed},
		{"impersonation is text", claims(fields{"act": "user_2"}), ReasonMalformed},
		{"organisation is text", claims(fields{"o": "org_1"}), ReasonMalformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var counted string
			v := testVerifier(t, func(c *VerifierConfig) { c.OnRefuse = func(reason string) { counted = reason } })
			id, err := v.Verify(t.Context(), test.token, SessionOnly)
			var refused *TokenError
			if !errors.As(err, &refused) || !errors.Is(err, ErrInvalidToken) {
				t.Fatalf("accepted as %+v, err %v", id, err)
			}
			if refused.Reason != test.reason || counted != test.reason {
				t.Errorf("reason %q, counted %q, want %q (%v)", refused.Reason, counted, test.reason, refused.Err)
			}
			if public := df.AsError(err); public.Code != "INVALID_TOKEN" || public.Status != http.StatusUnauthorized {
				t.Errorf("outsiders read %v", public)
			}
			if id.Subject != "" {
				t.Errorf("a refused token names %q", id.Subject)
			}
		})
	}
}

func TestGoodTokensOfEveryKindComeOutTheSame(t *testing.T) {
	exp := time.Unix(testNow.Unix()+50, 0).UTC()
	user := Identity{Subject: "user_1", SessionID: "sess_1", TokenID: "j1", ExpiresAt: exp, Issuer: testIssuer}
	inOrg := user
	inOrg.OrgID, inOrg.OrgSlug, inOrg.OrgRole = "org_1", "acme", "org:admin"
	inOrg.Permissions = []string{"org:invoices:read", "org:invoices:create"}
	actor := user
	actor.Actor = "user_support"
	machine := Identity{Subject: "mch_caller", TokenID: "mt_1", Machine: true, ExpiresAt: exp, Issuer: testIssuer}

	tests := []struct {
		name   string
		base   fields
		change fields
		want   Identity
	}{
		{"plain session", goodClaims(), nil, user},
		{"without a browser's origin", goodClaims(), fields{"azp": nil}, user},
		{"without nbf and iat", goodClaims(), fields{"nbf": nil, "iat": nil}, user},
		{"exp as a fraction", goodClaims(), fields{"exp": float64(testNow.Unix()) + 50.5}, user},
		{"exp just inside the leeway", goodClaims(), fields{"exp": testNow.Unix() - 4},
			func() Identity { id := user; id.ExpiresAt = time.Unix(testNow.Unix()-4, 0).UTC(); return id }()},
		{"nbf just inside the leeway", goodClaims(), fields{"nbf": testNow.Unix() + 5}, user},
		{"version 2 organisation", goodClaims(), fields{"fea": "o:invoices,u:profile,o:reports",
			"o": fields{"id": "org_1", "slg": "acme", "rol": "admin", "per": "read,create,delete", "fpm": "3,0"}}, inOrg},
		{"version 1 organisation", goodClaims(), fields{"v": nil, "org_id": "org_1", "org_slug": "acme", "org_role": "org:admin",
			"org_permissions": inOrg.Permissions}, inOrg},
		{"version 2 ignores flat claims", goodClaims(), fields{"org_id": "org_x", "org_role": "org:admin", "org_permissions": []string{"org:all:all"}}, user},
		{"version 1 ignores o", goodClaims(), fields{"v": 1, "o": fields{"id": "org_x", "rol": "admin"}}, user},
		{"impersonated", goodClaims(), fields{"act": fields{"sub": "user_support"}}, actor},
		{"active session", goodClaims(), fields{"sts": "active"}, user},
		{"unknown claims", goodClaims(), fields{"fva": []int{1, -1}, "pla": "u:free", "custom": fields{"a": 1}}, user},
		{"machine by aud", machineClaims(), fields{"scopes": nil}, machine},
		{"machine by scopes", machineClaims(), fields{"aud": nil}, machine},
		{"machine by a single aud", machineClaims(), fields{"aud": "mch_us", "scopes": nil}, machine},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := testVerifier(t, func(c *VerifierConfig) { c.Machines = []string{"mch_us"} })
			id, err := v.Verify(t.Context(), sign(t, rsaKey(0), object(goodHeader()), object(test.base, test.change)), SessionOrMachine)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(id.Permissions, test.want.Permissions) {
				t.Errorf("permissions %v, want %v", id.Permissions, test.want.Permissions)
			}
			id.Permissions, test.want.Permissions = nil, nil
			if fmt.Sprint(id) != fmt.Sprint(test.want) {
				t.Errorf("got  %+v\nwant %+v", id, test.want)
			}
		})
	}
}

// A machine's token is signed with the same key as every other one of the
// instance, so a good signature alone must not let it in.
func TestMachineTokensPassOnlyWhereTheyAreMeantFor(t *testing.T) {
	token := sign(t, rsaKey(0), object(goodHeader()), object(machineClaims()))
	for _, test := range []struct {
		name     string
		machines []string
		accept   Accept
		ok       bool
	}{
		{"meant for us", []string{"mch_us"}, SessionOrMachine, true},
		{"meant for another", []string{"mch_else"}, SessionOrMachine, false},
		{"no machine configured", nil, SessionOrMachine, false},
		{"only sessions wanted", []string{"mch_us"}, SessionOnly, false},
	} {
		v := testVerifier(t, func(c *VerifierConfig) { c.Machines = test.machines })
		if _, err := v.Verify(t.Context(), token, test.accept); (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestPartiesAreNotCheckedWithoutAList(t *testing.T) {
	v := testVerifier(t, func(c *VerifierConfig) { c.Parties = nil })
	if _, err := v.Verify(t.Context(), sign(t, rsaKey(0), object(goodHeader()), object(goodClaims())), SessionOnly); err != nil {
		t.Fatal(err)
	}
}

func TestPermissionMasksOfAnyWidthAreRead(t *testing.T) {
	many := make([]string, 70)
	for i := range many {
		many[i] = fmt.Sprint("p", i)
	}
	for _, test := range []struct{ name, fea, per, fpm, want string }{
		{"lowest bit is the first", "o:a", "read,write", "2", "org:a:write"},
		{"only organisation features count", "u:me,o:a,uo:b", "read", "1,1", "org:a:read org:b:read"},
		{"more masks than features", "o:a", "read", "1,1,1", "org:a:read"},
		{"more features than masks", "o:a,o:b", "read", "1", "org:a:read"},
		{"more bits than permissions", "o:a", "read", "255", "org:a:read"},
		{"wider than a machine word", "o:a", strings.Join(many, ","), "590295810358705651712", "org:a:p69"},
		{"white space", "o:a , o:b", "read , write", "1 , 2", "org:a:read org:b:write"},
		{"no number grants nothing", "o:a,o:b", "read", "x,1", "org:b:read"},
		{"a negative one neither", "o:a", "read", "-1", ""},
		{"nothing", "", "", "", ""},
	} {
		if got := strings.Join(orgPermissions(test.fea, test.per, test.fpm), " "); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// Whatever single character of a token changes, it is no longer good: there is
// exactly one spelling of it.
func TestAnyChangedCharacterSpoilsAToken(t *testing.T) {
	token := sign(t, rsaKey(0), object(goodHeader()), object(goodClaims()))
	v := testVerifier(t, nil)
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.= \n\x00"
	for _, letter := range letters { // the last one has bits that carry nothing
		changed := token[:len(token)-1] + string(letter)
		if _, err := v.Verify(t.Context(), changed, SessionOnly); err == nil && changed != token {
			t.Errorf("last letter %q: accepted", letter)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, len(token)-1).Draw(t, "at")
		letter := rapid.SampledFrom([]byte(letters)).Draw(t, "letter")
		if token[at] == letter {
			return
		}
		changed := token[:at] + string(letter) + token[at+1:]
		if id, err := v.Verify(context.Background(), changed, SessionOrMachine); err == nil {
			t.Fatalf("position %d, letter %q: accepted as %+v", at, letter, id)
		}
	})
}

func TestStaticKeyWorksWithoutNetworkAndIgnoresKid(t *testing.T) {
	text := publicPEM(t, rsaKey(0))
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&rsaKey(0).PublicKey)}))
	for name, text := range map[string]string{"PKIX": text, "PKCS #1": pkcs1, "one line": strings.ReplaceAll(text, "\n", `\n`)} {
		key, err := ParseStaticKey(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		v := testVerifier(t, func(c *VerifierConfig) { c.Keys = key })
		for _, kid := range []any{nil, "anything"} {
			token := sign(t, rsaKey(0), object(goodHeader(), fields{"kid": kid}), object(goodClaims()))
			if _, err := v.Verify(t.Context(), token, SessionOnly); err != nil {
				t.Errorf("%s, kid %v: %v", name, kid, err)
			}
		}
		if _, err := v.Verify(t.Context(), sign(t, rsaKey(1), object(goodHeader()), object(goodClaims())), SessionOnly); !errors.Is(err, ErrInvalidToken) {
			t.Errorf("%s: another key's token: %v", name, err)
		}
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"no PEM": "hello", "empty": "", "weak": publicPEM(t, small),
		"garbage": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"} {
		if _, err := ParseStaticKey(text); err == nil || !strings.Contains(err.Error(), "CLERK_JWT_KEY") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerifierNeedsAnIssuerAndKeys(t *testing.T) {
	for _, config := range []VerifierConfig{{Keys: keysByID{}}, {Issuer: testIssuer}} {
		if _, err := NewVerifier(config); err == nil || !strings.Contains(err.Error(), "CLERK_ISSUER") {
			t.Errorf("%+v: %v", config, err)
		}
	}
}

// FuzzVerify feeds the parser anything. It must neither panic nor accept what
// was not signed; the only tokens it may accept are those of the seeds.
func FuzzVerify(f *testing.F) {
	good := sign(f, rsaKey(0), object(goodHeader()), object(goodClaims()))
	f.Add(good)
	f.Add("..")
	f.Add(b64(`{"alg":"none","typ":"JWT","kid":"key-0"}`) + "." + b64(object(goodClaims())) + ".")
	f.Add(b64(`{"alg":"RS256","typ":"JWT","kid":"key-0","jwk":{"kty":"RSA"}}`) + "." + b64(`{"exp":1e400}`) + ".AA")
	v := testVerifier(f, nil)
	f.Fuzz(func(t *testing.T, token string) {
		id, err := v.Verify(context.Background(), token, SessionOrMachine)
		if err == nil && token != good {
			t.Fatalf("accepted %q as %+v", token, id)
		}
		if err != nil && !errors.Is(err, ErrInvalidToken) {
			t.Fatalf("unexpected kind of error: %v", err)
		}
		_, _ = readOwnToken(token, testNow, testNow)
	})
}

// BenchmarkRSA is the part of BenchmarkVerify that no code of ours can save.
func BenchmarkRSA(b *testing.B) {
	digest := sha256.Sum256([]byte("x"))
	signature, err := rsa.SignPKCS1v15(rand.Reader, rsaKey(0), crypto.SHA256, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := rsa.VerifyPKCS1v15(&rsaKey(0).PublicKey, crypto.SHA256, digest[:], signature); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	token := sign(b, rsaKey(0), object(goodHeader()), object(goodClaims()))
	v := testVerifier(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(context.Background(), token, SessionOnly); err != nil {
			b.Fatal(err)
		}
	}
}

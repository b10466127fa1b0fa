package texting

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Twilio's algorithm
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

var noon = time.Date(2026, 8, 5, 12, 0, 0, 0, time.UTC)

func atNoon() time.Time { return noon }

type vectors struct {
	Twilio []struct {
		Name, Token, Base, Target, Body, Signature string
		Valid                                      bool
	}
	Standard []struct {
		Name, Secret, Family, ID, Body, Signature string
		Timestamp                                 int64
	}
	Ed25519 []struct{ Name, PublicKey, ID, Timestamp, Body, Signature string }
}

func load(t testing.TB) vectors {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Twilio) == 0 || len(v.Standard) == 0 || len(v.Ed25519) != 2 {
		t.Fatal("vectors are missing")
	}
	return v
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func hexMAC(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

func secrets(texts ...string) []df.Secret {
	out := make([]df.Secret, len(texts))
	for i, text := range texts {
		out[i] = df.Secret(text)
	}
	return out
}

func check(t *testing.T, name, proof, wantProof string, err, want error) {
	t.Helper()
	if proof != wantProof || !errors.Is(err, want) {
		t.Errorf("%s: %q, %v; want %q, %v", name, proof, err, wantProof, want)
	}
}

// The original compared the fallback secret with ===, read the JSON before it
// looked at the proof, and let no signature pass unless its own.
func TestSecretsOfVerityProveTextsAndBroadcasts(t *testing.T) {
	const secret, body = "s3cret-s3cret", `{"type":"message.received"}`
	right := hexMAC(secret, body)
	for _, test := range []struct {
		name   string
		secret df.Secret
		header http.Header
		proof  string
		err    error
	}{
		{"its own signature", secret, header("SIG", right), ProofHMAC, nil},
		{"the general signature", secret, header("X-Signature", right), ProofHMAC, nil},
		{"in capitals", secret, header("SIG", strings.ToUpper(right)), ProofHMAC, nil},
		{"the secret itself", secret, header("PLAIN", secret), ProofSharedSecret, nil},
		{"a wrong signature beside the secret", secret, header("SIG", hexMAC("x", body), "PLAIN", secret), "", ErrProof},
		{"a wrong own beside a right general one", secret, header("SIG", hexMAC("x", body), "X-Signature", right), "", ErrProof},
		{"a signature that is sent twice", secret, header("SIG", right, "SIG", right), "", ErrProof},
		{"a secret that is sent twice", secret, header("PLAIN", secret, "PLAIN", "x"), "", ErrProof},
		{"in base64", secret, header("SIG", base64.StdEncoding.EncodeToString([]byte(right[:32]))), "", ErrProof},
		{"half of it", secret, header("SIG", right[:32]), "", ErrProof},
		{"with a prefix", secret, header("SIG", "sha256="+right), "", ErrProof},
		{"another body's", secret, header("SIG", hexMAC(secret, body+" ")), "", ErrProof},
		{"a longer secret", secret, header("PLAIN", secret+"x"), "", ErrProof},
		{"a beginning of the secret", secret, header("PLAIN", secret[:5]), "", ErrProof},
		{"blank headers", secret, header("SIG", " ", "PLAIN", ""), "", ErrProof},
		{"nothing", secret, nil, "", ErrProof},
		{"no secret is set", "", header("SIG", hexMAC("", body)), "", ErrNoVerifier},
		{"no secret is set, none is sent", "", header("PLAIN", ""), "", ErrNoVerifier},
	} {
		for kind, names := range map[string][2]string{"df": {"X-Texting-Signature", "X-Texting-Secret"},
			"broadcast": {"X-Broadcast-Signature", "X-DF-Broadcast-Secret"}} {
			h := http.Header{}
			for name, values := range test.header {
				name = map[string]string{"Sig": names[0], "Plain": names[1]}[name]
				for _, value := range values {
					h.Add(firstText(name, "X-Signature"), value)
				}
			}
			verify := NewDF(test.secret, Decoder{}).Verify
			if kind == "broadcast" {
				verify = NewBroadcast(test.secret).Verify
			}
			proof, err := verify(h, []byte(body))
			check(t, kind+": "+test.name, proof, test.proof, err, test.err)
		}
	}
}

func TestTwilioAgreesWithTheVendorsLibrary(t *testing.T) {
	for _, v := range load(t).Twilio {
		for _, tokens := range [][]df.Secret{secrets(v.Token), secrets("another", v.Token), secrets(v.Token, "another")} {
			twilio, err := NewTwilio(v.Base, tokens, Decoder{})
			if err != nil {
				t.Fatal(err)
			}
			want, wantErr := ProofTwilio, error(nil)
			if !v.Valid {
				want, wantErr = "", ErrProof
			}
			proof, err := twilio.VerifyRequest(header("X-Twilio-Signature", v.Signature), v.Target, []byte(v.Body))
			check(t, v.Name, proof, want, err, wantErr)
		}
	}
}

func twilioSigned(token, signed string) http.Header {
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(signed))
	return header("X-Twilio-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

func TestTwilioRefusesWhatIsNotSignedWhole(t *testing.T) {
	const token, base, path = "t0ken", "https://dfm.example.test", "/api/webhooks/texting/twilio"
	twilio, err := NewTwilio(base+"/", secrets(token), Decoder{})
	if err != nil {
		t.Fatal(err)
	}
	right := twilioSigned(token, base+path+"Bodyhi"+"MessageSidSM1")
	twice := right.Clone()
	twice.Add("X-Twilio-Signature", right.Get("X-Twilio-Signature"))
	for _, test := range []struct {
		name, target, body string
		header             http.Header
		err                error
	}{
		{"right", path, "MessageSid=SM1&Body=hi", right, nil},
		{"another order", path, "Body=hi&MessageSid=SM1", right, nil},
		{"another value", path, "Body=ho&MessageSid=SM1", right, ErrProof},
		{"a parameter more", path, "Body=hi&MessageSid=SM1&OptOutType=START", right, ErrProof},
		// The vendor's library lets the second one pass unsigned.
		{"a second value", path, "Body=hi&MessageSid=SM1&Body=ho", right, ErrProof},
		{"the same value twice", path, "Body=hi&MessageSid=SM1&Body=hi", right, nil},
		{"both values signed", path, "Body=b&Body=a", twilioSigned(token, base+path+"BodyaBodyb"), nil},
		{"a broken escape", path, "Body=hi&MessageSid=SM1&x=%zz", right, ErrProof},
		{"a semicolon", path, "Body=hi;MessageSid=SM1", right, ErrProof},
		{"an unsigned query", path + "?x=1", "MessageSid=SM1&Body=hi", right, ErrProof},
		{"a target with a host", base + path, "MessageSid=SM1&Body=hi", right, ErrProof},
		{"no target", "", "MessageSid=SM1&Body=hi", right, ErrProof},
		{"a hash that is no hex", path + "?bodySHA256=zz", "{}", twilioSigned(token, base+path+"?bodySHA256=zz"), ErrProof},
		{"another token", path, "MessageSid=SM1&Body=hi", twilioSigned("x", base+path+"Bodyhi"+"MessageSidSM1"), ErrProof},
		{"signed twice", path, "MessageSid=SM1&Body=hi", twice, ErrProof},
		{"no base64", path, "", header("X-Twilio-Signature", "?"), ErrProof},
		{"hex", path, "", header("X-Twilio-Signature", strings.Repeat("ab", 20)), ErrProof},
		{"no header", path, "", nil, ErrProof},
		{"a million parameters", path, strings.Repeat("a=b&", 250_000), right, ErrProof},
	} {
		proof, err := twilio.VerifyRequest(test.header, test.target, []byte(test.body))
		if !errors.Is(err, test.err) || (proof == ProofTwilio) != (test.err == nil) {
			t.Errorf("%s: %q, %v", test.name, proof, err)
		}
	}
}

func TestTwilioSettings(t *testing.T) {
	for _, base := range []string{"", "dfm.example.test", "/path", "ftp://x.test", "https://", "https://x.test?a=b", "https://x.test#rc=3", "https://%zz"} {
		if _, err := NewTwilio(base, secrets("t"), Decoder{}); err == nil {
			t.Errorf("%q is taken", base)
		}
	}
	if _, err := NewTwilio("https://x.test", secrets("t", ""), Decoder{}); err == nil || !strings.Contains(err.Error(), "2") {
		t.Errorf("an empty token is taken: %v", err)
	}
	none, err := NewTwilio("", nil, Decoder{})
	if err != nil {
		t.Fatalf("Twilio need not be configured: %v", err)
	}
	if _, err := none.VerifyRequest(twilioSigned("", "/"), "/", nil); !errors.Is(err, ErrNoVerifier) {
		t.Error("nothing is configured, and yet it is taken")
	}
	six, err := publicBases("https://[::1]:9000/x/")
	if err != nil || six[0] != "https://[::1]:9000/x" || six[1] != "https://[::1]/x" {
		t.Errorf("%q, %v", six, err)
	}
}

func TestTelnyxVector(t *testing.T) {
	v := load(t).Ed25519[0]
	_, other, _ := ed25519.GenerateKey(nil)
	public := base64.StdEncoding.EncodeToString(other.Public().(ed25519.PublicKey))
	sign := func(stamp, body string) string {
		return base64.StdEncoding.EncodeToString(ed25519.Sign(other, []byte(stamp+"|"+body)))
	}
	right := header("telnyx-signature-ed25519", v.Signature, "telnyx-timestamp", v.Timestamp)
	ago := func(d time.Duration) string { return strconv.FormatInt(noon.Add(-d).Unix(), 10) }
	signed := func(stamp string) http.Header {
		return header("telnyx-signature-ed25519", sign(stamp, v.Body), "telnyx-timestamp", stamp)
	}
	twice := signed(ago(0))
	twice.Add("Telnyx-Timestamp", ago(0))
	for _, test := range []struct {
		name   string
		keys   []string
		header http.Header
		body   string
		err    error
	}{
		{"the vector", []string{v.PublicKey}, right, v.Body, nil},
		{"the second key", []string{public, v.PublicKey}, right, v.Body, nil},
		{"another key", []string{public}, right, v.Body, ErrProof},
		{"another body", []string{v.PublicKey}, right, v.Body + " ", ErrProof},
		{"five minutes old", []string{public}, signed(ago(5 * time.Minute)), v.Body, nil},
		{"five minutes early", []string{public}, signed(ago(-5 * time.Minute)), v.Body, nil},
		{"replayed later", []string{public}, signed(ago(5*time.Minute + time.Second)), v.Body, ErrStale},
		{"from the future", []string{public}, signed(ago(-5*time.Minute - time.Second)), v.Body, ErrStale},
		{"the time changed", []string{v.PublicKey}, header("telnyx-signature-ed25519", v.Signature, "telnyx-timestamp", ago(time.Second)), v.Body, ErrProof},
		{"the time in another spelling", []string{public}, signed("+" + ago(0)), v.Body, ErrProof},
		{"two times", []string{public}, twice, v.Body, ErrProof},
		{"no time", []string{public}, header("telnyx-signature-ed25519", sign("", v.Body)), v.Body, ErrProof},
		{"a time of all digits", []string{public}, signed(strings.Repeat("9", 400)), v.Body, ErrProof},
		{"a short signature", []string{public}, header("telnyx-signature-ed25519", "AAAA", "telnyx-timestamp", ago(0)), v.Body, ErrProof},
		{"no headers", []string{public}, nil, v.Body, ErrProof},
		{"no key", nil, right, v.Body, ErrNoVerifier},
	} {
		telnyx, err := NewTelnyx(test.keys, atNoon, Decoder{})
		if err != nil {
			t.Fatal(err)
		}
		proof, err := telnyx.Verify(test.header, []byte(test.body))
		if !errors.Is(err, test.err) || (proof == ProofEd25519) != (test.err == nil) {
			t.Errorf("%s: %q, %v", test.name, proof, err)
		}
	}
	for _, key := range []string{"", "x", public[:20], public + public} {
		if _, err := NewTelnyx([]string{public, key}, atNoon, Decoder{}); err == nil || !strings.Contains(err.Error(), "key 2") {
			t.Errorf("%q is taken: %v", key, err)
		}
	}
}

func standard(t *testing.T, clock df.Clock, texts ...string) *Standard {
	t.Helper()
	s, err := NewStandard(secrets(texts...), clock, Decoder{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStandardAgreesWithTheReferenceLibraries(t *testing.T) {
	other := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 24)))
	for _, v := range load(t).Standard {
		stamp := strconv.FormatInt(v.Timestamp, 10)
		h := header(v.Family+"id", v.ID, v.Family+"timestamp", stamp, v.Family+"signature", v.Signature)
		proof, err := standard(t, atNoon, other, v.Secret).Verify(h, []byte(v.Body))
		check(t, v.Name, proof, ProofStandard, err, nil)
		proof, err = standard(t, atNoon, other).Verify(h, []byte(v.Body))
		check(t, v.Name+", another secret", proof, "", err, ErrProof)
		proof, err = standard(t, atNoon, v.Secret).Verify(h, []byte(v.Body+"x"))
		check(t, v.Name+", another body", proof, "", err, ErrProof)
	}
	v := load(t).Ed25519[1]
	h := header("webhook-id", v.ID, "webhook-timestamp", v.Timestamp, "webhook-signature", "v1,AAAA v2,? "+v.Signature)
	proof, err := standard(t, atNoon, other, v.PublicKey).Verify(h, []byte(v.Body))
	check(t, "v1a", proof, ProofStandardKey, err, nil)
	proof, err = standard(t, atNoon, other).Verify(h, []byte(v.Body))
	check(t, "v1a, no public key", proof, "", err, ErrProof)
}

func TestStandardRefusesForgeriesAndReplays(t *testing.T) {
	const body, now = `{}`, "1785931200"
	key := strings.Repeat("k", 24)
	sign := func(id, stamp string) string {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(id + "." + stamp + "." + body))
		return base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	of := func(id, stamp, signature string) http.Header {
		return header("webhook-id", id, "webhook-timestamp", stamp, "webhook-signature", signature)
	}
	with := func(h http.Header, name, value string) http.Header { h.Add(name, value); return h }
	right := "v1," + sign("m", now)
	late, early := strconv.FormatInt(noon.Unix()-301, 10), strconv.FormatInt(noon.Unix()+301, 10)
	for _, test := range []struct {
		name   string
		header http.Header
		err    error
	}{
		{"right", of("m", now, right), nil},
		{"one of several", of("m", now, "v1,AAAA  v9,x "+right), nil},
		{"the list sent as two headers", with(of("m", now, "v1,AAAA"), "webhook-signature", right), ErrProof},
		{"another id", of("n", now, right), ErrProof},
		{"replayed", of("m", late, "v1,"+sign("m", late)), ErrStale},
		{"from the future", of("m", early, "v1,"+sign("m", early)), ErrStale},
		{"replayed under a new time", of("m", now, "v1,"+sign("m", late)), ErrProof},
		{"a time that is none", of("m", "now", "v1,"+sign("m", "now")), ErrProof},
		{"a negative time", of("m", "-1", "v1,"+sign("m", "-1")), ErrProof},
		{"two ids", with(of("m", now, right), "webhook-id", "n"), ErrProof},
		{"no version", of("m", now, sign("m", now)), ErrProof},
		{"as v1a", of("m", now, "v1a,"+sign("m", now)), ErrProof},
		{"no base64", of("m", now, "v1,"+strings.Repeat("?", 44)), ErrProof},
		{"an empty signature", of("m", now, "v1,"), ErrProof},
		{"a list without end", of("m", now, strings.Repeat("v1,AAAA ", 1000)+right), ErrProof},
		{"an id without end", of(strings.Repeat("m", 500), now, "v1,"+sign(strings.Repeat("m", 500), now)), ErrProof},
		{"no headers", nil, ErrProof},
		{"svix", header("svix-id", "m", "svix-timestamp", now, "svix-signature", right), nil},
		// Otherwise a replay under a new webhook-id would be a new delivery.
		{"svix, under another webhook-id", header("svix-id", "m", "svix-timestamp", now, "svix-signature", right, "webhook-id", "n"), ErrProof},
		{"svix, with a webhook-timestamp", header("svix-id", "m", "svix-timestamp", now, "svix-signature", right, "webhook-timestamp", now), ErrProof},
		{"mixed", header("webhook-id", "m", "svix-timestamp", now, "svix-signature", right), ErrProof},
	} {
		s := standard(t, atNoon, "whsec_"+base64.StdEncoding.EncodeToString([]byte(key)))
		proof, err := s.Verify(test.header, []byte(body))
		if !errors.Is(err, test.err) || (proof == ProofStandard) != (test.err == nil) {
			t.Errorf("%s: %q, %v", test.name, proof, err)
		}
	}
}

// The reference library takes an empty secret, under which anybody can sign.
func TestStandardRefusesSecretsThatProveNothing(t *testing.T) {
	long := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	for _, text := range []string{"", "whsec_", "whsec_" + base64.StdEncoding.EncodeToString([]byte("short-secret-of-23-byte")), "whsec_?",
		"whpk_" + long[:20], "whpk_", "whsk_" + long} {
		_, err := NewStandard(secrets(long, text), atNoon, Decoder{})
		if err == nil || !strings.Contains(err.Error(), "secret 2") || len(text) > 8 && strings.Contains(err.Error(), text[6:]) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := standard(t, atNoon).Verify(header("webhook-id", "m", "webhook-timestamp", "1", "webhook-signature", "v1,AAAA"), nil); !errors.Is(err, ErrNoVerifier) {
		t.Errorf("nothing is configured: %v", err)
	}
}

func TestErrorsAreSafeForOutsiders(t *testing.T) {
	for _, err := range []*df.Error{ErrNoVerifier, ErrProof, ErrStale} {
		if err.Status != http.StatusUnauthorized || err.Code != "UNAUTHORIZED" {
			t.Errorf("%+v", err)
		}
	}
}

func FuzzSignatureHeaders(f *testing.F) {
	f.Add("v1,AAAA v1a,BBBB", "1785931200", "msg_1", "/x?bodySHA256=00", []byte("a=b&a=c"))
	f.Add(" ,, v1,= ", "-1", "", "", []byte("%zz;"))
	key, public := strings.Repeat("k", 24), load(f).Ed25519[0].PublicKey
	f.Fuzz(func(t *testing.T, signature, stampText, id, target string, body []byte) {
		for _, s := range parseSignatures(signature) {
			if strings.Contains(s.version, " ") || len(s.bytes) > len(signature) {
				t.Errorf("%q: %+v", signature, s)
			}
		}
		if at, ok := stamp(stampText); ok && (at.Unix() < 0 || strings.Trim(stampText, "0123456789") != "") {
			t.Errorf("%q is the time %v", stampText, at)
		}
		h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stampText}, "Webhook-Signature": {signature},
			"Telnyx-Signature-Ed25519": {signature}, "Telnyx-Timestamp": {stampText}, "X-Twilio-Signature": {signature}, "X-Signature": {signature}}
		telnyx, _ := NewTelnyx([]string{public}, atNoon, Decoder{})
		twilio, _ := NewTwilio("https://x.test", secrets(key), Decoder{})
		for _, verify := range []func() (string, error){
			func() (string, error) {
				return standard(t, atNoon, base64.StdEncoding.EncodeToString([]byte(key))).Verify(h, body)
			},
			func() (string, error) { return telnyx.Verify(h, body) },
			func() (string, error) { return twilio.VerifyRequest(h, target, body) },
			func() (string, error) { return NewDF("secret", Decoder{}).Verify(h, body) },
		} {
			if proof, err := verify(); err == nil {
				t.Errorf("a guess is taken as %s", proof)
			}
		}
	})
}

func FuzzTwilioParameters(f *testing.F) {
	f.Add("/x?a=b", []byte("a=b&a=c&b=%20"))
	f.Fuzz(func(t *testing.T, target string, body []byte) {
		signed, ok := signedParameters(target, body)
		form, err := url.ParseQuery(string(body))
		if !ok || err != nil || signed == nil {
			return
		}
		if again, _ := signedParameters(target, []byte(form.Encode())); string(again) != string(signed) {
			t.Errorf("%q: %q and %q", body, signed, again)
		}
	})
}

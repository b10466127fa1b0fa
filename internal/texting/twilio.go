package texting

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the algorithm of Twilio's signature, as HMAC still sound
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
)

// Twilio is the adapter of Twilio's message webhooks and status callbacks.
type Twilio struct {
	tokens  [][]byte
	bases   []string
	decoder Decoder
}

// NewTwilio returns the adapter for the account's auth tokens, two while one is
// rotated. The base is the public URL under which Twilio reaches us (BASE_URL):
// scheme, host, port if any, and the path that a proxy takes off, if any. The
// error says which setting cannot be used. Without tokens nothing is taken.
func NewTwilio(base string, tokens []df.Secret, decoder Decoder) (*Twilio, error) {
	t := &Twilio{decoder: decoder}
	if len(tokens) == 0 {
		return t, nil
	}
	for i, token := range tokens {
		if !token.Set() {
			return nil, fmt.Errorf("auth token %d of Twilio is empty", i+1)
		}
		t.tokens = append(t.tokens, []byte(token.Reveal()))
	}
	var err error
	t.bases, err = publicBases(base)
	return t, err
}

// publicBases returns the ways in which Twilio may have written our address when
// it signed: with the port and without.
func publicBases(base string) ([]string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http") || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the public URL that Twilio calls must look like https://host, without a query")
	}
	base = strings.TrimSuffix(base, "/")
	other := *u
	switch {
	case u.Port() != "":
		other.Host = strings.TrimSuffix(u.Host, ":"+u.Port())
	case u.Scheme == "https":
		other.Host = net.JoinHostPort(u.Hostname(), "443")
	default:
		other.Host = net.JoinHostPort(u.Hostname(), "80")
	}
	return []string{base, strings.TrimSuffix(other.String(), "/")}, nil
}

// VerifyRequest checks X-Twilio-Signature and returns ProofTwilio. The target is
// path and query exactly as they were called (http.Request.URL.RequestURI). It
// returns ErrNoVerifier when no token is set and ErrProof otherwise.
//
// Twilio's scheme has no time in it: a delivery that is sent again is proved
// again, and the inbox knows it by its MessageSid and status.
func (t *Twilio) VerifyRequest(h http.Header, target string, body []byte) (proof string, err error) {
	if len(t.tokens) == 0 {
		return "", ErrNoVerifier
	}
	value, _ := one(h, "X-Twilio-Signature")
	given, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(given) != sha1.Size || !strings.HasPrefix(target, "/") {
		return "", ErrProof
	}
	parameters, ok := signedParameters(target, body)
	if !ok {
		return "", ErrProof
	}
	for _, token := range t.tokens {
		for _, base := range t.bases {
			mac := hmac.New(sha1.New, token)
			mac.Write([]byte(base + target))
			mac.Write(parameters)
			if hmac.Equal(given, mac.Sum(nil)) {
				return ProofTwilio, nil
			}
		}
	}
	return "", ErrProof
}

// signedParameters returns what Twilio appends to the URL: the form's names and
// values, names in byte order. It signs no body that is not a form; the URL then
// carries the body's hash, which must be right.
//
// Of a parameter that occurs twice Twilio's Go library signs the first value and
// lets any other pass. Here all values count, so that nothing unsigned rides
// along in the bytes that we keep as evidence.
func signedParameters(target string, body []byte) ([]byte, bool) {
	_, query, _ := strings.Cut(target, "?")
	inURL, _ := url.ParseQuery(query) // what can be read of it, as Twilio's libraries do
	if digest := inURL.Get("bodySHA256"); digest != "" {
		want, err := hex.DecodeString(digest)
		got := sha256.Sum256(body)
		return nil, err == nil && hmac.Equal(want, got[:])
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, false
	}
	var signed []byte
	for _, name := range slices.Sorted(maps.Keys(form)) {
		slices.Sort(form[name])
		for _, value := range slices.Compact(form[name]) {
			signed = append(append(signed, name...), value...)
		}
	}
	return signed, true
}

// Decode says what a delivery's bytes mean, be they a form or one JSON object. It
// never fails: what cannot be read or acted on comes back with Skip set.
func (t *Twilio) Decode(raw []byte) df.Notice { return t.decoder.notice(ProviderTwilio, raw, nil) }

package texting

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
)

// Telnyx is the adapter of Telnyx's messaging webhooks.
type Telnyx struct {
	keys    []ed25519.PublicKey
	clock   df.Clock
	decoder Decoder
}

// NewTelnyx returns the adapter for the account's public keys, in base64 as
// Telnyx's portal shows them, or an error that says which one cannot be read.
// Without keys nothing is taken.
func NewTelnyx(keys []string, clock df.Clock, decoder Decoder) (*Telnyx, error) {
	t := &Telnyx{clock: clock, decoder: decoder}
	for i, text := range keys {
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if err != nil || len(key) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("public key %d of Telnyx is not 32 bytes of base64", i+1)
		}
		t.keys = append(t.keys, key)
	}
	return t, nil
}

// Verify checks telnyx-signature-ed25519 over telnyx-timestamp, a bar and the raw
// body, and returns ProofEd25519. It returns ErrNoVerifier when no key is set,
// ErrStale when what was signed is more than five minutes from our time, and
// ErrProof otherwise.
func (t *Telnyx) Verify(h http.Header, body []byte) (proof string, err error) {
	if len(t.keys) == 0 {
		return "", ErrNoVerifier
	}
	value, _ := one(h, "Telnyx-Signature-Ed25519")
	seconds, _ := one(h, "Telnyx-Timestamp")
	signature, err := base64.StdEncoding.DecodeString(value)
	at, ok := stamp(seconds)
	if err != nil || len(signature) != ed25519.SignatureSize || !ok {
		return "", ErrProof
	}
	signed := append([]byte(seconds+"|"), body...)
	for _, key := range t.keys {
		if !ed25519.Verify(key, signed, signature) {
			continue
		}
		if !fresh(t.clock, at) {
			return "", ErrStale
		}
		return ProofEd25519, nil
	}
	return "", ErrProof
}

// Decode says what a delivery's bytes mean. It never fails: what cannot be read
// or acted on comes back with Skip set.
func (t *Telnyx) Decode(raw []byte) df.Notice { return t.decoder.notice(ProviderTelnyx, raw, nil) }

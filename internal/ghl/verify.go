package ghl

import (
	"crypto"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
)

// PublishedKey is the Ed25519 key that GHL publishes for X-GHL-Signature. GHL
// has no key endpoint and announces a rotation by mail, so keys are settings.
const PublishedKey = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg=
-----END PUBLIC KEY-----
`

// The headers in which a proof may travel.
const (
	HeaderSignature       = "X-GHL-Signature"      // Ed25519 in base64, or HMAC-SHA256 in hex
	HeaderLegacySignature = "X-WH-Signature"       // RSA in base64, retired by GHL in 2026
	HeaderSecret          = "X-GHL-Webhook-Secret" //nolint:gosec // the header's name, not a secret
	HeaderPlainSignature  = "Signature"            // HMAC-SHA256 in hex
)

// The proofs that Verify can report.
const (
	ProofEd25519      = "ed25519"
	ProofRSA          = "rsa"
	ProofSharedSecret = "shared-secret"
	ProofHMAC         = "hmac"
)

// Verify answers ErrUnsigned for a delivery that offers no proof we are
// configured to check, and ErrSignature for one whose proof is wrong.
var (
	ErrUnsigned  = errors.New("ghl: the delivery carries no proof of its sender")
	ErrSignature = errors.New("ghl: the delivery's proof of its sender is wrong")
)

// VerifierOptions say what is accepted as proof.
type VerifierOptions struct {
	// Keys are PEM blocks of Ed25519 public keys, several while a rotation is
	// under way. PublishedKey when empty.
	Keys string
	// RSAKeys are PEM blocks of RSA public keys. Without them X-WH-Signature
	// is ignored.
	RSAKeys string
	// Secret is shared with senders that cannot sign: workflow webhooks and
	// relays. Without it they are refused.
	Secret df.Secret
}

// Verifier proves who sent a webhook. It is safe for concurrent use.
type Verifier struct {
	keys    []ed25519.PublicKey
	rsaKeys []*rsa.PublicKey
	secret  []byte
}

// NewVerifier returns a Verifier, or an error that says which key cannot be read.
func NewVerifier(options VerifierOptions) (*Verifier, error) {
	if strings.TrimSpace(options.Keys) == "" {
		options.Keys = PublishedKey
	}
	keys, err := publicKeys[ed25519.PublicKey](options.Keys)
	if err != nil {
		return nil, fmt.Errorf("read the Ed25519 keys of GHL: %w", err)
	}
	rsaKeys, err := publicKeys[*rsa.PublicKey](options.RSAKeys)
	if err != nil {
		return nil, fmt.Errorf("read the RSA keys of GHL: %w", err)
	}
	return &Verifier{keys: keys, rsaKeys: rsaKeys, secret: []byte(options.Secret.Reveal())}, nil
}

// publicKeys reads all PEM blocks of text, which must hold keys of type K and
// nothing else.
func publicKeys[K any](text string) ([]K, error) {
	var keys []K
	rest := []byte(strings.TrimSpace(text))
	for len(rest) > 0 {
		block, more := pem.Decode(rest)
		if block == nil {
			return nil, errors.New("not a PEM block")
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", len(keys)+1, err)
		}
		key, ok := parsed.(K)
		if !ok {
			return nil, fmt.Errorf("block %d is a %T", len(keys)+1, parsed)
		}
		keys = append(keys, key)
		rest = []byte(strings.TrimSpace(string(more)))
	}
	return keys, nil
}

// Verify checks the proof that came with a delivery against its raw body and
// returns which proof passed. The first proof offered decides: a wrong
// X-GHL-Signature is never made good by an older or weaker proof beside it.
// There is no limit on a delivery's age, since GHL's retries and resends carry
// the original timestamp for days; uniqueness is the inbox's matter.
func (v *Verifier) Verify(h http.Header, body []byte) (proof string, err error) {
	if value := offered(h, HeaderSignature); value != "" {
		return v.signature(value, body)
	}
	if value := offered(h, HeaderLegacySignature); value != "" && len(v.rsaKeys) > 0 {
		return v.legacy(value, body)
	}
	if len(v.secret) == 0 {
		return "", ErrUnsigned
	}
	if value := offered(h, HeaderSecret); value != "" {
		return v.shared(value)
	}
	if value := offered(h, HeaderPlainSignature); value != "" {
		return v.hmac(value, body)
	}
	return "", ErrUnsigned
}

// offered returns a header's value, and "" for the "N/A" that GHL's own sample
// code treats as missing.
func offered(h http.Header, name string) string {
	value := strings.TrimSpace(h.Get(name))
	if strings.EqualFold(value, "N/A") {
		return ""
	}
	return value
}

// signature tells the two uses of X-GHL-Signature apart by their form: 64 hex
// digits are an HMAC, and no base64 of an Ed25519 signature is that short.
func (v *Verifier) signature(value string, body []byte) (string, error) {
	if len(value) == hex.EncodedLen(sha256.Size) {
		return v.hmac(value, body)
	}
	signature, ok := fromBase64(value)
	if !ok || len(signature) != ed25519.SignatureSize {
		return "", ErrSignature
	}
	for _, key := range v.keys {
		if ed25519.Verify(key, body, signature) {
			return ProofEd25519, nil
		}
	}
	return "", ErrSignature
}

func (v *Verifier) legacy(value string, body []byte) (string, error) {
	signature, ok := fromBase64(value)
	if !ok {
		return "", ErrSignature
	}
	digest := sha256.Sum256(body)
	for _, key := range v.rsaKeys {
		if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil {
			return ProofRSA, nil
		}
	}
	return "", ErrSignature
}

func (v *Verifier) hmac(value string, body []byte) (string, error) {
	given, err := hex.DecodeString(value)
	if err != nil || len(v.secret) == 0 {
		return "", ErrSignature
	}
	mac := hmac.New(sha256.New, v.secret)
	mac.Write(body)
	if !hmac.Equal(given, mac.Sum(nil)) {
		return "", ErrSignature
	}
	return ProofHMAC, nil
}

// shared compares digests, so that not even the secret's length can be timed.
func (v *Verifier) shared(value string) (string, error) {
	given, want := sha256.Sum256([]byte(value)), sha256.Sum256(v.secret)
	if subtle.ConstantTimeCompare(given[:], want[:]) != 1 {
		return "", ErrSignature
	}
	return ProofSharedSecret, nil
}

func fromBase64(text string) ([]byte, bool) {
	raw, err := base64.StdEncoding.DecodeString(text)
	return raw, err == nil
}

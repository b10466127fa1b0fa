package texting

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// The proofs that verifying can report.
const (
	ProofHMAC         = "hmac"          // hex HMAC-SHA256 of the body
	ProofSharedSecret = "shared-secret" // the secret itself
	ProofTwilio       = "twilio"        // HMAC-SHA1 of URL and parameters
	ProofEd25519      = "ed25519"       // Telnyx
	ProofStandard     = "standard-v1"   // Standard Webhooks, HMAC-SHA256
	ProofStandardKey  = "standard-v1a"  // Standard Webhooks, Ed25519
)

// ErrNoVerifier is returned when nothing is configured to check a sender's
// proof: the route then takes nothing.
var ErrNoVerifier = unauthorized("no secret or key is configured for this sender of webhooks")

// ErrProof is returned for a delivery without proof of its sender, or with a
// wrong one.
var ErrProof = unauthorized("the webhook's signature or secret is missing or wrong")

// ErrStale is returned for a delivery whose signature is right and whose time is
// more than five minutes from ours: a replay, or a clock that is wrong.
var ErrStale = unauthorized("the webhook was signed at a time that is too far from ours")

func unauthorized(message string) *df.Error {
	return &df.Error{Code: "UNAUTHORIZED", Message: message, Status: http.StatusUnauthorized}
}

// tolerance is how far a signed time may be from ours, either way. Telnyx
// documents it; Standard Webhooks leaves it open and its libraries use it.
const tolerance = 5 * time.Minute

// one returns a header's only value, trimmed. A header that is missing or blank
// is not offered; one that was sent twice is, with a value that fits nothing,
// since nobody can say which of the two was meant.
func one(h http.Header, name string) (value string, offered bool) {
	values := h.Values(name)
	if len(values) > 1 {
		return "", true
	}
	if len(values) == 0 {
		return "", false
	}
	value = strings.TrimSpace(values[0])
	return value, value != ""
}

// stamp reads unix seconds, in digits only, so that one time has one spelling.
func stamp(text string) (time.Time, bool) {
	if len(text) == 0 || len(text) > 12 {
		return time.Time{}, false
	}
	var seconds int64
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return time.Time{}, false
		}
		seconds = 10*seconds + int64(text[i]-'0')
	}
	return time.Unix(seconds, 0), true
}

// fresh reports whether the time is within tolerance of the clock's.
func fresh(clock df.Clock, at time.Time) bool {
	return clock().Sub(at).Abs() <= tolerance
}

// bodySecret is the original's way of proof: an HMAC of the body, or the
// secret itself.
type bodySecret struct {
	secret     df.Secret
	signatures []string // header names; the first one offered decides
	plain      string   // the header that carries the secret itself
}

// verify never makes a wrong signature good by the secret beside it.
func (b bodySecret) verify(h http.Header, body []byte) (string, error) {
	if !b.secret.Set() {
		return "", ErrNoVerifier
	}
	for _, name := range b.signatures {
		if value, offered := one(h, name); offered {
			return b.hmac(value, body)
		}
	}
	if value, offered := one(h, b.plain); offered && same(value, b.secret.Reveal()) {
		return ProofSharedSecret, nil
	}
	return "", ErrProof
}

func (b bodySecret) hmac(value string, body []byte) (string, error) {
	given, err := hex.DecodeString(value)
	if err != nil || len(given) != sha256.Size {
		return "", ErrProof
	}
	mac := hmac.New(sha256.New, []byte(b.secret.Reveal()))
	mac.Write(body)
	if !hmac.Equal(given, mac.Sum(nil)) {
		return "", ErrProof
	}
	return ProofHMAC, nil
}

// same compares in a time that tells nothing, not even the length.
func same(got, want string) bool {
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return hmac.Equal(a[:], b[:])
}

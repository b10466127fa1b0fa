package texting

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/payload"
)

// Standard is the adapter of senders that follow Standard Webhooks 1.0.0, under
// its own header names or Svix's.
type Standard struct {
	secrets [][]byte
	keys    []ed25519.PublicKey
	clock   df.Clock
	decoder Decoder
}

// shortestSecret is the least that the specification allows, in bytes. The
// reference library takes an empty secret, under which anybody can sign.
const shortestSecret = 24

// NewStandard returns the adapter for the given secrets, several while one is
// rotated: whsec_ and base64 (the prefix may be missing) for v1 signatures, whpk_
// and base64, an Ed25519 public key, for v1a. The error says which one cannot be
// used, and never shows it. Without secrets nothing is taken.
func NewStandard(secrets []df.Secret, clock df.Clock, decoder Decoder) (*Standard, error) {
	s := &Standard{clock: clock, decoder: decoder}
	for i, secret := range secrets {
		if err := s.add(strings.TrimSpace(secret.Reveal())); err != nil {
			return nil, fmt.Errorf("secret %d of Standard Webhooks %w", i+1, err)
		}
	}
	return s, nil
}

func (s *Standard) add(text string) error {
	if strings.HasPrefix(text, "whsk_") {
		return errors.New("is the sender's private key; use the public one, whpk_")
	}
	encoded, public := strings.CutPrefix(text, "whpk_")
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(encoded, "whsec_"))
	switch {
	case err != nil:
		return errors.New("is not base64")
	case public && len(key) != ed25519.PublicKeySize:
		return errors.New("is not an Ed25519 public key of 32 bytes")
	case public:
		s.keys = append(s.keys, key)
	case len(key) < shortestSecret:
		return fmt.Errorf("is shorter than %d bytes", shortestSecret)
	default:
		s.secrets = append(s.secrets, key)
	}
	return nil
}

// envelope is what Standard Webhooks puts into headers.
type envelope struct {
	id, stamp, signature string
}

// The two families of header names. The id is the idempotency key, so the family
// that is verified must be the family whose id is used: the first of the two of
// which any header was sent.
var families = [...]string{"Webhook-", "Svix-"}

// longestHeader bounds what an unproved sender can make us compute.
const longestHeader = 2048

func readEnvelope(h http.Header) (envelope, bool) {
	for _, family := range families {
		id, hasID := one(h, family+"Id")
		stamp, hasStamp := one(h, family+"Timestamp")
		signature, hasSignature := one(h, family+"Signature")
		if hasID || hasStamp || hasSignature {
			e := envelope{id, stamp, signature}
			return e, payload.ID(id) != "" && stamp != "" && signature != "" && len(signature) <= longestHeader
		}
	}
	return envelope{}, false
}

// Verify checks webhook-signature (or svix-signature) over id, time and raw body.
// One right signature of the list is enough. It returns ProofStandard or
// ProofStandardKey, ErrNoVerifier when no secret is set, ErrStale when what was
// signed is more than five minutes from our time, and ErrProof otherwise.
func (s *Standard) Verify(h http.Header, body []byte) (proof string, err error) {
	if len(s.secrets)+len(s.keys) == 0 {
		return "", ErrNoVerifier
	}
	e, ok := readEnvelope(h)
	at, readable := stamp(e.stamp)
	if !ok || !readable {
		return "", ErrProof
	}
	proof = s.match(e.signature, append([]byte(e.id+"."+e.stamp+"."), body...))
	switch {
	case proof == "":
		return "", ErrProof
	case !fresh(s.clock, at):
		return "", ErrStale
	}
	return proof, nil
}

// match returns the proof that the first right signature of the list gives.
func (s *Standard) match(list string, signed []byte) string {
	macs := make([][]byte, len(s.secrets))
	for i, secret := range s.secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write(signed)
		macs[i] = mac.Sum(nil)
	}
	for _, given := range parseSignatures(list) {
		switch given.version {
		case "v1":
			for _, mac := range macs {
				if hmac.Equal(given.bytes, mac) {
					return ProofStandard
				}
			}
		case "v1a":
			for _, key := range s.keys {
				if len(given.bytes) == ed25519.SignatureSize && ed25519.Verify(key, signed, given.bytes) {
					return ProofStandardKey
				}
			}
		}
	}
	return ""
}

// signature is one entry of the list in the header.
type signature struct {
	version string
	bytes   []byte
}

// parseSignatures reads a list of "version,base64" that is separated by spaces.
// Entries of another form are left out: a newer version of the scheme may stand
// beside the one we know.
func parseSignatures(list string) []signature {
	var out []signature
	for entry := range strings.FieldsSeq(list) {
		version, encoded, found := strings.Cut(entry, ",")
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if found && err == nil {
			out = append(out, signature{version, raw})
		}
	}
	return out
}

// DecodeRequest says what a delivery means. It needs the headers, because the id
// of the delivery stands there only. It never fails: what cannot be read or acted
// on comes back with Skip set.
func (s *Standard) DecodeRequest(h http.Header, raw []byte) df.Notice {
	kept := map[string]string{}
	for _, family := range families {
		if id, _ := one(h, family+"Id"); id != "" {
			kept[family+"Id"] = id
		}
	}
	return s.decoder.notice(ProviderStandard, raw, kept)
}

package texting

import (
	"net/http"

	"github.com/df-middleware/dfm/internal/df"
)

// DF is the adapter of Verity's own form (df-hmac), as the original middleware
// took it: JSON, proved by X-Texting-Signature or X-Signature (hex HMAC-SHA256 of
// the raw body), else by X-Texting-Secret, the secret itself.
type DF struct {
	secret  bodySecret
	decoder Decoder
}

// NewDF returns the adapter. Without a secret it takes nothing.
func NewDF(secret df.Secret, decoder Decoder) *DF {
	return &DF{bodySecret{secret, []string{"X-Texting-Signature", "X-Signature"}, "X-Texting-Secret"}, decoder}
}

// Verify returns ProofHMAC or ProofSharedSecret. It returns ErrNoVerifier when no
// secret is set and ErrProof otherwise. There is no time in this scheme; what
// keeps replays out is the inbox's memory of deliveries.
func (a *DF) Verify(h http.Header, body []byte) (proof string, err error) {
	return a.secret.verify(h, body)
}

// Decode says what a delivery's bytes mean. It never fails: what cannot be read
// or acted on comes back with Skip set.
func (a *DF) Decode(raw []byte) df.Notice { return a.decoder.notice(ProviderDF, raw, nil) }

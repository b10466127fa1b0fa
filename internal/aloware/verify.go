package aloware

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
)

// ErrNoVerifier is returned when neither Basic nor Bearer credentials are
// configured: the route then takes nothing.
var ErrNoVerifier = &df.Error{Code: "UNAUTHORIZED", Status: http.StatusUnauthorized,
	Message: "no credentials are configured for Aloware's webhooks"}

// ErrProof is returned for a delivery without credentials or with wrong ones.
var ErrProof = &df.Error{Code: "UNAUTHORIZED", Status: http.StatusUnauthorized,
	Message: "the webhook's credentials are missing or wrong"}

// Verifier checks the credentials of Aloware's webhooks. Aloware signs nothing:
// all it offers is a static Basic or Bearer credential. Either is accepted when
// it is configured; Basic counts as configured when user and password are set.
type Verifier struct {
	User   string
	Pass   df.Secret
	Bearer df.Secret
}

// Verify returns the name of the proof that passed, "basic" or "bearer". It
// returns ErrNoVerifier when nothing is configured and ErrProof otherwise. The
// body takes no part, since Aloware does not sign it.
func (v Verifier) Verify(header http.Header, _ []byte) (string, error) {
	basic := v.User != "" && v.Pass.Set()
	if !basic && !v.Bearer.Set() {
		return "", ErrNoVerifier
	}
	values := header.Values("Authorization")
	if len(values) != 1 {
		return "", ErrProof
	}
	scheme, credentials, _ := strings.Cut(strings.TrimSpace(values[0]), " ")
	credentials = strings.TrimSpace(credentials)
	switch {
	case basic && strings.EqualFold(scheme, "Basic") && v.basic(credentials):
		return "basic", nil
	case v.Bearer.Set() && strings.EqualFold(scheme, "Bearer") && same(credentials, v.Bearer.Reveal()):
		return "bearer", nil
	default:
		return "", ErrProof
	}
}

// basic splits at the first colon: a user name has none, a password may have any.
func (v Verifier) basic(credentials string) bool {
	decoded, err := base64.StdEncoding.DecodeString(credentials)
	if err != nil {
		return false
	}
	user, pass, found := strings.Cut(string(decoded), ":")
	rightUser, rightPass := same(user, v.User), same(pass, v.Pass.Reveal())
	return found && rightUser && rightPass
}

// same compares in a time that tells nothing, not even the length.
func same(got, want string) bool {
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return hmac.Equal(a[:], b[:])
}

package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/http"
	"strings"
)

// maxCredential bounds what is read as a credential, in bytes. Clerk's tokens
// are the largest and are capped at 8 KiB.
const maxCredential = 8 << 10

// Equal reports whether two secrets are the same, in a time that tells nothing
// about either, not even a length. It is the one comparison of secrets in the
// program. Two empty strings are equal, so a caller asks first whether a
// secret is set at all.
func Equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return hmac.Equal(x[:], y[:])
}

// BearerOrHeader returns the credential of a request: the value of the named
// header when the request has it, else what follows "Bearer " in Authorization,
// with the scheme in any letter case. A header that is there twice is refused
// (""), since two servers in a row might each believe another one.
func BearerOrHeader(r *http.Request, headerName string) string {
	if headerName != "" {
		if values := r.Header.Values(headerName); len(values) > 0 {
			return single(values)
		}
	}
	scheme, credential, found := strings.Cut(single(r.Header.Values("Authorization")), " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	credential = strings.TrimLeft(credential, " ")
	if strings.ContainsAny(credential, " \t,") {
		return ""
	}
	return credential
}

// single returns the only value, or "" when there are none, several or one that
// is too long to be a credential.
func single(values []string) string {
	if len(values) != 1 || len(values[0]) > maxCredential+len("Bearer ") {
		return ""
	}
	return values[0]
}

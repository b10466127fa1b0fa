package clerkworld

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// skew is how far before its issue a token says it is valid.
const skew = 5 * time.Second

func (w *World) claims(userID, sessionID string, lasts time.Duration) map[string]any {
	now := w.Now()
	claims := map[string]any{
		"iss": w.config.Issuer, "sub": userID, "sid": sessionID, "jti": w.HexID(10), "v": 2, "sts": "active",
		"iat": now.Unix(), "nbf": now.Add(-skew).Unix(), "fva": []int{0, -1},
	}
	if !w.config.OmitExp {
		claims["exp"] = now.Add(lasts).Unix()
	}
	return claims
}

// SessionClaims returns the claims of a good session token, for tests to spoil.
func (w *World) SessionClaims(userID, sessionID string, lasts time.Duration) map[string]any {
	return w.claims(userID, sessionID, lasts)
}

func (w *World) machineClaims(body stage.Object, lasts time.Duration) map[string]any {
	claims := map[string]any{}
	custom, _ := body["claims"].(map[string]any)
	maps.Copy(claims, custom)
	claims["iss"], claims["sub"], claims["jti"] = w.config.Issuer, "mch_sandbox", "mt_"+w.HexID(10)
	claims["aud"], claims["scopes"] = []string{"mch_verity"}, "mch_verity"
	claims["iat"], claims["nbf"] = w.Now().Unix(), w.Now().Unix()
	if lasts > 0 && !w.config.OmitExp {
		claims["exp"] = w.Now().Add(lasts).Unix()
	}
	return claims
}

// Token returns a good session token with an hour to live.
func (w *World) Token(userID string) string {
	return w.Mint(nil, w.claims(userID, "sess_"+w.ID(27), time.Hour))
}

// Mint signs any claims. The header's members replace the usual alg, typ and
// kid; null removes one. The algorithm named decides how it is signed: RS256 with
// the current key (or the published one whose kid is given), "none" not at all,
// HS256 with the public key's PEM as secret, which fools verifiers that take the
// algorithm from the token.
func (w *World) Mint(header, claims map[string]any) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sign(header, claims)
}

// MintByStranger signs claims with a key that the instance never had, under the
// kid of the current one.
func (w *World) MintByStranger(claims map[string]any) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stranger == nil {
		w.stranger = makeKey()
	}
	return seal(fullHeader(nil, w.current().id), claims, func(text string) []byte { return rs256(w.stranger, text) })
}

func (w *World) current() key {
	keys := w.ready()
	return keys[len(keys)-1]
}

func fullHeader(header map[string]any, kid string) map[string]any {
	full := map[string]any{"alg": "RS256", "typ": "JWT", "kid": kid}
	for name, value := range header {
		full[name] = value
		if value == nil {
			delete(full, name)
		}
	}
	return full
}

func (w *World) sign(header, claims map[string]any) string {
	k := w.current()
	full := fullHeader(header, k.id)
	for _, other := range w.keys {
		if other.id == full["kid"] {
			k = other
		}
	}
	return seal(full, claims, func(text string) []byte {
		switch full["alg"] {
		case "none", "None", "NONE":
			return nil
		case "HS256":
			mac := hmac.New(sha256.New, publicPEM(k.private))
			mac.Write([]byte(text))
			return mac.Sum(nil)
		}
		return rs256(k.private, text)
	})
}

func seal(header, claims map[string]any, sign func(string) []byte) string {
	text := part(header) + "." + part(claims)
	return text + "." + base64.RawURLEncoding.EncodeToString(sign(text))
}

func part(value map[string]any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		panic("clerkworld: a token's part is no JSON: " + err.Error()) // a mistake of the calling test
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

func rs256(private *rsa.PrivateKey, text string) []byte {
	digest := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:])
	if err != nil {
		panic("clerkworld: cannot sign: " + err.Error()) // the key is one of ours
	}
	return signature
}

func publicPEM(private *rsa.PrivateKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		panic("clerkworld: cannot encode a key: " + err.Error()) // the key is one of ours
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// PublicKeyPEM returns the current key as the dashboard shows it.
func (w *World) PublicKeyPEM() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(publicPEM(w.current().private))
}

// Good reports whether a token is signed by a published key and has not
// expired. It is Verity's view of a caller, not an example of verification.
func (w *World) Good(token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	raw, err2 := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || err2 != nil {
		return false
	}
	var claims struct {
		Exp int64 `json:"exp"`
	}
	if json.Unmarshal(raw, &claims) != nil || claims.Exp <= w.Now().Unix() {
		return false
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.keys {
		if rsa.VerifyPKCS1v15(&k.private.PublicKey, crypto.SHA256, digest[:], signature) == nil {
			return true
		}
	}
	return false
}

package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
)

// vaultVersion names the form of a sealed value:
// version "." key id "." base64url(nonce, ciphertext, tag).
const vaultVersion = "v1"

// Vault seals secrets for the database with AES-256-GCM. A sealed value names
// the key that sealed it, so keys can be rotated: the new key seals, the old
// ones still open. It is bound to a purpose, so a value copied to another row
// or column does not open there. The nonce is 96 random bits, which allows some
// four thousand million values per key (NIST SP 800-38D, §8.3).
type Vault struct {
	random  io.Reader
	current string // id of the key that seals, "" when there is none
	keys    map[string]cipher.AEAD
}

// NewVault returns a vault that seals under current and opens what was sealed
// under current or any of the previous keys. Each key is 32 bytes in base64 of
// either alphabet, padded or not. Without a current key the vault can be made,
// but every Seal and Open answers ErrNoEncryptionKey.
func NewVault(random io.Reader, current df.Secret, previous ...df.Secret) (*Vault, error) {
	v := &Vault{random: random, keys: make(map[string]cipher.AEAD)}
	if !current.Set() {
		return v, nil
	}
	for i, text := range append([]df.Secret{current}, previous...) {
		key, err := decodeKey(text)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("make cipher: %w", err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("make cipher: %w", err)
		}
		id := vaultKeyID(key)
		v.keys[id] = aead
		if i == 0 {
			v.current = id
		}
	}
	return v, nil
}

// Ready reports whether an encryption key is set.
func (v *Vault) Ready() bool { return v.current != "" }

// Seal encrypts plain for the given purpose, which should say what the value is
// and whose, e.g. "ghl oauth access <location>". The result is text without
// white space.
func (v *Vault) Seal(purpose string, plain []byte) (string, error) {
	if !v.Ready() {
		return "", ErrNoEncryptionKey
	}
	aead := v.keys[v.current]
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	if _, err := io.ReadFull(v.random, nonce); err != nil {
		return "", fmt.Errorf("seal: read randomness: %w", err)
	}
	sealed := aead.Seal(nonce, nonce, plain, vaultContext(v.current, purpose))
	return vaultVersion + "." + v.current + "." + base64.RawURLEncoding.EncodeToString(sealed), nil
}

// Open decrypts what Seal made for the same purpose. It returns an error that
// is ErrSealed when the value was changed, moved, or sealed under a key that is
// not configured.
func (v *Vault) Open(purpose, sealed string) ([]byte, error) {
	if !v.Ready() {
		return nil, ErrNoEncryptionKey
	}
	id, body, ok := splitSealed(sealed)
	if !ok {
		return nil, fmt.Errorf("%w: not in the form of %s", ErrSealed, vaultVersion)
	}
	aead := v.keys[id]
	if aead == nil {
		return nil, fmt.Errorf("%w: its key %s is not configured (give the old key as a previous one)", ErrSealed, id)
	}
	if len(body) < aead.NonceSize() {
		return nil, fmt.Errorf("%w: too short", ErrSealed)
	}
	plain, err := aead.Open(nil, body[:aead.NonceSize()], body[aead.NonceSize():], vaultContext(id, purpose))
	if err != nil {
		return nil, fmt.Errorf("%w: changed, or sealed for another purpose", ErrSealed)
	}
	return plain, nil
}

// Current reports whether the value was sealed under the key that seals now.
// Values that were not are to be sealed again before the old key is dropped.
func (v *Vault) Current(sealed string) bool {
	id, _, ok := splitSealed(sealed)
	return ok && v.Ready() && id == v.current
}

// SealedBeginning is how many characters of a sealed value name the key that
// sealed it; of what is sealed they say nothing.
const SealedBeginning = len(vaultVersion) + len(".12345678.")

// Knows reports whether the vault has the key of a value, and whether it is the
// one that seals now. The beginning of the value will do.
func (v *Vault) Knows(sealed string) (known, current bool) {
	id, _, ok := splitSealed(sealed)
	return ok && v.keys[id] != nil, ok && v.Ready() && id == v.current
}

func splitSealed(sealed string) (id string, body []byte, ok bool) {
	rest, ok := strings.CutPrefix(sealed, vaultVersion+".")
	if !ok {
		return "", nil, false
	}
	id, encoded, ok := strings.Cut(rest, ".")
	if !ok {
		return "", nil, false
	}
	body, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	return id, body, err == nil
}

// vaultContext is the additional data that a value is bound to.
func vaultContext(id, purpose string) []byte {
	return []byte(vaultVersion + "." + id + "." + purpose)
}

// vaultKeyID names a key without telling anything about it.
func vaultKeyID(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("df-middleware vault key id"))
	return hex.EncodeToString(mac.Sum(nil)[:4])
}

func decodeKey(text df.Secret) ([]byte, error) {
	plain := strings.TrimRight(strings.TrimSpace(text.Reveal()), "=")
	plain = strings.NewReplacer("+", "-", "/", "_").Replace(plain)
	key, err := base64.RawURLEncoding.DecodeString(plain)
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("an encryption key (DF_ENCRYPTION_KEY) must be 32 bytes in base64, as openssl rand -base64 32 prints it")
	}
	return key, nil
}

package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Scope is one thing that an API key allows.
type Scope string

// The scopes of the external contract, §4.
const (
	ScopeGateway   Scope = "gateway"    // call Verity through the gateway
	ScopeMCP       Scope = "mcp"        // use the MCP server
	ScopeChat      Scope = "chat"       // use the chat
	ScopeAdminRead Scope = "admin:read" // read, but not change, the admin API
)

// Scopes lists every scope.
func Scopes() []Scope { return []Scope{ScopeGateway, ScopeMCP, ScopeChat, ScopeAdminRead} }

// EnvKeyID is the id of the key that DF_MIDDLEWARE_API_KEY holds. It is in no
// table and cannot be revoked other than by changing the setting.
const EnvKeyID = "env"

// A key reads dfm_<16 hex digits of id>_<43 base64url characters of secret>.
const (
	keyPrefix   = "dfm_"
	keyIDBytes  = 8
	keySecret   = 32
	keyIDLength = 2 * keyIDBytes
	keyLength   = len(keyPrefix) + keyIDLength + 1 + 43
	maxKeyName  = 100
	maxOverlap  = 90 * 24 * time.Hour // longest overlap of a rotation
)

// Key is a named API key as it is stored. The key itself is shown once, when it
// is made, and is not part of it: a hash suffices, and an unsalted one too,
// since 256 random bits cannot be guessed from their hash.
type Key struct {
	ID         string
	Name       string
	Scopes     []Scope
	Hash       []byte `json:"-"` // SHA-256 of the whole key as presented
	Rate       Rate   // zero means the default rate
	CreatedAt  time.Time
	ExpiresAt  time.Time // zero means never
	RevokedAt  time.Time // zero means not; in the future while a rotation overlaps
	LastUsedAt time.Time // zero means never; a minute exact
}

// Active reports whether the key is neither expired nor revoked at that time.
func (k Key) Active(now time.Time) bool {
	expired := !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt)
	revoked := !k.RevokedAt.IsZero() && !now.Before(k.RevokedAt)
	return !expired && !revoked
}

// Allows reports whether the key has the scope.
func (k Key) Allows(scope Scope) bool { return slices.Contains(k.Scopes, scope) }

// Actor names the key in the audit log.
func (k Key) Actor() string { return "key:" + k.ID }

// KeyStore keeps API keys. Each change and its line in the audit log are
// written together or not at all.
type KeyStore interface {
	// CreateKey adds a key. Its id is new; an id that exists is an error.
	CreateKey(ctx context.Context, key Key, audit Audit) error
	// KeyByID returns the key, revoked and expired ones included, or an error
	// that is ErrNoKey.
	KeyByID(ctx context.Context, id string) (Key, error)
	// ListKeys returns all keys, the newest first.
	ListKeys(ctx context.Context) ([]Key, error)
	// RevokeKey sets RevokedAt to at, unless it is set to an earlier time
	// already. It returns ErrNoKey for an unknown id.
	RevokeKey(ctx context.Context, id string, at time.Time, audit Audit) error
	// RotateKey does RevokeKey for the old key and CreateKey for the next one
	// in one transaction.
	RotateKey(ctx context.Context, old string, at time.Time, next Key, audit Audit) error
	// TouchKeys sets LastUsedAt of each key to the given time unless it is
	// later already. Unknown ids are ignored.
	TouchKeys(ctx context.Context, used map[string]time.Time) error
}

// NewKey says what key to make.
type NewKey struct {
	Name      string
	Scopes    []Scope
	ExpiresAt time.Time // zero means never
	Rate      Rate      // zero means the default rate
}

// validate returns an error whose text the caller of the admin API may read.
func (n NewKey) validate(now time.Time) error {
	switch {
	case strings.TrimSpace(n.Name) == "", len(n.Name) > maxKeyName:
		return fmt.Errorf("name must have 1 to %d characters", maxKeyName)
	case strings.ContainsFunc(n.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("name must not contain control characters")
	case len(n.Scopes) == 0:
		return errors.New("scopes must name at least one scope")
	case !n.ExpiresAt.IsZero() && !n.ExpiresAt.After(now):
		return errors.New("expiresAt must be in the future")
	case n.Rate.PerMinute < 0 || n.Rate.Burst < 0:
		return errors.New("rate must not be negative")
	}
	for _, scope := range n.Scopes {
		if !slices.Contains(Scopes(), scope) {
			return fmt.Errorf("unknown scope %q: known are %v", scope, Scopes())
		}
	}
	return nil
}

// issueKey makes the id, the text and the hash of a new key.
func issueKey(random io.Reader) (id, text string, err error) {
	buffer := make([]byte, keyIDBytes+keySecret)
	if _, err := io.ReadFull(random, buffer); err != nil {
		return "", "", fmt.Errorf("make API key: read randomness: %w", err)
	}
	id = hex.EncodeToString(buffer[:keyIDBytes])
	return id, keyPrefix + id + "_" + base64.RawURLEncoding.EncodeToString(buffer[keyIDBytes:]), nil
}

// hashKey returns what is stored of a key.
func hashKey(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// keyIDOf returns the id part of a text in the form of a key.
func keyIDOf(text string) (id string, ok bool) {
	if len(text) != keyLength || !strings.HasPrefix(text, keyPrefix) {
		return "", false
	}
	id = text[len(keyPrefix) : len(keyPrefix)+keyIDLength]
	secret, ok := strings.CutPrefix(text[len(keyPrefix)+keyIDLength:], "_")
	if !ok || strings.Trim(id, "0123456789abcdef") != "" {
		return "", false
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(secret)
	return id, err == nil
}

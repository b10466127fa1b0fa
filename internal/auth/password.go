package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/df-middleware/dfm/internal/df"
)

// How long a password must be, in characters, and may be, in bytes.
const (
	PasswordLeast = 12
	passwordMost  = 1024
)

// HashParams is how much work one hash of a password is. They stand in every
// hash, so that they can be raised: hashes of before go on working, and are
// renewed when their owner signs in.
type HashParams struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// DefaultHashParams is OWASP's recommendation for argon2id: 19 MiB, two passes,
// one lane. It takes some 30 ms.
func DefaultHashParams() HashParams { return HashParams{MemoryKiB: 19 << 10, Passes: 2, Lanes: 1} }

// The bounds within which a stored hash is believed. Beyond them a row that was
// tampered with could exhaust us.
const (
	hashMemoryMost = 1 << 20 // KiB
	hashPassesMost = 64
	hashSaltBytes  = 16
	hashKeyBytes   = 32
)

// hashesAtOnce bounds the memory that sign-ins can make us use, whoever asks.
const hashesAtOnce = 2

// errHash means that a stored hash is none.
var errHash = errors.New("auth: the stored hash of a password cannot be read")

// Passwords makes and checks hashes of passwords: argon2id in the PHC form,
// $argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>.
type Passwords struct {
	params HashParams
	random io.Reader
	room   chan struct{}
}

// NewPasswords returns what hashes passwords with that much work. Random makes
// the salts: crypto/rand.Reader.
func NewPasswords(params HashParams, random io.Reader) *Passwords {
	return &Passwords{params: params, random: random, room: make(chan struct{}, hashesAtOnce)}
}

// normal returns the one spelling of a password: keyboards make some letters in
// two ways that look the same.
func normal(password df.Secret) string { return norm.NFC.String(password.Reveal()) }

// checkPassword says what is wrong with a new password, in words for its owner.
func checkPassword(password df.Secret) error {
	text := normal(password)
	switch {
	case !utf8.ValidString(text):
		return invalid(errors.New("the password must be text in UTF-8"))
	case utf8.RuneCountInString(text) < PasswordLeast:
		return invalid(fmt.Errorf("the password must have at least %d characters", PasswordLeast))
	case len(text) > passwordMost:
		return invalid(fmt.Errorf("the password must have at most %d bytes", passwordMost))
	}
	return nil
}

// Hash returns the hash of a new password, or INVALID_REQUEST when the password
// is too short or too long, or the context's error.
func (p *Passwords) Hash(ctx context.Context, password df.Secret) (string, error) {
	if err := checkPassword(password); err != nil {
		return "", err
	}
	return p.hash(ctx, password)
}

func (p *Passwords) hash(ctx context.Context, password df.Secret) (string, error) {
	salt := make([]byte, hashSaltBytes)
	if _, err := io.ReadFull(p.random, salt); err != nil {
		return "", fmt.Errorf("hash a password: read randomness: %w", err)
	}
	key, err := p.derive(ctx, normal(password), salt, p.params, hashKeyBytes)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.params.MemoryKiB, p.params.Passes, p.params.Lanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key)), nil
}

// Check reports whether the password is the one of the hash, and whether the
// hash was made with other parameters than are wanted now. The empty hash is
// nobody's, and costs as much work as any other.
func (p *Passwords) Check(ctx context.Context, hash string, password df.Secret) (ok, stale bool, err error) {
	text := normal(password)
	if len(text) > passwordMost {
		text = "" // no password is that long; the work is done all the same
	}
	if hash == "" {
		_, err := p.derive(ctx, text, make([]byte, hashSaltBytes), p.params, hashKeyBytes)
		return false, false, err
	}
	params, salt, want, err := parseHash(hash)
	if err != nil {
		return false, false, err
	}
	key, err := p.derive(ctx, text, salt, params, uint32(len(want)))
	if err != nil {
		return false, false, err
	}
	return text != "" && Equal(string(key), string(want)), params != p.params || len(want) != hashKeyBytes, nil
}

// derive does the work, when there is room for it.
func (p *Passwords) derive(ctx context.Context, password string, salt []byte, params HashParams, size uint32) ([]byte, error) {
	select {
	case p.room <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-p.room }()
	return argon2.IDKey([]byte(password), salt, params.Passes, params.MemoryKiB, params.Lanes, size), nil
}

// parseHash reads the PHC form.
func parseHash(hash string) (params HashParams, salt, key []byte, err error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return params, nil, nil, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &params.MemoryKiB, &params.Passes, &params.Lanes); err != nil {
		return params, nil, nil, errHash
	}
	if params.MemoryKiB < 8 || params.MemoryKiB > hashMemoryMost || params.Passes < 1 || params.Passes > hashPassesMost || params.Lanes < 1 {
		return params, nil, nil, errHash
	}
	salt, saltErr := base64.RawStdEncoding.DecodeString(parts[4])
	key, keyErr := base64.RawStdEncoding.DecodeString(parts[5])
	if saltErr != nil || keyErr != nil || len(salt) < 8 || len(salt) > 64 || len(key) < 16 || len(key) > 64 {
		return params, nil, nil, errHash
	}
	return params, salt, key, nil
}

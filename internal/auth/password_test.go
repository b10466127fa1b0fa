package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/df-middleware/dfm/internal/df"
)

// cheap makes hashes that a test can afford.
var cheap = HashParams{MemoryKiB: 64, Passes: 1, Lanes: 1}

const goodPassword = df.Secret("correct horse battery")

func TestAHashIsOfOnePasswordAndSaysHowItWasMade(t *testing.T) {
	p := NewPasswords(cheap, rand.Reader)
	hash, err := p.Hash(t.Context(), goodPassword)
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Fatalf("%q, %v", hash, err)
	}
	if again, err := p.Hash(t.Context(), goodPassword); err != nil || again == hash {
		t.Errorf("two hashes have one salt, %v", err)
	}
	for _, c := range []struct {
		password df.Secret
		ok       bool
	}{{goodPassword, true}, {goodPassword + " ", false}, {"Correct horse battery", false}, {"", false}, {df.Secret(strings.Repeat("x", 5000)), false}} {
		if ok, stale, err := p.Check(t.Context(), hash, c.password); ok != c.ok || stale || err != nil {
			t.Errorf("%d characters: %v, stale %v, %v", len(c.password), ok, stale, err)
		}
	}
}

// A letter that keyboards make in two ways is the same letter.
func TestAPasswordIsWhatItLooksLike(t *testing.T) {
	p := NewPasswords(cheap, rand.Reader)
	hash, err := p.Hash(t.Context(), "Zürich am See 1")
	if err != nil {
		t.Fatal(err)
	}
	if ok, _, err := p.Check(t.Context(), hash, "Zu\u0308rich am See 1"); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}

func TestRaisedParametersMakeAHashStaleNotWrong(t *testing.T) {
	old, err := NewPasswords(cheap, rand.Reader).Hash(t.Context(), goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	raised := NewPasswords(HashParams{MemoryKiB: 128, Passes: 1, Lanes: 1}, rand.Reader)
	if ok, stale, err := raised.Check(t.Context(), old, goodPassword); !ok || !stale || err != nil {
		t.Errorf("%v, stale %v, %v", ok, stale, err)
	}
}

func TestPasswordsThatAreTooShortOrTooLongAreRefused(t *testing.T) {
	p := NewPasswords(cheap, rand.Reader)
	for password, good := range map[string]bool{
		"twelve chars": true, "eleven char": false, "": false, strings.Repeat("ü", 12): true, strings.Repeat("ü", 11): false,
		strings.Repeat("x", 1024): true, strings.Repeat("x", 1025): false, "\xff twelve characters": false,
	} {
		_, err := p.Hash(t.Context(), df.Secret(password))
		if (err == nil) != good || err != nil && df.AsError(err).Code != "INVALID_REQUEST" {
			t.Errorf("%d bytes: %v", len(password), err)
		}
		if err != nil && len(password) > 0 && strings.Contains(err.Error(), password) {
			t.Error("the error tells the password")
		}
	}
}

// A row that somebody tampered with neither opens nor exhausts us.
func TestHashesThatAreNoneAreErrors(t *testing.T) {
	p := NewPasswords(cheap, rand.Reader)
	const salt, key = "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, hash := range []string{
		"x", "$argon2i$v=19$m=64,t=1,p=1$" + salt + "$" + key, "$argon2id$v=16$m=64,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=4294967295,t=1,p=1$" + salt + "$" + key, "$argon2id$v=19$m=64,t=4294967295,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=64,t=0,p=1$" + salt + "$" + key, "$argon2id$v=19$m=64,t=1,p=0$" + salt + "$" + key,
		"$argon2id$v=19$m=64,t=1,p=1$$" + key, "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$", "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$!",
	} {
		if ok, _, err := p.Check(t.Context(), hash, goodPassword); ok || !errors.Is(err, errHash) {
			t.Errorf("%s: %v, %v", hash, ok, err)
		}
	}
}

// Who has no password costs as much work as who has one: it waits for the same
// room. Measuring the time would tell more of the machine than of the code.
func TestTheEmptyHashIsNobodysButIsWorkAllTheSame(t *testing.T) {
	p := NewPasswords(cheap, rand.Reader)
	if ok, stale, err := p.Check(t.Context(), "", ""); ok || stale || err != nil {
		t.Errorf("the empty password opens: %v, stale %v, %v", ok, stale, err)
	}
	if ok, _, err := p.Check(t.Context(), "", "a wrong password"); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	for range hashesAtOnce {
		p.room <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := p.Check(ctx, "", "a wrong password"); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody's password costs no work: %v", err)
	}
}

func TestHashingWaitsForRoomOnlyAsLongAsItsCaller(t *testing.T) {
	p := NewPasswords(cheap, rand.Reader)
	for range hashesAtOnce {
		p.room <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Hash(ctx, goodPassword); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	dry := errors.New("dry")
	if _, err := NewPasswords(cheap, iotest.ErrReader(dry)).Hash(t.Context(), goodPassword); !errors.Is(err, dry) {
		t.Errorf("without randomness: %v", err)
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, hash string) {
		params, salt, key, err := parseHash(hash)
		if err == nil && (params.MemoryKiB > hashMemoryMost || params.Passes > hashPassesMost || params.Lanes == 0 || len(salt) < 8 || len(key) < 16) {
			t.Errorf("%q is read as %+v with %d and %d bytes", hash, params, len(salt), len(key))
		}
	})
}

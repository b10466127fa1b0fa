package auth

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/df"
)

func vaultKey(n byte) df.Secret {
	return df.Secret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{n}, 32)))
}

func TestSealedValuesOpenOnlyUnchangedAndForTheirPurpose(t *testing.T) {
	v, err := NewVault(rand.Reader, vaultKey(1))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		purpose := rapid.String().Draw(t, "purpose")
		sealed, err := v.Seal(purpose, plain)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := v.Open(purpose, sealed)
		if err != nil || !bytes.Equal(opened, plain) {
			t.Fatalf("opened %q, %v", opened, err)
		}
		if _, err := v.Open(purpose+"x", sealed); !errors.Is(err, ErrSealed) {
			t.Fatalf("opened for another purpose: %v", err)
		}
		at := rapid.IntRange(0, len(sealed)-1).Draw(t, "at")
		changed := []byte(sealed)
		changed[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		if _, err := v.Open(purpose, string(changed)); !errors.Is(err, ErrSealed) {
			t.Fatalf("opened after a change at %d: %v", at, err)
		}
	})
}

func TestSealingTwiceLooksDifferent(t *testing.T) {
	v, err := NewVault(rand.Reader, vaultKey(1))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for range 100 {
		sealed, err := v.Seal("p", []byte("same"))
		if err != nil || seen[sealed] || strings.ContainsAny(sealed, " \n\t") {
			t.Fatalf("%q, %v", sealed, err)
		}
		seen[sealed] = true
	}
}

func TestKeysRotateWithOldValuesStillOpening(t *testing.T) {
	old, err := NewVault(rand.Reader, vaultKey(1))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := old.Seal("p", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	both, err := NewVault(rand.Reader, vaultKey(2), vaultKey(1))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := both.Open("p", sealed)
	if err != nil || string(plain) != "secret" {
		t.Fatalf("%q, %v", plain, err)
	}
	if both.Current(sealed) || !old.Current(sealed) || both.Current("nonsense") {
		t.Error("which key is current is wrong")
	}
	again, err := both.Seal("p", plain)
	if err != nil || !both.Current(again) {
		t.Fatal("not sealed under the new key")
	}
	if _, err := old.Open("p", again); !errors.Is(err, ErrSealed) || !strings.Contains(err.Error(), "not configured") {
		t.Errorf("the old key alone: %v", err)
	}
}

func TestEncryptionKeyIsReadInEveryBase64AndNothingElse(t *testing.T) {
	raw := bytes.Repeat([]byte{0xfb, 0xff}, 16)
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if _, err := NewVault(rand.Reader, df.Secret(encoding.EncodeToString(raw)+"\n")); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"short", strings.Repeat("a", 44), "not base64 at all!", base64.StdEncoding.EncodeToString(raw[:16])} {
		_, err := NewVault(rand.Reader, df.Secret(bad))
		if err == nil || !strings.Contains(err.Error(), "DF_ENCRYPTION_KEY") || strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := NewVault(rand.Reader, vaultKey(1), "bad previous"); err == nil {
		t.Error("a bad previous key passed")
	}
}

func TestWithoutAKeyTheErrorSaysWhatToSet(t *testing.T) {
	v, err := NewVault(rand.Reader, "")
	if err != nil || v.Ready() {
		t.Fatal(err)
	}
	_, sealErr := v.Seal("p", nil)
	_, openErr := v.Open("p", "v1.x.y")
	for _, err := range []error{sealErr, openErr} {
		if !errors.Is(err, ErrNoEncryptionKey) || !strings.Contains(err.Error(), "DF_ENCRYPTION_KEY") {
			t.Errorf("got %v", err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	v, err := NewVault(endless(), vaultKey(1)) // the same in every fuzzing process
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := v.Seal("p", []byte("x"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add("v1..")
	f.Fuzz(func(t *testing.T, text string) {
		if plain, err := v.Open("p", text); err == nil && text != sealed {
			t.Fatalf("opened %q as %q", text, plain)
		}
	})
}

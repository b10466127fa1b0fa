package aloware

import (
	"encoding/base64"
	"errors"
	"net/http"
	"testing"
)

func basic(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }

// The original cut passwords at their second colon and compared with ===.
func TestVerifyTakesBasicAndBearer(t *testing.T) {
	both := Verifier{User: "hook", Pass: "pa:ss:word", Bearer: "bear-er"}
	for _, test := range []struct {
		name     string
		verifier Verifier
		header   []string
		proof    string
		err      error
	}{
		{"basic, colons in the password", both, []string{basic("hook:pa:ss:word")}, "basic", nil},
		{"bearer", both, []string{"Bearer bear-er"}, "bearer", nil},
		{"scheme in another case", both, []string{"bEARER  bear-er "}, "bearer", nil},
		{"wrong password", both, []string{basic("hook:pa")}, "", ErrProof},
		{"wrong user", both, []string{basic("hoo:pa:ss:word")}, "", ErrProof},
		{"colon moved", both, []string{basic("hook:pa:ss:wor:d")}, "", ErrProof},
		{"no colon", both, []string{basic("hook")}, "", ErrProof},
		{"no base64", both, []string{"Basic hook:pa:ss:word"}, "", ErrProof},
		{"wrong bearer", both, []string{"Bearer bear-er2"}, "", ErrProof},
		{"bearer as basic", both, []string{"Basic bear-er"}, "", ErrProof},
		{"bare token", both, []string{"bear-er"}, "", ErrProof},
		{"no header", both, nil, "", ErrProof},
		{"empty header", both, []string{""}, "", ErrProof},
		{"two headers", both, []string{"Bearer bear-er", "Bearer bear-er"}, "", ErrProof},
		{"bearer not configured", Verifier{User: "hook", Pass: "x"}, []string{"Bearer "}, "", ErrProof},
		{"basic not configured", Verifier{Bearer: "x"}, []string{basic(":")}, "", ErrProof},
		{"basic without a password", Verifier{User: "hook"}, []string{basic("hook:")}, "", ErrNoVerifier},
		{"basic without a user", Verifier{Pass: "x"}, []string{basic(":x")}, "", ErrNoVerifier},
		{"nothing configured", Verifier{}, []string{basic(":")}, "", ErrNoVerifier},
	} {
		proof, err := test.verifier.Verify(http.Header{"Authorization": test.header}, []byte("{}"))
		if proof != test.proof || !errors.Is(err, test.err) {
			t.Errorf("%s: %q, %v", test.name, proof, err)
		}
	}
}

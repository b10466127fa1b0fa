package calls

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
)

// ErrLink says that a link to a recording is not one of ours, or was changed.
// ErrLinkExpired says that it was one.
var (
	ErrLink        = errors.New("calls: no link of ours")
	ErrLinkExpired = errors.New("calls: the link has expired")
)

// Links signs links to recordings. Whoever has one can listen until it expires,
// like with a link to a shared document; nothing in it leads to Aloware.
type Links struct {
	Base string // our public address, without a slash at the end
	Key  []byte // 32 bytes
	Life time.Duration
}

// Path is where recordings are served, before the token.
const Path = "/recordings/"

// Make returns the link to a call's recording that we have had since the given
// time. The same call has the same link, so that a note need not change.
func (l Links) Make(callID string, since time.Time) string {
	if l.Base == "" || len(l.Key) == 0 || since.IsZero() {
		return ""
	}
	body := callID + "." + strconv.FormatInt(since.Add(l.Life).Unix(), 10)
	return l.Base + Path + base64.RawURLEncoding.EncodeToString([]byte(body)) + "." + l.sign(body)
}

// Read returns the call that a token is about, or ErrLink or ErrLinkExpired.
func (l Links) Read(token string, now time.Time) (callID string, err error) {
	encoded, mac, ok := strings.Cut(token, ".")
	body, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if !ok || err != nil || len(l.Key) == 0 || !hmac.Equal([]byte(mac), []byte(l.sign(string(body)))) {
		return "", ErrLink
	}
	end := strings.LastIndexByte(string(body), '.')
	until, err := strconv.ParseInt(string(body[end+1:]), 10, 64)
	if end < 0 || err != nil {
		return "", ErrLink
	}
	if now.Unix() >= until {
		return "", ErrLinkExpired
	}
	return string(body[:end]), nil
}

func (l Links) sign(body string) string {
	mac := hmac.New(sha256.New, l.Key)
	mac.Write([]byte(body))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

package load

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"
)

// Webhooks makes requests as GoHighLevel sends them: a contact's update of
// about 1 KB, with an id of its own and a signature over the body.
type Webhooks struct {
	URL string
	// Secret signs with hex HMAC-SHA256 in X-GHL-Signature, as a relay does.
	Secret string
	// Key, when set, signs with Ed25519 instead, as GHL itself does.
	Key ed25519.PrivateKey
	// Contacts is how many different people the events are about, at most 10,000.
	Contacts int
	// Duplicates is the share (0 to 1) of requests that repeat an earlier body.
	Duplicates float64
	Seed       uint64
}

// Source is the source of connection i. Two connections, and two seeds, never
// make the same event.
func (w Webhooks) Source(i int) (Source, error) {
	target, err := url.Parse(w.URL)
	if err != nil {
		return nil, err
	}
	if w.Contacts < 1 || w.Contacts > 10_000 {
		return nil, errors.New("contacts must be 1 to 10000")
	}
	if w.Secret == "" && w.Key == nil {
		return nil, errors.New("a secret or a key is needed to sign")
	}
	random := rand.New(rand.NewPCG(w.Seed, uint64(i)))
	start := "POST " + target.RequestURI() + " HTTP/1.1\r\nHost: " + target.Host +
		"\r\nContent-Type: application/json\r\nX-GHL-Signature: "
	var sequence int
	var body []byte
	return func(buf []byte) ([]byte, bool) {
		fresh := sequence == 0 || random.Float64() >= w.Duplicates
		if fresh {
			sequence++
			id := fmt.Sprintf("%08x-%04x-4000-8000-%012x", uint32(w.Seed), uint16(i), sequence)
			body = event(body[:0], id, random.IntN(w.Contacts), sequence)
		}
		buf = append(buf, start...)
		buf = w.sign(buf, body)
		buf = fmt.Appendf(buf, "\r\nContent-Length: %d\r\n\r\n", len(body))
		return append(buf, body...), fresh
	}, nil
}

func (w Webhooks) sign(buf, body []byte) []byte {
	if w.Key != nil {
		return base64.StdEncoding.AppendEncode(buf, ed25519.Sign(w.Key, body))
	}
	mac := hmac.New(sha256.New, []byte(w.Secret))
	mac.Write(body)
	return hex.AppendEncode(buf, mac.Sum(nil))
}

// filler brings an event to the size of a real one.
var filler = strings.Repeat("lorem ipsum dolor sit amet ", 12)

// event appends the body of one event. Everything in it is invented.
func event(buf []byte, id string, contact, sequence int) []byte {
	return fmt.Appendf(buf, `{"type":"ContactUpdate","locationId":"benchLocation0000001","webhookId":"%s",`+
		`"timestamp":"%s","id":"benchContact%08d","firstName":"Ada","lastName":"Number %d",`+
		`"email":"ada.%d@example.test","phone":"+1202555%04d","address1":"%d Example Street","city":"Springfield",`+
		`"state":"IL","country":"US","postalCode":"62701","source":"benchmark","timezone":"America/Chicago",`+
		`"dateAdded":"2026-01-01T00:00:00.000Z","dnd":false,"tags":["benchmark","customer","call now"],`+
		`"assignedTo":"benchUser00000000001","companyName":"Example Company","website":"https://www.example.test",`+
		`"customFields":[{"id":"benchField0000000001","value":"%s"},{"id":"benchField0000000002","value":"%d"}]}`,
		id, time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), contact, sequence, contact, contact, contact, filler, sequence)
}

// Fixed is a source that sends the same request always: a GET, or a POST of the
// body when there is one.
func Fixed(target string, headers map[string]string, body string) func(int) (Source, error) {
	return func(int) (Source, error) {
		u, err := url.Parse(target)
		if err != nil {
			return nil, err
		}
		method := "GET"
		if body != "" {
			method = "POST"
		}
		request := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, u.RequestURI(), u.Host)
		for name, value := range headers {
			request = fmt.Appendf(request, "%s: %s\r\n", name, value)
		}
		if body != "" {
			request = fmt.Appendf(request, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
		}
		request = append(append(request, "\r\n"...), body...)
		return func(buf []byte) ([]byte, bool) { return append(buf, request...), true }, nil
	}
}

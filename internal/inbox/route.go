package inbox

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// MaxBody is the largest webhook body that is taken, in bytes. A larger one is
// refused, never cut.
const MaxBody = 1 << 20

// WhenDown says what a sender is told while its delivery cannot be stored.
type WhenDown int

// GHL tries again after 429 (older documents: only after 429); most others
// after 503; Aloware never tries again, so its delivery is held and spilled.
const (
	Answer429 WhenDown = iota
	Answer503
	HoldAndSpill
)

// Route is one webhook address.
type Route struct {
	Name   string // e.g. "ghl/workflow", kept with the event
	Source df.Source
	Paths  []string
	// Verify checks the proof on the raw bytes and names the one that passed.
	// It fails when nothing is configured to check.
	Verify func(http.Header, []byte) (proof string, err error)
	// VerifyTarget is for senders that sign the address they called: it gets
	// path and query as well. It is used instead of Verify when set.
	VerifyTarget func(header http.Header, target string, body []byte) (proof string, err error)
	// Decode reads what the bytes say. It never fails: what cannot be read
	// says so in Notice.Skip.
	Decode func([]byte) df.Notice
	// DecodeWithHeader is for senders whose delivery id stands in a header. It
	// is used instead of Decode when set.
	DecodeWithHeader func(http.Header, []byte) df.Notice
	// Allow, when set, says whether events of this wire name are wanted.
	Allow    func(wireName string) bool
	WhenDown WhenDown
	// AlwaysProven routes take nothing without proof, whatever
	// DFM_ALLOW_UNSIGNED says: what arrives there makes us text people.
	AlwaysProven bool
}

func (r Route) verify(request *http.Request, body []byte) (string, error) {
	if r.VerifyTarget != nil {
		return r.VerifyTarget(request.Header, request.URL.RequestURI(), body)
	}
	return r.Verify(request.Header, body)
}

// Read says what a delivery's bytes say.
func (r Route) Read(header http.Header, body []byte) df.Notice {
	if r.DecodeWithHeader != nil {
		return r.DecodeWithHeader(header, body)
	}
	return r.Decode(body)
}

// lasting is how long the key of a delivery with an id of its own is kept. GHL
// allows redelivery from its logs for 30 days.
const lasting = 60 * 24 * time.Hour

// dedupe returns the key that makes two deliveries one, the end of the window in
// which it does, and a form of it for people. A sender's own delivery id is
// good for as long as it may redeliver; the hash of the body only for a window,
// because the same state may legitimately come again.
func dedupe(source df.Source, n df.Notice, body []byte, now time.Time, window time.Duration) (key, shown string, until time.Time) {
	mark, until := n.DeliveryID, now.Add(lasting)
	if mark == "" {
		sum := sha256.Sum256(body)
		mark, until = hex.EncodeToString(sum[:]), now.Add(window)
	}
	key = string(source) + ":" + mark
	shown = strings.Join([]string{string(source), n.Type, n.EntityID, mark}, ":")
	return key, shown, until
}

// keptHeaders are stored with an event: what a forward to Verity must repeat
// and what helps to find a delivery in the sender's logs. Credentials are not
// among them.
var keptHeaders = []string{
	"Content-Type", "User-Agent", "X-Ghl-Signature", "X-Wh-Signature", "Signature",
	"Webhook-Id", "Webhook-Timestamp", "Svix-Id", "Svix-Timestamp", "Telnyx-Timestamp", "I-Twilio-Idempotency-Token",
}

func headersToKeep(h http.Header) map[string]string {
	kept := map[string]string{}
	for _, name := range keptHeaders {
		if value := h.Get(name); value != "" && len(value) <= 1024 {
			kept[name] = value
		}
	}
	return kept
}

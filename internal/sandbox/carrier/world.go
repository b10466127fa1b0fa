package carrier

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"slices"
	"sync"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// Provider is a kind of sender.
type Provider string

// The providers.
const (
	Twilio   Provider = "twilio"
	Telnyx   Provider = "telnyx"
	Standard Provider = "standard"
	DFHMAC   Provider = "df-hmac"
)

// Providers lists every kind of sender.
func Providers() []Provider { return []Provider{Twilio, Telnyx, Standard, DFHMAC} }

// Config says how the senders are set up. The zero value of each field gives a
// usable default.
type Config struct {
	Stage stage.Config

	URLs map[Provider]string // where each posts to
	// TwilioSigns is the URL that Twilio believes it calls, when a proxy in
	// between changes it. Empty means the URL that is called.
	TwilioSigns     string
	TwilioToken     string // "twilio-sandbox-token"
	StandardKey     []byte // 24 to 64 bytes; made from the seed when nil
	Secret          string // of df-hmac; "verity-sandbox-secret"
	SendPlainSecret bool   // df-hmac sends the secret itself instead of a signature
}

// Text is a text on its way through the carrier.
type Text struct {
	ID             string // the carrier's message id; made when empty
	ConversationID string
	From           string // E.164
	To             string // E.164
	Body           string
	Media          []string // URLs
	Outbound       bool     // sent by the company; inbound otherwise
	OptOut         string   // STOP, START or HELP when the carrier itself acted on a keyword
}

// Report is the fate of a text.
type Report struct {
	Text      Text
	Status    string // queued, sent, delivered, failed
	ErrorCode string // the carrier's own, "30003"
}

// World is the set of senders. It is safe for concurrent use.
type World struct {
	*stage.Stage
	config Config
	telnyx ed25519.PrivateKey

	mu   sync.Mutex
	urls map[Provider]string
}

// New returns senders that post nothing yet.
func New(c Config) *World {
	for _, d := range []struct {
		to    *string
		value string
	}{{&c.Stage.Name, "carrier"}, {&c.TwilioToken, "twilio-sandbox-token"}, {&c.Secret, "verity-sandbox-secret"}} {
		if *d.to == "" {
			*d.to = d.value
		}
	}
	w := &World{Stage: stage.New(c.Stage), config: c, urls: map[Provider]string{}}
	for provider, url := range c.URLs {
		w.urls[provider] = url
	}
	w.telnyx = ed25519.NewKeyFromSeed(w.Bytes(ed25519.SeedSize))
	if w.config.StandardKey == nil {
		w.config.StandardKey = w.Bytes(32)
	}
	w.Control("POST /_sandbox/receive/{provider}", w.controlReceive)
	w.Control("POST /_sandbox/report/{provider}", w.controlReport)
	return w
}

// Settings returns the configuration with its defaults filled in.
func (w *World) Settings() Config { return w.config }

// SetURL changes where a provider posts from now on.
func (w *World) SetURL(provider Provider, url string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.urls[provider] = url
}

// TelnyxPublicKey returns the key of telnyx-signature-ed25519, base64 as in
// Telnyx's portal.
func (w *World) TelnyxPublicKey() string {
	public, _ := w.telnyx.Public().(ed25519.PublicKey)
	return base64.StdEncoding.EncodeToString(public)
}

// StandardSecret returns the Standard Webhooks secret in its whsec_ form.
func (w *World) StandardSecret() string {
	return "whsec_" + base64.StdEncoding.EncodeToString(w.config.StandardKey)
}

// Receive posts a text and returns its message id.
func (w *World) Receive(provider Provider, t Text) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.ID == "" {
		t.ID = w.messageID(provider)
	}
	switch provider {
	case Twilio:
		w.twilioText(t)
	case Telnyx:
		w.telnyxPost(t, telnyxEvent(t, ""), telnyxStatus(t, "", "received"), "")
	case Standard:
		w.standardPost(t, event(t), "", "")
	case DFHMAC:
		w.dfPost(t, event(t), "", "")
	}
	return t.ID
}

// Report posts the fate of a text, whose ID must be set.
func (w *World) Report(provider Provider, r Report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.Text.Outbound = true
	switch provider {
	case Twilio:
		w.twilioStatus(r)
	case Telnyx:
		w.telnyxPost(r.Text, telnyxEvent(r.Text, r.Status), telnyxStatus(r.Text, r.Status, ""), r.ErrorCode)
	case Standard:
		w.standardPost(r.Text, "message."+r.Status, r.Status, r.ErrorCode)
	case DFHMAC:
		w.dfPost(r.Text, "message."+r.Status, r.Status, r.ErrorCode)
	}
}

func event(t Text) string {
	switch {
	case t.OptOut == "STOP":
		return "optout.stop"
	case t.OptOut == "HELP":
		return "optout.help"
	case t.Outbound:
		return "message.sent"
	}
	return "message.received"
}

func (w *World) messageID(provider Provider) string {
	switch provider {
	case Twilio:
		return "SM" + w.HexID(16)
	case DFHMAC:
		return "tx_" + w.HexID(8)
	}
	return w.UUID()
}

func (w *World) controlReceive(rw http.ResponseWriter, r *http.Request) {
	var t Text
	provider, ok := w.named(rw, r)
	if ok && stage.Order(rw, r, &t) {
		stage.JSON(rw, http.StatusOK, map[string]string{"id": w.Receive(provider, t)})
	}
}

func (w *World) controlReport(rw http.ResponseWriter, r *http.Request) {
	var report Report
	provider, ok := w.named(rw, r)
	if ok && stage.Order(rw, r, &report) {
		w.Report(provider, report)
		stage.JSON(rw, http.StatusOK, map[string]bool{"done": true})
	}
}

func (w *World) named(rw http.ResponseWriter, r *http.Request) (Provider, bool) {
	provider := Provider(r.PathValue("provider"))
	if !slices.Contains(Providers(), provider) {
		stage.JSON(rw, http.StatusNotFound, map[string]any{"error": "unknown provider", "known": Providers()})
		return "", false
	}
	return provider, true
}

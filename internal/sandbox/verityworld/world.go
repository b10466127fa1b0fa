package verityworld

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// Config says how Verity is set up. The zero value of each field gives a usable
// default.
type Config struct {
	Stage stage.Config

	APIKey         string // "verity-sandbox-key"
	WebhookSecret  string // signs forwards to us and broadcast webhooks from us; "verity-sandbox-secret"
	BroadcastURL   string // where broadcast webhooks go
	AnalyticsShape string // where analytics stand: "" at the root, "data" or "analytics"
	SendsID        bool   // a sent text's id is called "id" instead of "messageId"
	// VerifyToken decides about the Clerk token of analytics and of endpoints
	// that require a user. Nil accepts any bearer token.
	VerifyToken func(token string) bool
}

// Sent is one text that was really sent.
type Sent struct {
	MessageID      string    `json:"messageId"`
	IdempotencyKey string    `json:"idempotencyKey"`
	CorrelationID  string    `json:"correlationId"`
	ConversationID string    `json:"conversationId"`
	To             string    `json:"to"`
	From           string    `json:"from"`
	Body           string    `json:"body"`
	MediaURLs      []string  `json:"mediaUrls"`
	At             time.Time `json:"at"`
	Repeats        int       `json:"repeats"` // how often it was asked for again
}

// Forward is one GHL webhook that was forwarded to Verity.
type Forward struct {
	Header   http.Header
	Body     []byte
	Key      string // Idempotency-Key
	Verified bool   // X-Middleware-Signature fits the bytes
	At       time.Time
}

// World is Verity. It is safe for concurrent use.
type World struct {
	*stage.Stage
	config Config

	mu        sync.Mutex
	broadcast string
	sent      []*Sent
	forwards  []Forward
	analytics map[string]map[string]any
	widgets   []stage.Object
}

// New returns a Verity without data.
func New(c Config) *World {
	for _, d := range []struct {
		to    *string
		value string
	}{{&c.Stage.Name, "verity"}, {&c.APIKey, "verity-sandbox-key"}, {&c.WebhookSecret, "verity-sandbox-secret"}} {
		if *d.to == "" {
			*d.to = d.value
		}
	}
	w := &World{Stage: stage.New(c.Stage), config: c, broadcast: c.BroadcastURL, analytics: map[string]map[string]any{}}
	missing := func(rw http.ResponseWriter, _ *http.Request) {
		stage.JSON(rw, http.StatusNotFound, map[string]any{"error": "Not found"})
	}
	w.Fallback(missing, missing)
	w.Route("send text", "POST", "/api/integrations/df-middleware/send-message", w.sendText)
	w.Route("forward webhook", "POST", "/api/integrations/ghl/webhook", w.forward)
	w.Route("broadcast analytics", "GET", "/api/comms/broadcasts/{id}/analytics", w.getAnalytics)
	w.routeToys()
	w.routeCatalogue()
	w.routeControl()
	return w
}

// Settings returns the configuration with its defaults filled in.
func (w *World) Settings() Config { return w.config }

// SetBroadcastURL changes where broadcast webhooks go from now on.
func (w *World) SetBroadcastURL(url string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broadcast = url
}

func bearer(r *http.Request) string {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}

func refuse(rw http.ResponseWriter, status int, text string) {
	stage.JSON(rw, status, map[string]any{"success": false, "error": text})
}

// sendText sends a text once per Idempotency-Key; the same key with another
// text is refused.
func (w *World) sendText(rw http.ResponseWriter, r *http.Request) {
	if subtle.ConstantTimeCompare([]byte(bearer(r)), []byte(w.config.APIKey)) != 1 {
		refuse(rw, http.StatusUnauthorized, "Unauthorized")
		return
	}
	raw, err := io.ReadAll(r.Body)
	body, readErr := stage.ReadObject(raw)
	if err != nil || readErr != nil {
		refuse(rw, http.StatusBadRequest, "The body is no JSON object")
		return
	}
	if _, err := df.ParsePhone(body.Text("to"), "US"); err != nil || body.Text("body") == "" && len(body.Texts("mediaUrls")) == 0 {
		refuse(rw, http.StatusBadRequest, "to and body are required")
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s, conflict := w.send(r, body)
	if conflict {
		refuse(rw, http.StatusConflict, "The idempotency key was used for another text")
		return
	}
	name := "messageId"
	if w.config.SendsID {
		name = "id"
	}
	stage.JSON(rw, http.StatusOK, map[string]any{"success": true, name: s.MessageID, "chatId": "chat_" + s.To, "status": "queued"})
}

func (w *World) send(r *http.Request, body stage.Object) (sent *Sent, conflict bool) {
	key := r.Header.Get("Idempotency-Key")
	for _, s := range w.sent {
		if key != "" && s.IdempotencyKey == key {
			s.Repeats++
			return s, s.To != body.Text("to") || s.Body != body.Text("body")
		}
	}
	s := &Sent{
		MessageID: "tx_" + w.HexID(8), IdempotencyKey: key, CorrelationID: body.Text("correlationId"), To: body.Text("to"),
		ConversationID: body.Text("conversationId"), From: body.Text("from"), Body: body.Text("body"),
		MediaURLs: body.Texts("mediaUrls"), At: w.Now(),
	}
	if !stage.Unwritten(r) {
		w.sent = append(w.sent, s)
	}
	return s, false
}

func (w *World) forward(rw http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		refuse(rw, http.StatusBadRequest, "The body cannot be read")
		return
	}
	f := Forward{Header: r.Header.Clone(), Body: raw, Key: r.Header.Get("Idempotency-Key"), At: w.Now()}
	f.Verified = hmac.Equal([]byte(r.Header.Get("X-Middleware-Signature")), []byte(w.Signature(raw)))
	if !f.Verified {
		refuse(rw, http.StatusUnauthorized, "Bad signature")
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !stage.Unwritten(r) {
		w.forwards = append(w.forwards, f)
	}
	stage.JSON(rw, http.StatusOK, map[string]any{"success": true})
}

// Signature is the hex HMAC-SHA256 of a body under the shared secret.
func (w *World) Signature(body []byte) string {
	mac := hmac.New(sha256.New, []byte(w.config.WebhookSecret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

func (w *World) user(rw http.ResponseWriter, r *http.Request) bool {
	token := bearer(r)
	if token == "" || w.config.VerifyToken != nil && !w.config.VerifyToken(token) {
		refuse(rw, http.StatusUnauthorized, "Unauthorized")
		return false
	}
	return true
}

func (w *World) getAnalytics(rw http.ResponseWriter, r *http.Request) {
	if !w.user(rw, r) {
		return
	}
	w.mu.Lock()
	numbers, known := w.analytics[r.PathValue("id")]
	w.mu.Unlock()
	if !known {
		refuse(rw, http.StatusNotFound, "Broadcast not found")
		return
	}
	if shape := w.config.AnalyticsShape; shape != "" {
		stage.JSON(rw, http.StatusOK, map[string]any{"success": true, shape: numbers})
		return
	}
	stage.JSON(rw, http.StatusOK, numbers)
}

// SetAnalytics sets what a broadcast's analytics say.
func (w *World) SetAnalytics(broadcastID string, numbers map[string]any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.analytics[broadcastID] = numbers
}

// PostBroadcast sends a broadcast webhook such as "broadcast_completed" or
// "analytics_updated", signed with X-Broadcast-Signature. Numbers, when given,
// travel under "analytics".
func (w *World) PostBroadcast(event, broadcastID string, numbers map[string]any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	body := map[string]any{"type": event, "broadcastId": broadcastID, "timestamp": stage.ISO(w.Now())}
	if numbers != nil {
		body["analytics"] = numbers
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return // numbers that are no JSON; nothing can be sent
	}
	header := http.Header{"Content-Type": {"application/json"}}
	header.Set("X-Broadcast-Signature", w.Signature(raw))
	w.Send(stage.Post{Event: event, URL: w.broadcast, Header: header, Body: raw, Retries: 3, Backoff: time.Second})
}

// Texts returns the texts that were really sent, oldest first.
func (w *World) Texts() []Sent {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]Sent, len(w.sent))
	for i, s := range w.sent {
		out[i] = *s
	}
	return out
}

// Forwards returns the webhooks that were forwarded and taken, oldest first.
func (w *World) Forwards() []Forward {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.forwards)
}

func (w *World) routeControl() {
	w.Control("GET /_sandbox/texts", func(rw http.ResponseWriter, _ *http.Request) { stage.JSON(rw, 200, w.Texts()) })
	w.Control("GET /_sandbox/forwards", func(rw http.ResponseWriter, _ *http.Request) {
		stage.JSON(rw, 200, map[string]int{"count": len(w.Forwards())})
	})
	w.Control("POST /_sandbox/analytics/{id}", func(rw http.ResponseWriter, r *http.Request) {
		numbers := map[string]any{}
		if stage.Order(rw, r, &numbers) {
			w.SetAnalytics(r.PathValue("id"), maps.Clone(numbers))
			stage.JSON(rw, 200, map[string]bool{"done": true})
		}
	})
	w.Control("POST /_sandbox/broadcast", func(rw http.ResponseWriter, r *http.Request) {
		var order struct {
			Type        string         `json:"type"`
			BroadcastID string         `json:"broadcastId"`
			Analytics   map[string]any `json:"analytics"`
		}
		if stage.Order(rw, r, &order) {
			w.PostBroadcast(order.Type, order.BroadcastID, order.Analytics)
			stage.JSON(rw, 200, map[string]bool{"done": true})
		}
	})
}

package verity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"

	"github.com/df-middleware/dfm/internal/df"
)

// Forward is a GHL webhook on its way to Verity.
type Forward struct {
	EventID string // ours; the idempotency key
	Body    []byte // byte for byte as it came
	// Header holds the signature headers that came with it. No others are sent.
	Header http.Header
}

// forwardPath is where Verity takes GHL's webhooks.
const forwardPath = "/api/integrations/ghl/webhook"

// signatureHeaders are those by which GHL and relays prove a webhook.
var signatureHeaders = []string{"X-Ghl-Signature", "X-Wh-Signature", "Signature"}

// ForwardGHL passes a GHL webhook on with our own signature over the very same
// bytes. Its errors are *df.CallError. Verity knows the event by its
// Idempotency-Key, so a forward that got no answer is tried again.
func (c *Client) ForwardGHL(ctx context.Context, f Forward) error {
	const operation = "forward webhook"
	if !c.cfg.WebhookSecret.Set() {
		return &df.CallError{
			Upstream: upstream, Operation: operation, Outcome: df.RetryLater,
			Code: df.CodeUnconfigured, Message: "VERITY_WEBHOOK_SECRET is not set",
		}
	}
	response, err := c.send(ctx, outgoing{
		method: http.MethodPost, path: forwardPath, template: forwardPath,
		body: f.Body, header: c.forwardHeader(f),
	})
	if call, isCall := errors.AsType[*df.CallError](err); isCall && call.Outcome == df.Unclear {
		call.Outcome = df.RetryLater
	}
	if err != nil {
		return err
	}
	return c.verdict(operation, response, true)
}

func (c *Client) forwardHeader(f Forward) http.Header {
	secret := c.cfg.WebhookSecret.Reveal()
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(f.Body)
	header := http.Header{
		"Content-Type":           jsonType,
		"User-Agent":             userAgent,
		"X-Middleware-Forwarded": {"true"},
		"X-Middleware-Signature": {hex.EncodeToString(mac.Sum(nil))},
		"Idempotency-Key":        {f.EventID},
	}
	if c.cfg.PlainSecret {
		header.Set("X-Middleware-Secret", secret)
	}
	for _, name := range signatureHeaders {
		if value := f.Header.Get(name); value != "" {
			header.Set(name, value)
		}
	}
	return header
}

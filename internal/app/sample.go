package app

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
)

// sample posts a sample event of the source to our own route, with the proof
// that the source would send, so that the whole way in is tried.
func (a *App) sample(ctx context.Context, source string) (int, []byte, error) {
	path, body, header, err := a.sampleOf(source)
	if err != nil {
		return 0, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.URL("web")+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("make sample event: %w", err)
	}
	request.Header = header
	transport := egress.NewTransport()
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, nil, fmt.Errorf("post sample event: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	return response.StatusCode, answer, err
}

// sampleOf makes the event. It is about nobody: a contact that does not exist, or
// a type that nothing is done about. So it ends as skipped.
func (a *App) sampleOf(source string) (path string, body []byte, header http.Header, err error) {
	header = http.Header{"Content-Type": {"application/json"}}
	switch df.Source(source) {
	case df.SourceGHL:
		body = encode(map[string]any{"type": "ContactUpdate", "locationId": a.config.GHL.LocationID,
			"id": "dfm-sample-contact", "webhookId": a.newID(), "timestamp": a.clock().UTC().Format(time.RFC3339Nano)})
		return "/api/webhooks/ghl", body, header, sign(header, "X-GHL-Signature", a.config.GHL.WebhookSecret, "GHL_WEBHOOK_SECRET", body)
	case df.SourceAloware:
		body = encode(map[string]any{"event": "dfm-sample", "body": map[string]any{"id": a.newID()}})
		return "/api/webhooks/aloware", body, header, a.config.Aloware.prove(header)
	case df.SourceTexting:
		body = encode(map[string]any{"eventType": "dfm.sample", "messageId": a.newID()})
		return "/api/webhooks/texting", body, header, sign(header, "X-Texting-Signature", a.config.Verity.WebhookSecret, "VERITY_WEBHOOK_SECRET", body)
	case df.SourceBroadcast:
		body = encode(map[string]any{"eventType": "dfm_sample", "sampleId": a.newID()})
		return "/api/webhooks/broadcast", body, header, sign(header, "X-Broadcast-Signature", a.config.Verity.WebhookSecret, "VERITY_WEBHOOK_SECRET", body)
	}
	return "", nil, nil, &df.Error{Code: "NOT_FOUND", Message: "there are sample events of ghl, aloware, texting and broadcast", Status: http.StatusNotFound}
}

// sign puts the body's hex HMAC-SHA256 into a header, as the sender would.
func sign(header http.Header, name string, secret df.Secret, setting string, body []byte) error {
	if !secret.Set() {
		return unsigned(setting)
	}
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write(body)
	header.Set(name, hex.EncodeToString(mac.Sum(nil)))
	return nil
}

// prove shows what Aloware's webhooks show.
func (c AlowareConfig) prove(header http.Header) error {
	request := http.Request{Header: header}
	switch {
	case c.BasicPass.Set():
		request.SetBasicAuth(c.BasicUser, c.BasicPass.Reveal())
	case c.Bearer.Set():
		header.Set("Authorization", "Bearer "+c.Bearer.Reveal())
	default:
		return unsigned("ALOWARE_WEBHOOK_BASIC_USER and ALOWARE_WEBHOOK_BASIC_PASS, or ALOWARE_WEBHOOK_BEARER,")
	}
	return nil
}

func unsigned(settings string) error {
	return &df.Error{Code: "NOT_CONFIGURED", Message: "set " + settings + " to sign sample events", Status: http.StatusConflict}
}

func encode(value map[string]any) []byte {
	data, _ := json.Marshal(value) // plain strings always encode
	return data
}

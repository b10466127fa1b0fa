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

// sampleOf makes the event. It is about a contact that does not exist, so it
// ends as skipped.
func (a *App) sampleOf(source string) (path string, body []byte, header http.Header, err error) {
	header = http.Header{"Content-Type": {"application/json"}}
	unset := func(names string) error {
		return &df.Error{Code: "NOT_CONFIGURED", Message: "set " + names + " to sign sample events", Status: http.StatusConflict}
	}
	switch df.Source(source) {
	case df.SourceGHL:
		secret := a.config.GHL.WebhookSecret
		if !secret.Set() {
			return "", nil, nil, unset("GHL_WEBHOOK_SECRET")
		}
		body = encode(map[string]any{"type": "ContactUpdate", "locationId": a.config.GHL.LocationID,
			"id": "dfm-sample-contact", "webhookId": a.newID(), "timestamp": a.clock().UTC().Format(time.RFC3339Nano)})
		mac := hmac.New(sha256.New, []byte(secret.Reveal()))
		mac.Write(body)
		header.Set("X-GHL-Signature", hex.EncodeToString(mac.Sum(nil)))
		return "/api/webhooks/ghl", body, header, nil
	case df.SourceAloware:
		c := a.config.Aloware
		request := http.Request{Header: header}
		switch {
		case c.BasicPass.Set():
			request.SetBasicAuth(c.BasicUser, c.BasicPass.Reveal())
		case c.Bearer.Set():
			header.Set("Authorization", "Bearer "+c.Bearer.Reveal())
		default:
			return "", nil, nil, unset("ALOWARE_WEBHOOK_BASIC_USER and ALOWARE_WEBHOOK_BASIC_PASS, or ALOWARE_WEBHOOK_BEARER,")
		}
		body = encode(map[string]any{"event": "dfm-sample", "body": map[string]any{"id": a.newID()}})
		return "/api/webhooks/aloware", body, header, nil
	}
	return "", nil, nil, &df.Error{Code: "NOT_FOUND", Message: "there are sample events of ghl and aloware", Status: http.StatusNotFound}
}

func encode(value map[string]any) []byte {
	data, _ := json.Marshal(value) // plain strings always encode
	return data
}

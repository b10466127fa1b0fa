package carrier

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

const accountSID = "AC00000000000000000000000000000000"

func (w *World) twilioText(t Text) {
	form := map[string]string{
		"MessageSid": t.ID, "SmsSid": t.ID, "SmsMessageSid": t.ID, "AccountSid": accountSID, "From": t.From, "To": t.To,
		"Body": t.Body, "NumMedia": strconv.Itoa(len(t.Media)), "NumSegments": "1", "SmsStatus": "received",
		"ApiVersion": "2010-04-01", "FromCountry": "US", "ToCountry": "US",
	}
	for i, media := range t.Media {
		form["MediaUrl"+strconv.Itoa(i)], form["MediaContentType"+strconv.Itoa(i)] = media, "image/jpeg"
	}
	if t.OptOut != "" {
		form["OptOutType"], form["MessagingServiceSid"] = t.OptOut, "MG00000000000000000000000000000000"
	}
	w.twilioPost("twilio text", form)
}

func (w *World) twilioStatus(r Report) {
	status := r.Status
	if status == "failed" && r.ErrorCode != "" {
		status = "undelivered"
	}
	form := map[string]string{
		"MessageSid": r.Text.ID, "SmsSid": r.Text.ID, "MessageStatus": status, "SmsStatus": status, "AccountSid": accountSID,
		"From": r.Text.From, "To": r.Text.To, "ApiVersion": "2010-04-01",
	}
	if r.ErrorCode != "" {
		form["ErrorCode"] = r.ErrorCode
	}
	if status == "delivered" || status == "undelivered" {
		form["RawDlrDoneDate"] = w.Now().UTC().Format("0601021504")
	}
	w.twilioPost("twilio status", form)
}

func (w *World) twilioPost(name string, form map[string]string) {
	signed := w.config.TwilioSigns
	if signed == "" {
		signed = w.urls[Twilio]
	}
	values := url.Values{}
	for field, value := range form {
		values.Set(field, value)
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "User-Agent": {"TwilioProxy/1.1"}}
	header.Set("X-Twilio-Signature", w.TwilioSignature(signed, form))
	header.Set("I-Twilio-Idempotency-Token", w.UUID())
	w.Send(stage.Post{Event: name, URL: w.urls[Twilio], Header: header, Body: []byte(values.Encode()), Retries: 1, Backoff: time.Second})
}

// TwilioSignature is base64 of HMAC-SHA1 over the URL followed by every
// parameter's name and value, the names in byte order.
func (w *World) TwilioSignature(url string, form map[string]string) string {
	mac := hmac.New(sha1.New, []byte(w.config.TwilioToken))
	mac.Write([]byte(url))
	for _, field := range slices.Sorted(maps.Keys(form)) {
		mac.Write([]byte(field + form[field]))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func telnyxEvent(t Text, status string) string {
	switch {
	case !t.Outbound:
		return "message.received"
	case status == "sent" || status == "queued" || status == "":
		return "message.sent"
	}
	return "message.finalized"
}

func telnyxStatus(t Text, status, fallback string) string {
	switch status {
	case "failed":
		return "delivery_failed"
	case "":
		if t.Outbound {
			return "sent"
		}
		return fallback
	}
	return status
}

func (w *World) telnyxPost(t Text, event, status, code string) {
	media := []map[string]any{}
	for _, m := range t.Media {
		media = append(media, map[string]any{"url": m, "content_type": "image/jpeg"})
	}
	problems := []map[string]any{}
	if code != "" {
		problems = append(problems, map[string]any{"code": code, "title": "Delivery failed"})
	}
	direction := "inbound"
	if t.Outbound {
		direction = "outbound"
	}
	raw := encode(map[string]any{
		"data": map[string]any{
			"record_type": "event", "id": w.UUID(), "event_type": event, "occurred_at": stage.ISO(w.Now()),
			"payload": map[string]any{
				"record_type": "message", "id": t.ID, "direction": direction, "type": "SMS", "text": t.Body, "parts": 1,
				"from": map[string]any{"phone_number": t.From}, "to": []map[string]any{{"phone_number": t.To, "status": status}},
				"media": media, "errors": problems, "messaging_profile_id": "sandbox",
			},
		},
		"meta": map[string]any{"attempt": 1, "delivered_to": w.urls[Telnyx]},
	})
	stamp := strconv.FormatInt(w.Now().Unix(), 10)
	header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"telnyx-webhooks"}}
	header.Set("telnyx-timestamp", stamp)
	header.Set("telnyx-signature-ed25519", base64.StdEncoding.EncodeToString(ed25519.Sign(w.telnyx, append([]byte(stamp+"|"), raw...))))
	w.Send(stage.Post{Event: "telnyx " + event, URL: w.urls[Telnyx], Header: header, Body: raw, Retries: 2, Backoff: time.Second})
}

func (w *World) standardPost(t Text, event, status, code string) {
	raw := encode(map[string]any{"type": event, "timestamp": stage.ISO(w.Now()), "data": w.fields(t, status, code)})
	id, stamp := "msg_"+w.ID(24), strconv.FormatInt(w.Now().Unix(), 10)
	header := http.Header{"Content-Type": {"application/json"}}
	header.Set("webhook-id", id)
	header.Set("webhook-timestamp", stamp)
	header.Set("webhook-signature", w.StandardSignature(id, stamp, raw))
	w.Send(stage.Post{Event: "standard " + event, URL: w.urls[Standard], Header: header, Body: raw, Retries: 8, Backoff: 5 * time.Second, MaxBackoff: 10 * time.Hour})
}

// StandardSignature is the v1 signature of a Standard Webhooks delivery.
func (w *World) StandardSignature(id, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, w.config.StandardKey)
	fmt.Fprintf(mac, "%s.%s.", id, stamp)
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// dfPost is Verity's own form: the fields at the root, a hex HMAC of the body.
func (w *World) dfPost(t Text, event, status, code string) {
	body := w.fields(t, status, code)
	body["type"], body["timestamp"] = event, stage.ISO(w.Now())
	raw := encode(body)
	header := http.Header{"Content-Type": {"application/json"}}
	if w.config.SendPlainSecret {
		header.Set("X-Texting-Secret", w.config.Secret)
	} else {
		header.Set("X-Texting-Signature", w.DFSignature(raw))
	}
	w.Send(stage.Post{Event: "df-hmac " + event, URL: w.urls[DFHMAC], Header: header, Body: raw, Retries: 3, Backoff: time.Second})
}

// DFSignature is the lower-case hex HMAC-SHA256 of a body under the secret.
func (w *World) DFSignature(body []byte) string {
	mac := hmac.New(sha256.New, []byte(w.config.Secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

func (w *World) fields(t Text, status, code string) map[string]any {
	direction := "inbound"
	if t.Outbound {
		direction = "outbound"
	}
	if status == "" {
		status = map[bool]string{true: "sent", false: "received"}[t.Outbound]
	}
	out := map[string]any{
		"messageId": t.ID, "direction": direction, "from": t.From, "to": t.To, "body": t.Body, "status": status,
	}
	if t.ConversationID != "" {
		out["conversationId"] = t.ConversationID
	}
	if len(t.Media) > 0 {
		out["mediaUrls"] = t.Media
	}
	if code != "" {
		out["errorCode"] = code
	}
	return out
}

func encode(body map[string]any) []byte {
	raw, err := json.Marshal(body)
	if err != nil {
		panic("carrier: a webhook cannot be encoded: " + err.Error()) // the body is made of JSON values
	}
	return raw
}

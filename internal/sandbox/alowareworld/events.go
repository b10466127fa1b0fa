package alowareworld

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// zoneless formats a time as Aloware does: UTC, and it does not say so.
func zoneless(t time.Time) string { return t.UTC().Format(time.DateTime) }

// post sends a webhook once. Whatever the answer, it is not repeated.
func (w *World) post(event string, envelope map[string]any, after time.Duration) {
	if w.config.TextIDs {
		envelope, _ = asText(envelope).(map[string]any)
	}
	raw, err := json.Marshal(envelope)
	if err != nil {
		panic("alowareworld: a webhook cannot be encoded: " + err.Error()) // the body is made of JSON values
	}
	header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"GuzzleHttp/7"}}
	switch {
	case w.config.BasicUser != "" || w.config.BasicPass != "":
		pair := base64.StdEncoding.EncodeToString([]byte(w.config.BasicUser + ":" + w.config.BasicPass))
		header.Set("Authorization", "Basic "+pair)
	case w.config.Bearer != "":
		header.Set("Authorization", "Bearer "+w.config.Bearer)
	}
	w.Send(stage.Post{Event: event, URL: w.webhook, Header: header, Body: raw, After: after})
}

func (w *World) event(name string, body map[string]any, after time.Duration) {
	w.post(name, map[string]any{"event": name, "body": body}, after)
}

// asText spells numbers and flags as texts, as the vendor's printed sample does.
func asText(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, item := range v {
			out[name] = asText(item)
		}
		return out
	case []string:
		return v
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case bool:
		if v {
			return "1"
		}
		return "0"
	}
	return value
}

func (w *World) contactEvent(name string, k *Contact, byAPI bool) {
	if byAPI && w.config.SilentEcho {
		return
	}
	w.event(name, w.view(k), 0)
}

// Emit sends a webhook of any name with any body.
func (w *World) Emit(event string, body map[string]any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.event(event, body, 0)
}

// Ping sends what "Save and Test" sends.
func (w *World) Ping() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.post("test", map[string]any{"test_payload": true}, 0)
}

// Direction numbers of communications.
const (
	Inbound  = 1
	Outbound = 2
)

// Type numbers of communications.
const (
	typeCall        = 1
	typeSMS         = 2
	typeAppointment = 12
)

// dispositions are the numbers of disposition_status2.
var dispositions = map[string]int{"in-progress": 1, "abandoned": 2, "missed": 3, "completed": 4, "failed": 5,
	"invalid": 7, "placed": 8, "set": 11, "voicemail": 12}

// communication returns the body that calls, texts and appointments share.
func (w *World) communication(id int64, kind, direction int, k *Contact, userID int64) map[string]any {
	owner := int64(-1)
	if k.UserID != 0 {
		owner = k.UserID
	}
	now := zoneless(w.Now())
	body := map[string]any{
		"id": id, "contact_id": k.ID, "company_id": 4242, "user_id": nil, "owner_id": owner, "campaign_id": 31337,
		"ring_group_id": nil, "incoming_number": w.config.LineNumber, "lead_number": k.Phone, "destination_number": nil,
		"direction": direction, "type": kind, "duration": 0, "talk_time": 0, "wait_time": 0, "hold_time": 0, "attempt": 1,
		"has_recording": false, "has_transcription": false, "body": nil, "notes": nil, "csat_score": nil,
		"creator_type": 1, "sequence_id": nil, "broadcast_id": nil, "workflow_id": nil,
		"created_at": now, "updated_at": now, "contact": w.view(k),
	}
	if userID != 0 {
		body["user_id"] = userID
	}
	return body
}

// sent keeps a text and tells what became of it.
func (w *World) sent(t Text) {
	w.lastComm++
	t.ID, t.At = w.lastComm, w.Now()
	w.texts = append(w.texts, t)
	k := w.byPhone(t.To)
	if k == nil {
		k = w.blank(t.To)
		w.contacts = append(w.contacts, k)
		w.contactEvent("Contact-Created", k, true)
	}
	body := w.communication(t.ID, typeSMS, Outbound, k, t.UserID)
	body["body"] = t.Message
	disposition, status := "completed", 13
	if t.Failed {
		disposition, status = "invalid", 19
		body["rejection_reason"] = 32
	}
	body["disposition_status"], body["disposition_status2"] = disposition, dispositions[disposition]
	body["current_status"], body["current_status2"] = "delivered", status
	w.event("OutboundSMS-Disposition"+title(disposition), body, 0)
}

func title(word string) string { return string(word[0]-'a'+'A') + word[1:] }

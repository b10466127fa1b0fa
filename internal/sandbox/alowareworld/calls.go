package alowareworld

import (
	"encoding/json"
	"time"
)

// Call is a telephone call as the account sees it.
type Call struct {
	Direction   int    // Inbound or Outbound (default)
	Disposition string // "completed" (default), "missed", "failed", "abandoned", "voicemail"
	UserID      int64
	TalkTime    int    // seconds
	Agency      string // the account's own disposition, e.g. "No Answer"; may be wrong
	Recording   bool
	Voicemail   bool   // the caller left one
	Summary     string // with a summary comes its twin, which nobody can subscribe to
}

// The distances at which the webhooks of a completed call were seen.
const (
	endsAfter     = 70 * time.Second
	recordedAfter = endsAfter + 4*time.Second
	disposedAfter = recordedAfter + 2600*time.Millisecond
	summedAfter   = disposedAfter + 42*time.Second
)

// PlayCall lets a call with the contact happen, whom the account gets to know
// by it when the E.164 number is new, and returns the communication's
// id. A completed call with recording and summary is told in six webhooks:
// start, end, recording, Call-Disposed (which restates the end), summary, and
// the summary's twin.
func (w *World) PlayCall(phone string, c Call) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Disposition == "" {
		c.Disposition = "completed"
	}
	if c.Direction == 0 {
		c.Direction = Outbound
	}
	k := w.byPhone(phone)
	if k == nil {
		k = w.blank(phone)
		w.contacts = append(w.contacts, k)
		w.contactEvent("Contact-Created", k, false)
	}
	w.lastComm++
	id := w.lastComm
	family := "OutboundPhoneCall"
	if c.Direction == Inbound {
		family = "InboundPhoneCall"
	}
	w.event(family, w.communication(id, typeCall, c.Direction, k, c.UserID), 0)

	ended := w.ended(id, k, c)
	w.event(family+"-Disposition"+title(c.Disposition), ended, w.spread(endsAfter))
	if c.Recording {
		recorded := w.ended(id, k, c)
		recorded["has_recording"] = true
		recorded["direct_recording_url"] = w.recordingURL(id)
		w.event("Recording-Saved", recorded, w.spread(recordedAfter))
	}
	if c.Voicemail {
		left := w.ended(id, k, c)
		left["direct_recording_url"] = w.recordingURL(id)
		w.event("Voicemail-Saved", left, w.spread(recordedAfter))
	}
	if c.Disposition == "completed" || c.Direction == Inbound {
		w.event("Call-Disposed", ended, w.spread(disposedAfter))
	}
	if c.Summary != "" {
		summed := w.summary(id, k, c)
		w.event("transcription.call.summarized", summed, w.spread(summedAfter))
		w.event("transcription.open_search.saved", summed, w.spread(summedAfter))
	}
	return id
}

func (w *World) spread(d time.Duration) time.Duration {
	if w.config.FanOutSpread {
		return d
	}
	return 0
}

func (w *World) ended(id int64, k *Contact, c Call) map[string]any {
	body := w.communication(id, typeCall, c.Direction, k, c.UserID)
	body["current_status"], body["current_status2"] = "completed", 9
	body["disposition_status"], body["disposition_status2"] = c.Disposition, dispositions[c.Disposition]
	body["talk_time"], body["duration"] = c.TalkTime, c.TalkTime+7
	body["call_disposition"], body["call_disposition_id"] = nil, nil
	if c.Agency != "" {
		body["call_disposition"], body["call_disposition_id"] = c.Agency, 51
	}
	body["updated_at"] = zoneless(w.Now().Add(endsAfter))
	return body
}

// recordingURL needs no login: whoever has it can listen.
func (w *World) recordingURL(id int64) string {
	text, err := json.Marshal(id)
	if err != nil {
		panic("alowareworld: an id cannot be encoded: " + err.Error()) // it is a number
	}
	return "https://recordings.example.test/" + string(text) + "/" + w.HexID(8)
}

// summary has no id of its own: the communication's stands inside.
func (w *World) summary(id int64, k *Contact, c Call) map[string]any {
	return map[string]any{
		"summary":       c.Summary,
		"json_summary":  map[string]any{"summary": c.Summary, "action_items": []string{}},
		"transcription": map[string]any{"id": id + 1000000, "text": "Agent: hello. Contact: hello."},
		"contact":       w.view(k),
		"communication": map[string]any{
			"id": id, "contact_id": k.ID, "direction": c.Direction, "type": typeCall, "lead_number": k.Phone,
			"user_id": c.UserID, "created_at": zoneless(w.Now()), "updated_at": zoneless(w.Now()),
		},
	}
}

// SaveAppointment sends the webhook of an appointment; it has no line.
func (w *World) SaveAppointment(phone, notes string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.byPhone(phone)
	if k == nil {
		return 0
	}
	w.lastComm++
	body := w.communication(w.lastComm, typeAppointment, Outbound, k, k.UserID)
	body["campaign_id"], body["notes"] = nil, notes
	body["disposition_status"], body["disposition_status2"] = "set", dispositions["set"]
	w.event("OutboundAppointment", body, 0)
	return w.lastComm
}

package ghlworld

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// Webhooks are tried once and then up to 12 times more. The vendor does not
// publish the delays; ten seconds, doubled up to two hours, is what an older
// copy of its page said.
const (
	retries      = 12
	firstBackoff = 10 * time.Second
	longBackoff  = 2 * time.Hour
)

// Emit sends a signed event of any type with the given fields, wrapped in the
// envelope of the marketplace app.
func (w *World) Emit(event string, fields map[string]any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.emit(event, fields)
}

// emit sends the event flat: fields and envelope on one level.
func (w *World) emit(event string, fields map[string]any) {
	body := map[string]any{"locationId": w.config.LocationID}
	maps.Copy(body, fields)
	body["type"], body["webhookId"], body["timestamp"] = event, w.UUID(), stage.ISO(w.Now())
	body["appId"], body["versionId"] = w.AppID(), w.AppID()
	w.post(event, w.listeners.Events, body)
}

// post signs the exact bytes that travel; a retry sends the same ones.
func (w *World) post(event, url string, body map[string]any) {
	raw, err := json.Marshal(body)
	if err != nil {
		panic("ghlworld: a webhook cannot be encoded: " + err.Error()) // the body is made of JSON values
	}
	header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"HighLevel-Webhooks"}}
	header.Set("X-GHL-Signature", w.sign(raw))
	w.Send(stage.Post{
		Event: event, URL: url, Header: header, Body: raw,
		Retries: retries, Backoff: firstBackoff, MaxBackoff: longBackoff,
	})
}

func (w *World) sign(body []byte) string {
	return base64.StdEncoding.EncodeToString(ed25519.Sign(w.key, body))
}

// Sign returns the X-GHL-Signature of any bytes, for tests that post by themselves.
func (w *World) Sign(body []byte) string { return w.sign(body) }

func (w *World) contactEvent(event string, k *Contact) {
	fields := w.view(k, posted, false)
	if event == "ContactDndUpdate" {
		fields["dndSettings"] = dndView(k, false)
	}
	w.emit(event, fields)
}

func (w *World) noteEvent(event string, n *Note) {
	w.emit(event, map[string]any{
		"id": n.ID, "body": n.Body, "contactId": n.ContactID, "dateAdded": stage.ISO(n.DateAdded),
	})
}

// RunWorkflow sends what the free workflow action "Webhook" sends for a
// contact: snake case, tags as one comma-separated string, no type, no id, no
// signature. custom becomes customData. The secret of Listeners travels as a
// header when there is one. It reports whether the contact exists.
func (w *World) RunWorkflow(contactID, workflow string, custom map[string]any) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.contacts[contactID]
	if k == nil {
		return false
	}
	f := k.Fields
	body := map[string]any{
		"contact_id": k.ID, "first_name": f["firstName"], "last_name": f["lastName"], "full_name": k.name(),
		"email": f["email"], "phone": f["phone"], "tags": strings.Join(k.Tags, ","), "address1": f["address1"],
		"city": f["city"], "state": f["state"], "country": f["country"], "postal_code": f["postalCode"],
		"timezone": f["timezone"], "date_created": stage.ISO(k.DateAdded), "company_name": f["companyName"],
		"website": f["website"], "date_of_birth": f["dateOfBirth"], "contact_source": f["source"],
		"contact_type": "lead", "full_address": strings.TrimSpace(f["address1"] + " " + f["city"]),
		"location":    map[string]any{"id": w.config.LocationID, "name": "Sandbox", "country": "US"},
		"workflow":    map[string]any{"id": w.UUID(), "name": workflow},
		"triggerData": map[string]any{}, "contact": map[string]any{}, "attributionSource": map[string]any{},
		"customData": custom,
	}
	for _, field := range w.config.CustomFields {
		if value, ok := k.Custom[field.ID]; ok {
			body[field.Name] = value
		}
	}
	w.postWorkflow(body)
	return true
}

func (w *World) postWorkflow(body map[string]any) {
	raw, err := json.Marshal(body)
	if err != nil {
		return // custom data that is no JSON; nothing can be sent
	}
	header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"axios/1.7.2"}}
	if secret := w.listeners.WorkflowSecret; secret != "" {
		header.Set("X-GHL-Webhook-Secret", secret)
	}
	w.Send(stage.Post{Event: "workflow", URL: w.listeners.Workflow, Header: header, Body: raw})
}

package broadcasts

import (
	"time"
)

// Figures say how a broadcast went.
type Figures struct {
	Name         string    `json:"name"`
	Channel      string    `json:"channel"`
	SentAt       time.Time `json:"sentAt"`
	Recipients   int64     `json:"recipients"`
	Sent         int64     `json:"sent"`
	Delivered    int64     `json:"delivered"`
	Pending      int64     `json:"pending"`
	Failed       int64     `json:"failed"`
	Bounced      int64     `json:"bounced"`
	OptedOut     int64     `json:"optedOut"`
	Responses    int64     `json:"responses"`
	Appointments int64     `json:"appointments"`
}

// Rates are fractions of one, and 0 where there is nothing to be a fraction of.
type Rates struct {
	Delivery   float64 `json:"deliveryRate"`   // delivered / sent
	Response   float64 `json:"responseRate"`   // responses / delivered
	Failure    float64 `json:"failureRate"`    // (failed + bounced) / (sent + bounced)
	Conversion float64 `json:"conversionRate"` // appointments / responses
}

// Rates returns the rates of the figures. None is above 1, whatever the figures
// say: one response may lead to two appointments, and a late report may count a
// text as delivered that is not counted as sent yet.
func (f Figures) Rates() Rates {
	return Rates{
		Delivery: fraction(f.Delivered, f.Sent), Response: fraction(f.Responses, f.Delivered),
		Failure: fraction(f.Failed+f.Bounced, f.Sent+f.Bounced), Conversion: fraction(f.Appointments, f.Responses),
	}
}

func fraction(part, whole int64) float64 {
	if whole <= 0 || part <= 0 {
		return 0
	}
	return min(1, float64(part)/float64(whole))
}

// Record returns the properties of the record that shows a broadcast in GHL.
func Record(id string, f Figures) map[string]any {
	name, sent := f.Name, ""
	if name == "" {
		name = "Broadcast " + id[:min(8, len(id))]
	}
	if !f.SentAt.IsZero() {
		sent = f.SentAt.UTC().Format(time.RFC3339)
	}
	rates := f.Rates()
	return map[string]any{
		"broadcast_id": id, "broadcast_name": name, "channel": channel(f.Channel), "sent_at": sent,
		"recipients": f.Recipients, "sent": f.Sent, "delivered": f.Delivered, "pending": f.Pending, "failed": f.Failed,
		"responses": f.Responses, "appointments_set": f.Appointments,
		"delivery_rate": rates.Delivery, "response_rate": rates.Response, "failure_rate": rates.Failure, "conversion_rate": rates.Conversion,
	}
}

// channel is how people read it.
func channel(name string) string {
	switch name {
	case "sms", "Sms":
		return "SMS"
	case "email":
		return "Email"
	}
	return name
}

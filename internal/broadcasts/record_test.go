package broadcasts

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// D-91…D-95: rates of the original went above 100 %, and divided by zero.
func TestNoRateIsEverAboveOneOrBelowZero(t *testing.T) {
	count := rapid.Int64Range(-5, 1000)
	rapid.Check(t, func(rt *rapid.T) {
		f := Figures{Sent: count.Draw(rt, "sent"), Delivered: count.Draw(rt, "delivered"), Failed: count.Draw(rt, "failed"),
			Bounced: count.Draw(rt, "bounced"), Responses: count.Draw(rt, "responses"), Appointments: count.Draw(rt, "appointments")}
		r := f.Rates()
		for name, rate := range map[string]float64{"delivery": r.Delivery, "response": r.Response, "failure": r.Failure, "conversion": r.Conversion} {
			if !(rate >= 0 && rate <= 1) {
				rt.Fatalf("%s is %v of %+v", name, rate, f)
			}
		}
	})
}

func TestTheRecordIsWhatIsWrittenDown(t *testing.T) {
	got := Record("bc-uuid-9-long", Figures{Channel: "sms", SentAt: time.Date(2030, 1, 2, 13, 0, 0, 0, time.FixedZone("", 3600)),
		Recipients: 100, Sent: 80, Delivered: 60, Pending: 4, Failed: 10, Bounced: 20, Responses: 30, Appointments: 40})
	for name, want := range map[string]any{
		"broadcast_id": "bc-uuid-9-long", "broadcast_name": "Broadcast bc-uuid-", "channel": "SMS", "sent_at": "2030-01-02T12:00:00Z",
		"recipients": int64(100), "sent": int64(80), "delivered": int64(60), "pending": int64(4), "failed": int64(10), "responses": int64(30),
		"appointments_set": int64(40), "delivery_rate": 0.75, "response_rate": 0.5, "failure_rate": 0.3, "conversion_rate": 1.0,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if len(got) != 15 {
		t.Errorf("%d properties", len(got))
	}
	if empty := Record("x", Figures{}); empty["sent_at"] != "" || empty["delivery_rate"] != 0.0 || empty["broadcast_name"] != "Broadcast x" {
		t.Errorf("%v", empty)
	}
}

package console_test

import (
	"testing"
	"time"
)

// pagesToSee names every page with an address at which it shows the seed.
func (w *world) pagesToSee() map[string]string {
	return map[string]string{
		"overview": "/", "events": "/events", "events-filtered": "/events?status=quarantined&source=ghl", "event": "/events/" + w.events["done"],
		"event-failing": "/events/" + w.events["error"], "event-hostile": "/events/" + w.events["hostile"], "event-binary": "/events/" + w.events["binary"],
		"event-confirm": "/events/" + w.events["done"] + "/replay", "people": "/people", "person": "/people/" + w.person, "person-ended": "/people/" + w.ended,
		"conflicts": "/conflicts", "issues": "/issues", "sync-log": "/sync-log", "agents": "/agents", "agent": "/agents/DANA",
		"agent-delete": "/agents/DANA/delete", "keys": "/keys", "connections": "/connections", "audit": "/audit", "settings": "/settings",
	}
}

func TestTmp(t *testing.T) {
	w := newWorld(t)
	w.seed()
	w.signIn()
	for name, path := range w.pagesToSee() {
		s := time.Now()
		a := w.get(path)
		t.Log(name, a.status, len(a.body), time.Since(s))
		if a.status != 200 {
			t.Log(a.body)
		}
	}
}

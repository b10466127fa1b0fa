package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/store"
)

func (w *world) alert(rule, severity string) string {
	w.t.Helper()
	now := w.clock.now().UTC()
	a := store.Alert{ID: w.id(now), Rule: rule, Subject: "ghl", Severity: severity, State: "open", Summary: "30 of 100 failed " + hostile,
		Times: 1, OpenedAt: now, SeenAt: now, Told: "nothing"}
	w.must(store.InsertAlert(w.t.Context(), w.store, a))
	return a.ID
}

func TestAlertsAreTakenOnAndEndedOnThePageAndOverTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signIn()
	w.has("/alerts", "No alerts")
	first, second := w.alert("error-rate", "critical"), w.alert("backlog", "warning")
	page := w.has("/alerts?state=unresolved", "error-rate", "backlog", "30 of 100 failed", "Acknowledge")
	if strings.Contains(page, hostile) {
		t.Error("the page shows markup that came from elsewhere")
	}
	w.done(w.post("/alerts/"+first+"/ack"), "/alerts")
	w.has("/alerts?state=acknowledged", "error-rate", "by admin")
	w.done(w.post("/alerts/"+first+"/resolve"), "/alerts")
	if got := w.post("/alerts/" + first + "/resolve"); got.status != http.StatusConflict {
		t.Errorf("resolved twice: %d", got.status)
	}
	if got := w.post("/alerts/" + second + "/shout"); got.status != http.StatusBadRequest {
		t.Errorf("shouting: %d", got.status)
	}

	secret := http.Header{auth.AdminHeader: {adminSecret}}
	for _, call := range []struct {
		method, path string
		status       int
		has          string
	}{
		{"GET", "/api/admin/alerts?state=open", 200, `"rule":"backlog"`},
		{"GET", "/api/admin/alerts?state=open&rule=error-rate", 200, `"data":[]`},
		{"GET", "/api/admin/alerts?state=loud", 400, "INVALID_REQUEST"},
		{"GET", "/api/admin/alerts?limit=1", 200, `"nextCursor":"` + second + `"`},
		{"GET", "/api/admin/alerts/" + second, 200, `"state":"open"`},
		{"GET", "/api/admin/alerts/nobody", 404, "NOT_FOUND"},
		{"POST", "/api/admin/alerts/" + second + "/ack", 200, `"acknowledgedBy":"admin"`},
		{"POST", "/api/admin/alerts/" + second + "/resolve", 200, `"state":"resolved"`},
		{"POST", "/api/admin/alerts/" + second + "/ack", 409, "CONFLICT"},
	} {
		if got := w.do(call.method, call.path, nil, secret); got.status != call.status || !strings.Contains(got.body, call.has) {
			t.Errorf("%s %s: %d %s", call.method, call.path, got.status, got.body)
		}
	}
	w.has("/audit", "alert.ack", "alert.resolve")
}

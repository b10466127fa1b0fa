package console_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestRiversOwnPagesStandBehindTheSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	if got := w.get("/jobs/river/"); got.status != http.StatusSeeOther {
		t.Errorf("without a session: %d", got.status)
	}
	w.signIn()
	defer w.console.Stop()
	got := w.get("/jobs/river/")
	if got.status != http.StatusOK || !strings.Contains(got.body, "<title>River") || strings.Contains(got.header.Get("Content-Security-Policy"), "script-src 'self' '") {
		t.Errorf("%d %v %.200s", got.status, got.header, got.body)
	}
	if got := w.get("/jobs/river/api/queues"); got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
		t.Errorf("its API: %d %.200s", got.status, got.body)
	}
	path := "/jobs/river/api/jobs/retry"
	for name, header := range map[string]http.Header{
		"a form": {"Content-Type": {"application/x-www-form-urlencoded"}}, "another site": {"Content-Type": {"application/json"}, "Sec-Fetch-Site": {"cross-site"}},
	} {
		if got := w.do(http.MethodPost, path, nil, header); got.status != http.StatusForbidden {
			t.Errorf("a change from %s: %d", name, got.status)
		}
	}
	if got := w.do(http.MethodPost, path, nil, http.Header{"Content-Type": {"application/json"}}); got.status == http.StatusForbidden {
		t.Errorf("a change of ours: %d", got.status)
	}
	w.has("/audit", "jobs.change")
}

func TestTheJobsPageShowsLanesAndRingsThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	w.has("/jobs", "Lanes with work", "<code>")
	if got := w.post("/jobs/ring"); got.status != http.StatusSeeOther {
		t.Fatalf("%d %.300s", got.status, got.body)
	}
	w.has("/jobs", "bells of")
	w.has("/audit", "jobs.ring")
	status, answer := w.api("GET", "/api/admin/lanes", "")
	data := answer["data"].(map[string]any)
	if status != 200 || data["waitingLanes"].(float64) < 1 || len(data["lanes"].([]any)) < 1 {
		t.Errorf("%d %v", status, answer)
	}
}

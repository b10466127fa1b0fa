package console_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/calls"
	"github.com/df-middleware/dfm/internal/store"
)

// calls keeps calls of the person, one of them with hostile words, and a text.
func (w *world) calls(n int) {
	w.t.Helper()
	now := w.clock.now().UTC()
	w.must(w.store.InTx(w.t.Context(), func(tx store.Tx) error {
		for i := range n {
			facts, err := json.Marshal(calls.Facts{
				calls.Direction: {Value: calls.Inbound, At: now}, calls.Ending: {Value: "missed", At: now}, calls.Talked: {Value: "63", At: now},
				calls.Disposition: {Value: "Left " + hostile, At: now}, calls.Transcript: {Value: "They said " + hostile, At: now},
			})
			if err != nil {
				return err
			}
			at := now.Add(-time.Duration(i) * time.Minute)
			if err := store.SaveCall(w.t.Context(), tx, store.Call{ID: fmt.Sprintf("9%03d", i), PersonID: w.person, Phone: "+15005550111", StartedAt: at,
				Facts: facts, Recording: "v1.sealed", RecordingAt: at, GHLMessageID: "msg-1", GHLNoteID: "note-1", Tags: []string{"Call: Missed"},
				CreatedAt: at, UpdatedAt: at}); err != nil {
				return err
			}
		}
		return store.SaveMessage(w.t.Context(), tx, store.Message{ID: w.id(now), TextingID: "tx-77", GHLID: "ghl-77", PersonID: w.person, From: "+15005550111",
			To: "+15005550199", Direction: "inbound", Source: "texting", Status: "failed", StatusReason: "unreachable " + hostile, OccurredAt: now,
			CreatedAt: now, UpdatedAt: now})
	}))
}

func TestMessagesAndCallsAreListedAndRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.signIn()
	w.has("/messages", "No calls yet")
	w.has("/messages?show=texts", "No texts yet")
	w.calls(55)
	for path, texts := range map[string][]string{
		"/messages":                       {"/calls/9000", "Missed", "inbound", "1m3s", "log note recording", `rel="next"`, "Fox</a>"},
		"/messages?phone=(500)+555-0111":  {"/calls/9000"},
		"/messages?phone=%2B15005550112":  {"No call fits"},
		"/messages?from=2001-01-01T00:00": {"/calls/9000"},
		"/messages?to=2001-01-01T00:00":   {"No call fits"},
		"/messages?personId=" + w.person:  {"/calls/9000"},
		"/messages?show=texts":            {"tx-77", "ghl-77", "failed", "unreachable"},
		"/calls/9000":                     {"Missed call", "They said", "msg-1", "note-1", "Call: Missed", "its address is sealed", "/listen/9000"},
		"/people/" + w.person:             {"/calls/9000", "talked 1m3s"},
	} {
		if page := w.has(path, texts...); strings.Contains(page, hostile) || strings.Contains(page, "v1.sealed") {
			t.Errorf("%s shows somebody's markup or what is sealed", path)
		}
	}
	page := w.get("/messages").body
	next := page[strings.LastIndex(page, "cursor=")+len("cursor="):]
	next = next[:strings.IndexAny(next, `"&`)]
	if older := w.has("/messages?cursor="+next, "/calls/9054"); strings.Contains(older, "/calls/9049\"") {
		t.Error("the second page repeats the first")
	}
	for path, want := range map[string]int{"/messages?cursor=x": http.StatusBadRequest, "/messages?phone=hello": http.StatusBadRequest,
		"/messages?show=texts&from=x": http.StatusBadRequest, "/calls/none": http.StatusNotFound} {
		if got := w.get(path); got.status != want {
			t.Errorf("%s answers %d", path, got.status)
		}
	}
}

func TestTextsAndTheTimelinesCallsAreJSONToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.calls(1)
	admin := http.Header{"X-Df-Admin-Secret": {adminSecret}}
	if got := w.do(http.MethodGet, "/api/admin/messages?phone=%2B15005550199", nil, admin); got.status != http.StatusOK ||
		!strings.Contains(got.body, `"textingMessageId":"tx-77"`) || !strings.Contains(got.body, `"nextCursor":null`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := w.do(http.MethodGet, "/api/admin/messages?limit=1", nil, admin); !strings.Contains(got.body, `"nextCursor":"`) {
		t.Errorf("%s", got.body)
	}
	got := w.do(http.MethodGet, "/api/admin/people/"+w.person+"/timeline", nil, admin)
	if !strings.Contains(got.body, `"kind":"call"`) || !strings.Contains(got.body, `"outcome":"Missed"`) || strings.Contains(got.body, "v1.sealed") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

package console_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// A search in bodies that takes too long says, on the page and in its twin, how far
// back it came, and both lead on to what is older.
func TestASearchThatTakesLongLeadsOn(t *testing.T) {
	w := newWorld(t)
	w.signIn()
	for batch := range 20 {
		var some []store.Delivery
		for i := range store.MaxBatch {
			n, body := batch*store.MaxBatch+i, `{"note":"nothing"}`
			if n == 0 {
				body = `{"note":"Needle"}`
			}
			at := w.clock.now().Add(time.Duration(n-2000) * time.Minute)
			some = append(some, store.Delivery{DedupeKey: fmt.Sprint(n), DedupeUntil: at, Event: df.Event{ID: fmt.Sprintf("old-%04d", n), ReceivedAt: at, Source: df.SourceGHL, Route: "ghl",
				Status: df.Pending, Verified: "test", Raw: []byte(body), Notice: df.Notice{Type: "ContactUpdate", EntityType: "contact", EntityID: "c"}}})
		}
		_, err := w.store.Accept(t.Context(), some, w.clock.now())
		w.must(err)
	}
	w.clock.stride.Store(int64(time.Second))

	var twin struct {
		Data       []struct{ ID string }
		NextCursor *string
		SearchedTo *time.Time
	}
	ask := func(path string) {
		t.Helper()
		twin.NextCursor, twin.SearchedTo = nil, nil
		got := w.do(http.MethodGet, path, nil, http.Header{"X-Df-Admin-Secret": {adminSecret}})
		w.must(json.Unmarshal([]byte(got.body), &twin))
	}
	ask("/api/admin/events?q=needle")
	if len(twin.Data) != 0 || twin.NextCursor == nil || twin.SearchedTo == nil {
		t.Fatalf("a search that took long says %+v", twin)
	}
	stops := 1
	for ; twin.NextCursor != nil && stops < 20; stops++ {
		if len(twin.Data) > 0 || twin.SearchedTo == nil {
			t.Errorf("stop %d says %+v", stops, twin)
		}
		ask("/api/admin/events?q=needle&cursor=" + *twin.NextCursor)
	}
	if len(twin.Data) != 1 || twin.Data[0].ID != "old-0000" || twin.NextCursor != nil || twin.SearchedTo != nil || stops < 3 {
		t.Errorf("going on %d times finds %+v", stops, twin)
	}

	page := w.get("/events?q=needle").body
	on := regexp.MustCompile(`href="(/events[^"]*cursor=[^"]*)">Search on from there`).FindStringSubmatch(page)
	if !strings.Contains(page, "Nothing found yet") || !strings.Contains(page, "searched back to") || on == nil {
		t.Fatalf("the page does not say how far it came: %.2000s", page)
	}
	w.clock.stride.Store(0)
	w.has(strings.ReplaceAll(on[1], "&amp;", "&"), "old-0000")
}

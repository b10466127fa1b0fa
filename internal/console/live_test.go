package console_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
)

// hear opens the browser's live stream and returns its lines; the channel closes
// with the stream.
func (w *world) hear(ctx context.Context) (int, <-chan string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URL+"/live", nil)
	w.must(err)
	response, err := w.browser.Do(r)
	w.must(err)
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		defer func() { _ = response.Body.Close() }()
		for in := bufio.NewScanner(response.Body); in.Scan(); {
			lines <- in.Text()
		}
	}()
	return response.StatusCode, lines
}

// until returns the first line with the prefix; it fails when the stream ends.
func until(t *testing.T, lines <-chan string, prefix string) string {
	t.Helper()
	for line := range lines {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			return rest
		}
	}
	t.Fatalf("the stream ended before %q", prefix)
	return ""
}

func TestTheLiveStreamNamesTheTopicsThatChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signIn()
	status, lines := w.hear(t.Context())
	if status != http.StatusOK {
		t.Fatalf("%d", status)
	}
	until(t, lines, "retry: ")
	w.console.Listened(t)
	w.event("arrived", w.clock.now())
	if topics := until(t, lines, "data: "); topics != "events" {
		t.Errorf("an event arrived, and %q changed", topics)
	}
	w.post("/agents", "key", "DANA")
	if topics := until(t, lines, "data: "); topics != "audit people" {
		t.Errorf("something was audited, and %q changed", topics)
	}
}

func TestTheLiveStreamEndsWithTheSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got := w.get("/live"); got.status != http.StatusSeeOther {
		t.Errorf("without a session: %d", got.status)
	}
	w.signIn()
	_, lines := w.hear(t.Context())
	until(t, lines, "retry: ")
	w.post("/sign-out")
	for range lines { // until it ends
	}
	w.signIn()
	_, lines = w.hear(t.Context())
	until(t, lines, "retry: ")
	w.console.Stop()
	for range lines {
	}
	if got := w.get("/live"); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("after the stop: %d", got.status)
	}
}

func TestASessionHasAFewStreamsAndTheOldestEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signIn()
	_, first := w.hear(t.Context())
	until(t, first, "retry: ")
	for range 4 {
		_, lines := w.hear(t.Context())
		until(t, lines, "retry: ")
	}
	for range first {
	}
}

package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// River says four times a second that the database is gone.
func TestALibrarysComplaintIsLoggedOnceAMinute(t *testing.T) {
	now := time.Unix(0, 0)
	var out bytes.Buffer
	log := slog.New(newSparing(slog.NewTextHandler(&out, nil), func() time.Time { return now }))
	for range 240 {
		log.With("queue", "events").Error("cannot fetch")
		log.WithGroup("g").Error("cannot listen", "try", 1)
		now = now.Add(time.Second / 2)
	}
	for _, text := range []string{"cannot fetch", "cannot listen"} {
		if n := strings.Count(out.String(), text); n != 2 {
			t.Errorf("%q was logged %d times in two minutes", text, n)
		}
	}
	if !strings.Contains(out.String(), "queue=events") || !strings.Contains(out.String(), "g.try=1") {
		t.Errorf("attributes got lost: %s", out.String())
	}
}

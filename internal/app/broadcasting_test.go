package app

import (
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// A timestamp in the future would make all later figures look old: one wrong clock
// froze a broadcast for good.
func TestAnAnnouncementIsNeverTruerThanItsReceipt(t *testing.T) {
	t.Parallel()
	received := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct{ said, want time.Time }{
		"before":  {received.Add(-time.Minute), received.Add(-time.Minute)},
		"future":  {received.Add(365 * 24 * time.Hour), received},
		"at once": {received, received},
		"nothing": {time.Time{}, received},
	} {
		e := df.Event{ID: "e", ReceivedAt: received, Raw: []byte(`{"analytics":{"sent":3}}`)}
		e.Notice.OccurredAt = c.said
		if a := announcementIn(e); !a.At.Equal(c.want) || a.EventID != "e" || a.Figures == nil || a.Figures.Sent != 3 {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

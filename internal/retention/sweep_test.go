package retention

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

var noon = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

// fill stores n finished events of each of two sources and n lines of the audit
// log, all received at the given time.
func fill(t *testing.T, s *store.Store, n int, at time.Time) {
	t.Helper()
	ids := df.IDs(func() time.Time { return at })
	for i := range n {
		for _, source := range []df.Source{df.SourceGHL, df.SourceTexting} {
			key := fmt.Sprint(source, at, i)
			_, err := s.Accept(t.Context(), []store.Delivery{{DedupeKey: key, DedupeUntil: at, Event: df.Event{
				ID: ids(), Source: source, ReceivedAt: at, Status: df.Skipped, DedupeKey: key, Raw: []byte(`{"a":1}`)}}}, at)
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Audit(t.Context(), store.AuditRow{At: at, Actor: "kim", Action: "test"}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestASweepForgetsBySourceAndByClass(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		fill(t, s, 3, noon.Add(-100*day))
		fill(t, s, 3, noon.Add(-20*day))
		fill(t, s, 3, noon)
		pauses := 0
		sweeper := Sweeper{Store: s, Clock: func() time.Time { return noon }, Batch: 2,
			Pause:  func(context.Context) error { pauses++; return nil },
			Policy: Policy{Payloads: map[df.Source]time.Duration{df.SourceGHL: 10 * day, df.SourceTexting: 0}, History: 90 * day, Records: 0}}
		swept, err := sweeper.Sweep(t.Context())
		if err != nil || fmt.Sprint(swept) != "map[bodies of ghl:6 webhook_events:6]" {
			t.Errorf("%v, %v", swept, err)
		}
		if pauses == 0 {
			t.Error("nobody else had a turn")
		}
		if swept, err = sweeper.Sweep(t.Context()); err != nil || len(swept) != 0 {
			t.Errorf("a second sweep: %v, %v", swept, err)
		}
		sweeper.Policy.Records = 50 * day
		if swept, err = sweeper.Sweep(t.Context()); err != nil || fmt.Sprint(swept) != "map[audit_log:3]" {
			t.Errorf("with an age for records: %v, %v", swept, err)
		}
	})
}

func TestASweepThatIsInterruptedSaysWhatItDid(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	fill(t, s, 5, noon.Add(-100*day))
	enough := errors.New("enough")
	sweeper := Sweeper{Store: s, Clock: func() time.Time { return noon }, Batch: 2,
		Pause: func(context.Context) error { return enough }, Policy: Policy{History: 90 * day}}
	swept, err := sweeper.Sweep(t.Context())
	if !errors.Is(err, enough) || swept["webhook_events"] != 2 {
		t.Errorf("%v, %v", swept, err)
	}
}

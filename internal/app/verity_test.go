package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/broadcasts"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/sandbox/stage"
	"github.com/df-middleware/dfm/internal/store"
)

// What GHL tells us is passed on byte for byte, once, whatever becomes of it here.
func TestGHLsWebhooksArePassedOn(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		settle(t, w.World, w.app)
		before := len(w.Verity.Forwards())
		c, err := w.GHL.CreateContact(map[string]string{"firstName": "Dana", "phone": customerPhone})
		if err != nil {
			t.Fatal(err)
		}
		settle(t, w.World, w.app)
		eventually(t, 10*time.Second, func() error {
			counts, err := w.app.store.ForwardCounts(t.Context())
			if err != nil || len(counts) != 0 {
				return fmt.Errorf("%v, %v", counts, err)
			}
			return nil
		})
		keys := map[string]bool{}
		for _, f := range w.Verity.Forwards()[before:] {
			if !f.Verified || keys[f.Key] || f.Header.Get("X-Middleware-Forwarded") != "true" || f.Header.Get("X-Middleware-Secret") != "" {
				t.Errorf("%+v", f)
			}
			keys[f.Key] = true
			e, err := w.app.store.Event(t.Context(), f.Key)
			if err != nil || !bytes.Equal(e.Raw, f.Body) || f.Header.Get("X-Ghl-Signature") == "" {
				t.Errorf("%s: %v, %v", f.Key, err, f.Header)
			}
		}
		if len(keys) == 0 {
			t.Errorf("nothing about %s was passed on", c.ID)
		}
	})
}

// Verity's refusal and its being down hold back no lane, and are seen.
func TestAForwardThatFailsIsSeenAndTriedAgainByHand(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		settle(t, w.World, w.app)
		w.Verity.SetMischief(stage.Mischief{Operations: []string{"forward webhook"}, ServerError: 1})
		if _, err := w.GHL.CreateContact(map[string]string{"firstName": "Dana", "phone": customerPhone}); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, func() error {
			if _, ok := w.Aloware.Contact(customerPhone); !ok {
				return errors.New("the lane waits for Verity")
			}
			return nil
		})
		var id string
		eventually(t, 10*time.Second, func() error {
			rows, err := w.app.store.Forwards(t.Context(), store.ForwardFilter{Status: store.ForwardFailed, Limit: 1})
			if err != nil || len(rows) == 0 {
				return fmt.Errorf("%v, %v", rows, err)
			}
			id = rows[0].EventID
			return nil
		})
		if status, body := w.asks(t, "/api/admin/forwards/"+id+"/retry", nil); status != http.StatusConflict {
			t.Errorf("one that is still tried: %d %s", status, body)
		}
		task := w.app.forwardTask()
		if err := task.Run(t.Context(), id, true); err == nil {
			t.Error("no error")
		}
		if f, err := store.ForwardOf(t.Context(), w.app.store, id); err != nil || f.Status != store.ForwardGivenUp || f.Error == "" {
			t.Fatalf("%+v, %v", f, err)
		}
		if status, body := w.admin(t, "/api/admin/forwards?status=given_up"); status != 200 || !bytes.Contains(body, []byte(id)) {
			t.Errorf("%d %s", status, body)
		}
		w.Verity.SetMischief(stage.Mischief{})
		if status, body := w.asks(t, "/api/admin/forwards/"+id+"/retry", nil); status != 200 {
			t.Errorf("%d %s", status, body)
		}
		eventually(t, 10*time.Second, func() error {
			if f, err := store.ForwardOf(t.Context(), w.app.store, id); err != nil || f.Status != store.ForwardDone {
				return fmt.Errorf("%+v, %v", f, err)
			}
			return nil
		})
		w.diedOnItsLastTry(t, id)
		for path, want := range map[string]int{"/api/admin/forwards?status=odd": 400, "/api/admin/forwards?limit=1": 200} {
			if status, body := w.admin(t, path); status != want {
				t.Errorf("%s: %d %s", path, status, body)
			}
		}
		if status, _ := w.asks(t, "/api/admin/forwards/none/retry", nil); status != http.StatusNotFound {
			t.Errorf("%d", status)
		}
		if err := task.Run(t.Context(), "none", false); err != nil {
			t.Errorf("an event that is not there any more: %v", err)
		}
	})
}

// diedOnItsLastTry leaves a forward without a job, as a process does that dies
// then: it can be tried again by hand, and is given up by itself.
func (w textingWorld) diedOnItsLastTry(t *testing.T, id string) {
	t.Helper()
	old := w.app.clock().Add(-48 * time.Hour)
	forget := func() {
		eventually(t, 10*time.Second, func() error { // no job is left, as with a process that died
			var left int
			err := w.app.store.Row(t.Context(), "SELECT count(*) FROM river_job WHERE kind = 'task' AND state NOT IN ('completed', 'cancelled', 'discarded')").Scan(&left)
			if err != nil || left > 0 {
				return fmt.Errorf("%d jobs, %v", left, err)
			}
			return nil
		})
		if _, err := w.app.store.Exec(t.Context(), "UPDATE forwards SET status = 'failed', updated_at = $2 WHERE event_id = $1", id, old); err != nil {
			t.Fatal(err)
		}
	}
	forget()
	if status, body := w.asks(t, "/api/admin/forwards/"+id+"/retry", nil); status != 200 {
		t.Errorf("one of which nothing is heard: %d %s", status, body)
	}
	eventually(t, 10*time.Second, func() error {
		if f, err := store.ForwardOf(t.Context(), w.app.store, id); err != nil || f.Status != store.ForwardDone {
			return fmt.Errorf("%+v, %v", f, err)
		}
		return nil
	})
	forget()
	if err := w.app.prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f, err := store.ForwardOf(t.Context(), w.app.store, id); err != nil || f.Status != store.ForwardGivenUp || f.Error == "" {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestABroadcastBecomesOneRecord(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		w.Verity.SetAnalytics("b1", map[string]any{"name": "Spring", "channel": "sms", "sent": 80, "delivered": 60, "responses": 30, "appointments": 40})
		w.Verity.PostBroadcast("analytics_updated", "b1", map[string]any{"sent": 10, "delivered": 10})
		w.Verity.PostBroadcast("broadcast_completed", "b1", nil)
		settle(t, w.World, w.app)
		eventually(t, 10*time.Second, func() error {
			records := w.GHL.Records("custom_objects.broadcasts")
			if len(records) != 1 {
				return fmt.Errorf("%d records", len(records))
			}
			p := records[0].Properties
			if got := fmt.Sprintf("%v %v %v %v", p["broadcast_name"], p["sent"], p["delivery_rate"], p["conversion_rate"]); got != "Spring 80 0.75 1" {
				return fmt.Errorf("%v: %v", got, p)
			}
			return nil
		})
		if status, body := w.admin(t, "/api/admin/broadcasts/b1"); status != 200 || !bytes.Contains(body, []byte(`"deliveryRate":0.75`)) {
			t.Errorf("%d %s", status, body)
		}
		w.Verity.SetAnalytics("b1", map[string]any{"name": "Spring", "sent": 90, "delivered": 90})
		if status, body := w.asks(t, "/api/admin/broadcasts/b1/refresh", nil); status != 200 {
			t.Errorf("%d %s", status, body)
		}
		eventually(t, 10*time.Second, func() error {
			if got := fmt.Sprint(w.GHL.Records("custom_objects.broadcasts")[0].Properties["sent"]); got != "90" {
				return errors.New(got)
			}
			return nil
		})
		if status, _ := w.asks(t, "/api/admin/broadcasts/none/refresh", nil); status != http.StatusNotFound {
			t.Errorf("%d", status)
		}
		if status, body := w.admin(t, "/api/admin/broadcasts"); status != 200 || !strings.Contains(string(body), `"nextCursor":null`) {
			t.Errorf("%d %s", status, body)
		}
		calls := w.World.Calls()["ghl"]
		if made, changed := calls["create record"], calls["update record"]; made != 1 || changed < 1 || changed > 2 {
			t.Errorf("%d records were made and %d times changed: %v", made, changed, calls)
		}
	})
}

// gated is Verity's figures, whose first answer waits for the gate.
type gated struct {
	broadcasts.Source
	asked   atomic.Int64
	entered chan struct{}
	gate    chan struct{}
}

func (g *gated) Figures(ctx context.Context, id string) (broadcasts.Figures, error) {
	if g.asked.Add(1) == 1 {
		close(g.entered)
		select {
		case <-g.gate:
		case <-ctx.Done():
			return broadcasts.Figures{}, ctx.Err()
		}
	}
	return g.Source.Figures(ctx, id)
}

// Announcements that arrive while a broadcast's figures are being fetched are not
// lost, and do not cost a run each: whatever waits in the lane is one turn.
func TestWhatArrivesDuringABroadcastsRunCostsExactlyOneRunMore(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		g := &gated{Source: w.app.sync.broadcasts.Verity, entered: make(chan struct{}), gate: make(chan struct{})}
		w.app.sync.broadcasts.Verity = g
		w.Verity.SetAnalytics("b1", map[string]any{"name": "Spring", "channel": "sms", "sent": 80, "delivered": 60})
		post := func(n int) {
			w.Verity.PostBroadcast("analytics_updated", "b1", nil)
			eventually(t, 10*time.Second, func() error {
				events, err := w.app.store.Events(t.Context(), store.EventFilter{Source: df.SourceBroadcast, Limit: 50})
				if err == nil && len(events) != n {
					err = fmt.Errorf("%d of %d arrived", len(events), n)
				}
				return err
			})
		}
		post(1)
		<-g.entered
		for n := range 5 {
			post(n + 2)
		}
		w.Verity.SetAnalytics("b1", map[string]any{"name": "Spring", "channel": "sms", "sent": 90, "delivered": 90})
		close(g.gate)
		settle(t, w.World, w.app)
		if n := g.asked.Load(); n != 2 {
			t.Errorf("six announcements, five of them during the first run, cost %d runs", n)
		}
		events, err := w.app.store.Events(t.Context(), store.EventFilter{Source: df.SourceBroadcast, Status: df.Done, Limit: 50})
		if records := w.GHL.Records("custom_objects.broadcasts"); err != nil || len(events) != 6 || len(records) != 1 || fmt.Sprint(records[0].Properties["sent"]) != "90" {
			t.Errorf("%d done, %v, %v", len(events), records, err)
		}
	})
}

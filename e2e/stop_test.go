package e2e_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// SIGTERM in the middle of work: what runs is finished, what waits is left for
// the next start, nothing is lost, whoever posts is answered or refused.
func TestStoppingFinishesOrHandsBack(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		world, env := newWorld(t)
		p := serve(t, env.with(basics(databaseURL, t.TempDir())))
		contacts := makeCrowd(t, world, 60)
		var calls atomic.Int64
		busy := make(chan struct{})
		release := make(chan struct{})
		world.GHL.Intercept(func(http.ResponseWriter, *http.Request) bool {
			if calls.Add(1) == 3 {
				close(busy)
			}
			<-release
			return false
		})
		for i, id := range contacts {
			d := fromGHL(world, "ContactUpdate", map[string]any{"id": id, "phone": phone(i)})
			if got := d.mustPost(t, p.web()); got.status != http.StatusOK {
				t.Fatalf("answered %d %s", got.status, got.body)
			}
		}
		<-busy
		stopped := make(chan time.Duration)
		go func() { stopped <- p.stop() }()
		eventually(t, 10*time.Second, func() error {
			if p.said("stopping") == 0 {
				return fmt.Errorf("the process has not heard")
			}
			return nil
		})
		close(release)
		if took := <-stopped; took > 25*time.Second {
			t.Errorf("stopping took %v", took)
		}
		world.GHL.Intercept(nil)
		db := database(t, databaseURL)
		if n := number(t, db, `SELECT count(*) FROM webhook_events WHERE status = 'processing'`); n > 0 {
			t.Errorf("%d events are still marked as in work", n)
		}
		if n := number(t, db, `SELECT count(*) FROM lanes WHERE lease_until IS NOT NULL`); n > 0 {
			t.Errorf("%d lanes are still leased", n)
		}
		p.start()
		p.quiet(30 * time.Second)
		if n := number(t, db, `SELECT count(*) FROM webhook_events WHERE status = 'done'`); n != len(contacts) {
			t.Errorf("%d of %d events are done", n, len(contacts))
		}
		if n := len(world.Aloware.Contacts()); n != len(contacts) {
			t.Errorf("%d contacts reached Aloware", n)
		}
	})
}

// An upstream that hangs does not keep the process from ending in time; the
// event is handed back and done after the next start.
func TestStoppingDoesNotWaitForAHangingUpstream(t *testing.T) {
	t.Parallel()
	world, env := newWorld(t)
	databaseURL := sqliteURL(t)
	p := serve(t, env.with(basics(databaseURL, t.TempDir())))
	contact := makeCrowd(t, world, 1)[0]
	busy := make(chan struct{}, 100)
	world.GHL.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		busy <- struct{}{}
		<-r.Context().Done()
		return true
	})
	d := fromGHL(world, "ContactUpdate", map[string]any{"id": contact, "phone": phone(0)})
	if got := d.mustPost(t, p.web()); got.status != http.StatusOK {
		t.Fatalf("answered %d %s", got.status, got.body)
	}
	<-busy
	if took := p.stop(); took > 25*time.Second {
		t.Errorf("stopping took %v", took)
	}
	world.GHL.Intercept(nil)
	p.start()
	p.quiet(30 * time.Second)
	if _, ok := world.Aloware.Contact(phone(0)); !ok {
		t.Error("the event was lost with the stop")
	}
}

package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/store"
)

const (
	flood   = 2000 // webhooks
	crowd   = 40   // contacts that they are about
	kills   = 5
	senders = 16
)

// Invariants 1 and 2: the process is killed five times while 2,000 webhooks
// arrive. The original answered first and stored later, or never.
func TestKillNineLosesNothingThatWasAnswered(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		world, env := newWorld(t)
		p := serve(t, env.with(basics(databaseURL, t.TempDir())))
		db := database(t, databaseURL)
		f := newFlood(t, world, p)
		var sending sync.WaitGroup
		sending.Go(f.send)
		for round := range kills {
			want := int64(flood * (round + 1) / (kills + 1))
			eventually(t, 60*time.Second, func() error {
				if n := f.answered.Load(); n < want {
					return fmt.Errorf("%d webhooks are answered, waiting for %d", n, want)
				}
				return nil
			})
			p.kill()
			f.booksBalance(db)
			p.start()
		}
		sending.Wait()
		f.booksBalance(db)
		f.eachIsThereOnce(db)
		last := time.Now()
		p.quiet(75 * time.Second)
		t.Logf("all events ended %v after the last webhook", time.Since(last).Round(100*time.Millisecond))
		f.booksBalance(db)
		f.eachIsThereOnce(db)
		if n := number(t, db, `SELECT count(*) FROM webhook_events WHERE status NOT IN ('done', 'skipped')`); n > 0 {
			t.Errorf("%d events did not end well", n)
		}
	})
}

// inundation is 2,000 webhooks on their way.
type inundation struct {
	t          *testing.T
	p          *process
	deliveries []delivery
	ids        []atomic.Pointer[string] // of the event, as it was answered
	answered   atomic.Int64
}

func newFlood(t *testing.T, world *sandbox.World, p *process) *inundation {
	f := &inundation{t: t, p: p, deliveries: make([]delivery, flood), ids: make([]atomic.Pointer[string], flood)}
	type pair struct {
		ghl     string
		aloware int64
	}
	pairs := make([]pair, crowd)
	for i := range pairs {
		g, err := world.GHL.CreateContact(map[string]string{"firstName": "Ada", "phone": phone(i)})
		if err != nil {
			t.Fatal(err)
		}
		a, err := world.Aloware.CreateContact(phone(i), map[string]string{"first_name": "Ada"})
		if err != nil {
			t.Fatal(err)
		}
		pairs[i] = pair{g.ID, a.ID}
	}
	for i := range f.deliveries {
		who := pairs[i%crowd]
		if i%2 == 0 {
			f.deliveries[i] = fromGHL(world, "ContactUpdate", map[string]any{"id": who.ghl, "phone": phone(i % crowd)})
			continue
		}
		f.deliveries[i] = fromAloware("Contact-Updated", map[string]any{
			"id": who.aloware, "phone_number": phone(i % crowd), "notes": fmt.Sprint("delivery ", i),
		})
	}
	return f
}

// send posts all webhooks, every tenth twice, until each is answered.
func (f *inundation) send() {
	indexes := make(chan int)
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			for i := range indexes {
				f.insist(i)
			}
		})
	}
	for i := range f.deliveries {
		indexes <- i
		if i%10 == 0 {
			indexes <- i
		}
	}
	close(indexes)
	sending.Wait()
}

// insist sends one webhook until it is answered with 2xx, as GHL does.
func (f *inundation) insist(i int) {
	ctx, cancel := context.WithTimeout(f.t.Context(), 60*time.Second)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		got, err := f.deliveries[i].post(ctx, f.p.web())
		if err == nil && got.status == http.StatusOK {
			f.accept(i, got)
			return
		}
		select {
		case <-ctx.Done():
			f.t.Errorf("webhook %d was not answered: %d %s, %v", i, got.status, got.body, err)
			return
		case <-ticker.C:
		}
	}
}

func (f *inundation) accept(i int, got reply) {
	switch before := f.ids[i].Load(); {
	case got.EventID == "":
		f.t.Errorf("webhook %d was answered %s without an event id", i, got.body)
	case f.ids[i].CompareAndSwap(before, &got.EventID) && before == nil:
		f.answered.Add(1)
	case *f.ids[i].Load() != got.EventID:
		f.t.Errorf("webhook %d became two events", i)
	}
}

// booksBalance holds what is stored against what was answered before.
func (f *inundation) booksBalance(db store.Engine) {
	f.t.Helper()
	answered := int(f.answered.Load())
	total := number(f.t, db, `SELECT count(*) FROM webhook_events`)
	known := number(f.t, db, `SELECT count(*) FROM webhook_events
		WHERE status IN ('pending', 'processing', 'done', 'skipped', 'error', 'quarantined')`)
	if total < answered || total > flood {
		f.t.Errorf("%d webhooks were answered, %d of %d are stored", answered, total, flood)
	}
	if known != total {
		f.t.Errorf("%d events, but %d over all statuses", total, known)
	}
	orphans := number(f.t, db, `SELECT count(*) FROM webhook_events e
		WHERE e.status IN ('pending', 'processing', 'error') AND NOT EXISTS (SELECT 1 FROM lanes l WHERE l.key = e.lane AND l.queued > 0)`)
	if orphans > 0 {
		f.t.Errorf("%d open events are in no lane that has work", orphans)
	}
}

// eachIsThereOnce finds every webhook, byte for byte, in one row with the id
// that its sender was told.
func (f *inundation) eachIsThereOnce(db store.Engine) {
	f.t.Helper()
	rows := map[string][]string{}
	err := db.Each(f.t.Context(), `SELECT payload_json, id FROM webhook_events`, nil, func(row store.Row) error {
		var body, id string
		err := row.Scan(&body, &id)
		rows[body] = append(rows[body], id)
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	for i, d := range f.deliveries {
		stored, told := rows[string(d.body)], f.ids[i].Load()
		if told == nil || len(stored) != 1 || stored[0] != *told {
			f.t.Errorf("webhook %d was told %v and is stored as %v", i, told, stored)
		}
	}
}

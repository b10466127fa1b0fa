package app

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// The original had no sweep: a contact whose webhook was lost did not exist.
func TestAReconcileMeetsContactsThatNobodyAnnounced(t *testing.T) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		world := newWorld(t, sandbox.Config{})
		a := build(t, world, databaseURL, time.Now, nil)
		start(t, world, a)
		world.Connect("http://127.0.0.1:9") // nobody hears of anything
		contacts := makePeople(t, world, 30)
		world.DropPending()
		asked, err := a.sync.SyncAll(t.Context())
		if err != nil || asked != len(contacts) {
			t.Fatalf("asked for %d people, %v", asked, err)
		}
		idle(t, a)
		for _, p := range contacts {
			if _, ok := world.Aloware.Contact(p.phone); !ok {
				t.Errorf("contact %s did not reach Aloware", p.id)
			}
		}
		if err := world.GHL.DeleteContact(contacts[0].id); err != nil {
			t.Fatal(err)
		}
		if asked, err := a.sync.SyncAll(t.Context()); err != nil || asked != len(contacts) {
			t.Errorf("the second time asked for %d people, %v", asked, err)
		}
	})
}

// More contacts than one page holds are all met, each once, and the search
// index's lag brings nobody back who was deleted meanwhile.
func TestASweepReadsEveryPage(t *testing.T) {
	world := newWorld(t, sandbox.Config{})
	a := build(t, world, databases()["sqlite"](t), time.Now, nil)
	t.Cleanup(func() { stop(t, a) })
	if err := a.prepareStore(t.Context()); err != nil {
		t.Fatal(err)
	}
	const many = 2*sweepPage + 20
	makePeople(t, world, many)
	for range 2 {
		if err := a.sync.discover(t.Context()); err != nil {
			t.Fatal(err)
		}
		var people int64
		if err := a.store.Row(t.Context(), `SELECT count(*) FROM contact_mappings`).Scan(&people); err != nil || people != many {
			t.Errorf("%d contacts became %d people, %v", many, people, err)
		}
	}
	if err := a.sync.meetListed(t.Context(), "GoneSinceTheIndex001"); err != nil {
		t.Errorf("a contact that only the index has: %v", err)
	}
}

// GHL's search being down keeps nobody from being reconciled who is known.
func TestAReconcileWithoutGHLsListAsksForThoseWhoAreKnown(t *testing.T) {
	world := newWorld(t, sandbox.Config{})
	a := build(t, world, databases()["sqlite"](t), time.Now, nil)
	start(t, world, a)
	people := makePeople(t, world, 3)
	settle(t, world, a)
	world.GHL.SetMischief(stage.Mischief{Operations: []string{"search contacts"}, ServerError: 1})
	if err := world.Aloware.EditContact(people[0].phone, map[string]string{"city": "Waco"}); err != nil {
		t.Fatal(err)
	}
	asked, err := a.sync.SyncAll(t.Context())
	var call *df.CallError
	if asked != len(people) || !errors.As(err, &call) {
		t.Errorf("asked for %d of %d, %v", asked, len(people), err)
	}
	eventually(t, 10*time.Second, func() error {
		if c, _ := world.GHL.Contact(people[0].id); c.Fields["city"] != "Waco" {
			return fmt.Errorf("GHL has the city %q", c.Fields["city"])
		}
		return nil
	})
}

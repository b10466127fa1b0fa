package app

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/reconcile"
	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/sandbox/stage"
	"github.com/df-middleware/dfm/internal/store"
)

// swept is a world whose webhooks can be lost, and the program in it.
type swept struct {
	*testing.T
	world  *sandbox.World
	app    *App
	clock  *skipping
	people []someone
}

// newSwept starts with so many people who agree on both sides, and from then on
// loses every webhook.
func newSwept(t *testing.T, databaseURL string, people int) *swept {
	s := &swept{T: t, clock: &skipping{}}
	s.world = newWorld(t, sandbox.Config{Clock: s.clock.now})
	s.app = build(t, s.world, databaseURL, s.clock.now, nil)
	start(t, s.world, s.app)
	s.people = makePeople(t, s.world, people)
	settle(t, s.world, s.app)
	s.world.Connect("http://127.0.0.1:9")
	s.clock.skip(10 * time.Minute)
	return s
}

func (s *swept) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// lose forgets the webhooks under way.
func (s *swept) lose() { s.world.DropPending() }

func (s *swept) sweep() {
	s.Helper()
	_, err := s.app.sweeps.desk.Sweep(s.Context())
	s.must(err)
	idle(s, s.app)
}

func (s *swept) measure() {
	s.Helper()
	_, err := s.app.sweeps.desk.Measure(s.Context())
	s.must(err)
}

// drift is what the report says: differences by person and field, and reasons.
func (s *swept) drift() map[string]string {
	s.Helper()
	rows, err := s.app.store.DriftRows(s.Context(), store.DriftFilter{Limit: 1000})
	s.must(err)
	named := map[string]string{}
	for _, r := range rows {
		named[r.Subject+" "+string(r.Field)] = r.Reason
	}
	return named
}

// writes counts the calls that changed a contact on either side.
func (s *swept) writes() (total int) {
	return (&storm{world: s.world}).writes()
}

// personOf is our id of somebody.
func (s *swept) personOf(p someone) string {
	s.Helper()
	person, known, err := s.app.sync.converger.People.Known(s.Context(), df.SideGHL, p.id)
	if err != nil || !known {
		s.Fatalf("nobody has the contact %s: %v", p.id, err)
	}
	return person.ID
}

// D-90: the original called any failed read "drift" and any write a "repair", had
// no cursor and was never run. Here N planted differences are named, exactly; a
// sweep takes them away, and another one writes nothing.
func TestPlantedDifferencesAreNamedAndASweepTakesThemAway(t *testing.T) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		s := newSwept(t, databaseURL, 12)
		want := map[string]string{}
		plant := func(i int, field string) { want[s.personOf(s.people[i])+" "+field] = store.DriftUnexplained }
		for i := range 3 {
			s.must(s.world.GHL.EditContact(s.people[i].id, map[string]string{"city": "Waco", "firstName": "Bea"}))
			plant(i, "city")
			plant(i, "firstName")
		}
		for i := 3; i < 6; i++ {
			s.must(s.world.Aloware.EditContact(s.people[i].phone, map[string]string{"last_name": "Lovelace"}))
			plant(i, "lastName")
		}
		s.must(s.world.GHL.AddTags(s.people[6].id, "Hot"))
		plant(6, "tags")
		s.must(s.world.GHL.EditContact(s.people[7].id, map[string]string{"firstName": " Ada"})) // a spelling is no difference
		stranger, err := s.world.GHL.CreateContact(map[string]string{"firstName": "Zoe", "phone": "+12025559001"})
		s.must(err)
		want["ghl:"+stranger.ID+" "] = store.DriftUnexplained
		s.lose()

		before := s.writes()
		s.measure()
		if got := s.drift(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the report names\n%v, planted were\n%v", got, want)
		}
		if n := s.writes() - before; n > 0 {
			t.Errorf("measuring wrote %d times", n)
		}
		s.sweep()
		s.lose()
		if got := s.drift(); len(got) > 0 {
			t.Errorf("after a sweep the report names %v", got)
		}
		if there, ok := s.world.Aloware.Contact("+12025559001"); !ok || there.Fields["first_name"] != "Zoe" {
			t.Errorf("the contact that nobody announced is in Aloware: %v", ok)
		}
		before = s.writes()
		s.sweep()
		if n := s.writes() - before; n > 0 {
			t.Errorf("a second sweep wrote %d times: %v", n, s.world.Calls())
		}
	})
}

// missed counts what the report says of a source's webhooks.
func (s *swept) missed(source df.Source, kind df.Kind) (found store.MissedCount) {
	s.Helper()
	counts, err := s.app.store.MissedCounts(s.Context(), time.Time{})
	s.must(err)
	for _, c := range counts {
		if c.Source == source && c.Kind == kind {
			return c
		}
	}
	return found
}

// A webhook that was lost is counted, by source and kind, once; one that was only
// late is not, nor is one that came in time.
func TestALostWebhookIsCountedAndALateOneIsNot(t *testing.T) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		s := newSwept(t, databaseURL, 4)
		s.must(s.world.GHL.EditContact(s.people[0].id, map[string]string{"city": "Waco"}))
		s.must(s.world.Aloware.EditContact(s.people[1].phone, map[string]string{"city": "Tyler"}))
		s.must(s.world.GHL.DeleteContact(s.people[3].id))
		s.lose()
		s.world.PauseWebhooks()
		s.world.Connect(s.app.URL("web"))
		s.must(s.world.GHL.EditContact(s.people[2].id, map[string]string{"city": "Late"}))
		s.sweep()
		if c, _ := s.world.Aloware.Contact(s.people[2].phone); c.Fields["city"] != "Late" {
			t.Errorf("the sweep waited for a webhook that is late; Aloware has the city %q", c.Fields["city"])
		}
		s.world.ResumeWebhooks()
		settle(t, s.world, s.app)
		if c := s.missed(df.SourceGHL, df.KindContactUpdated); c.Missed != 0 || c.Waiting != 2 {
			t.Errorf("before its time: %+v", c)
		}
		s.clock.skip(2 * time.Hour)
		s.sweep()
		s.sweep()
		if c := s.missed(df.SourceGHL, df.KindContactUpdated); c.Missed != 1 || c.Announced != 1 || c.Waiting != 0 {
			t.Errorf("one lost and one late at GHL: %+v", c)
		}
		if c := s.missed(df.SourceAloware, df.KindContactUpdated); c.Missed != 1 || c.Announced != 0 {
			t.Errorf("one lost at Aloware: %+v", c)
		}
		if c := s.missed(df.SourceGHL, df.KindContactDeleted); c.Missed != 1 {
			t.Errorf("one deletion lost: %+v", c)
		}
	})
}

// Invariant 6: a STOP that reached GHL's own number takes effect though its
// webhook was lost, and the sweep that hears it sends nothing.
func TestASweepHearsAStopThatNoWebhookAnnounced(t *testing.T) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		s := newSwept(t, databaseURL, 2)
		_, err := s.world.GHL.ReceiveText(s.people[0].id, "hello there")
		s.must(err)
		_, err = s.world.GHL.ReceiveText(s.people[0].id, "STOP")
		s.must(err)
		s.lose()
		s.clock.skip(5 * time.Minute)
		sent := s.world.Carrier.CallsOf("send message")
		s.sweep()
		rows, err := s.app.store.ConsentRows(t.Context(), store.ConsentRowFilter{Phone: s.people[0].phone, Limit: 1})
		if err != nil || len(rows) != 1 || rows[0].Status != "opted_out" {
			t.Fatalf("the registry says %+v, %v", rows, err)
		}
		events, err := s.app.store.Events(t.Context(), store.EventFilter{EntityID: s.personOf(s.people[0]), Type: "InboundMessage", Limit: 10})
		if err != nil || len(events) != 2 || events[0].Route != store.RouteSweep || events[0].Status.Open() {
			t.Errorf("the timeline shows %d texts, %v", len(events), err)
		}
		s.sweep()
		if again, _ := s.app.store.Events(t.Context(), store.EventFilter{Type: "InboundMessage", Limit: 10}); len(again) != 2 {
			t.Errorf("heard again, there are %d", len(again))
		}
		if n := s.world.Carrier.CallsOf("send message") - sent; n > 0 {
			t.Errorf("%d texts were sent", n)
		}
		s.clock.skip(2 * time.Hour)
		s.sweep()
		if c := s.missed(df.SourceGHL, df.KindMessage); c.Missed != 2 {
			t.Errorf("two texts lost: %+v", c)
		}
	})
}

// A sweep that is cut off, as when its process dies, goes on from its cursor and
// reads no page again.
func TestASweepThatIsCutOffGoesOnFromItsCursor(t *testing.T) {
	s := newSwept(t, databases()["sqlite"](t), 0)
	makePeople(t, s.world, 250)
	s.lose()
	desk := s.app.sweeps.desk
	desk.Slice = 0
	s.world.GHL.SetMischief(stage.Mischief{Operations: []string{"search contacts"}, ServerError: 1})
	if _, err := desk.Measure(t.Context()); err == nil {
		t.Fatal("GHL is down, and the sweep went well")
	}
	s.world.Behave()
	pages := 0
	desk.Lister = cutOff{desk.Lister, func() bool { pages++; return pages == 2 }}
	if _, err := desk.Measure(t.Context()); err == nil {
		t.Fatal("the sweep was cut off, and went well")
	}
	state, err := s.app.store.SweepState(t.Context(), df.GHLToAloware, "contact")
	if err != nil || state.Cursor == "" || !state.UpTo.IsZero() {
		t.Errorf("cut off after a page, the walk stands at %+v, %v", state, err)
	}
	totals, err := desk.Measure(t.Context())
	if err != nil || totals.Pages != 2 || totals.Contacts != 150 {
		t.Errorf("the rest was %+v, %v", totals, err)
	}
	if totals, err = desk.Measure(t.Context()); err != nil || totals.Pages == 0 {
		t.Errorf("the next walk: %+v, %v", totals, err)
	}
	if n := len(s.drift()); n != 250 {
		t.Errorf("%d of 250 contacts are named", n)
	}
}

// cutOff fails a page.
type cutOff struct {
	reconcile.Lister
	now func() bool
}

func (c cutOff) Listed(ctx context.Context, cursor string, limit int) ([]df.Contact, string, error) {
	if c.now() {
		return nil, "", context.Canceled
	}
	return c.Lister.Listed(ctx, cursor, limit)
}

// A difference that has a reason is told with it, and a deletion is not read out
// of a list in which somebody is missing.
func TestDriftIsToldWithItsReason(t *testing.T) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		s := newSwept(t, databaseURL, 3)
		s.must(s.world.GHL.EditContact(s.people[0].id, map[string]string{"city": "Waco"}))
		s.must(s.world.GHL.DeleteContact(s.people[1].id))
		s.lose()
		s.world.Aloware.SetMischief(stage.Mischief{Operations: []string{"write contact"}, NotWritten: 1})
		s.measure()
		_, err := s.app.sweeps.desk.Sweep(t.Context())
		s.must(err)
		field, gone := s.personOf(s.people[0])+" city", s.personOf(s.people[1])+" "
		eventually(t, 20*time.Second, func() error {
			if got := s.drift(); got[field] != store.DriftPending || got[gone] != store.DriftBlocked {
				return fmt.Errorf("the report says %v", got)
			}
			return nil
		})
		if there, _ := s.world.Aloware.Contact(s.people[1].phone); there.DNC {
			t.Error("one absence was taken for a deletion")
		}
	})
}

// 10 000 people are swept with calls that fit into GHL's budget, and memory that
// does not grow with their number.
func BenchmarkSweepOf10000People(b *testing.B) {
	world := newWorld(b, sandbox.Config{})
	a := build(b, world, databases()["sqlite"](b), time.Now, nil)
	b.Cleanup(func() { stop(b, a) })
	if err := a.prepareStore(b.Context()); err != nil {
		b.Fatal(err)
	}
	const people = 10_000
	rows := make([]df.Contact, people)
	for i := range rows {
		id, phone := fmt.Sprintf("contact-%05d", i), df.Phone(fmt.Sprintf("+120255%05d", i))
		rows[i] = df.Contact{ID: id, UpdatedAt: time.Now().Add(-time.Duration(i) * time.Second),
			Fields: map[df.Field]string{df.FirstName: "Ada", df.PhoneNumber: string(phone)}, Tags: []string{}}
		agreeOn(b, a.store, rows[i], phone)
	}
	desk := a.sweeps.desk
	list := &simulated{rows: rows}
	desk.Lister, desk.Exporter, desk.Slice, desk.GHLEvery = list, nil, 0, 0
	for b.Loop() {
		before := list.calls
		var peak runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&peak)
		held := peak.HeapInuse
		if err := a.store.SaveSweepState(b.Context(), store.SweepState{Direction: df.GHLToAloware, EntityType: "contact"}); err != nil {
			b.Fatal(err)
		}
		totals, err := desk.Sweep(b.Context())
		if err != nil || totals.Contacts != people || totals.Differ+totals.Nudged != 0 {
			b.Fatalf("%+v, %v", totals, err)
		}
		runtime.GC()
		runtime.ReadMemStats(&peak)
		b.ReportMetric(float64(list.calls-before), "GHL-calls")
		b.ReportMetric(max(0, float64(peak.HeapInuse)-float64(held))/(1<<20), "MiB-kept")
	}
}

// simulated is GHL's list without GHL.
type simulated struct {
	reconcile.Lister
	rows  []df.Contact
	calls int
}

func (l *simulated) Listed(_ context.Context, cursor string, limit int) ([]df.Contact, string, error) {
	l.calls++
	from, _ := strconv.Atoi(cursor)
	to := min(len(l.rows), from+limit)
	if to == len(l.rows) {
		return l.rows[from:to], "", nil
	}
	return l.rows[from:to], strconv.Itoa(to), nil
}

// agreeOn makes a person whose sides agree on the contact.
func agreeOn(b *testing.B, db *store.Store, contact df.Contact, phone df.Phone) {
	b.Helper()
	p := store.Person{ID: "person-" + contact.ID, GHLContactID: contact.ID, AlowareContactID: "a-" + contact.ID, Phone: phone, Status: "active",
		SyncDirection: df.GHLToAloware, CreatedAt: time.Now(), UpdatedAt: time.Now(), LastSyncedAt: time.Now()}
	err := db.InTx(b.Context(), func(tx store.Tx) error { return store.InsertPerson(b.Context(), tx, p) })
	if err == nil {
		p.Version = 1
		err = db.SaveConvergence(b.Context(), store.Lease{}, store.Convergence{Person: p, At: time.Now(), Agreements: []store.Agreement{
			{Side: df.SideGHL, ContactID: contact.ID, Fields: contact.Fields, Tags: contact.Tags},
			{Side: df.SideAloware, ContactID: p.AlowareContactID, Fields: contact.Fields, Tags: contact.Tags},
		}})
	}
	if err != nil {
		b.Fatal(err)
	}
}

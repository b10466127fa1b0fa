package app

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/sandbox/alowareworld"
	"github.com/df-middleware/dfm/internal/sandbox/stage"
	"github.com/df-middleware/dfm/internal/store"
)

var oneSeed = flag.Uint64("seed", 0, "play only the storm of this seed")

// everythingWrong is all mischief at once.
var everythingWrong = stage.Mischief{
	RateLimited: 0.01, RateLimitedUntil: 0.002, ServerError: 0.04, LoseRequest: 0.03, LoseAnswer: 0.03,
	NotWritten: 0.03, HTML: 0.02, Slow: 0.02, SlowBy: 20 * time.Millisecond,
	Normalise: true, DropWebhooks: 0.15, DoubleWebhooks: 0.3, DelayWebhooks: 0.3, ReorderWebhooks: 0.3,
}

// Invariants 3 and 4 with all rooms, on every engine: webhooks lost, doubled,
// late and reordered, upstreams that fail and lie, people who edit on both
// sides. After it and one reconcile both sides agree, nobody is there twice,
// and a second reconcile writes nothing.
func TestAfterAStormAndOneReconcileBothSidesAgree(t *testing.T) {
	seeds := []uint64{1, 2, 3}
	if *oneSeed != 0 {
		seeds = []uint64{*oneSeed}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			eachDatabase(t, func(t *testing.T, databaseURL string) {
				t.Cleanup(func() {
					if t.Failed() {
						t.Logf("play it again: go test ./internal/app -run AfterAStorm -seed %d", seed)
					}
				})
				s := newStorm(t, databaseURL, seed)
				s.rage(150)
				s.calm()
				s.reconcile()
				s.agree()
				before, calls, logged := s.writes(), s.world.Calls(), s.logged(0)
				s.reconcile()
				if more := s.writes() - before; more > 0 {
					t.Errorf("the second reconcile wrote %d times: %v, before %v: %s", more, s.world.Calls(), calls, s.logged(len(logged)))
				}
				s.dayPasses()
				s.agree()
				s.booksBalance()
			})
		})
	}
}

// storm is a world in trouble and the program in it.
type storm struct {
	*testing.T
	world *sandbox.World
	app   *App
	clock *skipping
	dice  *rand.Rand
	made  int
	alive int             // people there are
	left  map[string]bool // phones that somebody had and gave up
	gone  map[string]bool // phones of contacts that were deleted in GHL
	quiet map[string]bool // those of them whose deletion was not announced
}

func newStorm(t *testing.T, databaseURL string, seed uint64) *storm {
	s := &storm{T: t, clock: &skipping{}, dice: rand.New(rand.NewPCG(seed, 1)), left: map[string]bool{}, gone: map[string]bool{}, quiet: map[string]bool{}}
	s.world = newWorld(t, sandbox.Config{Rand: rand.NewPCG(seed, 2)})
	s.app = build(t, s.world, databaseURL, s.clock.now, map[string]string{"JOB_RETRY_DELAY": "10s"})
	start(t, s.world, s.app)
	return s
}

func (s *storm) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// rage lets people do n things while everything goes wrong.
func (s *storm) rage(n int) {
	for range 20 {
		s.newLead()
	}
	s.world.SetMischief(everythingWrong)
	for i := range n {
		s.act()
		if i%25 == 24 { // let the program get into the middle of it
			eventually(s, 60*time.Second, func() error {
				open, _, err := s.app.store.Backlog(s.Context())
				s.skipWaits()
				if err == nil && open > 25 {
					err = fmt.Errorf("%d events are open: %s", open, s.stuck())
				}
				return err
			})
		}
	}
}

// act does one thing that people do.
func (s *storm) act() {
	switch roll := s.dice.IntN(100); {
	case roll < 10:
		s.newLead()
	case roll < 16:
		n := s.next()
		_, err := s.world.Aloware.CreateContact(stormPhone(n), map[string]string{"first_name": s.name(), "email": stormEmail(n)}, "dialer")
		s.must(err)
		s.alive++
	case roll < 45:
		s.must(s.world.GHL.EditContact(s.lead(), map[string]string{s.pick("firstName", "lastName", "city"): s.name()}))
	case roll < 74:
		s.must(s.world.Aloware.EditContact(s.caller(), map[string]string{s.pick("first_name", "last_name", "city"): s.name()}))
	case roll < 80:
		s.must(s.world.GHL.EditContact(s.lead(), map[string]string{"email": stormEmail(s.next())}))
	case roll < 84:
		s.must(s.world.Aloware.EditContact(s.caller(), map[string]string{"email": stormEmail(s.next())}))
	case roll < 90:
		s.must(s.world.GHL.AddTags(s.lead(), s.pick("Hot", "New Lead", "Follow Up")))
	case roll < 94:
		phone := s.caller()
		there, _ := s.world.Aloware.Contact(phone)
		s.must(s.world.Aloware.SetTags(phone, append(there.Tags, s.pick("Called", "Voicemail"))...))
	case roll < 97:
		id := s.lead()
		contact, _ := s.world.GHL.Contact(id)
		s.left[contact.Fields["phone"]] = true
		s.must(s.world.GHL.EditContact(id, map[string]string{"phone": stormPhone(s.next())}))
	default:
		s.deleteLead()
	}
}

func (s *storm) next() int { s.made++; return s.made }

func stormPhone(n int) string { return fmt.Sprintf("+1202555%04d", n) }

func stormEmail(n int) string { return fmt.Sprintf("person%d@example.test", n) }

func (s *storm) name() string { return s.pick("Ada", "bea", "Cy", "Dee Dee", "Élan", "O'Hara") }

func (s *storm) pick(values ...string) string { return values[s.dice.IntN(len(values))] }

func (s *storm) newLead() {
	n := s.next()
	_, err := s.world.GHL.CreateContact(map[string]string{
		"firstName": s.name(), "phone": stormPhone(n), "email": stormEmail(n), "city": s.name(),
	}, "Lead")
	s.must(err)
	s.alive++
}

// lead picks somebody in GHL, caller somebody in Aloware who is still wanted.
func (s *storm) lead() string {
	all := s.world.GHL.Contacts()
	return all[s.dice.IntN(len(all))].ID
}

func (s *storm) caller() string {
	all := s.world.Aloware.Contacts()
	all = slices.DeleteFunc(all, func(c alowareworld.Contact) bool { return c.DNC || s.gone[c.Phone] })
	if len(all) == 0 {
		n := s.next()
		_, err := s.world.Aloware.CreateContact(stormPhone(n), map[string]string{"first_name": s.name()})
		s.must(err)
		s.alive++
		return stormPhone(n)
	}
	return all[s.dice.IntN(len(all))].Phone
}

// deleteLead deletes a contact in GHL. Every other time nothing announces it.
func (s *storm) deleteLead() {
	id := s.lead()
	contact, _ := s.world.GHL.Contact(id)
	phone := contact.Fields["phone"]
	s.gone[phone] = true
	s.alive--
	fate := everythingWrong
	if fate.DropWebhooks = 0; len(s.gone)%2 == 0 {
		fate.DropWebhooks, s.quiet[phone] = 1, true
	}
	s.world.GHL.SetWorldMischief(fate)
	s.must(s.world.GHL.DeleteContact(id))
	s.world.GHL.SetWorldMischief(everythingWrong)
}

// skipWaits moves the clock on while everything waits for its time: retries,
// cool-downs. Nothing is skipped while a lane is leased, since its lease would
// run out.
func (s *storm) skipWaits() {
	var leased int64
	err := s.app.store.Row(s.Context(), `SELECT count(*) FROM lanes WHERE lease_until IS NOT NULL`).Scan(&leased)
	if err == nil && leased == 0 {
		s.clock.skip(time.Second)
	}
}

// drain waits until nothing is left to do, retries included.
func (s *storm) drain() {
	s.Helper()
	defer func(begin time.Time) { s.Logf("drained in %v", time.Since(begin)) }(time.Now())
	eventually(s, 60*time.Second, func() error {
		open, _, err := s.app.store.Backlog(s.Context())
		if err != nil {
			return err
		}
		waiting, err := s.app.store.WaitingLanes(s.Context())
		if err != nil {
			return err
		}
		// A retired contact is do-not-call, and everybody is told of that.
		var untold int64
		err = s.app.store.Row(s.Context(), `SELECT count(*) FROM consent_fanout WHERE state IN ('pending', 'failed')`).Scan(&untold)
		if err != nil || open+waiting+untold == 0 {
			return err
		}
		s.skipWaits()
		return fmt.Errorf("%d events are open, %d lanes have work, %d opt-outs are untold: %s", open, waiting, untold, s.stuck())
	})
}

// stuck says what the oldest lanes with work wait for.
func (s *storm) stuck() (why string) {
	err := s.app.store.Each(s.Context(), `SELECT l.key || ' queued ' || l.queued || ' nudges ' || l.nudges || ' wake ' || COALESCE(CAST(l.wake_at AS TEXT), '-')
		|| ' lease ' || COALESCE(CAST(l.lease_until AS TEXT), '-') || ' rung ' || CAST(l.rung_at AS TEXT) || ': '
		|| COALESCE((SELECT e.status || ' ' || e.event_type || ' ' || e.attempts || ' ' || COALESCE(e.error_message, '') FROM webhook_events e
			WHERE e.lane = l.key AND e.status IN ('pending', 'processing', 'error') ORDER BY e.seq LIMIT 1), 'no event')
		FROM lanes l WHERE l.queued + l.nudges > 0 ORDER BY l.rung_at LIMIT 4`, nil, func(row store.Row) error {
		var text string
		err := row.Scan(&text)
		why += "\n  " + text
		return err
	})
	return fmt.Sprint(s.clock.now().UTC(), why, err)
}

// calm ends all mischief and lets the program come to rest.
func (s *storm) calm() {
	s.Helper()
	s.world.Behave()
	for range 3 {
		s.must(s.world.Settle(s.Context()))
		s.drain()
	}
	// A day later whatever was held back may go on.
	s.clock.skip(25 * time.Hour)
}

// reconcile is what an operator does: everybody, and by phone those whom only
// Aloware has, who were never announced and cannot be listed.
func (s *storm) reconcile() {
	s.Helper()
	for _, there := range s.world.Aloware.Contacts() {
		if !there.DNC && !s.gone[there.Phone] && !s.left[there.Phone] && len(s.world.GHL.ByPhone(there.Phone)) == 0 {
			_, err := s.app.sync.SyncContact(s.Context(), "", "", there.Phone)
			s.must(err)
		}
	}
	_, err := s.app.sync.SyncAll(s.Context())
	s.must(err)
	s.drain()
	s.must(s.world.Settle(s.Context()))
	s.drain()
}

// dayPasses lets the contacts whose deletion nobody announced count as deleted,
// which takes a day, and ends with everybody reconciled.
func (s *storm) dayPasses() {
	s.clock.skip(25 * time.Hour)
	s.reconcile()
	clear(s.quiet)
}

// agree wants the same people with the same values on both sides. A number that
// was given up stays at Aloware, which cannot delete, and belongs to nobody.
func (s *storm) agree() {
	s.Helper()
	wanted := map[string]bool{}
	if n := len(s.world.GHL.Contacts()); n != s.alive {
		s.Errorf("%d people are %d contacts in GHL; without one there: %s", s.alive, n, s.missing())
	}
	for _, here := range s.world.GHL.Contacts() {
		phone := here.Fields["phone"]
		if wanted[phone] {
			s.Errorf("%s is in GHL twice", phone)
		}
		wanted[phone] = true
		there, ok := s.world.Aloware.Contact(phone)
		if !ok {
			s.Errorf("%s (%s) is not in Aloware: %s", here.ID, phone, s.story(here.ID))
			continue
		}
		if there.DNC {
			s.Errorf("%s may not be called in Aloware, but is in GHL", phone)
		}
		for ours, theirs := range map[string]string{"firstName": "first_name", "lastName": "last_name", "city": "city", "email": "email"} {
			a, b := here.Fields[ours], there.Fields[theirs]
			if !strings.EqualFold(stage.Normalised(ours, a), stage.Normalised(theirs, b)) {
				s.Errorf("%s: %s is %q in GHL and %q in Aloware: %s", phone, ours, a, b, s.story(here.ID))
			}
		}
		if a, b := tagKeys(here.Tags), tagKeys(there.Tags); !slices.Equal(a, b) {
			s.Errorf("%s: tags %v in GHL and %v in Aloware: %s", phone, a, b, s.story(here.ID))
		}
	}
	for _, there := range s.world.Aloware.Contacts() {
		if !wanted[there.Phone] && !there.DNC && !s.quiet[there.Phone] && !s.left[there.Phone] {
			s.Errorf("%s is in Aloware and may be called, but is not in GHL", there.Phone)
		}
	}
}

// missing lists the contacts of Aloware that GHL lacks, and how they are mapped.
func (s *storm) missing() (list string) {
	for _, there := range s.world.Aloware.Contacts() {
		if len(s.world.GHL.ByPhone(there.Phone)) > 0 {
			continue
		}
		list += fmt.Sprintf("\n  %d %s do not call %v, deleted %v, given up %v", there.ID, there.Phone, there.DNC, s.gone[there.Phone], s.left[there.Phone])
		p, ok, err := s.app.sync.converger.People.Known(s.Context(), df.SideAloware, fmt.Sprint(there.ID))
		if ok {
			list += fmt.Sprintf(": %+v", p)
		}
		s.must(err)
	}
	return list
}

func tagKeys(tags []string) []string {
	keys := map[string]bool{}
	for _, tag := range tags {
		keys[df.TagKey(tag)] = true
	}
	return slices.Sorted(maps.Keys(keys))
}

// story tells what is known of a contact, for a failure's message.
func (s *storm) story(ghlID string) string {
	p, ok, err := s.app.sync.converger.People.Known(s.Context(), df.SideGHL, ghlID)
	if err != nil || !ok {
		return fmt.Sprint("nobody knows it ", err)
	}
	state, err := s.app.sync.converger.Ledger.Load(s.Context(), p.ID)
	return fmt.Sprintf("%+v, agreed %+v, issues %+v, %v", p, state.Agreed, state.Issues, err)
}

// writes counts the calls that changed a contact on either side.
func (s *storm) writes() (total int) {
	for _, operation := range []string{"create contact", "update contact", "upsert contact", "delete contact", "add tags", "remove tags"} {
		total += s.world.GHL.CallsOf(operation)
	}
	for _, operation := range []string{"write contact", "disenroll from sequences", "remove from lists"} {
		total += s.world.Aloware.CallsOf(operation)
	}
	return total
}

// logged lists what sync_log holds after the first so many rows.
func (s *storm) logged(after int) (rows []string) {
	s.must(s.app.store.Each(s.Context(), `SELECT direction, status, COALESCE(person_id, ''), COALESCE(fields, ''),
		COALESCE(error_message, ''), COALESCE(CAST(decisions AS TEXT), '') FROM sync_log ORDER BY seq`, nil, func(row store.Row) error {
		var direction, status, person, fields, message, decisions string
		err := row.Scan(&direction, &status, &person, &fields, &message, &decisions)
		rows = append(rows, strings.Join([]string{direction, status, person, fields, message, decisions}, " "))
		return err
	}))
	return rows[after:]
}

// booksBalance wants every event ended, and each person mapped once.
func (s *storm) booksBalance() {
	s.Helper()
	s.must(s.app.store.Each(s.Context(), `SELECT event_type, COALESCE(reason, ''), COALESCE(error_message, ''), COALESCE(person_id, '') FROM webhook_events
		WHERE status NOT IN ('done', 'skipped')`, nil, func(row store.Row) error {
		var event, reason, failure, person string
		err := row.Scan(&event, &reason, &failure, &person)
		s.Errorf("%s of %s did not end well: %s %s", event, person, reason, failure)
		return err
	}))
	var people int64
	s.must(s.app.store.Row(s.Context(), `SELECT count(*) FROM contact_mappings WHERE ended_at IS NULL`).Scan(&people))
	if contacts := len(s.world.GHL.Contacts()); int(people) != contacts {
		s.Errorf("%d contacts in GHL, %d people", contacts, people)
	}
}

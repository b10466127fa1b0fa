package app

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/lists"
	"github.com/df-middleware/dfm/internal/sandbox"
)

// listStorm is a storm in which people are tagged, dragged from stage to stage,
// given to other agents, and say stop.
type listStorm struct {
	*storm
	owners  map[string]string // by GHL contact
	hot     map[string]bool
	stages  map[string]string
	deals   map[string]string
	stopped map[string]bool // by phone
}

// Invariants 3, 4 and 5 for lists: whatever got lost, came twice or lied, after one
// reconcile and one forced rebuild (for what Aloware said it wrote and did not)
// everybody is on the lists that the facts ask for, who said stop is on none, and
// a further reconcile makes no call about lists.
func TestAfterAStormEverybodyIsOnTheRightLists(t *testing.T) {
	for _, seed := range []uint64{1, 2} {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			eachDatabase(t, func(t *testing.T, url string) {
				s := newListStorm(t, url, seed)
				for i := range 120 {
					s.act()
					if i%30 == 29 {
						s.skipWaits()
					}
				}
				s.calm()
				s.reconcile()
				_, err := s.app.lists.desk.Run(t.Context(), lists.Rebuild{Force: true, By: "test"})
				s.must(err)
				s.drain()
				s.right()
				before := s.world.Aloware.CallsOf("remove from lists") + s.world.Aloware.CallsOf("write contact")
				s.reconcile()
				if more := s.world.Aloware.CallsOf("remove from lists") + s.world.Aloware.CallsOf("write contact") - before; more > 0 {
					t.Errorf("%d calls about people who agree", more)
				}
				s.right()
				proof, err := s.app.lists.desk.Prove(t.Context())
				s.must(err)
				for _, l := range proof.Lists {
					if l.Missing+l.Extra+l.Unsure > 0 {
						t.Errorf("%+v", l)
					}
				}
			})
		})
	}
}

func newListStorm(t *testing.T, url string, seed uint64) *listStorm {
	s := &listStorm{storm: &storm{T: t, clock: &skipping{}, dice: rand.New(rand.NewPCG(seed, 1)), left: map[string]bool{},
		gone: map[string]bool{}, quiet: map[string]bool{}},
		owners: map[string]string{}, hot: map[string]bool{}, stages: map[string]string{}, deals: map[string]string{}, stopped: map[string]bool{}}
	s.world = newWorld(t, sandbox.Config{Rand: rand.NewPCG(seed, 2)})
	s.app = build(t, s.world, url, s.clock.now, map[string]string{"JOB_RETRY_DELAY": "10s", "ENABLE_POWER_DIALER_LISTS": "true", "DFM_LIST_BRAKE_PERCENT": "100"})
	start(t, s.world, s.app)
	(&listWorld{t: t, world: s.world, app: s.app, clock: s.clock}).cast()
	for range 15 {
		n := s.next()
		c, err := s.world.GHL.CreateContact(map[string]string{"firstName": s.name(), "phone": stormPhone(n), "assignedTo": s.owner()})
		s.must(err)
		s.alive++
		s.owners[c.ID] = c.Fields["assignedTo"]
	}
	eventually(t, 20*time.Second, func() error {
		if n := len(s.world.Aloware.Contacts()); n < 15 {
			return fmt.Errorf("%d contacts at Aloware", n)
		}
		return nil
	})
	s.world.SetMischief(everythingWrong)
	return s
}

func (s *listStorm) owner() string { return s.pick("user_dana", "user_eli") }

func (s *listStorm) act() {
	id := s.lead()
	contact, _ := s.world.GHL.Contact(id)
	phone := contact.Fields["phone"]
	switch roll := s.dice.IntN(100); {
	case roll < 25:
		s.must(s.world.GHL.AddTags(id, "hot"))
		s.hot[id] = true
	case roll < 40:
		s.must(s.world.GHL.RemoveTags(id, "hot"))
		s.hot[id] = false
	case roll < 60:
		s.owners[id] = s.owner()
		s.must(s.world.GHL.EditContact(id, map[string]string{"assignedTo": s.owners[id]}))
	case roll < 95:
		s.stages[id] = s.pick("New Lead", "Follow Up", "Hot", "Closed")
		if s.deals[id] == "" {
			deal, err := s.world.GHL.OpenOpportunity(id, s.stages[id])
			s.must(err)
			s.deals[id] = deal.ID
			return
		}
		s.must(s.world.GHL.MoveOpportunity(s.deals[id], s.stages[id]))
	default:
		// GHL's word of it may be lost; then whoever reads the contact hears it.
		s.must(s.world.GHL.SetDND(id, "Call", "active"))
		s.stopped[phone] = true
	}
}

// right compares Aloware's lists with what the world itself asks for.
func (s *listStorm) right() {
	s.Helper()
	for _, here := range s.world.GHL.Contacts() {
		phone := here.Fields["phone"]
		there, ok := s.world.Aloware.Contact(phone)
		if !ok {
			s.Errorf("%s is not in Aloware", phone)
			continue
		}
		if want := s.want(here.ID, phone); !slices.Equal(there.Lists, want) {
			e, err := s.app.lists.desk.Explain(s.Context(), s.idOf(here.ID))
			s.Errorf("%s (%s, hot %v, stage %q, stopped %v) is on %v, want %v: %+v, %v", phone, s.owners[here.ID], s.hot[here.ID], s.stages[here.ID],
				s.stopped[phone], there.Lists, want, e, err)
		}
	}
}

func (s *listStorm) idOf(ghlID string) string {
	p, _, err := s.app.sync.converger.People.Known(s.Context(), "ghl", ghlID)
	s.must(err)
	return p.ID
}

func (s *listStorm) want(id, phone string) []int64 {
	stage := s.stages[id]
	if s.stopped[phone] || stage == "Closed" {
		return []int64{}
	}
	want := []int64{danaNew}
	if s.hot[id] || stage == "Hot" {
		want = append(want, danaHot)
	}
	if stage == "Follow Up" {
		want = append(want, danaFollow)
	}
	if s.owners[id] == "user_eli" {
		for i := range want {
			want[i] += eliNew - danaNew
		}
	}
	slices.Sort(want)
	return want
}

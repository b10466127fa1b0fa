package app

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/lists"
	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/sandbox/ghlworld"
	"github.com/df-middleware/dfm/internal/store"
)

// The cast of the tests about lists: two agents, each with three lists.
const (
	danaNew, danaHot, danaFollow = 11, 12, 13
	eliNew, eliHot, eliFollow    = 21, 22, 23
	leadPhone                    = "+15005550111"
)

// listWorld is the program with its upstreams, two agents and their lists.
type listWorld struct {
	t     testing.TB
	world *sandbox.World
	app   *App
	clock *skipping
}

func newListWorld(t testing.TB, databaseURL string, more map[string]string) *listWorld {
	t.Helper()
	w := &listWorld{t: t, world: newWorld(t, sandbox.Config{}), clock: &skipping{}}
	env := map[string]string{"ENABLE_POWER_DIALER_LISTS": "true", "GHL_RATE_PER_10S": "100000"}
	maps.Copy(env, more)
	w.app = build(t, w.world, databaseURL, w.clock.now, env)
	start(t, w.world, w.app)
	w.cast()
	return w
}

// cast enters the agents and their lists.
func (w *listWorld) cast() {
	t := w.t
	t.Helper()
	for _, a := range []store.Agent{
		{Key: "DANA", DisplayName: "Dana", GHLOwnerID: "user_dana", AlowareUserID: "501", RequiredTag: "Owner: Dana", Active: true},
		{Key: "ELI", DisplayName: "Eli", GHLOwnerID: "user_eli", AlowareUserID: "502", RequiredTag: "Owner: Eli", Active: true},
	} {
		if err := w.app.store.SaveAgent(t.Context(), a, false, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range []struct {
		agent, key string
		id         int
	}{{"DANA", "NEW_LEADS", danaNew}, {"DANA", "HOT", danaHot}, {"DANA", "FOLLOW_UP", danaFollow},
		{"ELI", "NEW_LEADS", eliNew}, {"ELI", "HOT", eliHot}, {"ELI", "FOLLOW_UP", eliFollow}} {
		err := w.app.store.SaveCallList(t.Context(), store.CallList{AgentKey: l.agent, ListKey: l.key, AlowareID: fmt.Sprint(l.id),
			Name: lists.ListName(l.agent, l.key), UpdatedAt: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// lead makes a contact in GHL that is the agent's.
func (w *listWorld) lead(phone, owner string, tags ...string) ghlworld.Contact {
	w.t.Helper()
	contact, err := w.world.GHL.CreateContact(map[string]string{"firstName": "Lea", "phone": phone, "assignedTo": owner}, tags...)
	if err != nil {
		w.t.Fatal(err)
	}
	return contact
}

// onLists waits until the contact is on exactly these lists at Aloware.
func (w *listWorld) onLists(phone string, want ...int64) {
	w.t.Helper()
	slices.Sort(want)
	eventually(w.t, 20*time.Second, func() error {
		c, ok := w.world.Aloware.Contact(phone)
		if !ok {
			return errors.New("there is no contact at Aloware")
		}
		if !slices.Equal(c.Lists, want) {
			return fmt.Errorf("on lists %v, want %v", c.Lists, want)
		}
		return nil
	})
}

// quiet waits until nothing is on its way and no lane has work.
func (w *listWorld) quiet() {
	w.t.Helper()
	if err := w.world.Settle(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	eventually(w.t, 20*time.Second, func() error {
		n, err := w.app.store.WaitingLanes(w.t.Context())
		if err == nil && n > 0 {
			err = fmt.Errorf("%d lanes have work", n)
		}
		return err
	})
}

// must fails the test for an error.
func (w *listWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *listWorld) person(ghlID string) store.Person {
	w.t.Helper()
	p, err := store.PersonByContact(w.t.Context(), w.app.store, df.SideGHL, ghlID)
	w.must(err)
	return p
}

// The main job: age, tag, stage and agent decide the lists, and each change
// moves the person once.
func TestListsFollowTagsStagesAndTheAgent(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		w := newListWorld(t, url, nil)
		lead := w.lead(leadPhone, "user_dana")
		w.onLists(leadPhone, danaNew)
		w.must(w.world.GHL.AddTags(lead.ID, "hot"))
		w.onLists(leadPhone, danaNew, danaHot)
		deal, err := w.world.GHL.OpenOpportunity(lead.ID, "Follow Up")
		w.must(err)
		w.onLists(leadPhone, danaNew, danaHot, danaFollow)
		w.quiet()

		// D-65: reassignment lost what only the stage or the age asked for.
		w.must(w.world.GHL.EditContact(lead.ID, map[string]string{"assignedTo": "user_eli"}))
		w.onLists(leadPhone, eliNew, eliHot, eliFollow)
		eventually(t, 10*time.Second, func() error {
			if c, _ := w.world.Aloware.Contact(leadPhone); c.UserID != 502 {
				return fmt.Errorf("the owner at Aloware is %d", c.UserID)
			}
			return nil
		})
		w.quiet()

		// D-64: leaving one list left all, other agents' and manual ones too.
		w.must(w.world.GHL.RemoveTags(lead.ID, "hot"))
		w.onLists(leadPhone, eliNew, eliFollow)
		w.must(w.world.GHL.SetOpportunityStatus(deal.ID, "won"))
		w.onLists(leadPhone)
	})
}

// Invariant 4 for lists: one change, at most one apply, then silence.
func TestAPersonWhoseListsAgreeCostsNoCall(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		w := newListWorld(t, url, nil)
		lead := w.lead(leadPhone, "user_dana", "hot")
		w.onLists(leadPhone, danaNew, danaHot)
		w.quiet()
		before := w.world.Aloware.Calls()
		searches := w.world.GHL.CallsOf("search opportunities")
		for range 3 {
			w.must(w.app.store.Nudge(t.Context(), store.PersonLane(w.person(lead.ID).ID), time.Now()))
			w.quiet()
		}
		after := w.world.Aloware.Calls()
		for _, operation := range []string{"write contact", "remove from lists"} {
			if before[operation] != after[operation] {
				t.Errorf("%s: %d further calls", operation, after[operation]-before[operation])
			}
		}
		if n := w.world.GHL.CallsOf("search opportunities") - searches; n != 0 {
			t.Errorf("opportunities were asked for %d times more", n)
		}
		w.must(w.world.GHL.RemoveTags(lead.ID, "hot"))
		w.onLists(leadPhone, danaNew)
		w.quiet()
		if n := w.world.Aloware.CallsOf("remove from lists") - after["remove from lists"]; n != 1 {
			t.Errorf("one change cleared the lists %d times", n)
		}
	})
}

// Invariant 5 for lists, and D-32: who says stop leaves every list, and no later
// tag, stage, agent or rebuild puts the person back.
func TestNobodyWhoSaidStopIsOnAListOrPutBack(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		w := newListWorld(t, url, nil)
		lead := w.lead(leadPhone, "user_dana", "hot")
		w.onLists(leadPhone, danaNew, danaHot)
		w.quiet()
		w.must(w.world.Aloware.ReceiveText(leadPhone, "STOP"))
		w.onLists(leadPhone)
		w.must(w.world.GHL.AddTags(lead.ID, "CALL_NOW"))
		_, err := w.world.GHL.OpenOpportunity(lead.ID, "Hot")
		w.must(err)
		w.must(w.world.GHL.EditContact(lead.ID, map[string]string{"assignedTo": "user_eli"}))
		w.quiet()
		_, err = w.app.lists.desk.Run(t.Context(), lists.Rebuild{Force: true, By: "test"})
		w.must(err)
		w.quiet()
		w.onLists(leadPhone)
		eventually(t, 10*time.Second, func() error {
			e, err := w.app.lists.desk.Explain(t.Context(), w.person(lead.ID).ID)
			if err == nil && (len(e.Held) > 0 || e.Facts.Barred == "" || len(e.Intent.NotOn) == 0) {
				err = fmt.Errorf("kept as %+v", e)
			}
			return err
		})
		if w.app.consent.gate.May(t.Context(), consent.Question{Channel: consent.ChannelList, Phone: leadPhone}).Allowed {
			t.Error("the gate lets the person on lists")
		}
	})
}

// D-67: turned on later, the flag brings everybody to where they should be.
func TestTurningTheDialersListsOnConvergesEverybody(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		w := &listWorld{t: t, world: newWorld(t, sandbox.Config{}), clock: &skipping{}}
		w.app = build(t, w.world, url, w.clock.now, nil)
		w.must(w.app.Start(t.Context()))
		w.world.Connect(w.app.URL("web"))
		w.cast()
		w.lead(leadPhone, "user_dana", "hot")
		w.lead("+15005550112", "user_eli")
		w.quiet()
		eventually(t, 10*time.Second, func() error {
			proof, err := w.app.lists.desk.Prove(t.Context())
			missing := 0
			for _, l := range proof.Lists {
				missing += l.Missing
			}
			if err == nil && (missing != 3 || proof.Applied) {
				err = fmt.Errorf("%d are missing from lists: %+v", missing, proof)
			}
			return err
		})
		w.onLists(leadPhone)
		stop(t, w.app)
		w.app = build(t, w.world, url, w.clock.now, map[string]string{"ENABLE_POWER_DIALER_LISTS": "true"})
		start(t, w.world, w.app)
		w.onLists(leadPhone, danaNew, danaHot)
		w.onLists("+15005550112", eliNew)
	})
}

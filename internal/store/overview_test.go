package store_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// acceptAt stores one event that was received at the given time, as the inbox
// does, and returns its id.
func acceptAt(t *testing.T, s *store.Store, source df.Source, at time.Time, mark string) string {
	t.Helper()
	d := delivery("C-"+mark, mark)
	d.Event.ID, d.Event.Source, d.Event.ReceivedAt = df.IDs(func() time.Time { return at })(), source, at
	accepted, err := s.Accept(t.Context(), []store.Delivery{d}, at)
	if err != nil {
		t.Fatal(err)
	}
	return accepted[0].EventID
}

func TestEventsAreCountedInTheSlotTheyWereReceivedIn(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		starts := []time.Time{noon.Add(-2 * time.Hour), noon.Add(-time.Hour), noon}
		acceptAt(t, s, df.SourceGHL, starts[0].Add(-time.Microsecond), "too old")
		acceptAt(t, s, df.SourceGHL, starts[0], "first instant")
		acceptAt(t, s, df.SourceGHL, starts[1].Add(-time.Microsecond), "last instant")
		acceptAt(t, s, df.SourceAloware, starts[1], "other source")
		// One that was spilled in an outage is accepted last, though received first.
		acceptAt(t, s, df.SourceGHL, starts[0].Add(time.Minute), "spilled")
		quarantined := acceptAt(t, s, df.SourceGHL, noon.Add(time.Hour), "no end")
		if err := s.CloseEvent(t.Context(), quarantined, df.Quarantined, "test", noon); err != nil {
			t.Fatal(err)
		}
		got, err := s.EventsInSlots(t.Context(), starts)
		want := []store.SlotCount{
			{Source: df.SourceGHL, Status: df.Pending, Slot: 0, Events: 3},
			{Source: df.SourceAloware, Status: df.Pending, Slot: 1, Events: 1},
			{Source: df.SourceGHL, Status: df.Quarantined, Slot: 2, Events: 1},
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
		one, err := s.EventsInSlots(t.Context(), starts[2:])
		if err != nil || len(one) != 1 || one[0].Slot != 0 {
			t.Errorf("one slot: %+v, %v", one, err)
		}
		if none, err := s.EventsInSlots(t.Context(), nil); err != nil || none != nil {
			t.Errorf("no slot: %+v, %v", none, err)
		}
	})
}

func TestUnfinishedEventsAreCountedByStatusWithTheOldest(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		if empty, err := s.UnfinishedEvents(t.Context()); err != nil || len(empty) != 0 {
			t.Errorf("empty: %v, %v", empty, err)
		}
		acceptAt(t, s, df.SourceGHL, noon, "older")
		acceptAt(t, s, df.SourceGHL, noon.Add(time.Minute), "newer")
		for mark, status := range map[string]df.Status{"done": df.Done, "held": df.Quarantined} {
			id := acceptAt(t, s, df.SourceGHL, noon.Add(-time.Hour), mark)
			if err := s.CloseEvent(t.Context(), id, status, "test", noon); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.UnfinishedEvents(t.Context())
		if err != nil || len(got) != 2 || got[df.Pending].Events != 2 || !got[df.Pending].Oldest.Equal(noon) || got[df.Quarantined].Events != 1 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// leave leaves what one convergence of the person would.
func leave(t *testing.T, s *store.Store, p store.Person, c store.Convergence) {
	t.Helper()
	p.Version = 1
	c.Person, c.At = p, noon
	if err := s.SaveConvergence(t.Context(), store.Lease{}, c); err != nil {
		t.Fatal(err)
	}
}

func TestSyncLogIsCountedByDirectionAndStatus(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		p := person("p1", "g1", "a1", "+15005550111")
		insert(t, s, p)
		line := func(direction df.Direction, status string, at time.Time) store.SyncRow {
			return store.SyncRow{ID: df.IDs(func() time.Time { return at })(), Direction: direction, EntityType: "contact", EntityID: "p1",
				SourceID: "g1", Status: status, StartedAt: at, FinishedAt: at, PersonID: "p1"}
		}
		leave(t, s, p, store.Convergence{Log: []store.SyncRow{
			line(df.GHLToAloware, "success", noon.Add(-time.Second)), line(df.GHLToAloware, "success", noon),
			line(df.GHLToAloware, "error", noon), line(df.AlowareToGHL, "success", noon.Add(time.Second)),
		}})
		got, err := s.SyncsSince(t.Context(), noon)
		want := []store.DirectionCount{{df.AlowareToGHL, "success", 1}, {df.GHLToAloware, "error", 1}, {df.GHLToAloware, "success", 1}}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

func TestOpenIssuesArePagedWithoutGapsWhenManyHaveOneTime(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		p := person("p1", "g1", "a1", "+15005550111")
		insert(t, s, p)
		var issues []store.Issue
		for i := range 7 {
			issues = append(issues, store.Issue{Topic: "ghl/" + strconv.Itoa(i), Kind: "refused", Side: df.SideGHL, Open: i != 3, Since: noon,
				At: noon.Add(time.Duration(i/3) * time.Minute)})
		}
		leave(t, s, p, store.Convergence{Issues: issues})
		var topics []string
		for after := (store.IssuePlace{}); ; {
			page, err := s.OpenIssues(t.Context(), after, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range page {
				topics = append(topics, i.Topic)
			}
			if len(page) < 2 {
				break
			}
			last := page[1]
			after = store.IssuePlace{At: last.At, PersonID: last.PersonID, Topic: last.Topic}
		}
		if want := []string{"ghl/6", "ghl/4", "ghl/5", "ghl/0", "ghl/1", "ghl/2"}; !slices.Equal(topics, want) {
			t.Errorf("pages held %v, want %v", topics, want)
		}
		questions, err := s.OpenQuestions(t.Context())
		if err != nil || questions != (store.Questions{Issues: 6}) {
			t.Errorf("%+v, %v", questions, err)
		}
	})
}

func TestPeopleAreFoundByEveryWordOfNameNumberAndID(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		names := []string{"Dana Fox", "Dana Wolf", "100%_Sure"}
		for i, name := range names {
			p := person("p"+strconv.Itoa(i+1), "gHl"+strconv.Itoa(i), "a"+strconv.Itoa(i), df.Phone("+1500555011"+strconv.Itoa(i)))
			insert(t, s, p)
			first, last, _ := strings.Cut(name, " ")
			leave(t, s, p, store.Convergence{Agreements: []store.Agreement{{Side: df.SideGHL, ContactID: "g", Fields: map[df.Field]string{
				df.FirstName: first, df.LastName: last}}}})
		}
		cases := map[string][]string{
			"": {"p3", "p2", "p1"}, "dana": {"p2", "p1"}, "FOX dana": {"p1"}, "dana nobody": nil, "ghl2": {"p3"},
			"5550111": {"p2"}, "p1@example": {"p1"}, "100%_": {"p3"}, "0_0": nil,
		}
		for text, want := range cases {
			found, err := s.FindPeople(t.Context(), store.PersonSearch{Text: text, Limit: 10})
			var ids []string
			for _, p := range found {
				ids = append(ids, p.ID)
			}
			if err != nil || !slices.Equal(ids, want) {
				t.Errorf("%q found %v, %v, want %v", text, ids, err, want)
			}
		}
		next, err := s.FindPeople(t.Context(), store.PersonSearch{Before: "p3", Limit: 1})
		if err != nil || len(next) != 1 || next[0].ID != "p2" {
			t.Errorf("the page after p3: %+v, %v", next, err)
		}
		agreed, err := s.AgreementsOf(t.Context(), []string{"p1", "p2", "none"})
		if err != nil || len(agreed) != 2 || agreed["p2"][0].Fields[df.LastName] != "Wolf" {
			t.Errorf("agreements %+v, %v", agreed, err)
		}
		if none, err := s.AgreementsOf(t.Context(), nil); err != nil || len(none) != 0 {
			t.Errorf("agreements of nobody: %+v, %v", none, err)
		}
	})
}

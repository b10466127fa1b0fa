package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/replay"
	"github.com/df-middleware/dfm/internal/store"
)

// ask makes one admin request and decodes what it answers.
func (s *swept) ask(method, path, body string, to any) int {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), method, s.app.URL("web")+path, strings.NewReader(body))
	s.must(err)
	request.Header.Set("X-DF-ADMIN-SECRET", "test-admin-secret")
	response, err := http.DefaultClient.Do(request)
	s.must(err)
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	s.must(err)
	s.must(json.Unmarshal(data, to))
	return response.StatusCode
}

type replayAnswer struct {
	Data struct {
		ID, Status                                                                       string
		Events, People, Superseded, OutboundWrites, Replayed, PassedOver, PeopleLookedAt int64
		Exact                                                                            bool
		Progress                                                                         float64
	}
}

// A dry run says what a replay would come to and changes nothing; the replay then
// writes that. Events that are older than what the sides agree on are superseded:
// they are counted, and nothing is written for them.
func TestAReplaySaysWhatItWillDoAndPassesOverWhatIsSuperseded(t *testing.T) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		s := newSwept(t, databaseURL, 3)
		s.world.Connect(s.app.URL("web"))
		const filter = `{"filter":{"source":"ghl","type":"contact.created"},"dryRun":%v}`
		var before replayAnswer
		s.ask("POST", "/api/admin/events/replay", fmt.Sprintf(filter, true), &before)
		if d := before.Data; d.Events != 3 || d.People != 3 || d.Superseded != 3 || d.OutboundWrites != 0 || !d.Exact {
			t.Errorf("what all agree on would be replayed: %+v", d)
		}
		// One of them is made to look newer than the agreement, and its city differs.
		person := s.personOf(s.people[0])
		s.world.PauseWebhooks()
		s.must(s.world.GHL.EditContact(s.people[0].id, map[string]string{"city": "Waco"}))
		_, err := s.app.store.Exec(t.Context(), `UPDATE webhook_events SET received_at = $1, status = 'quarantined' WHERE person_id = $2 AND kind = 'contact.created' AND source = 'ghl'`,
			s.clock.now(), person)
		s.must(err)
		writes := s.writes()
		s.ask("POST", "/api/admin/events/replay", fmt.Sprintf(filter, true), &before)
		if d := before.Data; d.Events != 3 || d.People != 3 || d.Superseded != 2 || d.OutboundWrites != 1 || !d.Exact || d.PeopleLookedAt != 1 {
			t.Errorf("the dry run says %+v", d)
		}
		if s.writes() != writes {
			t.Error("a dry run wrote")
		}
		var started replayAnswer
		if status := s.ask("POST", "/api/admin/events/replay", fmt.Sprintf(filter, false), &started); status != http.StatusOK {
			t.Fatalf("answered %d", status)
		}
		eventually(t, 10*time.Second, func() error {
			var now replayAnswer
			s.ask("GET", "/api/admin/replays/"+started.Data.ID, "", &now)
			if d := now.Data; d.Status != store.ReplayDone || d.Replayed != 1 || d.Superseded != 2 || d.Progress != 1 {
				return fmt.Errorf("the replay stands at %+v", d)
			}
			return nil
		})
		idle(t, s.app)
		if n := s.writes() - writes; n != 1 {
			t.Errorf("the replay wrote %d times", n)
		}
		if events, _ := s.app.store.Events(t.Context(), store.EventFilter{EntityID: person, Type: "contact.created", Source: df.SourceGHL, Limit: 9}); len(events) != 1 || events[0].Status != df.Done {
			t.Errorf("the event that was replayed: %+v", events)
		}
	})
}

// A replay whose process died is taken over where it was, and one that was stopped
// is left alone.
func TestAReplayIsTakenOverWhereItWas(t *testing.T) {
	s := newSwept(t, databases()["sqlite"](t), 5)
	begin := func() store.Replay {
		r, err := s.app.replays.desk.Start(t.Context(), replay.Asked{Action: store.BulkReplay, Filter: store.EventFilter{Source: df.SourceGHL}, Actor: "test"}, func(store.Tx, store.Replay) error { return nil })
		s.must(err)
		return r
	}
	r := begin()
	claimed, ok, err := s.app.store.ClaimReplay(t.Context(), s.clock.now(), s.clock.now().Add(-time.Minute))
	if err != nil || !ok || claimed.ID != r.ID {
		t.Fatalf("claimed %v %+v, %v", ok, claimed, err)
	}
	s.must(s.app.replays.desk.Work(t.Context())) // somebody is at it
	if now, _ := s.app.store.ReplayByID(t.Context(), r.ID); now.Status != store.ReplayRunning || now.Cursor != 0 {
		t.Errorf("two worked on it: %+v", now)
	}
	s.clock.skip(2 * time.Minute)
	s.must(s.app.replays.desk.Work(t.Context()))
	if now, _ := s.app.store.ReplayByID(t.Context(), r.ID); now.Status != store.ReplayDone || now.Superseded+now.Replayed+now.PassedOver != now.Events {
		t.Errorf("taken over, it ended as %+v", now)
	}
	r = begin()
	s.must(s.app.store.InTx(t.Context(), func(tx store.Tx) error { return store.StopReplay(t.Context(), tx, r.ID, s.clock.now()) }))
	s.must(s.app.replays.desk.Work(t.Context()))
	if now, _ := s.app.store.ReplayByID(t.Context(), r.ID); now.Status != store.ReplayStopped || now.Cursor != 0 {
		t.Errorf("stopped, it went on: %+v", now)
	}
}

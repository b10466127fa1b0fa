package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// conflicted starts with one person whose city is Houston in GHL and was El Paso in
// Aloware, which lost, and returns the conflict. Webhooks arrive again.
func conflicted(t *testing.T, databaseURL string) (*swept, store.Conflict) {
	s := newSwept(t, databaseURL, 1)
	s.lose()
	s.world.Connect(s.app.URL("web"))
	return s, s.conflict("Houston", "El Paso")
}

// conflict makes both sides change the city and returns what is on record of it.
func (s *swept) conflict(ghl, aloware string) store.Conflict {
	s.Helper()
	s.world.PauseWebhooks()
	s.must(s.world.GHL.EditContact(s.people[0].id, map[string]string{"city": ghl}))
	s.must(s.world.Aloware.EditContact(s.people[0].phone, map[string]string{"city": aloware}))
	s.world.ResumeWebhooks()
	settle(s, s.world, s.app)
	rows, err := s.app.store.Conflicts(s.Context(), store.ConflictFilter{PersonID: s.personOf(s.people[0]), Field: df.City, Limit: 1})
	if err != nil || len(rows) != 1 || rows[0].State != store.ConflictOpen || rows[0].Seen[df.SideAloware] != aloware {
		s.Fatalf("conflicts %+v, %v", rows, err)
	}
	s.stand(ghl)
	return rows[0]
}

// stand fails the test unless both sides hold the city.
func (s *swept) stand(city string) {
	s.Helper()
	g, _ := s.world.GHL.Contact(s.people[0].id)
	a, _ := s.world.Aloware.Contact(s.people[0].phone)
	if g.Fields["city"] != city || a.Fields["city"] != city {
		s.Errorf("the sides hold %q and %q, want %q", g.Fields["city"], a.Fields["city"], city)
	}
}

// resolve asks for a choice through the API.
func (s *swept) resolve(id, choice string) (status int, code string) {
	s.Helper()
	var answer struct{ Error struct{ Code string } }
	status = s.ask("POST", "/api/admin/conflicts/"+id+"/resolve", fmt.Sprintf(`{"choice":%q,"reason":"the customer said so"}`, choice), &answer)
	return status, answer.Error.Code
}

// state is how a conflict stands.
func (s *swept) state(id string) string {
	s.Helper()
	k, err := store.ConflictByID(s.Context(), s.app.store, id)
	s.must(err)
	return k.State
}

// sides counts the writes of contacts at each side.
func (s *swept) sides() (ghl, aloware int) {
	return s.world.GHL.CallsOf("update contact"), s.world.Aloware.CallsOf("write contact")
}

// Somebody asks for the value that lost: each side is written exactly once, nothing
// comes back of it, and the person's timeline says who wanted it.
func TestTheValueThatLostIsAskedForAndStands(t *testing.T) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		s, k := conflicted(t, databaseURL)
		ghl, aloware := s.sides()
		if status, _ := s.resolve(k.ID, "aloware"); status != http.StatusOK {
			t.Fatalf("asked for: %d", status)
		}
		settle(t, s.world, s.app)
		s.stand("El Paso")
		if state := s.state(k.ID); state != store.ConflictApplied {
			t.Errorf("the conflict is %s", state)
		}
		if g, a := s.sides(); g != ghl+1 || a != aloware+1 {
			t.Errorf("GHL was written %d times, Aloware %d times", g-ghl, a-aloware)
		}
		before := s.writes()
		s.clock.skip(10 * time.Minute)
		s.sweep()
		_, err := s.app.sync.SyncAll(t.Context())
		s.must(err)
		settle(t, s.world, s.app)
		if n := s.writes() - before; n != 0 {
			t.Errorf("%d writes came of it later", n)
		}
		rows, err := s.app.store.Conflicts(t.Context(), store.ConflictFilter{Limit: 10})
		if err != nil || len(rows) != 1 {
			t.Errorf("the ruling made conflicts: %+v, %v", rows, err)
		}
		if status, _ := s.resolve(k.ID, "aloware"); status != http.StatusOK {
			t.Errorf("the same once more: %d", status)
		}
		if status, code := s.resolve(k.ID, "ghl"); status != http.StatusConflict || code != "CONFLICT_DECIDED" {
			t.Errorf("another choice: %d %s", status, code)
		}
		var timeline struct{ Data []json.RawMessage }
		s.ask("GET", "/api/admin/people/"+k.PersonID+"/timeline?kind=action&kind=conflict", "", &timeline)
		if text := fmt.Sprintf("%s", timeline.Data); !strings.Contains(text, `"decidedBy":"admin"`) || !strings.Contains(text, "conflict.ask") {
			t.Errorf("the timeline says %s", text)
		}
		// The next change of either side moves as ever.
		s.must(s.world.GHL.EditContact(s.people[0].id, map[string]string{"city": "Waco"}))
		settle(t, s.world, s.app)
		s.stand("Waco")
	})
}

// A person's newer word at either side is stronger than what was asked for.
func TestWhatWasAskedForIsOvertakenByANewerWord(t *testing.T) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		s, k := conflicted(t, databaseURL)
		s.world.Connect("http://127.0.0.1:9")
		s.must(s.world.Aloware.EditContact(s.people[0].phone, map[string]string{"city": "Waco"}))
		s.lose()
		before := s.world.Aloware.CallsOf("write contact")
		if status, _ := s.resolve(k.ID, "aloware"); status != http.StatusOK {
			t.Fatalf("asked for: %d", status)
		}
		idle(t, s.app)
		s.stand("Waco")
		if state := s.state(k.ID); state != store.ConflictOvertaken || s.world.Aloware.CallsOf("write contact") != before {
			t.Errorf("the conflict is %s", state)
		}
	})
}

// down makes a side refuse every write until it is off, and counts them.
func down(refused *atomic.Int64, off *atomic.Bool) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if off.Load() || r.Method == http.MethodGet {
			return false
		}
		refused.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
}

// While one side does not take writes the value is asked for and waits; the side
// that has it already is not written again.
func TestWhatWasAskedForOutlivesAnOutage(t *testing.T) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		s, k := conflicted(t, databaseURL)
		ghl := s.world.GHL.CallsOf("update contact")
		var refused atomic.Int64
		var off atomic.Bool
		s.world.Aloware.Intercept(down(&refused, &off))
		if status, _ := s.resolve(k.ID, "aloware"); status != http.StatusOK {
			t.Fatalf("asked for: %d", status)
		}
		eventually(t, 20*time.Second, func() error {
			if refused.Load() == 0 {
				return fmt.Errorf("aloware was not written")
			}
			return nil
		})
		if state := s.state(k.ID); state != store.ConflictAsked {
			t.Errorf("while Aloware is down the conflict is %s", state)
		}
		off.Store(true)
		s.clock.skip(20 * time.Minute)
		s.sweep()
		settle(t, s.world, s.app)
		s.stand("El Paso")
		if state, n := s.state(k.ID), s.world.GHL.CallsOf("update contact")-ghl; state != store.ConflictApplied || n != 1 {
			t.Errorf("the conflict is %s, GHL was written %d times", state, n)
		}
	})
}

// The release before works a lane without knowing of rulings, and takes the nudge
// with it. A sweep asks again, and ends what was asked for somebody who has ended.
func TestASweepRemindsOfWhatWasAskedFor(t *testing.T) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		s, k := conflicted(t, databaseURL)
		_, err := s.app.store.Exec(t.Context(), `UPDATE sync_conflicts SET state = 'asked', choice = 'aloware', decided_at = at WHERE id = $1`, k.ID)
		s.must(err)
		s.sweep()
		settle(t, s.world, s.app)
		s.stand("El Paso")
		if state := s.state(k.ID); state != store.ConflictApplied {
			t.Errorf("the conflict is %s", state)
		}
		_, err = s.app.store.Exec(t.Context(), `UPDATE sync_conflicts SET state = 'asked', choice = 'ghl' WHERE id = $1`, k.ID)
		s.must(err)
		_, err = s.app.store.Exec(t.Context(), `UPDATE contact_mappings SET ended_at = $1, ended_reason = 'test' WHERE id = $2`, s.clock.now(), k.PersonID)
		s.must(err)
		s.sweep()
		if state := s.state(k.ID); state != store.ConflictOvertaken {
			t.Errorf("of somebody who ended the conflict is %s", state)
		}
	})
}

func TestTwoPeopleDecideAtOnceAndOneWins(t *testing.T) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		s, k := conflicted(t, databaseURL)
		ghl, aloware := s.sides()
		choices := []string{"ghl", "aloware", "keep", "ghl", "aloware", "keep"}
		statuses, codes := make([]int, len(choices)), make([]string, len(choices))
		var wg sync.WaitGroup
		for i, choice := range choices {
			wg.Go(func() { statuses[i], codes[i] = s.resolve(k.ID, choice) })
		}
		wg.Wait()
		settle(t, s.world, s.app)
		won, err := store.ConflictByID(t.Context(), s.app.store, k.ID)
		s.must(err)
		for i, choice := range choices {
			mine := choice == won.Choice
			if mine != (statuses[i] == http.StatusOK) || !mine && codes[i] != "CONFLICT_DECIDED" {
				t.Errorf("%s won, and %s is told %d %s", won.Choice, choice, statuses[i], codes[i])
			}
		}
		g, a := s.sides()
		if wrote := g + a - ghl - aloware; wrote != 0 && won.Choice != "aloware" || won.Choice == "aloware" && wrote != 2 {
			t.Errorf("%s won with %d writes", won.Choice, wrote)
		}
	})
}

// Phones and tags can only be accepted; a key that may read resolves nothing.
func TestWhoAndWhatMayBeResolved(t *testing.T) {
	s, k := conflicted(t, databases()["sqlite"](t))
	before := s.writes()
	for field, want := range map[string]string{"phone": "CONFLICT_ONLY_KEPT", "tags": "CONFLICT_ONLY_KEPT", "dnd": "CONFLICT_ONLY_KEPT"} {
		_, err := s.app.store.Exec(t.Context(), `UPDATE sync_conflicts SET field = $1 WHERE id = $2`, field, k.ID)
		s.must(err)
		if status, code := s.resolve(k.ID, "aloware"); status != http.StatusConflict || code != want || s.state(k.ID) != store.ConflictOpen {
			t.Errorf("%s: %d %s", field, status, code)
		}
	}
	var made struct{ Data struct{ Key string } }
	s.ask("POST", "/api/admin/keys", `{"name":"reader","scopes":["admin:read"]}`, &made)
	for path, want := range map[string]int{"/api/admin/conflicts/" + k.ID: http.StatusOK, "/api/admin/conflicts/" + k.ID + "/resolve": http.StatusUnauthorized} {
		method := http.MethodGet
		if want != http.StatusOK {
			method = http.MethodPost
		}
		request, err := http.NewRequestWithContext(t.Context(), method, s.app.URL("web")+path, strings.NewReader(`{"choice":"keep","reason":"r"}`))
		s.must(err)
		request.Header.Set("Authorization", "Bearer "+made.Data.Key)
		response, err := http.DefaultClient.Do(request)
		s.must(err)
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("a reader's %s %s: %d", method, path, response.StatusCode)
		}
	}
	if s.state(k.ID) != store.ConflictOpen || s.writes() != before {
		t.Error("something was done")
	}
}

func TestAConflictIsResolvedInTheConsole(t *testing.T) {
	s, k := conflicted(t, databases()["sqlite"](t))
	b := s.browser()
	at := "/conflicts/" + k.ID
	holds(t, b.get("/conflicts"), at, "El Paso")
	holds(t, b.get(at), "Is written to GoHighLevel and to Aloware", "prefer_ghl", "/events/")
	confirm := at + "/resolve?choice=aloware"
	holds(t, b.get(confirm), "is written to GoHighLevel and to Aloware")
	holds(t, b.post(confirm, at+"/resolve", url.Values{"choice": {"aloware"}, "reason": {"she said so"}}), "Asked for", "she said so")
	settle(t, s.world, s.app)
	s.stand("El Paso")
	holds(t, b.get(at), "applied", "written to GoHighLevel and Aloware")
	holds(t, b.get("/people/"+k.PersonID), "The value of Aloware was asked for by", "she said so")
}

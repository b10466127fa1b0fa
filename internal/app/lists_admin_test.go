package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox"
	"github.com/df-middleware/dfm/internal/sandbox/alowareworld"
	"github.com/df-middleware/dfm/internal/sandbox/ghlworld"
)

// ask calls the admin API with the secret and decodes the answer.
func (w *listWorld) ask(method, path, secret string, body, to any) int {
	w.t.Helper()
	var raw []byte
	if body != nil {
		var err error
		raw, err = json.Marshal(body)
		w.must(err)
	}
	request, err := http.NewRequestWithContext(w.t.Context(), method, w.app.URL("web")+path, bytes.NewReader(raw))
	w.must(err)
	request.Header.Set("Authorization", "Bearer "+secret)
	answer, err := http.DefaultClient.Do(request)
	w.must(err)
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(answer.Body)
	w.must(err)
	if to != nil {
		if err := json.Unmarshal(data, to); err != nil {
			w.t.Fatalf("%s %s: %d %s", method, path, answer.StatusCode, data)
		}
	}
	return answer.StatusCode
}

const adminSecret = "test-admin-secret"

// The whole admin API of lists, as a script of an operator uses it.
func TestOperatorsSeedAgentsAndKeepListsByTheAPI(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		world := sandbox.New(sandbox.Config{TimeScale: 0.01, Workers: 8,
			GHL: ghlworld.Config{RateMax: 1 << 30, Users: []ghlworld.User{
				{ID: "user_dana", FirstName: "Dana", LastName: "Reyes", Email: "dana@example.test"}, {ID: "user_ann", FirstName: "Ann", Email: "ann@example.test"}}},
			Aloware: alowareworld.Config{BasicUser: "test", BasicPass: "test:pass", Users: []alowareworld.User{
				{ID: 501, Name: "Dana", Email: "DANA@example.test"}, {ID: 502, Name: "Joanne", Email: "joanne@example.test"}}},
		})
		if err := world.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = world.Close() })
		w := &listWorld{t: t, world: world, clock: &skipping{}}
		w.app = build(t, world, url, w.clock.now, map[string]string{"ENABLE_POWER_DIALER_LISTS": "true", "X_DF_JOBS_SECRET": "jobs-secret",
			"DFM_LIST_BRAKE_PERCENT": "10", "DFM_LIST_BRAKE_LEAST": "0"})
		start(t, world, w.app)

		var seed struct {
			Data struct {
				Created              []struct{ AgentKey, GhlOwnerID, AlowareUserID string }
				Ambiguous, Unmatched []json.RawMessage
			}
		}
		for _, dry := range []bool{true, false} {
			if status := w.ask("POST", "/api/admin/agents/seed", adminSecret, map[string]bool{"dryRun": dry}, &seed); status != 200 ||
				len(seed.Data.Created) != 1 || seed.Data.Created[0].AgentKey != "DANA_REYES" || seed.Data.Created[0].AlowareUserID != "501" || len(seed.Data.Unmatched) != 2 {
				t.Fatalf("%d %+v", status, seed)
			}
		}
		for body, want := range map[string]int{
			`{"agentKey":"DANA_REYES","listKey":"HOT","alowareListId":"7001"}`:  200,
			`{"agentKey":"NOBODY","listKey":"HOT","alowareListId":"7002"}`:      400,
			`{"agentKey":"DANA_REYES","listKey":"COLD","alowareListId":"7003"}`: 400,
			`{"agentKey":"DANA_REYES","listKey":"HOT","alowareListId":"hot"}`:   400,
		} {
			if status := w.ask("POST", "/api/admin/lists", adminSecret, json.RawMessage(body), nil); status != want {
				t.Errorf("%s: %d", body, status)
			}
		}
		var lists struct{ Data []listShape }
		if status := w.ask("GET", "/api/admin/lists", adminSecret, nil, &lists); status != 200 || len(lists.Data) != 1 ||
			lists.Data[0] != (listShape{"DANA_REYES", "HOT", "7001", "DF_DANA_REYES_HOT"}) {
			t.Errorf("%d %+v", status, lists)
		}
		lead := w.lead(leadPhone, "user_dana", "HOT")
		w.onLists(leadPhone, 7001)
		w.quiet()

		var report struct {
			Data struct {
				RunID, State   string
				RulesVersion   int64
				Removed, Moved int
			}
		}
		rules := map[string]any{"rules": []any{map[string]any{"name": "cold", "when": map[string]any{"tags": []string{"COLD"}}, "on": []string{"HOT"}}}, "note": "try", "version": 0}
		if status := w.ask("PUT", "/api/admin/lists/rules", adminSecret, map[string]any{"rules": []any{map[string]any{"name": "x"}}}, nil); status != 400 {
			t.Errorf("faulty rules: %d", status)
		}
		if status := w.ask("PUT", "/api/admin/lists/rules", adminSecret, rules, &report); status != 200 || report.Data.State != "waiting" || report.Data.Removed != 1 {
			t.Fatalf("%d %+v", status, report)
		}
		if status := w.ask("POST", "/api/admin/lists/runs/"+report.Data.RunID+"/approve", adminSecret, nil, &report); status != 200 {
			t.Fatalf("%d %+v", status, report)
		}
		w.onLists(leadPhone)
		if status := w.ask("POST", "/api/admin/lists/runs/"+report.Data.RunID+"/decline", adminSecret, nil, nil); status != http.StatusConflict {
			t.Errorf("a run that is done was declined: %d", status)
		}
		w.must(w.world.GHL.AddTags(lead.ID, "cold"))
		w.onLists(leadPhone, 7001)
		w.quiet()

		var explained struct {
			Data struct {
				State  string
				Intent struct {
					Wanted []struct{ Rule string }
					Said   []struct{ Why string }
				}
			}
		}
		path := "/api/admin/lists/people/" + w.person(lead.ID).ID
		if status := w.ask("GET", path, adminSecret, nil, &explained); status != 200 || len(explained.Data.Intent.Wanted) != 1 || explained.Data.Intent.Wanted[0].Rule != "cold" {
			t.Errorf("%d %+v", status, explained)
		}
		if status := w.ask("GET", "/api/admin/lists/people/nobody", adminSecret, nil, nil); status != 404 {
			t.Errorf("%d", status)
		}
		for _, read := range []string{"/api/admin/lists/status", "/api/admin/lists/rules", "/api/admin/lists/runs"} {
			if status := w.ask("GET", read, adminSecret, nil, &struct{}{}); status != 200 {
				t.Errorf("%s: %d", read, status)
			}
			if status := w.ask("GET", read, "wrong", nil, nil); status != 401 {
				t.Errorf("%s without the secret: %d", read, status)
			}
		}
		var dry struct{ Data struct{ State, RunID string } }
		if status := w.ask("POST", "/api/admin/lists/rebuild", adminSecret, nil, &dry); status != 200 || dry.Data.State != "dry_run" || dry.Data.RunID != "" {
			t.Errorf("a rebuild without a body is no dry run: %d %+v", status, dry)
		}
		if status := w.ask("POST", "/api/sync/lists", "jobs-secret", nil, &dry); status != 200 || dry.Data.State != "done" {
			t.Errorf("%d %+v", status, dry)
		}
		if status := w.ask("DELETE", "/api/admin/lists/DANA_REYES/HOT", adminSecret, nil, nil); status != 200 {
			t.Errorf("%d", status)
		}
		if status := w.ask("DELETE", "/api/admin/lists/DANA_REYES/HOT", adminSecret, nil, nil); status != 404 {
			t.Errorf("deleted twice: %d", status)
		}
		var audit struct{ Data []struct{ Action string } }
		w.ask("GET", "/api/admin/audit", adminSecret, nil, &audit)
		seen := map[string]bool{}
		for _, row := range audit.Data {
			seen[row.Action] = true
		}
		for _, action := range []string{"agent.seed", "list.save", "list.delete", "lists.rules", "lists.approve", "lists.rebuild"} {
			if !seen[action] {
				t.Errorf("%s is not in the audit log: %v", action, seen)
			}
		}
		two := map[string]any{"agentKey": "DANA_TWO", "ghlOwnerId": "user_dana"}
		if status := w.ask("POST", "/api/admin/agents", adminSecret, two, nil); status != http.StatusConflict {
			t.Errorf("one user is two agents: %d", status)
		}
	})
}

type listShape struct{ AgentKey, ListKey, AlowareListID, AlowareListName string }

// The custom field and the tag name an agent whom nobody is assigned, and a
// status in Aloware puts the person into its sequence.
func TestTheAgentsFieldATagAndAStatusAreObeyed(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		world := sandbox.New(sandbox.Config{TimeScale: 0.01, Workers: 8,
			GHL:     ghlworld.Config{RateMax: 1 << 30, CustomFields: []ghlworld.CustomField{{ID: "cfAgent", Name: "Assigned agent", FieldKey: "contact.assignedAgent", DataType: "TEXT"}}},
			Aloware: alowareworld.Config{BasicUser: "test", BasicPass: "test:pass", CustomFields: []string{"aloware_list_status"}},
		})
		if err := world.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = world.Close() })
		w := &listWorld{t: t, world: world, clock: &skipping{}}
		w.app = build(t, world, url, w.clock.now, map[string]string{"ENABLE_POWER_DIALER_LISTS": "true", "ENABLE_ALOWARE_SEQUENCES": "true",
			"ALOWARE_STATUS_TO_SEQUENCE": `{"Hot":"71","Cold":{"sequence_id":"72","optional":true}}`})
		start(t, world, w.app)
		w.cast()
		agents, err := w.app.store.Agents(t.Context())
		w.must(err)
		for _, a := range agents {
			a.GHLFieldValue = a.DisplayName
			w.must(w.app.store.SaveAgent(t.Context(), a, true, time.Now()))
		}
		lead := w.lead(leadPhone, "", "hot", "owner: dana")
		w.onLists(leadPhone, danaNew, danaHot)
		w.must(w.world.GHL.EditCustom(lead.ID, map[string]any{"cfAgent": "eli"}))
		w.onLists(leadPhone, eliNew, eliHot)
		for _, step := range []struct {
			status string
			want   []int64
		}{{"Hot", []int64{71}}, {"Cold", []int64{72}}, {"", nil}} {
			w.must(w.world.Aloware.EditContact(leadPhone, map[string]string{"aloware_list_status": step.status}))
			eventually(t, 15*time.Second, func() error {
				c, _ := w.world.Aloware.Contact(leadPhone)
				if len(c.Sequences) != len(step.want) || len(c.Sequences) > 0 && c.Sequences[0] != step.want[0] {
					return fmt.Errorf("status %q: in %v", step.status, c.Sequences)
				}
				return nil
			})
			w.quiet()
		}
		w.must(w.world.Aloware.ReceiveText(leadPhone, "STOP"))
		w.onLists(leadPhone)
		w.must(w.world.Aloware.EditContact(leadPhone, map[string]string{"aloware_list_status": "Hot"}))
		w.quiet()
		if c, _ := w.world.Aloware.Contact(leadPhone); len(c.Sequences) != 0 {
			t.Errorf("enrolled after STOP: %v", c.Sequences)
		}
	})
}

// Somebody whose contact is deleted in GHL is on no list, and stays off.
func TestADeletedContactLeavesItsLists(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		w := newListWorld(t, url, nil)
		lead := w.lead(leadPhone, "user_dana", "hot")
		w.onLists(leadPhone, danaNew, danaHot)
		w.quiet()
		id := w.person(lead.ID).ID
		w.must(w.world.GHL.DeleteContact(lead.ID))
		w.onLists(leadPhone)
		w.quiet()
		e, err := w.app.lists.desk.Explain(t.Context(), id)
		if err != nil || e.State != "ended" || len(e.Held) > 0 {
			t.Errorf("kept as %+v, %v", e, err)
		}
	})
}

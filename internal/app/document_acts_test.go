package app

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/lists"
	"github.com/df-middleware/dfm/internal/store"
)

// changes makes every call that changes something, in an order in which each can
// succeed.
func (w *apiWorld) changes() {
	w.t.Helper()
	w.consent()
	w.eventChanges()
	w.conflictChanges()
	w.peopleChanges()
	for range 2 {
		made := w.act("createKey", map[string]any{"name": "reporting", "scopes": []auth.Scope{auth.ScopeAdminRead}})
		w.ids["rotateKey.id"], _ = made["id"].(string)
	}
	turned := w.act("rotateKey", nil)
	w.ids["revokeKey.id"], _ = turned["id"].(string)
	w.act("revokeKey", nil)
	w.users()
	w.ids["acknowledgeAlert.id"], w.ids["resolveAlert.id"], w.ids["getAlert.id"] = w.ids["alert0"], w.ids["alert1"], w.ids["alert0"]
	w.act("acknowledgeAlert", nil)
	w.act("resolveAlert", nil)
	w.ids["agentKey"], w.ids["listKey"] = "DANA", "HOT"
	w.act("saveAgent", nil)
	w.act("changeAgent", nil)
	w.act("seedAgents", nil)
	w.act("saveCallList", map[string]any{"agentKey": "DANA", "listKey": "HOT", "alowareListId": "4711"})
	w.act("rebuildLists", nil)
	w.act("putListRules", nil)
	w.act("rebuildLists", map[string]any{"dryRun": false, "force": true})
	w.act("syncLists", nil)
	w.waitingRuns()
	w.act("startReconcileRun", nil)
	w.ids["id"] = "b0"
	w.act("refreshBroadcast", nil)
	for _, id := range []string{"processPendingByPost", "enqueuePending"} {
		w.act(id, nil)
	}
	w.ids["source"] = "ghl"
	w.act("testWebhook", nil)
	w.act("repairMapping", nil)
	settle(w.t, w.World, w.app)
	sync := w.operation("syncContacts")
	for _, query := range []url.Values{{"phone": {customerPhone}}, {"ghlContactId": {w.ids["contact"]}}, {"all": {"true"}}} {
		w.send(sync, sync.path, query, nil, adminSecret, http.StatusOK)
	}
	w.called["syncContacts"] = true
	settle(w.t, w.World, w.app)
}

// users adds somebody, changes and disables him.
func (w *apiWorld) users() {
	w.t.Helper()
	made := w.act("createUser", nil)
	id, _ := made["id"].(string)
	for _, operation := range []string{"getUser", "changeUser", "patchUser", "disableUser"} {
		w.ids[operation+".id"] = id
	}
	w.act("changeUser", nil)
	w.act("patchUser", nil)
	w.act("disableUser", nil)
}

// waitingRuns approves a run that waits and declines another.
func (w *apiWorld) waitingRuns() {
	w.t.Helper()
	for _, id := range []string{"approveListRun", "declineListRun"} {
		row := store.ListRun{ID: w.app.newID(), Kind: lists.RunRebuild, State: lists.RunWaiting, Totals: "{}", CreatedBy: "test", CreatedAt: w.app.clock().UTC()}
		if err := store.InsertListRun(w.t.Context(), w.app.store, row); err != nil {
			w.t.Fatal(err)
		}
		w.ids[id+".id"] = row.ID
		w.act(id, nil)
	}
}

// consent opts a number out and closes what is open about opt-outs.
func (w *apiWorld) consent() {
	w.t.Helper()
	w.act("setOptOut", map[string]any{"phone": "+15005550199", "status": "opted_out", "reason": "said so on the phone"})
	w.act("setOptOut", nil)
	settle(w.t, w.World, w.app)
	w.act("resolveIncident", map[string]any{"key": "k1", "note": "asked the agent"})
	events, err := w.app.store.ConsentEvents(w.t.Context(), store.ConsentFilter{Limit: 10})
	if err != nil || len(events) < 2 {
		w.t.Fatalf("%d consent events, %v", len(events), err)
	}
	err = w.app.store.InTx(w.t.Context(), func(tx store.Tx) error {
		for _, e := range events[:2] {
			if err := store.InsertConsentReview(w.t.Context(), tx, store.ConsentReview{EventID: e.ID, Kind: "unclear", Phone: customerPhone, At: w.app.clock()}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.ids["resolveOptOutReview.id"] = events[1].ID
	w.act("resolveOptOutReview", nil)
}

// eventChanges replays, puts aside, releases and closes an event.
func (w *apiWorld) eventChanges() {
	w.t.Helper()
	events, err := w.app.store.Events(w.t.Context(), store.EventFilter{Source: df.SourceGHL, Status: df.Done, Limit: 5})
	if err != nil || len(events) < 2 {
		w.t.Fatalf("%d events, %v", len(events), err)
	}
	id := events[0].ID
	for _, operation := range []string{"getEvent", "replayEvent", "quarantineEvent", "releaseEvent", "markEventDone"} {
		w.ids[operation+".id"] = id
	}
	w.act("replayEvent", nil)
	settle(w.t, w.World, w.app)
	w.aside(id, df.Failed)
	w.act("quarantineEvent", nil)
	w.act("releaseEvent", nil)
	settle(w.t, w.World, w.app)
	w.aside(id, df.Failed)
	w.act("markEventDone", nil)
	w.act("replayEvents", nil)
	w.act("changeManyEvents", nil)
	w.act("changeManyEvents", map[string]any{"action": "mark-done", "filter": map[string]any{"entityId": "nobody"}, "reason": "done by hand", "dryRun": false})
	for range 2 {
		made := w.act("replayEvents", map[string]any{"filter": map[string]any{"source": "ghl", "entityId": "nobody"}, "dryRun": false})
		w.ids["getReplay.id"], _ = made["id"].(string)
	}
	row := w.replayed(w.ids["getReplay.id"])
	if _, err := w.app.store.Exec(w.t.Context(), "UPDATE replays SET status = 'working' WHERE id = $1", row.ID); err != nil {
		w.t.Fatal(err)
	}
	w.ids["stopReplay.id"] = row.ID
	w.act("stopReplay", nil)
	if _, err := w.app.store.Exec(w.t.Context(), "UPDATE forwards SET status = 'given_up' WHERE event_id = $1", events[1].ID); err != nil {
		w.t.Fatal(err)
	}
	w.ids["retryForward.id"] = events[1].ID
	w.act("retryForward", nil)
}

// replayed waits until a replay is done: its worker would else end the one that the
// test makes look as if it ran.
func (w *apiWorld) replayed(id string) (row store.Replay) {
	w.t.Helper()
	eventually(w.t, 10*time.Second, func() (err error) {
		if row, err = w.app.store.ReplayByID(w.t.Context(), id); err == nil && row.Status != store.ReplayDone {
			err = errors.New("it still runs")
		}
		return err
	})
	return row
}

// aside gives an event a status that it does not get by itself here.
func (w *apiWorld) aside(id string, status df.Status) {
	w.t.Helper()
	if _, err := w.app.store.Exec(w.t.Context(), "UPDATE webhook_events SET status = $2 WHERE id = $1", id, string(status)); err != nil {
		w.t.Fatal(err)
	}
}

// conflictChanges asks for a side's value and accepts many.
func (w *apiWorld) conflictChanges() {
	w.t.Helper()
	for _, operation := range []string{"getConflict", "resolveConflict"} {
		w.ids[operation+".id"] = w.ids["conflict0"]
	}
	w.act("acceptConflicts", nil)
	w.act("resolveConflict", nil)
	settle(w.t, w.World, w.app)
	w.act("acceptConflicts", map[string]any{"action": "accept", "filter": map[string]any{"field": "state"}, "reason": "looked through", "dryRun": false})
}

// peopleChanges merges, splits and takes both back.
func (w *apiWorld) peopleChanges() {
	w.t.Helper()
	person, other := w.ids["person"], w.ids["other"]
	merge := map[string]any{"winnerId": person, "loserId": other, "reason": "the same person"}
	w.act("mergePeople", merge)
	w.act("splitPerson", map[string]any{"personId": person, "side": "aloware", "reason": "two people"})
	for range 2 {
		changes, err := w.app.store.PeopleChanges(w.t.Context(), "", "", 10)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, c := range changes {
			if c.UndoneAt.IsZero() {
				w.ids["undoPeopleChange.id"] = c.ID
				break
			}
		}
		w.act("undoPeopleChange", nil)
	}
	w.act("resolvePeopleReview", map[string]any{"key": "r0", "reason": "they are different people"})
	err := w.app.store.InTx(w.t.Context(), func(tx store.Tx) error {
		for i := range 2 {
			if err := store.InsertReview(w.t.Context(), tx, store.Review{Key: fmt.Sprint("again", i), Kind: "shared_phone", PersonID: person, Side: df.SideGHL,
				Phone: customerPhone, At: w.app.clock().Add(time.Duration(i) * time.Second)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// last is what leaves too little for the rest.
func (w *apiWorld) last() {
	w.t.Helper()
	w.act("deleteCallList", nil)
	w.act("deleteAgent", nil)
	w.act("erasePerson", nil)
	w.act("erasePerson", map[string]any{"dryRun": false, "confirm": w.ids["person"], "reason": "asked for it"})
}

package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
	"github.com/df-middleware/dfm/internal/store"
)

// asks posts JSON to the admin API.
func (w textingWorld) asks(t *testing.T, path string, body any) (int, []byte) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.app.URL("web")+path, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-DF-ADMIN-SECRET", "test-admin-secret")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if data, err = io.ReadAll(answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, data
}

func (w textingWorld) standing(t *testing.T) store.Consent {
	t.Helper()
	states, err := w.app.store.Consents(t.Context(), customerPhone)
	if err != nil {
		t.Fatal(err)
	}
	return states[customerPhone]
}

// A contact that is deleted in GHL is retired in Aloware, which is our doing: the
// announcement of it once opted the number out everywhere and for ever.
func TestADeletedContactIsNoOptOutOfThePerson(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		w.says("hello")
		c := w.contact(t)
		settle(t, w.World, w.app)
		if err := w.GHL.DeleteContact(c.ID); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, func() error {
			if there, _ := w.Aloware.Contact(customerPhone); !there.DNC {
				return errors.New("Aloware may still call")
			}
			return nil
		})
		settle(t, w.World, w.app)
		if got := w.standing(t); got.Status == "opted_out" || got.CallStatus == "opted_out" {
			t.Errorf("the number is %+v", got)
		}
		// The city tells the second announcement from the first, should both come
		// within one second: Aloware sends no ids.
		if err := errors.Join(w.Aloware.SetDNC(customerPhone, false), w.Aloware.EditContact(customerPhone, map[string]string{"city": "Oslo"})); err != nil {
			t.Fatal(err)
		}
		settle(t, w.World, w.app)
		if err := w.Aloware.SetDNC(customerPhone, true); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, func() error {
			if got := w.standing(t); got.CallStatus != "opted_out" {
				return fmt.Errorf("what an agent set in Aloware later is not heard: %+v", got)
			}
			return nil
		})
	})
}

// Aloware refuses a text to somebody who is out there (32), or do-not-call (11):
// that is evidence, whoever told it so.
func TestARefusalOfAlowareIsHeardAsAnOptOut(t *testing.T) {
	for code, want := range map[string]string{"32": "opted_out", "11": "opted_out", "16": ""} {
		t.Run(code, func(t *testing.T) {
			eachTexting(t, func(t *testing.T, w textingWorld) {
				now := time.Now().UTC().Format(time.DateTime)
				w.Aloware.Emit("Communication-Status-Updated", map[string]any{"id": 880011, "type": 2, "direction": 2, "contact_id": 700000001,
					"lead_number": customerPhone, "incoming_number": ourPhone, "current_status2": 19, "disposition_status2": 7,
					"rejection_reason": code, "body": "hello", "created_at": now, "updated_at": now})
				settle(t, w.World, w.app)
				if got := w.standing(t); got.Status != want {
					t.Errorf("refused with %s, the number is %+v", code, got)
				}
			})
		})
	}
}

// A flag that was set while webhooks were lost is told by no event: whoever reads
// the contact next hears it, before lists and other writes follow.
func TestAFlagThatNoWebhookToldOfIsHeardWhenTheContactIsRead(t *testing.T) {
	for side, set := range map[string]func(w textingWorld, contactID string) error{
		"ghl":     func(w textingWorld, id string) error { return w.GHL.SetDND(id, "Call", "active") },
		"aloware": func(w textingWorld, _ string) error { return w.Aloware.SetDNC(customerPhone, true) },
	} {
		t.Run(side, func(t *testing.T) {
			eachTexting(t, func(t *testing.T, w textingWorld) {
				w.says("hello")
				c := w.contact(t)
				settle(t, w.World, w.app)
				w.SetMischief(stage.Mischief{DropWebhooks: 1})
				if err := set(w, c.ID); err != nil {
					t.Fatal(err)
				}
				w.Behave()
				if got := w.standing(t); got.CallStatus == "opted_out" {
					t.Fatalf("the webhook was not lost: %+v", got)
				}
				for range 2 {
					if _, err := w.app.sync.SyncContact(t.Context(), c.ID, "", ""); err != nil {
						t.Fatal(err)
					}
					settle(t, w.World, w.app)
				}
				if got := w.standing(t); got.CallStatus != "opted_out" {
					t.Errorf("the number is %+v", got)
				}
				acts, err := w.app.store.ConsentEvents(t.Context(), store.ConsentFilter{Phones: []string{customerPhone}, Limit: 10})
				if err != nil || len(acts) != 1 {
					t.Errorf("%d acts where one was: %+v, %v", len(acts), acts, err)
				}
			})
		})
	}
}

// What a person says at our console goes the way of all that is heard: evidence,
// registry, every other system.
func TestAnOptOutSetByHandReachesEverySystem(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		w.says("hello")
		c := w.contact(t)
		settle(t, w.World, w.app)
		if status, body := w.asks(t, "/api/admin/optouts", map[string]any{"phone": "(500) 555-0111", "status": "opted_out", "reason": "asked by mail"}); status != 200 ||
			!bytes.Contains(body, []byte(`"changed":true`)) {
			t.Fatalf("%d %s", status, body)
		}
		eventually(t, 10*time.Second, func() error { // the two seconds are held by TestAStopTakesEffect…
			there, _ := w.Aloware.Contact(customerPhone)
			if c, _ = w.GHL.Contact(c.ID); !c.Blocked("SMS") || !c.Blocked("Call") || !there.DNC {
				return fmt.Errorf("GHL %v %v, Aloware %v", c.Blocked("SMS"), c.Blocked("Call"), there.DNC)
			}
			return nil
		})
		for name, in := range map[string]map[string]any{
			"no evidence": {"phone": customerPhone, "status": "opted_in"},
			"no number":   {"phone": "hello", "status": "opted_out"},
			"no status":   {"phone": customerPhone},
			"no scope":    {"phone": customerPhone, "status": "opted_out", "scopes": []string{"mail"}},
		} {
			if status, body := w.asks(t, "/api/admin/optouts", in); status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", name, status, body)
			}
		}
		if status, body := w.asks(t, "/api/admin/optouts", map[string]any{"phone": customerPhone, "status": "opted_in",
			"evidence": "called on 3 March: wants our texts again"}); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		if got := w.standing(t); got.Status != "opted_in" || got.CallStatus != "opted_in" {
			t.Errorf("%+v", got)
		}
		audit, err := w.app.store.AuditLog(t.Context(), 0, 10)
		if err != nil || len(audit) != 2 || audit[0].Action != "optout.set" || audit[0].Target == "" {
			t.Errorf("%+v, %v", audit, err)
		}
	})
}

func TestReviewsAndIncidentsAreResolvedOnce(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		w.says("please take me off your list")
		settle(t, w.World, w.app)
		reviews, err := w.app.store.ConsentReviews(t.Context(), 10)
		if err != nil || len(reviews) != 1 {
			t.Fatalf("%+v, %v", reviews, err)
		}
		err = w.app.store.InTx(t.Context(), func(tx store.Tx) error {
			_, err := store.InsertIncident(t.Context(), tx, store.Incident{Key: "aloware:1:call:x", Phone: customerPhone, Scope: "call",
				At: time.Now(), SeenAt: time.Now(), OutSince: time.Now()})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		review, incident := "/api/admin/optouts/reviews/"+reviews[0].EventID+"/resolve", "/api/admin/optouts/incidents/resolve"
		for _, test := range []struct {
			path string
			body map[string]any
			want int
		}{
			{review, map[string]any{}, 400}, {review, map[string]any{"note": "an opt-out indeed"}, 200}, {review, map[string]any{"note": "again"}, 404},
			{incident, map[string]any{"key": "aloware:1:call:x"}, 400}, {incident, map[string]any{"key": "aloware:1:call:x", "note": "agent told"}, 200},
			{incident, map[string]any{"key": "aloware:1:call:x", "note": "again"}, 404},
		} {
			if status, body := w.asks(t, test.path, test.body); status != test.want {
				t.Errorf("%s %v: %d %s", test.path, test.body, status, body)
			}
		}
		reviews, err = w.app.store.ConsentReviews(t.Context(), 10)
		incidents, err2 := w.app.store.Incidents(t.Context(), 10)
		if err != nil || err2 != nil || len(reviews)+len(incidents) != 0 {
			t.Errorf("%+v, %+v, %v, %v", reviews, incidents, err, err2)
		}
	})
}

// The overview called texting "not set up" while texts flowed.
func TestTextingIsAmongTheConnections(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		if _, body := w.admin(t, "/api/admin/verify-connections"); !bytes.Contains(body, []byte(`"name":"texting","status":"ok","message":"takes webhooks; texts go out through Verity"`)) {
			t.Errorf("%s", body)
		}
	})
	if (Config{}).texts() {
		t.Error("nothing is configured, and texting counts as set up")
	}
}

package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/store"
)

// items reads what the admin API shows of a kind.
func (w textingWorld) items(t *testing.T, path string) []itemView {
	t.Helper()
	status, body := w.admin(t, path)
	var answer struct{ Data []itemView }
	if err := json.Unmarshal(body, &answer); err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d %s, %v", path, status, body, err)
	}
	return answer.Data
}

func acts(i itemView) string {
	var all []string
	for _, act := range i.History {
		all = append(all, act.What)
	}
	return strings.Join(all, ", ")
}

func TestAppointmentsAndOpportunitiesAreKeptWithTheirHistory(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		w.says("hello")
		c := w.contact(t)
		settle(t, w.World, w.app)
		start := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
		booked, err := w.GHL.Book(c.ID, "Visit", start)
		if err != nil {
			t.Fatal(err)
		}
		o, err := w.GHL.OpenOpportunity(c.ID, w.GHL.Settings().Pipelines[0].Stages[0].Name)
		if err != nil {
			t.Fatal(err)
		}
		settle(t, w.World, w.app)
		if err := w.GHL.Reschedule(booked.ID, start.Add(24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := w.GHL.SetOpportunityStatus(o.ID, "won"); err != nil {
			t.Fatal(err)
		}
		settle(t, w.World, w.app)
		if err := w.GHL.CancelBooking(booked.ID); err != nil {
			t.Fatal(err)
		}
		settle(t, w.World, w.app)
		found := w.items(t, "/api/admin/appointments")
		if len(found) != 1 || found[0].Status != "deleted" || !strings.HasPrefix(acts(found[0]), "booked, rescheduled") || found[0].GHLContactID != c.ID {
			t.Errorf("%+v", found)
		}
		people, err := w.app.store.People(t.Context(), store.PersonFilter{GHLContactID: c.ID, Limit: 1})
		if err != nil || len(people) != 1 {
			t.Fatalf("%v, %v", people, err)
		}
		won := w.items(t, "/api/admin/opportunities?status=won&personId="+people[0].ID)
		if len(won) != 1 || won[0].Values["stage"] != w.GHL.Settings().Pipelines[0].Stages[0].Name || !strings.Contains(acts(won[0]), "won") {
			t.Errorf("%+v", won)
		}
		status, body := w.admin(t, "/api/admin/people/"+people[0].ID+"/timeline")
		if status != http.StatusOK || !strings.Contains(string(body), `"kind":"appointment"`) || !strings.Contains(string(body), `"kind":"opportunity"`) {
			t.Errorf("the timeline: %d %s", status, body)
		}
		if none := w.items(t, "/api/admin/appointments?cursor="+found[0].ID); len(none) != 0 {
			t.Errorf("the page after the last: %+v", none)
		}
		if status, _ := w.admin(t, "/api/admin/appointments?limit=x"); status != http.StatusBadRequest {
			t.Errorf("%d", status)
		}
	})
}

// An appointment may be what a broadcast led to: its figures are asked for anew.
func TestAnAppointmentHasBroadcastsComputedAnew(t *testing.T) {
	eachTexting(t, func(t *testing.T, w textingWorld) {
		w.says("hello")
		c := w.contact(t)
		w.Verity.PostBroadcast("analytics_updated", "b1", map[string]any{"sent": 10, "appointments": 0})
		settle(t, w.World, w.app)
		w.Verity.SetAnalytics("b1", map[string]any{"sent": 10, "responses": 4, "appointments": 1})
		if _, err := w.GHL.Book(c.ID, "Visit", time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, func() error {
			records := w.GHL.Records("custom_objects.broadcasts")
			if len(records) != 1 || fmt.Sprint(records[0].Properties["appointments_set"]) != "1" {
				return fmt.Errorf("%+v", records)
			}
			return nil
		})
	})
}

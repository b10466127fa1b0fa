package appointments

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

func told(minute int, event string, pairs ...string) Telling {
	t := Telling{At: noon.Add(time.Duration(minute) * time.Minute), Event: event, Deleted: strings.HasSuffix(event, "Delete"), Values: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		t.Values[pairs[i]] = pairs[i+1]
	}
	return t
}

func words(acts []Act) string {
	var all []string
	for _, a := range acts {
		all = append(all, a.What)
	}
	return strings.Join(all, ", ")
}

// D-76: every event about an appointment did the same thing, whatever it said.
func TestWhatHappenedToAnAppointment(t *testing.T) {
	const one, two = "2030-01-05T10:00:00Z", "2030-01-06T10:00:00Z"
	for _, test := range []struct {
		name     string
		told     []Telling
		history  string
		standing string
	}{
		{"booked and kept", []Telling{told(0, "AppointmentCreate", Start, one, Status, "confirmed"), told(9, "AppointmentUpdate", Start, one, Status, "showed")},
			"booked, showed up", "showed up"},
		{"rescheduled, then nobody came", []Telling{told(0, "AppointmentCreate", Start, one, Status, "new"),
			told(1, "AppointmentUpdate", Start, two, Status, "confirmed"), told(9, "AppointmentUpdate", Start, two, Status, "noshow")},
			"booked, rescheduled, booked, no-show", "no-show"},
		{"canceled", []Telling{told(0, "AppointmentCreate", Start, one, Status, "confirmed"), told(1, "AppointmentUpdate", Start, one, Status, "cancelled")},
			"booked, canceled", "canceled"},
		{"deleted, and an update that overtook it", []Telling{told(0, "AppointmentCreate", Start, one, Status, "confirmed"),
			told(1, "AppointmentDelete"), told(2, "AppointmentUpdate", Start, one, Status, "confirmed")}, "booked, deleted", "deleted"},
		{"only its cancellation was told", []Telling{told(1, "AppointmentUpdate", Start, one, Status, "cancelled")}, "canceled", "canceled"},
		{"told twice", []Telling{told(0, "AppointmentCreate", Start, one, Status, "confirmed"), told(0, "AppointmentUpdate", Start, one, Status, "confirmed")},
			"booked", "booked"},
	} {
		all := Join(test.told, nil)
		if got := words(History(Appointment, all)); got != test.history || Standing(Appointment, StateOf(all)) != test.standing {
			t.Errorf("%s: %s; %s", test.name, got, Standing(Appointment, StateOf(all)))
		}
	}
}

func TestWhatHappenedToAnOpportunity(t *testing.T) {
	all := Join([]Telling{told(0, "OpportunityCreate", Status, "open", Stage, "New"), told(1, "OpportunityStageUpdate", Status, "open", Stage, "Hot"),
		told(2, "OpportunityAssignedToUpdate", Owner, "u1"), told(3, "OpportunityStatusUpdate", Status, "won")}, nil)
	if got := words(History(Opportunity, all)); got != "created, stage, assigned, won" || Standing(Opportunity, StateOf(all)) != "won" {
		t.Errorf("%s; %s", got, Standing(Opportunity, StateOf(all)))
	}
	if Standing(Opportunity, State{}) != "open" {
		t.Error("one whose status was never told is not open")
	}
}

// Whatever order tellings come in, and however often, the history is the same.
func TestTheHistoryDoesNotDependOnTheOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) Telling {
			event := rapid.SampledFrom([]string{"AppointmentCreate", "AppointmentUpdate", "AppointmentDelete"}).Draw(rt, "event")
			return told(rapid.IntRange(0, 3).Draw(rt, "minute"), event, Status, rapid.SampledFrom([]string{"new", "noshow"}).Draw(rt, "status"))
		}), 0, 8).Draw(rt, "told")
		shuffled := rapid.Permutation(append(all, all[:len(all)/2]...)).Draw(rt, "shuffled")
		var one, other []Telling
		for _, t := range all {
			one = Join(one, []Telling{t})
		}
		for _, t := range shuffled {
			other = Join([]Telling{t}, other)
		}
		if !reflect.DeepEqual(History(Appointment, one), History(Appointment, other)) || !reflect.DeepEqual(StateOf(one), StateOf(other)) {
			rt.Fatalf("%v and %v", one, other)
		}
	})
}

func TestAHistoryIsBounded(t *testing.T) {
	var all []Telling
	for i := range 3 * maxTellings {
		all = Join(all, []Telling{told(i, "AppointmentUpdate", Status, "new", Title, time.Duration(i).String())})
	}
	if len(all) != maxTellings || StateOf(all).Get(Title) != time.Duration(3*maxTellings-1).String() {
		t.Errorf("%d kept, now %q", len(all), StateOf(all).Get(Title))
	}
}

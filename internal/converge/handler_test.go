package converge

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

func event(id string, source df.Source, kind df.Kind, contactID string, phone df.Phone) df.Event {
	return df.Event{ID: id, Source: source, Notice: df.Notice{Kind: kind, ContactID: contactID, Phone: phone}}
}

func (w *world) handle(t testing.TB, lane string, events ...df.Event) []Outcome {
	t.Helper()
	outcomes, err := w.h.Handle(t.Context(), Lease{Lane: lane}, events, 0)
	if err != nil || len(outcomes) != len(events) {
		t.Fatalf("outcomes %v, error %v", outcomes, err)
	}
	return outcomes
}

func TestALaneOfNobodySendsItsEventsToTheirPeople(t *testing.T) {
	w := newWorld(t)
	w.ghl.has("g1", annFields())
	got := w.handle(t, "phone:+1", event("1", df.SourceGHL, df.KindContactCreated, "g1", annPhone),
		event("2", df.SourceAloware, df.KindContactCreated, "7", annPhone),
		event("3", df.SourceGHL, df.KindContactUpdated, "g1", ""))
	for _, o := range got {
		if o.MoveTo != "person:p1" || o.PersonID != "p1" || o.Status != "" {
			t.Errorf("outcome %+v", o)
		}
	}
	if w.ghl.writes+w.aloware.creates != 0 {
		t.Error("converged outside the person's lane")
	}
}

func TestAFirstEventIsIdentifiedByWhatIsTrueNow(t *testing.T) {
	w := linked(t)
	w.ghl.has("g2", fields{df.PhoneNumber: string(bobPhone)})
	stale := event("1", df.SourceGHL, df.KindContactUpdated, "g2", annPhone) // it had Ann's number, weeks ago
	if got := w.handle(t, "ghl:g2", stale)[0]; got.PersonID == "p" || w.store.rows[got.PersonID].Phone != bobPhone || len(w.store.reviews) != 0 {
		t.Errorf("outcome %+v, people %+v", got, w.store.rows)
	}
}

func TestEventsThatNeedNothing(t *testing.T) {
	w := linked(t)
	w.store.rows["gone"] = people.Person{ID: "gone", GHLContactID: "g5", Status: people.Ended, EndedAt: noon, EndedReason: "deleted in GHL"}
	unreadable := event("1", df.SourceGHL, df.KindUnknown, "", "")
	unreadable.Notice.Skip = "unreadable"
	events := []df.Event{unreadable,
		event("2", df.SourceGHL, df.KindLocation, "", ""),
		event("3", df.SourceGHL, df.KindContactDeleted, "g404", ""),
		event("4", df.SourceGHL, df.KindContactUpdated, "g404", ""),
		event("5", df.SourceGHL, df.KindContactUpdated, "g5", ""),
		event("6", df.SourceAloware, df.KindContactUpdated, "", ""),
		event("7", df.SourceTexting, df.KindMessage, "", annPhone)}
	for _, o := range w.handle(t, "ghl:x", events...) {
		if o.Status != df.Skipped || o.Reason == "" {
			t.Errorf("outcome %+v", o)
		}
	}
	if len(w.store.rows) != 2 {
		t.Errorf("people %v", w.store.rows)
	}
}

func TestABurstCostsOneConvergence(t *testing.T) {
	w := linked(t)
	w.ghl.edit("g1", fields{df.City: "Oslo"})
	reads, saves := w.ghl.reads, w.store.saves
	var burst []df.Event
	for i := range 50 {
		burst = append(burst, event(string(rune('a'+i)), df.SourceGHL, df.KindContactUpdated, "g1", annPhone))
	}
	for _, o := range w.handle(t, "person:p", burst...) {
		if o.Status != df.Done || o.PersonID != "p" {
			t.Fatalf("outcome %+v", o)
		}
	}
	if w.ghl.reads != reads+1 || w.store.saves != saves+1 || w.aloware.writes != 1 {
		t.Errorf("%d reads, %d saves, %s", w.ghl.reads-reads, w.store.saves-saves, w.upstream())
	}
}

// D-38 and invariant 6: an event says that something happened, never what is so.
func TestAStalePayloadChangesNothing(t *testing.T) {
	w := linked(t)
	old := event("1", df.SourceAloware, df.KindContactUpdated, "7", annPhone)
	old.Notice.OccurredAt = noon.Add(-21 * 24 * time.Hour)
	old.Notice.Contact = &df.Contact{ID: "7", Fields: fields{df.City: "Berlin", df.FirstName: "Anna"}, Tags: df.Tags("old")}
	w.handle(t, "person:p", old)
	if w.ghl.writes+w.aloware.writes != 0 || w.ghl.get("g1", df.City) != "Rome" {
		t.Errorf("%s, %v", w.upstream(), w.ghl.contacts)
	}
}

func TestAnyAlowareEventWithAContactConverges(t *testing.T) {
	w := linked(t)
	w.aloware.edit("7", fields{df.City: "Oslo"})
	call := event("1", df.SourceAloware, df.KindCall, "7", annPhone)
	call.Notice.Contact = &df.Contact{ID: "7"}
	if got := w.handle(t, "person:p", call)[0]; got.Status != df.Done || w.ghl.get("g1", df.City) != "Oslo" {
		t.Errorf("outcome %+v, city %q", got, w.ghl.get("g1", df.City))
	}
}

func TestDeletionsInTheLane(t *testing.T) {
	w := linked(t)
	deletion := event("2", df.SourceGHL, df.KindContactDeleted, "g1", annPhone)
	update := event("1", df.SourceGHL, df.KindContactUpdated, "g1", annPhone)
	if got := w.handle(t, "person:p", update, deletion); got[0].Status != df.Done || got[1].Status != df.Skipped {
		t.Fatalf("a deletion that is not true: %+v", got)
	}
	delete(w.ghl.contacts, "g1")
	if got := w.handle(t, "person:p", update, deletion); got[0].Status != df.Done || got[1].Status != df.Done {
		t.Fatalf("a true one: %+v", got)
	}
	late := event("3", df.SourceAloware, df.KindContactUpdated, "7", annPhone)
	if got := w.handle(t, "person:p", late)[0]; got.Status != df.Skipped || w.ghl.creates != 0 {
		t.Fatalf("a late event: %+v, %s", got, w.upstream())
	}
	if got := w.handle(t, "aloware:7", late)[0]; got.Status != df.Skipped {
		t.Fatalf("a late event in another lane: %+v", got)
	}
}

func TestEventsOfAMergedPersonMoveOn(t *testing.T) {
	w := linked(t)
	w.store.rows["old"] = people.Person{ID: "old", GHLContactID: "g0", Status: people.Ended, EndedAt: noon, MergedInto: "p", Version: 1}
	e := event("1", df.SourceGHL, df.KindContactUpdated, "g0", "")
	if got := w.handle(t, "person:old", e)[0]; got.MoveTo != "person:p" {
		t.Errorf("outcome %+v", got)
	}
}

func TestFailuresBecomeWhatTheLaneUnderstands(t *testing.T) {
	at := noon.Add(time.Minute)
	tests := []struct {
		name   string
		err    *df.CallError
		status df.Status
		retry  time.Time
	}{
		{"rate limit", &df.CallError{Outcome: df.RetryLater, RetryAt: at, Code: df.CodeRateLimited}, df.Failed, at},
		{"down", &df.CallError{Outcome: df.RetryLater, Code: df.CodeUnavailable}, df.Failed, time.Time{}},
		{"wrong credentials", &df.CallError{Outcome: df.Refused, Code: df.CodeUnauthorized}, df.Failed, time.Time{}},
		{"refused", &df.CallError{Outcome: df.Refused, Code: df.CodeInvalid}, df.Quarantined, time.Time{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := linked(t)
			w.ghl.fault = func(string) (error, bool) { return test.err, false }
			for _, lane := range []string{"person:p", "ghl:g9"} {
				got := w.handle(t, lane, event("1", df.SourceGHL, df.KindContactUpdated, "g9", ""))[0]
				if got.Status != test.status || !got.RetryAt.Equal(test.retry) || got.Error+got.Reason == "" {
					t.Errorf("%s: outcome %+v", lane, got)
				}
			}
		})
	}
}

func TestWhatIsNotYetInAgreementIsTriedAgain(t *testing.T) {
	w := linked(t)
	w.aloware.drops = func(f df.Field) bool { return f == df.City }
	w.ghl.edit("g1", fields{df.City: "Oslo"})
	e := event("1", df.SourceGHL, df.KindContactUpdated, "g1", "")
	if got := w.handle(t, "person:p", e)[0]; got.Status != df.Failed || !got.RetryAt.Equal(noon.Add(w.c.Limits.RetryAfter)) {
		t.Errorf("outcome %+v", got)
	}
}

func TestANudgeConverges(t *testing.T) {
	w := linked(t)
	w.ghl.edit("g1", fields{df.City: "Oslo"})
	if got, err := w.h.Handle(t.Context(), Lease{Lane: "person:p"}, nil, 2); err != nil || len(got) != 0 || w.aloware.writes != 1 {
		t.Fatalf("outcomes %v, error %v, %s", got, err, w.upstream())
	}
	w.aloware.fault = func(string) (error, bool) { return w.aloware.fail(df.CodeUnavailable, df.RetryLater, ""), false }
	if _, err := w.h.Handle(t.Context(), Lease{Lane: "person:p"}, nil, 1); err == nil {
		t.Error("a failed nudge was taken for done")
	}
}

func TestALostLeaseDecidesNothing(t *testing.T) {
	w := linked(t)
	w.store.fence["person:p"], w.store.fence["ghl:g2"] = 9, 9
	w.ghl.has("g2", fields{df.PhoneNumber: string(bobPhone)})
	for _, lane := range []string{"person:p", "ghl:g2"} {
		outcomes, err := w.h.Handle(t.Context(), Lease{Lane: lane, Fence: 8}, []df.Event{event("1", df.SourceGHL, df.KindContactUpdated, "g2", "")}, 0)
		if !errors.Is(err, people.ErrLeaseLost) || outcomes != nil {
			t.Errorf("%s: outcomes %v, error %v", lane, outcomes, err)
		}
	}
	if ids := slices.Collect(func(yield func(string) bool) {
		for id := range w.store.rows {
			if !yield(id) {
				return
			}
		}
	}); len(ids) != 1 {
		t.Errorf("people %v", ids)
	}
}

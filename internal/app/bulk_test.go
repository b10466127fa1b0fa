package app

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/replay"
	"github.com/df-middleware/dfm/internal/store"
)

// bulk asks for something to be done to many events.
func (s *swept) bulk(body string) (found replayAnswer, status int) {
	s.Helper()
	status = s.ask("POST", "/api/admin/events/bulk", body, &found)
	return found, status
}

// ended waits until what was begun is done.
func (s *swept) ended(id string) (row store.Replay) {
	s.Helper()
	eventually(s.T, 20*time.Second, func() error {
		var err error
		if row, err = s.app.store.ReplayByID(s.Context(), id); err == nil && row.Status != store.ReplayDone {
			err = fmt.Errorf("it stands at %+v", row)
		}
		return err
	})
	return row
}

// counts says how many events of GHL have which status.
func (s *swept) counts() map[df.Status]int64 {
	s.Helper()
	rows, err := s.app.store.CountEvents(s.Context())
	s.must(err)
	found := map[df.Status]int64{}
	for _, c := range rows {
		if c.Source == df.SourceGHL {
			found[c.Status] += c.Events
		}
	}
	return found
}

// What is done to many events is counted first, needs a reason, leaves one line in
// the audit log, and touches what it can be done to and nothing else.
func TestManyEventsAreActedOnAsOne(t *testing.T) {
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		s := newSwept(t, databaseURL, 3)
		_, err := s.app.store.Exec(t.Context(), `UPDATE webhook_events SET status = 'quarantined' WHERE source = 'ghl' AND kind = 'contact.created'`)
		s.must(err)
		dry, _ := s.bulk(`{"action":"mark-done","filter":{"source":"ghl"}}`)
		if d := dry.Data; d.Events != 3 || d.People != 3 || d.OutboundWrites != 0 || s.counts()[df.Quarantined] != 3 {
			t.Errorf("the count says %+v of %v", d, s.counts())
		}
		if dry, _ := s.bulk(`{"action":"quarantine","filter":{"source":"ghl"}}`); dry.Data.Events != 0 {
			t.Errorf("nothing is open, yet %+v", dry.Data)
		}
		for _, body := range []string{
			`{"action":"mark-done","filter":{"source":"ghl"},"dryRun":false}`, // without a reason
			`{"action":"delete","filter":{}}`, `{"action":"replay"}`, `{"action":"replay","ids":[],"filter":{}}`,
		} {
			if _, status := s.bulk(body); status != http.StatusBadRequest {
				t.Errorf("%s is answered %d", body, status)
			}
		}
		ids, err := s.app.store.Events(t.Context(), store.EventFilter{Status: df.Quarantined, Source: df.SourceGHL, Limit: 9})
		s.must(err)
		begun, _ := s.bulk(fmt.Sprintf(`{"action":"mark-done","ids":[%q,"nobody"],"reason":"by hand","dryRun":false}`, ids[0].ID))
		if row := s.ended(begun.Data.ID); row.Replayed != 1 || s.counts()[df.Quarantined] != 2 {
			t.Errorf("of one named, %+v", row)
		}
		if e, err := s.app.store.Event(t.Context(), ids[0].ID); err != nil || e.Status != df.Done || e.Reason != "by hand" {
			t.Errorf("%v %q, %v", e.Status, e.Reason, err)
		}
		begun, _ = s.bulk(`{"action":"release","filter":{"source":"ghl"},"reason":"looked at","dryRun":false}`)
		s.ended(begun.Data.ID)
		idle(t, s.app)
		if left := s.counts(); left[df.Quarantined] != 0 {
			t.Errorf("after the release: %v", left)
		}
		audit, err := s.app.store.AuditLog(t.Context(), 0, 100)
		s.must(err)
		var lines []string
		for _, row := range audit {
			if strings.HasPrefix(row.Action, "event.") {
				lines = append(lines, fmt.Sprint(row.Action, " ", row.Details["events"], " ", row.Details["reason"]))
			}
		}
		if got := strings.Join(lines, "; "); got != "event.release 2 looked at; event.mark-done 1 by hand" {
			t.Errorf("the audit log says %s", got)
		}
	})
}

// More is never touched than was confirmed: not what came later, not what came to
// fit, neither before the job begins nor while it works.
func TestNoMoreEventsAreTouchedThanWereConfirmed(t *testing.T) {
	s := newSwept(t, databases()["sqlite"](t), 3)
	quarantine := func(which string) {
		_, err := s.app.store.Exec(t.Context(), `UPDATE webhook_events SET status = 'quarantined' WHERE source = 'ghl' AND kind = 'contact.created' AND `+which)
		s.must(err)
	}
	first := `seq = (SELECT min(seq) FROM webhook_events WHERE source = 'ghl' AND kind = 'contact.created')`
	last := `seq = (SELECT max(seq) FROM webhook_events WHERE source = 'ghl' AND kind = 'contact.created')`
	quarantine(last)
	asked := replay.Asked{Action: store.BulkMarkDone, Filter: store.EventFilter{Source: df.SourceGHL}, Actor: "test", Reason: "why"}
	e, err := s.app.replays.desk.Estimate(t.Context(), asked)
	s.must(err)
	asked.UntilSeq, asked.Most = e.UntilSeq, e.Events
	none := func(store.Tx, store.Replay) error { return nil }
	begun, err := s.app.replays.desk.Start(t.Context(), asked, none)
	s.must(err)
	quarantine(first) // it comes to fit while the job waits
	if _, err := s.app.replays.desk.Start(t.Context(), asked, none); err == nil || err.Error() != "2 events fit by now; 1 were confirmed" {
		t.Errorf("asked with an old number: %v", err)
	}
	s.must(s.app.replays.desk.Work(t.Context()))
	if row := s.ended(begun.ID); row.Replayed != 1 || s.counts()[df.Quarantined] != 1 {
		t.Errorf("confirmed was one, done was %+v", row)
	}
	body := fmt.Sprintf(`{"action":"mark-done","filter":{"source":"ghl"},"reason":"why","dryRun":false,"untilSeq":%d,"events":0}`, e.UntilSeq)
	if _, status := s.bulk(body); status != http.StatusConflict {
		t.Errorf("more than confirmed is answered %d", status)
	}
}

// The page of a bulk action works without a script: tick or filter, count, reason.
func TestABulkActionFromTheEventsPage(t *testing.T) {
	s := newSwept(t, databases()["sqlite"](t), 2)
	_, err := s.app.store.Exec(t.Context(), `UPDATE webhook_events SET status = 'quarantined' WHERE source = 'ghl' AND kind = 'contact.created'`)
	s.must(err)
	b := s.browser()
	holds(t, b.get("/events?status=quarantined"), `formaction="/events/bulk"`, `formaction="/events/compare"`, `name="id"`, `value="all"`, `name="status" value="quarantined"`)
	path := "/events/bulk?action=mark-done&which=all&status=quarantined"
	page := b.get(path)
	holds(t, page, "2 events of 2 people", "Mark done 2 events")
	form := url.Values{}
	for _, field := range regexp.MustCompile(`type="hidden" name="([^"]+)" value="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		form.Add(field[1], field[2])
	}
	form.Set("reason", "by hand")
	form.Set("events", "1")
	holds(t, b.post(path, "/events/bulk", form), "Nothing was done", "2 events of 2 people")
	form.Set("events", "2")
	holds(t, b.post(path, "/events/bulk", form), "2 events are being gone through")
	eventually(t, 10*time.Second, func() error {
		if n := s.counts()[df.Quarantined]; n > 0 {
			return fmt.Errorf("%d are left", n)
		}
		return nil
	})
	operator := signInAs(t, s.app, console.Operator)
	for _, counted := range []string{"/events/bulk?action=replay&which=all&q=city", "/replays?source=ghl&q=city"} {
		response, err := operator.http.Get(operator.base + counted)
		s.must(err)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusForbidden {
			t.Errorf("an operator who counts by text gets %d at %s", response.StatusCode, counted)
		}
		b.get(counted)
	}
	holds(t, b.get("/replays"), "mark-done", "by hand")
	holds(t, b.get(path), "There is nothing to do")
}

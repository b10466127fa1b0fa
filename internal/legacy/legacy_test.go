package legacy_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/legacy"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

func TestTheOriginalsRowsAreTakenOver(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		r := imported(t, s, originalDatabase(t, script(t, "schema.sql"), script(t, "rows.sql")), legacy.Options{})
		for name, want := range map[string][4]int64{ // read, imported, already there, refused
			"texting_webhook_events": {9, 9, 0, 0}, "optout_registry": {7, 5, 0, 2}, "contact_mappings": {10, 4, 0, 6},
			"message_mappings": {3, 2, 0, 1}, "agent_directory": {2, 2, 0, 0}, "call_list_registry": {2, 2, 0, 0},
			"contact_list_memberships": {2, 2, 0, 0}, "contact_agent_state": {1, 1, 0, 0}, "ghl_oauth_tokens": {1, 1, 0, 0},
			"webhook_events": {8, 6, 0, 2}, "broadcast_webhook_events": {1, 1, 0, 0}, "sync_state": {1, 0, 0, 1}, "sync_log": {1, 0, 0, 1},
			"reconcile_runs": {0, 0, 0, 0},
		} {
			table := tableOf(t, r, name)
			if got := [4]int64{table.Read, table.Imported, table.AlreadyThere, table.Refused}; got != want {
				t.Errorf("%s: %v, want %v: %+v", name, got, want, table)
			}
		}
		audit, err := s.AuditLog(t.Context(), 0, 10)
		if err != nil || len(audit) != 1 || audit[0].Action != "legacy.import" || audit[0].Actor != "test" {
			t.Errorf("audit log: %+v, %v", audit, err)
		}
		if got := content(t, s)["webhook_events"]; strings.Count(got, "legacy-import") != 16 || strings.Contains(got, "pending") {
			t.Errorf("events are not kept as skipped: %s", got)
		}
	})
}

func TestStopsThatNobodyReadCount(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		r := imported(t, s, originalDatabase(t, script(t, "schema.sql"), script(t, "rows.sql")), legacy.Options{})
		for phone, want := range map[string]string{
			"+15005550111": "sms call", // the registry and the text agree
			"+15005550122": "sms call", // by "weekend": wrong, but only a person lets them back in
			"+15005550133": "", "+15005550144": "",
			"+15005550155": "sms call", "+15005550166": "sms call", // not by text: from everything
			"+15005550177": "sms call", // free words in a stuck event
			"+15005550188": "sms call", // stop, and a start that opens nothing
			"+15005550190": "",         // "see you this weekend"
			"+15005550191": "sms call", "+15005550192": "sms call",
			"+15005550107": "sms call", // told by GHL
			"+15005550108": "sms call", // in an event that is too old to be kept
		} {
			if got := out(t, s, phone); got != want {
				t.Errorf("%s is out of %q, want %q", phone, got, want)
			}
		}
		if r.StopsInTexts != 7 {
			t.Errorf("%d stops in texts", r.StopsInTexts)
		}
		want := map[string]int64{"legacy_conflict": 4, "legacy_overwritten": 1, "legacy_start": 1, "legacy_unproven": 1}
		if !maps.Equal(r.Questions, want) {
			t.Errorf("questions %v, want %v", r.Questions, want)
		}
		events, err := s.ConsentEvents(t.Context(), store.ConsentFilter{Phones: []string{"+15005550177"}})
		if err != nil || len(events) != 1 || events[0].Source != consent.Archived || events[0].Words != "please stop texting me" ||
			!events[0].At.Equal(time.Date(2030, 1, 4, 10, 0, 0, 0, time.UTC)) || !events[0].HeardAt.Equal(now) {
			t.Errorf("evidence %+v, %v", events, err)
		}
		if fan, err := s.FanOuts(t.Context(), store.FanOutFilter{Phone: "+15005550177", OpenOnly: true}); err != nil || len(fan) == 0 {
			t.Errorf("nobody is told: %v, %v", fan, err)
		}
		if _, err := consent.VerifyChain(t.Context(), s, now); err != nil {
			t.Error(err)
		}
		reviews, err := s.ConsentReviews(t.Context(), 100)
		if got := kinds(reviews); err != nil || !slices.Equal(got, []string{"+15005550122 legacy_unproven", "+15005550133 legacy_overwritten", "+15005550177 free_wording", "+15005550188 legacy_start"}) {
			t.Errorf("reviews %v, %v", got, err)
		}
	})
}

func kinds(reviews []store.ConsentReview) []string {
	var list []string
	for _, r := range reviews {
		list = append(list, r.Phone+" "+r.Kind)
	}
	slices.Sort(list)
	return list
}

func TestConflictingMappingsAreQuestions(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		imported(t, s, originalDatabase(t, script(t, "schema.sql"), script(t, "rows.sql")), legacy.Options{})
		all, err := s.People(t.Context(), store.PersonFilter{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, p := range all {
			got[p.GHLContactID] = p.AlowareContactID + " " + string(p.Phone) + " " + p.Email
		}
		if want := map[string]string{"ghlC_1": "700001 +15005550111 dana@example.test", "ghlC_2": " +15005550122 ",
			"ghlC_7": "  kim@example.test", "ghlC_10": " +15005550111 "}; !maps.Equal(got, want) {
			t.Errorf("people %v, want %v", got, want)
		}
		reviews, err := s.OpenReviews(t.Context(), time.Time{}, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		asked := map[string]int{}
		for _, r := range reviews {
			asked[r.Kind]++
		}
		if want := map[string]int{string(people.LegacyConflict): 4, string(people.SharedPhone): 1}; !maps.Equal(asked, want) {
			t.Errorf("questions %v, want %v", asked, want)
		}
	})
}

// What we know is newer: it stays, and where it contradicts the original a person
// is asked.
func TestWhatIsThereStays(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		url := originalDatabase(t, script(t, "schema.sql"), `INSERT INTO contact_mappings (ghl_contact_id, aloware_contact_id, phone_number) VALUES
			('G1', 'A9', '+15005550111'), ('G2', 'A3', '+15005550112'), ('G4', 'A4', '+15005550114')`)
		err := s.InTx(t.Context(), func(tx store.Tx) error {
			var errs []error
			for _, p := range []store.Person{
				{ID: "p1", GHLContactID: "G1", AlowareContactID: "A1", Phone: "+15005550111"},
				{ID: "p3", GHLContactID: "G3", AlowareContactID: "A3", Phone: "+15005550113"},
				{ID: "p4", Phone: "+15005550114"}, // somebody who texted us
			} {
				p.Status, p.CreatedAt, p.UpdatedAt = "active", now, now
				errs = append(errs, store.InsertPerson(t.Context(), tx, p))
			}
			return errors.Join(errs...)
		})
		if err != nil {
			t.Fatal(err)
		}
		r := imported(t, s, url, legacy.Options{})
		if table := tableOf(t, r, "contact_mappings"); table.Refused != 1 || table.Imported != 2 || r.Questions["legacy_conflict"] != 1 || r.Questions["contact_held"] != 1 {
			t.Errorf("%+v, %v", table, r.Questions)
		}
		for id, want := range map[string]string{"G1": "p1 A1", "G3": "p3 A3", "G4": "p4 A4"} {
			p, err := store.PersonByContact(t.Context(), s, df.SideGHL, id)
			if got := p.ID + " " + p.AlowareContactID; err != nil || got != want {
				t.Errorf("%s is %q, want %q, %v", id, got, want, err)
			}
		}
	})
}

func TestADryRunWritesNothingAndCountsTheSame(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		url := originalDatabase(t, script(t, "schema.sql"), script(t, "rows.sql"))
		before := content(t, s)
		dry := imported(t, s, url, legacy.Options{DryRun: true})
		for table, text := range content(t, s) {
			if text != before[table] {
				t.Errorf("the dry run wrote to %s: %s", table, text)
			}
		}
		whole := imported(t, s, url, legacy.Options{})
		for i, table := range whole.Tables {
			if d := dry.Tables[i]; d.Read != table.Read || d.Imported != table.Imported || d.Refused != table.Refused || len(d.Reasons) != len(table.Reasons) {
				t.Errorf("the dry run says %+v, the real one %+v", d, table)
			}
		}
		if dry.StopsInTexts != whole.StopsInTexts || !maps.Equal(dry.Questions, whole.Questions) {
			t.Errorf("dry %d %v, real %d %v", dry.StopsInTexts, dry.Questions, whole.StopsInTexts, whole.Questions)
		}
	})
}

func TestTwiceIsOnce(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		url := originalDatabase(t, script(t, "schema.sql"), script(t, "rows.sql"))
		imported(t, s, url, legacy.Options{})
		before := content(t, s)
		again := imported(t, s, url, legacy.Options{})
		for _, table := range again.Tables {
			if table.Imported != 0 {
				t.Errorf("imported again: %+v", table)
			}
		}
		if again.StopsInTexts != 0 {
			t.Errorf("heard again: %d", again.StopsInTexts)
		}
		for table, text := range content(t, s) {
			if !bookkeeping[table] && text != before[table] {
				t.Errorf("the second run changed %s:\n%s\n%s", table, before[table], text)
			}
		}
	})
}

// bookkeeping are the tables that every run leaves something in.
var bookkeeping = map[string]bool{"audit_log": true, "reconcile_runs": true, "phone_locks": true}

func TestAnImportThatBrokeOffIsCompleted(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		url := originalDatabase(t, script(t, "schema.sql"), script(t, "rows.sql"))
		breaks := 0
		for ; ; breaks++ {
			ctx, cancel := context.WithCancel(t.Context())
			left := breaks
			_, err := importing(t, ctx, s, url, legacy.Options{}, func(i *legacy.Importer) {
				i.Progress = func(string, int64, int64) {
					if left--; left < 0 {
						cancel()
					}
				}
			})
			cancel()
			if err == nil {
				break
			}
			if !errors.Is(err, context.Canceled) || breaks > 50 {
				t.Fatal(err)
			}
		}
		if breaks < 10 {
			t.Fatalf("it broke off %d times only", breaks)
		}
		compare(t, s, url)
	})
}

// A death between the commit of a batch and anything after it leaves a run that
// nobody ended.
func TestAnImportThatWasKilledIsCompletedLater(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		url := originalDatabase(t, script(t, "schema.sql"), script(t, "rows.sql"))
		func() {
			defer func() { _ = recover() }()
			_, _ = importing(t, t.Context(), s, url, legacy.Options{}, func(i *legacy.Importer) {
				i.Progress = func(table string, _, _ int64) {
					if table == "contact_mappings" {
						panic("killed")
					}
				}
			})
		}()
		if _, err := importing(t, t.Context(), s, url, legacy.Options{}); !errors.Is(err, legacy.ErrRunning) {
			t.Fatalf("a second import beside one that may be alive: %v", err)
		}
		later := func() time.Time { return now.Add(3 * time.Minute) }
		imported(t, s, url, legacy.Options{}, func(i *legacy.Importer) { i.Clock = later })
		compare(t, s, url)
	})
}

// compare holds a database to one into which the original was imported at once.
func compare(t *testing.T, s *store.Store, url string) {
	t.Helper()
	straight := storetest.SQLite(t)
	imported(t, straight, url, legacy.Options{})
	for _, table := range []string{"webhook_events", "contact_mappings", "message_mappings", "optout_registry", "consent_holds", "consent_events",
		"consent_reviews", "consent_fanout", "people_reviews", "agent_directory", "call_list_registry", "contact_list_memberships", "ghl_oauth_tokens"} {
		if got, want := count(t, s, table), count(t, straight, table); got != want {
			t.Errorf("%s has %d rows, want %d", table, got, want)
		}
	}
}

func TestReplayedEventsWaitInTheirLanesAndTextNobody(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		url := originalDatabase(t, script(t, "schema.sql"), script(t, "rows.sql"))
		imported(t, s, url, legacy.Options{Replay: true})
		events, err := s.Events(t.Context(), store.EventFilter{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		person, err := store.PersonByContact(t.Context(), s, df.SideGHL, "ghlC_1")
		if err != nil {
			t.Fatal(err)
		}
		pending := 0
		for _, e := range events {
			never := e.Notice.Kind == df.KindUninstall || e.Notice.EntityID == "ghlC_3" || e.Notice.EntityID == "900001"
			if open := e.Status == df.Pending; open == never && (never || e.Reason == "") {
				t.Errorf("%s %s is %s: %s", e.Source, e.Notice.Type, e.Status, e.Reason)
			} else if open {
				pending++
			}
			if e.Notice.ContactID == "ghlC_1" && e.Notice.Kind == df.KindContactUpdated && e.Lane != "person:"+person.ID {
				t.Errorf("in the lane %s", e.Lane)
			}
		}
		// The two that the original had worked, the one in quarantine and the
		// app's removal do not wait.
		if pending != 11 {
			t.Errorf("%d events wait", pending)
		}
	})
}

func TestOlderDatabasesLackTablesAndColumns(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		url := originalDatabase(t, `CREATE TABLE optout_registry (phone_number text, status text);
			INSERT INTO optout_registry VALUES ('+15005550111', 'opted_out'), ('+15005550112', NULL);
			CREATE TABLE contact_mappings (ghl_contact_id text); INSERT INTO contact_mappings VALUES ('G1')`)
		r := imported(t, s, url, legacy.Options{})
		table := tableOf(t, r, "optout_registry")
		if strings.Join(table.MissingColumns, " ") != "id source reason last_event_at" || table.Imported != 2 {
			t.Errorf("%+v", table)
		}
		if table := tableOf(t, r, "ghl_oauth_tokens"); !table.Missing {
			t.Errorf("%+v", table)
		}
		// A row without a word about it stops all the same.
		for _, phone := range []string{"+15005550111", "+15005550112"} {
			if out(t, s, phone) == "" {
				t.Errorf("%s may be texted", phone)
			}
		}
		if _, err := store.PersonByContact(t.Context(), s, df.SideGHL, "G1"); err != nil {
			t.Error(err)
		}
	})
}

func TestTokensNeedAKey(t *testing.T) {
	t.Parallel()
	s := storetest.SQLite(t)
	url := originalDatabase(t, script(t, "schema.sql"), script(t, "rows.sql"))
	keyless := func(i *legacy.Importer) { i.Seal = nil }
	if _, err := importing(t, t.Context(), s, url, legacy.Options{}, keyless); !errors.Is(err, legacy.ErrNoKey) {
		t.Errorf("without a key: %v", err)
	}
	if count(t, s, "optout_registry") != 0 {
		t.Error("something was imported before the refusal")
	}
	dry := imported(t, s, url, legacy.Options{DryRun: true}, keyless)
	if table := tableOf(t, dry, "ghl_oauth_tokens"); table.Refused != 1 || !strings.Contains(table.Reasons[0].Reason, "DF_ENCRYPTION_KEY") {
		t.Errorf("%+v", table)
	}
}

func TestExamplesShowNoNumberAndNoToken(t *testing.T) {
	t.Parallel()
	r := imported(t, storetest.SQLite(t), originalDatabase(t, script(t, "schema.sql"), script(t, "rows.sql")), legacy.Options{DryRun: true})
	for _, table := range r.Tables {
		for _, reason := range slices.Concat(table.Reasons, table.Notes) {
			for _, example := range reason.Examples {
				if strings.Contains(example, "5555") || strings.Contains(example, "555-") || strings.Contains(example, "clear") || strings.Contains(example, "office") {
					t.Errorf("%s: %s", table.Name, example)
				}
			}
		}
	}
}

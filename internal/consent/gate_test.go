package consent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// rows is a Registry in memory; broken, it cannot be read.
type rows struct {
	states map[string]store.Consent
	broken error
}

func (r rows) Consents(_ context.Context, phones ...string) (map[string]store.Consent, error) {
	found := map[string]store.Consent{}
	for _, phone := range phones {
		if c, ok := r.states[phone]; ok {
			found[phone] = c
		}
	}
	return found, r.broken
}

type book map[string][]df.Phone

func (b book) PhonesOf(_ context.Context, personID string) ([]df.Phone, error) {
	phones, ok := b[personID]
	if !ok {
		return nil, store.ErrNotFound
	}
	return phones, nil
}

func out(status, calls string) store.Consent {
	return store.Consent{Status: status, CallStatus: calls, LastEventAt: noon,
		Holds: []store.Hold{{Scope: "sms", Holder: "text", OutAt: outAt(status)}, {Scope: "call", Holder: "ghl", OutAt: outAt(calls)}}}
}

func outAt(status string) time.Time {
	if status == statusOut {
		return noon
	}
	return time.Time{}
}

func TestTheGateSaysNoUnlessItIsSure(t *testing.T) {
	t.Parallel()
	registry := rows{states: map[string]store.Consent{
		string(ann):    out("opted_out", "opted_in"),
		string(bob):    out("opted_in", "opted_out"),
		"+15005550133": {Phone: "+15005550133", Status: "opted_out", Source: "texting", LastEventAt: noon}, // of the original system
		"+15005550134": {Phone: "+15005550134", Status: "what?", CallStatus: "what?"},
	}}
	people := book{"p-free": {"+15005550144"}, "p-old": {"+15005550144", ann}}
	tests := []struct {
		name     string
		question Question
		want     Reason
	}{
		{"somebody unknown", Question{Channel: ChannelSMS, Phone: "+15005550144"}, Clear},
		{"opted out of texts", Question{Channel: ChannelSMS, Phone: string(ann)}, OptedOut},
		// D-29: another spelling of the number got past a STOP.
		{"in another notation", Question{Channel: ChannelSMS, Phone: "(500) 555-0111"}, OptedOut},
		{"in digits", Question{Channel: ChannelSMS, Phone: " 1 500 555 0111 "}, OptedOut},
		{"out of texts may be called", Question{Channel: ChannelCall, Phone: string(ann)}, Clear},
		{"out of calls may be texted", Question{Channel: ChannelSMS, Phone: string(bob)}, Clear},
		{"out of calls is on no list", Question{Channel: ChannelList, Phone: string(bob)}, OptedOut},
		{"an old row", Question{Channel: ChannelSMS, Phone: "+15005550133"}, OptedOut},
		{"an old row and calls", Question{Channel: ChannelList, Phone: "+15005550133"}, OptedOut},
		{"an unknown status", Question{Channel: ChannelSMS, Phone: "+15005550134"}, OptedOut},
		{"no number", Question{Channel: ChannelSMS, Phone: ""}, BadPhone},
		{"words", Question{Channel: ChannelSMS, Phone: "Kim"}, BadPhone},
		{"no channel", Question{Phone: "+15005550144"}, BadChannel},
		{"a person who is in", Question{Channel: ChannelSMS, Phone: "+15005550144", PersonID: "p-free"}, Clear},
		{"a person who said stop from an old number", Question{Channel: ChannelSMS, Phone: "+15005550144", PersonID: "p-old"}, OptedOut},
		{"a person nobody knows", Question{Channel: ChannelSMS, Phone: "+15005550144", PersonID: "p-none"}, Unavailable},
	}
	for _, test := range tests {
		d := Gate{Registry: registry, People: people}.May(t.Context(), test.question)
		if d.Reason != test.want || d.Allowed != (test.want == Clear) || d.Rule == "" && !d.Allowed {
			t.Errorf("%s: %+v, want %s", test.name, d, test.want)
		}
		steps := Gate{Registry: registry, People: people}.Explain(t.Context(), test.question)
		i := slices.IndexFunc(steps, func(s Step) bool { return !s.Allowed })
		if i < 0 && !d.Allowed || i >= 0 && (steps[i].Reason != d.Reason || steps[i].Rule != d.Rule) {
			t.Errorf("%s: the explanation %+v is not of the answer %+v", test.name, steps, d)
		}
	}
	registry.broken = errors.New("no database")
	if d := (Gate{Registry: registry}).May(t.Context(), Question{Channel: ChannelSMS, Phone: string(bob)}); d.Allowed || d.Reason != Unavailable {
		t.Errorf("unreadable consent: %+v", d)
	}
	if d := (Gate{Registry: rows{}}).May(t.Context(), Question{Channel: ChannelSMS, Phone: string(bob), PersonID: "p"}); d.Allowed {
		t.Errorf("a person without a phone book: %+v", d)
	}
}

func TestMayTextKeepsItsContract(t *testing.T) {
	t.Parallel()
	gate := Gate{Registry: rows{states: map[string]store.Consent{string(ann): out("opted_out", "opted_out")}}}
	late := func() time.Time { return time.Date(2030, 1, 2, 4, 0, 0, 0, time.UTC) }
	night := Policy{Quiet: &QuietHours{From: 21 * time.Hour, Until: 8 * time.Hour, Elsewhere: []*time.Location{time.UTC}}}
	tests := []struct {
		name   string
		gate   Gate
		to     string
		code   string
		status int
	}{
		{"in", gate, string(bob), "", 0},
		{"out", gate, string(ann), "OPTED_OUT", 403},
		{"no number", gate, "x", "INVALID_REQUEST", 400},
		{"unreadable", Gate{Registry: rows{broken: errors.New("gone")}}, string(bob), "CONSENT_UNAVAILABLE", 503},
		{"at night", Gate{Registry: rows{}, Policy: night, Clock: late}, string(bob), "QUIET_HOURS", 403},
		{"nowhere", Gate{Registry: rows{}, Policy: Policy{Quiet: &QuietHours{}}}, string(bob), "ZONE_UNKNOWN", 403},
	}
	for _, test := range tests {
		err := test.gate.MayText(t.Context(), test.to)
		var refused *df.Error
		if test.code == "" && err != nil || test.code != "" && (!errors.As(err, &refused) || refused.Code != test.code || refused.Status != test.status) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if err := gate.MayText(t.Context(), string(ann)); !errors.Is(err, ErrOptedOut) {
		t.Errorf("%v is not ErrOptedOut", err)
	}
}

func TestTheGateReadsWhatWasRecorded(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		gate := Gate{Registry: s, People: Book{s}}
		if err := gate.MayText(t.Context(), string(ann)); err != nil {
			t.Error(err)
		}
		keep(t, s, recorder(), stopAct(ann, 1))
		if err := gate.MayText(t.Context(), string(ann)); !errors.Is(err, ErrOptedOut) {
			t.Error(err)
		}
		err := s.InTx(t.Context(), func(tx store.Tx) error {
			return store.InsertPerson(t.Context(), tx, store.Person{ID: "p1", GHLContactID: "C1", Phone: bob, OtherPhones: []df.Phone{ann},
				Status: "active", SyncDirection: "bidirectional", CreatedAt: noon, UpdatedAt: noon})
		})
		if err != nil {
			t.Fatal(err)
		}
		if d := gate.May(t.Context(), Question{Channel: ChannelList, Phone: string(bob), PersonID: "p1"}); d.Reason != OptedOut {
			t.Errorf("%+v", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if d := gate.May(ctx, Question{Channel: ChannelSMS, Phone: string(bob)}); d.Allowed || d.Reason != Unavailable {
			t.Errorf("a database that does not answer: %+v", d)
		}
	})
}

func TestQuietHoursGoByTheWallClockOfThePerson(t *testing.T) {
	t.Parallel()
	night := &QuietHours{From: 21 * time.Hour, Until: 8 * time.Hour}
	elsewhere := &QuietHours{From: 21 * time.Hour, Until: 8 * time.Hour, Elsewhere: []*time.Location{zone(t, "America/New_York"), zone(t, "America/Los_Angeles")}}
	at := func(text string) time.Time {
		when, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	tests := []struct {
		name  string
		quiet *QuietHours
		at    string
		zone  string
		want  Reason
	}{
		{"off by default", nil, "2030-01-02T03:00:00-05:00", "America/New_York", Clear},
		{"noon", night, "2030-01-02T12:00:00-05:00", "America/New_York", Clear},
		{"the last minute before", night, "2030-01-02T20:59:59-05:00", "America/New_York", Clear},
		{"the first minute", night, "2030-01-02T21:00:00-05:00", "America/New_York", Quiet},
		{"the last quiet one", night, "2030-01-02T07:59:59-05:00", "America/New_York", Quiet},
		{"eight", night, "2030-01-02T08:00:00-05:00", "America/New_York", Clear},
		{"eight here is five there", night, "2030-01-02T08:00:00-05:00", "America/Los_Angeles", Quiet},
		{"clocks go forward at two: 07:30 in the new time", night, "2030-03-10T11:30:00Z", "America/New_York", Quiet},
		{"08:00 in the new time comes an hour sooner", night, "2030-03-10T12:00:00Z", "America/New_York", Clear},
		{"the day before, the same instant is still quiet", night, "2030-03-09T12:00:00Z", "America/New_York", Quiet},
		{"clocks go back: 07:59 in the old time", night, "2030-11-03T12:59:00Z", "America/New_York", Quiet},
		{"and eight", night, "2030-11-03T13:00:00Z", "America/New_York", Clear},
		{"no zone", night, "2030-01-02T12:00:00-05:00", "", NoZone},
		{"a zone that is none", night, "2030-01-02T12:00:00-05:00", "Mars/Olympus", NoZone},
		{"the server's zone is not the person's", night, "2030-01-02T12:00:00-05:00", "Local", NoZone},
		{"no zone, noon everywhere", elsewhere, "2030-01-02T12:00:00-05:00", "", Clear},
		{"no zone, early in the west", elsewhere, "2030-01-02T09:00:00-05:00", "", Quiet},
		{"by day", &QuietHours{From: 12 * time.Hour, Until: 13 * time.Hour}, "2030-01-02T12:30:00Z", "UTC", Quiet},
	}
	for _, test := range tests {
		gate := Gate{Registry: rows{}, Policy: Policy{Quiet: test.quiet}}
		d := gate.May(t.Context(), Question{Channel: ChannelSMS, Phone: string(ann), At: at(test.at), Timezone: test.zone})
		if d.Reason != test.want {
			t.Errorf("%s: %s, want %s", test.name, d.Reason, test.want)
		}
		if d := gate.May(t.Context(), Question{Channel: ChannelList, Phone: string(ann), At: at(test.at)}); !d.Allowed {
			t.Errorf("%s: lists do not sleep: %+v", test.name, d)
		}
	}
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestQuietHoursAreTheHoursOnTheWall(t *testing.T) {
	t.Parallel()
	zones := []*time.Location{zone(t, "America/New_York"), zone(t, "America/Phoenix"), zone(t, "Australia/Lord_Howe"), time.UTC}
	rapid.Check(t, func(t *rapid.T) {
		z := rapid.SampledFrom(zones).Draw(t, "zone")
		at := time.Unix(rapid.Int64Range(1.8e9, 2.0e9).Draw(t, "at"), 0)
		from, until := rapid.IntRange(0, 23).Draw(t, "from"), rapid.IntRange(0, 23).Draw(t, "until")
		quiet := QuietHours{From: time.Duration(from) * time.Hour, Until: time.Duration(until) * time.Hour}
		want := false
		for hour := from; hour != until; hour = (hour + 1) % 24 {
			want = want || at.In(z).Hour() == hour
		}
		if quiet.Quiet(at, z) != want {
			t.Fatalf("%s from %d until %d: %v", at.In(z), from, until, !want)
		}
	})
}

func TestTheDeadlineIsTheEndOfTheTenthBusinessDay(t *testing.T) {
	t.Parallel()
	tests := []struct {
		from, want string
		holidays   bool
	}{
		{"2030-01-07", "2030-01-22", false}, // Monday: the tenth is Monday the 21st
		{"2030-01-07", "2030-01-23", true},  // which is Martin Luther King's day
		{"2030-01-05", "2030-01-19", false}, // Saturday: Monday the 7th is the first
		{"2030-01-11", "2030-01-26", false}, // Friday
		{"2029-12-20", "2030-01-04", false},
		{"2029-12-20", "2030-01-08", true}, // Christmas and New Year
	}
	for _, test := range tests {
		from, _ := time.Parse(time.DateOnly, test.from)
		var holidays map[string]bool
		if test.holidays {
			holidays = FederalHolidays(from.Year())
			for day := range FederalHolidays(from.Year() + 1) {
				holidays[day] = true
			}
		}
		if got := Deadline(from.Add(23*time.Hour), holidays).Format(time.DateOnly); got != test.want {
			t.Errorf("from %s (holidays %v): %s, want %s", test.from, test.holidays, got, test.want)
		}
	}
}

func TestFederalHolidaysAreTheObservedOnes(t *testing.T) {
	t.Parallel()
	want := map[int][]string{
		2026: {"2026-01-01", "2026-01-19", "2026-02-16", "2026-05-25", "2026-06-19", "2026-07-03", "2026-09-07", "2026-10-12", "2026-11-11", "2026-11-26", "2026-12-25"},
		2021: {"2021-01-01", "2021-01-18", "2021-02-15", "2021-05-31", "2021-06-18", "2021-07-05", "2021-09-06", "2021-10-11", "2021-11-11", "2021-11-25", "2021-12-24", "2021-12-31"},
	}
	for year, days := range want {
		got := FederalHolidays(year)
		delete(got, fmt.Sprintf("%d-01-01", year+1))
		for _, day := range days {
			if !got[day] {
				t.Errorf("%s is missing", day)
			}
		}
		if len(got) != len(days) {
			t.Errorf("%d: %v", year, got)
		}
	}
}

func TestDeadlinesNeverComeEarly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		from := time.Unix(rapid.Int64Range(1.8e9, 2.0e9).Draw(t, "from"), 0).UTC()
		end := Deadline(from, nil)
		if days := end.Sub(from).Hours() / 24; days <= 10 || days > 17 {
			t.Fatalf("from %s until %s", from, end)
		}
		if later := Deadline(from, FederalHolidays(from.Year())); later.Before(end) {
			t.Fatalf("holidays make it sooner: %s", later)
		}
	})
}

// atlas is an Atlas in memory; nil cannot be read.
type atlas map[df.Phone][]string

func (a atlas) ZonesOf(_ context.Context, phone df.Phone, _ string) ([]string, error) {
	if a == nil {
		return nil, errors.New("gone")
	}
	return a[phone], nil
}

// Whoever asks without a zone is answered by the person's own; where several
// people share a number, it must be quiet for none of them.
func TestQuietHoursFindThePersonsZoneThemselves(t *testing.T) {
	t.Parallel()
	night := Policy{Quiet: &QuietHours{From: 21 * time.Hour, Until: 8 * time.Hour}}
	at := func() time.Time { return time.Date(2030, 1, 2, 13, 30, 0, 0, time.UTC) } // 8:30 in New York, 5:30 in Los Angeles
	for name, test := range map[string]struct {
		zones Atlas
		want  Reason
	}{
		"awake":              {atlas{ann: {"America/New_York"}}, Clear},
		"asleep":             {atlas{ann: {"America/Los_Angeles"}}, Quiet},
		"one of two asleep":  {atlas{ann: {"America/New_York", "America/Los_Angeles"}}, Quiet},
		"nobody knows where": {atlas{}, NoZone},
		"not a zone":         {atlas{ann: {"Mars/Olympus"}}, NoZone},
		"cannot be read":     {atlas(nil), Unavailable},
		"nobody to ask":      {nil, NoZone},
	} {
		gate := Gate{Registry: rows{}, Zones: test.zones, Policy: night, Clock: at}
		if got := gate.May(t.Context(), Question{Channel: ChannelSMS, Phone: string(ann)}); got.Reason != test.want {
			t.Errorf("%s: %+v, want %s", name, got, test.want)
		}
	}
	if got := (Gate{Registry: rows{}, Zones: atlas(nil), Clock: at}).May(t.Context(), Question{Channel: ChannelSMS, Phone: string(ann)}); !got.Allowed {
		t.Errorf("without quiet hours nobody asks for a zone: %+v", got)
	}
}

func TestTheZoneIsWhatTheSidesAgreedOn(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		err := s.InTx(t.Context(), func(tx store.Tx) error {
			return store.InsertPerson(t.Context(), tx, store.Person{ID: "p1", Phone: ann, Status: "active", CreatedAt: noon, UpdatedAt: noon})
		})
		if err != nil {
			t.Fatal(err)
		}
		p, err := store.PersonByID(t.Context(), s, "p1")
		if err != nil {
			t.Fatal(err)
		}
		err = s.SaveConvergence(t.Context(), store.Lease{}, store.Convergence{Person: p, At: noon, Agreements: []store.Agreement{
			{Side: df.SideGHL, ContactID: "g", Fields: map[df.Field]string{df.Timezone: "America/Denver"}},
			{Side: df.SideAloware, ContactID: "7", Fields: map[df.Field]string{df.Timezone: "America/Denver"}}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, person := range []string{"", "p1"} {
			if zones, err := (Book{s}).ZonesOf(t.Context(), ann, person); err != nil || !slices.Equal(zones, []string{"America/Denver"}) {
				t.Errorf("%q: %v, %v", person, zones, err)
			}
		}
		if zones, err := (Book{s}).ZonesOf(t.Context(), bob, ""); err != nil || len(zones) != 0 {
			t.Errorf("a stranger: %v, %v", zones, err)
		}
	})
}

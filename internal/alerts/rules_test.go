package alerts

import (
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

func ruleNamed(t *testing.T, name string) Rule {
	t.Helper()
	for _, rule := range Rules() {
		if rule.Name == name {
			return rule
		}
	}
	t.Fatalf("there is no rule %q", name)
	return Rule{}
}

// figure is one that was counted some minutes ago.
func figure(name, subject string, ago time.Duration, n int64) store.Figure {
	return store.Figure{Name: name, Subject: subject, Slot: start.Add(-ago), N: n}
}

func TestRulesJudgeSamples(t *testing.T) {
	m := time.Minute
	cases := []struct {
		rule   string
		title  string
		sample Sample
		want   string // "subject severity" of each finding, separated by commas
	}{
		{"error-rate", "all well", Sample{Results: map[string]Tried{"ghl": {100, 5}}}, ""},
		{"error-rate", "more than one in twenty", Sample{Results: map[string]Tried{"ghl": {100, 6}, "aloware": {40, 0}}}, "ghl warning"},
		{"error-rate", "more than one in five", Sample{Results: map[string]Tried{"ghl": {100, 21}}}, "ghl critical"},
		{"error-rate", "too few to judge", Sample{Results: map[string]Tried{"ghl": {19, 19}}}, ""},
		{"backlog", "nothing waits", Sample{}, ""},
		{"backlog", "five minutes are allowed", Sample{Untried: store.Waiting{Events: 3, Oldest: start.Add(-5 * m)}}, ""},
		{"backlog", "longer", Sample{Untried: store.Waiting{Events: 3, Oldest: start.Add(-6 * m)}}, " warning"},
		{"backlog", "much longer", Sample{Untried: store.Waiting{Events: 3, Oldest: start.Add(-16 * m)}}, " critical"},
		{"lane-stuck", "one lane", Sample{Stuck: store.Waiting{Events: 1, Lanes: 1, Oldest: start.Add(-time.Hour)}}, " warning"},
		{"lane-stuck", "many lanes", Sample{Stuck: store.Waiting{Events: 30, Lanes: 20, Oldest: start.Add(-time.Hour)}}, " critical"},
		{"lane-stuck", "none", Sample{}, ""},
		{"quarantine", "some", Sample{Quarantined: 2}, " warning"},
		{"contact-after-opt-out", "one", Sample{Incidents: 1}, " critical"},
		{"bad-proof", "a scanner knocks", Sample{Figures: []store.Figure{figure(FigureBadProof, "ghl", m, 4)}}, ""},
		{"bad-proof", "a key was changed", Sample{Figures: []store.Figure{figure(FigureBadProof, "ghl", 3*m, 3), figure(FigureBadProof, "ghl", m, 3)}}, "ghl warning"},
		{"bad-proof", "long ago", Sample{Figures: []store.Figure{figure(FigureBadProof, "ghl", 11*m, 60)}}, ""},
		{"bad-proof", "many", Sample{Figures: []store.Figure{figure(FigureBadProof, "aloware", m, 50)}}, "aloware critical"},
		{"webhook-lost", "one", Sample{Figures: []store.Figure{figure(FigureLost, "aloware", m, 1)}}, "aloware critical"},
		{"webhook-spilled", "waiting", Sample{Figures: []store.Figure{figure(FigureSpilled, "", m, 7)}}, " warning"},
		{"webhook-spilled", "taken in", Sample{Figures: []store.Figure{figure(FigureSpilled, "", 4*m, 7), figure(FigureSpilled, "", m, 0)}}, ""},
		{"upstream-failing", "one in two", Sample{Figures: []store.Figure{figure(FigureCalls, "ghl", m, 10), figure(FigureFailedCalls, "ghl", m, 6)}}, "ghl critical"},
		{"upstream-failing", "some", Sample{Figures: []store.Figure{figure(FigureCalls, "ghl", m, 100), figure(FigureFailedCalls, "ghl", m, 11)}}, "ghl warning"},
		{"upstream-failing", "too few", Sample{Figures: []store.Figure{figure(FigureCalls, "ghl", m, 9), figure(FigureFailedCalls, "ghl", m, 9)}}, ""},
		{"credentials-refused", "thrice", Sample{Figures: []store.Figure{figure(FigureUnauthorized, "aloware", m, 3)}}, "aloware critical"},
		{"credentials-refused", "once", Sample{Figures: []store.Figure{figure(FigureUnauthorized, "aloware", m, 1)}}, ""},
		{"token-refresh", "one failure", Sample{Figures: []store.Figure{figure(FigureFailedToken, "ghl", m, 1)}}, "ghl warning"},
		{"token-refresh", "our own token", Sample{Figures: []store.Figure{figure(FigureTokenTrouble, "clerk", m, 1)}}, "clerk critical"},
		{"token-refresh", "our own token is well", Sample{Figures: []store.Figure{figure(FigureTokenTrouble, "clerk", m, 0)}}, ""},
		{"budget", "a usual hold", Sample{Held: map[string]time.Time{"ghl:loc": start.Add(10 * time.Second)}}, ""},
		{"budget", "a long hold", Sample{Held: map[string]time.Time{"ghl:loc": start.Add(5 * m)}}, "ghl:loc warning"},
		{"budget", "a very long hold", Sample{Held: map[string]time.Time{"ghl:loc": start.Add(15 * m)}}, "ghl:loc critical"},
		{"budget", "no calls left", Sample{Figures: []store.Figure{figure(FigureDailyLeft, "ghl", m, 0)}}, "ghl critical"},
		{"budget", "dry within the hour", Sample{Figures: []store.Figure{figure(FigureDailyLeft, "ghl", 30*m, 20_000), figure(FigureDailyLeft, "ghl", 0, 10_000)}}, "ghl critical"},
		{"budget", "dry within hours", Sample{Figures: []store.Figure{figure(FigureDailyLeft, "ghl", 30*m, 40_000), figure(FigureDailyLeft, "ghl", 0, 30_000)}}, "ghl warning"},
		{"budget", "plenty", Sample{Figures: []store.Figure{figure(FigureDailyLeft, "ghl", 30*m, 150_000), figure(FigureDailyLeft, "ghl", 0, 149_000)}}, ""},
		{"budget", "too short to know the pace", Sample{Figures: []store.Figure{figure(FigureDailyLeft, "ghl", 2*m, 900), figure(FigureDailyLeft, "ghl", 0, 100)}}, ""},
		{"budget", "a new day began", Sample{Figures: []store.Figure{figure(FigureDailyLeft, "ghl", 30*m, 10), figure(FigureDailyLeft, "ghl", 0, 199_000)}}, ""},
		{"opt-out-late", "late", Sample{LateOptOuts: []LateOptOut{{"aloware", 3, start.AddDate(0, 0, 9)}}}, "aloware warning"},
		{"opt-out-late", "nearly unlawful", Sample{LateOptOuts: []LateOptOut{{"ghl", 1, start.AddDate(0, 0, 1)}}}, "ghl critical"},
		{"drift", "none", Sample{}, ""},
		{"drift", "one person", Sample{Unexplained: 1}, " warning"},
		{"missed-webhooks", "some", Sample{Missed: map[string]int64{"ghl": 5, "aloware": 4}}, "ghl warning"},
		{"forwards-given-up", "one", Sample{GivenUp: 1}, " warning"},
		{"backup-overdue", "in time", Sample{BackupAge: 24*time.Hour + 20*m, BackupEvery: 24 * time.Hour}, ""},
		{"backup-overdue", "late", Sample{BackupAge: 24*time.Hour + 31*m, BackupEvery: 24 * time.Hour}, " warning"},
		{"backup-overdue", "days late", Sample{BackupAge: 73 * time.Hour, BackupEvery: 24 * time.Hour}, " critical"},
	}
	judged := map[string]bool{}
	for _, c := range cases {
		t.Run(c.rule+"/"+c.title, func(t *testing.T) {
			c.sample.At = start
			var got []string
			for _, f := range ruleNamed(t, c.rule).Judge(&c.sample) {
				got = append(got, f.Subject+" "+string(f.Severity))
				if f.Summary == "" {
					t.Error("the finding says nothing")
				}
			}
			if strings.Join(got, ",") != c.want {
				t.Errorf("found %q, want %q", strings.Join(got, ","), c.want)
			}
		})
		judged[c.rule] = true
	}
	for _, rule := range Rules() {
		if !judged[rule.Name] && rule.Name != "silent-source" {
			t.Errorf("rule %s has no case", rule.Name)
		}
	}
}

// weeks makes hours of a source that sends `day` events an hour from 8 to 18 on
// weekdays and nothing else, up to start.
func weeks(n int, day int64) []store.SourceHour {
	var hours []store.SourceHour
	for hour := start.AddDate(0, 0, -7*n); hour.Before(start); hour = hour.Add(time.Hour) {
		events := int64(0)
		if hour.Weekday() != time.Saturday && hour.Weekday() != time.Sunday && hour.Hour() >= 8 && hour.Hour() < 18 {
			events = day
		}
		hours = append(hours, store.SourceHour{Source: df.SourceGHL, Hour: hour, Events: events})
	}
	return hours
}

// silence makes the last hours of a history silent.
func silence(hours []store.SourceHour, last int) []store.SourceHour {
	for i := range hours {
		if i >= len(hours)-last {
			hours[i].Events = 0
		}
	}
	return hours
}

// The original system was deaf for 24 hours and nobody knew.
func TestASourceThatFallsSilentIsNoticed(t *testing.T) {
	flat := func(hours int, n int64, silent int) []store.SourceHour {
		var all []store.SourceHour
		for i := range hours {
			all = append(all, store.SourceHour{Source: df.SourceGHL, Hour: start.Add(time.Duration(i-hours) * time.Hour), Events: n})
		}
		return silence(all, silent)
	}
	cases := []struct {
		title string
		at    time.Time
		hours []store.SourceHour
		now   map[df.Source]int64
		want  string
	}{
		{"as usual", start, weeks(4, 20), nil, ""},
		{"a morning of nothing", start, silence(weeks(4, 20), 4), nil, "critical"},
		{"one hour of nothing", start, silence(weeks(4, 20), 1), nil, ""},
		{"one hour of nothing at a busy source", start, silence(weeks(4, 100), 1), nil, "critical"},
		{"it speaks again", start, silence(weeks(4, 20), 4), map[df.Source]int64{df.SourceGHL: 15}, ""},
		{"a quiet source", start, silence(weeks(4, 1), 4), nil, ""},
		{"a new source says nothing yet", start, flat(24, 20, 4), nil, ""},
		{"hours of nothing while its week is not known", start, flat(96, 20, 10), nil, ""},
		{"a day of nothing while its week is not known", start, flat(96, 20, 24), nil, "warning"},
		{"nothing known at all", start, nil, nil, ""},
	}
	for _, c := range cases {
		t.Run(c.title, func(t *testing.T) {
			s := Sample{At: c.at.Add(7 * time.Minute), Hours: c.hours, ThisHour: c.now}
			var got []string
			for _, f := range silentSources(&s) {
				got = append(got, string(f.Severity))
			}
			if strings.Join(got, ",") != c.want {
				t.Errorf("found %q, want %q", strings.Join(got, ","), c.want)
			}
		})
	}
}

func TestANightAndAnHourThatNobodyWatchedAreNoSilence(t *testing.T) {
	night := start.Add(17 * time.Hour) // 05:00 on Tuesday
	hours := weeks(4, 20)
	for hour := start; hour.Before(night); hour = hour.Add(time.Hour) {
		n := int64(0)
		if hour.Hour() < 18 && hour.Day() == start.Day() {
			n = 20
		}
		hours = append(hours, store.SourceHour{Source: df.SourceGHL, Hour: hour, Events: n})
	}
	if found := silentSources(&Sample{At: night, Hours: hours}); len(found) > 0 {
		t.Errorf("the night was taken for silence: %v", found)
	}
	// We were switched off this morning: what was not heard then proves nothing.
	unwatched := silence(weeks(4, 20), 4)
	unwatched = unwatched[:len(unwatched)-4]
	if found := silentSources(&Sample{At: start, Hours: unwatched}); len(found) > 0 {
		t.Errorf("our own absence was taken for silence: %v", found)
	}
}

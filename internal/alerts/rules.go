package alerts

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/df-middleware/dfm/internal/store"
)

// Severity is how bad something is.
type Severity string

// Warning wants a look today; Critical wants one now.
const (
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// Finding is something that a rule finds wrong.
type Finding struct {
	Subject  string // what it is about: a source, an upstream; empty for the whole system
	Severity Severity
	Summary  string // one sentence, safe text
}

// Rule judges samples.
type Rule struct {
	Name     string
	Needs    []string      // the probes without which it cannot tell
	Calm     time.Duration // how long nothing must be found for the alert to end
	Cooldown time.Duration // within which the same alert is not told again
	Judge    func(s *Sample) []Finding
}

// The probes that rules need.
const (
	ProbeEvents      = "events"
	ProbeQuestions   = "questions"
	ProbeFigures     = "figures"
	ProbeBudgets     = "budgets"
	ProbeSilence     = "silence"
	ProbeConsent     = "consent"
	ProbeDrift       = "drift"
	ProbeMissed      = "missed-webhooks"
	ProbeForwardings = "forwards"
	ProbeBackup      = "backup"
)

// The figures that rules judge; see Tally.
const (
	FigureBadProof     = "bad-proof"     // webhooks without valid proof, by route
	FigureLost         = "lost"          // webhooks that could be stored nowhere, by route
	FigureCalls        = "calls"         // calls, by upstream
	FigureFailedCalls  = "failed-calls"  // of these, those that the upstream did not answer
	FigureUnauthorized = "unauthorized"  // calls that an upstream refused for our credentials
	FigureFailedToken  = "failed-token"  // tokens that could not be had, by upstream
	FigureTokenTrouble = "token-trouble" // gauge: 1 while our own token is in trouble
	FigureDailyLeft    = "daily-left"    // gauge: calls left today, by upstream
	FigureSpilled      = "spilled"       // gauge: deliveries that wait in files
)

const (
	calm     = 10 * time.Minute
	cooldown = time.Hour
)

// Rules returns all rules.
func Rules() []Rule {
	rule := func(name string, judge func(*Sample) []Finding, needs ...string) Rule {
		return Rule{Name: name, Needs: needs, Calm: calm, Cooldown: cooldown, Judge: judge}
	}
	silent := rule("silent-source", silentSources, ProbeSilence)
	silent.Cooldown = 6 * time.Hour
	quarantine := rule("quarantine", quarantined, ProbeQuestions)
	quarantine.Cooldown, quarantine.Calm = 24*time.Hour, time.Minute
	return []Rule{
		rule("error-rate", errorRates, ProbeEvents),
		rule("backlog", backlog, ProbeEvents),
		rule("lane-stuck", stuckLanes, ProbeEvents),
		quarantine,
		rule("contact-after-opt-out", incidents, ProbeQuestions),
		silent,
		rule("bad-proof", badProofs, ProbeFigures),
		rule("webhook-lost", lost, ProbeFigures),
		rule("webhook-spilled", spilled, ProbeFigures),
		rule("upstream-failing", failingUpstreams, ProbeFigures),
		rule("credentials-refused", refusedCredentials, ProbeFigures),
		rule("token-refresh", tokens, ProbeFigures),
		rule("budget", budgets, ProbeFigures, ProbeBudgets),
		rule("opt-out-late", lateOptOuts, ProbeConsent),
		rule("drift", drift, ProbeDrift),
		rule("missed-webhooks", missed, ProbeMissed),
		rule("forwards-given-up", givenUp, ProbeForwardings),
		rule("backup-overdue", overdue, ProbeBackup),
	}
}

// errorRates needs 20 finished events, or writes, before it judges their share of
// failures.
func errorRates(s *Sample) []Finding {
	return perSubject(s.Results, func(subject string, t Tried) (Severity, string) {
		if t.All < 20 {
			return "", ""
		}
		return grade(t.Failed*100 > t.All*20, t.Failed*100 > t.All*5),
			fmt.Sprintf("%d of %d failed in the last %s", t.Failed, t.All, minutes(Window))
	})
}

func backlog(s *Sample) []Finding {
	if s.Untried.Oldest.IsZero() {
		return nil
	}
	age := s.At.Sub(s.Untried.Oldest)
	return one("", grade(age > 15*time.Minute, age > 5*time.Minute),
		fmt.Sprintf("%d events wait to be worked, the oldest for %s", s.Untried.Events, minutes(age)))
}

// StuckAfter is how many failed tries make an event one on which its lane is
// stuck.
const StuckAfter = 5

func stuckLanes(s *Sample) []Finding {
	return one("", grade(s.Stuck.Lanes >= 20, s.Stuck.Lanes > 0),
		fmt.Sprintf("%d lanes stand still behind an event that failed %d times or more; the oldest came %s ago",
			s.Stuck.Lanes, StuckAfter, minutes(s.At.Sub(s.Stuck.Oldest))))
}

func quarantined(s *Sample) []Finding {
	return one("", grade(false, s.Quarantined > 0),
		fmt.Sprintf("%d events are in quarantine and wait for a person", s.Quarantined))
}

func incidents(s *Sample) []Finding {
	return one("", grade(s.Incidents > 0, false),
		fmt.Sprintf("%d texts or calls went to people who had said stop", s.Incidents))
}

// badProofs needs 5 refusals: a scanner that knocks once is no news.
func badProofs(s *Sample) []Finding {
	return perSubject(s.Count(FigureBadProof, s.At.Add(-Window)), func(_ string, n int64) (Severity, string) {
		return grade(n >= 50, n >= 5), fmt.Sprintf("%d webhooks without valid proof were refused in the last %s: "+
			"the sender's secret or key may have changed", n, minutes(Window))
	})
}

func lost(s *Sample) []Finding {
	return perSubject(s.Count(FigureLost, s.At.Add(-Window)), func(_ string, n int64) (Severity, string) {
		return grade(n > 0, false), fmt.Sprintf("%d webhooks could be stored neither in the database nor in a file", n)
	})
}

func spilled(s *Sample) []Finding {
	return perSubject(latest(s, FigureSpilled), func(_ string, n int64) (Severity, string) {
		return grade(false, n > 0), fmt.Sprintf("%d webhooks wait in files for the database", n)
	})
}

// failingUpstreams needs 10 calls.
func failingUpstreams(s *Sample) []Finding {
	failed := s.Count(FigureFailedCalls, s.At.Add(-Window))
	return perSubject(s.Count(FigureCalls, s.At.Add(-Window)), func(upstream string, n int64) (Severity, string) {
		if n < 10 {
			return "", ""
		}
		return grade(failed[upstream]*2 > n, failed[upstream]*10 > n),
			fmt.Sprintf("%d of %d calls got no answer in the last %s", failed[upstream], n, minutes(Window))
	})
}

func refusedCredentials(s *Sample) []Finding {
	return perSubject(s.Count(FigureUnauthorized, s.At.Add(-Window)), func(_ string, n int64) (Severity, string) {
		return grade(n >= 3, false), fmt.Sprintf("%d calls were refused for our credentials in the last %s", n, minutes(Window))
	})
}

// tokens warns at the first failure to renew a token, since the old one still
// works for a while.
func tokens(s *Sample) []Finding {
	found := perSubject(s.Count(FigureFailedToken, s.At.Add(-Window)), func(_ string, n int64) (Severity, string) {
		return grade(n >= 5, n > 0), fmt.Sprintf("%d attempts to renew a token failed in the last %s", n, minutes(Window))
	})
	return append(found, perSubject(latest(s, FigureTokenTrouble), func(string, int64) (Severity, string) {
		return Critical, "our own token for Verity cannot be renewed; the log says why"
	})...)
}

// latest returns the highest figure above zero that a gauge showed in the last
// minutes, by subject. Processes share a gauge's row, so one of them may have
// overwritten another's.
func latest(s *Sample, name string) map[string]int64 {
	shown := map[string]int64{}
	for subject, figures := range s.Gauge(name, s.At.Add(-3*time.Minute)) {
		for _, f := range figures {
			if f.N > shown[subject] {
				shown[subject] = f.N
			}
		}
	}
	return shown
}

// budgets warns when an upstream holds us for long, and when the day's calls run
// out within hours at the pace of the last hour. It needs ten minutes of figures
// to know the pace.
func budgets(s *Sample) []Finding {
	found := perSubject(s.Held, func(_ string, until time.Time) (Severity, string) {
		left := until.Sub(s.At)
		return grade(left > 10*time.Minute, left > 2*time.Minute), "the upstream asks us to wait until " + clock(until)
	})
	left := s.Gauge(FigureDailyLeft, s.At.Add(-time.Hour))
	return append(found, perSubject(left, func(_ string, shown []store.Figure) (Severity, string) {
		n := shown[len(shown)-1].N
		if n == 0 {
			return Critical, "no calls are left today"
		}
		used, span := shown[0].N-n, shown[len(shown)-1].Slot.Sub(shown[0].Slot)
		if used <= 0 || span < 10*time.Minute {
			return "", ""
		}
		dry := time.Duration(float64(span) * float64(n) / float64(used))
		return grade(dry < time.Hour, dry < 4*time.Hour),
			fmt.Sprintf("%d calls are left today; at this pace they are used up at %s", n, clock(s.At.Add(dry)))
	})...)
}

func lateOptOuts(s *Sample) []Finding {
	var found []Finding
	for _, late := range s.LateOptOuts {
		left := late.Deadline.Sub(s.At)
		found = append(found, one(late.Target, grade(left < 48*time.Hour, late.People > 0),
			fmt.Sprintf("%d opt-outs have not reached it in time; the first legal deadline is %s", late.People, late.Deadline.UTC().Format(time.RFC3339)))...)
	}
	return found
}

func drift(s *Sample) []Finding {
	return one("", grade(s.Unexplained >= 100, s.Unexplained > 0),
		fmt.Sprintf("%d people differ between the systems for no reason that we know", s.Unexplained))
}

func missed(s *Sample) []Finding {
	return perSubject(s.Missed, func(_ string, n int64) (Severity, string) {
		return grade(n >= 100, n >= 5), fmt.Sprintf("%d changes of the last day were announced by no webhook", n)
	})
}

func givenUp(s *Sample) []Finding {
	return one("", grade(s.GivenUp >= 20, s.GivenUp > 0),
		fmt.Sprintf("%d webhooks could not be forwarded to Verity and were given up", s.GivenUp))
}

// overdue gives a backup half an hour to be made, in which it is tried six times.
func overdue(s *Sample) []Finding {
	late := s.BackupAge - s.BackupEvery
	return one("", grade(late > max(2*s.BackupEvery, time.Hour), late > 30*time.Minute),
		fmt.Sprintf("there has been no good backup of the database for %s, though one is due every %s; the log says why",
			minutes(s.BackupAge), minutes(s.BackupEvery)))
}

// grade returns Critical or Warning, the worse one first, or nothing.
func grade(critical, warning bool) Severity {
	switch {
	case critical:
		return Critical
	case warning:
		return Warning
	}
	return ""
}

func one(subject string, severity Severity, summary string) []Finding {
	if severity == "" {
		return nil
	}
	return []Finding{{subject, severity, summary}}
}

// perSubject judges one subject after the other, in order.
func perSubject[T any](values map[string]T, judge func(subject string, value T) (Severity, string)) []Finding {
	var found []Finding
	for _, subject := range slices.Sorted(maps.Keys(values)) {
		severity, summary := judge(subject, values[subject])
		found = append(found, one(subject, severity, summary)...)
	}
	return found
}

// minutes writes a duration in whole minutes, or in hours when it is long.
func minutes(d time.Duration) string {
	if d >= 3*time.Hour {
		return strconv.Itoa(int(d.Hours())) + " hours"
	}
	return strconv.Itoa(int(d.Minutes())) + " minutes"
}

func clock(t time.Time) string { return t.UTC().Format("15:04 UTC") }

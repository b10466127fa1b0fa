package alerts

import (
	"time"

	"github.com/df-middleware/dfm/internal/store"
)

// The states of an alert; see docs/states.md.
const (
	Open         = "open"
	Acknowledged = "acknowledged"
	Resolved     = "resolved"
)

// What the receiver was told last, besides a severity.
const toldNothing = "nothing"

// Next returns what becomes of an alert when its rule has judged: of last, which
// is the unresolved alert about the subject or else the one resolved last, and
// of the finding, nil when there is none. The second result is false when there
// is nothing to write down.
//
// A beginning within the cooldown continues the last alert, and is told only if
// it outlasts the cooldown. An acknowledged alert is silent until it gets worse.
func Next(rule Rule, last *store.Alert, finding *Finding, now time.Time) (store.Alert, bool) {
	if finding == nil {
		if last == nil || last.State == Resolved || now.Sub(last.SeenAt) < rule.Calm {
			return store.Alert{}, false
		}
		return Resolve(*last, "", "", now), true
	}
	a := store.Alert{Rule: rule.Name, Subject: finding.Subject, State: Open, Times: 1, OpenedAt: now, Told: toldNothing}
	if last != nil && (last.State != Resolved || now.Sub(last.ResolvedAt) < rule.Cooldown) {
		a = *last
	}
	worse := finding.Severity == Critical && a.Severity != string(Critical)
	switch {
	case a.State == Resolved:
		a.Times++
		a.State, a.ResolvedAt, a.ResolvedBy, a.Note = Open, time.Time{}, "", ""
		a.AcknowledgedAt, a.AcknowledgedBy = time.Time{}, ""
	case a.State == Acknowledged && worse:
		a.State, a.AcknowledgedAt, a.AcknowledgedBy = Open, time.Time{}, ""
	}
	a.Severity, a.Summary, a.SeenAt = string(finding.Severity), finding.Summary, now
	earliest := now
	if a.Told == Resolved && !worse {
		earliest = later(now, a.ToldAt.Add(rule.Cooldown))
	}
	return plan(a, earliest), true
}

// Acknowledge returns the alert as one that somebody has taken on.
func Acknowledge(a store.Alert, by, note string, now time.Time) store.Alert {
	a.State, a.AcknowledgedAt, a.AcknowledgedBy = Acknowledged, now, by
	if note != "" {
		a.Note = note
	}
	return plan(a, now)
}

// Resolve returns the alert as one that is over: by itself, or because somebody
// says so. What is still wrong opens it again with the next sample.
func Resolve(a store.Alert, by, note string, now time.Time) store.Alert {
	a.State, a.ResolvedAt, a.ResolvedBy = Resolved, now, by
	if note != "" {
		a.Note = note
	}
	return plan(a, now)
}

// wanted is what the receiver should have been told of the alert as it stands.
func wanted(a store.Alert) string {
	switch {
	case a.State == Resolved && a.Told == toldNothing, a.State == Acknowledged:
		return a.Told
	case a.State == Resolved:
		return Resolved
	case a.Told == string(Critical):
		return a.Told // that it is less bad now can wait for its end
	}
	return a.Severity
}

// plan sets when to tell the receiver. A time that is set already stays: it is
// the pause after a failure.
func plan(a store.Alert, earliest time.Time) store.Alert {
	switch {
	case wanted(a) == a.Told:
		a.TellAt, a.TellTries, a.TellError = time.Time{}, 0, ""
	case a.TellAt.IsZero():
		a.TellAt = earliest
	}
	return a
}

const (
	tellPause    = time.Minute
	tellMost     = 30 * time.Minute
	tellEndAfter = 20 // tries, for what is over
)

// told returns the alert after its receiver was, or could not be, told.
func told(a store.Alert, failure string, now time.Time) store.Alert {
	if failure == "" {
		a.Told, a.ToldAt = wanted(a), now
		return plan(a, now)
	}
	a.TellTries++
	a.TellError = failure
	a.TellAt = now.Add(min(tellPause<<min(a.TellTries-1, 10), tellMost))
	if a.State == Resolved && a.TellTries >= tellEndAfter {
		a.TellAt = time.Time{}
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

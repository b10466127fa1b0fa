package explain

import (
	"fmt"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// judge makes the answer of what is known. It is a pure function.
func judge(q Question, k known) Answer {
	a := Answer{Question: q, Verdict: Yes, Summary: "would be " + string(q)}
	for _, part := range []func(Question, known) []df.Check{who, mapping, mayContact, wayOut, lane, onLists, unsettled} {
		a.Checks = append(a.Checks, part(q, k)...)
	}
	for _, check := range a.Checks {
		switch {
		case check.State == df.Fails && a.Verdict != No:
			a.Verdict, a.Summary = No, fmt.Sprintf("is not %s: %s", q, check.Detail)
		case check.State == df.Waits && a.Verdict == Yes:
			a.Verdict, a.Summary = Later, fmt.Sprintf("is not %s yet: %s", q, check.Detail)
		}
	}
	return a
}

func check(code string, state df.CheckState, rule, detail string, evidence ...df.Evidence) df.Check {
	return df.Check{Code: code, State: state, Rule: rule, Detail: detail, Evidence: evidence}
}

func event(id string) df.Evidence { return df.Evidence{Kind: "event", ID: id} }

// who is about the person as such.
func who(_ Question, k known) []df.Check {
	switch {
	case k.person.MergedInto != "":
		return []df.Check{check("person.merged", df.Fails, "one person, one lane", "the person was merged into another, who is looked at instead",
			df.Evidence{Kind: "person", ID: k.person.MergedInto})}
	case !k.person.EndedAt.IsZero():
		return []df.Check{check("person.ended", df.Fails, "who ended is left alone", "the person ended: "+k.person.EndedReason)}
	}
	return []df.Check{check("person.active", df.Passes, "the person is active", "neither ended nor merged into another")}
}

// mapping is about the contacts on both sides. Lists are kept at Aloware by what
// GHL says, so both are needed for them; a text only needs the number.
func mapping(q Question, k known) []df.Check {
	missing := df.Fails
	if q == Texted {
		missing = df.Note
	}
	var checks []df.Check
	for _, side := range []df.Side{df.SideGHL, df.SideAloware} {
		if k.person.ContactID(side) != "" {
			checks = append(checks, check("mapping."+string(side), df.Passes, "mapping", "has a contact at "+string(side)))
			continue
		}
		detail := "has no contact at " + string(side) + " yet"
		for _, issue := range k.issues {
			if issue.Topic == string(side)+"/link" {
				detail += ": " + issue.Detail
			}
		}
		checks = append(checks, check("mapping."+string(side), missing, "mapping", detail))
	}
	return checks
}

// mayContact is what the gate says.
func mayContact(_ Question, k known) []df.Check {
	var checks []df.Check
	for i, step := range k.consent {
		c := check("consent."+step.Looked, df.Passes, step.Rule, "allowed")
		if step.Looked == consent.LookedOptOut && i > 0 {
			c.Detail = "allowed, for another number of the person"
		}
		if !step.Allowed {
			c.Code, c.State = "consent."+strings.ToLower(string(step.Reason)), df.Fails
			c.Detail = refusal(step)
			if step.Reason == consent.Unavailable {
				c.State = df.Waits // whoever is told so asks again
			}
			for _, holder := range step.Holders {
				if id := k.stops[step.Phone+" "+string(holder)]; id != "" {
					c.Evidence = append(c.Evidence, event(id))
				}
			}
			if id := k.registry[step.Phone]; id != "" {
				c.Evidence = append(c.Evidence, df.Evidence{Kind: "opt_out", ID: id})
			}
		}
		checks = append(checks, c)
	}
	return checks
}

// refusal says in words what the gate refuses.
func refusal(step consent.Step) string {
	switch step.Reason {
	case consent.OptedOut:
		return "opted out (" + step.Rule + ")"
	case consent.Unavailable:
		return "consent cannot be read, so the answer is no: " + step.Rule
	case consent.BadPhone:
		return "no number by which an opt-out could be looked up"
	case consent.Quiet:
		return "it is quiet hours where the person is, and what is to be sent now is refused, not kept"
	case consent.NoZone:
		return "quiet hours are on, and the person's time zone is not known"
	}
	return step.Rule
}

// needs are the upstreams without which the act cannot be: a text leaves through
// Verity, a list is kept at Aloware by what GHL shows.
func (q Question) needs(upstream string) bool { return (q == Texted) == (upstream == "verity") }

// wayOut is about the upstreams that the act needs.
func wayOut(q Question, k known) []df.Check {
	var checks []df.Check
	for _, u := range k.upstreams {
		if !q.needs(u.Name) {
			continue
		}
		switch {
		case !u.Configured:
			checks = append(checks, check("upstream."+u.Name, df.Fails, "settings", u.Name+" is not configured"))
		case u.OpenUntil.After(k.now):
			checks = append(checks, check("breaker."+u.Name, df.Waits, "circuit breaker", u.Name+" failed too often; it is tried again "+at(u.OpenUntil)))
		case u.HeldUntil.After(k.now):
			checks = append(checks, check("budget."+u.Name, df.Waits, "budget", "the budget of "+u.Name+" is used up until "+at(u.HeldUntil)))
		default:
			checks = append(checks, check("upstream."+u.Name, df.Passes, "breaker and budget", u.Name+" may be called"))
		}
	}
	return checks
}

func at(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// lane is about what is worked before anything new about the person is.
func lane(_ Question, k known) []df.Check {
	var checks []df.Check
	switch head := k.head; {
	case head.ID != "" && head.Status == df.Failed:
		detail := fmt.Sprintf("the lane is blocked by an event that failed; tries so far: %d", head.Attempts)
		if head.LastError != "" {
			detail += " (" + head.LastError + ")"
		}
		if !head.NextAttemptAt.IsZero() {
			detail += "; it is tried again " + at(head.NextAttemptAt)
		}
		checks = append(checks, check("lane.blocked", df.Waits, "one event after the other", detail, event(head.ID)))
	case head.ID != "":
		checks = append(checks, check("lane.pending", df.Waits, "one event after the other",
			fmt.Sprintf("%d events wait to be worked first", k.lane.Queued), event(head.ID)))
	case k.lane.Nudges > 0:
		checks = append(checks, check("lane.nudged", df.Waits, "one event after the other", "a convergence of the person waits to be worked"))
	default:
		checks = append(checks, check("lane.free", df.Passes, "one event after the other", "nothing waits in the person's lane"))
	}
	for _, e := range k.shut {
		detail := "an event was put aside and is not worked"
		if e.Reason != "" {
			detail += ": " + e.Reason
		}
		checks = append(checks, check("event.quarantined", df.Note, "quarantine", detail, event(e.ID)))
	}
	return checks
}

// onLists is what decides lists. The dialer calls whom its lists hold, so who is
// on none is not called either.
func onLists(q Question, k known) []df.Check {
	switch {
	case q == Texted:
		return nil
	case !k.listSync:
		return []df.Check{check("lists.off", df.Fails, "ENABLE_AGENT_LIST_SYNC", "the setting is off, so lists are not decided")}
	}
	return k.lists.Why()
}

// unsettled is what an operator may want to know beside, and what decides nothing.
func unsettled(_ Question, k known) []df.Check {
	var checks []df.Check
	for _, issue := range k.issues {
		if strings.HasPrefix(issue.Topic, "lists/") {
			continue // said by the lists themselves
		}
		c := check("issue."+issue.Kind, df.Note, issue.Topic, strings.ReplaceAll(issue.Kind, "_", " ")+": "+issue.Detail, df.Evidence{Kind: "issue", ID: issue.Topic})
		if issue.Kind == string(converge.IssuePingPong) {
			c.Code, c.Rule = "breaker.field", "field breaker"
			c.Detail = string(issue.Field) + " is held back at " + string(issue.Side) + ": it was written too often"
		}
		checks = append(checks, c)
	}
	for _, conflict := range k.conflicts {
		detail := string(conflict.Field) + " conflicted; " + string(conflict.Chosen) + " was chosen"
		if conflict.Chosen == "" {
			detail = string(conflict.Field) + " conflicted; nothing was chosen"
		}
		if conflict.State == store.ConflictAsked || conflict.State == store.ConflictApplied {
			detail += ", and a person asked for the value of " + conflict.Choice
		}
		checks = append(checks, check("conflict", df.Note, conflict.Rule, detail, df.Evidence{Kind: "conflict", ID: conflict.ID}))
	}
	for _, review := range k.reviews {
		checks = append(checks, check("review."+review.Kind, df.Note, "never guess who is who",
			"it is not settled who the person is: "+strings.ReplaceAll(review.Kind, "_", " "), df.Evidence{Kind: "review", ID: review.Key}))
	}
	return checks
}

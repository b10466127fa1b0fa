package consent

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Registry tells the current state of phone numbers: of those that have one, by
// number in E.164.
type Registry interface {
	Consents(ctx context.Context, phones ...string) (map[string]store.Consent, error)
}

// PhoneBook tells all the numbers that a person has or had.
type PhoneBook interface {
	PhonesOf(ctx context.Context, personID string) ([]df.Phone, error)
}

// Atlas tells where people are.
type Atlas interface {
	// ZonesOf returns the IANA time zones of everybody who may be meant: the
	// person when one is named, else whoever has the number.
	ZonesOf(ctx context.Context, phone df.Phone, personID string) ([]string, error)
}

// Gate stands in front of every outbound text, call and list add, whoever asks.
// Only Registry is required. Without People a question about a person is
// answered no, since it cannot be answered. Zones is asked when quiet hours are
// on and the question names no time zone; without it, the zone is not known.
type Gate struct {
	Registry Registry
	People   PhoneBook
	Zones    Atlas
	Policy   Policy
	Clock    df.Clock // time.Now when nil; only quiet hours ask it
}

// Channel is what somebody wants to do.
type Channel string

// The channels. A List is a call list or dialer list: being on it leads to calls.
const (
	ChannelSMS  Channel = "sms"
	ChannelCall Channel = "call"
	ChannelList Channel = "list"
)

// Question is what the gate is asked.
type Question struct {
	Channel  Channel
	Phone    string    // in any usual notation
	At       time.Time // when it would happen; zero is now
	Timezone string    // the person's IANA zone, when known
	// PersonID, when known, widens the question to all numbers that the person
	// has or had: who said stop from an old number has said stop.
	PersonID string
}

// Reason says why the gate answered as it did. The codes are stable.
type Reason string

// The reasons. Only Clear lets anything through.
const (
	Clear       Reason = "CLEAR"
	OptedOut    Reason = "OPTED_OUT"
	Unavailable Reason = "CONSENT_UNAVAILABLE" // consent cannot be read, so the answer is no
	BadPhone    Reason = "BAD_PHONE"           // no number that an opt-out could be looked up by
	BadChannel  Reason = "BAD_CHANNEL"
	Quiet       Reason = "QUIET_HOURS"
	NoZone      Reason = "ZONE_UNKNOWN" // quiet hours are on and the person's zone is not known
)

// Decision is the gate's answer. Rule says in safe words what decided, such as
// whose no it is; Err is the cause of Unavailable, for logs.
type Decision struct {
	Allowed bool
	Reason  Reason
	Rule    string
	Err     error
}

// May decides. Anything but a clear yes is a no.
func (g Gate) May(ctx context.Context, q Question) Decision {
	for step := range g.steps(ctx, q) {
		if !step.Allowed {
			return step.Decision
		}
	}
	return Decision{Allowed: true, Reason: Clear, Rule: "no opt-out"}
}

// Step is one thing that the gate looks at on its way to an answer. Phone is the
// number that it is about, Holders are those whose no stands against it.
type Step struct {
	Looked string // at what: one of the Looked names
	Decision
	Phone   string
	Holders []Holder
}

// What the gate looks at, in this order.
const (
	LookedNumber   = "number"
	LookedRegistry = "registry"
	LookedOptOut   = "opt_out" // once for each number of the person
	LookedHour     = "hour"
)

// Explain returns all that May looks at: May's answer is that of the first step
// which does not allow. Unlike May it looks on after a no; what cannot be looked
// at without an earlier step is missing.
func (g Gate) Explain(ctx context.Context, q Question) []Step { return slices.Collect(g.steps(ctx, q)) }

// steps looks at one thing after the other, each when it is asked for.
func (g Gate) steps(ctx context.Context, q Question) iter.Seq[Step] {
	return func(yield func(Step) bool) {
		no := func(looked string, reason Reason, rule string, err error) {
			yield(Step{Looked: looked, Decision: Decision{Reason: reason, Rule: rule, Err: err}})
		}
		scope, ok := map[Channel]Scope{ChannelSMS: SMS, ChannelCall: Call, ChannelList: Call}[q.Channel]
		if !ok {
			no(LookedNumber, BadChannel, "unknown channel", nil)
			return
		}
		phone, err := df.ParsePhone(q.Phone, "")
		if err != nil {
			no(LookedNumber, BadPhone, "the number cannot be read", nil)
			return
		}
		phones, err := g.phones(ctx, phone, q.PersonID)
		if err != nil {
			no(LookedRegistry, Unavailable, "the person cannot be read", err)
			return
		}
		states, err := g.Registry.Consents(ctx, phones...)
		if err != nil {
			no(LookedRegistry, Unavailable, "the registry cannot be read", err)
			return
		}
		for _, number := range phones {
			step := Step{Looked: LookedOptOut, Decision: Decision{Allowed: true, Reason: Clear, Rule: "no opt-out"}, Phone: number}
			if state, known := states[number]; known {
				step.Decision, step.Holders = outOf(state, scope, number == string(phone)), StandingOf(state).Holders(scope)
			}
			if !yield(step) {
				return
			}
		}
		yield(Step{Looked: LookedHour, Decision: g.hour(ctx, q, phone)})
	}
}

// outOf decides by one number's row. The status counts beside the holds, so
// that a row which another release wrote is obeyed as well.
func outOf(state store.Consent, scope Scope, asked bool) Decision {
	standing := StandingOf(state)
	status := state.Status
	if scope == Call && state.CallStatus != "" {
		status = state.CallStatus
	}
	if !standing.Out(scope) && status == statusIn {
		return Decision{Allowed: true, Reason: Clear, Rule: "no opt-out"}
	}
	rule := fmt.Sprintf("%s: %v", scope, standing.Holders(scope))
	if !asked {
		rule += " (another number of the person)"
	}
	return Decision{Reason: OptedOut, Rule: rule}
}

func (g Gate) phones(ctx context.Context, phone df.Phone, personID string) ([]string, error) {
	phones := []string{string(phone)}
	if personID == "" {
		return phones, nil
	}
	if g.People == nil {
		return nil, fmt.Errorf("no phone book to look the person up in")
	}
	more, err := g.People.PhonesOf(ctx, personID)
	if err != nil {
		return nil, err
	}
	for _, other := range more {
		if !slices.Contains(phones, string(other)) {
			phones = append(phones, string(other))
		}
	}
	return phones, nil
}

// hour decides by the time of day. Putting somebody on a list disturbs nobody.
func (g Gate) hour(ctx context.Context, q Question, phone df.Phone) Decision {
	clear := Decision{Allowed: true, Reason: Clear, Rule: "quiet hours are off"}
	quiet := g.Policy.Quiet
	switch {
	case q.Channel == ChannelList:
		clear.Rule = "quiet hours do not concern lists"
		return clear
	case quiet == nil:
		return clear
	}
	clear.Rule = "no quiet hours now"
	names := []string{q.Timezone}
	if q.Timezone == "" && g.Zones != nil {
		known, err := g.Zones.ZonesOf(ctx, phone, q.PersonID)
		if err != nil {
			return Decision{Reason: Unavailable, Rule: "the person's time zone cannot be read", Err: err}
		}
		if len(known) > 0 {
			names = known
		}
	}
	at := q.At
	if at.IsZero() {
		at = g.now()
	}
	for _, name := range names {
		zones := quiet.zones(name)
		if len(zones) == 0 {
			return Decision{Reason: NoZone, Rule: "quiet hours are on and the time zone is not known"}
		}
		if quiet.anywhere(at, zones) {
			return Decision{Reason: Quiet, Rule: "quiet hours"}
		}
	}
	return clear
}

func (g Gate) now() time.Time {
	if g.Clock == nil {
		return time.Now()
	}
	return g.Clock()
}

// ErrOptedOut refuses a text to somebody who said stop.
var ErrOptedOut = &df.Error{Code: "OPTED_OUT", Message: "this number has opted out of texts", Status: http.StatusForbidden}

// MayText returns nil when a text may go to the number. It returns ErrOptedOut
// for one that opted out, and CONSENT_UNAVAILABLE (503) when that cannot be
// found out, QUIET_HOURS or ZONE_UNKNOWN (403) by the policy, and
// INVALID_REQUEST (400) for what is no number: nothing is sent then.
func (g Gate) MayText(ctx context.Context, to string) error {
	decision := g.May(ctx, Question{Channel: ChannelSMS, Phone: to})
	switch decision.Reason {
	case Clear:
		return nil
	case OptedOut:
		return ErrOptedOut
	case BadPhone:
		return &df.Error{Code: "INVALID_REQUEST", Message: "this is no phone number, so nothing is sent", Status: http.StatusBadRequest}
	case Quiet, NoZone:
		return &df.Error{Code: string(decision.Reason), Message: "nobody is texted at this hour", Status: http.StatusForbidden}
	}
	return &df.Error{Code: "CONSENT_UNAVAILABLE", Message: "consent cannot be checked now, so nothing is sent",
		Status: http.StatusServiceUnavailable, Err: decision.Err}
}

// Book is the PhoneBook and the Atlas of production.
type Book struct{ Store *store.Store }

var (
	_ PhoneBook = Book{}
	_ Atlas     = Book{}
)

// PhonesOf implements PhoneBook.
func (b Book) PhonesOf(ctx context.Context, personID string) ([]df.Phone, error) {
	p, err := store.PersonByID(ctx, b.Store, personID)
	if err != nil {
		return nil, fmt.Errorf("read the person's numbers: %w", err)
	}
	if p.Phone == "" {
		return p.OtherPhones, nil
	}
	return append([]df.Phone{p.Phone}, p.OtherPhones...), nil
}

// ZonesOf implements Atlas, by what the sides last agreed on.
func (b Book) ZonesOf(ctx context.Context, phone df.Phone, personID string) ([]string, error) {
	people := []string{personID}
	if personID == "" {
		found, err := store.PeopleByPhone(ctx, b.Store, phone)
		if err != nil {
			return nil, fmt.Errorf("read who has the number: %w", err)
		}
		people = people[:0]
		for _, p := range found {
			people = append(people, p.ID)
		}
	}
	var zones []string
	for _, id := range people {
		agreed, err := b.Store.Agreements(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("read the person's time zone: %w", err)
		}
		for _, side := range agreed {
			if zone := side.Fields[df.Timezone]; zone != "" && !slices.Contains(zones, zone) {
				zones = append(zones, zone)
			}
		}
	}
	return zones, nil
}

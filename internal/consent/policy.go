package consent

import "time"

// Policy is what an operator decides about consent. The zero Policy is the
// strict one.
type Policy struct {
	// TextOnly limits an opt-out by text to texts. Otherwise it covers calls
	// too, which is what the FCC's postponed revoke-all rule (2027-01-31) will
	// ask for.
	TextOnly bool
	// KeepDND leaves GHL's do-not-disturb on, and KeepTags the tags, after the
	// person opted in again. Otherwise what we set is taken back.
	KeepDND, KeepTags bool
	// ClearDNC clears Aloware's is_dnc after an opt-in. Whether Aloware obeys
	// is not documented, and calls would begin again, so it is off.
	ClearDNC bool
	// TextTags and CallTags are the tags that say in GHL that a person is out.
	// Nil means those of the original system.
	TextTags, CallTags []string
	// Quiet are the hours in which nobody is texted or called. Nil is off.
	Quiet *QuietHours
	// Grace is how long after an opt-out a text that was already under way may
	// still arrive without being an incident. Zero means DefaultGrace.
	Grace time.Duration
	// AlertAfter is how long a target system may take to be told before
	// somebody is alerted. Zero means DefaultAlert.
	AlertAfter time.Duration
}

// What the zero Policy means.
const (
	DefaultGrace = 2 * time.Minute
	DefaultAlert = time.Hour
)

// ByText returns what an opt-out by text covers.
func (p Policy) ByText() []Scope {
	if p.TextOnly {
		return []Scope{SMS}
	}
	return []Scope{SMS, Call}
}

// tags returns the tags for one scope.
func (p Policy) tags(scope Scope) []string {
	switch {
	case scope == SMS && p.TextTags != nil:
		return p.TextTags
	case scope == SMS:
		return []string{"DNC-SMS", "SMS Opted Out"}
	case p.CallTags != nil:
		return p.CallTags
	}
	return []string{"DNC", "Do Not Call"}
}

func (p Policy) grace() time.Duration {
	if p.Grace == 0 {
		return DefaultGrace
	}
	return p.Grace
}

func (p Policy) alertAfter() time.Duration {
	if p.AlertAfter == 0 {
		return DefaultAlert
	}
	return p.AlertAfter
}

package df

// Check is one condition that an answer to "why" rests on: what was looked at,
// how that went, and what decided it. It holds no number and no address.
type Check struct {
	Code  string     `json:"code"` // stable, such as "consent.opt_out"
	State CheckState `json:"state"`
	// Rule names what decided: a rule of the lists, a rule of consent, a setting.
	Rule     string     `json:"rule"`
	Detail   string     `json:"detail"`
	Evidence []Evidence `json:"evidence,omitempty"`
}

// CheckState says how a condition went.
type CheckState string

// The states of a check. Note is of what is worth knowing and decides nothing.
const (
	Passes CheckState = "pass"
	Fails  CheckState = "fail"
	Waits  CheckState = "wait" // will do by itself, or once somebody has looked
	Note   CheckState = "note"
)

// Evidence is a record that shows what a check says.
type Evidence struct {
	Kind string `json:"kind"` // event, person, conflict, rules, run, issue, opt_out, review
	ID   string `json:"id"`
}

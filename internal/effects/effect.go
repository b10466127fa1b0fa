package effects

import "fmt"

// State is how far something that is to happen once has come.
type State string

// The states of an effect. New has no row yet. Claimed is in the hands of a
// worker, or was when it died. Done happened. Failed did not happen. Unknown was
// asked for and not answered: it may have happened.
const (
	New     State = ""
	Claimed State = "claimed"
	Done    State = "done"
	Failed  State = "failed"
	Unknown State = "unknown"
)

// Step is what happens to an effect.
type Step string

// The steps. Claim comes before a call. Succeed, Fail and Lose are how a call
// ends: it took effect, it did not, nobody knows. Orphan is a claim whose worker
// is gone. Found and Absent are what looking it up can say. Resend claims an
// effect of which nobody knows, and is only for calls that the upstream knows to
// be the same one by their key.
const (
	Claim   Step = "claim"
	Succeed Step = "succeed"
	Fail    Step = "fail"
	Lose    Step = "lose"
	Orphan  Step = "orphan"
	Found   Step = "found"
	Absent  Step = "absent"
	Resend  Step = "resend"
)

// machine is the whole state machine. What is not in it is forbidden: above all,
// Unknown is never simply claimed again, and Done is the end.
var machine = map[State]map[Step]State{
	New:     {Claim: Claimed},
	Claimed: {Succeed: Done, Fail: Failed, Lose: Unknown, Orphan: Unknown},
	Failed:  {Claim: Claimed},
	Unknown: {Found: Done, Absent: Failed, Resend: Claimed},
}

// Next returns the state after a step, or an error for a step that the state
// does not allow.
func Next(from State, step Step) (State, error) {
	to, ok := machine[from][step]
	if !ok {
		return from, fmt.Errorf("effects: %q is not possible in state %q", step, from)
	}
	return to, nil
}

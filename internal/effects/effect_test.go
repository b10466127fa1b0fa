package effects

import "testing"

// TestEveryEdgeAndEveryForbiddenOne walks all pairs of states and steps: those
// in the table lead where it says, all others are refused and change nothing.
func TestEveryEdgeAndEveryForbiddenOne(t *testing.T) {
	t.Parallel()
	allowed := map[State]map[Step]State{
		New:     {Claim: Claimed},
		Claimed: {Succeed: Done, Fail: Failed, Lose: Unknown, Orphan: Unknown},
		Failed:  {Claim: Claimed},
		Unknown: {Found: Done, Absent: Failed, Resend: Claimed},
		Done:    {},
	}
	steps := []Step{Claim, Succeed, Fail, Lose, Orphan, Found, Absent, Resend, "anything else"}
	walked := 0
	for from, edges := range allowed {
		for _, step := range steps {
			to, err := Next(from, step)
			want, ok := edges[step]
			switch {
			case ok && (err != nil || to != want):
				t.Errorf("%q in %q: %q, %v; want %q", step, from, to, err, want)
			case !ok && (err == nil || to != from):
				t.Errorf("%q in %q is forbidden, and led to %q", step, from, to)
			}
			walked++
		}
	}
	if walked != len(allowed)*len(steps) {
		t.Errorf("%d pairs were walked", walked)
	}
	for state := range machine {
		if _, known := allowed[state]; !known {
			t.Errorf("state %q is not in the table", state)
		}
	}
}

// What may have happened is never simply done again: the only ways out of
// Unknown are a look-up or a call that the upstream knows to be the same one.
func TestTheUnknownIsNeverBlindlyRepeated(t *testing.T) {
	t.Parallel()
	for step, to := range machine[Unknown] {
		if to == Claimed && step != Resend {
			t.Errorf("%q claims what may have happened", step)
		}
	}
	if len(machine[Done]) != 0 {
		t.Error("what was done can be done again")
	}
}

package effects

import (
	"errors"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

// Outcome is what became of an event, in the words of the lanes.
type Outcome struct {
	Status  df.Status // Done, Skipped, Quarantined or Failed (try again at RetryAt)
	Reason  string    // why it was skipped or quarantined, safe text
	Error   string    // what failed, safe text
	RetryAt time.Time
	// Postponed says that nothing was tried because the upstream's budget is
	// used up: no try is counted.
	Postponed bool
}

// Skipped is the outcome of an event about which nothing is to be done.
func Skipped(reason string) Outcome { return Outcome{Status: df.Skipped, Reason: reason} }

// Trouble turns an error into what the lane needs: another try, or a person's
// attention. Wrong credentials are retried, since they are mended by an operator
// without any event's being at fault. The error it returns means that the lane
// was lost.
func Trouble(err error) (Outcome, error) {
	if errors.Is(err, people.ErrLeaseLost) {
		return Outcome{}, err
	}
	outcome, retryAt := df.OutcomeOf(err)
	if outcome == df.Refused && !df.IsCode(err, df.CodeUnauthorized) {
		return Outcome{Status: df.Quarantined, Reason: Safe(err)}, nil
	}
	return Outcome{Status: df.Failed, Error: Safe(err), RetryAt: retryAt, Postponed: df.IsCode(err, df.CodeRateLimited)}, nil
}

// Safe is what may be kept of an error: an upstream's text is made for that, any
// other may hold anything.
func Safe(err error) string {
	var call *df.CallError
	if errors.As(err, &call) {
		return call.Error()
	}
	return df.AsError(err).Error()
}

// Ended is how the ledger calls a call's verdict.
func Ended(err error) Step {
	var call *df.CallError
	switch {
	case err == nil:
		return Succeed
	case !errors.As(err, &call) || call.Outcome == df.Unclear:
		return Lose // cut off in the middle, or not answered: nobody knows what was sent
	case call.Outcome == df.OutcomeDone:
		return Succeed
	}
	return Fail
}

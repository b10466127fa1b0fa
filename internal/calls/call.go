package calls

import (
	"cmp"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Said is something that deliveries say, and when the newest that says it was
// written. The zero value of T means that none says it.
type Said[T cmp.Ordered] struct {
	Value T         `json:"value"`
	At    time.Time `json:"at,omitzero"`
}

// join returns the newer of two sayings. What is not said yields to what is. Of
// two from the same second the one of higher rank is taken, then the greater: it
// does not matter which, as long as it is the same one in any order.
func join[T cmp.Ordered](a, b Said[T], rank func(T) int) Said[T] {
	var none T
	order := cmp.Or(
		compareBool(a.Value != none, b.Value != none),
		a.At.Compare(b.At),
		cmp.Compare(rank(a.Value), rank(b.Value)),
		cmp.Compare(a.Value, b.Value),
	)
	if order < 0 {
		return b
	}
	return a
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func alike[T cmp.Ordered](T) int { return 0 }

func length(text string) int { return len(text) }

// Direction says who called.
type Direction string

// The directions: Inbound from the customer, Outbound from us.
const (
	Inbound  Direction = "inbound"
	Outbound Direction = "outbound"
)

// Call is what is known of one call: the join of its deliveries. Its JSON form
// holds no address of a recording.
type Call struct {
	ID          string          `json:"id"` // Aloware's communication id
	Direction   Said[Direction] `json:"direction"`
	Customer    Said[df.Phone]  `json:"customer"`
	Line        Said[df.Phone]  `json:"line"` // our own number
	AgentID     Said[string]    `json:"agentId"`
	Ending      Said[string]    `json:"ending"`      // Aloware's word for how it ended
	Disposition Said[string]    `json:"disposition"` // the account's own; may be set by itself
	Seconds     Said[int64]     `json:"seconds"`
	TalkSeconds Said[int64]     `json:"talkSeconds"`
	Notes       Said[string]    `json:"notes"`
	Summary     Said[string]    `json:"summary"`
	Transcript  Said[string]    `json:"transcript"`
	Recording   Said[df.Secret] `json:"-"`
	Voicemail   Said[df.Secret] `json:"-"`

	Outcomes      []string  `json:"outcomes"`  // of the summary, sorted; they only ever grow
	StartedAt     time.Time `json:"startedAt"` // the earliest that any delivery names
	Over          bool      `json:"over"`
	Recorded      bool      `json:"recorded"`      // there is a recording, whether or not we keep its address
	VoicemailLeft bool      `json:"voicemailLeft"` // the same of a voicemail
}

// Join returns what both calls say together. They are the same call.
func (c Call) Join(d Call) Call {
	return Call{
		ID:          cmp.Or(c.ID, d.ID),
		Direction:   join(c.Direction, d.Direction, alike),
		Customer:    join(c.Customer, d.Customer, alike),
		Line:        join(c.Line, d.Line, alike),
		AgentID:     join(c.AgentID, d.AgentID, alike),
		Ending:      join(c.Ending, d.Ending, finality),
		Disposition: join(c.Disposition, d.Disposition, alike),
		Seconds:     join(c.Seconds, d.Seconds, alike),
		TalkSeconds: join(c.TalkSeconds, d.TalkSeconds, alike),
		Notes:       join(c.Notes, d.Notes, length),
		Summary:     join(c.Summary, d.Summary, length),
		Transcript:  join(c.Transcript, d.Transcript, length),
		Recording:   join(c.Recording, d.Recording, alike),
		Voicemail:   join(c.Voicemail, d.Voicemail, alike),

		Outcomes:      union(c.Outcomes, d.Outcomes),
		StartedAt:     earlier(c.StartedAt, d.StartedAt),
		Over:          c.Over || d.Over,
		Recorded:      c.Recorded || d.Recorded,
		VoicemailLeft: c.VoicemailLeft || d.VoicemailLeft,
	}
}

// finality ranks endings of the same second: a call is placed before it is
// anything else, and a missed one becomes one with voicemail.
func finality(ending string) int {
	switch ending {
	case "", "placed":
		return 0
	case "voicemail", "missed-voicemail":
		return 2
	}
	return 1
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func union(a, b []string) []string {
	if len(a)+len(b) == 0 {
		return nil
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// The outcomes of a call, in the words of Aloware's endings.
const (
	Completed = "completed"
	Missed    = "missed"
	Voicemail = "voicemail"
	MissedVM  = "missed-voicemail"
)

// Outcome is how the call ended, or "" while it is not known to be over. An ending
// that was lost on its way is told by what only comes after one.
func (c Call) Outcome() string {
	switch ending := c.Ending.Value; {
	case !c.Over:
		return ""
	case ending == Missed && c.VoicemailLeft:
		return MissedVM
	case ending != "" && ending != "placed":
		return ending
	case c.VoicemailLeft:
		return Voicemail
	}
	return Completed
}

// Ready reports whether enough is known to show the call: that it is over, and
// who called. A log cannot be corrected once it is made.
func (c Call) Ready() bool { return c.Over && c.Direction.Value != "" }

// Status is how GHL calls the outcome in a call log. Its list is closed.
func (c Call) Status() string {
	switch c.Outcome() {
	case Missed, "abandoned":
		return "no-answer"
	case Voicemail, MissedVM:
		return "voicemail"
	case "failed", "invalid", "dead-end":
		return "failed"
	case "canceled":
		return "canceled"
	}
	return "completed"
}

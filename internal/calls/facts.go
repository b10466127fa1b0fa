package calls

import (
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Name names one thing that is known of a call.
type Name string

// What is known of a call. Durations are in whole seconds, times as RFC 3339.
const (
	Phone       Name = "phone" // the customer's
	Line        Name = "line"  // our own number
	Agent       Name = "agent" // Aloware's user id
	Direction   Name = "direction"
	Ending      Name = "ending" // Aloware's word for how it ended
	Disposition Name = "disposition"
	Started     Name = "started"
	Duration    Name = "duration"
	Talked      Name = "talked"
	Recording   Name = "recording" // a hash of the link, which is itself kept sealed
	Voicemail   Name = "voicemail" // "yes" when there is one
	Transcript  Name = "transcript"
	Summary     Name = "summary"
	Outcomes    Name = "outcomes" // those that the summary names in fields of their own, one a line
	Remarks     Name = "remarks"  // what the agent wrote
)

// The values of Direction.
const (
	Inbound  = "inbound"
	Outbound = "outbound"
)

// Fact is one thing that is known, and when it was said.
type Fact struct {
	Value string    `json:"value"`
	At    time.Time `json:"at"`
}

// Facts is what is known of a call. What nobody said is missing.
type Facts map[Name]Fact

// Join returns what both know together. Of two values the one that was said later
// counts, and of two that were said at once the one that sorts last: the result
// is the same in whatever order deliveries are joined, and however often. Nothing
// is ever forgotten, since a delivery that does not mention the recording says
// nothing about it.
func (f Facts) Join(more Facts) Facts {
	joined := make(Facts, len(f)+len(more))
	for _, facts := range []Facts{f, more} {
		for name, fact := range facts {
			was, known := joined[name]
			if !known || fact.At.After(was.At) || fact.At.Equal(was.At) && fact.Value > was.Value {
				joined[name] = fact
			}
		}
	}
	return joined
}

// Get returns a value, and "" for what is not known.
func (f Facts) Get(name Name) string { return f[name].Value }

// Time returns a value that is a time, and the zero time for what is none.
func (f Facts) Time(name Name) time.Time {
	at, err := time.Parse(time.RFC3339, f.Get(name))
	if err != nil {
		return time.Time{}
	}
	return at
}

// Seconds returns a value that is a duration, and 0 for what is none.
func (f Facts) Seconds(name Name) time.Duration {
	d, err := time.ParseDuration(f.Get(name) + "s")
	if err != nil {
		return 0
	}
	return d
}

// Over reports whether the call is over: it has an ending, or left something that
// only a call leaves that is over. Aloware tells of each only once, so an ending
// that was lost must not lose the call.
func (f Facts) Over() bool {
	for _, name := range []Name{Ending, Recording, Voicemail, Transcript, Summary} {
		if f.Get(name) != "" {
			return true
		}
	}
	return false
}

// Outcome says in one plain word how the call went: Completed, Missed, Abandoned,
// Voicemail, Failed, Canceled, or "" while nobody knows. "Talked and completed" is
// told from "completed by a machine" by nobody, so neither is it here.
func (f Facts) Outcome() string {
	ending := f.Get(Ending)
	if ending == "missed" && f.Get(Voicemail) != "" {
		return "Voicemail" // as Aloware's own word for both together
	}
	switch ending {
	case "completed", "missed", "abandoned", "failed", "canceled":
		return strings.ToUpper(ending[:1]) + ending[1:]
	case "voicemail", "missed-voicemail":
		return "Voicemail"
	case "dead-end":
		return "Missed"
	case "invalid":
		return "Failed"
	}
	switch {
	case f.Get(Voicemail) != "":
		return "Voicemail"
	case f.Over():
		return "Completed"
	}
	return ""
}

// Delivery is what one delivery says about a call.
type Delivery struct {
	ID        string // of the call, Aloware's
	ContactID string // Aloware's
	Phone     df.Phone
	At        time.Time // when Aloware last changed it, else when we heard
	Facts     Facts
	// Recording is the link to the audio, if there is one.
	Recording df.Secret
}

package appointments

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Kind says what an item is.
type Kind string

// The kinds.
const (
	Appointment Kind = "appointment"
	Opportunity Kind = "opportunity"
)

// The names of what is told of an item. Times are RFC 3339.
const (
	Status   = "status"
	Title    = "title"
	Start    = "start"
	End      = "end"
	Calendar = "calendar"
	Owner    = "owner"
	Pipeline = "pipeline"
	Stage    = "stage"
	Value    = "value"
	Source   = "source"
	Contact  = "contact"
)

// Telling is what one delivery tells of an item: how it was at that time. What it
// does not mention is as before.
type Telling struct {
	At      time.Time         `json:"at"`
	Event   string            `json:"event"` // as it is called on the wire
	Deleted bool              `json:"deleted,omitempty"`
	Values  map[string]string `json:"values,omitempty"`
}

// key orders tellings of one moment and makes the same one be the same.
func (t Telling) key() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(t.Values)) {
		b.WriteString(name + "\x00" + t.Values[name] + "\x00")
	}
	if t.Deleted {
		b.WriteString("deleted")
	}
	return b.String()
}

// maxTellings bounds a history. The oldest go first: what an item is now must not
// depend on how often it was told.
const maxTellings = 200

// Join returns all that was told, in the order of the acts. It does not matter
// which is joined to which, nor how often.
func Join(a, b []Telling) []Telling {
	all := slices.Concat(a, b)
	slices.SortStableFunc(all, func(a, b Telling) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.key(), b.key()), cmp.Compare(a.Event, b.Event))
	})
	all = slices.CompactFunc(all, func(a, b Telling) bool { return a.At.Equal(b.At) && a.key() == b.key() })
	if len(all) > maxTellings {
		all = all[len(all)-maxTellings:]
	}
	return all
}

// State is how an item stands.
type State struct {
	Values    map[string]string
	Deleted   bool
	ChangedAt time.Time // of the last act
}

// Get returns a value, and "" for what was never told.
func (s State) Get(name string) string { return s.Values[name] }

// Time returns a value that is a time, and the zero time for what is none.
func (s State) Time(name string) time.Time {
	at, err := time.Parse(time.RFC3339, s.Values[name])
	if err != nil {
		return time.Time{}
	}
	return at
}

// StateOf returns how an item stands after what was told, which is in order.
// Something that was deleted stays deleted, whatever is told later: an update
// that overtook the deletion brings nothing back.
func StateOf(told []Telling) State {
	s := State{Values: map[string]string{}}
	for _, t := range told {
		maps.Copy(s.Values, t.Values)
		s.Deleted = s.Deleted || t.Deleted
		s.ChangedAt = t.At
	}
	return s
}

// Act is one step of an item's history, in the words of an operator.
type Act struct {
	At     time.Time `json:"at"`
	What   string    `json:"what"`
	Detail string    `json:"detail,omitempty"`
}

// History says what happened to an item, step by step. Tellings that changed
// nothing are left out.
func History(kind Kind, told []Telling) []Act {
	acts := make([]Act, 0, len(told))
	var before State
	for i := range told {
		now := StateOf(told[:i+1])
		for _, act := range steps(kind, before, now, i == 0) {
			act.At = told[i].At
			acts = append(acts, act)
		}
		before = now
	}
	return acts
}

// steps says what one telling changed.
func steps(kind Kind, before, now State, first bool) []Act {
	var acts []Act
	add := func(what, detail string) { acts = append(acts, Act{What: what, Detail: detail}) }
	changed := func(name string) bool { return before.Get(name) != now.Get(name) && now.Get(name) != "" }
	switch {
	case before.Deleted:
		return nil
	case first && kind == Appointment && statusWord(now) != "canceled":
		add("booked", now.Get(Start))
	case first && kind == Opportunity:
		add("created", now.Get(Stage))
	}
	if !first && changed(Start) && kind == Appointment {
		add("rescheduled", before.Get(Start)+" → "+now.Get(Start))
	}
	if changed(Status) && (!first || kind == Appointment && statusWord(now) != "booked") {
		add(statusWord(now), "")
	}
	if !first && changed(Stage) {
		add("stage", before.Get(Stage)+" → "+now.Get(Stage))
	}
	if !first && changed(Owner) {
		add("assigned", now.Get(Owner))
	}
	if now.Deleted {
		add("deleted", "")
	}
	return acts
}

// statusWord is a status of GHL's in plain words. Opportunities are open, won,
// lost or abandoned there already.
func statusWord(s State) string {
	switch status := strings.ToLower(s.Get(Status)); status {
	case "", "new", "confirmed", "booked", "active":
		return "booked"
	case "cancelled", "canceled":
		return "canceled"
	case "showed", "completed":
		return "showed up"
	case "noshow", "no-show", "no_show":
		return "no-show"
	default:
		return status
	}
}

// Standing is how an item stands in one word: deleted, or its status in plain
// words.
func Standing(kind Kind, s State) string {
	switch {
	case s.Deleted:
		return "deleted"
	case kind == Opportunity && s.Get(Status) == "":
		return "open"
	case kind == Opportunity:
		return strings.ToLower(s.Get(Status))
	}
	return statusWord(s)
}

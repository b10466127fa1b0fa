package consent

import (
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Standing is where a number stands: for each scope and holder the latest no and
// the latest yes, by the time of the act. It grows only by taking the later of
// two times, so the order in which acts are heard makes no difference.
type Standing struct{ spans map[place]span }

type place struct {
	scope  Scope
	holder Holder
}

type span struct{ out, in time.Time }

// Join returns the standing with one more act. An act that changes nothing
// (Help, Note) leaves it as it is.
func (s Standing) Join(a Act) Standing {
	if !a.binds() {
		return s
	}
	next := Standing{spans: make(map[place]span, len(s.spans)+len(a.Scopes))}
	for at, was := range s.spans {
		next.spans[at] = was
	}
	for _, scope := range a.Scopes {
		at := place{scope, a.Holder}
		was := next.spans[at]
		if a.Kind == Stop {
			was.out = later(was.out, a.At)
		} else {
			was.in = later(was.in, a.At)
		}
		next.spans[at] = was
	}
	return next
}

// Out reports whether the number must not be contacted in the scope.
func (s Standing) Out(scope Scope) bool { return !s.Since(scope).IsZero() }

// Since returns the time of the latest no that no yes has answered, and the zero
// time for a number that may be contacted. A yes answers a no of its own holder,
// an operator's yes any no, and only one that is older: a tie goes to the no.
func (s Standing) Since(scope Scope) time.Time {
	var since time.Time
	released := s.spans[place{scope, Operator}].in
	for at, was := range s.spans {
		if at.scope == scope && holds(was, released) {
			since = later(since, was.out)
		}
	}
	return since
}

// OutByText reports whether the person's own words stand against texts.
func (s Standing) OutByText() bool {
	return holds(s.spans[place{SMS, Text}], s.spans[place{SMS, Operator}].in)
}

// Holders lists whose no stands in the scope, sorted.
func (s Standing) Holders(scope Scope) []Holder {
	var found []Holder
	released := s.spans[place{scope, Operator}].in
	for at, was := range s.spans {
		if at.scope == scope && holds(was, released) {
			found = append(found, at.holder)
		}
	}
	slices.Sort(found)
	return found
}

func holds(was span, released time.Time) bool {
	return !was.out.IsZero() && !was.out.Before(later(was.in, released))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// StandingOf reads the standing that the store keeps. A row of the original
// system has a status and no holds: it counts as a no of whoever its source is,
// against calls too when nothing is said of them.
func StandingOf(c store.Consent) Standing {
	s := Standing{spans: make(map[place]span, len(c.Holds))}
	for _, h := range c.Holds {
		s.spans[place{Scope(h.Scope), Holder(h.Holder)}] = span{h.OutAt, h.InAt}
	}
	if len(c.Holds) > 0 || c.Status == statusIn {
		return s
	}
	by := legacyHolder(c.Source)
	s.spans[place{SMS, by}] = span{out: c.LastEventAt}
	if c.CallStatus != statusIn {
		s.spans[place{Call, by}] = span{out: c.LastEventAt}
	}
	return s
}

func legacyHolder(source string) Holder {
	switch source {
	case string(df.SourceTexting):
		return Text
	case string(df.SourceGHL):
		return GHL
	case string(df.SourceAloware):
		return Aloware
	}
	return Operator
}

// The statuses of optout_registry, which are those of the original system.
const (
	statusIn  = "opted_in"
	statusOut = "opted_out"
)

func (s Standing) status(scope Scope) string {
	if s.Out(scope) {
		return statusOut
	}
	return statusIn
}

// rows returns the standing as the store keeps it, in a fixed order.
func (s Standing) rows() []store.Hold {
	list := make([]store.Hold, 0, len(s.spans))
	for at, was := range s.spans {
		list = append(list, store.Hold{Scope: string(at.scope), Holder: string(at.holder), OutAt: was.out, InAt: was.in})
	}
	slices.SortFunc(list, func(a, b store.Hold) int {
		return strings.Compare(a.Scope+" "+a.Holder, b.Scope+" "+b.Holder)
	})
	return list
}

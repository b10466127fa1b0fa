package converge

import (
	"maps"
	"slices"

	"github.com/df-middleware/dfm/internal/df"
)

// Rulings are planned in the first round of a run only: whatever a side shows
// after our write is either kept as written, or somebody's newer word.

// obedience is a ruling under way.
type obedience struct {
	Ruling
	writes []df.Side        // where its value had to be written
	landed map[df.Side]bool // where it was written and kept
}

// rulings are those that are planned in a round.
func (r *run) rulings(round int) []Ruling {
	if round > 0 {
		return nil
	}
	return r.state.Rulings
}

// obey takes over what a proposal says of rulings.
func (r *run) obey(p Proposal) {
	r.record.Ruled = append(r.record.Ruled, p.Ended...)
	for field, ruling := range p.Ruled {
		under := obedience{Ruling: ruling, landed: map[df.Side]bool{}}
		for _, side := range order {
			if _, ok := p.Writes[side].Set[field]; ok {
				under.writes = append(under.writes, side)
			}
		}
		r.obeyed[field] = under
	}
}

// withhold takes a ruled field out of all writes when one of the sides cannot be
// written now: the value would stand on one side alone.
func (r *run) withhold(p Proposal, writes map[df.Side]df.Patch) {
	for field := range p.Ruled {
		if slices.ContainsFunc(r.obeyed[field].writes, func(side df.Side) bool { return r.parked[place{side, field}] }) {
			for _, patch := range writes {
				delete(patch.Set, field)
			}
		}
	}
	maps.DeleteFunc(writes, func(_ df.Side, patch df.Patch) bool { return patch.Empty() })
}

// turns is the order in which sides are written: of a ruled field first the side
// whose value lost, so that a value which it refuses is written nowhere.
func turns(p Proposal) []df.Side {
	for _, ruling := range p.Ruled {
		if ruling.Choice == order[0] {
			return []df.Side{order[1], order[0]}
		}
	}
	return order[:]
}

// wrote prepares the next write after one to a side. Of a ruled field that the
// side kept, what it shows now is what the other side's value is agreed with. One
// that it did not keep is not written to the other.
func (r *run) wrote(p Proposal, side df.Side, patch df.Patch, writes map[df.Side]df.Patch) {
	for field := range p.Ruled {
		switch _, written := patch.Set[field]; {
		case !written:
			continue
		case !r.kept[place{side, field}]:
			delete(writes[side.Other()].Set, field)
			continue
		}
		r.obeyed[field].landed[side] = true
		planned := r.planned[side].Clone()
		if shown, ok := r.seen[side].Fields[field]; ok {
			planned.Fields[field] = shown
		}
		r.planned[side] = planned
	}
}

// conclude says what came of the rulings that were to be written. One of which
// nothing is certain yet waits for the next run.
func (r *run) conclude() {
	for _, field := range slices.Sorted(maps.Keys(r.obeyed)) {
		under := r.obeyed[field]
		if state, detail := r.fate(under); state != "" {
			r.record.Ruled = append(r.record.Ruled, RulingEnd{ConflictID: under.ConflictID, State: state, Detail: detail})
		}
	}
}

// fate judges a ruling by what became of its writes.
func (r *run) fate(under obedience) (RulingState, string) {
	if len(under.landed) == len(under.writes) {
		return Applied, "written to " + calledAll(under.writes)
	}
	for _, side := range under.writes {
		if issue, ok := r.givenUp(place{side, under.Field}); ok {
			return Declined, called[side] + ": " + issue.Detail
		}
	}
	for _, end := range Plan(r.agreed, r.seen, r.rules, under.Ruling).Ended {
		return end.State, end.Detail
	}
	return "", ""
}

// givenUp returns the issue by which this run gave up writing a place.
func (r *run) givenUp(p place) (Issue, bool) {
	for _, issue := range r.record.Issues {
		if issue.Topic == p.topic() && issue.Open && issue.Kind != IssuePingPong {
			return issue, true
		}
	}
	return Issue{}, false
}

func calledAll(sides []df.Side) string {
	text := called[sides[0]]
	for _, side := range sides[1:] {
		text += " and " + called[side]
	}
	return text
}

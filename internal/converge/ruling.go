package converge

import (
	"cmp"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Ruling is a person's word about a conflict: the value that one side had is to
// stand on both.
type Ruling struct {
	ConflictID string
	Field      df.Field
	Choice     df.Side            // the side whose value is to stand
	Chosen     df.Side            // the one that the rule chose; empty when it chose none
	Seen       map[df.Side]string // the values that were in conflict
	Settled    map[df.Side]string // what each side showed once the rule was carried out; nil when that is not known
	At         time.Time          // when the person said so
}

// called are the names of the sides in texts for operators.
var called = map[df.Side]string{df.SideGHL: "GoHighLevel", df.SideAloware: "Aloware"}

// RulingState is how far a ruling has come. The states are those of the ledger.
type RulingState string

// The states in which a ruling ends.
const (
	Applied   RulingState = "applied"   // the value stands on both sides
	Overtaken RulingState = "overtaken" // the field was changed since; nothing was written
	Declined  RulingState = "refused"   // it cannot be written, or a side did not take it
)

// RulingEnd is what came of a ruling. A ruling without an end waits.
type RulingEnd struct {
	ConflictID string
	State      RulingState
	Detail     string // safe text
}

// Barred says, by a stable word, why a conflict can only be accepted.
type Barred string

// The reasons.
const (
	BarredTags     Barred = "tags"         // tags are merged one by one; there is no one value
	BarredConsent  Barred = "consent"      // do-not-call and do-not-text are no fields: only consent decides
	BarredPhone    Barred = "phone"        // the number is who somebody is; people are merged and split instead
	BarredNoValue  Barred = "no_value"     // that side showed no value
	BarredNever    Barred = "left_alone"   // the field is left alone on both sides
	BarredReadOnly Barred = "not_writable" // a side that would have to change takes no change of the field
)

// Says explains the reason in words for operators.
func (b Barred) Says() string {
	return map[Barred]string{
		BarredTags:     "tags are merged one by one, so there is no one value that could stand",
		BarredConsent:  "only consent decides about being called and texted",
		BarredPhone:    "the phone is how a person is known; merge or split people instead",
		BarredNoValue:  "that side showed no value then",
		BarredNever:    "the field is left alone on both sides by its rule",
		BarredReadOnly: "a side that would have to change takes no change of this field",
	}[b]
}

// Bar returns why the ruling cannot be carried out under these rules, or "". It
// looks at no side.
func (r Ruling) Bar(rules Rules) Barred {
	_, custom := r.Field.Custom()
	_, had := r.Seen[r.Choice]
	switch {
	case r.Field == TagsField:
		return BarredTags
	case !custom && !slices.Contains(df.Fields(), r.Field):
		return BarredConsent
	case r.Field == df.PhoneNumber:
		return BarredPhone
	case !had:
		return BarredNoValue
	case rules.For(r.Field) == Never:
		return BarredNever
	}
	for _, side := range order {
		if !r.stands(side, r.after(side)) && !rules.Can[side].writable(r.Field) {
			return BarredReadOnly
		}
	}
	return ""
}

// value is what is to stand, as it is written.
func (r Ruling) value() string { return outbound(r.Field, r.Seen[r.Choice]) }

// after is what a side showed once the rule was carried out, or is taken to have
// shown.
func (r Ruling) after(side df.Side) string {
	if held, ok := r.Settled[side]; ok {
		return held
	}
	if r.Chosen != "" {
		return r.Seen[r.Chosen]
	}
	return r.Seen[side]
}

// stands reports whether what a side shows is the value that is to stand, or what
// the side made of it when the rule had it written there.
func (r Ruling) stands(side df.Side, shown string) bool {
	if Same(r.Field, shown, r.value()) {
		return true
	}
	held, known := r.Settled[side]
	written := side == r.Choice || !Same(r.Field, held, r.Seen[side])
	return known && written && r.Choice == r.Chosen && Same(r.Field, shown, held)
}

// untouched reports whether a side still shows what the conflict left there.
// Where that was not kept, either of the two values counts.
func (r Ruling) untouched(side df.Side, shown string) bool {
	if held, known := r.Settled[side]; known {
		return Same(r.Field, shown, held)
	}
	for _, value := range r.Seen {
		if Same(r.Field, shown, value) {
			return true
		}
	}
	return false
}

// rule decides the fields about which a person ruled and returns those that are
// decided by it. What is overtaken or cannot be written is left to the rules. Of
// two rulings about one field the later counts.
func (p *Proposal) rule(seen map[df.Side]df.Contact, rules Rules, rulings []Ruling) map[df.Field]bool {
	decided := map[df.Field]bool{}
	known := map[df.Field]bool{}
	rulings = slices.SortedFunc(slices.Values(rulings), func(a, b Ruling) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ConflictID, a.ConflictID))
	})
	for _, r := range rulings {
		if known[r.Field] {
			p.end(r, Overtaken, "a later decision about the field counts")
			continue
		}
		known[r.Field] = true
		decided[r.Field] = p.ruleField(r, seen, rules)
	}
	return decided
}

// ruleField decides one field by a ruling, and reports false when the ruling
// decides nothing.
func (p *Proposal) ruleField(r Ruling, seen map[df.Side]df.Contact, rules Rules) bool {
	if barred := r.Bar(rules); barred != "" {
		p.end(r, Declined, barred.Says())
		return false
	}
	var missing []df.Side
	for _, side := range order {
		shown, ok := seen[side].Fields[r.Field]
		switch {
		case ok && r.stands(side, shown):
		case ok && r.untouched(side, shown):
			missing = append(missing, side)
		default:
			p.end(r, Overtaken, called[side]+" shows something newer; nothing was written")
			return false
		}
	}
	for _, side := range missing {
		if !rules.Can[side].writable(r.Field) {
			p.end(r, Declined, called[side]+" takes no change of this field")
			return false
		}
	}
	for _, side := range missing {
		patch := p.Writes[side]
		if patch.Set == nil {
			patch.Set = make(map[df.Field]string)
		}
		patch.Set[r.Field] = r.value()
		p.Writes[side] = patch
		p.Decisions = append(p.Decisions, Decision{Action: Obey, Side: side, Field: r.Field, Rule: "ruling", Value: r.value(),
			Writes: true, Before: seen[side].Get(r.Field), Detail: "a person asked for the value of " + called[r.Choice]})
	}
	if len(missing) == 0 {
		p.Next.settle(r.Field, seen)
		p.Decisions = append(p.Decisions, Decision{Action: Agree, Side: r.Choice, Field: r.Field, Rule: "ruling", Value: r.value()})
		p.end(r, Applied, "both sides had it")
		return true
	}
	p.Ruled[r.Field] = r
	return true
}

// end ends a ruling without a write.
func (p *Proposal) end(r Ruling, state RulingState, detail string) {
	p.Ended = append(p.Ended, RulingEnd{ConflictID: r.ConflictID, State: state, Detail: detail})
	if state != Applied {
		p.Decisions = append(p.Decisions, Decision{Action: Lapse, Side: r.Choice, Field: r.Field, Rule: "ruling", Value: r.value(), Detail: detail})
	}
}

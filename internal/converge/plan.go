package converge

import (
	"slices"

	"github.com/df-middleware/dfm/internal/df"
)

// Action names what was decided about a field or a person.
type Action string

// The actions of Plan.
const (
	Move        Action = "move"         // one side changed; the other gets the value
	Fill        Action = "fill"         // first meeting; the empty side gets the value
	PutBack     Action = "put_back"     // the copying side changed; it gets the source's value again
	Choose      Action = "choose"       // both differ; the rule chose one
	Agree       Action = "agree"        // both hold the same, or spellings of the same
	CannotWrite Action = "cannot_write" // the other side does not take the field
	KeepPhone   Action = "keep_phone"   // a phone was cleared, or is no number; it does not move
	Obey        Action = "obey"         // a person asked for the value; it is written
	Lapse       Action = "lapse"        // a person asked for a value that is not written, for the reason given
)

// The further actions of a run.
const (
	Linked     Action = "link"       // a contact was joined to the person
	Stay       Action = "stay"       // a side has no contact, for the reason given
	Hold       Action = "hold"       // the breaker holds a field back
	Missing    Action = "missing"    // a contact is not there any more
	Superseded Action = "superseded" // a deletion was announced, but the contact is there
	Ending     Action = "end"        // the person ended
	Merging    Action = "merge"      // the person was merged into another
	Retire     Action = "retire"     // the Aloware contact was retired
	KeepAlive  Action = "keep"       // the Aloware contact was not retired
)

// Decision is one thing that was decided, with the rule that decided it. It is
// for operators and holds values.
type Decision struct {
	Action Action
	Side   df.Side  // the side that is written, or that the decision is about
	Field  df.Field // empty when it is about the person as a whole
	Rule   string
	Value  string // what is written or kept
	Writes bool   // whether the value was to be written to the side
	Before string // what the side showed, when it was to be written
	Detail string // safe text
}

// Conflict is a difference in which somebody's value lost.
type Conflict struct {
	Field df.Field
	Kind  string             // both_changed, first_meeting, put_back, ping_pong
	Base  map[df.Side]string // what each side held when they last agreed; missing: never agreed
	Seen  map[df.Side]string // what each side held now
	// Settled is what each side shows once the rule has been carried out. Plan
	// does not know it.
	Settled map[df.Side]string
	Chosen  df.Side // empty when nothing was chosen (ping_pong)
	Value   string  // the chosen value
	Rule    string
}

// Proposal is what Plan returns.
type Proposal struct {
	// Writes holds, per side, only what differs. Sides without writes are
	// missing.
	Writes    map[df.Side]df.Patch
	Conflicts []Conflict
	Decisions []Decision
	// Ruled holds the rulings that Writes carries out, and Ended those that need
	// no write, or get none.
	Ruled map[df.Field]Ruling
	Ended []RulingEnd
	// Next is what is agreed if nothing is written: everything that needs no
	// write is settled, everything in Writes is as it was.
	Next Agreed
}

// Quiet reports whether nothing is to be written.
func (p Proposal) Quiet() bool { return len(p.Writes) == 0 }

// Plan compares what the sides hold with what each held when they last agreed
// and says what to write. It needs both sides: with one alone nothing is
// planned and nothing forgotten, so that what changed meanwhile still moves
// when the other is back. What a person ruled about a field comes before the
// field's rule. Plan is a pure function: no clock, no I/O.
func Plan(agreed Agreed, seen map[df.Side]df.Contact, rules Rules, rulings ...Ruling) Proposal {
	p := Proposal{Writes: map[df.Side]df.Patch{}, Ruled: map[df.Field]Ruling{}, Next: agreed.Clone()}
	if len(seen) < len(order) {
		return p
	}
	ruled := p.rule(seen, rules, rulings)
	for _, field := range fieldsOf(agreed, seen) {
		if !ruled[field] {
			p.field(field, agreed, seen, rules)
		}
	}
	p.tags(agreed, seen, rules)
	return p
}

// fieldsOf lists the built-in fields and whatever custom fields appear.
func fieldsOf(agreed Agreed, seen map[df.Side]df.Contact) []df.Field {
	fields := df.Fields()
	var custom []df.Field
	for _, side := range order {
		for f := range seen[side].Fields {
			custom = append(custom, f)
		}
		for f := range agreed[side].Fields {
			custom = append(custom, f)
		}
	}
	slices.Sort(custom)
	for _, f := range slices.Compact(custom) {
		if _, ok := f.Custom(); ok {
			fields = append(fields, f)
		}
	}
	return fields
}

// view is one field as one side has it.
type view struct {
	side     df.Side
	shown    bool // the side shows the field at all
	seen     string
	based    bool // the side showed it when it was agreed
	base     string
	writable bool
}

// changed reports whether the side itself changed the field.
func (v view) changed(field df.Field) bool {
	return v.shown && v.based && !Same(field, v.seen, v.base)
}

// fieldCase is one field on both sides, with its rule.
type fieldCase struct {
	field df.Field
	rule  FieldRule
	views [2]view
}

// field decides one field and adds the decision to the proposal.
func (p *Proposal) field(field df.Field, agreed Agreed, seen map[df.Side]df.Contact, rules Rules) {
	c := fieldCase{field: field, rule: rules.For(field)}
	if c.rule == Never {
		return
	}
	for i, side := range order {
		if !rules.Can[side].holds(field) {
			return
		}
		v := view{side: side, writable: rules.Can[side].writable(field)}
		v.seen, v.shown = seen[side].Fields[field]
		v.base, v.based = agreed.base(side, seen[side].ID).Fields[field]
		c.views[i] = v
	}
	v := c.permit(c.decide())
	if v.conflict != "" {
		p.Conflicts = append(p.Conflicts, c.conflict(v))
	}
	if v.action != "" {
		d := Decision{Action: v.action, Side: v.to.side, Field: field, Rule: string(c.rule), Value: v.value, Writes: v.write}
		if v.write {
			d.Before = v.to.seen
		}
		p.Decisions = append(p.Decisions, d)
	}
	if !v.write {
		p.Next.settle(field, seen)
		return
	}
	patch := p.Writes[v.to.side]
	if patch.Set == nil {
		patch.Set = make(map[df.Field]string)
	}
	patch.Set[field] = v.value
	p.Writes[v.to.side] = patch
}

// verdict is what is decided about one field: write value to a side, or not.
type verdict struct {
	action   Action
	write    bool
	from, to view
	value    string
	conflict string // the kind of conflict, empty when nobody loses
}

// decide finds out what the field's state asks for, whatever the sides can take.
func (c fieldCase) decide() verdict {
	g, a := c.views[0], c.views[1]
	switch {
	case !g.shown && !a.shown:
		return verdict{}
	case !g.shown:
		return c.hidden(a, g)
	case !a.shown:
		return c.hidden(g, a)
	case !g.based || !a.based:
		return c.meet()
	case g.changed(c.field) && a.changed(c.field):
		return c.both()
	case g.changed(c.field):
		return c.one(g, a)
	case a.changed(c.field):
		return c.one(a, g)
	}
	return verdict{}
}

// hidden: the other side does not show the field. A change still goes there; a
// value that merely exists does not, for it might overwrite one we cannot see.
func (c fieldCase) hidden(from, to view) verdict {
	if !from.changed(c.field) || c.rule.mirrors(from.side) {
		return verdict{}
	}
	return c.move(Move, from, to)
}

// meet: the field was never agreed on.
func (c fieldCase) meet() verdict {
	g, a := c.views[0], c.views[1]
	emptyG, emptyA := Form(c.field, g.seen) == "", Form(c.field, a.seen) == ""
	_, alike := Rewrite(c.field, g.seen, a.seen)
	switch {
	case emptyG && emptyA:
		return verdict{}
	case emptyG:
		return c.move(Fill, a, g)
	case emptyA:
		return c.move(Fill, g, a)
	case alike:
		return verdict{action: Agree, to: a, value: a.seen}
	}
	return c.choose("first_meeting")
}

// one: exactly one side changed the field.
func (c fieldCase) one(from, to view) verdict {
	switch {
	case Same(c.field, from.seen, to.seen):
		return verdict{action: Agree, to: to, value: to.seen}
	case c.rule.mirrors(from.side):
		v := c.move(PutBack, to, from)
		v.conflict = "put_back"
		return v
	}
	return c.move(Move, from, to)
}

// both: both sides changed the field. Spellings of one value agree: after a
// crash between a write and its record this is what our own write, rewritten by
// the side, looks like.
func (c fieldCase) both() verdict {
	g, a := c.views[0], c.views[1]
	if _, alike := Rewrite(c.field, g.seen, a.seen); alike {
		return verdict{action: Agree, to: a, value: a.seen}
	}
	return c.choose("both_changed")
}

func (c fieldCase) choose(kind string) verdict {
	from, to := c.views[0], c.views[1]
	if c.rule.winner() != from.side {
		from, to = to, from
	}
	v := c.move(Choose, from, to)
	v.conflict = kind
	return v
}

func (c fieldCase) move(action Action, from, to view) verdict {
	return verdict{action: action, write: true, from: from, to: to, value: from.seen}
}

// permit turns down what must not or cannot be written. What is turned down is
// settled: the sides agree to differ until one of them changes the field again.
func (c fieldCase) permit(v verdict) verdict {
	if !v.write {
		return v
	}
	v.value = outbound(c.field, v.value)
	switch {
	case !v.to.writable:
		v.action, v.write = CannotWrite, false
	case c.field == df.PhoneNumber && !dialable(v.value):
		// The phone is how Aloware, texts and our own matching find the
		// person. Clearing it is never carried over.
		v.action, v.write = KeepPhone, false
	}
	if !v.write {
		v.conflict = ""
	}
	return v
}

// outbound is the value as it is written: as the other side holds it, except
// for notations that every upstream must be given in one way only.
func outbound(field df.Field, value string) string {
	form := Form(field, value)
	if form == "" || field == df.PhoneNumber || field == df.DateOfBirth || field == df.Country {
		return form
	}
	return value
}

func dialable(value string) bool {
	_, err := df.ParsePhone(value, "")
	return err == nil
}

func (c fieldCase) conflict(v verdict) Conflict {
	k := Conflict{Field: c.field, Kind: v.conflict, Chosen: v.from.side, Value: v.value, Rule: string(c.rule),
		Base: map[df.Side]string{}, Seen: map[df.Side]string{}}
	for _, view := range c.views {
		if view.based {
			k.Base[view.side] = view.base
		}
		if view.shown {
			k.Seen[view.side] = view.seen
		}
	}
	return k
}

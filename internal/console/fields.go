package console

import (
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// fieldsView lays side by side what both sides hold.
type fieldsView struct {
	Rows     []fieldRow
	Read     bool       // whether both sides were read just now
	AgreedAt *time.Time // when they last agreed
	Gone     []df.Side  // contacts that were not there
	Policy   string     // the rule of fields that have none of their own
}

// fieldRow is one field: what each side holds, now when it was read and else as
// last seen, what they agreed on, who owns it by which rule, and how it stands.
type fieldRow struct {
	Field        string
	GHL, Aloware held
	AgreedGHL    held
	AgreedOther  held // at Aloware, when that is another form than GHL's
	Owner, Rule  string
	State        string // agreed, rewritten, waiting, conflict, held_back, or the kind of an issue
	Detail       string
	Conflict     string // the id of the last one about the field
	Differs      bool
}

// held is what a side held of a field; a side may not show it at all.
type held struct {
	Value string
	Known bool
}

// fieldsOf makes the rows: the built-in fields in their order, custom ones by
// name, tags last.
func (s *Server) fieldsOf(p personDetail, conflicts []store.Conflict, now *converge.View) fieldsView {
	v := fieldsView{Read: now != nil, AgreedAt: p.LastSyncedAt}
	rules, decided := converge.Rules{}, map[df.Field]converge.Decision{}
	if s.Look != nil {
		rules = s.Look.InForce()
		v.Policy = string(rules.Policy)
	}
	seen := map[df.Side]agreedView{}
	for side, agreed := range p.Agreed {
		seen[side] = agreed
	}
	if now != nil {
		for side, contact := range now.Seen {
			seen[side] = agreedView{ContactID: contact.ID, Fields: contact.Fields, Tags: contact.Tags}
		}
		for side := range now.Gone {
			seen[side] = agreedView{}
			v.Gone = append(v.Gone, side)
		}
		slices.Sort(v.Gone)
		for _, d := range s.Look.Compare(now.Agreed, now.Seen).Decisions {
			if d.Action != converge.Agree {
				decided[d.Field] = d
			}
		}
	}
	last := map[df.Field]string{}
	for _, c := range slices.Backward(conflicts) { // the newest comes first, and stays
		last[c.Field] = c.ID
	}
	for _, field := range fieldNames(p.Agreed, seen) {
		row := fieldRow{Field: string(field), GHL: heldBy(seen[df.SideGHL], field), Aloware: heldBy(seen[df.SideAloware], field),
			AgreedGHL: heldBy(p.Agreed[df.SideGHL], field), AgreedOther: heldBy(p.Agreed[df.SideAloware], field), Conflict: last[field]}
		if !row.GHL.Known && !row.Aloware.Known {
			continue
		}
		row.Owner, row.Rule = ownerOf(field, rules), string(rules.For(field))
		row.Differs = row.GHL.Known && row.Aloware.Known && row.GHL != row.Aloware
		row.State, row.Detail = stateOf(field, row, p.Issues, decided)
		if row.AgreedOther == row.AgreedGHL {
			row.AgreedOther = held{}
		}
		v.Rows = append(v.Rows, row)
	}
	return v
}

// fieldNames lists the fields that either side holds or held.
func fieldNames(all ...map[df.Side]agreedView) []df.Field {
	var custom []df.Field
	for _, sides := range all {
		for _, side := range sides {
			for field := range side.Fields {
				if _, ok := field.Custom(); ok {
					custom = append(custom, field)
				}
			}
		}
	}
	slices.Sort(custom)
	return append(append(df.Fields(), slices.Compact(custom)...), converge.TagsField)
}

func heldBy(side agreedView, field df.Field) held {
	if field == converge.TagsField {
		return held{strings.Join(side.Tags, ", "), side.Tags != nil}
	}
	value, known := side.Fields[field]
	return held{value, known}
}

// ownerOf says in words whose value of a field counts.
func ownerOf(field df.Field, rules converge.Rules) string {
	for _, side := range []df.Side{df.SideGHL, df.SideAloware} {
		can := rules.Can[side]
		switch {
		case field == converge.TagsField || can.Holds == nil:
		case !can.Holds(field):
			return "nobody else: " + system(side) + " has no such field"
		case can.Writable != nil && !can.Writable(field):
			return system(side) + ", which takes no change of it"
		}
	}
	return map[converge.FieldRule]string{
		converge.PreferGHL:     "who changed it; GoHighLevel where both did",
		converge.PreferAloware: "who changed it; Aloware where both did",
		converge.MirrorGHL:     "GoHighLevel; Aloware is a copy",
		converge.MirrorAloware: "Aloware; GoHighLevel is a copy",
		converge.Never:         "each side its own: it is left alone",
	}[rules.For(field)]
}

// stateOf says how a field stands, and by what.
func stateOf(field df.Field, row fieldRow, issues []issueView, decided map[df.Field]converge.Decision) (state, detail string) {
	for _, issue := range issues {
		switch {
		case issue.Field != field:
		case issue.Kind == string(converge.IssuePingPong):
			return "held_back", "written too often in a short time at " + system(issue.Side) + "; the breaker holds it"
		default:
			return issue.Kind, issue.Detail
		}
	}
	if d, ok := decided[field]; ok {
		what := word(d.Action) + " to " + system(d.Side) + ", rule " + d.Rule
		switch d.Action {
		case converge.Choose:
			return "conflict", what
		case converge.CannotWrite, converge.KeepPhone:
			return "stays", word(d.Action) + ", rule " + d.Rule
		}
		return "waiting", what
	}
	switch {
	case !row.GHL.Known || !row.Aloware.Known:
		return "one_side", ""
	case row.GHL == row.Aloware:
		return "agreed", ""
	case converge.Same(field, row.GHL.Value, row.Aloware.Value):
		return "agreed", "the same in another spelling"
	}
	return "rewritten", "each side keeps its own form of what was agreed"
}

package converge

import (
	"maps"
	"slices"

	"github.com/df-middleware/dfm/internal/df"
)

// tagView is one tag as one side has it.
type tagView struct {
	side  df.Side
	shown bool // the side shows tags at all
	has   bool
	based bool // the side's tags were agreed on before
	had   bool
}

func (v tagView) changed() bool { return v.shown && v.based && v.has != v.had }

// tags merges the sets of tags, one tag at a time: a tag that one side put on
// or took off since they last agreed is put on or taken off the other. When the
// sides first meet, both get all tags.
func (p *Proposal) tags(agreed Agreed, seen map[df.Side]df.Contact, rules Rules) {
	rule := rules.For(TagsField)
	if rule == Never {
		return
	}
	sets := make(map[df.Side][2]map[string]string) // per side: base and seen, key → spelling
	spelling := make(map[string]string)
	for _, side := range order {
		base, now := tagSet(agreed.base(side, seen[side].ID).Tags), tagSet(seen[side].Tags)
		sets[side] = [2]map[string]string{base, now}
		for _, set := range []map[string]string{base, now} {
			for key, name := range set {
				if _, ok := spelling[key]; !ok {
					spelling[key] = name
				}
			}
		}
	}
	quiet, still := true, []string{}
	for _, key := range slices.Sorted(maps.Keys(spelling)) {
		var views [2]tagView
		for i, side := range order {
			v := tagView{side: side, shown: seen[side].Tags != nil, based: sets[side][0] != nil}
			_, v.had = sets[side][0][key]
			_, v.has = sets[side][1][key]
			views[i] = v
		}
		to, want, act := decideTag(views, rule)
		if !act || !want && !rules.Can[to].RemoveTags {
			still = append(still, key)
			continue
		}
		quiet = false
		name := spelling[key]
		if held, ok := sets[to.Other()][1][key]; ok {
			name = held
		}
		p.tag(to, name, want, rule)
	}
	if tagsMeet(agreed, seen) && !quiet {
		return // the sets are agreed on as a whole, once both sides have all tags
	}
	p.Next.knowTags(seen)
	for _, key := range still {
		p.Next.settleTag(key, seen)
	}
}

// tagsMeet reports whether both sides show tags and at least one side's were
// never agreed on. Such a set must not be known in part: a tag that is still to
// be written to one side would look as if the other had just put it on.
func tagsMeet(agreed Agreed, seen map[df.Side]df.Contact) bool {
	meet := false
	for _, side := range order {
		if seen[side].Tags == nil {
			return false
		}
		meet = meet || agreed.base(side, seen[side].ID).Tags == nil
	}
	return meet
}

// tagSet maps keys to spellings; nil stays nil, for tags that are not known.
func tagSet(tags []string) map[string]string {
	if tags == nil {
		return nil
	}
	set := make(map[string]string, len(tags))
	for _, name := range df.Tags(tags...) {
		set[df.TagKey(name)] = name
	}
	return set
}

// decideTag says which side's set must change for one tag, and whether the tag
// is to be there.
func decideTag(views [2]tagView, rule FieldRule) (to df.Side, want, act bool) {
	g, a := views[0], views[1]
	switch {
	case !g.shown && !a.shown:
		return "", false, false
	case !g.shown || !a.shown:
		if !g.shown {
			g, a = a, g
		}
		return a.side, g.has, g.changed() && !rule.mirrors(g.side)
	case g.has == a.has:
		return "", false, false
	case !g.based || !a.based:
		if g.has {
			return a.side, true, true
		}
		return g.side, true, true
	case g.changed() && a.changed(): // only possible when they agreed to differ
		winner := rule.winner()
		return winner.Other(), winner == g.side && g.has || winner == a.side && a.has, true
	case g.changed():
		return movedTag(g, a, rule)
	case a.changed():
		return movedTag(a, g, rule)
	}
	return "", false, false
}

// movedTag carries one side's change to the other, or puts it back.
func movedTag(from, to tagView, rule FieldRule) (df.Side, bool, bool) {
	if rule.mirrors(from.side) {
		return from.side, to.has, true
	}
	return to.side, from.has, true
}

func (p *Proposal) tag(to df.Side, name string, want bool, rule FieldRule) {
	patch := p.Writes[to]
	detail := "add"
	if want {
		patch.AddTags = append(patch.AddTags, name)
	} else {
		patch.RemoveTags = append(patch.RemoveTags, name)
		detail = "remove"
	}
	p.Writes[to] = patch
	p.Decisions = append(p.Decisions, Decision{Action: Move, Side: to, Field: TagsField,
		Rule: string(rule), Value: name, Detail: detail, Writes: true})
}

package lists

import "slices"

// Held is one list that an Aloware contact is on, as far as we know.
type Held struct {
	AgentKey string `json:"agentKey"`
	ListKey  string `json:"listKey"`
	ListID   string `json:"listId"`
	// Unsure says that a call was begun and its end is not known: the contact
	// may be on the list or not.
	Unsure bool `json:"unsure,omitempty"`
}

// Holding is all lists of one Aloware contact, as far as we know. Aloware shows
// them to nobody, so it is the sum of the writes that Aloware confirmed.
type Holding struct {
	Lists []Held
	// Redo asks for all of it to be written anew, whatever is believed.
	Redo bool
}

// Change is the calls that bring a holding to what is wanted: clear takes the
// contact off all lists, and then Add puts it on some.
type Change struct {
	Clear bool
	Add   []Membership
	// Dropped are the lists that the contact is to leave.
	Dropped []Held
}

// Empty reports whether nothing is to be done.
func (c Change) Empty() bool { return !c.Clear && len(c.Add) == 0 }

// Diff says what is to be done. One list cannot be left alone: whoever must leave
// one leaves all and is added to the rest again.
func Diff(h Holding, wanted []Membership) Change {
	var c Change
	want := make(map[string]bool, len(wanted))
	for _, m := range wanted {
		want[m.ListID] = true
	}
	have := make(map[string]bool, len(h.Lists))
	for _, held := range h.Lists {
		if !want[held.ListID] {
			c.Dropped = append(c.Dropped, held)
		}
		if !held.Unsure {
			have[held.ListID] = true
		}
	}
	c.Clear = len(c.Dropped) > 0 || h.Redo
	for _, m := range wanted {
		if c.Clear || !have[m.ListID] {
			c.Add = append(c.Add, m)
		}
	}
	return c
}

// during is what is known while a change is under way: everything that it touches
// may be so or otherwise.
func during(h Holding, c Change) Holding {
	lists := slices.Clone(h.Lists)
	if c.Clear {
		for i := range lists {
			lists[i].Unsure = true
		}
	}
	for _, m := range c.Add {
		i := slices.IndexFunc(lists, func(held Held) bool { return held.ListID == m.ListID })
		if i < 0 {
			lists = append(lists, Held{m.AgentKey, m.ListKey, m.ListID, true})
			continue
		}
		lists[i] = Held{m.AgentKey, m.ListKey, m.ListID, true}
	}
	return Holding{Lists: lists, Redo: h.Redo}
}

// cleared is what is known after the contact was taken off all lists.
func cleared() Holding { return Holding{} }

// with is what is known after the contact was added to lists.
func (h Holding) with(added []Membership) Holding {
	lists := slices.Clone(h.Lists)
	for _, m := range added {
		held := Held{AgentKey: m.AgentKey, ListKey: m.ListKey, ListID: m.ListID}
		if i := slices.IndexFunc(lists, func(k Held) bool { return k.ListID == m.ListID }); i >= 0 {
			lists[i] = held
		} else {
			lists = append(lists, held)
		}
	}
	return Holding{Lists: lists}
}

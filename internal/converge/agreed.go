package converge

import (
	"maps"
	"slices"

	"github.com/df-middleware/dfm/internal/df"
)

// Snapshot is what one side held when the sides last agreed. A field that is
// missing was never agreed on; nil Tags likewise.
type Snapshot struct {
	ContactID string              `json:"contactId"` // whose snapshot it is; another contact starts anew
	Fields    map[df.Field]string `json:"fields"`
	Tags      []string            `json:"tags"`
}

// Agreed holds what each side held when they last agreed. The values of one
// field may differ between the sides: a side may rewrite what it is given, or
// may be unable to take it.
type Agreed map[df.Side]Snapshot

// Clone returns a copy that shares nothing with a.
func (a Agreed) Clone() Agreed {
	copied := make(Agreed, len(a))
	for side, snapshot := range a {
		snapshot.Fields = maps.Clone(snapshot.Fields)
		snapshot.Tags = slices.Clone(snapshot.Tags)
		copied[side] = snapshot
	}
	return copied
}

// base returns the side's snapshot if it is of this very contact.
func (a Agreed) base(side df.Side, contactID string) Snapshot {
	if s := a[side]; s.ContactID == contactID {
		return s
	}
	return Snapshot{ContactID: contactID}
}

// settle notes that the field, as the contacts show it, is agreed. A side that
// does not show the field keeps what it had.
func (a Agreed) settle(field df.Field, seen map[df.Side]df.Contact) {
	for side, contact := range seen {
		value, shown := contact.Fields[field]
		if !shown {
			continue
		}
		snapshot := a.base(side, contact.ID)
		if snapshot.Fields == nil {
			snapshot.Fields = make(map[df.Field]string)
		}
		snapshot.Fields[field] = value
		a[side] = snapshot
	}
}

// settleTag notes that one tag, present or absent as shown, is agreed. The
// side's tags become known as a set with it.
func (a Agreed) settleTag(key string, seen map[df.Side]df.Contact) {
	for side, contact := range seen {
		if contact.Tags == nil {
			continue
		}
		snapshot := a.base(side, contact.ID)
		kept := []string{}
		for _, tag := range snapshot.Tags {
			if df.TagKey(tag) != key {
				kept = append(kept, tag)
			}
		}
		for _, tag := range contact.Tags {
			if df.TagKey(tag) == key {
				kept = append(kept, tag)
			}
		}
		snapshot.Tags = df.Tags(kept...)
		a[side] = snapshot
	}
}

// knowTags makes the tags of every side that shows them known as a set, so that
// an empty set is told apart from one that was never agreed.
func (a Agreed) knowTags(seen map[df.Side]df.Contact) {
	for side, contact := range seen {
		if contact.Tags == nil {
			continue
		}
		snapshot := a.base(side, contact.ID)
		if snapshot.Tags == nil {
			snapshot.Tags = []string{}
		}
		a[side] = snapshot
	}
}

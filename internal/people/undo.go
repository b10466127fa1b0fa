package people

import (
	"slices"
	"time"
)

// sameIdentity reports whether two versions of a row say the same about who the
// person is. When it was last synced does not matter.
func sameIdentity(a, b Person) bool {
	return a.GHLContactID == b.GHLContactID && a.AlowareContactID == b.AlowareContactID &&
		a.Phone == b.Phone && slices.Equal(a.OtherPhones, b.OtherPhones) &&
		a.Status == b.Status && a.MergedInto == b.MergedInto
}

// restored returns the row as it was before the recorded change. A person that
// did not exist before (the new half of a split) ends as merged back.
func restored(undo Undo, current Person, at time.Time, by string) Person {
	for _, before := range undo.Before {
		if before.ID == current.ID {
			p := before.Clone()
			p.Version, p.LastSyncedAt, p.UpdatedAt = current.Version, current.LastSyncedAt, at
			return p
		}
	}
	p := End(current, at, "split undone by "+by)
	p.MergedInto, p.UpdatedAt = undo.Before[0].ID, at
	return p
}

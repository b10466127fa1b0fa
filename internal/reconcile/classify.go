package reconcile

import (
	"time"

	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// The kinds of drift.
const (
	KindContact = "contact" // a contact that one side lacks
	KindField   = "field"
	KindTags    = "tags"
)

// Classify turns what Plan would write into drift, one row for each field. The
// row names the side whose news has not come through. Values stay out of it.
func Classify(agreed converge.Agreed, seen map[df.Side]df.Contact, p converge.Proposal, since time.Time) []store.Drift {
	changed := map[df.Side]map[df.Field]bool{}
	for side, contact := range seen {
		changed[side] = map[df.Field]bool{}
		for _, field := range converge.Changed(agreed, side, contact) {
			changed[side][field] = true
		}
	}
	var found []store.Drift
	for _, to := range []df.Side{df.SideAloware, df.SideGHL} {
		patch, ok := p.Writes[to]
		if !ok {
			continue
		}
		for _, name := range patch.FieldNames() {
			field, kind, from := df.Field(name), KindField, to.Other()
			if field == converge.TagsField {
				kind = KindTags
			}
			if changed[to][field] && !changed[from][field] {
				from = to // it is to be put back there
			}
			found = append(found, store.Drift{Side: from, Field: field, Kind: kind, Since: since})
		}
	}
	return found
}

// kindOf is the webhook that should have told of the change.
func kindOf(changed []df.Field) df.Kind {
	if len(changed) == 1 && changed[0] == converge.TagsField {
		return df.KindContactTags
	}
	return df.KindContactUpdated
}

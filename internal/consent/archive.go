package consent

import (
	"context"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Archived is the Source of acts that were found in the tables of another system
// that kept them, such as the original middleware, and not heard by us.
const Archived = "legacy import"

// The reviews that an archive asks for.
const (
	// ReviewArchivedStart is a START that nobody obeyed at its time. It opts
	// nobody in: a person looks whether it should.
	ReviewArchivedStart = "legacy_start"
	// ReviewUnproven is an opt-out that stands, though no words that ask for it
	// were found.
	ReviewUnproven = "legacy_unproven"
	// ReviewOverwritten is a number that is in at the archive, whose row can
	// only have been made by an opt-out.
	ReviewOverwritten = "legacy_overwritten"
)

// HearArchived keeps what an archive's deliveries say in words about consent,
// dated by the archive: Notice.OccurredAt is when it was said, HeardAt when we
// found it. It differs from Hear in what an archive may not do: nothing in it
// opts anybody in, and flags of contacts are not read, since they are as old as
// the archive and the sides show the present ones. The results are in the order
// of the acts, which are fewer than what was heard.
func (r *Recorder) HearArchived(ctx context.Context, tx store.Tx, heard []Heard) ([]Recorded, error) {
	var acts []Act
	for _, h := range heard {
		said, err := r.said(ctx, tx, h)
		if err != nil {
			return nil, err
		}
		for _, act := range said {
			acts = append(acts, act.archived())
		}
	}
	return r.RecordAll(ctx, tx, acts)
}

// archived returns the act as one of an archive. The key of a message is the one
// that the same message has when it is heard by a webhook of ours.
func (a Act) archived() Act {
	a.Source = Archived
	if a.Key == "" {
		a.Key = "legacy:" + a.EventID + ":" + string(a.Kind)
	}
	if a.Kind == Start {
		a.Kind, a.Certain, a.Review = Note, false, ReviewArchivedStart
	}
	return a
}

// OptOutOf returns the act that an archive's row of optout_registry stands for: a
// no of whoever its source is, at the row's own time, for texts as the policy
// extends them, or for everything when no text was its cause.
func OptOutOf(row store.Consent, phone df.Phone) Act {
	act := Act{
		Kind: Stop, Phone: phone, Holder: legacyHolder(row.Source), Actor: row.Source, At: row.LastEventAt, Source: Archived,
		Words: row.Reason, Rule: "legacy_registry", Certain: true,
		Key: "legacy:optout:" + string(phone) + ":" + row.LastEventAt.UTC().Format(chainTime),
	}
	if act.Holder == Text {
		act.Actor = "customer"
	} else {
		act.Scopes = Scopes()
	}
	return act
}

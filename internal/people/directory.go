package people

import (
	"context"
	"errors"
	"fmt"

	"github.com/df-middleware/dfm/internal/df"
)

// ErrHeld is returned by Link when the contact belongs to another person who
// cannot be the same one. A ContactHeld review has been recorded.
var ErrHeld = errors.New("the contact belongs to another person")

// Link joins a contact to a person that has none at the side. When a different
// active person has it, and that person has nothing but this side, agrees in
// phone and was never split off, the two are one and that person is merged into
// ours: such halves appear when a side announces a contact that we are just
// creating. Anything else is ErrHeld. Linking again is no change.
func (d *Directory) Link(ctx context.Context, lease Lease, personID string, side df.Side, contact df.Contact) (Match, error) {
	return d.bind(ctx, lease, contact.Phone(), func(tx RegistryTx) (Match, error) {
		return d.link(ctx, tx, personID, side, contact, false)
	})
}

// Move joins a contact to a person in place of the one that the person has at
// the side: where people are known by their number, a new number is a new
// contact. A half that the side's announcement of it has made meanwhile is
// merged into ours, and whatever else holds the contact is ErrHeld, as for Link.
// The contact that is left keeps pointing to the person, so that a late event
// about it makes nobody new.
func (d *Directory) Move(ctx context.Context, lease Lease, personID string, side df.Side, contact df.Contact) (Match, error) {
	return d.bind(ctx, lease, contact.Phone(), func(tx RegistryTx) (Match, error) {
		return d.move(ctx, tx, personID, side, contact)
	})
}

func (d *Directory) move(ctx context.Context, tx RegistryTx, personID string, side df.Side, contact df.Contact) (Match, error) {
	before, err := tx.Get(ctx, personID)
	if err != nil {
		return Match{}, err
	}
	match, err := d.link(ctx, tx, personID, side, contact, true)
	left := before.ContactID(side)
	if err != nil || left == "" || left == contact.ID {
		return match, err
	}
	now := d.Clock()
	trace := Person{ID: d.NewID(), Status: Active, CreatedAt: now, UpdatedAt: now}.WithContact(side, left)
	trace = End(trace, now, "moved to another contact")
	trace.MergedInto = personID
	return match, tx.Insert(ctx, trace)
}

// bind runs what joins a contact to a person and keeps the question that a
// refusal leaves.
func (d *Directory) bind(ctx context.Context, lease Lease, phone df.Phone, fn func(RegistryTx) (Match, error)) (Match, error) {
	var match Match
	err := d.decide(ctx, lease, phone, func(tx RegistryTx) (err error) {
		match, err = fn(tx)
		return err
	})
	if errors.Is(err, ErrHeld) && match.Review != nil {
		if kept := d.keepReview(ctx, lease, *match.Review); kept != nil {
			return Match{}, kept
		}
	}
	if err != nil {
		return match, fmt.Errorf("link contact: %w", err)
	}
	return match, nil
}

func (d *Directory) link(ctx context.Context, tx RegistryTx, personID string, side df.Side, contact df.Contact, replace bool) (Match, error) {
	p, err := tx.Get(ctx, personID)
	if err != nil {
		return Match{}, err
	}
	if p.Status == Ended {
		return Match{}, ErrEnded
	}
	holder, held, err := tx.ByContact(ctx, side, contact.ID)
	if err != nil {
		return Match{}, err
	}
	switch {
	case p.ContactID(side) == contact.ID:
		return Match{Person: p, Rule: ByContactID}, nil
	case p.ContactID(side) != "" && !replace:
		return d.held(p, p, side, contact)
	case !held || holder.Status == Ended:
		return d.attach(ctx, tx, p, side, contact)
	case half(holder, side) && phoneAgrees(holder, contact.Phone()) && !p.Apart(holder):
		return d.absorb(ctx, tx, p.WithContact(side, ""), holder)
	}
	return d.held(p, holder, side, contact)
}

// half reports whether the person is known at this side only.
func half(p Person, side df.Side) bool { return p.ContactID(side.Other()) == "" }

func (d *Directory) attach(ctx context.Context, tx RegistryTx, p Person, side df.Side, contact df.Contact) (Match, error) {
	p = p.WithContact(side, contact.ID)
	p.UpdatedAt = d.Clock()
	if err := tx.Update(ctx, p); err != nil {
		return Match{}, err
	}
	p.Version++
	return Match{Person: p, Rule: ByPhone}, nil
}

func (d *Directory) absorb(ctx context.Context, tx RegistryTx, p, holder Person) (Match, error) {
	winner, _, err := d.merge(ctx, tx, p, holder, "converge", "two halves of one person")
	return Match{Person: winner, Rule: AsAbsorbed}, err
}

func (d *Directory) held(p, holder Person, side df.Side, contact df.Contact) (Match, error) {
	clue := Clue{Side: side, ContactID: contact.ID, Phone: contact.Phone()}
	review := d.review(ContactHeld, clue, []Person{holder})
	review.PersonID = p.ID
	review.Key += "/" + p.ID
	return Match{Review: review}, ErrHeld
}

// Merge makes one person of two for the reason given and records how to undo
// it. by names the operator, or "converge". It returns both rows as they now
// are.
func (d *Directory) Merge(ctx context.Context, lease Lease, winnerID, loserID, by, reason string) (winner, loser Person, err error) {
	err = d.decide(ctx, lease, "", func(tx RegistryTx) error {
		if winner, err = tx.Get(ctx, winnerID); err != nil {
			return err
		}
		if loser, err = tx.Get(ctx, loserID); err != nil {
			return err
		}
		winner, loser, err = d.merge(ctx, tx, winner, loser, by, reason)
		return err
	})
	if err != nil {
		return Person{}, Person{}, fmt.Errorf("merge people: %w", err)
	}
	return winner, loser, nil
}

func (d *Directory) merge(ctx context.Context, tx RegistryTx, winner, loser Person, by, reason string) (Person, Person, error) {
	before := []Person{winner.Clone(), loser.Clone()}
	now := d.Clock()
	winner, loser, err := Merge(winner, loser, now, reason)
	if err != nil {
		return Person{}, Person{}, err
	}
	// The loser first: its ids must be free before the winner takes them.
	if err := tx.Update(ctx, loser); err != nil {
		return Person{}, Person{}, err
	}
	if err := tx.Update(ctx, winner); err != nil {
		return Person{}, Person{}, err
	}
	winner.Version++
	loser.Version++
	undo := Undo{ID: d.NewID(), Kind: "merge", Reason: reason, By: by, At: now,
		Before: before, After: []Person{winner, loser}}
	return winner, loser, tx.Record(ctx, undo)
}

// Split takes a part out of a person, makes a new person of it and records how
// to undo that. It returns the person that stays and the new one.
func (d *Directory) Split(ctx context.Context, lease Lease, personID string, part Part, by, reason string) (kept, cut Person, err error) {
	err = d.decide(ctx, lease, "", func(tx RegistryTx) error {
		before, err := tx.Get(ctx, personID)
		if err != nil {
			return err
		}
		now := d.Clock()
		if kept, cut, err = Split(before, part, d.NewID(), now); err != nil {
			return err
		}
		if err := tx.Update(ctx, kept); err != nil {
			return err
		}
		kept.Version++
		cut.Version = 1
		if err := tx.Insert(ctx, cut); err != nil {
			return err
		}
		return tx.Record(ctx, Undo{ID: d.NewID(), Kind: "split", Reason: reason, By: by, At: now,
			Before: []Person{before}, After: []Person{kept, cut}})
	})
	if err != nil {
		return Person{}, Person{}, fmt.Errorf("split person: %w", err)
	}
	return kept, cut, nil
}

// Revert undoes a merge or split: both people are again as they were before. It
// fails with ErrChangedSince when either has other contacts or phones by now
// than the change left it with, since restoring would lose what came later.
func (d *Directory) Revert(ctx context.Context, lease Lease, undoID, by string) error {
	err := d.decide(ctx, lease, "", func(tx RegistryTx) error {
		undo, err := tx.Undo(ctx, undoID)
		if err != nil {
			return err
		}
		current, err := unchanged(ctx, tx, undo)
		if err != nil {
			return err
		}
		now := d.Clock()
		for i := range current {
			// Ids are released before they are given back: the last row of
			// a split is the new person; the first of a merge is the winner.
			at := len(current) - 1 - i
			if undo.Kind == "merge" {
				at = i
			}
			if err := tx.Update(ctx, restored(undo, current[at], now, by)); err != nil {
				return err
			}
		}
		return tx.Undone(ctx, undoID, now)
	})
	if err != nil {
		return fmt.Errorf("undo: %w", err)
	}
	return nil
}

// unchanged loads the people of the record and checks that they are still as
// the recorded change left them.
func unchanged(ctx context.Context, tx RegistryTx, undo Undo) ([]Person, error) {
	current := make([]Person, 0, len(undo.After))
	for _, after := range undo.After {
		p, err := tx.Get(ctx, after.ID)
		if err != nil {
			return nil, err
		}
		if !sameIdentity(p, after) {
			return nil, ErrChangedSince
		}
		current = append(current, p)
	}
	return current, nil
}

package converge

import (
	"context"

	"github.com/df-middleware/dfm/internal/df"
)

// Side is a system that holds contacts. The rooms of the upstreams satisfy it.
// Every error is, or wraps, a *df.CallError; only CodeNotFound means that a
// contact is not there.
type Side interface {
	// Name says which side it is.
	Name() df.Side
	// Read returns the contact as it is now. A contact with another id than
	// the one asked for counts as not found.
	Read(ctx context.Context, ref df.Ref) (df.Contact, error)
	// Find returns the contacts that have the phone or the e-mail; either may
	// be empty. No match is an empty answer, not an error.
	Find(ctx context.Context, phone df.Phone, email string) ([]df.Contact, error)
	// Create makes a contact and returns it as the side now shows it, with its
	// id. CodeDuplicate names the contact that is already there.
	Create(ctx context.Context, contact df.Contact) (df.Contact, error)
	// Write applies the patch to a contact that was just seen.
	Write(ctx context.Context, ref df.Ref, seen df.Contact, patch df.Patch) error
	// Writable reports whether the field can be written to an existing contact.
	Writable(field df.Field) bool
	// Holds reports whether the side has the field at all, if only on creation.
	Holds(field df.Field) bool
	// CanRemoveTags reports whether tags can be taken off a contact.
	CanRemoveTags() bool
}

// Retirer is a Side that can retire a contact whose person is gone: off all
// lists and sequences and marked do-not-call, never deleted. Retiring twice is
// the same as once.
type Retirer interface {
	Retire(ctx context.Context, ref df.Ref) error
}

// order is the order in which sides are worked, so that runs are repeatable.
var order = [...]df.Side{df.SideGHL, df.SideAloware}

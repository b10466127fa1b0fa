package people

import (
	"context"
	"errors"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Lease is the right to work on one lane. Fence grows each time the lane
// changes hands, so a worker that was presumed dead is told apart from its
// successor. The zero Lease guards nothing; only tools that run while nothing
// else does use it.
type Lease struct {
	Lane  string
	Fence int64
}

// Errors that a Registry returns.
var (
	// ErrTaken: another active person has this contact id (unique per side
	// among active rows). Load again and decide anew.
	ErrTaken = errors.New("another active person has this contact")
	// ErrStale: the row has another version than the one that was read.
	ErrStale = errors.New("the person was changed meanwhile")
	// ErrNotFound: there is no such person or undo record.
	ErrNotFound = errors.New("no such person")
	// ErrLeaseLost: another worker holds the lane now. Nothing was written.
	ErrLeaseLost = errors.New("the lane's lease was lost")
)

// Registry is where people are kept.
type Registry interface {
	// Known returns the person that has the contact, as RegistryTx.ByContact
	// does, outside any transaction.
	Known(ctx context.Context, side df.Side, contactID string) (Person, bool, error)
	// WithPhoneLock runs fn in one transaction that commits when fn returns nil
	// and holds a lock on the phone, shared by all instances, until it ends. An
	// empty phone locks nothing. The error of fn is returned as it is.
	WithPhoneLock(ctx context.Context, phone df.Phone, fn func(tx RegistryTx) error) error
}

// RegistryTx is a Registry inside one transaction.
type RegistryTx interface {
	// Guard fails with ErrLeaseLost unless the lease is still held, and keeps
	// the lane from changing hands until the transaction ends. The zero Lease
	// passes.
	Guard(ctx context.Context, lease Lease) error
	// Get returns a person of any status by its own id, or ErrNotFound.
	Get(ctx context.Context, id string) (Person, error)
	// ByContact returns the active person that has the contact, else the one
	// that ended last with it, else false.
	ByContact(ctx context.Context, side df.Side, contactID string) (Person, bool, error)
	// ByPhone returns the active people whose Phone or OtherPhones hold the
	// phone, ordered by id.
	ByPhone(ctx context.Context, phone df.Phone) ([]Person, error)
	// ByEmail returns the active people with exactly this e-mail, ordered by id.
	ByEmail(ctx context.Context, email string) ([]Person, error)
	// Insert adds a row (version 1). It fails with ErrTaken.
	Insert(ctx context.Context, p Person) error
	// Update replaces the row whose version is p.Version and raises the
	// version. It fails with ErrTaken or ErrStale.
	Update(ctx context.Context, p Person) error
	// Review keeps a question for an operator, once per Key.
	Review(ctx context.Context, r Review) error
	// Record keeps what a merge or split changed, so that it can be undone.
	Record(ctx context.Context, u Undo) error
	// Undo returns a record that has not been undone, or ErrNotFound.
	Undo(ctx context.Context, id string) (Undo, error)
	// Undone marks a record as undone.
	Undone(ctx context.Context, id string, at time.Time) error
}

// ReviewKind names a question about who is who.
type ReviewKind string

// The questions that Identify, Link and an import leave to an operator.
const (
	SharedPhone    ReviewKind = "shared_phone"    // the one person with this phone has another contact at this side
	AmbiguousPhone ReviewKind = "ambiguous_phone" // several active people have this phone
	AmbiguousEmail ReviewKind = "ambiguous_email" // several active people have this e-mail
	ContactHeld    ReviewKind = "contact_held"    // the contact that matches belongs to another person
	LegacyConflict ReviewKind = "legacy_conflict" // the original's rows disagree about whose contact it is
)

// Review is a question for an operator: might these be one person?
type Review struct {
	Key        string // the same question has the same key
	Kind       ReviewKind
	PersonID   string // whom it came up for
	Side       df.Side
	ContactID  string
	Phone      df.Phone
	Email      string
	Candidates []string // people it might be
	At         time.Time
}

// Undo is what a merge or split changed: the two rows before and after.
type Undo struct {
	ID     string // UUID
	Kind   string // "merge" or "split"
	Reason string // safe text
	By     string // the operator, or "converge"
	At     time.Time
	Before []Person // the rows that existed, unchanged
	After  []Person // the rows as they were left
}

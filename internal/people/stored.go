package people

import (
	"context"
	"errors"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Stored is the Registry of production: people in the store's tables.
type Stored struct {
	Store *store.Store
	// Linked, when set, is called in the transaction that makes a person or
	// changes one's contacts or numbers.
	Linked func(ctx context.Context, tx store.Tx, p Person) error
}

var _ Registry = Stored{}

// Known implements Registry.
func (s Stored) Known(ctx context.Context, side df.Side, contactID string) (Person, bool, error) {
	return byContact(ctx, s.Store, side, contactID)
}

// WithPhoneLock implements Registry.
func (s Stored) WithPhoneLock(ctx context.Context, phone df.Phone, fn func(tx RegistryTx) error) error {
	return s.Store.InTx(ctx, func(tx store.Tx) error {
		if phone != "" {
			if err := store.LockPhone(ctx, tx, phone); err != nil {
				return err
			}
		}
		return fn(storedTx{tx, s.Linked})
	})
}

// Within is the Registry inside one transaction of the caller's: what is decided
// through it takes effect with the rest of that transaction or not at all. The
// phones that it locks stay locked until then, so whoever decides several things
// takes them in the order of their phones.
type Within struct {
	Tx store.Tx
	// Linked is as in Stored.
	Linked func(ctx context.Context, tx store.Tx, p Person) error
}

var _ Registry = Within{}

// Known implements Registry.
func (w Within) Known(ctx context.Context, side df.Side, contactID string) (Person, bool, error) {
	return byContact(ctx, w.Tx, side, contactID)
}

// WithPhoneLock implements Registry.
func (w Within) WithPhoneLock(ctx context.Context, phone df.Phone, fn func(tx RegistryTx) error) error {
	if phone != "" {
		if err := store.LockPhone(ctx, w.Tx, phone); err != nil {
			return err
		}
	}
	return fn(storedTx{w.Tx, w.Linked})
}

type storedTx struct {
	tx     store.Tx
	linked func(ctx context.Context, tx store.Tx, p Person) error
}

func (t storedTx) tell(ctx context.Context, p Person) error {
	if t.linked == nil || p.GHLContactID == "" && p.AlowareContactID == "" {
		return nil
	}
	return t.linked(ctx, t.tx, p)
}

func (t storedTx) Guard(ctx context.Context, lease Lease) error {
	if lease == (Lease{}) {
		return nil
	}
	return FromStore(store.Guard(ctx, t.tx, store.Lease(lease)))
}

func (t storedTx) Get(ctx context.Context, id string) (Person, error) {
	row, err := store.PersonByID(ctx, t.tx, id)
	return FromRow(row), FromStore(err)
}

func (t storedTx) ByContact(ctx context.Context, side df.Side, contactID string) (Person, bool, error) {
	return byContact(ctx, t.tx, side, contactID)
}

func byContact(ctx context.Context, q store.Querier, side df.Side, contactID string) (Person, bool, error) {
	row, err := store.PersonByContact(ctx, q, side, contactID)
	if errors.Is(err, store.ErrNotFound) {
		return Person{}, false, nil
	}
	return FromRow(row), err == nil, err
}

func (t storedTx) ByPhone(ctx context.Context, phone df.Phone) ([]Person, error) {
	rows, err := store.PeopleByPhone(ctx, t.tx, phone)
	return fromRows(rows), err
}

func (t storedTx) ByEmail(ctx context.Context, email string) ([]Person, error) {
	rows, err := store.PeopleByEmail(ctx, t.tx, email)
	return fromRows(rows), err
}

func (t storedTx) Insert(ctx context.Context, p Person) error {
	if err := store.InsertPerson(ctx, t.tx, ToRow(p)); err != nil {
		return FromStore(err)
	}
	return t.tell(ctx, p)
}

func (t storedTx) Update(ctx context.Context, p Person) error {
	if err := store.UpdatePerson(ctx, t.tx, ToRow(p)); err != nil {
		return FromStore(err)
	}
	return t.tell(ctx, p)
}

func (t storedTx) Review(ctx context.Context, r Review) error {
	return store.InsertReview(ctx, t.tx, store.Review{
		Key: r.Key, Kind: string(r.Kind), PersonID: r.PersonID, Side: r.Side, ContactID: r.ContactID,
		Phone: r.Phone, Email: r.Email, Candidates: r.Candidates, At: r.At,
	})
}

func (t storedTx) Record(ctx context.Context, u Undo) error {
	return store.InsertUndo(ctx, t.tx, store.Undo{
		ID: u.ID, Kind: u.Kind, Reason: u.Reason, Actor: u.By, At: u.At, Before: toRows(u.Before), After: toRows(u.After),
	})
}

func (t storedTx) Undo(ctx context.Context, id string) (Undo, error) {
	u, err := store.UndoByID(ctx, t.tx, id)
	return Undo{
		ID: u.ID, Kind: u.Kind, Reason: u.Reason, By: u.Actor, At: u.At, Before: fromRows(u.Before), After: fromRows(u.After),
	}, FromStore(err)
}

func (t storedTx) Undone(ctx context.Context, id string, at time.Time) error {
	return store.MarkUndone(ctx, t.tx, id, at)
}

// FromStore turns the store's errors into this room's.
func FromStore(err error) error {
	switch {
	case errors.Is(err, store.ErrUnique):
		return ErrTaken
	case errors.Is(err, store.ErrStale):
		return ErrStale
	case errors.Is(err, store.ErrNotFound):
		return ErrNotFound
	case errors.Is(err, store.ErrLeaseLost):
		return ErrLeaseLost
	}
	return err
}

// ToRow returns the person as the store keeps it.
func ToRow(p Person) store.Person {
	return store.Person{
		ID: p.ID, GHLContactID: p.GHLContactID, AlowareContactID: p.AlowareContactID, Phone: p.Phone,
		OtherPhones: p.OtherPhones, Email: p.Email, Status: string(p.Status), EndedAt: p.EndedAt,
		EndedReason: p.EndedReason, MergedInto: p.MergedInto, ApartFrom: p.ApartFrom, SyncDirection: p.SyncDirection,
		LastSyncedAt: p.LastSyncedAt, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt, Version: p.Version,
	}
}

// FromRow returns the person that the store keeps in the row.
func FromRow(r store.Person) Person {
	return Person{
		ID: r.ID, GHLContactID: r.GHLContactID, AlowareContactID: r.AlowareContactID, Phone: r.Phone,
		OtherPhones: r.OtherPhones, Email: r.Email, Status: Status(r.Status), EndedAt: r.EndedAt,
		EndedReason: r.EndedReason, MergedInto: r.MergedInto, ApartFrom: r.ApartFrom, SyncDirection: r.SyncDirection,
		LastSyncedAt: r.LastSyncedAt, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Version: r.Version,
	}
}

func toRows(list []Person) []store.Person {
	rows := make([]store.Person, len(list))
	for i, p := range list {
		rows[i] = ToRow(p)
	}
	return rows
}

func fromRows(rows []store.Person) []Person {
	list := make([]Person, len(rows))
	for i, r := range rows {
		list[i] = FromRow(r)
	}
	return list
}

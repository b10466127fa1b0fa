package people

import (
	"errors"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Status says whether a person is kept in agreement.
type Status string

// Active people converge. Ended people are history: deleted at GHL or merged
// into somebody else.
const (
	Active Status = "active"
	Ended  Status = "ended"
)

// Bidirectional is the SyncDirection of a person that both sides hold; one that
// only one side holds has that side's df.Direction.
const Bidirectional df.Direction = "bidirectional"

// Person is one row of contact_mappings together with the phones by which the
// person is known.
type Person struct {
	ID               string // UUID
	GHLContactID     string // empty while GHL has no contact for the person
	AlowareContactID string // empty while Aloware has none
	Phone            df.Phone
	OtherPhones      []df.Phone // earlier and further numbers, sorted, without Phone
	Email            string     // trimmed, lower-case
	Status           Status
	EndedAt          time.Time // zero while active
	EndedReason      string    // safe text
	MergedInto       string    // the person that took this one over, or empty
	ApartFrom        []string  // people an operator said are somebody else, sorted
	SyncDirection    df.Direction
	LastSyncedAt     time.Time // when both sides last agreed in every field
	CreatedAt        time.Time
	UpdatedAt        time.Time
	// Version counts the changes of the row. An update of a row that has
	// another version by now fails with ErrStale.
	Version int64
}

// ContactID returns the id of the person's contact at the side, or "".
func (p Person) ContactID(side df.Side) string {
	switch side {
	case df.SideGHL:
		return p.GHLContactID
	case df.SideAloware:
		return p.AlowareContactID
	}
	return ""
}

// WithContact returns the person linked to the contact id at the side, with the
// sync direction that follows from it. An empty id unlinks.
func (p Person) WithContact(side df.Side, id string) Person {
	switch side {
	case df.SideGHL:
		p.GHLContactID = id
	case df.SideAloware:
		p.AlowareContactID = id
	}
	p.SyncDirection = direction(p)
	return p
}

func direction(p Person) df.Direction {
	switch {
	case p.GHLContactID != "" && p.AlowareContactID != "":
		return Bidirectional
	case p.AlowareContactID != "":
		return df.AlowareToGHL
	default:
		return df.GHLToAloware
	}
}

// Knows reports whether the phone is or was the person's.
func (p Person) Knows(phone df.Phone) bool {
	return phone != "" && (p.Phone == phone || slices.Contains(p.OtherPhones, phone))
}

// Apart reports whether an operator said that the two are different people.
func (p Person) Apart(other Person) bool {
	return slices.Contains(p.ApartFrom, other.ID) || slices.Contains(other.ApartFrom, p.ID)
}

// Clone returns a copy that shares nothing with p.
func (p Person) Clone() Person {
	p.OtherPhones = slices.Clone(p.OtherPhones)
	p.ApartFrom = slices.Clone(p.ApartFrom)
	return p
}

// Rekey gives the person a new current phone and keeps the old one as a known
// number, so that a text from it still finds the person. An empty phone changes
// nothing: a person is never made unreachable by a cleared field.
func Rekey(p Person, phone df.Phone) Person {
	if phone == "" || phone == p.Phone {
		return p
	}
	p = AddPhone(p, p.Phone)
	p.Phone = phone
	p.OtherPhones = slices.DeleteFunc(slices.Clone(p.OtherPhones), func(known df.Phone) bool { return known == phone })
	return p
}

// AddPhone keeps a further number of the person's.
func AddPhone(p Person, phone df.Phone) Person {
	if phone == "" || slices.Contains(p.OtherPhones, phone) {
		return p
	}
	p.OtherPhones = append(slices.Clone(p.OtherPhones), phone)
	slices.Sort(p.OtherPhones)
	return p
}

// End ends the person for the reason given. The ids stay on the row as history;
// they no longer keep an active person from having them. Ending twice keeps the
// first time and reason.
func End(p Person, at time.Time, reason string) Person {
	if p.Status == Ended {
		return p
	}
	p.Status, p.EndedAt, p.EndedReason = Ended, at, reason
	return p
}

// Errors of merging and splitting. The console shows their text.
var (
	ErrSamePerson   = errors.New("a person cannot be merged with themselves")
	ErrEnded        = errors.New("an ended person cannot be changed")
	ErrApart        = errors.New("an operator said that these are different people")
	ErrNothingToCut = errors.New("a split must move one side's contact and leave the other's")
	ErrChangedSince = errors.New("the people have changed since, so the change cannot be undone")
)

// Merge makes one person of two: the winner takes what it lacks (ids, phones,
// e-mail) and the loser ends as merged into it. Where both have a contact at
// one side the winner's stays; events about the loser's contact find the winner
// through MergedInto. Merge fails with ErrSamePerson, ErrEnded or ErrApart.
func Merge(winner, loser Person, at time.Time, reason string) (Person, Person, error) {
	switch {
	case winner.ID == loser.ID:
		return Person{}, Person{}, ErrSamePerson
	case winner.Status == Ended || loser.Status == Ended:
		return Person{}, Person{}, ErrEnded
	case winner.Apart(loser):
		return Person{}, Person{}, ErrApart
	}
	winner = winner.Clone()
	for _, side := range []df.Side{df.SideGHL, df.SideAloware} {
		if winner.ContactID(side) == "" {
			winner = winner.WithContact(side, loser.ContactID(side))
		}
	}
	if winner.Phone == "" {
		winner.Phone = loser.Phone
	}
	for _, phone := range append([]df.Phone{loser.Phone}, loser.OtherPhones...) {
		if phone != winner.Phone {
			winner = AddPhone(winner, phone)
		}
	}
	if winner.Email == "" {
		winner.Email = loser.Email
	}
	winner.UpdatedAt = at
	loser = End(loser, at, reason)
	loser.MergedInto, loser.UpdatedAt = winner.ID, at
	return winner, loser, nil
}

// Part says what a split takes out of a person.
type Part struct {
	Side   df.Side    // whose contact goes to the new person
	Phones []df.Phone // which of the person's numbers go with it
	Email  string     // the new person's e-mail, if any
}

// Split takes one side's contact, with some of the phones, out of a person and
// makes a new person of it. Both remember that they are not the same, so that a
// shared phone does not join them again. Split fails with ErrEnded, or with
// ErrNothingToCut when either of the two would be left without a contact.
func Split(p Person, part Part, newID string, at time.Time) (Person, Person, error) {
	if p.Status == Ended {
		return Person{}, Person{}, ErrEnded
	}
	if p.ContactID(part.Side) == "" || p.ContactID(part.Side.Other()) == "" {
		return Person{}, Person{}, ErrNothingToCut
	}
	kept := p.Clone()
	cut := Person{ID: newID, Status: Active, Email: part.Email, CreatedAt: at, UpdatedAt: at}
	cut = cut.WithContact(part.Side, p.ContactID(part.Side))
	kept = kept.WithContact(part.Side, "")
	for _, phone := range part.Phones {
		if !p.Knows(phone) {
			continue
		}
		if cut.Phone == "" {
			cut.Phone = phone
		} else {
			cut = AddPhone(cut, phone)
		}
		kept = dropPhone(kept, phone)
	}
	cut.ApartFrom = []string{p.ID}
	kept.ApartFrom = append(kept.ApartFrom, newID)
	slices.Sort(kept.ApartFrom)
	kept.UpdatedAt = at
	return kept, cut, nil
}

func dropPhone(p Person, phone df.Phone) Person {
	p.OtherPhones = slices.DeleteFunc(p.OtherPhones, func(known df.Phone) bool { return known == phone })
	if p.Phone != phone {
		return p
	}
	p.Phone = ""
	if len(p.OtherPhones) > 0 {
		p.Phone, p.OtherPhones = p.OtherPhones[0], p.OtherPhones[1:]
	}
	return p
}

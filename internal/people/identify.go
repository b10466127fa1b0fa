package people

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
)

// Clue is what an event or a contact says about who it is.
type Clue struct {
	Side      df.Side // empty when the sender is no side (texting)
	ContactID string  // the contact's id at the side, or empty
	Phone     df.Phone
	Email     string
	// OnlyKnown forbids making a person: the clue is about somebody who left.
	OnlyKnown bool
}

// ClueOf reads the clue out of a notice of the source.
func ClueOf(source df.Source, n df.Notice) Clue {
	clue := Clue{Phone: n.Phone, Email: strings.ToLower(strings.TrimSpace(n.Email)),
		OnlyKnown: n.Kind == df.KindContactDeleted}
	switch source {
	case df.SourceGHL:
		clue.Side, clue.ContactID = df.SideGHL, n.ContactID
	case df.SourceAloware:
		clue.Side, clue.ContactID = df.SideAloware, n.ContactID
	}
	return clue
}

// Errors of Identify.
var (
	// ErrNobody: the clue names no contact, phone or e-mail.
	ErrNobody = errors.New("nothing says who this is about")
	// ErrUnknown: the clue may not make a person, and there is none.
	ErrUnknown = errors.New("nobody is known by this")
	// ErrAmbiguous: the clue has no contact id and several people fit.
	ErrAmbiguous = errors.New("several people fit")
)

// Rule says by what a person was recognised, for timelines.
type Rule string

// The rules of Identify and Link, strongest first.
const (
	ByContactID Rule = "contact_id"
	ByPhone     Rule = "phone"
	ByEmail     Rule = "email"
	AsNew       Rule = "new"
	AsMerged    Rule = "merged" // recognised by the contact of a person that was merged away
	AsAbsorbed  Rule = "absorbed"
)

// Match is the answer to "who is this?".
type Match struct {
	Person Person
	Rule   Rule
	Review *Review // the question that was left to an operator, if any
}

// Directory answers who is who. NewID makes UUIDs.
type Directory struct {
	Registry Registry
	Clock    df.Clock
	NewID    func() string
}

// attempts bounds how often a decision is made anew after somebody else
// changed the same rows. Each loss means that another writer won, so a few are
// plenty.
const attempts = 5

// Known returns the person that has the contact, active or ended, and false
// when there is none. A person that was merged away is answered by the one that
// took it over.
func (d *Directory) Known(ctx context.Context, side df.Side, contactID string) (Person, bool, error) {
	p, ok, err := d.Registry.Known(ctx, side, contactID)
	if err != nil {
		return Person{}, false, fmt.Errorf("look up person by %s contact: %w", side, err)
	}
	if !ok || p.MergedInto == "" {
		return p, ok, nil
	}
	err = d.Registry.WithPhoneLock(ctx, "", func(tx RegistryTx) error {
		p, err = survivor(ctx, tx, p)
		return err
	})
	return p, err == nil, err
}

// Identify finds or makes the person that the clue is about. Of two first
// events at once one makes the person and the other finds it. The answer may be
// an ended person, which stays ended. It fails with ErrNobody, ErrUnknown,
// ErrAmbiguous or ErrLeaseLost.
func (d *Directory) Identify(ctx context.Context, lease Lease, clue Clue) (Match, error) {
	if clue.ContactID == "" && clue.Phone == "" && clue.Email == "" {
		return Match{}, ErrNobody
	}
	var match Match
	err := d.decide(ctx, lease, clue.Phone, func(tx RegistryTx) (err error) {
		match, err = d.identify(ctx, tx, clue)
		return err
	})
	if errors.Is(err, ErrAmbiguous) && match.Review != nil {
		// The refusal rolled its transaction back; the question must stay.
		if kept := d.keepReview(ctx, lease, *match.Review); kept != nil {
			return Match{}, kept
		}
	}
	if err != nil {
		return match, fmt.Errorf("identify: %w", err)
	}
	return match, nil
}

// decide runs fn under the phone's lock, and again when it lost a race.
func (d *Directory) decide(ctx context.Context, lease Lease, phone df.Phone, fn func(RegistryTx) error) error {
	var err error
	for range attempts {
		err = d.Registry.WithPhoneLock(ctx, phone, func(tx RegistryTx) error {
			if err := tx.Guard(ctx, lease); err != nil {
				return err
			}
			return fn(tx)
		})
		if !errors.Is(err, ErrTaken) && !errors.Is(err, ErrStale) {
			return err
		}
	}
	return err
}

func (d *Directory) keepReview(ctx context.Context, lease Lease, r Review) error {
	return d.decide(ctx, lease, "", func(tx RegistryTx) error { return tx.Review(ctx, r) })
}

func (d *Directory) identify(ctx context.Context, tx RegistryTx, clue Clue) (Match, error) {
	if clue.ContactID != "" && clue.Side != "" {
		p, ok, err := tx.ByContact(ctx, clue.Side, clue.ContactID)
		if err != nil {
			return Match{}, err
		}
		if ok {
			return followed(ctx, tx, p)
		}
	}
	p, rule, review, err := d.candidate(ctx, tx, clue)
	if err != nil {
		return Match{Review: review}, err
	}
	if rule != AsNew {
		return d.join(ctx, tx, p, rule, clue)
	}
	if clue.OnlyKnown {
		return Match{}, ErrUnknown
	}
	return d.introduce(ctx, tx, clue, review)
}

// followed answers a recognised id, through a merge when there was one.
func followed(ctx context.Context, tx RegistryTx, p Person) (Match, error) {
	if p.MergedInto == "" {
		return Match{Person: p, Rule: ByContactID}, nil
	}
	p, err := survivor(ctx, tx, p)
	return Match{Person: p, Rule: AsMerged}, err
}

// survivor follows MergedInto to its end. Merges form no circle, since only
// active people are merged; the bound is for a damaged table.
func survivor(ctx context.Context, tx RegistryTx, p Person) (Person, error) {
	for range 32 {
		if p.MergedInto == "" {
			return p, nil
		}
		next, err := tx.Get(ctx, p.MergedInto)
		if err != nil {
			return Person{}, fmt.Errorf("follow merge: %w", err)
		}
		p = next
	}
	return Person{}, fmt.Errorf("follow merge: %w", ErrNotFound)
}

// candidate finds the one active person that the phone, or else the e-mail,
// points to. AsNew means that nobody fits; review then says why not, when that
// is a question for an operator.
func (d *Directory) candidate(ctx context.Context, tx RegistryTx, clue Clue) (Person, Rule, *Review, error) {
	fits, err := byPhone(ctx, tx, clue.Phone)
	if err != nil {
		return Person{}, "", nil, err
	}
	switch {
	case len(fits) == 1 && free(fits[0], clue):
		return fits[0], ByPhone, nil, nil
	case len(fits) == 1:
		return Person{}, AsNew, d.review(SharedPhone, clue, fits), nil
	case len(fits) > 1 && clue.ContactID == "":
		return Person{}, "", d.review(AmbiguousPhone, clue, fits), ErrAmbiguous
	case len(fits) > 1:
		return Person{}, AsNew, d.review(AmbiguousPhone, clue, fits), nil
	}
	return d.byEmail(ctx, tx, clue)
}

// byPhone prefers people whose current phone it is to those who once had it.
func byPhone(ctx context.Context, tx RegistryTx, phone df.Phone) ([]Person, error) {
	if phone == "" {
		return nil, nil
	}
	all, err := tx.ByPhone(ctx, phone)
	if err != nil {
		return nil, err
	}
	var current []Person
	for _, p := range all {
		if p.Phone == phone {
			current = append(current, p)
		}
	}
	if len(current) > 0 {
		return current, nil
	}
	return all, nil
}

func (d *Directory) byEmail(ctx context.Context, tx RegistryTx, clue Clue) (Person, Rule, *Review, error) {
	if clue.Email == "" {
		return Person{}, AsNew, nil, nil
	}
	fits, err := tx.ByEmail(ctx, clue.Email)
	if err != nil {
		return Person{}, "", nil, err
	}
	switch {
	case len(fits) == 1 && free(fits[0], clue) && phoneAgrees(fits[0], clue.Phone):
		return fits[0], ByEmail, nil, nil
	case len(fits) > 1 && clue.Phone == "" && clue.ContactID == "":
		return Person{}, "", d.review(AmbiguousEmail, clue, fits), ErrAmbiguous
	case len(fits) > 1 && clue.Phone == "":
		return Person{}, AsNew, d.review(AmbiguousEmail, clue, fits), nil
	}
	return Person{}, AsNew, nil, nil
}

// free reports whether the person could have the clue's contact.
func free(p Person, clue Clue) bool {
	id := p.ContactID(clue.Side)
	return clue.ContactID == "" || id == "" || id == clue.ContactID
}

// phoneAgrees reports that no phone speaks against the two being one person.
func phoneAgrees(p Person, phone df.Phone) bool {
	return phone == "" || p.Phone == "" || p.Knows(phone)
}

// join gives the recognised person what the clue knows and the row lacks.
func (d *Directory) join(ctx context.Context, tx RegistryTx, p Person, rule Rule, clue Clue) (Match, error) {
	before := p
	if clue.ContactID != "" && clue.Side != "" {
		p = p.WithContact(clue.Side, clue.ContactID)
	}
	if p.Phone == "" {
		p.Phone = clue.Phone
	}
	if p.Email == "" {
		p.Email = clue.Email
	}
	if p.GHLContactID == before.GHLContactID && p.AlowareContactID == before.AlowareContactID &&
		p.Phone == before.Phone && p.Email == before.Email {
		return Match{Person: p, Rule: rule}, nil
	}
	p.UpdatedAt = d.Clock()
	if err := tx.Update(ctx, p); err != nil {
		return Match{}, err
	}
	p.Version++
	return Match{Person: p, Rule: rule}, nil
}

func (d *Directory) introduce(ctx context.Context, tx RegistryTx, clue Clue, review *Review) (Match, error) {
	now := d.Clock()
	p := Person{ID: d.NewID(), Phone: clue.Phone, Email: clue.Email, Status: Active,
		CreatedAt: now, UpdatedAt: now, Version: 1}
	p = p.WithContact(clue.Side, clue.ContactID)
	if err := tx.Insert(ctx, p); err != nil {
		return Match{}, err
	}
	if review != nil {
		review.PersonID = p.ID
		if err := tx.Review(ctx, *review); err != nil {
			return Match{}, err
		}
	}
	return Match{Person: p, Rule: AsNew, Review: review}, nil
}

func (d *Directory) review(kind ReviewKind, clue Clue, fits []Person) *Review {
	r := &Review{Kind: kind, Side: clue.Side, ContactID: clue.ContactID, Phone: clue.Phone, Email: clue.Email, At: d.Clock()}
	for _, p := range fits {
		r.Candidates = append(r.Candidates, p.ID)
	}
	who := clue.ContactID
	if who == "" {
		who = string(clue.Phone) + clue.Email
	}
	r.Key = fmt.Sprintf("%s/%s/%s", kind, clue.Side, who)
	return r
}

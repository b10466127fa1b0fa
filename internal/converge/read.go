package converge

import (
	"context"
	"sync"

	"github.com/df-middleware/dfm/internal/df"
)

// answer is what reading one side came to.
type answer struct {
	contact df.Contact
	err     error
}

// read reads the person's contacts on all sides at once. A contact that is not
// there is noted in gone; any other failure ends the run, for "could not look"
// must never be taken for "is not there".
func (r *run) read(ctx context.Context) error {
	var answers [len(order)]*answer
	var wg sync.WaitGroup
	for i, name := range order {
		side := r.Sides[name]
		if side == nil || r.person.ContactID(name) == "" {
			continue
		}
		a, ref := &answer{}, r.ref(name)
		answers[i] = a
		wg.Go(func() { a.contact, a.err = readOne(ctx, side, ref) })
	}
	wg.Wait()
	for i, a := range answers {
		if a == nil || df.IsCode(a.err, df.CodeUnconfigured) {
			continue
		}
		if df.IsCode(a.err, df.CodeNotFound) {
			r.gone[order[i]] = true
			continue
		}
		if a.err != nil {
			return a.err
		}
		r.seen[order[i]] = a.contact
	}
	return r.lookFurther(ctx)
}

// readOne reads a contact and makes sure that it is the one that was meant.
func readOne(ctx context.Context, side Side, ref df.Ref) (df.Contact, error) {
	contact, err := side.Read(ctx, ref)
	if err != nil {
		return df.Contact{}, err
	}
	if ref.ID != "" && contact.ID != ref.ID {
		return df.Contact{}, &df.CallError{Upstream: string(side.Name()), Operation: "read contact",
			Outcome: df.Refused, Code: df.CodeNotFound, Message: "another contact has this number"}
	}
	return contact, nil
}

// ref names the person's contact at the side, with the phone under which that
// side last had it.
func (r *run) ref(side df.Side) df.Ref {
	ref := df.Ref{ID: r.person.ContactID(side), Phone: r.person.Phone}
	if seen, ok := r.seen[side]; ok {
		if phone := seen.Phone(); phone != "" {
			ref.Phone = phone
		}
		return ref
	}
	base := r.agreed.base(side, ref.ID)
	if phone := (df.Contact{Fields: base.Fields}).Phone(); phone != "" {
		ref.Phone = phone
	}
	return ref
}

// furtherPhones bounds how many numbers are tried for a contact that is not
// found under its own.
const furtherPhones = 4

// lookFurther looks for an Aloware contact that is not found under the number
// it was last agreed to have: under the number GHL shows now, since we may have
// written that and crashed, under those that events named, since it may have
// been changed in Aloware, and under the person's other numbers. Only the very
// same contact counts.
func (r *run) lookFurther(ctx context.Context) error {
	side := r.Sides[df.SideAloware]
	if !r.gone[df.SideAloware] || side == nil {
		return nil
	}
	ref := r.ref(df.SideAloware)
	tried := map[df.Phone]bool{"": true, ref.Phone: true}
	phones := append([]df.Phone{r.seen[df.SideGHL].Phone()}, r.work.Phones...)
	phones = append(append(phones, r.person.Phone), r.person.OtherPhones...)
	for _, phone := range phones {
		if tried[phone] || len(tried) > furtherPhones+1 {
			continue
		}
		tried[phone] = true
		contact, err := readOne(ctx, side, df.Ref{ID: ref.ID, Phone: phone})
		if df.IsCode(err, df.CodeNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		delete(r.gone, df.SideAloware)
		r.seen[df.SideAloware] = contact
		return nil
	}
	return nil
}

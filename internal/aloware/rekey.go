package aloware

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
)

// Rekey moves a person to the phone number in the patch, writes the rest of the
// patch as well, and returns the contact that answers under the new number. Its
// id differs from ref.ID when Aloware keeps the two numbers as two contacts: then
// the caller has to map the person to the new one. The contact is also returned
// together with df.CodeNotWritten, when Aloware had no place for part of the patch.
//
// The number is a contact's identity at Aloware: writing under the old one cannot
// change it, and writing under the new one alone makes a stranger. So the new
// number is written with everything that was seen, do-not-call included, and the
// old number among its other numbers. A contact of somebody else that has the
// new number is left alone: df.CodeDuplicate names it.
//
// Rekey may be repeated after any failure: a contact under the new number that a
// first try left behind is known by its name or e-mail, and written to again.
// See the package comment for what cannot be moved.
func (s *Side) Rekey(ctx context.Context, ref df.Ref, seen df.Contact, patch df.Patch) (df.Contact, error) {
	phone, err := s.phoneOf(df.Contact{Fields: patch.Set})
	if err != nil {
		return df.Contact{}, err
	}
	there, err := s.byPhone(ctx, phone)
	if err != nil && !df.IsCode(err, df.CodeNotFound) {
		return df.Contact{}, err
	}
	if err == nil && ref.ID != "" && there.ID != ref.ID && !samePerson(there, seen, patch) {
		failure := s.client.refuse(formsEndpoint, df.CodeDuplicate, "another contact has the new phone number")
		failure.ContactID = there.ID
		return df.Contact{}, failure
	}
	fields, left, err := s.moved(ctx, ref, seen, patch)
	if err != nil {
		return df.Contact{}, err
	}
	if _, err := s.client.Upsert(ctx, phone, fields); err != nil {
		return df.Contact{}, err
	}
	contact, err := s.shown(ctx, phone)
	if err != nil {
		return df.Contact{}, err
	}
	if ref.ID != "" && contact.ID != ref.ID {
		if err := s.leave(ctx, ref); err != nil {
			return df.Contact{}, err
		}
	}
	return contact, s.notWritten(left)
}

// samePerson reports whether the contact that has the new number is the one that
// moves: same e-mail address, or same first and last name.
func samePerson(there, seen df.Contact, patch df.Patch) bool {
	same := func(field df.Field) bool {
		is := strings.TrimSpace(there.Get(field))
		after, changes := patch.Set[field]
		return is != "" && (strings.EqualFold(is, seen.Get(field)) || changes && strings.EqualFold(is, after))
	}
	return same(df.Email) || same(df.FirstName) && same(df.LastName)
}

// moved is the form for the new number: what was seen, overlaid by the patch.
func (s *Side) moved(ctx context.Context, ref df.Ref, seen df.Contact, patch df.Patch) (map[string]any, []string, error) {
	fields, _, err := s.form(ctx, df.Patch{Set: seen.Fields})
	if err != nil {
		return nil, nil, err
	}
	dropEmpty(fields)
	changed, left, err := s.form(ctx, patch)
	if err != nil {
		return nil, nil, err
	}
	maps.Copy(fields, changed)
	if tags, _ := writableTags(slices.Concat(seen.Tags, patch.AddTags)); len(tags) > 0 {
		fields["tags"] = strings.Join(tags, ",")
	}
	if ref.Phone != "" {
		fields["other_phone_numbers"] = []map[string]string{{"label": "Previous", "phone_number": string(ref.Phone)}}
	}
	if seen.DoNotCall != nil && *seen.DoNotCall {
		fields["is_dnc"] = 1
	}
	return fields, left, nil
}

// leave takes the contact under the old number off lists and sequences, so that
// nobody calls a number that was given up. Sequences are left by number, so only
// while the old number still answers with the old contact.
func (s *Side) leave(ctx context.Context, ref df.Ref) error {
	if err := s.client.RemoveFromAllLists(ctx, ref.ID); err != nil {
		return err
	}
	if _, err := s.Read(ctx, ref); df.IsCode(err, df.CodeNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	return s.client.Disenroll(ctx, ref.Phone)
}

// Retire is what happens to a contact that was deleted elsewhere, which Aloware
// cannot do: do-not-call is set, and it leaves all sequences and lists. All steps
// are tried whatever becomes of the others, each may be repeated, and the first
// failure is returned. Steps that go by number wait until a lookup has shown that
// the number is still this contact's: POST /forms would create a contact that is
// not there, and a number may be somebody else's by now.
func (s *Side) Retire(ctx context.Context, ref df.Ref) error {
	client := s.client.Reserved()
	urgent := *s
	urgent.client = client
	contact, first := urgent.Read(ctx, ref)
	switch {
	case first == nil:
		ref.ID = contact.ID
		first = firstOf(client.SetDoNotCall(ctx, ref.Phone, true), client.Disenroll(ctx, ref.Phone))
	case df.IsCode(first, df.CodeNotFound):
		first = nil
	}
	if ref.ID == "" {
		return first
	}
	return firstOf(first, client.RemoveFromAllLists(ctx, ref.ID))
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

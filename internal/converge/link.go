package converge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

// link finds or makes the contact that a side lacks. A contact that was there
// and is gone is not made anew.
func (r *run) link(ctx context.Context) error {
	for _, name := range order {
		side := r.Sides[name]
		source, ok := r.seen[name.Other()]
		if !ok && name == df.SideGHL {
			source, ok = r.stranger()
		}
		if side == nil || !ok || r.person.ContactID(name) != "" {
			continue
		}
		if err := r.linkSide(ctx, side, source); err != nil {
			if df.IsCode(err, df.CodeUnconfigured) {
				continue
			}
			return err
		}
	}
	return nil
}

// stranger is what is known of a person whom no side has and who wrote to us: the
// number.
func (r *run) stranger() (df.Contact, bool) {
	if !r.work.Meet || len(r.seen) > 0 || r.person.Phone == "" {
		return df.Contact{}, false
	}
	return df.Contact{Fields: map[df.Field]string{df.PhoneNumber: string(r.person.Phone)}}, true
}

func (r *run) linkSide(ctx context.Context, side Side, source df.Contact) error {
	name, phone, email := side.Name(), source.Phone(), Form(df.Email, source.Get(df.Email))
	switch {
	case name == df.SideAloware && phone == "":
		r.cannotLink(Issue{Kind: IssueNoPhone, Side: name, Detail: "Aloware knows contacts by phone, and this one has none"})
		return nil
	case phone == "" && email == "":
		r.cannotLink(Issue{Kind: IssueNoKey, Side: name, Detail: "neither phone nor e-mail, so it could not be found again", Open: true})
		return nil
	}
	if linked, err := r.linkClaimed(ctx, side, phone, email); linked || err != nil {
		return err
	}
	found, err := side.Find(ctx, phone, email)
	if err != nil && !df.IsCode(err, df.CodeNotFound) {
		return err
	}
	match, several := pick(found, phone, email)
	switch {
	case several:
		r.cannotLink(Issue{Kind: IssueAmbiguous, Side: name, Detail: "several contacts fit", Open: true})
		return nil
	case match.ID != "":
		return r.take(ctx, side, match, phone, "find")
	case r.NoCreate[name]:
		r.decide(Decision{Action: Stay, Side: name, Rule: "no_create", Detail: "not found, and nothing is created there"})
		return nil
	}
	return r.create(ctx, side, source)
}

// claim notes, before a contact is made, by which phone or e-mail it will be
// found. Should the answer never come, and the person get another number
// meanwhile, the next run still finds what was made instead of making a second.
func (r *run) claim(ctx context.Context, name df.Side, wanted df.Contact) error {
	key := wanted.Fields[df.PhoneNumber]
	if key == "" {
		key = Form(df.Email, wanted.Fields[df.Email])
	}
	r.keep(Issue{Topic: string(name) + "/link", Kind: IssueCreating, Side: name, Want: key,
		Detail: "a contact is being made, or the answer was lost"})
	r.record.Person, r.record.Agreed, r.record.At = r.person, r.agreed, r.Clock()
	if err := r.Ledger.Save(ctx, r.work.Lease, r.record); err != nil {
		return fmt.Errorf("claim creation: %w", err)
	}
	r.person.Version++
	r.record = Record{}
	return nil
}

// linkClaimed looks for the contact of an earlier claim that is not to be found
// by what the person has now.
func (r *run) linkClaimed(ctx context.Context, side Side, phone df.Phone, email string) (bool, error) {
	name := side.Name()
	claim, ok := r.issues[string(name)+"/link"]
	if !ok || claim.Kind != IssueCreating || claim.Want == string(phone) || claim.Want == email {
		return false, nil
	}
	before, err := df.ParsePhone(claim.Want, "")
	if err == nil {
		email = ""
	} else {
		email = claim.Want
	}
	found, err := side.Find(ctx, before, email)
	if err != nil && !df.IsCode(err, df.CodeNotFound) {
		return false, err
	}
	match, _ := pick(found, before, email)
	if match.ID == "" {
		return false, nil
	}
	return true, r.take(ctx, side, match, before, "find claimed")
}

// pick chooses the one contact that fits: by phone when exactly one has it, by
// e-mail only when exactly one has that and no phone disagrees. It reports
// whether several fit.
func pick(found []df.Contact, phone df.Phone, email string) (df.Contact, bool) {
	byPhone, byEmail := map[string]df.Contact{}, map[string]df.Contact{}
	for _, c := range found {
		switch theirs := c.Phone(); {
		case c.ID == "":
		case phone != "" && theirs == phone:
			byPhone[c.ID] = c
		case email != "" && Form(df.Email, c.Get(df.Email)) == email && (phone == "" || theirs == ""):
			byEmail[c.ID] = c
		}
	}
	for _, fits := range []map[string]df.Contact{byPhone, byEmail} {
		if len(fits) > 1 {
			return df.Contact{}, true
		}
		for _, c := range fits {
			return c, false
		}
	}
	return df.Contact{}, false
}

// cannotLink keeps the reason why a side has no contact, once.
func (r *run) cannotLink(issue Issue) {
	issue.Topic = string(issue.Side) + "/link"
	r.decide(Decision{Action: Stay, Side: issue.Side, Rule: string(issue.Kind), Detail: issue.Detail})
	if known, ok := r.issues[issue.Topic]; ok && known.Kind == issue.Kind && known.ContactID == issue.ContactID {
		return
	}
	r.raise(issue)
}

// take links a contact that is already there and reads it whole.
func (r *run) take(ctx context.Context, side Side, match df.Contact, phone df.Phone, how string) error {
	name := side.Name()
	ref := df.Ref{ID: match.ID, Phone: match.Phone()}
	if ref.Phone == "" {
		ref.Phone = phone
	}
	contact, err := readOne(ctx, side, ref)
	if err != nil {
		if df.IsCode(err, df.CodeNotFound) {
			return later("read found contact", name, r.Clock().Add(r.Limits.RetryAfter))
		}
		return err
	}
	if theirs := contact.Phone(); phone != "" && theirs != "" && theirs != phone {
		r.cannotLink(Issue{Kind: IssueDuplicate, Side: name, ContactID: contact.ID, Open: true,
			Detail: "a contact with another phone has the same e-mail"})
		return nil
	}
	return r.attach(ctx, side, contact, how)
}

// attach links the contact to the person at once, so that the side's own
// announcement of it is recognised.
func (r *run) attach(ctx context.Context, side Side, contact df.Contact, how string) error {
	name := side.Name()
	match, err := r.People.Link(ctx, r.work.Lease, r.person.ID, name, contact)
	if errors.Is(err, people.ErrHeld) {
		r.cannotLink(Issue{Kind: IssueHeld, Side: name, ContactID: contact.ID, Open: true,
			Detail: "the contact that fits belongs to another person"})
		return nil
	}
	if err != nil {
		return err
	}
	r.person = match.Person
	r.seen[name] = contact
	r.resolve(string(name) + "/link")
	r.decide(Decision{Action: Linked, Side: name, Rule: string(match.Rule), Value: contact.ID, Detail: how})
	return nil
}

// create makes the contact that a side lacks. Where the side says that it is
// already there, it is linked if it fits.
func (r *run) create(ctx context.Context, side Side, source df.Contact) error {
	name := side.Name()
	wanted := r.draft(name, source)
	if err := r.claim(ctx, name, wanted); err != nil {
		return err
	}
	made, sent, err := r.tryCreate(ctx, side, wanted)
	var call *df.CallError
	switch {
	case err == nil:
	case errors.As(err, &call) && call.Code == df.CodeDuplicate && call.ContactID != "":
		return r.take(ctx, side, df.Contact{ID: call.ContactID}, source.Phone(), "duplicate")
	case df.IsCode(err, df.CodeDuplicate):
		r.cannotLink(Issue{Kind: IssueDuplicate, Side: name, Open: true, Detail: "the side says it is there, and it is not found"})
		return nil
	case df.IsCode(err, df.CodeInvalid):
		r.cannotLink(Issue{Kind: IssueRefused, Side: name, Open: true, Detail: safeText(err)})
		return nil
	default:
		return r.unclear(err)
	}
	if made.ID == "" {
		return later("create contact", name, r.Clock().Add(r.Limits.UnclearAfter))
	}
	if err := r.attach(ctx, side, made, "create"); err != nil {
		return err
	}
	if _, linked := r.seen[name]; linked {
		r.created(name, wanted, sent, made)
	}
	return nil
}

// draft is the contact as it is to be created: what the source shows and the
// side holds. Consent flags are not data and do not travel with it.
func (r *run) draft(name df.Side, source df.Contact) df.Contact {
	wanted := df.Contact{Fields: map[df.Field]string{}}
	for field, value := range source.Fields {
		value = outbound(field, value)
		if value == "" || r.rules.For(field) == Never || !r.rules.Can[name].holds(field) {
			continue
		}
		if field == df.PhoneNumber && !dialable(value) {
			continue
		}
		wanted.Fields[field] = value
	}
	if source.Tags != nil && r.rules.For(TagsField) != Never {
		wanted.Tags = df.Tags(source.Tags...)
	}
	return wanted
}

// tryCreate creates the contact; when the side refuses its content, once more
// with nothing but what identifies the person, so that one bad field does not
// keep the person out. The rest is then written field by field.
func (r *run) tryCreate(ctx context.Context, side Side, wanted df.Contact) (made, sent df.Contact, err error) {
	started := r.Clock()
	r.result.Writes++
	made, err = side.Create(ctx, wanted)
	r.log(side.Name(), started, fieldNames(wanted), err, "created")
	if !df.IsCode(err, df.CodeInvalid) {
		return made, wanted, err
	}
	bare := df.Contact{Fields: map[df.Field]string{}}
	for _, field := range []df.Field{df.PhoneNumber, df.Email, df.FirstName, df.LastName} {
		if value, ok := wanted.Fields[field]; ok && !slices.Contains(namedIn(err, []df.Field{field}), field) {
			bare.Fields[field] = value
		}
	}
	if len(bare.Fields) == len(wanted.Fields) && len(wanted.Tags) == 0 ||
		bare.Fields[df.PhoneNumber] == "" && bare.Fields[df.Email] == "" {
		return made, wanted, err
	}
	r.result.Writes++
	made, err = side.Create(ctx, bare)
	r.log(side.Name(), started, fieldNames(bare), err, "created without the refused fields")
	return made, bare, err
}

func fieldNames(c df.Contact) []string {
	return df.Patch{Set: c.Fields, AddTags: c.Tags}.FieldNames()
}

// created settles what the new contact kept of what it was given, in whatever
// spelling. What it lost is left to the plan, which sees it as empty there; what
// it was not given and never shows is made to look changed, so that the plan
// writes it.
func (r *run) created(name df.Side, wanted, sent, made df.Contact) {
	from := r.agreed.base(name.Other(), r.seen[name.Other()].ID)
	from.Fields = maps.Clone(from.Fields)
	if from.Fields == nil {
		from.Fields = map[df.Field]string{}
	}
	for field := range wanted.Fields {
		if _, given := sent.Fields[field]; !given && !made.Known(field) {
			from.Fields[field] = ""
		}
	}
	if len(wanted.Tags) > len(sent.Tags) && made.Tags == nil {
		from.Tags = []string{}
	}
	if _, there := r.seen[name.Other()]; there {
		r.agreed[name.Other()] = from
	}
	for _, field := range slices.Sorted(maps.Keys(sent.Fields)) {
		held, shown := made.Fields[field]
		if !shown {
			r.agreed.settle(field, r.seen)
			continue
		}
		if change, ok := keptAs(field, sent.Fields[field], held); ok {
			r.learn(name, field, sent.Fields[field], held, change)
			r.agreed.settle(field, r.seen)
		}
	}
}

func hasTag(tags []string, name string) bool {
	return slices.ContainsFunc(tags, func(tag string) bool { return df.TagKey(tag) == df.TagKey(name) })
}

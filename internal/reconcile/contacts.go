package reconcile

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// nobodys is the subject of a contact that is nobody's yet.
func nobodys(contactID string) string { return "ghl:" + contactID }

// ContactOf returns the GHL contact that a subject of drift stands for, and false
// for one that is a person.
func ContactOf(subject string) (string, bool) { return strings.CutPrefix(subject, "ghl:") }

// contacts walks what GHL lists as changed since the last walk.
func (d *Desk) contacts(ctx context.Context, r *run) error {
	if d.Lister == nil {
		return nil
	}
	state, err := d.Store.SweepState(ctx, overContacts.Direction, overContacts.EntityType)
	if err != nil {
		return err
	}
	walk := Walk{State: state}
	walk.Start(d.Clock())
	for over := false; !over; {
		if err := r.ghl.Wait(ctx, 1); err != nil {
			return err
		}
		page, next, err := d.Lister.Listed(ctx, walk.State.Cursor, pageSize)
		if err != nil {
			return fmt.Errorf("list GHL's contacts: %w", err)
		}
		if err := d.contactPage(ctx, r, &walk, page); err != nil {
			return err
		}
		var last time.Time
		if len(page) > 0 {
			last = page[len(page)-1].UpdatedAt
		}
		over = walk.Turn(next, last, d.Clock())
		if err := d.Store.SaveSweepState(ctx, walk.State); err != nil {
			return err
		}
		r.totals.Pages++
		if err := r.beat(ctx); err != nil {
			return err
		}
	}
	return nil
}

// contactPage looks at one page of contacts.
func (d *Desk) contactPage(ctx context.Context, r *run, walk *Walk, page []df.Contact) error {
	var fresh []df.Contact
	var ids []string
	for _, contact := range page {
		if walk.Meets(contact.UpdatedAt) && contact.ID != "" {
			fresh, ids = append(fresh, contact), append(ids, contact.ID)
		}
	}
	known, err := d.Store.Standings(ctx, ids)
	if err != nil {
		return err
	}
	var findings []store.Finding
	for _, contact := range fresh {
		r.totals.Contacts++
		standing, ok := known[contact.ID]
		switch {
		case !ok:
			r.totals.Unknown++
			findings = append(findings, store.Finding{Source: df.SourceGHL, Kind: df.KindContactCreated, EntityID: contact.ID,
				ChangedAt: d.changedAt(contact, people.Person{}), FoundAt: d.Clock()})
			err = d.missing(ctx, nobodys(contact.ID), df.SideGHL, contact.UpdatedAt)
		case !standing.Person.EndedAt.IsZero():
			continue // what ended stays ended
		default:
			finding, changed, lookErr := d.listed(ctx, r, contact, standing)
			if err = lookErr; changed {
				findings = append(findings, finding)
			}
		}
		if err != nil {
			return err
		}
	}
	return d.Store.AddFindings(ctx, findings)
}

// missing keeps that a contact as a whole has not come through.
func (d *Desk) missing(ctx context.Context, subject string, from df.Side, since time.Time) error {
	return d.Store.ReplaceDrift(ctx, subject, from, []store.Drift{
		{Side: from, Kind: KindContact, Since: d.earlier(since)},
	}, d.Clock())
}

// earlier returns the time since when a difference lasts, as far as is known: the
// side's own last change, unless its clock runs ahead.
func (d *Desk) earlier(changed time.Time) time.Time {
	now := d.Clock()
	if changed.IsZero() || changed.After(now) {
		return now
	}
	return changed
}

// listed compares a contact that GHL lists with what was agreed. A contact that
// was changed since and shows no difference is read whole, since rows leave things
// out.
func (d *Desk) listed(ctx context.Context, r *run, contact df.Contact, standing store.Standing) (store.Finding, bool, error) {
	agreed, at := agreedOf(standing.Agreements, df.SideGHL)
	changed := converge.Changed(agreed, df.SideGHL, contact)
	p := people.FromRow(standing.Person)
	if at.IsZero() || p.AlowareContactID == "" {
		// Never agreed: the whole contact is still to come through, unless an
		// issue says why it does not.
		if d.Aloware && !standing.Explained[""] {
			return store.Finding{}, false, d.missing(ctx, p.ID, df.SideGHL, contact.UpdatedAt)
		}
		return store.Finding{}, false, nil
	}
	if len(changed) == 0 && !contact.UpdatedAt.After(at) {
		if !standing.Drifts {
			return store.Finding{}, false, nil
		}
		return store.Finding{}, false, d.Store.ReplaceDrift(ctx, p.ID, df.SideGHL, nil, d.Clock())
	}
	if len(changed) == 0 {
		if err := r.ghl.Wait(ctx, 1); err != nil {
			return store.Finding{}, false, err
		}
		whole, err := d.Lister.Read(ctx, df.Ref{ID: contact.ID})
		if df.IsCode(err, df.CodeNotFound) {
			return store.Finding{}, false, nil // deleted since; the walk over the people sees to it
		}
		if err != nil {
			return store.Finding{}, false, err
		}
		contact, changed = whole, converge.Changed(agreed, df.SideGHL, whole)
	}
	seen := map[df.Side]df.Contact{df.SideGHL: contact}
	drift := Classify(agreed, seen, d.Looker.Compare(agreed, seen), d.earlier(contact.UpdatedAt))
	if len(drift) > 0 || standing.Drifts {
		if err := d.Store.ReplaceDrift(ctx, p.ID, df.SideGHL, drift, d.Clock()); err != nil {
			return store.Finding{}, false, err
		}
	}
	if len(drift) > 0 {
		r.totals.Differ++
	}
	if len(changed) == 0 {
		return store.Finding{}, false, nil
	}
	return d.finding(df.SideGHL, contact, p, changed), true, nil
}

// finding is a change of a contact that no convergence knows of.
func (d *Desk) finding(side df.Side, contact df.Contact, p people.Person, changed []df.Field) store.Finding {
	return store.Finding{Source: df.Source(side), Kind: kindOf(changed), EntityID: contact.ID,
		ChangedAt: d.changedAt(contact, p), PersonID: p.ID, FoundAt: d.Clock()}
}

// changedAt is when a contact was changed last: as its side says, else after the
// sides last agreed.
func (d *Desk) changedAt(contact df.Contact, p people.Person) time.Time {
	switch {
	case !contact.UpdatedAt.IsZero():
		return contact.UpdatedAt
	case !p.LastSyncedAt.IsZero():
		return p.LastSyncedAt
	}
	return d.Clock()
}

// agreedOf returns what was agreed, and when the side's part of it was saved last.
func agreedOf(rows []store.Agreement, side df.Side) (converge.Agreed, time.Time) {
	agreed, at := converge.Agreed{}, time.Time{}
	for _, a := range rows {
		agreed[a.Side] = converge.Snapshot{ContactID: a.ContactID, Fields: a.Fields, Tags: a.Tags}
		if a.Side == side {
			at = a.UpdatedAt
		}
	}
	return agreed, at
}

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// patience is how many people in a row may fail to be looked at before the walk
// stops until the next sweep: one person must not hold up all others, and a side
// that is down, or out of budget, must not be passed by.
const patience = 3

// people walks the next slice of the people and looks at each on both sides. It
// begins anew when it has been through everybody.
func (d *Desk) people(ctx context.Context, r *run) error {
	state, err := d.Store.SweepState(ctx, overPeople.Direction, overPeople.EntityType)
	if err != nil {
		return err
	}
	state.LastRun = d.Clock()
	failed := 0
	for left := d.Slice; left > 0; {
		page, err := d.Store.People(ctx, store.PersonFilter{Active: true, After: state.Cursor, Limit: min(left, pageSize)})
		if err != nil {
			return err
		}
		for _, row := range page {
			if err := d.person(ctx, r, row); err != nil {
				failed++
				if outcome, _ := df.OutcomeOf(err); outcome != df.Refused && failed == patience || ctx.Err() != nil {
					return errors.Join(err, d.Store.SaveSweepState(context.WithoutCancel(ctx), state))
				}
				state.Cursor = row.ID
				continue
			}
			state.Cursor, failed = row.ID, 0
		}
		left -= len(page)
		whole := len(page) == 0
		if whole {
			state.Cursor, state.LastWhole, state.UpTo = "", d.Clock(), d.Clock()
		}
		if err := d.Store.SaveSweepState(ctx, state); err != nil {
			return err
		}
		if err := r.beat(ctx); err != nil {
			return err
		}
		if whole {
			return nil
		}
	}
	return nil
}

// person looks at one person on both sides.
func (d *Desk) person(ctx context.Context, r *run, row store.Person) error {
	if err := errors.Join(r.ghl.Wait(ctx, 1), r.alow.Wait(ctx, 1)); err != nil {
		return err
	}
	view, err := d.Looker.Look(ctx, row.ID)
	switch {
	case errors.Is(err, people.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("look at a person: %w", err)
	case view.Person.Status == people.Ended:
		return nil
	}
	r.totals.People++
	drift, findings := d.differences(view)
	if len(drift) > 0 {
		r.totals.Differ++
	}
	if err := d.Store.ReplaceDrift(ctx, row.ID, "", drift, d.Clock()); err != nil {
		return err
	}
	return d.Store.AddFindings(ctx, findings)
}

// differences says how the sides of a person differ, and what changed without a
// convergence knowing of it.
func (d *Desk) differences(view converge.View) ([]store.Drift, []store.Finding) {
	var drift []store.Drift
	var findings []store.Finding
	var since time.Time
	for _, side := range []df.Side{df.SideGHL, df.SideAloware} {
		contact, seen := view.Seen[side]
		switch {
		case view.Gone[side]:
			// Nobody's word for it but ours: converge notes it, and believes it
			// in time.
			drift = append(drift, store.Drift{Side: side, Kind: KindContact, Since: d.Clock()})
			if side == df.SideGHL {
				findings = append(findings, store.Finding{Source: df.SourceGHL, Kind: df.KindContactDeleted,
					EntityID: view.Person.GHLContactID, ChangedAt: d.changedAt(df.Contact{}, view.Person), PersonID: view.Person.ID, FoundAt: d.Clock()})
			}
			continue
		case !seen:
			if other := side.Other(); d.Aloware && view.Person.ContactID(side) == "" && view.Person.ContactID(other) != "" {
				drift = append(drift, store.Drift{Side: other, Kind: KindContact, Since: d.earlier(view.Seen[other].UpdatedAt)})
			}
			continue
		}
		if contact.UpdatedAt.After(since) {
			since = contact.UpdatedAt
		}
		if changed := converge.Changed(view.Agreed, side, contact); len(changed) > 0 {
			findings = append(findings, d.finding(side, contact, view.Person, changed))
		}
	}
	if len(view.Seen) == 2 {
		p := d.Looker.Compare(view.Agreed, view.Seen)
		drift = append(drift, Classify(view.Agreed, view.Seen, p, d.earlier(since))...)
	}
	return drift, findings
}

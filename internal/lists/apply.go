package lists

import (
	"context"
	"fmt"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// NotApplied is the kind of problem of a change that was tried too often.
const NotApplied = "not_applied"

func refusedList(m Membership) Problem {
	return Problem{UnknownList, fmt.Sprintf("Aloware refuses the id of %s; enter the id that the classic admin pages show, then rebuild",
		ListName(m.AgentKey, m.ListKey))}
}

// bring makes the calls that the person's lists need, if any, and says in the
// work's state how that went.
func (d *Desk) bring(ctx context.Context, w *work) error {
	w.state, w.detail = Settled, ""
	change := Diff(w.holding, w.intent.possible())
	switch {
	case !d.Apply || d.Dialer == nil:
		w.state, w.detail = Off, "ENABLE_POWER_DIALER_LISTS is off, so nothing is sent"
		return nil
	case w.intent.Leave:
		w.state, w.detail = Blocked, w.intent.Agent.Problem
		return nil
	}
	if err := d.leaveFormer(ctx, w); err != nil {
		return err
	}
	switch {
	case change.Empty():
		if len(w.intent.Refused) > 0 {
			w.state, w.detail = Blocked, "Aloware refuses the id of a list"
		}
		return nil
	case w.turn.Aloware == nil || w.turn.Aloware.ID == "" || w.turn.Aloware.Phone() == "":
		w.state, w.detail = Blocked, "the person has no contact at Aloware that could be listed"
		return nil
	}
	if len(change.Dropped) > 0 && w.facts.Barred == "" {
		held, err := d.braked(ctx, w)
		if held || err != nil {
			return err
		}
		w.moved = true
	}
	return d.change(ctx, w, change)
}

// change clears and adds. What the calls touch is marked as not sure before, and
// is sure after.
func (d *Desk) change(ctx context.Context, w *work, c Change) error {
	started, after := d.Clock(), w.holding
	if err := d.keepHolding(ctx, w, during(w.holding, c)); err != nil {
		return err
	}
	if c.Clear {
		if err := d.dialer(w.facts.Barred != "").RemoveFromAllLists(ctx, w.turn.Aloware.ID); err != nil {
			w.note(d, started, "error", "take off all lists", err)
			return unlessRefused(err, w)
		}
		after = cleared()
	}
	added, err := d.add(ctx, w, c.Add)
	after = after.with(added)
	if len(added) > 0 {
		late, gateErr := d.barred(ctx, w.turn, consent.ChannelList)
		if late != "" || gateErr != nil {
			return d.takeBack(ctx, w, started, late, gateErr)
		}
	}
	if err != nil {
		w.note(d, started, "error", "add to lists", err)
		return unlessRefused(err, w)
	}
	w.holding = after
	w.note(d, started, "success", describe(c, added), nil)
	if len(w.intent.Refused) > 0 {
		w.state, w.detail = Blocked, "Aloware refuses the id of a list"
	}
	return nil
}

// takeBack undoes an add that an opt-out overtook.
func (d *Desk) takeBack(ctx context.Context, w *work, started time.Time, barred string, gateErr error) error {
	err := d.dialer(true).RemoveFromAllLists(ctx, w.turn.Aloware.ID)
	if err == nil {
		err = gateErr // consent cannot be read: nobody stays added
	}
	if err != nil {
		w.note(d, started, "error", "take off all lists again", err)
		return err
	}
	w.facts.Barred = barred
	w.intent = Desired(w.facts, w.setup, d.Clock())
	w.holding = cleared()
	w.note(d, started, "success", "taken off all lists again: "+barred, nil)
	return nil
}

// add puts the contact on lists, with one call where Aloware takes all of them.
// A list that it refuses does not keep the others out.
func (d *Desk) add(ctx context.Context, w *work, wanted []Membership) ([]Membership, error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	ids := make([]string, len(wanted))
	for i, m := range wanted {
		ids[i] = m.ListID
	}
	err := d.Dialer.AddToLists(ctx, w.turn.Aloware.Phone(), ids...)
	switch {
	case err == nil:
		return wanted, nil
	case !df.IsCode(err, df.CodeInvalid):
		return nil, err
	case len(wanted) == 1:
		w.intent.Refused = append(w.intent.Refused, wanted[0].ListID)
		w.problems = append(w.problems, refusedList(wanted[0]))
		return nil, nil
	}
	var added []Membership
	for _, m := range wanted {
		one, err := d.add(ctx, w, []Membership{m})
		added = append(added, one...)
		if err != nil {
			return added, err
		}
	}
	return added, nil
}

// dialer is the way to Aloware: what consent asks for has its share of the budget.
func (d *Desk) dialer(urgent bool) Dialer {
	if urgent && d.Urgent != nil {
		return d.Urgent
	}
	return d.Dialer
}

// unlessRefused keeps a refusal as a problem, since trying again changes nothing,
// and returns every other error.
func unlessRefused(err error, w *work) error {
	outcome, _ := df.OutcomeOf(err)
	if outcome != df.Refused || df.IsCode(err, df.CodeUnauthorized) || df.IsCode(err, df.CodeRateLimited) {
		return err
	}
	w.state, w.detail = Blocked, safe(err)
	w.problems = append(w.problems, Problem{NotApplied, "Aloware refuses the change: " + safe(err)})
	return nil
}

// leaveFormer takes the contact that the person had at Aloware before off its
// lists, unless it is somebody else's by now.
func (d *Desk) leaveFormer(ctx context.Context, w *work) error {
	former := w.row.AlowareContactID
	if former == "" || former == w.turn.Person.AlowareContactID {
		return nil
	}
	return d.vacate(ctx, w, former)
}

// vacate takes an Aloware contact off all lists that it is known to be on, if
// nobody who is active has it.
func (d *Desk) vacate(ctx context.Context, w *work, alowareID string) error {
	row, holding, err := d.held(ctx, alowareID, people.Person{})
	if err != nil || len(holding.Lists) == 0 || d.Dialer == nil {
		return err
	}
	owner, err := store.PersonByContact(ctx, d.Store, df.SideAloware, alowareID)
	if err == nil && owner.EndedAt.IsZero() && owner.ID != w.turn.Person.ID {
		return nil // that person's own turn sees to it
	}
	if err := ignoreMissing(err); err != nil {
		return err
	}
	started := d.Clock()
	if err := d.dialer(true).RemoveFromAllLists(ctx, alowareID); err != nil {
		w.note(d, started, "error", "take the former contact off all lists", err)
		return unlessRefused(err, w)
	}
	w.note(d, started, "success", "took the former contact off all lists", nil)
	return d.Store.InTx(ctx, func(tx store.Tx) error {
		row.AlowareContactID, row.PersonID, row.Lists, row.Redo, row.UpdatedAt = alowareID, w.turn.Person.ID, "[]", false, d.Clock()
		return store.SaveListHolding(ctx, tx, row)
	})
}

// end settles the lists of somebody who is gone. Convergence has retired the
// contact at Aloware already, unless somebody else has it.
func (d *Desk) end(ctx context.Context, w *work) error {
	if w.row.PersonID == "" || w.row.State == Ended {
		return nil
	}
	err := d.vacate(ctx, w, w.row.AlowareContactID)
	if err != nil {
		return err
	}
	row := w.row
	row.State, row.Detail, row.Wanted, row.RecheckAt, row.UpdatedAt = Ended, w.turn.Person.EndedReason, "", time.Time{}, d.Clock()
	row.Intent = written(Intent{Wanted: []Membership{}, Said: []Said{}})
	w.holding, w.intent = cleared(), Intent{}
	return d.save(ctx, w, row)
}

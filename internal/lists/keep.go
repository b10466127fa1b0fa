package lists

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// keepHolding writes what is known while calls are under way.
func (d *Desk) keepHolding(ctx context.Context, w *work, h Holding) error {
	return people.FromStore(d.Store.InTx(ctx, func(tx store.Tx) error {
		if err := w.guard(ctx, tx); err != nil {
			return err
		}
		w.holding = h
		return store.SaveListHolding(ctx, tx, d.holdingRow(w))
	}))
}

// guard fails with store.ErrLeaseLost when the lane has another owner by now. A
// zero lease is one that nobody contests.
func (w *work) guard(ctx context.Context, tx store.Tx) error {
	if w.lease == (people.Lease{}) {
		return nil
	}
	return store.Guard(ctx, tx, store.Lease(w.lease))
}

func (d *Desk) holdingRow(w *work) store.ListHolding {
	lists := w.holding.Lists
	if lists == nil {
		lists = []Held{}
	}
	return store.ListHolding{AlowareContactID: w.turn.Person.AlowareContactID, PersonID: w.turn.Person.ID, Lists: written(lists),
		Redo: w.holding.Redo, UpdatedAt: d.Clock()}
}

// save keeps everything about the turn in one transaction, under the lane's lease.
func (d *Desk) save(ctx context.Context, w *work, row store.ListIntent) error {
	return people.FromStore(d.Store.InTx(ctx, func(tx store.Tx) error {
		if err := w.guard(ctx, tx); err != nil {
			return err
		}
		if err := store.SaveListIntent(ctx, tx, row); err != nil {
			return err
		}
		if w.row.Approved != "" && w.moved && row.State == Settled {
			if err := store.ApproveWanted(ctx, tx, row.PersonID, ""); err != nil {
				return err
			}
		}
		if w.turn.Person.AlowareContactID != "" && (w.heldRow.UpdatedAt.IsZero() && len(w.holding.Lists) > 0 || len(w.log) > 0) {
			if err := store.SaveListHolding(ctx, tx, d.holdingRow(w)); err != nil {
				return err
			}
		}
		if err := d.saveOriginals(ctx, tx, w, row); err != nil {
			return err
		}
		if err := d.saveProblems(ctx, tx, w); err != nil {
			return err
		}
		return store.InsertSync(ctx, tx, w.log...)
	}))
}

// saveOriginals fills the tables that operators of the original system query:
// what a contact is known to be on, and whose it is.
func (d *Desk) saveOriginals(ctx context.Context, tx store.Tx, w *work, row store.ListIntent) error {
	now := d.Clock()
	if w.row.ContactID != "" && w.row.ContactID != row.ContactID {
		if err := d.saveMembers(ctx, tx, w.row.ContactID, Holding{}, w, now); err != nil {
			return err
		}
	}
	if row.ContactID == "" {
		return nil
	}
	if err := d.saveMembers(ctx, tx, row.ContactID, w.holding, w, now); err != nil {
		return err
	}
	state := store.AgentState{ContactID: row.ContactID, AgentKey: firstText(row.AgentKey, w.agent.AgentKey), ListStatus: w.agent.ListStatus}
	if d.Sequences != nil {
		state.ListStatus = w.enrolment.Handled
	}
	if state.AgentKey == "" || state == w.agent {
		return nil
	}
	return store.SaveAgentState(ctx, tx, state, now)
}

func (d *Desk) saveMembers(ctx context.Context, tx store.Tx, contactID string, h Holding, w *work, now time.Time) error {
	before, err := store.ListMembersOf(ctx, tx, contactID)
	if err != nil {
		return err
	}
	for _, m := range before {
		still := slices.ContainsFunc(h.Lists, func(k Held) bool { return k.AgentKey == m.AgentKey && k.ListKey == m.ListKey })
		if still {
			continue
		}
		m.Active, m.Reason, m.UpdatedAt = false, w.whyNot(m.ListKey), now
		if err := store.SaveListMember(ctx, tx, m); err != nil {
			return err
		}
	}
	for _, held := range h.Lists {
		if held.Unsure {
			continue
		}
		reason := "as far as known"
		for _, m := range w.intent.Wanted {
			if m.ListID == held.ListID {
				reason = "rule " + m.Rule
			}
		}
		member := store.ListMember{ContactID: contactID, AgentKey: held.AgentKey, ListKey: held.ListKey, Active: true, Reason: reason, UpdatedAt: now}
		if err := store.SaveListMember(ctx, tx, member); err != nil {
			return err
		}
	}
	return nil
}

// whyNot says why the person is not on a list any more.
func (w *work) whyNot(listKey string) string {
	switch {
	case w.turn.Ended:
		return "the person ended"
	case w.facts.Barred != "":
		return w.facts.Barred
	}
	for _, n := range w.intent.NotOn {
		if n.ListKey == listKey {
			return n.Why
		}
	}
	if w.intent.Agent.Key != "" && w.row.AgentKey != "" && w.intent.Agent.Key != w.row.AgentKey {
		return "the person is " + w.intent.Agent.Key + "'s now"
	}
	return "no rule asks for it any more"
}

// topics are where the problems of each kind stand among a person's issues.
var topics = map[string]string{UnknownAgent: "lists/agent", AmbiguousAgent: "lists/agent", UnknownList: "lists/list",
	UnknownStage: "lists/stage", NotApplied: "lists/apply", UnknownSequence: "lists/sequence"}

// saveProblems makes issues of what only an operator can mend, and ends those
// that are over.
func (d *Desk) saveProblems(ctx context.Context, tx store.Tx, w *work) error {
	open := map[string]bool{}
	for _, p := range append(slices.Clone(w.intent.Problems), w.problems...) {
		topic := topics[p.Kind]
		if open[topic] {
			continue // the first of a topic stands for the rest
		}
		open[topic] = true
		side := df.SideAloware
		if topic == "lists/agent" || topic == "lists/stage" {
			side = df.SideGHL
		}
		err := store.PutIssue(ctx, tx, store.Issue{PersonID: w.turn.Person.ID, Topic: topic, Kind: p.Kind, Side: side, Open: true,
			Detail: p.Detail, At: d.Clock()})
		if err != nil {
			return err
		}
	}
	for _, topic := range []string{"lists/agent", "lists/list", "lists/stage", "lists/apply", "lists/sequence"} {
		if open[topic] {
			continue
		}
		if err := store.EndIssue(ctx, tx, w.turn.Person.ID, topic); err != nil {
			return err
		}
	}
	return nil
}

// note adds a row to the sync log.
func (w *work) note(d *Desk, started time.Time, status, what string, err error) {
	if err != nil {
		what += ": " + safe(err)
	}
	w.log = append(w.log, store.SyncRow{ID: d.NewID(), Direction: df.GHLToAloware, EntityType: "list", EntityID: w.turn.Person.ID,
		SourceID: w.turn.Person.GHLContactID, TargetID: w.turn.Person.AlowareContactID, Status: status, StartedAt: started,
		FinishedAt: d.Clock(), Message: what, CorrelationID: w.turn.EventID, PersonID: w.turn.Person.ID, Fields: "lists"})
}

// describe says what a change did.
func describe(c Change, added []Membership) string {
	var parts []string
	names := func(keys []string) string { return strings.Join(keys, ", ") }
	if len(c.Dropped) > 0 {
		var left []string
		for _, h := range c.Dropped {
			left = append(left, h.AgentKey+"/"+h.ListKey)
		}
		parts = append(parts, "left "+names(left))
	} else if c.Clear {
		parts = append(parts, "written anew")
	}
	var on []string
	for _, m := range added {
		on = append(on, m.AgentKey+"/"+m.ListKey+" (rule "+m.Rule+")")
	}
	if len(on) > 0 {
		parts = append(parts, "added to "+names(on))
	}
	if len(parts) == 0 {
		return "nothing could be written"
	}
	return strings.Join(parts, "; ")
}

package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Settling is how long a message is left to its webhook before a sweep looks at it.
const Settling = 2 * time.Minute

// heardFor is how long a message that a sweep put among the events keeps its
// place: longer than any walk reaches back.
const heardFor = 60 * 24 * time.Hour

// firstReach is how far the first walk over the messages goes back. What was said
// before we were there is the business of an import.
const firstReach = 24 * time.Hour

// messages walks the texts and calls that GHL exports and puts those that we never
// heard of among the events. An opt-out among them takes effect with that, and the
// person's timeline shows them. Nothing is sent because of it.
func (d *Desk) messages(ctx context.Context, r *run) error {
	if d.Exporter == nil {
		return nil
	}
	state, err := d.Store.SweepState(ctx, overMessages.Direction, overMessages.EntityType)
	if err != nil {
		return err
	}
	now := d.Clock()
	if state.UpTo.IsZero() {
		state.UpTo = now.Add(-firstReach)
	}
	walk := Walk{State: state}
	walk.Start(now)
	for over := false; !over; {
		if err := r.ghl.Wait(ctx, 1); err != nil {
			return err
		}
		page, next, err := d.Exporter.Exported(ctx, walk.State.Cursor, pageSize)
		if err != nil {
			return fmt.Errorf("export GHL's messages: %w", err)
		}
		if err := d.messagePage(ctx, r, &walk, page); err != nil {
			return err
		}
		last := now
		if len(page) > 0 {
			last = page[len(page)-1].AddedAt
		}
		if last.After(now.Add(-Settling)) {
			last = now.Add(-Settling)
		}
		over = walk.Turn(next, last, d.Clock())
		if err := d.Store.SaveSweepState(ctx, walk.State); err != nil {
			return err
		}
		if err := r.beat(ctx); err != nil {
			return err
		}
	}
	return nil
}

// messagePage hears the messages of one page that we never heard of.
func (d *Desk) messagePage(ctx context.Context, r *run, walk *Walk, page []Message) error {
	byID := map[string]Message{}
	var ids []string
	settled := d.Clock().Add(-Settling)
	for _, m := range page {
		if m.ID == "" || m.AddedAt.After(settled) || !walk.Meets(m.AddedAt) {
			continue
		}
		r.totals.Messages++
		if !m.Ours {
			byID[m.ID], ids = m, append(ids, m.ID)
		}
	}
	unheard, err := d.Store.UnheardMessages(ctx, ids)
	if err != nil {
		return err
	}
	for i := len(ids) - 1; i >= 0; i-- { // the oldest first, as they would have come
		if unheard[ids[i]] {
			if err := d.hear(ctx, r, byID[ids[i]]); err != nil {
				return err
			}
		}
	}
	return nil
}

// hear puts one message among the events.
func (d *Desk) hear(ctx context.Context, r *run, m Message) error {
	if err := r.ghl.Wait(ctx, 1); err != nil {
		return err
	}
	e, err := m.Event(ctx)
	if df.IsCode(err, df.CodeNotFound) {
		return nil // its contact is gone
	}
	if err != nil {
		return fmt.Errorf("read who a message is from: %w", err)
	}
	now := d.Clock()
	e.ID, e.ReceivedAt, e.Route, e.Status = d.NewID(), now, store.RouteSweep, df.Pending
	if e.Notice.Skip != "" {
		e.Status, e.Reason = df.Skipped, e.Notice.Skip
	}
	key := string(e.Source) + ":sweep:" + m.ID
	e.DedupeKey = key
	accepted, err := d.Accepter.Accept(ctx, []store.Delivery{{Event: e, DedupeKey: key, DedupeUntil: now.Add(heardFor)}}, now)
	if err != nil {
		return err
	}
	if len(accepted) == 1 && !accepted[0].Duplicate {
		r.totals.Unheard++
	}
	return d.Store.AddFindings(ctx, []store.Finding{{Source: e.Source, Kind: e.Notice.Kind, EntityID: m.ID,
		ChangedAt: m.AddedAt, FoundAt: now}})
}

package legacy

import (
	"context"
	"errors"
	"slices"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	original "github.com/df-middleware/dfm/internal/store/legacy"
)

const textTable = "texting_webhook_events"

// Verified is what imported events show in place of a proof: whether the original
// had checked any is not known.
const Verified = "legacy-import"

// Why an imported event is not worked.
const (
	reasonArchived    = "from the original system; what it announced is found by the sweep"
	reasonWorked      = "from the original system, which had worked it"
	reasonQuarantined = "from the original system, where it was put aside"
	reasonNever       = "from the original system; it would act on others than contacts, so it is not replayed"
)

// never are the kinds that no replay may work: they text people, or change what
// app is installed, by a word that is as old as the archive.
var never = []df.Kind{df.KindProviderDelivery, df.KindInstall, df.KindUninstall, df.KindPing}

// events stores a table of webhooks and hears what its texts say about consent,
// in one transaction for each batch.
func (r *run) events(ctx context.Context, t *Table) error {
	return r.Source.Events(ctx, t.Name, store.MaxBatch, func(rows []original.Event) error {
		c := tally{read: int64(len(rows))}
		kept, old := r.sorted(t.Name, rows, &c)
		if err := r.hearOld(ctx, old, &c); err != nil {
			return err
		}
		if err := r.accept(ctx, kept, &c); err != nil {
			return err
		}
		return r.counted(ctx, t, c)
	})
}

// sorted makes events of rows, apart from those that retention would delete at
// once: these are only heard.
func (r *run) sorted(table string, rows []original.Event, c *tally) (kept, old []df.Event) {
	for _, o := range rows {
		e, why := r.event(table, o)
		if why != "" {
			c.refuse(why, row(o.ID, ""))
			continue
		}
		if h, ok := r.heard(e); ok && table == textTable && stops(h) {
			r.stopped[h.Notice.Phone] = true
		}
		if r.tooOld(e.ReceivedAt, r.Keep.History) {
			c.refuse("it is older than DFM_RETENTION_HISTORY_DAYS; its words were read all the same", row(o.ID, ""))
			old = append(old, e)
			continue
		}
		if r.tooOld(e.ReceivedAt, r.Keep.Payloads[e.Source]) && !e.Status.Open() {
			c.remark("its body is older than DFM_RETENTION_PAYLOAD_DAYS and goes with the next sweep of retention", row(o.ID, ""))
		}
		kept = append(kept, e)
	}
	return kept, old
}

// event is a row as an event of ours, with the route that takes its like here.
func (r *run) event(table string, o original.Event) (df.Event, string) {
	route := string(o.Source)
	switch o.Source {
	case df.SourceGHL, df.SourceAloware, df.SourceTexting, df.SourceBroadcast:
	default:
		return df.Event{}, "it comes from no source that we know"
	}
	if len(o.Payload) == 0 {
		return df.Event{}, "it has no body"
	}
	e := df.Event{
		ReceivedAt: r.since(o.ReceivedAt), Source: o.Source, Route: route, Raw: o.Payload, Status: df.Skipped, Reason: reasonArchived,
		Verified: Verified, DedupeKey: "legacy:" + table + ":" + o.ID,
	}
	e.ID = store.PastID(o.ReceivedAt, table, o.ID)
	e.Notice = r.Decode(e)
	if e.Notice.Type == "" {
		e.Notice.Type = o.Type
	}
	if e.Notice.EntityID == "" {
		e.Notice.EntityType, e.Notice.EntityID = o.EntityType, realID(o.EntityID)
	}
	switch {
	case o.Quarantined:
		e.Reason = reasonQuarantined
	case o.Status == "done" || o.Status == "skipped":
		e.Reason = reasonWorked
	case e.Notice.Skip != "":
		e.Reason = e.Notice.Skip
	case r.Replay && slices.Contains(never, e.Notice.Kind):
		e.Reason = reasonNever
	case r.Replay:
		e.Status, e.Reason = df.Pending, ""
	}
	return e, ""
}

// heard is what an event says in words about consent, as from an archive.
func (r *run) heard(e df.Event) (consent.Heard, bool) {
	h, ok := r.Said(e)
	h.Notice.OccurredAt, h.Notice.Contact, h.HeardAt = e.ReceivedAt, nil, r.Clock()
	return h, ok && h.Notice.Phone != ""
}

func stops(h consent.Heard) bool {
	return h.Carrier == consent.Stop || h.Carrier == consent.None && consent.Classify(h.Text, false).Act == consent.Stop
}

// accept stores the events that are not here yet.
func (r *run) accept(ctx context.Context, events []df.Event, c *tally) error {
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	known, err := store.KnownEvents(ctx, r.Store, ids)
	if err != nil {
		return err
	}
	now := r.Clock()
	var fresh []store.Delivery
	for _, e := range events {
		if !known[e.ID] {
			// The id keeps it from coming twice; the key need not be remembered.
			fresh = append(fresh, store.Delivery{Event: e, DedupeKey: e.DedupeKey, DedupeUntil: now})
		}
	}
	c.already += int64(len(events) - len(fresh))
	if len(fresh) == 0 {
		return nil
	}
	var heard tally
	_, err = r.Store.AcceptWith(ctx, fresh, now, func(ctx context.Context, tx store.Tx, fresh []df.Event) error {
		heard = tally{}
		return r.hear(ctx, tx, fresh, &heard)
	})
	if err != nil && !errors.Is(err, errDry) {
		return err
	}
	c.imported += int64(len(fresh))
	c.join(heard)
	return nil
}

// hearOld hears events that are not stored.
func (r *run) hearOld(ctx context.Context, events []df.Event, c *tally) error {
	if len(events) == 0 {
		return nil
	}
	var heard tally
	err := r.Store.InTx(ctx, func(tx store.Tx) error {
		heard = tally{}
		return r.hear(ctx, tx, events, &heard)
	})
	if err != nil && !errors.Is(err, errDry) {
		return err
	}
	c.join(heard)
	return nil
}

// hear keeps what the events say about consent. It is the last of its
// transaction, which it takes back in a dry run.
func (r *run) hear(ctx context.Context, tx store.Tx, events []df.Event, c *tally) error {
	var all []consent.Heard
	for _, e := range events {
		if h, ok := r.heard(e); ok {
			all = append(all, h)
		}
	}
	done, err := r.Recorder.HearArchived(ctx, tx, all)
	if err != nil {
		return err
	}
	for _, kept := range done {
		switch {
		case kept.EventID == "":
		case kept.Kind == consent.Stop:
			c.stops++
		case kept.Kind == consent.Note:
			c.ask(consent.ReviewArchivedStart)
		}
	}
	if r.DryRun {
		return errDry
	}
	return nil
}

package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/appointments"
	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/ghl"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// appointing keeps what GHL tells of appointments and opportunities.
type appointing struct {
	store  *store.Store
	ghl    ghl.Decoder
	names  *ghlOpportunities // of pipelines and stages; nil when GHL is not configured
	verity bool              // whether figures of broadcasts can be asked for anew
	clock  df.Clock
}

// buildAppointments makes it. It must be there after what knows pipelines.
func (a *App) buildAppointments() error {
	k := &appointing{store: a.store, verity: a.token != nil, clock: a.clock,
		ghl: ghl.Decoder{Region: a.config.Region, LocationID: a.config.GHL.LocationID}}
	if a.sync.ghl != nil {
		k.names = &ghlOpportunities{client: a.sync.ghl, clock: a.clock}
	}
	a.sync.handler.Effects = append(a.sync.handler.Effects, k)
	return nil
}

var _ converge.Effects = (*appointing)(nil)

// Wants implements converge.Effects.
func (k *appointing) Wants(e df.Event) (wanted, contact bool) {
	return e.Source == df.SourceGHL && (e.Notice.Kind == df.KindAppointment || e.Notice.Kind == df.KindOpportunity), false
}

// Owner implements converge.Effects: an item that names no contact any more, as
// in a deletion, is whose it was.
func (k *appointing) Owner(ctx context.Context, e df.Event) (string, error) {
	b, ok := k.ghl.Booking(e.Raw)
	if !ok {
		return "", nil
	}
	item, err := store.ItemByID(ctx, k.store, string(kindOf(e)), b.ID)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return item.PersonID, err
}

// Witness implements converge.Effects.
func (k *appointing) Witness(context.Context, string, df.Event) error { return nil }

func kindOf(e df.Event) appointments.Kind {
	if e.Notice.Kind == df.KindOpportunity {
		return appointments.Opportunity
	}
	return appointments.Appointment
}

// recomputeWithin is how long after its last news a broadcast may have led to an
// appointment. Which broadcasts a person got only Verity knows, so all that are
// recent are asked for anew; what waits together costs one look each.
const (
	recomputeWithin = 14 * 24 * time.Hour
	recomputeMost   = 50
)

// Do implements converge.Effects.
func (k *appointing) Do(ctx context.Context, lease people.Lease, p people.Person, e df.Event) (converge.Outcome, error) {
	b, ok := k.ghl.Booking(e.Raw)
	if !ok {
		return converge.Outcome{Status: df.Skipped, Reason: "names no " + string(kindOf(e))}, nil
	}
	kind := kindOf(e)
	telling, err := k.telling(ctx, e, b)
	if err == nil {
		err = k.keep(ctx, lease, p, kind, b, telling)
	}
	if err == nil && kind == appointments.Appointment && k.verity {
		err = k.recompute(ctx)
	}
	switch {
	case errors.Is(err, people.ErrLeaseLost):
		return converge.Outcome{}, err
	case err != nil:
		_, retryAt := df.OutcomeOf(err)
		return converge.Outcome{Status: df.Failed, Error: df.AsError(err).Error(), RetryAt: retryAt}, nil
	}
	return converge.Outcome{Status: df.Done}, nil
}

// telling reads what the event tells. GHL's opportunities do not say when they
// changed; the time of the webhook is the best there is.
func (k *appointing) telling(ctx context.Context, e df.Event, b ghl.Booking) (appointments.Telling, error) {
	t := appointments.Telling{At: b.ChangedAt, Event: e.Notice.Type, Deleted: b.Deleted, Values: map[string]string{}}
	for _, at := range []time.Time{e.Notice.OccurredAt, e.ReceivedAt} {
		if t.At.IsZero() {
			t.At = at
		}
	}
	// A deletion repeats when the thing was changed last, which was before.
	if b.Deleted && !e.Notice.OccurredAt.IsZero() {
		t.At = e.Notice.OccurredAt
	}
	t.At = t.At.UTC()
	put := func(name, value string) {
		if value != "" {
			t.Values[name] = value
		}
	}
	put(appointments.Status, b.Status)
	put(appointments.Title, b.Title)
	put(appointments.Owner, b.Owner)
	put(appointments.Source, b.Source)
	put(appointments.Calendar, b.CalendarID)
	put(appointments.Value, b.Value)
	put(appointments.Start, stamp(b.Start))
	put(appointments.End, stamp(b.End))
	if b.StageID == "" {
		return t, nil
	}
	put(appointments.Pipeline, b.PipelineID)
	put(appointments.Stage, b.StageID)
	if k.names == nil {
		return t, nil
	}
	pipeline, stage, err := k.names.names(ctx, ghl.Opportunity{PipelineID: b.PipelineID, StageID: b.StageID})
	put(appointments.Pipeline, pipeline)
	put(appointments.Stage, stage)
	return t, err
}

func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

// keep joins the telling to what was told before.
func (k *appointing) keep(ctx context.Context, lease people.Lease, p people.Person, kind appointments.Kind, b ghl.Booking, t appointments.Telling) error {
	return people.FromStore(k.store.InTx(ctx, func(tx store.Tx) error {
		if err := store.Guard(ctx, tx, store.Lease(lease)); err != nil {
			return err
		}
		now := k.clock()
		item, err := store.ItemByID(ctx, tx, string(kind), b.ID)
		if errors.Is(err, store.ErrNotFound) {
			item, err = store.Item{Kind: string(kind), ID: b.ID, CreatedAt: now, Told: "[]"}, nil
		}
		if err != nil {
			return err
		}
		told, err := tellingsOf(item)
		if err != nil {
			return err
		}
		told = appointments.Join(told, []appointments.Telling{t})
		state := appointments.StateOf(told)
		text, err := json.Marshal(told)
		if err != nil {
			return fmt.Errorf("keep what was told of an %s: %w", kind, err)
		}
		item.PersonID, item.GHLContactID, item.Told = p.ID, p.GHLContactID, string(text)
		item.Standing, item.StartsAt = appointments.Standing(kind, state), state.Time(appointments.Start)
		item.ChangedAt, item.UpdatedAt = state.ChangedAt, now
		return store.SaveItem(ctx, tx, item)
	}))
}

func tellingsOf(item store.Item) ([]appointments.Telling, error) {
	var told []appointments.Telling
	if err := json.Unmarshal([]byte(item.Told), &told); err != nil {
		return nil, fmt.Errorf("read what was told of an %s: %w", item.Kind, err)
	}
	return told, nil
}

// recompute has the figures of recent broadcasts asked for anew.
func (k *appointing) recompute(ctx context.Context) error {
	ids, err := k.store.RecentBroadcasts(ctx, k.clock().Add(-recomputeWithin), recomputeMost)
	for _, id := range ids {
		if err == nil {
			err = k.store.Nudge(ctx, broadcastLane+id, k.clock())
		}
	}
	return err
}

// itemView is an appointment or opportunity as the admin API shows it.
type itemView struct {
	ID           string             `json:"id"`
	Kind         string             `json:"kind"`
	PersonID     string             `json:"personId"`
	GHLContactID string             `json:"ghlContactId"`
	Status       string             `json:"status"`
	Values       map[string]string  `json:"values"`
	History      []appointments.Act `json:"history"`
	ChangedAt    time.Time          `json:"changedAt"`
}

func viewItem(i store.Item) (itemView, error) {
	told, err := tellingsOf(i)
	return itemView{ID: i.ID, Kind: i.Kind, PersonID: i.PersonID, GHLContactID: i.GHLContactID, Status: i.Standing,
		Values: appointments.StateOf(told).Values, History: appointments.History(appointments.Kind(i.Kind), told), ChangedAt: i.ChangedAt}, err
}

// kinds are what pages can show, the usual one first.
var kinds = [...]appointments.Kind{appointments.Appointment, appointments.Opportunity}

func kindAsked(r *http.Request) appointments.Kind {
	if r.URL.Query().Get("kind") == string(appointments.Opportunity) {
		return appointments.Opportunity
	}
	return appointments.Appointment
}

// registerAppointments adds what the admin API shows of them.
func (a *App) registerAppointments(mux *routes, admin func(http.Handler) http.Handler) {
	for pattern, kind := range map[string]appointments.Kind{
		"GET /api/admin/appointments":  appointments.Appointment,
		"GET /api/admin/opportunities": appointments.Opportunity,
	} {
		mux.Handle(pattern, admin(a.answering(pattern, func(r *http.Request) (any, error) { return a.listItems(r, kind) })))
	}
}

func (a *App) listItems(r *http.Request, kind appointments.Kind) (any, error) {
	limit, err := limitFrom(r)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	rows, err := a.store.Items(r.Context(), store.ItemFilter{Kind: string(kind), PersonID: q.Get("personId"), Standing: q.Get("status"),
		Before: q.Get("cursor"), Limit: limit})
	if err != nil {
		return nil, err
	}
	views := make([]itemView, len(rows))
	for i, row := range rows {
		if views[i], err = viewItem(row); err != nil {
			return nil, err
		}
	}
	if len(rows) == limit {
		return listed(views, rows[len(rows)-1].ID), nil
	}
	return listed(views, nil), nil
}

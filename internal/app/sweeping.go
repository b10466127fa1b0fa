package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/ghl"
	"github.com/df-middleware/dfm/internal/queue"
	"github.com/df-middleware/dfm/internal/reconcile"
	"github.com/df-middleware/dfm/internal/store"
)

// SweepsConfig is when sweeps run.
type SweepsConfig struct {
	Interval time.Duration // 0 for never by themselves
}

func (s *settings) sweeps() SweepsConfig {
	return SweepsConfig{Interval: s.duration("RECONCILE_INTERVAL", 15*time.Minute, 0)}
}

// sweeping is everything about sweeps.
type sweeping struct {
	desk *reconcile.Desk
	ask  chan string // jobs that an operator asks for; one waits at most
}

// buildSweeps makes it. Half of each account's budget is a sweep's at most.
func (a *App) buildSweeps() error {
	d := &reconcile.Desk{
		Store: a.store, Looker: a.sync.converger, Accepter: unannounced{a.store, a.texts}, Meet: a.sync.meetNew,
		Aloware: a.sync.aloware != nil, Clock: a.clock, NewID: a.newID, Log: a.log,
	}
	every := time.Duration(0)
	if a.sync.ghl != nil {
		d.Lister = a.sync.ghlSide
		d.Exporter = exporter{a.store, a.sync.ghl, a.sync.ghlSide, a.texts.ghl, a.config.GHL.LocationID}
		d.GHLEvery = 2 * 10 * time.Second / time.Duration(max(1, a.config.GHL.RatePer10s))
		every = d.GHLEvery
	}
	if d.Aloware {
		d.AlowareEvery = 2 * time.Second / time.Duration(max(1, a.config.Aloware.RatePerSecond))
		every = max(every, d.AlowareEvery)
	}
	d.Slice = slice(a.config.Sweeps.Interval, every)
	a.sweeps = &sweeping{desk: d, ask: make(chan string, 1)}
	return nil
}

// slice is how many people a sweep looks at, so that it ends well before the next
// one begins, and before the queue's patience with a schedule does.
func slice(interval, every time.Duration) int {
	if interval <= 0 || interval > 20*time.Minute {
		interval = 20 * time.Minute
	}
	if every <= 0 {
		return 10_000
	}
	return max(50, int(interval*6/10/every))
}

// sweepSchedule is the sweep that runs by itself.
func (a *App) sweepSchedule() []queue.Schedule {
	if a.config.Sweeps.Interval <= 0 {
		return nil
	}
	return []queue.Schedule{{Name: "reconcile", Every: a.config.Sweeps.Interval, Run: a.sweep}}
}

// sweep runs one, unless one is under way.
func (a *App) sweep(ctx context.Context) error {
	_, err := a.sweeps.desk.Sweep(ctx)
	if errors.Is(err, store.ErrRunning) {
		return nil
	}
	return err
}

// sweepOnDemand runs what operators ask for, until the program stops.
func (a *App) sweepOnDemand(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case job := <-a.sweeps.ask:
			work := a.sweeps.desk.Sweep
			if job == reconcile.JobMeasure {
				work = a.sweeps.desk.Measure
			}
			if _, err := work(ctx); err != nil && ctx.Err() == nil {
				a.log.Warn("a run that was asked for did not go through", "job", job, "error", err)
			}
		}
	}
}

// meetNew makes a person of a contact that GHL lists, or returns "" when there is
// no such contact any more.
func (s *syncing) meetNew(ctx context.Context, id string) (string, error) {
	if err := s.meetListed(ctx, id); err != nil {
		return "", err
	}
	p, known, err := s.converger.People.Known(ctx, df.SideGHL, id)
	if err != nil || !known {
		return "", err
	}
	return p.ID, nil
}

// unannounced is the store that hears what a sweep puts among the events. It is
// not forwarded to Verity: what it holds are not the bytes of any sender.
type unannounced struct {
	*store.Store
	texts *texts
}

// Accept implements reconcile.Accepter.
func (u unannounced) Accept(ctx context.Context, deliveries []store.Delivery, now time.Time) ([]store.Accepted, error) {
	return u.AcceptWith(ctx, deliveries, now, u.texts.hear)
}

// exporter is GHL's export of texts and calls as reconcile needs it.
type exporter struct {
	store    *store.Store
	client   *ghl.Client
	side     *ghl.Side
	decoder  ghl.Decoder
	location string
}

// Exported implements reconcile.Exporter.
func (x exporter) Exported(ctx context.Context, cursor string, limit int) ([]reconcile.Message, string, error) {
	rows, next, err := x.client.ExportMessages(ctx, ghl.ExportQuery{Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", err
	}
	page := make([]reconcile.Message, len(rows))
	for i, m := range rows {
		page[i] = reconcile.Message{ID: m.ID, AddedAt: m.AddedAt, Ours: m.AltID != "" || !spoken(m),
			Event: func(ctx context.Context) (df.Event, error) { return x.event(ctx, m) }}
	}
	return page, next, nil
}

// spoken reports whether a message is a text or a call.
func spoken(m ghl.Message) bool {
	kind := strings.TrimPrefix(strings.ToUpper(m.Type), "TYPE_")
	return kind == "SMS" || kind == "CALL"
}

// event makes the event that the message's webhook would have been, in the shape in
// which GHL would have sent it, with the number of its contact.
func (x exporter) event(ctx context.Context, m ghl.Message) (df.Event, error) {
	phone, err := x.phone(ctx, m.ContactID)
	if err != nil {
		return df.Event{}, err
	}
	name := "InboundMessage"
	if strings.EqualFold(m.Direction, "outbound") {
		name = "OutboundMessage"
	}
	body := map[string]any{
		"type": name, "locationId": x.location, "contactId": m.ContactID, "conversationId": m.ConversationID, "messageId": m.ID,
		"body": m.Body, "direction": m.Direction, "messageType": strings.TrimPrefix(strings.ToUpper(m.Type), "TYPE_"),
		"messageTypeString": m.Type, "status": m.Status, "dateAdded": m.AddedAt.UTC().Format("2006-01-02T15:04:05.000Z"),
		"attachments": m.Attachments, "phone": string(phone),
	}
	for key, value := range map[string]string{"source": m.Source, "conversationProviderId": m.ProviderID, "userId": m.UserID, "callStatus": m.CallStatus} {
		if value != "" {
			body[key] = value
		}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return df.Event{}, fmt.Errorf("write down a message that GHL exports: %w", err)
	}
	return df.Event{Source: df.SourceGHL, Notice: x.decoder.Decode(raw), Raw: raw, Headers: map[string]string{}, Verified: "read at GHL"}, nil
}

// phone is the number of a contact: as we know it, else as GHL does.
func (x exporter) phone(ctx context.Context, contactID string) (df.Phone, error) {
	p, err := store.PersonByContact(ctx, x.store, df.SideGHL, contactID)
	if err == nil && p.Phone != "" {
		return p.Phone, nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	contact, err := x.side.Read(ctx, df.Ref{ID: contactID})
	return contact.Phone(), err
}

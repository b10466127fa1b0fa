package app

import (
	"context"
	"time"

	"github.com/df-middleware/dfm/internal/aloware"
	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/ghl"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// consenting is everything that knows and spreads who may be contacted.
type consenting struct {
	recorder *consent.Recorder
	gate     consent.Gate
	fan      *consent.Fan
}

// buildConsent makes it. It must be there before anything that texts.
func (a *App) buildConsent() error {
	s, book := a.sync, consent.Book{Store: a.store}
	c := &consenting{
		recorder: &consent.Recorder{Policy: a.config.Consent, Targets: consent.Targets(s.ghl != nil, s.aloware != nil), Clock: a.clock, NewID: a.newID},
		gate:     consent.Gate{Registry: a.store, People: book, Zones: book, Policy: a.config.Consent, Clock: a.clock},
	}
	c.fan = &consent.Fan{Store: a.store, Recorder: c.recorder, Clock: a.clock, Log: a.log}
	if s.ghl != nil {
		c.fan.GHL = ghlConsent{s.ghlSide, s.ghl}
	}
	if s.aloware != nil {
		c.fan.Aloware = alowareConsent{s.converger.Sides[df.SideAloware], s.aloware.Reserved(), a}
	}
	a.consent = c
	return nil
}

// ghlConsent is how an opt-out reaches GHL.
type ghlConsent struct {
	consent.Contacts
	client *ghl.Client
}

// SetDND implements consent.GHLTarget.
func (g ghlConsent) SetDND(ctx context.Context, contactID string, scope consent.Scope, on bool, reason string) error {
	channel := "SMS"
	if scope == consent.Call {
		channel = "Call"
	}
	return g.client.SetChannel(ctx, contactID, channel, on, reason)
}

// AddTags implements consent.GHLTarget.
func (g ghlConsent) AddTags(ctx context.Context, contactID string, tags []string) error {
	return g.client.AddTags(ctx, contactID, tags)
}

// RemoveTags implements consent.GHLTarget.
func (g ghlConsent) RemoveTags(ctx context.Context, contactID string, tags []string) error {
	return g.client.RemoveTags(ctx, contactID, tags)
}

// alowareConsent is how an opt-out reaches Aloware, out of the share of the
// budget that is kept for it.
type alowareConsent struct {
	consent.Contacts
	*aloware.Client
	app *App
}

// RemoveFromAllLists implements consent.AlowareTarget. The contact's person is
// looked at again, so that what we know of the lists is what happened.
func (a alowareConsent) RemoveFromAllLists(ctx context.Context, contactID string) error {
	if err := a.Client.RemoveFromAllLists(ctx, contactID); err != nil {
		return err
	}
	return a.app.lists.left(ctx, contactID)
}

// linked makes the systems be told that had nobody with the person's numbers
// until now. It runs in the transaction that links a contact.
func linked(clock df.Clock) func(context.Context, store.Tx, people.Person) error {
	return func(ctx context.Context, tx store.Tx, p people.Person) error {
		for _, phone := range append([]df.Phone{p.Phone}, p.OtherPhones...) {
			if phone == "" {
				continue
			}
			if err := consent.Reopen(ctx, tx, phone, clock()); err != nil {
				return err
			}
		}
		return nil
	}
}

const (
	beatEvery = 400 * time.Millisecond
	beatMost  = 50 // of each kind at one beat
)

// beat tells other systems what they must hear soon and beside the lanes: a
// changed consent, and how far texts came. Every worker does; rows are claimed.
func (a *App) beat(ctx context.Context) {
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		_, err := a.consent.fan.Sweep(ctx, beatMost)
		if err == nil {
			_, err = a.texts.desk.Tell(ctx, beatMost)
		}
		if err != nil && !failing && ctx.Err() == nil {
			a.log.Error("other systems cannot be told of opt-outs and delivered texts", "error", err)
		}
		failing = err != nil && ctx.Err() == nil
	}
}

// lateConsent says aloud which systems do not know of an opt-out, long before
// the law's ten business days are over.
func (a *App) lateConsent(ctx context.Context) error {
	late, err := a.consent.fan.Late(ctx, 100)
	for _, l := range late {
		a.log.ErrorContext(ctx, "a system was not told of an opt-out yet", "target", string(l.Target), "phone", l.Phone,
			"since", l.Since, "deadline", l.Deadline, "attempts", l.Attempts, "lastError", l.LastError)
	}
	return err
}

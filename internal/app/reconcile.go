package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/ghl"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// sweepPage is how many contacts one page of a sweep has, the most GHL gives.
const sweepPage = 500

// SyncAll makes everybody converge soon: those that GHL lists and no webhook
// announced, and all that are known. It returns how many were asked for. When
// GHL cannot be listed, those that are known are asked for all the same.
func (s *syncing) SyncAll(ctx context.Context) (int, error) {
	missed := s.discover(ctx)
	asked, after := 0, ""
	for {
		known, err := s.store.People(ctx, store.PersonFilter{After: after, Limit: sweepPage, Active: true})
		if err != nil {
			return asked, errors.Join(missed, err)
		}
		for _, p := range known {
			if err := s.store.Nudge(ctx, store.PersonLane(p.ID), s.clock()); err != nil {
				return asked, errors.Join(missed, err)
			}
			asked, after = asked+1, p.ID
		}
		if len(known) < sweepPage {
			return asked, missed
		}
	}
}

// discover makes people of the contacts that GHL has and nobody announced. It
// pages from the contact that was updated longest ago: one that is edited
// meanwhile moves to the end, where the sweep still finds it. A contact that
// cannot be met does not keep the others out; the first such failure is
// returned. Aloware lists nobody, so a contact that only Aloware has is met by
// its webhooks or when an operator names its phone.
func (s *syncing) discover(ctx context.Context) error {
	if s.ghl == nil {
		return nil
	}
	var failed error
	query := ghl.SearchQuery{OldestFirst: true, Limit: sweepPage}
	for {
		page, next, err := s.ghl.SearchContacts(ctx, query)
		if err != nil {
			return fmt.Errorf("list GHL's contacts: %w", err)
		}
		for _, row := range page {
			if err := s.meetListed(ctx, row.ID); err != nil && failed == nil {
				failed = err
			}
		}
		if next == "" || ctx.Err() != nil {
			return failed
		}
		query.Cursor = next
	}
}

// meetListed makes a person of a contact that nobody has. One whose mapping
// ended stays ended. The search index lags behind, so a row only says that the
// contact is there; who it is is read from the contact itself, as for a webhook.
func (s *syncing) meetListed(ctx context.Context, id string) error {
	_, known, err := s.converger.People.Known(ctx, df.SideGHL, id)
	if known || err != nil {
		return err
	}
	contact, err := s.ghlSide.Read(ctx, df.Ref{ID: id})
	if df.IsCode(err, df.CodeNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read a contact that GHL lists: %w", err)
	}
	_, err = s.converger.People.Identify(ctx, people.Lease{}, people.Clue{
		Side: df.SideGHL, ContactID: contact.ID, Phone: contact.Phone(), Email: converge.Form(df.Email, contact.Get(df.Email)),
	})
	if err != nil {
		return fmt.Errorf("identify a contact that GHL lists: %w", err)
	}
	return nil
}

package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Item is an appointment or an opportunity of GHL. The appointments room gives
// what was told its meaning.
type Item struct {
	Kind         string
	ID           string
	PersonID     string
	GHLContactID string
	Standing     string
	StartsAt     time.Time // zero for what has no time
	Told         string    // JSON
	ChangedAt    time.Time
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

const itemColumns = `kind, id, person_id, ghl_contact_id, standing, starts_at, told, changed_at, created_at, updated_at`

func scanItem(row Row) (Item, error) {
	var i Item
	err := row.Scan(&i.Kind, &i.ID, &i.PersonID, &i.GHLContactID, &i.Standing, scanTime(&i.StartsAt), &i.Told, scanTime(&i.ChangedAt),
		scanTime(&i.CreatedAt), scanTime(&i.UpdatedAt))
	return i, err
}

// ItemByID returns an item, or ErrNotFound.
func ItemByID(ctx context.Context, q Querier, kind, id string) (Item, error) {
	i, err := scanItem(q.Row(ctx, `SELECT `+itemColumns+` FROM crm_items WHERE kind = $1 AND id = $2`, kind, id))
	if errors.Is(err, ErrNoRows) {
		return i, ErrNotFound
	}
	if err != nil {
		return i, fmt.Errorf("read %s: %w", kind, err)
	}
	return i, nil
}

// SaveItem writes an item, new or not. The caller works the person's lane.
func SaveItem(ctx context.Context, tx Tx, i Item) error {
	_, err := tx.Exec(ctx, `INSERT INTO crm_items (`+itemColumns+`) VALUES `+tuples(1, 10, 0)+`
		ON CONFLICT (kind, id) DO UPDATE SET person_id = excluded.person_id, ghl_contact_id = excluded.ghl_contact_id,
			standing = excluded.standing, starts_at = excluded.starts_at, told = excluded.told, changed_at = excluded.changed_at,
			updated_at = excluded.updated_at`,
		i.Kind, i.ID, i.PersonID, i.GHLContactID, i.Standing, i.StartsAt, i.Told, i.ChangedAt, i.CreatedAt, i.UpdatedAt)
	if err != nil {
		return fmt.Errorf("save %s: %w", i.Kind, err)
	}
	return nil
}

// ItemFilter selects items. Kind is required; other zero fields select all.
type ItemFilter struct {
	Kind     string
	PersonID string
	Standing string
	Before   string // id of the last row of the page before
	Limit    int
}

// Items lists items, the one that changed last first.
func (s *Store) Items(ctx context.Context, f ItemFilter) ([]Item, error) {
	terms, args := []string{"kind = $1"}, []any{f.Kind}
	add := func(term string, value any) {
		args = append(args, value)
		terms = append(terms, fmt.Sprintf(term, len(args)))
	}
	if f.PersonID != "" {
		add("person_id = $%d", f.PersonID)
	}
	if f.Standing != "" {
		add("standing = $%d", f.Standing)
	}
	if f.Before != "" {
		add("(changed_at, id) < (SELECT changed_at, id FROM crm_items WHERE kind = $1 AND id = $%d)", f.Before)
	}
	args = append(args, max(1, min(f.Limit, 1000)))
	var items []Item
	err := s.Each(ctx, `SELECT `+itemColumns+` FROM crm_items WHERE `+strings.Join(terms, " AND ")+
		fmt.Sprintf(` ORDER BY changed_at DESC, id DESC LIMIT $%d`, len(args)), args, func(row Row) error {
		i, err := scanItem(row)
		items = append(items, i)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list %ss: %w", f.Kind, err)
	}
	return items, nil
}

// RecentBroadcasts lists the ids of broadcasts that changed since the given time.
func (s *Store) RecentBroadcasts(ctx context.Context, since time.Time, limit int) ([]string, error) {
	var ids []string
	err := s.Each(ctx, `SELECT id FROM broadcasts WHERE updated_at >= $1 ORDER BY updated_at DESC LIMIT $2`, []any{since, limit},
		func(row Row) error {
			var id string
			err := row.Scan(&id)
			ids = append(ids, id)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("list recent broadcasts: %w", err)
	}
	return ids, nil
}

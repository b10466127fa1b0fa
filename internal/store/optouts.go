package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// ConsentRow is one row of optout_registry as operators see it.
type ConsentRow struct {
	ID string
	Consent
	CreatedAt time.Time
	UpdatedAt time.Time
}

// ConsentRowFilter selects rows of optout_registry. Zero fields select all.
type ConsentRowFilter struct {
	ID     string
	Phone  string // E.164
	Status string // opted_out or opted_in, of texts or calls
	Text   string // in the number, the source or the reason
	After  string // id of the last row of the page before
	Limit  int
}

// ConsentRows lists the registry, the newest number first.
func (s *Store) ConsentRows(ctx context.Context, f ConsentRowFilter) ([]ConsentRow, error) {
	terms, args := []string{"1 = 1"}, []any{}
	add := func(term string, value any) {
		args = append(args, value)
		terms = append(terms, strings.ReplaceAll(term, "?", fmt.Sprintf("$%d", len(args))))
	}
	if f.ID != "" {
		add("id = ?", f.ID)
	}
	if f.Phone != "" {
		add("phone_number = ?", f.Phone)
	}
	if f.Status != "" {
		add("(status = ? OR call_status = ?)", f.Status)
	}
	if f.Text != "" {
		add(`(phone_number LIKE ? ESCAPE '\' OR lower(source) LIKE ? ESCAPE '\' OR lower(reason) LIKE ? ESCAPE '\')`,
			"%"+likeEscape(strings.ToLower(f.Text))+"%")
	}
	if f.After != "" {
		add("id < ?", f.After)
	}
	args = append(args, max(1, min(f.Limit, 1000)))
	var rows []ConsentRow
	err := s.Each(ctx, `SELECT id, created_at, updated_at, `+consentColumns+` FROM optout_registry WHERE `+
		strings.Join(terms, " AND ")+fmt.Sprintf(` ORDER BY id DESC LIMIT $%d`, len(args)), args, func(row Row) error {
		var r ConsentRow
		c := &r.Consent
		err := row.Scan(&r.ID, scanTime(&r.CreatedAt), scanTime(&r.UpdatedAt), &c.Phone, &c.Status, scanText(&c.CallStatus),
			&c.Source, scanText(&c.Reason), scanTime(&c.LastEventAt))
		rows = append(rows, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list opt-outs: %w", err)
	}
	return rows, nil
}

package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// MessageFilter selects texts. Zero fields select everything.
type MessageFilter struct {
	IDs         []string
	PersonID    string
	Phone       df.Phone  // on either end
	From, Until time.Time // kept at or after, kept before
	Before      string    // id of the last row of the page before
	Limit       int
}

// Messages lists texts, those that we heard of last first: ids begin with their
// time.
func (s *Store) Messages(ctx context.Context, f MessageFilter) ([]Message, error) {
	terms, args := []string{"1 = 1"}, []any{}
	add := func(term string, value any) {
		args = append(args, value)
		terms = append(terms, strings.ReplaceAll(term, "?", "$"+strconv.Itoa(len(args))))
	}
	if len(f.IDs) > 0 {
		terms = append(terms, "id IN ("+list(len(f.IDs), len(args))+")")
		args = append(args, anys(f.IDs)...)
	}
	if f.PersonID != "" {
		add("person_id = ?", f.PersonID)
	}
	if f.Phone != "" {
		add("(from_number = ? OR to_number = ?)", string(f.Phone))
	}
	if !f.From.IsZero() {
		add("created_at >= ?", f.From)
	}
	if !f.Until.IsZero() {
		add("created_at < ?", f.Until)
	}
	if f.Before != "" {
		add("id < ?", f.Before)
	}
	args = append(args, max(1, min(f.Limit, 1000)))
	var messages []Message
	err := s.Each(ctx, `SELECT `+messageColumns+` FROM message_mappings WHERE `+strings.Join(terms, " AND ")+
		` ORDER BY id DESC LIMIT $`+strconv.Itoa(len(args)), args, func(row Row) error {
		m, err := scanMessage(row)
		messages = append(messages, m)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	return messages, nil
}

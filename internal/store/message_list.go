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
	query, args := f.query()
	var messages []Message
	err := s.Each(ctx, query, args, func(row Row) error {
		m, err := scanMessage(row)
		messages = append(messages, m)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	return messages, nil
}

func (f MessageFilter) query() (string, []any) {
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
		terms, args = f.onEitherEnd(terms, args)
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
	return `SELECT ` + messageColumns + ` FROM message_mappings WHERE ` + strings.Join(terms, " AND ") +
		` ORDER BY id DESC LIMIT $` + strconv.Itoa(len(args)), args
}

// onEitherEnd adds the condition on the number. Each end has an index that gives
// the newest first; an OR of both would read all texts of one of our own lines.
func (f MessageFilter) onEitherEnd(terms []string, args []any) ([]string, []any) {
	args = append(args, string(f.Phone))
	number, before := "$"+strconv.Itoa(len(args)), ""
	if f.Before != "" {
		args = append(args, f.Before)
		before = " AND id < $" + strconv.Itoa(len(args))
	}
	most := ""
	if f.PersonID == "" && len(f.IDs) == 0 && f.From.IsZero() && f.Until.IsZero() {
		args = append(args, max(1, min(f.Limit, 1000)))
		most = " ORDER BY id DESC LIMIT $" + strconv.Itoa(len(args))
	}
	end := func(column string) string {
		return "SELECT id FROM (SELECT id FROM message_mappings WHERE " + column + " = " + number + before + most + ") AS " + column
	}
	return append(terms, "id IN ("+end("from_number")+" UNION "+end("to_number")+")"), args
}

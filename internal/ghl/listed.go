package ghl

import (
	"context"

	"github.com/df-middleware/dfm/internal/df"
)

// Listed returns one page of the location's contacts, those that changed last
// first, and the cursor of the next page, which is empty after the last. What a
// row leaves out is unknown, not empty: a row says that something changed, and
// Read says what.
func (s *Side) Listed(ctx context.Context, cursor string, limit int) (page []df.Contact, next string, err error) {
	rows, next, err := s.client.SearchContacts(ctx, SearchQuery{Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", err
	}
	page = make([]df.Contact, 0, len(rows))
	for _, row := range rows {
		contact, err := s.known(ctx, row, false)
		if err != nil {
			return nil, "", err
		}
		page = append(page, contact)
	}
	return page, next, nil
}

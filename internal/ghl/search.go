package ghl

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
)

// SearchQuery asks for one page of the location's contacts, in the order of
// their last update. GHL does not say whether dateUpdated can be filtered by, so
// a sweep reads from the newest and stops at the first row that is old enough. A
// contact that is updated meanwhile moves to the front, where the next sweep
// finds it. The search index lags behind writes by seconds: it is for sweeps,
// never for deciding whether to create.
type SearchQuery struct {
	OldestFirst bool
	Limit       int    // rows of a page, at most 500; 100 when 0
	Cursor      string // what the page before returned as next; empty for the first
}

type searchBody struct {
	LocationID  string          `json:"locationId"`
	PageLimit   int             `json:"pageLimit"`
	Page        int             `json:"page,omitempty"`
	SearchAfter json.RawMessage `json:"searchAfter,omitempty"`
	Sort        []searchSort    `json:"sort"`
}

type searchSort struct {
	Field     string `json:"field"`
	Direction string `json:"direction"`
}

// SearchContacts returns one page of contacts and the cursor of the next, which
// is empty after the last. Rows may lack do-not-disturb settings.
func (c *Client) SearchContacts(ctx context.Context, query SearchQuery) (page []Contact, next string, err error) {
	body := searchBody{LocationID: c.location, PageLimit: query.Limit, Sort: []searchSort{{"dateUpdated", "desc"}}}
	if body.PageLimit <= 0 {
		body.PageLimit = 100
	}
	body.PageLimit = min(body.PageLimit, 500)
	if query.OldestFirst {
		body.Sort[0].Direction = "asc"
	}
	r := request{operation: "search contacts", family: FamilyContacts, method: http.MethodPost,
		path: "/contacts/search", repeatable: true}
	if err := body.from(query.Cursor); err != nil {
		return nil, "", failure(r.operation, df.Refused, df.CodeInvalid, "the cursor is none of ours")
	}
	r.body = body
	o, rows, err := c.rows(ctx, r, "contacts")
	if err != nil {
		return nil, "", err
	}
	page = make([]Contact, 0, len(rows))
	for _, row := range rows {
		page = append(page, readContact(row, c.region))
	}
	return page, body.next(o, rows), nil
}

// from makes the body ask for the page that a cursor stands for: GHL's own
// searchAfter value, or a page number as long as GHL gave no such value.
func (b *searchBody) from(cursor string) error {
	number, numbered := strings.CutPrefix(cursor, "page:")
	switch {
	case cursor == "":
		b.Page = 1
		return nil
	case numbered:
		page, err := strconv.Atoi(number)
		b.Page = page
		return err
	}
	var after []json.RawMessage
	b.SearchAfter = json.RawMessage(cursor)
	return json.Unmarshal(b.SearchAfter, &after)
}

const deepestRow = 10_000 // GHL counts pages no further

func (b *searchBody) next(o object, rows []object) string {
	if len(rows) < b.PageLimit {
		return ""
	}
	for _, holder := range []object{rows[len(rows)-1], o} {
		if after, ok := holder["searchAfter"].([]any); ok && len(after) > 0 {
			if cursor, err := json.Marshal(after); err == nil {
				return string(cursor)
			}
		}
	}
	if b.Page == 0 || (b.Page+1)*b.PageLimit > deepestRow {
		return ""
	}
	return "page:" + strconv.Itoa(b.Page+1)
}

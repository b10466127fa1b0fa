package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Call is one row of calls. The calls room gives its JSON and its sealed texts
// their meaning.
type Call struct {
	ID           string // Aloware's communication id
	Version      int64  // 0 for one that is not kept yet
	PersonID     string
	GHLContactID string
	GHLMessageID string
	GHLNoteID    string
	Customer     df.Phone
	Direction    string
	Outcome      string
	Disposition  string
	Agent        string
	Facts        json.RawMessage
	Recording    string // sealed
	Voicemail    string // sealed
	LinksUntil   time.Time
	Written      json.RawMessage
	At           time.Time
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

const callColumns = `id, version, person_id, ghl_contact_id, ghl_message_id, ghl_note_id, customer, direction, outcome,
	disposition, agent, facts, recording, voicemail, links_until, written, at, created_at, updated_at`

func scanCall(row Row) (Call, error) {
	var c Call
	var facts, written string
	err := row.Scan(&c.ID, &c.Version, &c.PersonID, scanText(&c.GHLContactID), scanText(&c.GHLMessageID), scanText(&c.GHLNoteID),
		scanText((*string)(&c.Customer)), scanText(&c.Direction), scanText(&c.Outcome), scanText(&c.Disposition), scanText(&c.Agent),
		scanText(&facts), scanText(&c.Recording), scanText(&c.Voicemail), scanTime(&c.LinksUntil), scanText(&written),
		scanTime(&c.At), scanTime(&c.CreatedAt), scanTime(&c.UpdatedAt))
	c.Facts, c.Written = json.RawMessage(facts), json.RawMessage(written)
	return c, err
}

// CallByID returns a call, or ErrNotFound.
func CallByID(ctx context.Context, q Querier, id string) (Call, error) {
	c, err := scanCall(q.Row(ctx, `SELECT `+callColumns+` FROM calls WHERE id = $1`, id))
	if errors.Is(err, ErrNoRows) {
		return c, ErrNotFound
	}
	if err != nil {
		return c, fmt.Errorf("read call: %w", err)
	}
	return c, nil
}

// SaveCall makes the call's row, or replaces it when it still has c.Version, and
// raises the version. It returns ErrStale, and writes nothing, when somebody else
// changed it meanwhile.
func SaveCall(ctx context.Context, tx Tx, c Call) error {
	args := []any{c.ID, c.Version + 1, c.PersonID, null(c.GHLContactID), null(c.GHLMessageID), null(c.GHLNoteID),
		null(string(c.Customer)), null(c.Direction), null(c.Outcome), null(c.Disposition), null(c.Agent), string(c.Facts),
		null(c.Recording), null(c.Voicemail), c.LinksUntil, string(c.Written), c.At, c.CreatedAt, c.UpdatedAt}
	query := `INSERT INTO calls (` + callColumns + `) VALUES ` + tuples(1, len(args), 0) + ` ON CONFLICT (id) DO NOTHING`
	if c.Version > 0 {
		query = `UPDATE calls SET version = $2, person_id = $3, ghl_contact_id = $4, ghl_message_id = $5, ghl_note_id = $6,
			customer = $7, direction = $8, outcome = $9, disposition = $10, agent = $11, facts = $12, recording = $13,
			voicemail = $14, links_until = $15, written = $16, at = $17, created_at = $18, updated_at = $19
			WHERE id = $1 AND version = $2 - 1`
	}
	saved, err := tx.Exec(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("save call: %w", err)
	}
	if saved == 0 {
		return ErrStale
	}
	return nil
}

// CallFilter selects calls. Zero fields select everything.
type CallFilter struct {
	PersonID string
	Customer df.Phone
	Outcome  string
	From, To time.Time // From at or after, To before
	BeforeAt time.Time // with BeforeID: the last call of the page before
	BeforeID string
	Limit    int
}

// Calls lists calls, the newest first.
func (s *Store) Calls(ctx context.Context, f CallFilter) ([]Call, error) {
	terms, args := []string{"TRUE"}, []any{}
	add := func(term string, values ...any) {
		for _, value := range values {
			args = append(args, value)
			term = strings.Replace(term, "?", "$"+strconv.Itoa(len(args)), 1)
		}
		terms = append(terms, term)
	}
	if f.PersonID != "" {
		add("person_id = ?", f.PersonID)
	}
	if f.Customer != "" {
		add("customer = ?", string(f.Customer))
	}
	if f.Outcome != "" {
		add("outcome = ?", f.Outcome)
	}
	if !f.From.IsZero() {
		add("at >= ?", f.From)
	}
	if !f.To.IsZero() {
		add("at < ?", f.To)
	}
	if f.BeforeID != "" {
		add("(at < ? OR at = ? AND id < ?)", f.BeforeAt, f.BeforeAt, f.BeforeID)
	}
	args = append(args, max(1, min(f.Limit, 1000)))
	var calls []Call
	err := s.Each(ctx, `SELECT `+callColumns+` FROM calls WHERE `+strings.Join(terms, " AND ")+
		` ORDER BY at DESC, id DESC LIMIT $`+strconv.Itoa(len(args)), args, func(row Row) error {
		c, err := scanCall(row)
		calls = append(calls, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list calls: %w", err)
	}
	return calls, nil
}

// OtherCallsWritten returns what GHL was made to show of a person's other calls
// at the contact, for those who must not take away what another call put there.
func OtherCallsWritten(ctx context.Context, q Querier, contactID, exceptID string) ([]json.RawMessage, error) {
	var all []json.RawMessage
	err := q.Each(ctx, `SELECT written FROM calls WHERE ghl_contact_id = $1 AND id <> $2`, []any{contactID, exceptID}, func(row Row) error {
		var written string
		err := row.Scan(&written)
		all = append(all, json.RawMessage(written))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read other calls: %w", err)
	}
	return all, nil
}

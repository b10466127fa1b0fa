package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Call is one row of calls. The calls room gives the facts their meaning.
type Call struct {
	ID               string
	PersonID         string
	GHLContactID     string
	AlowareContactID string
	Phone            df.Phone
	StartedAt        time.Time
	Facts            json.RawMessage
	Recording        string // sealed
	RecordingAt      time.Time
	GHLMessageID     string
	GHLNoteID        string
	NoteHash         string
	Attached         bool
	Tags             []string
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

const callColumns = `id, person_id, ghl_contact_id, aloware_contact_id, phone, started_at, facts, recording, recording_at,
	ghl_message_id, ghl_note_id, note_hash, attached, tags, created_at, updated_at`

func scanCall(row Row) (Call, error) {
	var c Call
	var facts string
	err := row.Scan(&c.ID, &c.PersonID, &c.GHLContactID, &c.AlowareContactID, (*string)(&c.Phone), scanTime(&c.StartedAt), &facts,
		&c.Recording, scanTime(&c.RecordingAt), &c.GHLMessageID, &c.GHLNoteID, &c.NoteHash, &c.Attached, scanJSON(&c.Tags),
		scanTime(&c.CreatedAt), scanTime(&c.UpdatedAt))
	c.Facts = json.RawMessage(facts)
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

// SaveCall writes a call, new or not. The caller works the person's lane, so
// nobody else does.
func SaveCall(ctx context.Context, tx Tx, c Call) error {
	if c.Tags == nil {
		c.Tags = []string{}
	}
	_, err := tx.Exec(ctx, `INSERT INTO calls (`+callColumns+`) VALUES `+tuples(1, 16, 0)+`
		ON CONFLICT (id) DO UPDATE SET person_id = excluded.person_id, ghl_contact_id = excluded.ghl_contact_id,
			aloware_contact_id = excluded.aloware_contact_id, phone = excluded.phone, started_at = excluded.started_at,
			facts = excluded.facts, recording = excluded.recording, recording_at = excluded.recording_at,
			ghl_message_id = excluded.ghl_message_id, ghl_note_id = excluded.ghl_note_id, note_hash = excluded.note_hash,
			attached = excluded.attached, tags = excluded.tags, updated_at = excluded.updated_at`,
		c.ID, c.PersonID, c.GHLContactID, c.AlowareContactID, string(c.Phone), c.StartedAt, string(c.Facts), c.Recording,
		c.RecordingAt, c.GHLMessageID, c.GHLNoteID, c.NoteHash, c.Attached, asJSON(c.Tags), c.CreatedAt, c.UpdatedAt)
	if err != nil {
		return fmt.Errorf("save call: %w", err)
	}
	return nil
}

// CallFilter selects calls. Zero fields select all.
type CallFilter struct {
	PersonID    string
	Phone       df.Phone
	From, Until time.Time // started at or after, started before
	Before      CallPlace // the last row of the page before
	Limit       int
}

// CallPlace is a call's place in the list.
type CallPlace struct {
	At time.Time
	ID string
}

// Calls lists calls, the newest first.
func (s *Store) Calls(ctx context.Context, f CallFilter) ([]Call, error) {
	terms, args := []string{"1 = 1"}, []any{}
	add := func(term string, values ...any) {
		for _, value := range values {
			args = append(args, value)
			term = strings.Replace(term, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		terms = append(terms, term)
	}
	if f.PersonID != "" {
		add("person_id = ?", f.PersonID)
	}
	if f.Phone != "" {
		add("phone = ?", string(f.Phone))
	}
	if !f.From.IsZero() {
		add("started_at >= ?", f.From)
	}
	if !f.Until.IsZero() {
		add("started_at < ?", f.Until)
	}
	if f.Before.ID != "" {
		add("(started_at < ? OR started_at = ? AND id < ?)", f.Before.At, f.Before.At, f.Before.ID)
	}
	args = append(args, max(1, min(f.Limit, 1000)))
	var calls []Call
	err := s.Each(ctx, `SELECT `+callColumns+` FROM calls WHERE `+strings.Join(terms, " AND ")+
		fmt.Sprintf(` ORDER BY started_at DESC, id DESC LIMIT $%d`, len(args)), args, func(row Row) error {
		c, err := scanCall(row)
		calls = append(calls, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list calls: %w", err)
	}
	return calls, nil
}

// TagsOfOtherCalls lists the tags that the person's other calls put on the
// contact.
func TagsOfOtherCalls(ctx context.Context, q Querier, personID, callID string) ([]string, error) {
	var tags []string
	err := q.Each(ctx, `SELECT tags FROM calls WHERE person_id = $1 AND id <> $2 AND tags <> '[]'`, []any{personID, callID},
		func(row Row) error {
			var some []string
			err := row.Scan(scanJSON(&some))
			tags = append(tags, some...)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("list tags of calls: %w", err)
	}
	return tags, nil
}

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Message is one row of message_mappings: one text with the ids that it has in
// every system, and how far it came. Its body is in the event that brought it.
type Message struct {
	ID               string
	TextingID        string
	GHLID            string
	AlowareID        string
	VerityID         string // Verity's own
	CarrierID        string
	ConversationID   string // GHL's
	GHLContactID     string
	AlowareContactID string
	PersonID         string
	From, To         df.Phone
	Direction        string
	Source           df.Source
	BodyHash         string
	OccurredAt       time.Time
	Status           string
	StatusReason     string
	ToldStatus       string
	TellAt           time.Time // zero when GHL need not be told anything
	TellTries        int
	TellError        string
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

const messageColumns = `id, texting_message_id, ghl_message_id, aloware_message_id, verity_message_id, carrier_message_id,
	conversation_id, ghl_contact_id, aloware_contact_id, person_id, from_number, to_number, direction, source, body_hash,
	occurred_at, status, status_reason, told_status, tell_at, tell_tries, tell_error, created_at, updated_at`

func scanMessage(row Row) (Message, error) {
	var m Message
	err := row.Scan(&m.ID, scanText(&m.TextingID), scanText(&m.GHLID), scanText(&m.AlowareID), scanText(&m.VerityID),
		scanText(&m.CarrierID), scanText(&m.ConversationID), scanText(&m.GHLContactID), scanText(&m.AlowareContactID),
		scanText(&m.PersonID), scanText((*string)(&m.From)), scanText((*string)(&m.To)), scanText(&m.Direction),
		scanText((*string)(&m.Source)), scanText(&m.BodyHash), scanTime(&m.OccurredAt), scanText(&m.Status),
		scanText(&m.StatusReason), scanText(&m.ToldStatus), scanTime(&m.TellAt), &m.TellTries, scanText(&m.TellError),
		scanTime(&m.CreatedAt), scanTime(&m.UpdatedAt))
	return m, err
}

// MessageKey names a message by whatever ids are known of it.
type MessageKey struct {
	GHLID     string
	AlowareID string
	IDs       []string // of the texting system, Verity or the carrier: nobody says which
}

// FindMessage returns the message that has one of the ids, or ErrNotFound.
func FindMessage(ctx context.Context, q Querier, key MessageKey) (Message, error) {
	if key.GHLID != "" {
		if m, err := oneMessage(ctx, q, `ghl_message_id = $1`, key.GHLID); !errors.Is(err, ErrNotFound) {
			return m, err
		}
	}
	if key.AlowareID != "" {
		if m, err := oneMessage(ctx, q, `aloware_message_id = $1`, key.AlowareID); !errors.Is(err, ErrNotFound) {
			return m, err
		}
	}
	if len(key.IDs) == 0 {
		return Message{}, ErrNotFound
	}
	in := list(len(key.IDs), 0)
	return oneMessage(ctx, q, `texting_message_id IN (`+in+`) OR verity_message_id IN (`+in+`) OR carrier_message_id IN (`+in+`)`,
		anys(key.IDs)...)
}

func oneMessage(ctx context.Context, q Querier, where string, args ...any) (Message, error) {
	m, err := scanMessage(q.Row(ctx, `SELECT `+messageColumns+` FROM message_mappings WHERE `+where+` ORDER BY created_at, id LIMIT 1`, args...))
	if errors.Is(err, ErrNoRows) {
		return m, ErrNotFound
	}
	if err != nil {
		return m, fmt.Errorf("read message: %w", err)
	}
	return m, nil
}

// SentMessage returns the oldest text that we asked to be sent to the number with these
// words since the given time and whose carrier's id is not known yet, or
// ErrNotFound. A report that names no id of ours is about that one.
func SentMessage(ctx context.Context, q Querier, to df.Phone, bodyHash string, since time.Time) (Message, error) {
	m, err := scanMessage(q.Row(ctx, `SELECT `+messageColumns+` FROM message_mappings WHERE to_number = $1 AND body_hash = $2
		AND direction = 'outbound' AND source = 'ghl' AND carrier_message_id IS NULL AND created_at >= $3
		AND EXISTS (SELECT 1 FROM effects WHERE effects.key = 'send_text:' || ghl_message_id)
		ORDER BY created_at, id LIMIT 1`, string(to), bodyHash, since))
	if errors.Is(err, ErrNoRows) {
		return m, ErrNotFound
	}
	if err != nil {
		return m, fmt.Errorf("look for sent message: %w", err)
	}
	return m, nil
}

// LastWrittenTo returns the number of ours that the customer wrote to last, or "".
func LastWrittenTo(ctx context.Context, q Querier, customer df.Phone) (df.Phone, error) {
	var ours df.Phone
	err := q.Row(ctx, `SELECT to_number FROM message_mappings WHERE from_number = $1 AND direction = 'inbound'
		AND source = 'texting' AND to_number IS NOT NULL ORDER BY occurred_at DESC, id DESC LIMIT 1`, string(customer)).Scan((*string)(&ours))
	if err != nil && !errors.Is(err, ErrNoRows) {
		return "", fmt.Errorf("look for the customer's last text: %w", err)
	}
	return ours, nil
}

// SaveMessage makes or replaces a message's row, by its id. It returns ErrUnique
// when another message has one of the ids.
func SaveMessage(ctx context.Context, tx Tx, m Message) error {
	saved, err := tx.Exec(ctx, `INSERT INTO message_mappings (`+messageColumns+`) VALUES `+tuples(1, 24, 0)+`
		ON CONFLICT (id) DO UPDATE SET texting_message_id = excluded.texting_message_id, ghl_message_id = excluded.ghl_message_id,
		aloware_message_id = excluded.aloware_message_id, verity_message_id = excluded.verity_message_id,
		carrier_message_id = excluded.carrier_message_id, conversation_id = excluded.conversation_id,
		ghl_contact_id = excluded.ghl_contact_id, aloware_contact_id = excluded.aloware_contact_id, person_id = excluded.person_id,
		from_number = excluded.from_number, to_number = excluded.to_number, direction = excluded.direction,
		source = excluded.source, body_hash = excluded.body_hash, occurred_at = excluded.occurred_at, status = excluded.status,
		status_reason = excluded.status_reason, tell_at = excluded.tell_at, tell_tries = excluded.tell_tries,
		tell_error = excluded.tell_error, updated_at = excluded.updated_at`,
		m.ID, null(m.TextingID), null(m.GHLID), null(m.AlowareID), null(m.VerityID), null(m.CarrierID), null(m.ConversationID),
		null(m.GHLContactID), null(m.AlowareContactID), null(m.PersonID), null(string(m.From)), null(string(m.To)),
		null(m.Direction), null(string(m.Source)), null(m.BodyHash), m.OccurredAt, null(m.Status), null(m.StatusReason),
		null(m.ToldStatus), m.TellAt, m.TellTries, null(m.TellError), m.CreatedAt, m.UpdatedAt)
	if err != nil {
		return fmt.Errorf("save message: %w", err)
	}
	if saved == 0 {
		return ErrUnique
	}
	return nil
}

// ClaimTellings takes messages whose state GHL is to be told now, at most limit,
// and keeps them from other workers until the given time.
func (s *Store) ClaimTellings(ctx context.Context, now, until time.Time, limit int) ([]Message, error) {
	var due []string
	err := s.Each(ctx, `SELECT id FROM message_mappings WHERE `+tellable+` ORDER BY tell_at, id LIMIT $2`,
		[]any{now, limit}, func(row Row) error {
			var id string
			err := row.Scan(&id)
			due = append(due, id)
			return err
		})
	if err != nil || len(due) == 0 {
		return nil, err
	}
	var claimed []Message
	for _, id := range due {
		err := s.InTx(ctx, func(tx Tx) error {
			m, err := scanMessage(tx.Row(ctx, `UPDATE message_mappings SET tell_until = $3, tell_tries = tell_tries + 1
				WHERE id = $2 AND `+tellable+` RETURNING `+messageColumns, now, id, until))
			if errors.Is(err, ErrNoRows) {
				return nil // another worker was first
			}
			claimed = append(claimed, m)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("claim message: %w", err)
		}
	}
	return claimed, nil
}

const tellable = `tell_at IS NOT NULL AND tell_at <= $1 AND (tell_until IS NULL OR tell_until <= $1)`

// FinishTelling writes what became of telling GHL about a claimed message: what
// it was told, when to try again and why. When the message went on meanwhile it
// stays due.
func FinishTelling(ctx context.Context, tx Tx, m Message, seen string) error {
	_, err := tx.Exec(ctx, `UPDATE message_mappings SET tell_until = NULL, told_status = $2, tell_error = $3,
		tell_at = CASE WHEN COALESCE(status, '') = $4 THEN $5 ELSE tell_at END, tell_tries = $6, updated_at = $7 WHERE id = $1`,
		m.ID, null(m.ToldStatus), null(m.TellError), seen, m.TellAt, m.TellTries, m.UpdatedAt)
	if err != nil {
		return fmt.Errorf("finish telling: %w", err)
	}
	return nil
}

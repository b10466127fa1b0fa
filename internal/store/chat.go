package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Conversation is one row of chat_conversations.
type Conversation struct {
	Owner        string
	ID           string
	Title        string
	Model        string
	InputTokens  int64
	OutputTokens int64
	CostMicros   int64
	Turn         string // the answer that is being written, "" when none is
	TurnUntil    time.Time
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// ChatMessage is one row of chat_messages. Its parts are the chat's to read.
type ChatMessage struct {
	Seq       int64
	Role      string
	Parts     json.RawMessage
	Note      string
	CreatedAt time.Time
}

// ChatApproval is one row of chat_approvals.
type ChatApproval struct {
	ID             string
	Owner          string
	ConversationID string
	CallID         string
	Tool           string
	State          string // waiting, approved, denied
	CreatedAt      time.Time
	ExpiresAt      time.Time
}

const conversationColumns = `owner, id, title, model, input_tokens, output_tokens, cost_micros, turn, turn_until, created_at, updated_at`

func scanConversation(row Row) (Conversation, error) {
	var c Conversation
	err := row.Scan(&c.Owner, &c.ID, &c.Title, &c.Model, &c.InputTokens, &c.OutputTokens, &c.CostMicros, &c.Turn,
		scanTime(&c.TurnUntil), scanTime(&c.CreatedAt), scanTime(&c.UpdatedAt))
	return c, err
}

// Conversation returns a conversation of the owner, or ErrNotFound.
func (s *Store) Conversation(ctx context.Context, owner, id string) (Conversation, error) {
	c, err := scanConversation(s.Row(ctx, `SELECT `+conversationColumns+` FROM chat_conversations WHERE owner = $1 AND id = $2`, owner, id))
	if errors.Is(err, ErrNoRows) {
		return c, ErrNotFound
	}
	if err != nil {
		return c, fmt.Errorf("read conversation: %w", err)
	}
	return c, nil
}

// Conversations lists those of the owner that were changed before the given
// time, the last changed first. A zero time lists from now.
func (s *Store) Conversations(ctx context.Context, owner string, before time.Time, limit int) ([]Conversation, error) {
	where, args := `owner = $1`, []any{owner, max(1, min(limit, 500))}
	if !before.IsZero() {
		where, args = where+` AND updated_at < $3`, append(args, before)
	}
	var list []Conversation
	err := s.Each(ctx, `SELECT `+conversationColumns+` FROM chat_conversations WHERE `+where+`
		ORDER BY updated_at DESC, id LIMIT $2`, args, func(row Row) error {
		c, err := scanConversation(row)
		list = append(list, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list conversations: %w", err)
	}
	return list, nil
}

// ChatMessages returns what was said, in order.
func (s *Store) ChatMessages(ctx context.Context, owner, id string) ([]ChatMessage, error) {
	var list []ChatMessage
	err := s.Each(ctx, `SELECT seq, role, parts, note, created_at FROM chat_messages
		WHERE owner = $1 AND conversation_id = $2 ORDER BY seq`, []any{owner, id}, func(row Row) error {
		var m ChatMessage
		var parts string
		err := row.Scan(&m.Seq, &m.Role, &parts, &m.Note, scanTime(&m.CreatedAt))
		m.Parts = json.RawMessage(parts)
		list = append(list, m)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	return list, nil
}

// BeginTurn makes turn the one answer that is being written in a conversation,
// which is made if there is none of this id. While another one is, until its
// time is over, the error is ErrState.
func (s *Store) BeginTurn(ctx context.Context, c Conversation, now time.Time) error {
	changed, err := s.Exec(ctx, `INSERT INTO chat_conversations (`+conversationColumns+`)
		VALUES ($1, $2, $3, $4, 0, 0, 0, $5, $6, $7, $7)
		ON CONFLICT (owner, id) DO UPDATE SET turn = excluded.turn, turn_until = excluded.turn_until, model = excluded.model,
		updated_at = excluded.updated_at
		WHERE chat_conversations.turn = '' OR chat_conversations.turn_until IS NULL OR chat_conversations.turn_until <= excluded.updated_at`,
		c.Owner, c.ID, c.Title, c.Model, c.Turn, c.TurnUntil, now)
	if err != nil {
		return fmt.Errorf("begin turn: %w", err)
	}
	if changed == 0 {
		return ErrState
	}
	return nil
}

// Said is what one step of a turn adds to its conversation.
type Said struct {
	Messages     []ChatMessage // Seq is given here
	Approvals    []ChatApproval
	InputTokens  int64
	OutputTokens int64
	CostMicros   int64
	End          bool // the turn is over
	At           time.Time
}

// Say adds to a conversation what the turn brought, all or nothing. It returns
// ErrLeaseLost when the turn is no longer the one being written, and then
// nothing was added.
func (s *Store) Say(ctx context.Context, owner, id, turn string, said Said) error {
	return s.InTx(ctx, func(tx Tx) error {
		changed, err := tx.Exec(ctx, `UPDATE chat_conversations SET input_tokens = input_tokens + $4, output_tokens = output_tokens + $5,
			cost_micros = cost_micros + $6, updated_at = $7, turn = CASE WHEN $8 = 1 THEN '' ELSE turn END
			WHERE owner = $1 AND id = $2 AND turn = $3`,
			owner, id, turn, said.InputTokens, said.OutputTokens, said.CostMicros, said.At, flag(said.End))
		if err != nil {
			return fmt.Errorf("add to conversation: %w", err)
		}
		if changed == 0 {
			return ErrLeaseLost
		}
		var last int64
		if err := tx.Row(ctx, `SELECT COALESCE(MAX(seq), 0) FROM chat_messages WHERE owner = $1 AND conversation_id = $2`, owner, id).Scan(&last); err != nil {
			return fmt.Errorf("count messages: %w", err)
		}
		for i, m := range said.Messages {
			if _, err := tx.Exec(ctx, `INSERT INTO chat_messages (owner, conversation_id, seq, role, parts, note, created_at)
				VALUES ($1, $2, $3, $4, $5, $6, $7)`, owner, id, last+int64(i)+1, m.Role, string(m.Parts), m.Note, said.At); err != nil {
				return fmt.Errorf("add message: %w", err)
			}
		}
		return insertApprovals(ctx, tx, said.Approvals)
	})
}

func flag(set bool) int {
	if set {
		return 1
	}
	return 0
}

func insertApprovals(ctx context.Context, q Querier, approvals []ChatApproval) error {
	for _, a := range approvals {
		if _, err := q.Exec(ctx, `INSERT INTO chat_approvals (id, owner, conversation_id, call_id, tool, state, created_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			a.ID, a.Owner, a.ConversationID, a.CallID, a.Tool, a.State, a.CreatedAt, a.ExpiresAt); err != nil {
			return fmt.Errorf("add approval: %w", err)
		}
	}
	return nil
}

// AddApproval keeps a question that no conversation holds.
func (s *Store) AddApproval(ctx context.Context, a ChatApproval) error {
	return insertApprovals(ctx, s, []ChatApproval{a})
}

// Approvals lists those of a conversation, the oldest first.
func (s *Store) Approvals(ctx context.Context, owner, conversation string) ([]ChatApproval, error) {
	var list []ChatApproval
	err := s.Each(ctx, `SELECT id, owner, conversation_id, call_id, tool, state, created_at, expires_at FROM chat_approvals
		WHERE owner = $1 AND conversation_id = $2 ORDER BY created_at, id`, []any{owner, conversation}, func(row Row) error {
		var a ChatApproval
		err := row.Scan(&a.ID, &a.Owner, &a.ConversationID, &a.CallID, &a.Tool, &a.State, scanTime(&a.CreatedAt), scanTime(&a.ExpiresAt))
		list = append(list, a)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list approvals: %w", err)
	}
	return list, nil
}

// DecideApproval settles a question that waits. It returns ErrState when it was
// settled before or its time is over: a yes counts once.
func (s *Store) DecideApproval(ctx context.Context, owner, id, state string, now time.Time) error {
	changed, err := s.Exec(ctx, `UPDATE chat_approvals SET state = $3, decided_at = $4
		WHERE id = $1 AND owner = $2 AND state = 'waiting' AND expires_at > $4`, id, owner, state, now)
	if err != nil {
		return fmt.Errorf("settle approval: %w", err)
	}
	if changed == 0 {
		return ErrState
	}
	return nil
}

// DeleteConversation forgets a conversation and everything in it. It returns
// ErrNotFound when the owner has none of this id.
func (s *Store) DeleteConversation(ctx context.Context, owner, id string) error {
	return s.InTx(ctx, func(tx Tx) error {
		changed, err := tx.Exec(ctx, `DELETE FROM chat_conversations WHERE owner = $1 AND id = $2`, owner, id)
		if err != nil {
			return fmt.Errorf("delete conversation: %w", err)
		}
		if changed == 0 {
			return ErrNotFound
		}
		for _, table := range []string{"chat_messages", "chat_approvals"} {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE owner = $1 AND conversation_id = $2`, owner, id); err != nil {
				return fmt.Errorf("delete conversation: %w", err)
			}
		}
		return nil
	})
}

// PruneChats forgets conversations that were not changed since the given time,
// and approvals that are as old.
func (s *Store) PruneChats(ctx context.Context, before time.Time) error {
	return s.InTx(ctx, func(tx Tx) error {
		for _, statement := range []string{
			`DELETE FROM chat_messages WHERE EXISTS (SELECT 1 FROM chat_conversations c
				WHERE c.owner = chat_messages.owner AND c.id = chat_messages.conversation_id AND c.updated_at < $1)`,
			`DELETE FROM chat_approvals WHERE created_at < $1`,
			`DELETE FROM chat_conversations WHERE updated_at < $1`,
		} {
			if _, err := tx.Exec(ctx, statement, before); err != nil {
				return fmt.Errorf("forget old conversations: %w", err)
			}
		}
		return nil
	})
}

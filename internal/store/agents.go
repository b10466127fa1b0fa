package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Agent is one person who calls and texts: the same human at GHL and Aloware.
type Agent struct {
	Key           string
	DisplayName   string
	GHLOwnerID    string
	GHLOwnerEmail string
	GHLFieldValue string // what the custom field for the assigned agent holds
	RequiredTag   string // e.g. "Owner: Dana"
	AlowareUserID string
	Active        bool
}

const agentColumns = `agent_key, display_name, ghl_owner_id, ghl_owner_email, ghl_assigned_agent_field_value,
	required_tag, aloware_user_id, is_active`

func scanAgent(row Row) (Agent, error) {
	var a Agent
	err := row.Scan(&a.Key, &a.DisplayName, scanText(&a.GHLOwnerID), scanText(&a.GHLOwnerEmail),
		scanText(&a.GHLFieldValue), scanText(&a.RequiredTag), scanText(&a.AlowareUserID), &a.Active)
	return a, err
}

// Agents lists the directory by key.
func (s *Store) Agents(ctx context.Context) ([]Agent, error) {
	agents := []Agent{}
	err := s.Each(ctx, `SELECT `+agentColumns+` FROM agent_directory ORDER BY agent_key`, nil, func(row Row) error {
		a, err := scanAgent(row)
		agents = append(agents, a)
		return err
	})
	return agents, err
}

// SaveAgent inserts an agent, or with update replaces it. It returns ErrState
// for an insert of a key that exists and ErrNotFound for an update of none.
func (s *Store) SaveAgent(ctx context.Context, a Agent, update bool, now time.Time) error {
	args := []any{a.Key, a.DisplayName, null(a.GHLOwnerID), null(a.GHLOwnerEmail), null(a.GHLFieldValue),
		null(a.RequiredTag), null(a.AlowareUserID), a.Active, now}
	query, none := `INSERT INTO agent_directory (`+agentColumns+`, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) ON CONFLICT DO NOTHING`, ErrState
	if update {
		query, none = `UPDATE agent_directory SET display_name = $2, ghl_owner_id = $3, ghl_owner_email = $4,
			ghl_assigned_agent_field_value = $5, required_tag = $6, aloware_user_id = $7, is_active = $8, updated_at = $9
			WHERE agent_key = $1`, ErrNotFound
	}
	changed, err := s.Exec(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("save agent: %w", err)
	}
	if changed == 0 {
		return none
	}
	return nil
}

// DeleteAgent removes an agent, or returns ErrNotFound.
func (s *Store) DeleteAgent(ctx context.Context, key string) error {
	changed, err := s.Exec(ctx, `DELETE FROM agent_directory WHERE agent_key = $1`, key)
	if err != nil {
		return fmt.Errorf("delete agent: %w", err)
	}
	if changed == 0 {
		return ErrNotFound
	}
	return nil
}

// AgentKeyByGHLUser returns the active agent whose GHL user this is.
func (s *Store) AgentKeyByGHLUser(ctx context.Context, id string) (string, bool, error) {
	return s.agentText(ctx, `SELECT agent_key FROM agent_directory WHERE ghl_owner_id = $1 AND is_active = TRUE ORDER BY agent_key`, id)
}

// AgentKeyByAlowareUser returns the active agent whose Aloware user this is.
func (s *Store) AgentKeyByAlowareUser(ctx context.Context, id string) (string, bool, error) {
	return s.agentText(ctx, `SELECT agent_key FROM agent_directory WHERE aloware_user_id = $1 AND is_active = TRUE ORDER BY agent_key`, id)
}

// GHLUserByAgentKey returns the agent's GHL user, if one is set.
func (s *Store) GHLUserByAgentKey(ctx context.Context, key string) (string, bool, error) {
	return s.agentText(ctx, `SELECT ghl_owner_id FROM agent_directory WHERE agent_key = $1 AND is_active = TRUE`, key)
}

// AlowareUserByAgentKey returns the agent's Aloware user, if one is set.
func (s *Store) AlowareUserByAgentKey(ctx context.Context, key string) (string, bool, error) {
	return s.agentText(ctx, `SELECT aloware_user_id FROM agent_directory WHERE agent_key = $1 AND is_active = TRUE`, key)
}

func (s *Store) agentText(ctx context.Context, query, arg string) (string, bool, error) {
	var text string
	err := s.Row(ctx, query, arg).Scan(scanText(&text))
	if errors.Is(err, ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("look up agent: %w", err)
	}
	return text, text != "", nil
}

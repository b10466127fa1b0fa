package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// What an import brings in is added where nothing is yet; what is there is newer
// and stays. All of these report whether the row was added.

// PastID returns the UUID that a row of another system has here: the same each
// time, and with its time first, as all of ours, because what is old is found by
// its id.
func PastID(at time.Time, kind, id string) string {
	sum := sha256.Sum256([]byte(kind + ":" + id))
	sum[6], sum[8] = sum[6]&0x0f|0x70, sum[8]&0x3f|0x80
	text := hex.EncodeToString(sum[:16])
	return floorID(at)[:13] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// KnownEvents returns those of the ids that are events of ours.
func KnownEvents(ctx context.Context, q Querier, ids []string) (map[string]bool, error) {
	known := make(map[string]bool, len(ids))
	if len(ids) == 0 {
		return known, nil
	}
	err := q.Each(ctx, `SELECT id FROM webhook_events WHERE id IN (`+list(len(ids), 0)+`)`, anys(ids), func(row Row) error {
		var id string
		err := row.Scan(&id)
		known[id] = true
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for events: %w", err)
	}
	return known, nil
}

// AddMessage adds a message unless one of its ids is known.
func AddMessage(ctx context.Context, tx Tx, m Message) (bool, error) {
	_, err := FindMessage(ctx, tx, MessageKey{GHLID: m.GHLID, AlowareID: m.AlowareID, IDs: texts(m.TextingID, m.VerityID)})
	if err == nil {
		return false, nil
	}
	return added(ctx, tx, "message", `INSERT INTO message_mappings (id, texting_message_id, ghl_message_id, aloware_message_id,
		conversation_id, ghl_contact_id, aloware_contact_id, from_number, to_number, direction, source, occurred_at, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING`,
		m.ID, null(m.TextingID), null(m.GHLID), null(m.AlowareID), null(m.ConversationID), null(m.GHLContactID),
		null(m.AlowareContactID), null(string(m.From)), null(string(m.To)), null(m.Direction), null(string(m.Source)),
		m.OccurredAt, m.CreatedAt, m.UpdatedAt)
}

func texts(all ...string) []string {
	var some []string
	for _, text := range all {
		if text != "" {
			some = append(some, text)
		}
	}
	return some
}

// AddAgent adds an agent unless the key is taken.
func AddAgent(ctx context.Context, tx Tx, a Agent, now time.Time) (bool, error) {
	return added(ctx, tx, "agent", `INSERT INTO agent_directory (`+agentColumns+`, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) ON CONFLICT DO NOTHING`, a.Key, a.DisplayName, null(a.GHLOwnerID),
		null(a.GHLOwnerEmail), null(a.GHLFieldValue), null(a.RequiredTag), null(a.AlowareUserID), a.Active, now)
}

// AddCallList adds a list unless the agent has one of the key, or the name is
// another list's.
func AddCallList(ctx context.Context, tx Tx, l CallList) (bool, error) {
	return added(ctx, tx, "list", `INSERT INTO call_list_registry (agent_key, list_key, aloware_list_id, aloware_list_name, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT DO NOTHING`, l.AgentKey, l.ListKey, null(l.AlowareID), l.Name, l.UpdatedAt)
}

// AddListMember adds a membership unless something is known of it.
func AddListMember(ctx context.Context, tx Tx, m ListMember) (bool, error) {
	status := "removed"
	if m.Active {
		status = "active"
	}
	return added(ctx, tx, "list membership", `INSERT INTO contact_list_memberships (contact_id, agent_key, list_key, status, reason, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT DO NOTHING`, m.ContactID, m.AgentKey, m.ListKey, status, m.Reason, m.UpdatedAt)
}

// AddAgentState adds whose contact it is unless that is known.
func AddAgentState(ctx context.Context, tx Tx, a AgentState, at time.Time) (bool, error) {
	return added(ctx, tx, "agent state", `INSERT INTO contact_agent_state (contact_id, agent_key, last_aloware_list_status, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $4) ON CONFLICT DO NOTHING`, a.ContactID, a.AgentKey, null(a.ListStatus), at)
}

// AddOAuthToken adds a location's sealed tokens unless it has some.
func AddOAuthToken(ctx context.Context, tx Tx, t OAuthToken, now time.Time) (bool, error) {
	return added(ctx, tx, "OAuth token", `INSERT INTO ghl_oauth_tokens (location_id, user_type, scope, access_token, refresh_token,
		expires_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		t.LocationID, null(t.UserType), null(t.Scope), t.AccessToken, null(t.RefreshToken), t.ExpiresAt, t.CreatedAt, now)
}

func added(ctx context.Context, tx Tx, what, query string, args ...any) (bool, error) {
	n, err := tx.Exec(ctx, query, args...)
	if err != nil {
		return false, fmt.Errorf("add %s: %w", what, err)
	}
	return n > 0, nil
}

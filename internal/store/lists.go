package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// CallList is one list of the dialer that an agent has: the row of the registry
// that gives it its id there.
type CallList struct {
	AgentKey  string
	ListKey   string
	AlowareID string // empty until somebody knows it
	Name      string // in Aloware
	UpdatedAt time.Time
}

// CallLists lists the registry by agent and list.
func CallLists(ctx context.Context, q Querier) ([]CallList, error) {
	lists := []CallList{}
	err := q.Each(ctx, `SELECT agent_key, list_key, aloware_list_id, aloware_list_name, updated_at
		FROM call_list_registry ORDER BY agent_key, list_key`, nil, func(row Row) error {
		var l CallList
		err := row.Scan(&l.AgentKey, &l.ListKey, scanText(&l.AlowareID), &l.Name, scanTime(&l.UpdatedAt))
		lists = append(lists, l)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read list registry: %w", err)
	}
	return lists, nil
}

// SaveCallList inserts or replaces a list. It returns ErrState when another list
// has the name.
func (s *Store) SaveCallList(ctx context.Context, l CallList) error {
	err := s.InTx(ctx, func(tx Tx) error {
		var taken int
		if err := tx.Row(ctx, `SELECT count(*) FROM call_list_registry WHERE aloware_list_name = $1
			AND NOT (agent_key = $2 AND list_key = $3)`, l.Name, l.AgentKey, l.ListKey).Scan(&taken); err != nil {
			return err
		}
		if taken > 0 {
			return ErrState
		}
		_, err := tx.Exec(ctx, `INSERT INTO call_list_registry (agent_key, list_key, aloware_list_id, aloware_list_name, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (agent_key, list_key) DO UPDATE SET
			aloware_list_id = excluded.aloware_list_id, aloware_list_name = excluded.aloware_list_name, updated_at = excluded.updated_at`,
			l.AgentKey, l.ListKey, null(l.AlowareID), l.Name, l.UpdatedAt)
		return err
	})
	if errors.Is(err, ErrUnique) {
		return ErrState
	}
	if err != nil && !errors.Is(err, ErrState) {
		return fmt.Errorf("save list: %w", err)
	}
	return err
}

// DeleteCallList removes a list from the registry, or returns ErrNotFound.
func (s *Store) DeleteCallList(ctx context.Context, agentKey, listKey string) error {
	changed, err := s.Exec(ctx, `DELETE FROM call_list_registry WHERE agent_key = $1 AND list_key = $2`, agentKey, listKey)
	if err != nil {
		return fmt.Errorf("delete list: %w", err)
	}
	if changed == 0 {
		return ErrNotFound
	}
	return nil
}

// ListIntent is what the rules said about one person and how far it was brought
// about. The lists room gives the JSON columns their meaning.
type ListIntent struct {
	PersonID         string
	ContactID        string // at GHL
	AlowareContactID string
	AgentKey         string
	State            string
	Detail           string
	Facts            string // JSON
	Intent           string // JSON
	Wanted           string // the wanted set as one text
	Approved         string // a wanted set that an operator approved
	RulesVersion     int64
	Tries            int
	Sequence         string // JSON
	RecheckAt        time.Time
	MovedAt          time.Time
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

const intentColumns = `person_id, contact_id, aloware_contact_id, agent_key, state, detail, facts, intent, wanted, approved,
	rules_version, tries, sequence, recheck_at, moved_at, created_at, updated_at`

func scanIntent(row Row, more ...any) (ListIntent, error) {
	var i ListIntent
	err := row.Scan(append([]any{&i.PersonID, &i.ContactID, &i.AlowareContactID, &i.AgentKey, &i.State, &i.Detail, &i.Facts,
		&i.Intent, &i.Wanted, &i.Approved, &i.RulesVersion, &i.Tries, &i.Sequence, scanTime(&i.RecheckAt), scanTime(&i.MovedAt),
		scanTime(&i.CreatedAt), scanTime(&i.UpdatedAt)}, more...)...)
	return i, err
}

// ListIntentOf returns what is known about a person's lists, or ErrNotFound.
func ListIntentOf(ctx context.Context, q Querier, personID string) (ListIntent, error) {
	i, err := scanIntent(q.Row(ctx, `SELECT `+intentColumns+` FROM list_intents WHERE person_id = $1`, personID))
	if errors.Is(err, ErrNoRows) {
		return i, ErrNotFound
	}
	if err != nil {
		return i, fmt.Errorf("read list intent: %w", err)
	}
	return i, nil
}

// SaveListIntent inserts or replaces a person's intent. What an operator approved
// meanwhile stays approved.
func SaveListIntent(ctx context.Context, tx Tx, i ListIntent) error {
	_, err := tx.Exec(ctx, `INSERT INTO list_intents (`+intentColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
		ON CONFLICT (person_id) DO UPDATE SET contact_id = excluded.contact_id, aloware_contact_id = excluded.aloware_contact_id,
			agent_key = excluded.agent_key, state = excluded.state, detail = excluded.detail, facts = excluded.facts,
			intent = excluded.intent, wanted = excluded.wanted, rules_version = excluded.rules_version, tries = excluded.tries,
			sequence = excluded.sequence, recheck_at = excluded.recheck_at, moved_at = excluded.moved_at,
			updated_at = excluded.updated_at`,
		i.PersonID, i.ContactID, i.AlowareContactID, i.AgentKey, i.State, i.Detail, i.Facts, i.Intent, i.Wanted, i.Approved,
		i.RulesVersion, i.Tries, i.Sequence, i.RecheckAt, i.MovedAt, i.CreatedAt, i.UpdatedAt)
	if err != nil {
		return fmt.Errorf("save list intent: %w", err)
	}
	return nil
}

// ListHolding is which lists an Aloware contact is on, as far as we know.
type ListHolding struct {
	AlowareContactID string
	PersonID         string
	Lists            string // JSON
	Redo             bool   // all of it is to be written anew
	UpdatedAt        time.Time
}

// ListHoldingOf returns the holding of an Aloware contact, or ErrNotFound.
func ListHoldingOf(ctx context.Context, q Querier, alowareContactID string) (ListHolding, error) {
	h := ListHolding{AlowareContactID: alowareContactID}
	err := q.Row(ctx, `SELECT person_id, lists, redo, updated_at FROM list_holdings WHERE aloware_contact_id = $1`, alowareContactID).
		Scan(&h.PersonID, &h.Lists, &h.Redo, scanTime(&h.UpdatedAt))
	if errors.Is(err, ErrNoRows) {
		return h, ErrNotFound
	}
	if err != nil {
		return h, fmt.Errorf("read held lists: %w", err)
	}
	return h, nil
}

// SaveListHolding inserts or replaces a holding.
func SaveListHolding(ctx context.Context, tx Tx, h ListHolding) error {
	_, err := tx.Exec(ctx, `INSERT INTO list_holdings (aloware_contact_id, person_id, lists, redo, updated_at)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (aloware_contact_id) DO UPDATE SET person_id = excluded.person_id,
			lists = excluded.lists, redo = excluded.redo, updated_at = excluded.updated_at`,
		h.AlowareContactID, h.PersonID, h.Lists, h.Redo, h.UpdatedAt)
	if err != nil {
		return fmt.Errorf("save held lists: %w", err)
	}
	return nil
}

// ListMember is one row of contact_list_memberships.
type ListMember struct {
	ContactID string // at GHL
	AgentKey  string
	ListKey   string
	Active    bool
	Reason    string
	UpdatedAt time.Time
}

// ListMembersOf returns the active memberships of a GHL contact.
func ListMembersOf(ctx context.Context, q Querier, contactID string) ([]ListMember, error) {
	var members []ListMember
	err := q.Each(ctx, `SELECT agent_key, list_key, reason, updated_at FROM contact_list_memberships
		WHERE contact_id = $1 AND status = 'active' ORDER BY agent_key, list_key`, []any{contactID}, func(row Row) error {
		m := ListMember{ContactID: contactID, Active: true}
		err := row.Scan(&m.AgentKey, &m.ListKey, scanText(&m.Reason), scanTime(&m.UpdatedAt))
		members = append(members, m)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read list memberships: %w", err)
	}
	return members, nil
}

// SaveListMember inserts or replaces a membership; one that says what is known
// already stays as it is.
func SaveListMember(ctx context.Context, tx Tx, m ListMember) error {
	status := "removed"
	if m.Active {
		status = "active"
	}
	_, err := tx.Exec(ctx, `INSERT INTO contact_list_memberships (contact_id, agent_key, list_key, status, reason, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (contact_id, agent_key, list_key) DO UPDATE SET
			status = excluded.status, reason = excluded.reason, updated_at = excluded.updated_at
		WHERE contact_list_memberships.status <> excluded.status OR contact_list_memberships.reason <> excluded.reason`,
		m.ContactID, m.AgentKey, m.ListKey, status, m.Reason, m.UpdatedAt)
	if err != nil {
		return fmt.Errorf("save list membership: %w", err)
	}
	return nil
}

// AgentState is one row of contact_agent_state.
type AgentState struct {
	ContactID  string // at GHL
	AgentKey   string
	ListStatus string // the status at Aloware that was handled last
}

// AgentStateOf returns the state of a GHL contact, or ErrNotFound.
func AgentStateOf(ctx context.Context, q Querier, contactID string) (AgentState, error) {
	a := AgentState{ContactID: contactID}
	err := q.Row(ctx, `SELECT agent_key, last_aloware_list_status FROM contact_agent_state WHERE contact_id = $1`, contactID).
		Scan(&a.AgentKey, scanText(&a.ListStatus))
	if errors.Is(err, ErrNoRows) {
		return a, ErrNotFound
	}
	if err != nil {
		return a, fmt.Errorf("read agent state: %w", err)
	}
	return a, nil
}

// SaveAgentState inserts or replaces whose contact it is.
func SaveAgentState(ctx context.Context, tx Tx, a AgentState, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO contact_agent_state (contact_id, agent_key, last_aloware_list_status, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $4) ON CONFLICT (contact_id) DO UPDATE SET agent_key = excluded.agent_key,
			last_aloware_list_status = excluded.last_aloware_list_status, updated_at = excluded.updated_at`,
		a.ContactID, a.AgentKey, null(a.ListStatus), now)
	if err != nil {
		return fmt.Errorf("save agent state: %w", err)
	}
	return nil
}

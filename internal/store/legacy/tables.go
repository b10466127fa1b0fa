package legacy

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// wanted lists what we read of each table.
var wanted = map[string][]string{
	"agent_directory": {"agent_key", "display_name", "ghl_owner_id", "ghl_owner_email", "ghl_assigned_agent_field_value",
		"required_tag", "aloware_user_id", "is_active"},
	"call_list_registry":       {"agent_key", "list_key", "aloware_list_id", "aloware_list_name"},
	"contact_list_memberships": {"contact_id", "agent_key", "list_key", "status", "reason", "updated_at"},
	"contact_agent_state":      {"contact_id", "agent_key", "last_aloware_list_status", "updated_at"},
	"optout_registry":          {"id", "phone_number", "status", "source", "reason", "last_event_at"},
	"contact_mappings":         {"id", "aloware_contact_id", "ghl_contact_id", "phone_number", "email"},
	"message_mappings": {"id", "texting_message_id", "ghl_message_id", "aloware_message_id", "conversation_id", "ghl_contact_id",
		"aloware_contact_id", "from_number", "to_number", "direction", "created_at"},
	"ghl_oauth_tokens":         {"location_id", "access_token", "refresh_token", "scope", "expires_at", "created_at"},
	"webhook_events":           {"id", "received_at", "source", "event_type", "entity_type", "entity_id", "payload_json", "status"},
	"texting_webhook_events":   {"id", "received_at", "event_type", "entity_type", "entity_id", "payload_json", "status"},
	"broadcast_webhook_events": {"id", "received_at", "event_type", "broadcast_id", "payload_json", "status"},
	"sync_state":               {},
	"sync_log":                 {},
	"reconcile_runs":           {},
}

// Tables lists the tables of the original that we know, in the order in which
// they are worked: what keeps people from being texted comes first.
func Tables() []string {
	return []string{"texting_webhook_events", "optout_registry", "contact_mappings", "message_mappings", "agent_directory",
		"call_list_registry", "contact_list_memberships", "contact_agent_state", "ghl_oauth_tokens", "webhook_events",
		"broadcast_webhook_events", "sync_state", "sync_log", "reconcile_runs"}
}

// OptOut is a row of optout_registry: the last word on a number, without history.
type OptOut struct {
	ID, Phone, Status, Source, Reason string
	LastEventAt                       time.Time
}

// OptOuts reads optout_registry.
func (s *Source) OptOuts(ctx context.Context, size int, do func([]OptOut) error) error {
	const t = "optout_registry"
	query := s.selects(t, s.text(t, "id"), s.text(t, "phone_number"), s.text(t, "status"), s.text(t, "source"), s.text(t, "reason"),
		s.at(t, "last_event_at")) + s.order(t, "id")
	return each(ctx, s, t, query, size, func(rows pgx.Rows) (o OptOut, err error) {
		err = rows.Scan(&o.ID, &o.Phone, &o.Status, &o.Source, &o.Reason, moment{&o.LastEventAt})
		return o, err
	}, do)
}

// Mapping is a row of contact_mappings. GHLTwins and AlowareTwins count the rows,
// this one included, that claim the same contact.
type Mapping struct {
	ID, GHLContactID, AlowareContactID, Phone, Email string
	GHLTwins, AlowareTwins                           int64
}

// Mappings reads contact_mappings.
func (s *Source) Mappings(ctx context.Context, size int, do func([]Mapping) error) error {
	const t = "contact_mappings"
	query := s.selects(t, s.text(t, "id"), s.text(t, "ghl_contact_id"), s.text(t, "aloware_contact_id"), s.text(t, "phone_number"),
		s.text(t, "email"), s.twins(t, "ghl_contact_id"), s.twins(t, "aloware_contact_id")) + s.order(t, "created_at", "id")
	return each(ctx, s, t, query, size, func(rows pgx.Rows) (m Mapping, err error) {
		err = rows.Scan(&m.ID, &m.GHLContactID, &m.AlowareContactID, &m.Phone, &m.Email, &m.GHLTwins, &m.AlowareTwins)
		return m, err
	}, do)
}

// Message is a row of message_mappings. Twins is the greatest number of rows, this
// one included, that claim one of its ids.
type Message struct {
	ID, TextingID, GHLID, AlowareID, ConversationID string
	GHLContactID, AlowareContactID                  string
	From, To, Direction                             string
	CreatedAt                                       time.Time
	TextingTwins, GHLTwins, AlowareTwins            int64
}

// Messages reads message_mappings.
func (s *Source) Messages(ctx context.Context, size int, do func([]Message) error) error {
	const t = "message_mappings"
	var columns []string
	for _, column := range []string{"id", "texting_message_id", "ghl_message_id", "aloware_message_id", "conversation_id",
		"ghl_contact_id", "aloware_contact_id", "from_number", "to_number", "direction"} {
		columns = append(columns, s.text(t, column))
	}
	columns = append(columns, s.at(t, "created_at"), s.twins(t, "texting_message_id"), s.twins(t, "ghl_message_id"),
		s.twins(t, "aloware_message_id"))
	return each(ctx, s, t, s.selects(t, columns...)+s.order(t, "created_at", "id"), size, func(rows pgx.Rows) (m Message, err error) {
		err = rows.Scan(&m.ID, &m.TextingID, &m.GHLID, &m.AlowareID, &m.ConversationID, &m.GHLContactID, &m.AlowareContactID,
			&m.From, &m.To, &m.Direction, moment{&m.CreatedAt}, &m.TextingTwins, &m.GHLTwins, &m.AlowareTwins)
		return m, err
	}, do)
}

// Agent is a row of agent_directory. OwnerTwins and UserTwins count the rows, this
// one included, that claim the same user at GHL and at Aloware.
type Agent struct {
	Key, Name, GHLOwnerID, GHLOwnerEmail, GHLFieldValue, RequiredTag, AlowareUserID string
	Active                                                                          bool
	OwnerTwins, UserTwins                                                           int64
}

// Agents reads agent_directory.
func (s *Source) Agents(ctx context.Context, size int, do func([]Agent) error) error {
	const t = "agent_directory"
	query := s.selects(t, s.text(t, "agent_key"), s.text(t, "display_name"), s.text(t, "ghl_owner_id"), s.text(t, "ghl_owner_email"),
		s.text(t, "ghl_assigned_agent_field_value"), s.text(t, "required_tag"), s.text(t, "aloware_user_id"),
		s.text(t, "is_active"), s.twins(t, "ghl_owner_id"), s.twins(t, "aloware_user_id")) + s.order(t, "agent_key")
	return each(ctx, s, t, query, size, func(rows pgx.Rows) (a Agent, err error) {
		var active string
		err = rows.Scan(&a.Key, &a.Name, &a.GHLOwnerID, &a.GHLOwnerEmail, &a.GHLFieldValue, &a.RequiredTag, &a.AlowareUserID,
			&active, &a.OwnerTwins, &a.UserTwins)
		a.Active = active != "false"
		return a, err
	}, do)
}

// List is a row of call_list_registry.
type List struct{ AgentKey, ListKey, AlowareID, Name string }

// Lists reads call_list_registry.
func (s *Source) Lists(ctx context.Context, size int, do func([]List) error) error {
	const t = "call_list_registry"
	query := s.selects(t, s.text(t, "agent_key"), s.text(t, "list_key"), s.text(t, "aloware_list_id"), s.text(t, "aloware_list_name")) +
		s.order(t, "agent_key", "list_key")
	return each(ctx, s, t, query, size, func(rows pgx.Rows) (l List, err error) {
		err = rows.Scan(&l.AgentKey, &l.ListKey, &l.AlowareID, &l.Name)
		return l, err
	}, do)
}

// Membership is a row of contact_list_memberships.
type Membership struct {
	ContactID, AgentKey, ListKey, Status, Reason string
	UpdatedAt                                    time.Time
}

// Memberships reads contact_list_memberships.
func (s *Source) Memberships(ctx context.Context, size int, do func([]Membership) error) error {
	const t = "contact_list_memberships"
	query := s.selects(t, s.text(t, "contact_id"), s.text(t, "agent_key"), s.text(t, "list_key"), s.text(t, "status"),
		s.text(t, "reason"), s.at(t, "updated_at")) + s.order(t, "contact_id", "agent_key", "list_key")
	return each(ctx, s, t, query, size, func(rows pgx.Rows) (m Membership, err error) {
		err = rows.Scan(&m.ContactID, &m.AgentKey, &m.ListKey, &m.Status, &m.Reason, moment{&m.UpdatedAt})
		return m, err
	}, do)
}

// AgentState is a row of contact_agent_state.
type AgentState struct {
	ContactID, AgentKey, ListStatus string
	UpdatedAt                       time.Time
}

// AgentStates reads contact_agent_state.
func (s *Source) AgentStates(ctx context.Context, size int, do func([]AgentState) error) error {
	const t = "contact_agent_state"
	query := s.selects(t, s.text(t, "contact_id"), s.text(t, "agent_key"), s.text(t, "last_aloware_list_status"),
		s.at(t, "updated_at")) + s.order(t, "contact_id")
	return each(ctx, s, t, query, size, func(rows pgx.Rows) (a AgentState, err error) {
		err = rows.Scan(&a.ContactID, &a.AgentKey, &a.ListStatus, moment{&a.UpdatedAt})
		return a, err
	}, do)
}

func (s *Source) selects(table string, expressions ...string) string {
	return "SELECT " + strings.Join(expressions, ", ") + " FROM " + table + " t"
}

package legacy

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/df-middleware/dfm/internal/df"
)

// Token is a row of ghl_oauth_tokens, where tokens stand in the clear.
type Token struct {
	LocationID, Scope    string
	Access, Refresh      df.Secret
	ExpiresAt, CreatedAt time.Time
}

// Tokens reads ghl_oauth_tokens.
func (s *Source) Tokens(ctx context.Context, size int, do func([]Token) error) error {
	const t = "ghl_oauth_tokens"
	query := s.selects(t, s.text(t, "location_id"), s.text(t, "scope"), s.text(t, "access_token"), s.text(t, "refresh_token"),
		s.at(t, "expires_at"), s.at(t, "created_at")) + s.order(t, "location_id")
	return each(ctx, s, t, query, size, func(rows pgx.Rows) (o Token, err error) {
		err = rows.Scan(&o.LocationID, &o.Scope, (*string)(&o.Access), (*string)(&o.Refresh), moment{&o.ExpiresAt}, moment{&o.CreatedAt})
		return o, err
	}, do)
}

// Event is a row of one of the three tables of webhooks. Its body is as the
// original's jsonb column gives it back: the same values, in other bytes than the
// sender's.
type Event struct {
	ID, Type, EntityType, EntityID, Status string
	Source                                 df.Source
	ReceivedAt                             time.Time
	Payload                                []byte
	Quarantined                            bool
}

// Events reads a table of webhooks, oldest first: webhook_events,
// texting_webhook_events or broadcast_webhook_events.
func (s *Source) Events(ctx context.Context, table string, size int, do func([]Event) error) error {
	source, entity := s.text(table, "source"), "entity_id"
	switch table {
	case "texting_webhook_events":
		source = "'" + string(df.SourceTexting) + "'"
	case "broadcast_webhook_events":
		source, entity = "'"+string(df.SourceBroadcast)+"'", "broadcast_id"
	}
	query := s.selects(table, s.text(table, "id"), s.text(table, "event_type"), s.text(table, "entity_type"), s.text(table, entity),
		s.text(table, "status"), source, s.at(table, "received_at"), s.text(table, "payload_json"), s.quarantined(table)) +
		s.order(table, "received_at", "id")
	return each(ctx, s, table, query, size, func(rows pgx.Rows) (e Event, err error) {
		var body string
		err = rows.Scan(&e.ID, &e.Type, &e.EntityType, &e.EntityID, &e.Status, (*string)(&e.Source), moment{&e.ReceivedAt}, &body,
			&e.Quarantined)
		e.Payload = []byte(body)
		return e, err
	}, do)
}

// quarantined says whether somebody put the event aside. The original kept that
// in a table of its own and forgot it in its queue.
func (s *Source) quarantined(table string) string {
	if !s.columns["quarantine_events"]["event_id"] {
		return "false"
	}
	return "EXISTS (SELECT 1 FROM quarantine_events q WHERE q.event_id = " + s.text(table, "id") + ")"
}

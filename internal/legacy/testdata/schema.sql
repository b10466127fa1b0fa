-- The original system's tables, as its migrations and scripts leave them: written
-- by us from what is known of them.
CREATE TABLE webhook_events (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), received_at timestamptz NOT NULL DEFAULT now(), source text NOT NULL,
    event_type text NOT NULL, entity_type text NOT NULL, entity_id text NOT NULL, payload_json jsonb NOT NULL,
    dedupe_key text NOT NULL UNIQUE, status text NOT NULL DEFAULT 'pending', error_message text, processed_at timestamptz
);
CREATE TABLE texting_webhook_events (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), received_at timestamptz NOT NULL DEFAULT now(), event_type text NOT NULL,
    entity_type text NOT NULL DEFAULT 'message', entity_id text, conversation_id text, from_number text, to_number text,
    payload_json jsonb NOT NULL, dedupe_key text NOT NULL UNIQUE, status text NOT NULL DEFAULT 'pending', error_message text, processed_at timestamptz
);
CREATE TABLE broadcast_webhook_events (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), received_at timestamptz NOT NULL DEFAULT now(), broadcast_id text NOT NULL,
    event_type text NOT NULL, payload_json jsonb NOT NULL, dedupe_key text NOT NULL UNIQUE, status text NOT NULL DEFAULT 'pending',
    error_message text, processed_at timestamptz
);
CREATE TABLE quarantine_events (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), event_id text NOT NULL, event_source text NOT NULL, reason text NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT now(), quarantined_by text
);
CREATE TABLE contact_mappings (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aloware_contact_id text CONSTRAINT one_aloware UNIQUE,
    ghl_contact_id text NOT NULL CONSTRAINT one_ghl UNIQUE, phone_number text, email text, last_synced_at timestamptz NOT NULL DEFAULT now(),
    sync_direction text NOT NULL DEFAULT 'bidirectional', created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE message_mappings (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), texting_message_id text UNIQUE, ghl_message_id text UNIQUE, aloware_message_id text UNIQUE,
    conversation_id text, ghl_contact_id text, aloware_contact_id text, from_number text, to_number text, direction text,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE optout_registry (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), phone_number text NOT NULL UNIQUE, status text NOT NULL, source text NOT NULL, reason text,
    last_event_at timestamptz NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE agent_directory (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), agent_key text NOT NULL UNIQUE, display_name text NOT NULL, ghl_owner_id text,
    ghl_owner_email text, ghl_assigned_agent_field_value text, required_tag text, aloware_user_id text, is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE call_list_registry (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), agent_key text NOT NULL, list_key text NOT NULL, aloware_list_id text,
    aloware_list_name text NOT NULL UNIQUE, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (agent_key, list_key)
);
CREATE TABLE contact_list_memberships (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), contact_id text NOT NULL, agent_key text NOT NULL, list_key text NOT NULL, status text NOT NULL,
    reason text, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), UNIQUE (contact_id, agent_key, list_key)
);
CREATE TABLE contact_agent_state (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), contact_id text NOT NULL UNIQUE, agent_key text NOT NULL, last_aloware_list_status text,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE ghl_oauth_tokens (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), location_id text NOT NULL UNIQUE, access_token text NOT NULL, refresh_token text,
    token_type text NOT NULL DEFAULT 'Bearer', scope text, expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE sync_state (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), direction text NOT NULL, entity_type text NOT NULL, cursor_updated_at timestamptz, cursor_id text,
    last_run_at timestamptz NOT NULL, last_success_at timestamptz, UNIQUE (direction, entity_type)
);
CREATE TABLE sync_log (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), direction text NOT NULL, entity_type text NOT NULL, entity_id text NOT NULL, source_id text NOT NULL,
    target_id text, status text NOT NULL, started_at timestamptz NOT NULL DEFAULT now(), finished_at timestamptz, error_message text, correlation_id text
);
CREATE TABLE reconcile_runs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), job_name text NOT NULL, started_at timestamptz NOT NULL, finished_at timestamptz,
    status text NOT NULL, totals jsonb, error_message text
);

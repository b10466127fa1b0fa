\set contact random(1, 1000)
BEGIN;
INSERT INTO webhook_events (source, event_type, entity_type, entity_id, payload_json, dedupe_key) VALUES ('ghl', 'ContactUpdate', 'contact', 'benchContact' || :contact, jsonb_build_object('type', 'ContactUpdate', 'note', repeat('x', 900)), 'ghl:' || gen_random_uuid()) RETURNING id AS event \gset
INSERT INTO job (kind, queue, max_attempts, args) VALUES ('process', 'process-webhook-event', 11, jsonb_build_object('event', :event::text));
COMMIT;

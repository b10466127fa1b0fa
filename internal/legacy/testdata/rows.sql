-- What a year of the original leaves behind, with every defect of its that we
-- know. Rows that claim one contact need constraints that were never made, as in
-- databases whose migrations were run by hand.
ALTER TABLE contact_mappings DROP CONSTRAINT one_aloware, DROP CONSTRAINT one_ghl;
INSERT INTO contact_mappings (ghl_contact_id, aloware_contact_id, phone_number, email, created_at) VALUES
    ('ghlC_1', '700001', '+1 (500) 555-0111', 'Dana@example.test', '2030-01-01 10:00Z'),
    ('ghlC_2', '+15005550122', '5005550122', NULL, '2030-01-01 10:01Z'),          -- the number stored as the contact's id
    ('ghlC_3', '700003', '+15005550103', NULL, '2030-01-01 10:02Z'),              -- two rows for one GHL contact
    ('ghlC_3', '700004', '+15005550104', NULL, '2030-01-01 10:03Z'),
    ('ghlC_5', '700007', '+15005550105', NULL, '2030-01-01 10:04Z'),              -- two rows for one Aloware contact
    ('ghlC_6', '700007', '+15005550106', NULL, '2030-01-01 10:05Z'),
    ('ghlC_7', NULL, 'ask the office', 'kim@example.test', '2030-01-01 10:06Z'),
    ('ghlC_8', NULL, '+15005550199', NULL, '2030-01-01 10:07Z'),                  -- the company's own number as a customer
    ('undefined', NULL, '+15005550109', NULL, '2030-01-01 10:08Z'),
    ('ghlC_10', NULL, '+15005550111', NULL, '2030-01-01 10:09Z');                 -- a number that two people share

INSERT INTO message_mappings (texting_message_id, ghl_message_id, conversation_id, ghl_contact_id, from_number, to_number, direction, created_at) VALUES
    ('tx_1', NULL, '0c6e1d2a-7b1f-4a59-9f0e-1234567890ab', 'ghlC_1', '+15005550111', '+15005550199', 'inbound', '2030-01-02 10:00Z'),
    ('vt_2', 'ghlM_2', 'ghlConv2', 'ghlC_1', NULL, '5005550111', 'outbound', '2030-01-02 10:01Z'),
    (NULL, NULL, NULL, 'ghlC_2', NULL, NULL, NULL, '2030-01-02 10:02Z');

INSERT INTO optout_registry (phone_number, status, source, reason, last_event_at) VALUES
    ('+15005550111', 'opted_out', 'texting', 'STOP', '2030-01-03 09:00Z'),
    ('(500) 555-0122', 'opted_out', 'texting', 'STOP', '2030-01-03 09:01Z'),      -- wrote "weekend"
    ('+15005550133', 'opted_in', 'texting', 'STOP', '2030-01-03 09:02Z'),         -- a flag that was cleared at Aloware overwrote a STOP
    ('+15005550144', 'opted_in', 'manual', NULL, '2030-01-03 09:03Z'),
    ('unknown', 'opted_out', 'texting', 'STOP', '2030-01-03 09:04Z'),
    ('+15005550155', 'opted_out', 'aloware', 'DNC', '2030-01-03 09:05Z'),
    ('+15005550166', 'OPTED_OUT ', 'manual', 'called us', '2030-01-03 09:06Z');

INSERT INTO texting_webhook_events (received_at, event_type, entity_id, from_number, payload_json, dedupe_key, status) VALUES
    ('2030-01-03 09:00Z', 'message.received', 'tx_501', '+15005550111', '{"eventType":"message.received","messageId":"tx_501","direction":"inbound","from":"+15005550111","to":"+15005550199","body":"Stop","status":"received"}', 't1', 'done'),
    ('2030-01-03 09:01Z', 'message.received', 'tx_502', '+15005550122', '{"eventType":"message.received","messageId":"tx_502","direction":"inbound","from":"+15005550122","to":"+15005550199","body":"See you this weekend!","status":"received"}', 't2', 'done'),
    ('2030-01-04 10:00Z', 'message.received', 'tx_503', '+15005550177', '{"eventType":"message.received","messageId":"tx_503","direction":"inbound","from":"+15005550177","to":"+15005550199","body":"please stop texting me","timestamp":"2030-01-04T09:59:58Z"}', 't3', 'pending'),
    ('2030-01-04 10:01Z', 'message.received', 'tx_504', '+15005550188', '{"type":"message.received","message":{"id":"tx_504","from":"+15005550188","to":"+15005550199","body":"STOP","direction":"inbound"}}', 't4', 'pending'),
    ('2030-01-04 10:02Z', 'message.received', 'tx_505', '+15005550188', '{"type":"message.received","message":{"id":"tx_505","from":"+15005550188","to":"+15005550199","body":"START","direction":"inbound"}}', 't5', 'pending'),
    ('2030-01-04 10:03Z', 'message.received', 'tx_506', '5005550190', '{"eventType":"message.received","messageId":"tx_506","direction":"inbound","from":"5005550190","to":"+15005550199","body":"see you this weekend"}', 't6', 'pending'),
    ('2030-01-04 10:04Z', 'message.sent', 'tx_507', '+15005550199', '{"eventType":"message.sent","messageId":"tx_507","direction":"outbound","from":"+15005550199","to":"+15005550190","body":"Great. Reply STOP to end."}', 't7', 'pending'),
    ('2030-01-04 10:05Z', 'optout.stop', 'tx_508', '+15005550191', '{"type":"optout.stop","messageId":"tx_508","from":"+15005550191","to":"+15005550199","body":"STOP"}', 't8', 'error'),
    ('2030-01-04 10:06Z', 'message.received', NULL, '+15005550192', '{"eventType":"message.received","direction":"inbound","from":"+15005550192","to":"+15005550199","body":"UNSUBSCRIBE"}', 't9', 'processing');

INSERT INTO webhook_events (id, received_at, source, event_type, entity_type, entity_id, payload_json, dedupe_key, status) VALUES
    ('11111111-1111-4111-8111-111111111111', '2030-01-05 10:00Z', 'ghl', 'contact.updated', 'contact', 'ghlC_1', '{"event":"contact.updated","id":"ghlC_1","locationId":"loc_1","firstName":"Dana","phone":"+15005550111","tags":["HOT"]}', 'e1', 'pending'),
    ('22222222-2222-4222-8222-222222222222', '2030-01-05 10:01Z', 'ghl', 'ContactUpdate', 'unknown', 'ghlC_2', '{"type":"ContactUpdate","locationId":"loc_1","id":"ghlC_2","phone":"+15005550122"}', 'e2', 'processing'),
    ('33333333-3333-4333-8333-333333333333', '2030-01-05 10:02Z', 'ghl', 'InboundMessage', 'unknown', 'ghlC_7', '{"type":"InboundMessage","locationId":"loc_1","contactId":"ghlC_7","messageId":"ghlM_9","messageType":"SMS","direction":"inbound","body":"STOP","from":"+15005550107","conversationId":"ghlConv7","dateAdded":"2030-01-05T10:01:59Z"}', 'e3', 'pending'),
    ('44444444-4444-4444-8444-444444444444', '2030-01-05 10:03Z', 'ghl', 'UNINSTALL', 'unknown', 'loc_1', '{"type":"UNINSTALL","appId":"app1","locationId":"loc_1"}', 'e4', 'pending'),
    ('55555555-5555-4555-8555-555555555555', '2030-01-05 10:04Z', 'ghl', 'contact.updated', 'contact', 'ghlC_3', '{"event":"contact.updated","id":"ghlC_3","locationId":"loc_1"}', 'e5', 'pending'),
    ('66666666-6666-4666-8666-666666666666', '2030-01-05 10:05Z', 'aloware', 'OutboundPhoneCall-DispositionCompleted', 'call', '900001', '{"event":"OutboundPhoneCall-DispositionCompleted","body":{"id":"900001","contact_id":"700001","direction":"2","talk_time":63}}', 'e6', 'done'),
    ('77777777-7777-4777-8777-777777777777', '2030-01-05 10:06Z', 'elevenlabs', 'call', 'call', 'x', '{"type":"call"}', 'e7', 'pending'),
    ('88888888-8888-4888-8888-888888888888', '2028-01-05 10:00Z', 'ghl', 'InboundMessage', 'unknown', 'ghlC_7', '{"type":"InboundMessage","locationId":"loc_1","contactId":"ghlC_9","messageId":"ghlM_old","messageType":"SMS","direction":"inbound","body":"stop","from":"+15005550108"}', 'e8', 'pending');
INSERT INTO quarantine_events (event_id, event_source, reason) VALUES ('55555555-5555-4555-8555-555555555555', 'webhook', 'poison');
INSERT INTO broadcast_webhook_events (received_at, broadcast_id, event_type, payload_json, dedupe_key) VALUES
    ('2030-01-05 11:00Z', 'bc_1', 'analytics_updated', '{"eventType":"analytics_updated","broadcastId":"bc_1"}', 'b1');

INSERT INTO agent_directory (agent_key, display_name, ghl_owner_id, aloware_user_id, required_tag) VALUES
    ('AGENT_A', 'Ann', 'ghlU_1', '31', 'Owner: Ann'), ('AGENT_B', 'Joanne', 'ghlU_1', '32', NULL);   -- "Ann" was found in "Joanne"
INSERT INTO call_list_registry (agent_key, list_key, aloware_list_id, aloware_list_name) VALUES ('AGENT_A', 'HOT', '501', 'Ann hot'), ('AGENT_B', 'HOT', NULL, 'Joanne hot');
INSERT INTO contact_list_memberships (contact_id, agent_key, list_key, status, reason) VALUES ('ghlC_1', 'AGENT_A', 'HOT', 'active', 'tag'), ('ghlC_2', 'AGENT_A', 'HOT', 'removed', NULL);
INSERT INTO contact_agent_state (contact_id, agent_key) VALUES ('ghlC_1', 'AGENT_A');
INSERT INTO ghl_oauth_tokens (location_id, access_token, refresh_token, scope, expires_at) VALUES ('loc_1', 'clear-access-token', 'clear-refresh-token', 'contacts.readonly', '2030-02-06 10:00Z');
INSERT INTO sync_state (direction, entity_type, last_run_at) VALUES ('ghl_to_aloware', 'contact', '2030-01-01 00:00Z');
INSERT INTO sync_log (direction, entity_type, entity_id, source_id, status, error_message) VALUES ('texting_to_ghl', 'message', 'tx_501', 'tx_501', 'success', 'GET https://app.example.test/api?api_token=secret 401');

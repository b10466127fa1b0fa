-- Takes away what keeps texts from being sent twice: let no event be replayed
-- that was worked before this.
DROP INDEX message_mappings_person;
DROP INDEX message_mappings_outbox;
DROP INDEX message_mappings_customer;
DROP INDEX message_mappings_tell;
ALTER TABLE message_mappings DROP COLUMN tell_error;
ALTER TABLE message_mappings DROP COLUMN tell_tries;
ALTER TABLE message_mappings DROP COLUMN tell_until;
ALTER TABLE message_mappings DROP COLUMN tell_at;
ALTER TABLE message_mappings DROP COLUMN told_status;
ALTER TABLE message_mappings DROP COLUMN status_reason;
ALTER TABLE message_mappings DROP COLUMN status;
ALTER TABLE message_mappings DROP COLUMN occurred_at;
ALTER TABLE message_mappings DROP COLUMN body_hash;
ALTER TABLE message_mappings DROP COLUMN source;
DROP TABLE effects;

-- Takes the evidence away: export it first. The registry keeps who is opted out
-- of texts; the release before this one knows no more.
DROP TABLE consent_reviews;
DROP TABLE consent_incidents;
DROP TABLE consent_fanout;
DROP TABLE consent_flags;
DROP TABLE consent_events;
DROP TABLE consent_chain;
DROP TABLE consent_holds;
ALTER TABLE optout_registry DROP COLUMN call_status;

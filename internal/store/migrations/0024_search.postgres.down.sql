-- Takes back the line by which people are found and the indexes.
DROP INDEX message_mappings_to;
DROP INDEX message_mappings_from;
DROP INDEX consent_events_person;
DROP INDEX list_intents_wanted;
DROP INDEX webhook_events_quarantined;
DROP INDEX webhook_events_ended;
DROP TABLE person_words;

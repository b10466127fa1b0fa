-- Numbers that were erased are no longer known to have opted out after this.
DROP INDEX sync_issues_age;
DROP INDEX message_mappings_age;
DROP INDEX effects_bodies;
DROP INDEX effects_age;
DROP TABLE retention_marks;
DROP TABLE erasure_salt;
DROP TABLE erased_numbers;

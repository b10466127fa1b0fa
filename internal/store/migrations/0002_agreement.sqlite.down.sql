-- Takes back what convergence remembers; the next run of everybody is a first meeting.
DROP TABLE people_undo;
DROP TABLE people_reviews;
DROP TABLE normalisations;
DROP TABLE sync_writes;
DROP TABLE sync_issues;
DROP TABLE sync_conflicts;
DROP TABLE contact_agreements;

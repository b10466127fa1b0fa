-- Takes back what the up step made.
DROP INDEX audit_log_target;

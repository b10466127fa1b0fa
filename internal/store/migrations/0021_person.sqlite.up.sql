-- What was done to one person stands on that person's timeline, so the audit log
-- is looked up by its target.
CREATE INDEX audit_log_target ON audit_log (target, seq);

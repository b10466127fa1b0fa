-- Takes back what the up step made.
DROP TABLE console_sessions;
DROP TABLE console_users;

-- Takes keys and shared tokens away: callers need new keys afterwards.
DROP TABLE oauth_states;
DROP TABLE shared_tokens;
DROP TABLE api_keys;

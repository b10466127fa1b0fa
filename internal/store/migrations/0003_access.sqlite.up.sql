-- Who may ask, and what instances share in order to ask others: API keys (their
-- hashes only), our own token for Verity (sealed), OAuth states that were used.

CREATE TABLE api_keys (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    scopes       TEXT NOT NULL, -- JSON array
    hash         BLOB NOT NULL,
    per_minute   INTEGER NOT NULL DEFAULT 0,
    burst        INTEGER NOT NULL DEFAULT 0,
    created_at   TIMESTAMP NOT NULL,
    expires_at   TIMESTAMP,
    revoked_at   TIMESTAMP,
    last_used_at TIMESTAMP
);

CREATE TABLE shared_tokens (
    name        TEXT PRIMARY KEY,
    sealed      TEXT NOT NULL DEFAULT '',
    expires_at  TIMESTAMP,
    not_before  TIMESTAMP,
    trouble     TEXT NOT NULL DEFAULT '',
    owner       TEXT NOT NULL DEFAULT '',
    lease_until TIMESTAMP
);

CREATE TABLE oauth_states (
    nonce      TEXT PRIMARY KEY,
    expires_at TIMESTAMP NOT NULL
);

-- Who may ask, and what instances share in order to ask others: API keys (their
-- hashes only), our own token for Verity (sealed), OAuth states that were used.

CREATE TABLE api_keys (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    scopes       TEXT NOT NULL, -- JSON array
    hash         BYTEA NOT NULL,
    per_minute   INTEGER NOT NULL DEFAULT 0,
    burst        INTEGER NOT NULL DEFAULT 0,
    created_at   TIMESTAMPTZ NOT NULL,
    expires_at   TIMESTAMPTZ,
    revoked_at   TIMESTAMPTZ,
    last_used_at TIMESTAMPTZ
);

CREATE TABLE shared_tokens (
    name        TEXT PRIMARY KEY,
    sealed      TEXT NOT NULL DEFAULT '',
    expires_at  TIMESTAMPTZ,
    not_before  TIMESTAMPTZ,
    trouble     TEXT NOT NULL DEFAULT '',
    owner       TEXT NOT NULL DEFAULT '',
    lease_until TIMESTAMPTZ
);

CREATE TABLE oauth_states (
    nonce      TEXT PRIMARY KEY,
    expires_at TIMESTAMPTZ NOT NULL
);

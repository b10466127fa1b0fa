-- Who may sign in at the console and with which role, and the browsers that are
-- signed in, so that a sign-in holds on every instance and over a restart.
CREATE TABLE console_users (
    id            TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    name_key      TEXT NOT NULL UNIQUE, -- the name in lower case: it stands in the audit log, so no two look alike
    email         TEXT NOT NULL UNIQUE, -- in lower case
    role          TEXT NOT NULL,        -- viewer, operator, admin
    password_hash TEXT NOT NULL,        -- argon2id in the PHC form; '' for none
    clerk_user_id TEXT NOT NULL,        -- user_…; '' for none
    epoch         BIGINT NOT NULL,      -- sessions of an earlier epoch have ended
    created_at    TIMESTAMPTZ NOT NULL,
    updated_at    TIMESTAMPTZ NOT NULL,
    disabled_at   TIMESTAMPTZ,
    signed_in_at  TIMESTAMPTZ           -- the last time
);
CREATE UNIQUE INDEX console_users_clerk ON console_users (clerk_user_id) WHERE clerk_user_id <> '';

CREATE TABLE console_sessions (
    id         TEXT PRIMARY KEY,  -- SHA-256 of what the cookie holds
    user_id    TEXT NOT NULL,     -- '' for whoever showed the admin secret
    epoch      BIGINT NOT NULL,
    actor      TEXT NOT NULL,
    role       TEXT NOT NULL,     -- of a user, the role when it began; what counts is the user's
    csrf       TEXT NOT NULL,
    proof      TEXT NOT NULL,     -- binds a session of '' to the secret that was shown
    began_at   TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    notice     TEXT NOT NULL      -- said once, on the next page
);
CREATE INDEX console_sessions_user ON console_sessions (user_id, began_at);
CREATE INDEX console_sessions_expires ON console_sessions (expires_at);

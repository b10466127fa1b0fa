-- Chat: what was said stays on the server, with who owns it and what it cost,
-- and an approval is a row, because a yes must count once on whatever instance
-- it arrives.

CREATE TABLE chat_conversations (
    owner         TEXT NOT NULL, -- who may see it: admin, key:<id>
    id            TEXT NOT NULL,
    title         TEXT NOT NULL, -- the beginning of the first message
    model         TEXT NOT NULL, -- vendor/model that answered last
    input_tokens  BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cost_micros   BIGINT NOT NULL, -- millionths of the currency of LLM_PRICE_…
    turn          TEXT NOT NULL, -- the answer that is being written, '' when none is
    turn_until    TIMESTAMPTZ,     -- when that answer is given up for dead
    created_at    TIMESTAMPTZ NOT NULL,
    updated_at    TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX chat_conversations_recent ON chat_conversations (owner, updated_at);
CREATE INDEX chat_conversations_age ON chat_conversations (updated_at);

CREATE TABLE chat_messages (
    owner           TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    seq             BIGINT NOT NULL, -- 1, 2, 3 within the conversation
    role            TEXT NOT NULL,   -- user, assistant, tool
    parts           TEXT NOT NULL,   -- JSON: text, calls, results
    note            TEXT NOT NULL,   -- why the message ends early: stopped, limit, failed; else ''
    created_at      TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (owner, conversation_id, seq)
);

CREATE TABLE chat_approvals (
    id              TEXT PRIMARY KEY, -- within the signed approval
    owner           TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    call_id         TEXT NOT NULL, -- the model's call; '' in direct mode
    tool            TEXT NOT NULL,
    state           TEXT NOT NULL, -- waiting, approved, denied
    created_at      TIMESTAMPTZ NOT NULL,
    expires_at      TIMESTAMPTZ NOT NULL,
    decided_at      TIMESTAMPTZ
);
CREATE INDEX chat_approvals_conversation ON chat_approvals (owner, conversation_id);
CREATE INDEX chat_approvals_age ON chat_approvals (created_at);

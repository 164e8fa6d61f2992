-- The control tower: people who sign in, and indexes of its lists.

-- Accounts (governance) --------------------------------------------------------------------------
CREATE TABLE user_account (
    name text PRIMARY KEY,
    password_hash text NOT NULL,
    roles text[] NOT NULL CHECK (roles <> '{}' AND roles <@ ARRAY[
        'viewer', 'operator', 'approver', 'finance', 'integrator', 'admin']),
    failures bigint NOT NULL DEFAULT 0,
    failed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
COMMENT ON TABLE user_account IS
    'governance: people who may sign in to the control tower; of the password only its argon2id hash';
COMMENT ON COLUMN user_account.failures IS 'wrong passwords in a row; the account waits after some';

CREATE TABLE user_session (
    token_hash bytea PRIMARY KEY,
    name text NOT NULL REFERENCES user_account,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE user_session IS
    'governance: who is signed in; only the SHA-256 of the cookie, deleted when it ends';
CREATE INDEX user_session_name ON user_session (name);
CREATE INDEX user_session_expires ON user_session (expires_at);

-- What the lists are read by -----------------------------------------------------------------------
CREATE INDEX exception_inbox ON exception (severity, exception_id DESC) WHERE resolved_at IS NULL;
CREATE INDEX exception_team ON exception (owner_team, severity, exception_id DESC)
    WHERE resolved_at IS NULL;
CREATE INDEX exception_resolved ON exception (exception_id DESC) WHERE resolved_at IS NOT NULL;
CREATE INDEX listing_stalest ON listing (waiting_since, listing_id)
    WHERE waiting_since IS NOT NULL;
CREATE INDEX listing_channel ON listing (channel_id, listing_id);
CREATE INDEX delivery_state ON delivery (state, delivery_id) WHERE state <> 'confirmed';
CREATE INDEX sales_order_channel ON sales_order (channel_id, order_id);
CREATE INDEX sales_order_ended ON sales_order (state, order_id) WHERE ended_at IS NOT NULL;
CREATE INDEX item_sku_prefix ON item (sku text_pattern_ops);

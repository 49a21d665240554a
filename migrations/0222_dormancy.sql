-- Accounts whose manager was told that they will be suspended because nothing uses them. A row ends when its account is used again,
-- or is suspended.
CREATE TABLE dormancy_notices (
    technical_user_id bigint PRIMARY KEY REFERENCES technical_users ON DELETE CASCADE,
    -- The last use that was known then.
    used_at           timestamptz NOT NULL,
    suspends_at       timestamptz NOT NULL
);
CREATE INDEX dormancy_notices_by_end ON dormancy_notices (suspends_at);

-- When an account was used last: its last call, password or reactivation. The one place that says so.
CREATE FUNCTION last_use(password_set_at timestamptz, last_call_at timestamptz, reactivated_at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT greatest(password_set_at, last_call_at, reactivated_at) $$;

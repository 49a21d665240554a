-- When calls of an account were refused for the last time, as its history has it: written with the event, so right to the hour. An
-- instance of the version before leaves it as it is, and the account counts as failing an event later.
ALTER TABLE technical_users ADD COLUMN last_refused_at timestamptz;

-- Whether an account is failing: calls were refused in the last 7 days, and since then it neither called with success nor got
-- another password.
CREATE FUNCTION is_failing(last_refused_at timestamptz, last_call_at timestamptz, password_set_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT last_refused_at IS NOT NULL AND last_refused_at > greatest(last_call_at, password_set_at, portal_now() - interval '7 days') $$;

-- Whether a person can sign in: the one place that says so. Without a password, or before the first sign-in after an invitation, a person
-- is invited; what the operator ended comes before all else.
CREATE FUNCTION person_state(disabled_at timestamptz, password_hash text, invited boolean) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN disabled_at IS NOT NULL THEN 'disabled' WHEN password_hash IS NULL OR invited THEN 'invited' ELSE 'active' END $$;

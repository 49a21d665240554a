-- How many days people count until an instant: by the calendar on a wall in Paris, as the screens write dates.
-- Negative as soon as the instant is past, also on the same day.
CREATE FUNCTION days_until(instant timestamptz) RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN instant <= portal_now() THEN -1
               ELSE (instant AT TIME ZONE 'Europe/Paris')::date - (portal_now() AT TIME ZONE 'Europe/Paris')::date END $$;

-- One row per reminder that was mailed: of a password (the account at a credential version), so many days before its end.
CREATE TABLE expiry_reminders (
    technical_user_id  bigint NOT NULL REFERENCES technical_users ON DELETE CASCADE,
    credential_version integer NOT NULL,
    days_before        integer NOT NULL,
    sent_at            timestamptz NOT NULL DEFAULT portal_now(),
    PRIMARY KEY (technical_user_id, credential_version, days_before)
);
CREATE INDEX technical_users_by_expiry ON technical_users (expires_at) WHERE status = 'ACTIVE';

-- The link by which a calendar subscribes to a person's deadlines, known by its hash. It shows dates and names, no secret.
ALTER TABLE users ADD COLUMN calendar_token_hash bytea CONSTRAINT users_calendar_token_key UNIQUE;

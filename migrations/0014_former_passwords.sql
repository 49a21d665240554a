-- A password that was replaced and still works for a while, so that software can be changed over without an interruption. One per
-- account: a further reset ends it at once, whether or not it keeps the password of its own time.
CREATE TABLE former_passwords (
    technical_user_id  bigint PRIMARY KEY REFERENCES technical_users ON DELETE CASCADE,
    -- The version that tokens and remembered verifications name; below the account's own.
    credential_version integer NOT NULL,
    password_hash      text NOT NULL,
    password_checksum  text,
    set_by             bigint NOT NULL REFERENCES users,
    shown_at           timestamptz,
    -- Never after the password's own end.
    ends_at            timestamptz NOT NULL,
    last_call_at       timestamptz
);
CREATE INDEX former_passwords_by_end ON former_passwords (ends_at);
CREATE INDEX former_passwords_by_checksum ON former_passwords (password_checksum) WHERE password_checksum IS NOT NULL;

-- As before, but a claim may name either of the two versions that work. Each version has an end of its own: `sunset` is that of
-- the password which was shown, so that software on its way out is told so. Where a token and an account are shown, both must be
-- good, and the first end counts.
CREATE OR REPLACE FUNCTION api_caller(shown_token bytea, shown_account bigint, shown_version integer)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, at timestamptz, sunset timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT t.id, a.manager_id, portal_now(), CASE WHEN e.first <= portal_now() + interval '31 days' THEN e.first END
     FROM technical_users t
     JOIN technical_user_authority a ON a.technical_user_id = t.id
     LEFT JOIN former_passwords f ON f.technical_user_id = t.id
     LEFT JOIN access_tokens k ON k.token_hash = shown_token AND k.expires_at > portal_now()
    CROSS JOIN LATERAL (SELECT
          CASE shown_version WHEN t.credential_version THEN t.expires_at WHEN f.credential_version THEN f.ends_at END AS of_account,
          CASE WHEN k.technical_user_id <> t.id THEN NULL
               WHEN k.credential_version = t.credential_version THEN t.expires_at
               WHEN k.credential_version = f.credential_version THEN f.ends_at END AS of_token) p
    CROSS JOIN LATERAL (SELECT least(p.of_account, p.of_token) AS first) e
    WHERE t.id = coalesce(shown_account, (SELECT s.technical_user_id FROM access_tokens s WHERE s.token_hash = shown_token))
      AND t.status = 'ACTIVE' AND a.active
      AND (shown_account IS NULL OR p.of_account > portal_now())
      AND (shown_token IS NULL OR p.of_token > portal_now()) $$;

-- Who knows a password that still works for a while can use it too.
CREATE OR REPLACE VIEW passwords_known_to_others AS
    SELECT t.id AS technical_user_id FROM technical_users t JOIN structures s ON s.id = t.structure_id
     WHERE t.password_shown_at IS NOT NULL AND t.password_set_by IS DISTINCT FROM s.principal_manager_id
    UNION ALL
    SELECT t.id FROM former_passwords f
      JOIN technical_users t ON t.id = f.technical_user_id JOIN structures s ON s.id = t.structure_id
     WHERE f.ends_at > portal_now() AND f.shown_at IS NOT NULL AND f.set_by IS DISTINCT FROM s.principal_manager_id;

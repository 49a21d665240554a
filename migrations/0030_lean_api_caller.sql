-- As before, but free where no test moves the clock: a text read as an interval costs more than the rest of a small statement.
CREATE OR REPLACE FUNCTION portal_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN current_setting('raccord.clock_offset', true) <> ''
               THEN now() + current_setting('raccord.clock_offset')::interval ELSE now() END $$;

-- As before, for half the work: every call of the API begins here. The token is looked up once, whether or not an account is shown
-- beside it, and the principal manager's number is read from the structure that points to it: the person's row says nothing more.
CREATE OR REPLACE FUNCTION api_caller(shown_token bytea, shown_account bigint, shown_version integer)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, at timestamptz, sunset timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT t.id, s.principal_manager_id, portal_now(), CASE WHEN e.first <= portal_now() + interval '31 days' THEN e.first END
     FROM (SELECT) one
     LEFT JOIN access_tokens k ON k.token_hash = shown_token AND k.expires_at > portal_now()
     JOIN technical_users t ON t.id = coalesce(shown_account, k.technical_user_id)
     JOIN structures s ON s.id = t.structure_id
     LEFT JOIN former_passwords f ON f.technical_user_id = t.id
    CROSS JOIN LATERAL (SELECT
          CASE shown_version WHEN t.credential_version THEN t.expires_at WHEN f.credential_version THEN f.ends_at END AS of_account,
          CASE WHEN k.technical_user_id <> t.id THEN NULL
               WHEN k.credential_version = t.credential_version THEN t.expires_at
               WHEN k.credential_version = f.credential_version THEN f.ends_at END AS of_token) p
    CROSS JOIN LATERAL (SELECT least(p.of_account, p.of_token) AS first) e
    WHERE t.status = 'ACTIVE' AND s.active AND s.principal_manager_id IS NOT NULL
      AND (shown_account IS NULL OR p.of_account > portal_now())
      AND (shown_token IS NULL OR p.of_token > portal_now()) $$;

-- The same judgement where only one of the two was shown, as nearly always: for the calls that software makes most. A token is a
-- claim that was written down, so whoever shows one is judged like whoever shows an account at that version.
CREATE FUNCTION account_caller(shown_account bigint, shown_version integer)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, at timestamptz, sunset timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT t.id, s.principal_manager_id, portal_now(), CASE WHEN e.ends <= portal_now() + interval '31 days' THEN e.ends END
     FROM technical_users t
     JOIN structures s ON s.id = t.structure_id
     LEFT JOIN former_passwords f ON f.technical_user_id = t.id
    CROSS JOIN LATERAL (SELECT
          CASE shown_version WHEN t.credential_version THEN t.expires_at WHEN f.credential_version THEN f.ends_at END AS ends) e
    WHERE t.id = shown_account AND t.status = 'ACTIVE' AND s.active AND s.principal_manager_id IS NOT NULL
      AND e.ends > portal_now() $$;

CREATE FUNCTION token_caller(shown_token bytea)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, at timestamptz, sunset timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT c.* FROM access_tokens k CROSS JOIN LATERAL account_caller(k.technical_user_id, k.credential_version) c
    WHERE k.token_hash = shown_token AND k.expires_at > portal_now() $$;

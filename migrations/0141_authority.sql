-- What a token opens. Without a narrowing (RFC 8707), as every token of the version before: Raccord's own API, and all services.
ALTER TABLE access_tokens
    ADD COLUMN opens_api boolean NOT NULL DEFAULT true,
    -- The services that the token was narrowed to; none means all.
    ADD COLUMN service_ids bigint[],
    -- `jti`, and `iat`; tokens of the version before have neither.
    ADD COLUMN token_id text,
    ADD COLUMN issued_at timestamptz;

-- The structures within an account's rights: those of its principal manager, now (rule 5). The one place that says so: calls,
-- introspection and forward-auth read it. The planner inlines it.
CREATE FUNCTION structures_within_rights(account_id bigint, manager_id bigint)
RETURNS TABLE (structure_id bigint, membership_id bigint, role text)
LANGUAGE sql STABLE AS
$$ SELECT m.structure_id, m.id, m.role FROM memberships m WHERE m.user_id = manager_id $$;

-- An account at one version of its password, judged: whoever shows that version is told this. The judgement of account_caller
-- (0030), which reads it from here now, with what a gateway or a service is told.
CREATE FUNCTION account_authority(shown_account bigint, shown_version integer)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, at timestamptz, password_ends timestamptz, login text,
               identifier_type text, identifier text, designation text)
LANGUAGE sql STABLE AS
$$ SELECT t.id, s.principal_manager_id, portal_now(), e.ends, t.login, s.identifier_type, s.identifier, s.designation
     FROM technical_users t
     JOIN structures s ON s.id = t.structure_id
     LEFT JOIN former_passwords f ON f.technical_user_id = t.id
    CROSS JOIN LATERAL (SELECT
          CASE shown_version WHEN t.credential_version THEN t.expires_at WHEN f.credential_version THEN f.ends_at END AS ends) e
    WHERE t.id = shown_account AND t.status = 'ACTIVE' AND s.active AND s.principal_manager_id IS NOT NULL
      AND e.ends > portal_now() $$;

CREATE OR REPLACE FUNCTION account_caller(shown_account bigint, shown_version integer)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, at timestamptz, sunset timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT a.technical_user_id, a.manager_id, a.at, CASE WHEN a.password_ends <= a.at + interval '31 days' THEN a.password_ends END
     FROM account_authority(shown_account, shown_version) a $$;

-- What a credential opens, and for which account: of a token, of a password, and of a token, a password or both. Each returns the
-- same columns, and no row where the credential is not valid now. Those of the token are null for a password.
CREATE FUNCTION token_authority(shown_token bytea)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, at timestamptz, password_ends timestamptz, login text,
               identifier_type text, identifier text, designation text,
               opens_api boolean, service_ids bigint[], token_id text, token_issued timestamptz, token_ends timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT a.*, k.opens_api, k.service_ids, k.token_id, k.issued_at, k.expires_at
     FROM access_tokens k CROSS JOIN LATERAL account_authority(k.technical_user_id, k.credential_version) a
    WHERE k.token_hash = shown_token AND k.expires_at > portal_now() $$;

CREATE FUNCTION password_authority(shown_verifiers bytea[])
RETURNS TABLE (technical_user_id bigint, manager_id bigint, at timestamptz, password_ends timestamptz, login text,
               identifier_type text, identifier text, designation text,
               opens_api boolean, service_ids bigint[], token_id text, token_issued timestamptz, token_ends timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT a.*, true, NULL::bigint[], NULL::text, NULL::timestamptz, NULL::timestamptz
     FROM (SELECT p.technical_user_id, p.credential_version FROM password_verifiers p
            WHERE p.verifier = ANY (shown_verifiers) LIMIT 1) v
    CROSS JOIN LATERAL account_authority(v.technical_user_id, v.credential_version) a $$;

-- Where both are shown, both must be valid and belong to the same account, and the first end counts. The judgement of api_caller
-- (0080), which reads it from here now.
CREATE FUNCTION credential_authority(shown_token bytea, shown_verifiers bytea[])
RETURNS TABLE (technical_user_id bigint, manager_id bigint, at timestamptz, password_ends timestamptz, login text,
               identifier_type text, identifier text, designation text,
               opens_api boolean, service_ids bigint[], token_id text, token_issued timestamptz, token_ends timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT t.id, s.principal_manager_id, portal_now(), e.first, t.login, s.identifier_type, s.identifier, s.designation,
          coalesce(k.opens_api, true), k.service_ids, k.token_id, k.issued_at, k.expires_at
     FROM (SELECT) one
     LEFT JOIN access_tokens k ON k.token_hash = shown_token AND k.expires_at > portal_now()
     LEFT JOIN LATERAL (SELECT w.technical_user_id, w.credential_version FROM password_verifiers w
                         WHERE w.verifier = ANY (shown_verifiers) LIMIT 1) v ON true
     JOIN technical_users t ON t.id = coalesce(v.technical_user_id, k.technical_user_id)
     JOIN structures s ON s.id = t.structure_id
     LEFT JOIN former_passwords f ON f.technical_user_id = t.id
    CROSS JOIN LATERAL (SELECT
          CASE v.credential_version WHEN t.credential_version THEN t.expires_at WHEN f.credential_version THEN f.ends_at END AS of_password,
          CASE WHEN k.technical_user_id <> t.id THEN NULL
               WHEN k.credential_version = t.credential_version THEN t.expires_at
               WHEN k.credential_version = f.credential_version THEN f.ends_at END AS of_token) p
    CROSS JOIN LATERAL (SELECT least(p.of_password, p.of_token) AS first) e
    WHERE t.status = 'ACTIVE' AND s.active AND s.principal_manager_id IS NOT NULL
      AND (shown_verifiers IS NULL OR p.of_password > portal_now())
      AND (shown_token IS NULL OR p.of_token > portal_now()) $$;

-- Raccord's own API, as before; a token that was narrowed to services does not open it.
CREATE OR REPLACE FUNCTION token_caller(shown_token bytea)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, at timestamptz, sunset timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT c.* FROM access_tokens k CROSS JOIN LATERAL account_caller(k.technical_user_id, k.credential_version) c
    WHERE k.token_hash = shown_token AND k.expires_at > portal_now() AND k.opens_api $$;

CREATE OR REPLACE FUNCTION api_caller(shown_token bytea, shown_verifiers bytea[])
RETURNS TABLE (technical_user_id bigint, manager_id bigint, at timestamptz, sunset timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT a.technical_user_id, a.manager_id, a.at, CASE WHEN a.password_ends <= a.at + interval '31 days' THEN a.password_ends END
     FROM credential_authority(shown_token, shown_verifiers) a WHERE a.opens_api $$;

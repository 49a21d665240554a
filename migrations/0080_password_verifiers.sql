-- The verifiers of technical users' passwords: HMAC-SHA-256 over login and password, under a key that is derived from a key of the
-- key file. A call with a password finds its account by the verifier, as a call with a token does by the token's hash. One row per
-- password that has one; it counts for as long as its version is the account's own or its former password's, so that whatever ends
-- a version ends its verifier. A password without a row, or whose key is no longer in the file, is verified with Argon2id once.
CREATE TABLE password_verifiers (
    technical_user_id  bigint NOT NULL REFERENCES technical_users ON DELETE CASCADE,
    credential_version integer NOT NULL,
    -- The name of the key in the key file.
    key_id             text NOT NULL,
    verifier           bytea NOT NULL CONSTRAINT password_verifiers_verifier_key UNIQUE CHECK (octet_length(verifier) = 32),
    PRIMARY KEY (technical_user_id, credential_version)
);

-- As token_caller, for a password: its verifiers under all keys of the file, of which one at most is stored. LIMIT says so to the
-- planner, which would expect ten rows, find one plan for all calls too dear and plan each call anew.
CREATE FUNCTION password_caller(shown_verifiers bytea[])
RETURNS TABLE (technical_user_id bigint, manager_id bigint, at timestamptz, sunset timestamptz, credential_version integer)
LANGUAGE sql STABLE AS
$$ SELECT c.*, v.credential_version
     FROM (SELECT p.technical_user_id, p.credential_version FROM password_verifiers p
            WHERE p.verifier = ANY (shown_verifiers) LIMIT 1) v
    CROSS JOIN LATERAL account_caller(v.technical_user_id, v.credential_version) c $$;

-- The same judgement for a token, a password or both. Both must then be valid and belong to the same account, and the first end
-- counts. The function of this name with three arguments is for instances of the version before; a later migration drops it.
CREATE FUNCTION api_caller(shown_token bytea, shown_verifiers bytea[])
RETURNS TABLE (technical_user_id bigint, manager_id bigint, at timestamptz, sunset timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT t.id, s.principal_manager_id, portal_now(), CASE WHEN e.first <= portal_now() + interval '31 days' THEN e.first END
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

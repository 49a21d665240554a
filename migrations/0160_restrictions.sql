-- Restrictions of a technical user: from which networks it may call, and on which of its manager's structures. The columns are on
-- the account's row, which each call reads anyway; an account without restrictions costs a call nothing.
ALTER TABLE technical_users
    -- ANY: every address. LOCK: none yet; the first address that calls becomes the list. LIST: those of `networks`.
    ADD COLUMN network_rule text NOT NULL DEFAULT 'ANY',
    ADD COLUMN networks cidr[] NOT NULL DEFAULT '{}',
    -- Whether only the structures of technical_user_structures count, of those of the manager. It stays where none is left.
    ADD COLUMN structures_chosen boolean NOT NULL DEFAULT false,
    -- Grows with each change by a manager: a form that was made for another state is refused.
    ADD COLUMN restrictions_version integer NOT NULL DEFAULT 0,
    -- The last mail about calls from other networks.
    ADD COLUMN network_refusals_told_at timestamptz,
    ADD CONSTRAINT technical_users_networks CHECK (
        network_rule IN ('ANY', 'LOCK', 'LIST') AND cardinality(networks) <= 32
        AND (network_rule = 'LIST') = (cardinality(networks) > 0));

CREATE TABLE technical_user_structures (
    technical_user_id bigint NOT NULL REFERENCES technical_users ON DELETE CASCADE,
    structure_id      bigint NOT NULL REFERENCES structures,
    PRIMARY KEY (technical_user_id, structure_id)
);

-- The addresses from which an account called with success in the last 30 days. `last_call_at` is right to the hour.
CREATE TABLE technical_user_callers (
    technical_user_id bigint NOT NULL REFERENCES technical_users ON DELETE CASCADE,
    address           inet NOT NULL,
    last_call_at      timestamptz NOT NULL,
    PRIMARY KEY (technical_user_id, address)
);
CREATE INDEX technical_user_callers_by_time ON technical_user_callers (last_call_at);

-- Whether an account takes calls from this address. NULL is an address that is not known: only an account without a rule takes it.
CREATE FUNCTION network_admits(network_rule text, networks cidr[], caller inet) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT network_rule = 'ANY' OR coalesce(caller <<= ANY (networks), false) $$;

-- The structures within an account's rights: those of its principal manager, now (rule 5), and of them the chosen ones where some
-- were chosen. The one place that says so. The third argument is the account's structures_chosen, which the caller has read.
CREATE FUNCTION structures_within_rights(account_id bigint, manager_id bigint, are_chosen boolean)
RETURNS TABLE (structure_id bigint, membership_id bigint, role text)
LANGUAGE sql STABLE AS
$$ SELECT m.structure_id, m.id, m.role FROM memberships m
    WHERE m.user_id = manager_id
      AND (NOT are_chosen OR EXISTS (SELECT FROM technical_user_structures n
                                      WHERE n.technical_user_id = account_id AND n.structure_id = m.structure_id)) $$;

-- Those of an account whose structures were chosen, by kind and identifier, for the scope that programs are told: one more than it
-- names. The planner does not inline it: it is called for such accounts only.
CREATE FUNCTION chosen_structures(account_id bigint, manager_id bigint) RETURNS text[] LANGUAGE sql STABLE AS
$$ SELECT ARRAY(SELECT x.identifier_type || ':' || x.identifier
                  FROM structures_within_rights(account_id, manager_id, true) r JOIN structures x ON x.id = r.structure_id
                 ORDER BY x.id LIMIT 21) $$;

-- For instances of the version before, as are all functions below that take no address: they do not know it, and an account with a
-- network rule is closed to them. A later migration drops them.
CREATE OR REPLACE FUNCTION structures_within_rights(account_id bigint, manager_id bigint)
RETURNS TABLE (structure_id bigint, membership_id bigint, role text)
LANGUAGE sql STABLE AS
$$ SELECT r.* FROM technical_users t CROSS JOIN LATERAL structures_within_rights(t.id, manager_id, t.structures_chosen) r
    WHERE t.id = account_id $$;

-- An account at one version of its password, judged, but for the address of the call.
CREATE FUNCTION account_standing(shown_account bigint, shown_version integer)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, structures_chosen boolean, network_rule text, networks cidr[],
               at timestamptz, password_ends timestamptz, login text, identifier_type text, identifier text, designation text)
LANGUAGE sql STABLE AS
$$ SELECT t.id, s.principal_manager_id, t.structures_chosen, t.network_rule, t.networks,
          portal_now(), e.ends, t.login, s.identifier_type, s.identifier, s.designation
     FROM technical_users t
     JOIN structures s ON s.id = t.structure_id
     LEFT JOIN former_passwords f ON f.technical_user_id = t.id
    CROSS JOIN LATERAL (SELECT
          CASE shown_version WHEN t.credential_version THEN t.expires_at WHEN f.credential_version THEN f.ends_at END AS ends) e
    WHERE t.id = shown_account AND t.status = 'ACTIVE' AND s.active AND s.principal_manager_id IS NOT NULL
      AND e.ends > portal_now() $$;

CREATE FUNCTION account_caller(shown_account bigint, shown_version integer, caller inet)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, structures_chosen boolean, at timestamptz, sunset timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT a.technical_user_id, a.manager_id, a.structures_chosen, a.at,
          CASE WHEN a.password_ends <= a.at + interval '31 days' THEN a.password_ends END
     FROM account_standing(shown_account, shown_version) a WHERE network_admits(a.network_rule, a.networks, caller) $$;

-- What a credential opens, and for which account, but for the address: of a token, of a password, and of a token, a password or
-- both. Where both are shown, both must be valid and belong to the same account, and the first end counts.
CREATE FUNCTION token_standing(shown_token bytea)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, structures_chosen boolean, network_rule text, networks cidr[],
               at timestamptz, password_ends timestamptz, login text, identifier_type text, identifier text, designation text,
               opens_api boolean, service_ids bigint[], token_id text, token_issued timestamptz, token_ends timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT a.*, k.opens_api, k.service_ids, k.token_id, k.issued_at, k.expires_at
     FROM access_tokens k CROSS JOIN LATERAL account_standing(k.technical_user_id, k.credential_version) a
    WHERE k.token_hash = shown_token AND k.expires_at > portal_now() $$;

CREATE FUNCTION password_standing(shown_verifiers bytea[])
RETURNS TABLE (technical_user_id bigint, manager_id bigint, structures_chosen boolean, network_rule text, networks cidr[],
               at timestamptz, password_ends timestamptz, login text, identifier_type text, identifier text, designation text,
               opens_api boolean, service_ids bigint[], token_id text, token_issued timestamptz, token_ends timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT a.*, true, NULL::bigint[], NULL::text, NULL::timestamptz, NULL::timestamptz
     FROM (SELECT p.technical_user_id, p.credential_version FROM password_verifiers p
            WHERE p.verifier = ANY (shown_verifiers) LIMIT 1) v
    CROSS JOIN LATERAL account_standing(v.technical_user_id, v.credential_version) a $$;

CREATE FUNCTION credential_standing(shown_token bytea, shown_verifiers bytea[])
RETURNS TABLE (technical_user_id bigint, manager_id bigint, structures_chosen boolean, network_rule text, networks cidr[],
               at timestamptz, password_ends timestamptz, login text, identifier_type text, identifier text, designation text,
               opens_api boolean, service_ids bigint[], token_id text, token_issued timestamptz, token_ends timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT t.id, s.principal_manager_id, t.structures_chosen, t.network_rule, t.networks,
          portal_now(), e.first, t.login, s.identifier_type, s.identifier, s.designation,
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

-- The same for a call from this address.
CREATE FUNCTION token_authority(shown_token bytea, caller inet)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, structures_chosen boolean, network_rule text, networks cidr[],
               at timestamptz, password_ends timestamptz, login text, identifier_type text, identifier text, designation text,
               opens_api boolean, service_ids bigint[], token_id text, token_issued timestamptz, token_ends timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT a.* FROM token_standing(shown_token) a WHERE network_admits(a.network_rule, a.networks, caller) $$;

CREATE FUNCTION password_authority(shown_verifiers bytea[], caller inet)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, structures_chosen boolean, network_rule text, networks cidr[],
               at timestamptz, password_ends timestamptz, login text, identifier_type text, identifier text, designation text,
               opens_api boolean, service_ids bigint[], token_id text, token_issued timestamptz, token_ends timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT a.* FROM password_standing(shown_verifiers) a WHERE network_admits(a.network_rule, a.networks, caller) $$;

CREATE FUNCTION credential_authority(shown_token bytea, shown_verifiers bytea[], caller inet)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, structures_chosen boolean, network_rule text, networks cidr[],
               at timestamptz, password_ends timestamptz, login text, identifier_type text, identifier text, designation text,
               opens_api boolean, service_ids bigint[], token_id text, token_issued timestamptz, token_ends timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT a.* FROM credential_standing(shown_token, shown_verifiers) a WHERE network_admits(a.network_rule, a.networks, caller) $$;

-- Raccord's own API; a token that was narrowed to services does not open it.
CREATE FUNCTION token_caller(shown_token bytea, caller inet)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, structures_chosen boolean, at timestamptz, sunset timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT c.* FROM access_tokens k CROSS JOIN LATERAL account_caller(k.technical_user_id, k.credential_version, caller) c
    WHERE k.token_hash = shown_token AND k.expires_at > portal_now() AND k.opens_api $$;

CREATE FUNCTION password_caller(shown_verifiers bytea[], caller inet)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, structures_chosen boolean, at timestamptz, sunset timestamptz,
               credential_version integer)
LANGUAGE sql STABLE AS
$$ SELECT c.*, v.credential_version
     FROM (SELECT p.technical_user_id, p.credential_version FROM password_verifiers p
            WHERE p.verifier = ANY (shown_verifiers) LIMIT 1) v
    CROSS JOIN LATERAL account_caller(v.technical_user_id, v.credential_version, caller) c $$;

CREATE FUNCTION api_caller(shown_token bytea, shown_verifiers bytea[], caller inet)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, structures_chosen boolean, at timestamptz, sunset timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT a.technical_user_id, a.manager_id, a.structures_chosen, a.at,
          CASE WHEN a.password_ends <= a.at + interval '31 days' THEN a.password_ends END
     FROM credential_authority(shown_token, shown_verifiers, caller) a WHERE a.opens_api $$;

-- For instances of the version before.
CREATE OR REPLACE FUNCTION account_authority(shown_account bigint, shown_version integer)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, at timestamptz, password_ends timestamptz, login text,
               identifier_type text, identifier text, designation text)
LANGUAGE sql STABLE AS
$$ SELECT a.technical_user_id, a.manager_id, a.at, a.password_ends, a.login, a.identifier_type, a.identifier, a.designation
     FROM account_standing(shown_account, shown_version) a WHERE a.network_rule = 'ANY' $$;

CREATE OR REPLACE FUNCTION credential_authority(shown_token bytea, shown_verifiers bytea[])
RETURNS TABLE (technical_user_id bigint, manager_id bigint, at timestamptz, password_ends timestamptz, login text,
               identifier_type text, identifier text, designation text,
               opens_api boolean, service_ids bigint[], token_id text, token_issued timestamptz, token_ends timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT a.technical_user_id, a.manager_id, a.at, a.password_ends, a.login, a.identifier_type, a.identifier, a.designation,
          a.opens_api, a.service_ids, a.token_id, a.token_issued, a.token_ends
     FROM credential_standing(shown_token, shown_verifiers) a WHERE a.network_rule = 'ANY' $$;

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
    WHERE t.status = 'ACTIVE' AND s.active AND s.principal_manager_id IS NOT NULL AND t.network_rule = 'ANY'
      AND (shown_account IS NULL OR p.of_account > portal_now())
      AND (shown_token IS NULL OR p.of_token > portal_now()) $$;

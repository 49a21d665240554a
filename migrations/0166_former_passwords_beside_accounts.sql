-- The former password that still works, also on the account's row: judging a call then reads one table less. former_passwords stays
-- the record; triggers copy what calls need in the same transaction, also for instances of the version before. What has expired is
-- not removed: it opens nothing, and the sweep would lock accounts in no order.
ALTER TABLE technical_users
    ADD COLUMN former_version integer,
    ADD COLUMN former_ends_at timestamptz;
UPDATE technical_users t SET former_version = f.credential_version, former_ends_at = f.ends_at
  FROM former_passwords f WHERE f.technical_user_id = t.id;

CREATE FUNCTION copy_former_password() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    -- NEW is null where the row is deleted, OLD where it is inserted.
    UPDATE technical_users SET former_version = NEW.credential_version, former_ends_at = NEW.ends_at
     WHERE id = coalesce(NEW.technical_user_id, OLD.technical_user_id);
    RETURN NULL;
END $$;
CREATE TRIGGER former_passwords_written AFTER INSERT OR UPDATE OF credential_version, ends_at ON former_passwords
    FOR EACH ROW EXECUTE FUNCTION copy_former_password();
CREATE TRIGGER former_passwords_ended AFTER DELETE ON former_passwords
    FOR EACH ROW WHEN (OLD.ends_at > portal_now()) EXECUTE FUNCTION copy_former_password();

-- As before, without former_passwords, and with one reading of the clock: OFFSET keeps the planner from repeating it.
CREATE OR REPLACE FUNCTION account_standing(shown_account bigint, shown_version integer)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, structures_chosen boolean, network_rule text, networks cidr[],
               at timestamptz, password_ends timestamptz, login text, identifier_type text, identifier text, designation text)
LANGUAGE sql STABLE AS
$$ SELECT t.id, s.principal_manager_id, t.structures_chosen, t.network_rule, t.networks,
          c.at, e.ends, t.login, s.identifier_type, s.identifier, s.designation
     FROM (SELECT portal_now() AS at OFFSET 0) c
    CROSS JOIN technical_users t
     JOIN structures s ON s.id = t.structure_id
    CROSS JOIN LATERAL (SELECT
          CASE shown_version WHEN t.credential_version THEN t.expires_at WHEN t.former_version THEN t.former_ends_at END AS ends) e
    WHERE t.id = shown_account AND t.status = 'ACTIVE' AND s.active AND s.principal_manager_id IS NOT NULL
      AND e.ends > c.at $$;

CREATE OR REPLACE FUNCTION token_standing(shown_token bytea)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, structures_chosen boolean, network_rule text, networks cidr[],
               at timestamptz, password_ends timestamptz, login text, identifier_type text, identifier text, designation text,
               opens_api boolean, service_ids bigint[], token_id text, token_issued timestamptz, token_ends timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT a.*, k.opens_api, k.service_ids, k.token_id, k.issued_at, k.expires_at
     FROM access_tokens k CROSS JOIN LATERAL account_standing(k.technical_user_id, k.credential_version) a
    WHERE k.token_hash = shown_token AND k.expires_at > a.at $$;

CREATE OR REPLACE FUNCTION credential_standing(shown_token bytea, shown_verifiers bytea[])
RETURNS TABLE (technical_user_id bigint, manager_id bigint, structures_chosen boolean, network_rule text, networks cidr[],
               at timestamptz, password_ends timestamptz, login text, identifier_type text, identifier text, designation text,
               opens_api boolean, service_ids bigint[], token_id text, token_issued timestamptz, token_ends timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT t.id, s.principal_manager_id, t.structures_chosen, t.network_rule, t.networks,
          c.at, e.first, t.login, s.identifier_type, s.identifier, s.designation,
          coalesce(k.opens_api, true), k.service_ids, k.token_id, k.issued_at, k.expires_at
     FROM (SELECT portal_now() AS at OFFSET 0) c
     LEFT JOIN access_tokens k ON k.token_hash = shown_token AND k.expires_at > c.at
     LEFT JOIN LATERAL (SELECT w.technical_user_id, w.credential_version FROM password_verifiers w
                         WHERE w.verifier = ANY (shown_verifiers) LIMIT 1) v ON true
     JOIN technical_users t ON t.id = coalesce(v.technical_user_id, k.technical_user_id)
     JOIN structures s ON s.id = t.structure_id
    CROSS JOIN LATERAL (SELECT
          CASE v.credential_version WHEN t.credential_version THEN t.expires_at WHEN t.former_version THEN t.former_ends_at END AS of_password,
          CASE WHEN k.technical_user_id <> t.id THEN NULL
               WHEN k.credential_version = t.credential_version THEN t.expires_at
               WHEN k.credential_version = t.former_version THEN t.former_ends_at END AS of_token) p
    CROSS JOIN LATERAL (SELECT least(p.of_password, p.of_token) AS first) e
    WHERE t.status = 'ACTIVE' AND s.active AND s.principal_manager_id IS NOT NULL
      AND (shown_verifiers IS NULL OR p.of_password > c.at)
      AND (shown_token IS NULL OR p.of_token > c.at) $$;

CREATE OR REPLACE FUNCTION token_caller(shown_token bytea, caller inet)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, structures_chosen boolean, at timestamptz, sunset timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT c.* FROM access_tokens k CROSS JOIN LATERAL account_caller(k.technical_user_id, k.credential_version, caller) c
    WHERE k.token_hash = shown_token AND k.expires_at > c.at AND k.opens_api $$;

-- What the list of all technical users of a manager compares, made when an account is written and not for each of 25,000 at each search.
ALTER TABLE technical_users ADD COLUMN search_text text
    GENERATED ALWAYS AS (coalesce(search_key(label), '') || E'\n' || lower(login)) STORED;

-- As before, said as a rule about one password, so that a list may ask it of the rows that it reads anyway.
CREATE FUNCTION known_to_another(shown_at timestamptz, set_by bigint, manager_id bigint) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT shown_at IS NOT NULL AND set_by IS DISTINCT FROM manager_id $$;
CREATE OR REPLACE VIEW passwords_known_to_others AS
    SELECT t.id AS technical_user_id FROM technical_users t JOIN structures s ON s.id = t.structure_id
     WHERE known_to_another(t.password_shown_at, t.password_set_by, s.principal_manager_id)
    UNION ALL
    SELECT t.id FROM former_passwords f
      JOIN technical_users t ON t.id = f.technical_user_id JOIN structures s ON s.id = t.structure_id
     WHERE f.ends_at > portal_now() AND known_to_another(f.shown_at, f.set_by, s.principal_manager_id);

-- The first instant that is more than so many days away, as days_until counts them.
CREATE FUNCTION end_of_days(days integer) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT ((portal_now() AT TIME ZONE 'Europe/Paris')::date + days + 1)::timestamp AT TIME ZONE 'Europe/Paris' $$;

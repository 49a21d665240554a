-- Who a person is at the identity provider. A row stays when its link ends: the same identity is not linked again by its address.
CREATE TABLE provider_identities (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id      bigint NOT NULL REFERENCES users,
    issuer       text NOT NULL CHECK (length(issuer) <= 2000),
    subject      text NOT NULL CHECK (length(subject) BETWEEN 1 AND 255),
    -- As the provider named it when the link was made, for the person to recognise it.
    address      text NOT NULL CHECK (length(address) <= 254),
    linked_at    timestamptz NOT NULL DEFAULT portal_now(),
    last_used_at timestamptz NOT NULL DEFAULT portal_now(),
    unlinked_at  timestamptz,
    UNIQUE (issuer, subject)
);
CREATE INDEX provider_identities_by_user ON provider_identities (user_id);

-- Attempts that left for the provider and have not come back, by the hash of their state.
CREATE TABLE provider_attempts (
    state_hash      bytea PRIMARY KEY,
    browser_hash    bytea NOT NULL,
    purpose         text NOT NULL,
    -- The session or the link within which the attempt began.
    session_hash    bytea,
    invitation_hash bytea,
    return_to       text,
    carried         bytea,
    created_at      timestamptz NOT NULL DEFAULT portal_now()
);
CREATE INDEX provider_attempts_by_browser ON provider_attempts (browser_hash);
CREATE INDEX provider_attempts_by_age ON provider_attempts (created_at);

-- A session that began at the provider: with which identity, whether a second factor was given there, and the token that ends it there,
-- sealed under a key of the key file.
ALTER TABLE sessions ADD COLUMN provider_identity_id bigint REFERENCES provider_identities ON DELETE SET NULL;
ALTER TABLE sessions ADD COLUMN has_second_factor_elsewhere boolean NOT NULL DEFAULT false;
ALTER TABLE sessions ADD COLUMN id_token bytea;
CREATE INDEX sessions_by_provider_identity ON sessions (provider_identity_id) WHERE provider_identity_id IS NOT NULL;

-- The identity of a person who signs in at the provider alone, in the place of a password hash.
CREATE FUNCTION way_in(person bigint, password_hash text) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT coalesce(password_hash, (SELECT 'provider' FROM provider_identities WHERE user_id = person AND unlinked_at IS NULL LIMIT 1)) $$;

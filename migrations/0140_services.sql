-- Services: the operator's own APIs, which ask Raccord about the credentials that they are shown. The command line makes and ends
-- them; no page and no call changes one.
CREATE TABLE services (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name             text NOT NULL CONSTRAINT services_name_key UNIQUE,
    -- What a service shows beside its secret.
    client_id        text NOT NULL CONSTRAINT services_client_id_key UNIQUE,
    -- What `resource` in a token request and `aud` in a token name (RFC 8707).
    audience         text NOT NULL CONSTRAINT services_audience_key UNIQUE,
    -- Whether a token that names this service is a JWT (RFC 9068).
    jwt              boolean NOT NULL DEFAULT false,
    -- The lifetime of a token that names this service.
    token_seconds    integer NOT NULL CHECK (token_seconds > 0 AND (NOT jwt OR token_seconds <= 300)),
    -- Whether a credential must name this service.
    needs_audience   boolean NOT NULL DEFAULT false,
    enabled          boolean NOT NULL DEFAULT true,
    created_at       timestamptz NOT NULL DEFAULT portal_now()
);

-- The secrets of services, by SHA-256: 162 random bits, as hard to find from their hash as a token. Two at most count: the present
-- one, which has no end, and the one before, where a rotation let it work for a while.
CREATE TABLE service_secrets (
    service_id  bigint NOT NULL REFERENCES services ON DELETE CASCADE,
    digest      bytea NOT NULL CONSTRAINT service_secrets_digest_key UNIQUE CHECK (octet_length(digest) = 32),
    created_at  timestamptz NOT NULL DEFAULT portal_now(),
    ends_at     timestamptz
);
CREATE UNIQUE INDEX service_secrets_present_key ON service_secrets (service_id) WHERE ends_at IS NULL;
CREATE INDEX service_secrets_by_service ON service_secrets (service_id);

-- The service that shows this id and this secret.
CREATE FUNCTION service_caller(shown_id text, shown_secret bytea)
RETURNS TABLE (id bigint, name text, audience text, needs_audience boolean)
LANGUAGE sql STABLE AS
$$ SELECT v.id, v.name, v.audience, v.needs_audience
     FROM service_secrets k JOIN services v ON v.id = k.service_id
    WHERE k.digest = shown_secret AND v.client_id = shown_id AND v.enabled
      AND (k.ends_at IS NULL OR k.ends_at > portal_now()) $$;

-- « Demander un rattachement »: kept by what was typed, whether or not a structure has that identifier, so that nothing about a
-- request tells which structures are known or managed. It is the manager's as soon as there is one; gone once answered.
CREATE TABLE membership_requests (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id         bigint NOT NULL REFERENCES users,
    identifier_type text NOT NULL,
    identifier      text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT portal_now(),
    CONSTRAINT membership_requests_key UNIQUE (user_id, identifier_type, identifier)
);
CREATE INDEX membership_requests_by_structure ON membership_requests (identifier_type, identifier);

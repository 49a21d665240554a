-- The keys that sign tokens for services (RFC 9068). The next one is published before it signs, so that an API which has read the
-- published keys knows it; a former one is published until no token that it signed lives. Its private key is gone by then.
CREATE TABLE signing_keys (
    id           text PRIMARY KEY,
    -- A point of P-256: a byte 4, then x and y.
    public_key   bytea NOT NULL CHECK (octet_length(public_key) = 65),
    state        text NOT NULL CHECK (state IN ('NEXT', 'CURRENT', 'FORMER')),
    -- Sealed under a key of the key file, which it names.
    sealed_key   bytea,
    sealed_under text,
    created_at   timestamptz NOT NULL DEFAULT portal_now(),
    ends_at      timestamptz,
    CHECK ((sealed_key IS NULL) = (state = 'FORMER')),
    CHECK ((sealed_under IS NULL) = (state = 'FORMER')),
    CHECK ((ends_at IS NULL) = (state <> 'FORMER'))
);
CREATE UNIQUE INDEX signing_keys_state_key ON signing_keys (state) WHERE state <> 'FORMER';

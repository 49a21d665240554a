-- The second factor of people (TOTP, RFC 6238). `sealed` is the shared secret under a key that is not in the database and that
-- `key_id` names; NULL `confirmed_at` while the person has not yet shown that her device knows it.
CREATE TABLE second_factors (
    user_id      bigint PRIMARY KEY REFERENCES users,
    sealed       bytea NOT NULL,
    key_id       text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT portal_now(),
    confirmed_at timestamptz,
    -- The newest step of 30 seconds whose code was taken: each code serves once.
    last_step    bigint NOT NULL DEFAULT 0
);

-- For who has lost the device: 120 random bits each, so a plain hash is enough; each serves once.
CREATE TABLE recovery_codes (
    user_id   bigint NOT NULL REFERENCES users,
    code_hash bytea NOT NULL,
    used_at   timestamptz,
    PRIMARY KEY (user_id, code_hash)
);

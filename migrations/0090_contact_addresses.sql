-- A contact address counts at once (rule 6), but it identifies its person, and links and notices about the person's own account go
-- there, only once it is confirmed: once a link that was mailed to it was followed. NULL while it waits for that. The addresses of
-- before count as confirmed, and so do those that the operator gives.
ALTER TABLE users ADD COLUMN contact_address_confirmed_at timestamptz DEFAULT portal_now();
-- The address that was confirmed before the present one, for as long as the present one waits.
ALTER TABLE users ADD COLUMN former_contact_address text;
-- The address that identifies the person; NULL where none was ever confirmed.
ALTER TABLE users ADD COLUMN confirmed_address text GENERATED ALWAYS AS
    (CASE WHEN contact_address_confirmed_at IS NULL THEN former_contact_address ELSE contact_address END) STORED;
CREATE INDEX users_by_confirmed_address ON users (lower(confirmed_address));
CREATE INDEX users_by_awaiting_address ON users (lower(contact_address)) WHERE contact_address_confirmed_at IS NULL;

-- Links that confirm one address of one person. Several may be valid: each was mailed to that address.
CREATE TABLE address_confirmations (
    token_hash bytea PRIMARY KEY,
    user_id    bigint NOT NULL REFERENCES users,
    address    text NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX address_confirmations_by_user ON address_confirmations (user_id);

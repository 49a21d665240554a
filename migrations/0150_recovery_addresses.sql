-- Addresses that were confirmed until another was confirmed in their place. For fourteen days they still get links to choose a
-- password, and notices about the person's own account: so whoever knows a password and confirms an address of their own does not
-- keep the account. A link that is followed in one of them makes it the contact address again.
CREATE TABLE recovery_addresses (
    user_id bigint NOT NULL REFERENCES users,
    address text NOT NULL,
    -- Of several, the one that ends first was the person's first.
    ends_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX recovery_addresses_key ON recovery_addresses (user_id, lower(address));
CREATE INDEX recovery_addresses_by_address ON recovery_addresses (lower(address));
CREATE INDEX recovery_addresses_by_end ON recovery_addresses (ends_at);

-- Where links and notices about a person's own account go: the confirmed address, or that of the invitation of a person who never
-- confirmed one; and the recovery addresses, which end.
CREATE VIEW person_mailboxes AS
    SELECT id AS user_id, coalesce(confirmed_address, contact_address) AS address, confirmed_address IS NOT NULL AS is_confirmed,
           'infinity'::timestamptz AS ends_at
      FROM users
    UNION ALL
    SELECT r.user_id, r.address, true, r.ends_at
      FROM recovery_addresses r JOIN users u ON u.id = r.user_id
     WHERE r.ends_at > portal_now() AND lower(r.address) <> lower(coalesce(u.confirmed_address, u.contact_address));

-- The people whom a text in lower case names: by login, or by an address that is or was confirmed and is no login.
CREATE FUNCTION people_named(named text) RETURNS TABLE (id bigint) LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT u.id FROM users u WHERE u.login = named
   UNION SELECT u.id FROM users u WHERE lower(u.confirmed_address) = named AND NOT EXISTS (SELECT FROM users WHERE login = named)
   UNION SELECT r.user_id FROM recovery_addresses r
          WHERE lower(r.address) = named AND r.ends_at > portal_now() AND NOT EXISTS (SELECT FROM users WHERE login = named) $$;

-- The address that a link to choose a password was mailed to; NULL in links of earlier versions.
ALTER TABLE invitations ADD COLUMN address text;

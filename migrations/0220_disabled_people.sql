-- A person whom the operator disabled: no password, link, session or calendar of theirs opens anything. Memberships stay, and so do
-- the rights that technical users derive from them, until another principal manager is appointed. An instance of the version before
-- does not know it: stop it before people are disabled.
ALTER TABLE users ADD COLUMN disabled_at timestamptz;

-- A disabled person has no mailbox: nothing that is mailed to one opens the account.
CREATE OR REPLACE VIEW person_mailboxes AS
    SELECT id AS user_id, coalesce(confirmed_address, contact_address) AS address, confirmed_address IS NOT NULL AS is_confirmed,
           'infinity'::timestamptz AS ends_at
      FROM users WHERE disabled_at IS NULL
    UNION ALL
    SELECT r.user_id, r.address, true, r.ends_at
      FROM recovery_addresses r JOIN users u ON u.id = r.user_id
     WHERE r.ends_at > portal_now() AND lower(r.address) <> lower(coalesce(u.confirmed_address, u.contact_address))
       AND u.disabled_at IS NULL;

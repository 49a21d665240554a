-- In which session each was begun, by the session's public number: it ends with that session. NULL: not recorded.
ALTER TABLE second_factors ADD COLUMN made_in bigint;
ALTER TABLE succession_offers ADD COLUMN made_in bigint;
ALTER TABLE users ADD COLUMN calendar_made_in bigint;

-- The person's epoch of known browsers when the link was asked for: it ends with that epoch.
ALTER TABLE address_confirmations ADD COLUMN epoch bigint;
UPDATE address_confirmations c SET epoch = u.known_browsers_epoch FROM users u WHERE u.id = c.user_id;
ALTER TABLE address_confirmations ALTER COLUMN epoch SET NOT NULL;

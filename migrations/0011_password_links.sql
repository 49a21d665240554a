-- Who forgot a password may give the contact address instead of the login.
CREATE INDEX users_by_contact_address ON users (lower(contact_address));
CREATE INDEX invitations_by_user ON invitations (user_id);

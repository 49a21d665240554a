-- The checksum of each password (its last six characters, 32 bits), so that a leaked one finds its account without hashing it
-- against every account. NULL for passwords that nobody ever knew.
ALTER TABLE technical_users ADD COLUMN password_checksum text;
CREATE INDEX technical_users_by_checksum ON technical_users (password_checksum) WHERE password_checksum IS NOT NULL;

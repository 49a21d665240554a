-- Which marks of known browsers count for a person: those that name this number. Each new password and each change of the second
-- factor raises it, so that marks which were gathered under the old secret end with it.
ALTER TABLE users ADD COLUMN known_browsers_epoch bigint NOT NULL DEFAULT 0;

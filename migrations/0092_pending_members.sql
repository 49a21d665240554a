-- What a manager typed who attached a person that the portal knew already. The manager sees this alone of the person until they sign
-- in the next time; then, and for every other membership, it is NULL.
ALTER TABLE memberships ADD COLUMN invited_as text;
CREATE INDEX memberships_pending ON memberships (user_id) WHERE invited_as IS NOT NULL;

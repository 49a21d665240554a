-- The login of whoever attached the person, or « opérateur »; NULL in memberships of earlier versions.
ALTER TABLE memberships ADD COLUMN attached_by text;

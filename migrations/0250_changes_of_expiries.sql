-- When the expiry of a password and the postal code of a structure were last changed, whichever version of the portal changes them: a
-- calendar's event shows both, and is another revision then. A new password has an event of its own.
ALTER TABLE technical_users ADD COLUMN expiry_changed_at timestamptz;
ALTER TABLE structures ADD COLUMN postal_code_changed_at timestamptz;
CREATE FUNCTION note_change_of_expiry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.expiry_changed_at := portal_now();
    RETURN NEW;
END $$;
CREATE FUNCTION note_change_of_postal_code() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.postal_code_changed_at := portal_now();
    RETURN NEW;
END $$;
CREATE TRIGGER technical_users_expiry_changed BEFORE UPDATE OF expires_at ON technical_users FOR EACH ROW
    WHEN (OLD.expires_at <> NEW.expires_at AND OLD.credential_version = NEW.credential_version) EXECUTE FUNCTION note_change_of_expiry();
CREATE TRIGGER structures_postal_code_changed BEFORE UPDATE OF postal_code ON structures FOR EACH ROW
    WHEN (OLD.postal_code <> NEW.postal_code) EXECUTE FUNCTION note_change_of_postal_code();

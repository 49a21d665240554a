-- When the label of an account and the name of a structure were last changed, whichever version of the portal changes them: a
-- calendar's event is another revision then.
ALTER TABLE technical_users ADD COLUMN renamed_at timestamptz;
ALTER TABLE structures ADD COLUMN renamed_at timestamptz;
CREATE FUNCTION note_renaming() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.renamed_at := portal_now();
    RETURN NEW;
END $$;
CREATE TRIGGER technical_users_renamed BEFORE UPDATE OF label ON technical_users
    FOR EACH ROW WHEN (OLD.label IS DISTINCT FROM NEW.label) EXECUTE FUNCTION note_renaming();
CREATE TRIGGER structures_renamed BEFORE UPDATE OF designation ON structures
    FOR EACH ROW WHEN (OLD.designation IS DISTINCT FROM NEW.designation) EXECUTE FUNCTION note_renaming();

-- From here on the words follow the names, whichever version of the portal writes them. They are written in one order, so that two
-- imports do not wait for each other in a circle.
CREATE FUNCTION keep_structure_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NOT EXISTS (SELECT FROM former f JOIN latter l USING (id) WHERE f.designation <> l.designation) THEN
            RETURN NULL;
        END IF;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM structure_words p USING former f CROSS JOIN string_to_table(search_key(f.designation), ' ') w(word)
         WHERE p.word = w.word AND p.structure_id = f.id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        WITH made AS MATERIALIZED (
            SELECT w.word, l.id FROM latter l CROSS JOIN string_to_table(search_key(l.designation), ' ') w(word)
        ), words AS (
            INSERT INTO directory_words SELECT DISTINCT word FROM made ORDER BY 1 ON CONFLICT DO NOTHING
        )
        INSERT INTO structure_words SELECT word, id FROM made ORDER BY 1, 2 ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
-- Acts as the owner: the role that serves only reads the words.
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION keep_structure_words() SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp', current_schema());
END $$;
REVOKE EXECUTE ON FUNCTION keep_structure_words() FROM PUBLIC;
CREATE OR REPLACE TRIGGER structures_words_made AFTER INSERT ON structures
    REFERENCING NEW TABLE AS latter FOR EACH STATEMENT EXECUTE FUNCTION keep_structure_words();
CREATE OR REPLACE TRIGGER structures_words_changed AFTER UPDATE ON structures
    REFERENCING OLD TABLE AS former NEW TABLE AS latter FOR EACH STATEMENT EXECUTE FUNCTION keep_structure_words();
CREATE OR REPLACE TRIGGER structures_words_removed AFTER DELETE ON structures
    REFERENCING OLD TABLE AS former FOR EACH STATEMENT EXECUTE FUNCTION keep_structure_words();

-- No name is being written now: creating a trigger waits for that.
CALL write_words_since();
DROP PROCEDURE write_words_since();
DROP TABLE names_since;
DROP FUNCTION note_name();

-- The names that are written while migration 0134 reads all of them, whichever version of the portal writes them; migration 0135 ends
-- this. A former name is there for each one that was changed.
CREATE TABLE names_since (structure_id bigint NOT NULL, former text);
CREATE FUNCTION note_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO names_since SELECT id FROM latter;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO names_since SELECT id, designation FROM former;
    ELSE
        INSERT INTO names_since
        SELECT f.id, f.designation FROM former f JOIN latter l USING (id) WHERE f.designation <> l.designation;
    END IF;
    RETURN NULL;
END $$;
-- Acts as the owner: the role that serves has no right on the new tables yet.
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION note_name() SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp', current_schema());
END $$;
CREATE TRIGGER structures_words_made AFTER INSERT ON structures
    REFERENCING NEW TABLE AS latter FOR EACH STATEMENT EXECUTE FUNCTION note_name();
CREATE TRIGGER structures_words_changed AFTER UPDATE ON structures
    REFERENCING OLD TABLE AS former NEW TABLE AS latter FOR EACH STATEMENT EXECUTE FUNCTION note_name();
CREATE TRIGGER structures_words_removed AFTER DELETE ON structures
    REFERENCING OLD TABLE AS former FOR EACH STATEMENT EXECUTE FUNCTION note_name();

-- Writes again what the former key, which label_key is, had made of names and towns. In parts, each committed, so that no row stays
-- locked. Can be interrupted and run again.
CREATE PROCEDURE write_new_keys() LANGUAGE plpgsql AS $$
DECLARE
    -- Both keys make the same of other texts.
    special CONSTANT text := '[^A-Za-z0-9 .,()/_àáâãäåçèéêëìíîïñòóôõöùúûüýÿÀÁÂÃÄÅÇÈÉÊËÌÍÎÏÑÒÓÔÕÖÙÚÛÜÝŸœŒæÆ-]';
    after  bigint := 0;
    last   bigint;
    places bigint[];
BEGIN
    LOOP
        SELECT max(id) INTO last FROM (SELECT id FROM structures WHERE id > after ORDER BY id LIMIT 10000) part;
        EXIT WHEN last IS NULL;
        UPDATE structures SET designation = designation
         WHERE id > after AND id <= last AND designation ~ special AND search_text <> search_key(designation) || ' ' || lower(identifier);
        -- The index on the towns' keys gets a new entry only where the column changes.
        WITH written AS (
            UPDATE structures SET city = city || ' '
             WHERE id > after AND id <= last AND city ~ special AND label_key(city) <> search_key(city) RETURNING id
        ) SELECT array_agg(id) INTO places FROM written;
        UPDATE structures SET city = left(city, -1) WHERE id = ANY (places);
        COMMIT;
        after := last;
    END LOOP;
END $$;

-- The directory is searched by words: structure_words has a row for each word of each name, in an index that gives the structures of
-- a word in the order of their ids, so that a page of a frequent word costs what a page of a rare one costs. directory_words has each
-- word once, to be searched by its parts. A word that no name has any more may stay there.
CREATE TABLE directory_words (word text COLLATE "C" PRIMARY KEY);
CREATE TABLE structure_words (
    word         text COLLATE "C" NOT NULL,
    structure_id bigint NOT NULL,
    PRIMARY KEY (word, structure_id)
);

-- They follow the names, whichever version of the portal writes them. Words are written in one order, so that two imports do not
-- wait for each other in a circle. The lock is for migration 0133, which writes the words of the names that were there before.
CREATE FUNCTION keep_structure_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NOT EXISTS (SELECT FROM former f JOIN latter l USING (id) WHERE f.designation <> l.designation) THEN
            RETURN NULL;
        END IF;
        PERFORM pg_advisory_xact_lock_shared(8241978071787398147);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM structure_words p USING former f CROSS JOIN unnest(search_words(f.designation)) w(word)
         WHERE p.word = w.word AND p.structure_id = f.id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        WITH made AS MATERIALIZED (
            SELECT w.word, l.id FROM latter l CROSS JOIN unnest(search_words(l.designation)) w(word)
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
CREATE TRIGGER structures_words_made AFTER INSERT ON structures
    REFERENCING NEW TABLE AS latter FOR EACH STATEMENT EXECUTE FUNCTION keep_structure_words();
CREATE TRIGGER structures_words_changed AFTER UPDATE ON structures
    REFERENCING OLD TABLE AS former NEW TABLE AS latter FOR EACH STATEMENT EXECUTE FUNCTION keep_structure_words();
CREATE TRIGGER structures_words_removed AFTER DELETE ON structures
    REFERENCING OLD TABLE AS former FOR EACH STATEMENT EXECUTE FUNCTION keep_structure_words();

-- Writes the words of all names, and writes again what the former key had made of names and towns; label_key is the former key. In
-- parts, each committed: names can be written meanwhile, but for the second that a part takes. Can be interrupted and run again.
CREATE PROCEDURE fill_structure_words() LANGUAGE plpgsql AS $$
DECLARE
    -- Both keys make the same of other texts.
    special CONSTANT text := '[^A-Za-z0-9 ''’.,()/_àáâãäåçèéêëìíîïñòóôõöùúûüýÿÀÁÂÃÄÅÇÈÉÊËÌÍÎÏÑÒÓÔÕÖÙÚÛÜÝŸœŒæÆ-]';
    after  bigint := 0;
    last   bigint;
    places bigint[];
BEGIN
    LOOP
        SELECT max(id) INTO last FROM (SELECT id FROM structures WHERE id > after ORDER BY id LIMIT 20000) part;
        EXIT WHEN last IS NULL;
        PERFORM pg_advisory_xact_lock(8241978071787398147);
        UPDATE structures SET designation = designation
         WHERE id > after AND id <= last AND designation ~ special AND search_text <> search_key(designation) || ' ' || lower(identifier);
        -- The index on the towns' keys gets a new entry only where the column changes.
        WITH written AS (
            UPDATE structures SET city = city || ' '
             WHERE id > after AND id <= last AND city ~ special AND label_key(city) <> search_key(city) RETURNING id
        ) SELECT array_agg(id) INTO places FROM written;
        UPDATE structures SET city = left(city, -1) WHERE id = ANY (places);
        WITH made AS MATERIALIZED (
            SELECT w.word, s.id FROM structures s CROSS JOIN unnest(search_words(s.designation)) w(word)
             WHERE s.id > after AND s.id <= last
        ), words AS (
            INSERT INTO directory_words SELECT DISTINCT word FROM made ORDER BY 1 ON CONFLICT DO NOTHING
        )
        INSERT INTO structure_words SELECT word, id FROM made ORDER BY 1, 2 ON CONFLICT DO NOTHING;
        COMMIT;
        after := last;
    END LOOP;
END $$;

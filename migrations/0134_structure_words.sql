-- The directory is searched by words: structure_words has a row for each word of each name, in an index that gives the structures of
-- a word in the order of their ids, so that a page of a frequent word costs what a page of a rare one costs. directory_words has each
-- word once, to be searched by its parts. A word that no name has any more may stay there.
--
-- Names are read as of one instant, and can be written meanwhile. The indexes come last: made of all entries at once, they take a tenth
-- of the time.
CREATE TABLE structure_words AS
SELECT w.word COLLATE "C" AS word, s.id AS structure_id
  FROM structures s CROSS JOIN LATERAL (SELECT DISTINCT string_to_table(search_key(s.designation), ' ') AS word) w;
ALTER TABLE structure_words ADD PRIMARY KEY (word, structure_id);
CREATE TABLE directory_words AS SELECT DISTINCT word COLLATE "C" AS word FROM structure_words;
ALTER TABLE directory_words ADD PRIMARY KEY (word);
-- Each of the few new words of an import goes into this index at once: a list of pending entries would be read by every search.
CREATE INDEX directory_words_by_part ON directory_words USING gin (word gin_trgm_ops) WITH (fastupdate = off);
ANALYZE structure_words, directory_words;
DROP PROCEDURE write_new_keys();

-- The words of the names that were written since. Now, while names can be written; and again by the next migration, while none can,
-- which is short then, since what it reads is in memory.
CREATE PROCEDURE write_words_since() LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM structure_words p USING names_since n CROSS JOIN string_to_table(search_key(n.former), ' ') w(word)
     WHERE p.word = w.word AND p.structure_id = n.structure_id;
    INSERT INTO directory_words
    SELECT DISTINCT w.word FROM structures s CROSS JOIN string_to_table(search_key(s.designation), ' ') w(word)
     WHERE s.id IN (SELECT structure_id FROM names_since)
        ON CONFLICT DO NOTHING;
    INSERT INTO structure_words
    SELECT w.word, s.id FROM structures s CROSS JOIN string_to_table(search_key(s.designation), ' ') w(word)
     WHERE s.id IN (SELECT structure_id FROM names_since)
        ON CONFLICT DO NOTHING;
END $$;
CALL write_words_since();

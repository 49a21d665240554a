-- Parts of words are searched among the words. Each of the few new words of an import goes into the index at once: a list of pending
-- entries would be read by every search.
CREATE INDEX directory_words_by_part ON directory_words USING gin (word gin_trgm_ops) WITH (fastupdate = off);
DROP PROCEDURE fill_structure_words();
ANALYZE directory_words;

-- no-transaction
-- Lets searches answer from the index alone, at once; later, autovacuum keeps it so.
VACUUM (ANALYZE) structure_words;

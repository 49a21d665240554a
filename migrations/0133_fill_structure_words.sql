-- no-transaction
-- About half a minute for each million of structures (docs/operations.md).
CALL fill_structure_words();

-- The directory is searched by name, identifier and place, among millions of structures.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE INDEX structures_by_text ON structures USING gin (search_text gin_trgm_ops);
CREATE INDEX structures_by_identifier ON structures (identifier text_pattern_ops, id);
CREATE INDEX structures_by_name ON structures (search_text, id);
CREATE INDEX structures_by_postal_code ON structures (postal_code, id) WHERE postal_code <> '';

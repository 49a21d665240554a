-- What else the directory is searched and sorted by. Each of these criteria finds few among millions: without its index a
-- search reads them all, and by town it even makes a key of each.
CREATE INDEX structures_by_city ON structures (search_key(city) text_pattern_ops);
CREATE INDEX structures_by_status ON structures (active DESC, id);
CREATE INDEX structures_abroad ON structures (country_code, id) WHERE country_code <> 'FR';
CREATE INDEX structures_moa ON structures (id) WHERE moa OR moa_only;

-- The uniqueness of labels keeps the key that it has: the next migration gives search another one, under which two labels of today
-- might be the same.
CREATE FUNCTION label_key(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS
$$ SELECT btrim(regexp_replace(
     translate(replace(replace(replace(replace(lower($1), 'œ', 'oe'), 'Œ', 'oe'), 'æ', 'ae'), 'Æ', 'ae'),
               'àáâãäåçèéêëìíîïñòóôõöùúûüýÿÀÁÂÃÄÅÇÈÉÊËÌÍÎÏÑÒÓÔÕÖÙÚÛÜÝŸ-_''’.,()/',
               'aaaaaaceeeeiiiinooooouuuuyyaaaaaaceeeeiiiinooooouuuuyy         '),
     ' +', ' ', 'g')) $$;
CREATE UNIQUE INDEX technical_users_label_key_2 ON technical_users (structure_id, label_key(label)) WHERE status <> 'DELETED';
DROP INDEX technical_users_label_key;
ALTER INDEX technical_users_label_key_2 RENAME TO technical_users_label_key;

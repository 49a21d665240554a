-- Sessions that wait for the code of a second factor belong to nobody yet; the change of a password finds them by whom they wait for.
CREATE INDEX sessions_by_half_user ON sessions (((data->>'half_user_id')::bigint)) WHERE user_id IS NULL;

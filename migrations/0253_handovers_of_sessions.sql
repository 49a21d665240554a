-- In which session a link was made, by the session's public number, which stays when the session gets another id. NULL: not recorded.
ALTER TABLE handovers ADD COLUMN made_in bigint;

-- When a code was tried last. Its judgement takes a moment, during which nothing else ends the link.
ALTER TABLE handovers ADD COLUMN tried_at timestamptz;

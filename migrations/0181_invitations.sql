-- When a link was made: links now last an hour or seven days, so their end no longer says it.
ALTER TABLE invitations ADD COLUMN created_at timestamptz NOT NULL DEFAULT portal_now();

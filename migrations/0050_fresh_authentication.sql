-- When the person behind a session last proved who she is: at sign-in, or since, on « Confirmez votre identité ».
ALTER TABLE sessions ADD COLUMN authenticated_at timestamptz NOT NULL DEFAULT portal_now();

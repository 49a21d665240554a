-- How many links to choose a password an address was sent: few where it was never confirmed.
CREATE INDEX mails_of_password_links ON mails (lower(recipient), created_at) WHERE notice->>'kind' = 'password_forgotten';

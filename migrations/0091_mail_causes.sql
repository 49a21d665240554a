-- Who caused a mail: a person or a network. NULL: the operator, or the portal itself. Mails are bounded by their cause, and those of
-- different causes take turns.
ALTER TABLE mails ADD COLUMN caused_by text;
CREATE INDEX mails_by_cause ON mails (caused_by, created_at) WHERE caused_by IS NOT NULL;
CREATE INDEX mails_by_end ON mails (sent_at) WHERE sent_at IS NOT NULL;
-- How many links to confirm it an address was sent.
CREATE INDEX mails_to_confirm ON mails (lower(recipient), created_at) WHERE notice->>'kind' = 'contact_address_to_confirm';

-- What was seen of the calls that are refused at present: since when, and of the last ones the reason, the address (NULL: several)
-- and what the software calls itself. Written with last_refused_at; an instance of the version before leaves it as it is.
ALTER TABLE technical_users
    ADD COLUMN refused_since timestamptz,
    ADD COLUMN last_refusal_reason text,
    ADD COLUMN last_refusal_address text,
    ADD COLUMN last_refusal_software text;

-- Mails that a server refused for good are not offered again, and the address is shown to whoever can correct it, until a mail to it is
-- taken.
ALTER TABLE mails ADD COLUMN refused_at timestamptz;
CREATE INDEX mails_refused ON mails (refused_at) WHERE refused_at IS NOT NULL;

CREATE TABLE refused_addresses (
    address    text        PRIMARY KEY CHECK (address = lower(address)),
    refused_at timestamptz NOT NULL DEFAULT portal_now()
);

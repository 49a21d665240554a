-- A link by which a manager hands passwords over to an integrator. It opens once. Only the hash of its secret is here; the passwords are
-- sealed under a key that is derived from that secret, so nothing here opens them. Whether a link still opens a password is judged when
-- it is presented (openable_passwords); what ends a password also removes the sealed bytes.
CREATE TABLE handovers (
    id                   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token_hash           bytea       NOT NULL UNIQUE,
    made_by              bigint      NOT NULL REFERENCES users,
    -- As the manager names the recipient, for people to read: it decides on nothing.
    recipient            text        NOT NULL,
    recipient_address    text,
    made_at              timestamptz NOT NULL DEFAULT portal_now(),
    expires_at           timestamptz NOT NULL,
    -- Where a code is needed, too: the salt of its hash, which is a part of the key. Tries are counted before they are judged.
    code_salt            bytea,
    tries                integer     NOT NULL DEFAULT 0,
    opened_at            timestamptz,
    opened_address       text,
    opened_software      text,
    -- Before it was opened: by the manager, or by the last wrong code.
    ended_at             timestamptz,
    ended_by             text        CHECK (ended_by IN ('REVOKED', 'WRONG_CODES')),
    -- The page of the opened link, which may export for a while.
    page_nonce_hash      bytea       UNIQUE,
    page_ends_at         timestamptz,
    exports              integer     NOT NULL DEFAULT 0,
    -- Presented when it opened nothing any more. Some of these are alarms: an event and a mail.
    refusals             integer     NOT NULL DEFAULT 0,
    last_refused_at      timestamptz,
    last_refused_address text,
    last_refusal         text,
    alarms               integer     NOT NULL DEFAULT 0,
    alarmed_at           timestamptz,
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);

-- A password that was handed over. Each version of a password is handed over once: that destroys its envelope.
CREATE TABLE handed_over_passwords (
    technical_user_id  bigint  NOT NULL REFERENCES technical_users ON DELETE CASCADE,
    credential_version integer NOT NULL,
    handover_id        bigint  NOT NULL REFERENCES handovers ON DELETE CASCADE,
    -- Under the link's key; from its opening on, under that of the page that shows it. NULL: it opens nothing any more.
    sealed             bytea,
    opened_at          timestamptz,
    PRIMARY KEY (technical_user_id, credential_version)
);
CREATE INDEX handed_over_passwords_by_handover ON handed_over_passwords (handover_id);
CREATE INDEX handed_over_passwords_sealed ON handed_over_passwords (handover_id) WHERE sealed IS NOT NULL;
CREATE INDEX handed_over_passwords_opened ON handed_over_passwords (technical_user_id) WHERE opened_at IS NOT NULL;

-- The sealed passwords that are worth something: the present one of an active account whose principal manager is still the person who
-- handed it over, and may still sign in. The one place that says so.
CREATE VIEW openable_passwords AS
    SELECT p.handover_id, p.technical_user_id, p.credential_version, p.sealed
      FROM handed_over_passwords p
      JOIN handovers h ON h.id = p.handover_id
      JOIN technical_users t ON t.id = p.technical_user_id AND t.credential_version = p.credential_version
      JOIN structures s ON s.id = t.structure_id AND s.principal_manager_id = h.made_by
      JOIN users u ON u.id = h.made_by AND u.disabled_at IS NULL
     WHERE p.sealed IS NOT NULL AND t.status = 'ACTIVE' AND t.expires_at > portal_now();

-- Accounts of which a password that still works was opened by a link, with their principal managers.
CREATE VIEW passwords_known_to_integrators AS
    SELECT p.technical_user_id, p.credential_version, s.principal_manager_id AS manager_id
      FROM handed_over_passwords p
      JOIN technical_users t ON t.id = p.technical_user_id
      JOIN structures s ON s.id = t.structure_id
     WHERE p.opened_at IS NOT NULL
       AND (p.credential_version = t.credential_version
            OR p.credential_version = t.former_version AND t.former_ends_at > portal_now());

-- Time has one source: the database's clock, moved by a setting that only tests give
-- (a connection's option -c raccord.clock_offset=…). No statement calls now() directly.
CREATE FUNCTION portal_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT now() + coalesce(nullif(current_setting('raccord.clock_offset', true), ''), '0')::interval $$;

-- What search compares: lower case, without accents, punctuation as spaces.
CREATE FUNCTION search_key(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS
$$ SELECT btrim(regexp_replace(
     translate(replace(replace(replace(replace(lower($1), 'œ', 'oe'), 'Œ', 'oe'), 'æ', 'ae'), 'Æ', 'ae'),
               'àáâãäåçèéêëìíîïñòóôõöùúûüýÿÀÁÂÃÄÅÇÈÉÊËÌÍÎÏÑÒÓÔÕÖÙÚÛÜÝŸ-_''’.,()/',
               'aaaaaaceeeeiiiinooooouuuuyyaaaaaaceeeeiiiinooooouuuuyy         '),
     ' +', ' ', 'g')) $$;

CREATE TABLE users (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login           text NOT NULL CONSTRAINT users_login_key UNIQUE
                    CHECK (login = lower(login) AND login !~ '^tech_.*@cpro\.fr$'),
    last_name       text NOT NULL,
    first_name      text NOT NULL,
    contact_address text NOT NULL,
    -- NULL until the person has chosen one by her invitation.
    password_hash   text,
    created_at      timestamptz NOT NULL DEFAULT portal_now()
);

CREATE TABLE structures (
    id                    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    identifier_type       text NOT NULL CHECK (identifier_type IN
                          ('SIRET','UE_HORS_FRANCE','HORS_UE','RIDET','TAHITI','AUTRE','PARTICULIER')),
    identifier            text NOT NULL CHECK (identifier <> ''),
    designation           text NOT NULL CHECK (designation <> ''),
    address_line          text NOT NULL DEFAULT '',
    address_extra_1       text NOT NULL DEFAULT '',
    address_extra_2       text NOT NULL DEFAULT '',
    postal_code           text NOT NULL DEFAULT '',
    city                  text NOT NULL DEFAULT '',
    country_code          text NOT NULL DEFAULT 'FR',
    country               text NOT NULL DEFAULT 'FRANCE',
    email                 text NOT NULL DEFAULT '',
    phone                 text NOT NULL DEFAULT '',
    active                boolean NOT NULL DEFAULT true,
    -- The directory's flags, as imported: what a sender must put on its invoices.
    requires_payment_status     boolean NOT NULL DEFAULT false,
    requires_engagement         boolean NOT NULL DEFAULT false,
    requires_service            boolean NOT NULL DEFAULT false,
    requires_service_engagement boolean NOT NULL DEFAULT false,
    edi_sender            boolean NOT NULL DEFAULT false,
    edi_receiver          boolean NOT NULL DEFAULT false,
    moa                   boolean NOT NULL DEFAULT false,
    moa_only              boolean NOT NULL DEFAULT false,
    -- The n of the next TECH_<n>_…: only ever grows, so a login is never given twice.
    next_technical_number integer NOT NULL DEFAULT 1,
    -- False while the structure is only known from the directory; true from its first principal manager on.
    managed               boolean NOT NULL DEFAULT false,
    principal_manager_id  bigint REFERENCES users,
    search_text           text GENERATED ALWAYS AS (search_key(designation) || ' ' || lower(identifier)) STORED,
    created_at            timestamptz NOT NULL DEFAULT portal_now(),
    CONSTRAINT structures_identifier_key UNIQUE (identifier_type, identifier),
    CONSTRAINT structures_manager_key UNIQUE (id, principal_manager_id),
    CHECK (managed OR principal_manager_id IS NULL),
    -- Rule 2, lower half: an active structure that is managed has a principal manager.
    CONSTRAINT structures_active_has_manager CHECK (NOT managed OR NOT active OR principal_manager_id IS NOT NULL)
);
-- A manager's pages are read in this order: by name, blind to case and accents.
CREATE INDEX structures_by_manager ON structures (principal_manager_id, search_text, id)
    WHERE principal_manager_id IS NOT NULL;

CREATE TABLE memberships (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id      bigint NOT NULL REFERENCES users,
    structure_id bigint NOT NULL REFERENCES structures,
    role         text NOT NULL CHECK (role IN ('PRINCIPAL_MANAGER','SECONDARY_MANAGER','USER')),
    created_at   timestamptz NOT NULL DEFAULT portal_now(),
    principal_id bigint GENERATED ALWAYS AS (CASE role WHEN 'PRINCIPAL_MANAGER' THEN user_id END) STORED,
    CONSTRAINT memberships_user_structure_key UNIQUE (user_id, structure_id),
    CONSTRAINT memberships_principal_key UNIQUE (structure_id, principal_id)
);
CREATE INDEX memberships_by_structure ON memberships (structure_id);

-- Rule 2, the other half: the pointer and the role say the same, whoever writes either. Deferred, so that
-- a succession may change both in one transaction; at most one principal follows, since the pointer is one.
ALTER TABLE memberships ADD CONSTRAINT memberships_principal_is_the_structures
    FOREIGN KEY (structure_id, principal_id) REFERENCES structures (id, principal_manager_id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE structures ADD CONSTRAINT structures_principal_is_a_member
    FOREIGN KEY (id, principal_manager_id) REFERENCES memberships (structure_id, principal_id)
    DEFERRABLE INITIALLY DEFERRED;

CREATE TABLE technical_users (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    structure_id       bigint NOT NULL REFERENCES structures,
    number             integer NOT NULL CHECK (number > 0),
    login              text NOT NULL CONSTRAINT technical_users_login_key UNIQUE,
    label              text CHECK (label <> ''),
    status             text NOT NULL DEFAULT 'ACTIVE' CHECK (status IN ('ACTIVE','SUSPENDED','DELETED')),
    created_at         timestamptz NOT NULL DEFAULT portal_now(),
    created_by         bigint NOT NULL REFERENCES users,
    password_hash      text NOT NULL,
    -- Grows with each password; whatever was obtained with an older one is void.
    credential_version integer NOT NULL DEFAULT 1,
    password_set_at    timestamptz NOT NULL DEFAULT portal_now(),
    password_set_by    bigint NOT NULL REFERENCES users,
    expires_at         timestamptz NOT NULL,
    password_shown_at    timestamptz,
    password_exported_at timestamptz,
    last_call_at       timestamptz,
    last_call_address  text,
    last_call_software text,
    CONSTRAINT technical_users_number_key UNIQUE (structure_id, number)
);
CREATE UNIQUE INDEX technical_users_label_key ON technical_users (structure_id, search_key(label)) WHERE status <> 'DELETED';

-- Rights, in one place for pages and API (rules 5 and 6). A technical user's are its structure's principal
-- manager's, read live through the pointer.
CREATE VIEW technical_user_authority AS
    SELECT t.id AS technical_user_id, m.id AS manager_id, m.contact_address, s.id AS structure_id, s.active
      FROM technical_users t
      JOIN structures s ON s.id = t.structure_id
      JOIN users m ON m.id = s.principal_manager_id;

-- The sealed password between its creation and the end of its récapitulatif; one per account, the newest.
CREATE TABLE envelopes (
    technical_user_id  bigint PRIMARY KEY REFERENCES technical_users ON DELETE CASCADE,
    credential_version integer NOT NULL,
    manager_id         bigint NOT NULL REFERENCES users,
    session_hash       bytea NOT NULL,
    sealed             bytea NOT NULL,
    expires_at         timestamptz NOT NULL,
    shown_at           timestamptz,
    export_nonce_hash  bytea
);
CREATE INDEX envelopes_by_session ON envelopes (session_hash);
CREATE INDEX envelopes_by_expiry ON envelopes (expires_at);

-- One row per form that did its work: the second post of the same form finds the first one's result.
CREATE TABLE idempotency_tokens (
    user_id           bigint NOT NULL REFERENCES users,
    token             text NOT NULL CHECK (length(token) BETWEEN 16 AND 64),
    request           text NOT NULL,
    technical_user_id bigint NOT NULL REFERENCES technical_users,
    created_at        timestamptz NOT NULL DEFAULT portal_now(),
    PRIMARY KEY (user_id, token)
);
CREATE INDEX idempotency_tokens_by_age ON idempotency_tokens (created_at);

-- What an API token is worth is decided at each call: the row only remembers whose it is.
CREATE TABLE access_tokens (
    token_hash         bytea PRIMARY KEY,
    technical_user_id  bigint NOT NULL REFERENCES technical_users ON DELETE CASCADE,
    credential_version integer NOT NULL,
    expires_at         timestamptz NOT NULL
);
CREATE INDEX access_tokens_by_account ON access_tokens (technical_user_id);
CREATE INDEX access_tokens_by_expiry ON access_tokens (expires_at);

CREATE TABLE sessions (
    id_hash      bytea PRIMARY KEY,
    public_id    bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    user_id      bigint REFERENCES users,
    data         jsonb NOT NULL,
    address      text NOT NULL DEFAULT '',
    software     text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT portal_now(),
    last_seen_at timestamptz NOT NULL DEFAULT portal_now()
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_last_seen ON sessions (last_seen_at);

-- One-time links by mail; the link's secret is stored as a hash only.
CREATE TABLE invitations (
    token_hash bytea PRIMARY KEY,
    user_id    bigint NOT NULL REFERENCES users,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);

-- Failed attempts by (login, network): a growing delay, shared by all instances.
CREATE TABLE throttles (
    scope         text NOT NULL,
    subject_hash  bytea NOT NULL,
    network       text NOT NULL,
    failures      integer NOT NULL DEFAULT 0,
    blocked_until timestamptz,
    last_failure  timestamptz NOT NULL DEFAULT portal_now(),
    PRIMARY KEY (scope, subject_hash, network)
);
CREATE INDEX throttles_by_age ON throttles (last_failure);

-- Append-only (rule 11). Names are copied, not joined: history keeps what was true when it happened.
CREATE TABLE audit_events (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at                timestamptz NOT NULL DEFAULT portal_now(),
    actor_id          bigint REFERENCES users,
    actor             text NOT NULL,
    address           text NOT NULL,
    action            text NOT NULL,
    structure_id      bigint REFERENCES structures,
    technical_user_id bigint REFERENCES technical_users,
    subject           text NOT NULL DEFAULT '',
    detail            text NOT NULL DEFAULT ''
);
CREATE INDEX audit_events_by_structure ON audit_events (structure_id, id DESC) WHERE structure_id IS NOT NULL;
CREATE INDEX audit_events_sign_ins ON audit_events (actor_id, id DESC) WHERE action = 'SIGNED_IN';
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'audit_events is append-only' USING ERRCODE = 'insufficient_privilege'; END $$;
CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Mails to send, written in the transaction of the act that they announce. `notice` holds facts, the
-- sender makes the text.
CREATE TABLE mails (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recipient       text NOT NULL,
    notice          jsonb NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT portal_now(),
    sent_at         timestamptz,
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT portal_now()
);
CREATE INDEX mails_to_send ON mails (recipient, id) WHERE sent_at IS NULL;

-- What this database is: 'demo' marks a demonstration, which `serve --demo` may open again.
CREATE TABLE portal_facts (name text PRIMARY KEY, value text NOT NULL);

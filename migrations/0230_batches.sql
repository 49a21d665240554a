-- Batches: one act on many structures or accounts, done one by one in the background.

CREATE TABLE batches (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Who asked for it, and is the principal manager of all that it changes.
    manager_id    bigint NOT NULL REFERENCES users (id),
    -- The form's idempotency token, and the SHA-256 of what it asked for.
    token         text NOT NULL,
    request       bytea NOT NULL,
    act           text NOT NULL CHECK (act IN ('CREATE', 'RESET', 'SUSPEND', 'REACTIVATE')),
    -- Of the accounts to create.
    label         text,
    -- How long a reset keeps the old password.
    grace_hours   integer NOT NULL DEFAULT 0,
    -- As the history names who asked for it.
    actor         text NOT NULL,
    address       text NOT NULL,
    -- The session that may export the passwords: SHA-256 of its secret, and its public key.
    session_hash  bytea NOT NULL,
    session_key   bytea NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT portal_now(),
    -- Until when an instance works on it.
    claimed_until timestamptz NOT NULL DEFAULT portal_now(),
    finished_at   timestamptz,
    -- The first export of the passwords.
    exported_at   timestamptz,
    UNIQUE (manager_id, token)
);

-- One at a time for each person.
CREATE UNIQUE INDEX batches_under_way ON batches (manager_id) WHERE finished_at IS NULL;
CREATE INDEX batches_turns ON batches (claimed_until) WHERE finished_at IS NULL;
CREATE INDEX batches_session ON batches (session_hash);

CREATE TABLE batch_items (
    batch_id           bigint NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    position           integer NOT NULL,
    structure_id       bigint NOT NULL REFERENCES structures (id),
    -- The account; of a creation, once it is done.
    technical_user_id  bigint REFERENCES technical_users (id),
    -- The password that the form was made for; once it is done, the new one.
    credential_version integer,
    -- Why it was left as it was.
    refusal            text,
    done_at            timestamptz,
    PRIMARY KEY (batch_id, position),
    CHECK (refusal IS NULL OR done_at IS NULL)
);

CREATE INDEX batch_items_waiting ON batch_items (batch_id, position) WHERE done_at IS NULL AND refusal IS NULL;

-- The batch that an envelope belongs to.
ALTER TABLE envelopes ADD COLUMN batch_id bigint REFERENCES batches (id) ON DELETE SET NULL;
CREATE INDEX envelopes_batch ON envelopes (batch_id) WHERE batch_id IS NOT NULL;

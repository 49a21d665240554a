-- Acts that a member may not do, by person, structure, account and route. The first is an event at once; those of the hour that
-- follows are counted here and become one event, so that refusals do not fill a history that is kept for good.
CREATE TABLE refused_acts (
    user_id           bigint NOT NULL REFERENCES users,
    structure_id      bigint NOT NULL REFERENCES structures,
    technical_user_id bigint REFERENCES technical_users,
    -- The route's pattern; never the path that was typed.
    act               text NOT NULL CHECK (octet_length(act) <= 200),
    -- Of the last one.
    address           text NOT NULL,
    repeats           integer NOT NULL DEFAULT 0,
    first_at          timestamptz NOT NULL DEFAULT portal_now(),
    CONSTRAINT refused_acts_key UNIQUE NULLS NOT DISTINCT (user_id, structure_id, technical_user_id, act)
);
CREATE INDEX refused_acts_by_time ON refused_acts (first_at);

-- What a person does again and again, such as signing in, by action and network address. The first hundred of an hour are events at
-- once; those that follow are counted here and become one event for each address, so that they do not fill a history that is kept
-- for good.
CREATE TABLE frequent_acts (
    user_id      bigint NOT NULL REFERENCES users,
    action       text NOT NULL,
    -- Empty for all addresses after the first eight of the hour.
    address      text NOT NULL,
    last_address text NOT NULL,
    times        integer NOT NULL DEFAULT 1,
    -- Of these times, those that are no events yet.
    left_out     integer NOT NULL DEFAULT 0,
    first_at     timestamptz NOT NULL DEFAULT portal_now(),
    PRIMARY KEY (user_id, action, address)
);
CREATE INDEX frequent_acts_by_time ON frequent_acts (first_at);

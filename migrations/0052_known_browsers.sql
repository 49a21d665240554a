-- From where and with what a person has signed in before: a sign-in from elsewhere is announced to her.
CREATE TABLE known_browsers (
    user_id      bigint NOT NULL REFERENCES users,
    network      text NOT NULL,
    -- The browser's name for itself, without version numbers.
    software     text NOT NULL,
    last_seen_at timestamptz NOT NULL DEFAULT portal_now(),
    PRIMARY KEY (user_id, network, software)
);

-- How many calls of an account were accepted and refused on each day of Paris, for 14 months. Each instance gathers them in memory and
-- adds them every five minutes, many at a time.
CREATE TABLE daily_calls (
    technical_user_id bigint NOT NULL REFERENCES technical_users ON DELETE CASCADE,
    day               date NOT NULL,
    accepted          bigint NOT NULL,
    refused           bigint NOT NULL,
    PRIMARY KEY (technical_user_id, day)
);
CREATE INDEX daily_calls_by_day ON daily_calls (day);

-- The first day of counting: earlier calls of older accounts were not counted.
INSERT INTO portal_facts (name, value) VALUES ('calls_counted_since', (portal_now() AT TIME ZONE 'Europe/Paris')::date::text);

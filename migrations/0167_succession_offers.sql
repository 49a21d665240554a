-- A manager's offer of a structure to a member. It changes nothing until that member accepts it: the structure's technical users would
-- take that person's rights without their consent. It ends with the membership.
CREATE TABLE succession_offers (
    structure_id bigint      PRIMARY KEY REFERENCES structures,
    successor_id bigint      NOT NULL,
    offered_by   bigint      NOT NULL REFERENCES users,
    offered_at   timestamptz NOT NULL DEFAULT portal_now(),
    FOREIGN KEY (successor_id, structure_id) REFERENCES memberships (user_id, structure_id) ON DELETE CASCADE
);
CREATE INDEX succession_offers_by_successor ON succession_offers (successor_id);

-- The offers that may be accepted: for 14 days, and only while the manager who made them is the principal manager. The one place that
-- says so.
CREATE VIEW standing_succession_offers AS
    SELECT o.structure_id, o.successor_id, o.offered_by, o.offered_at
      FROM succession_offers o JOIN structures s ON s.id = o.structure_id AND s.principal_manager_id = o.offered_by
     WHERE o.offered_at > portal_now() - interval '14 days' AND o.successor_id <> o.offered_by;

-- « Historique » is read from the newest event on, a page at a time, and narrowed by one act, one account or one person: each has an
-- index in the order of the pages, so a page costs the same in a history of ten events and in one of ten million.
CREATE INDEX audit_events_of_structure ON audit_events (structure_id, at DESC, id DESC) WHERE structure_id IS NOT NULL;
CREATE INDEX audit_events_of_action ON audit_events (structure_id, action, at DESC, id DESC) WHERE structure_id IS NOT NULL;
CREATE INDEX audit_events_of_actor ON audit_events (structure_id, actor, at DESC, id DESC) WHERE structure_id IS NOT NULL;
CREATE INDEX audit_events_of_account ON audit_events (structure_id, technical_user_id, at DESC, id DESC) WHERE technical_user_id IS NOT NULL;
-- Its order was the events' numbers, which is not quite the order in which they happened.
DROP INDEX audit_events_by_structure;

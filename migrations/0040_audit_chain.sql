-- The history as a chain: each event has a link, whose hash covers the event, the link's place and the hash of the link before. Who
-- changes, removes, adds or reorders what was written breaks it from there on, unless he makes every later link anew; and then its
-- head is no longer the one that was noted elsewhere. `raccord audit verify` walks it.
--
-- A link is made when the act commits, so an act and its link are there together or not at all. From then until the commit is through
-- acts stand in a queue, one behind the other; not earlier, so nothing an act waits for makes others wait.
--
-- No foreign key to audit_events: nothing there is ever removed, a missing event is found by the walk, and the check would be paid
-- for while others queue.
CREATE TABLE audit_chain (
    position bigint PRIMARY KEY,
    event_id bigint NOT NULL CONSTRAINT audit_chain_event_key UNIQUE,
    hash     bytea NOT NULL CHECK (octet_length(hash) = 32)
);

-- SHA-256 of the hash before (32 zero bytes for the first), the position, and all columns of the event in their order. Integers have
-- 8 bytes, the highest first; a nullable one is 0, or 1 and the integer; an instant is microseconds since 1970 in UTC; a text is the
-- number of its bytes in UTF-8, then these. src/domain/audit_chain.rs says the same in Rust: a column more is a change of both, from
-- a position on.
CREATE FUNCTION audit_link_hash(previous bytea, place bigint, event audit_events) RETURNS bytea LANGUAGE sql STABLE AS
$$ SELECT sha256(previous || int8send(place)
     || int8send(event.id)
     || int8send((extract(epoch FROM event.at) * 1000000)::bigint)
     || coalesce('\x01'::bytea || int8send(event.actor_id), '\x00')
     || int8send(octet_length(convert_to(event.actor, 'UTF8'))) || convert_to(event.actor, 'UTF8')
     || int8send(octet_length(convert_to(event.address, 'UTF8'))) || convert_to(event.address, 'UTF8')
     || int8send(octet_length(convert_to(event.action, 'UTF8'))) || convert_to(event.action, 'UTF8')
     || coalesce('\x01'::bytea || int8send(event.structure_id), '\x00')
     || coalesce('\x01'::bytea || int8send(event.technical_user_id), '\x00')
     || int8send(octet_length(convert_to(event.subject, 'UTF8'))) || convert_to(event.subject, 'UTF8')
     || int8send(octet_length(convert_to(event.detail, 'UTF8'))) || convert_to(event.detail, 'UTF8')) $$;

-- Under READ COMMITTED each statement here sees what is committed when it starts: after the lock, the newest head. Under a stricter
-- isolation the head may be an older one; the position is taken then, and the act fails rather than fork the chain.
CREATE FUNCTION chain_audit_event() RETURNS trigger LANGUAGE plpgsql AS
$$ DECLARE head audit_chain; this_act text := pg_current_xact_id()::text;
   BEGIN
       -- At an act's first event: the setting ends with the transaction, and says no more than that this was done.
       IF current_setting('raccord.chaining_act', true) IS DISTINCT FROM this_act THEN
           -- What else waits for the end of the transaction takes locks on rows: it must have them before this queue, never inside it.
           SET CONSTRAINTS memberships_principal_is_the_structures, structures_principal_is_a_member IMMEDIATE;
           PERFORM pg_advisory_xact_lock(hashtextextended('raccord.audit_chain', 0));
           PERFORM set_config('raccord.chaining_act', this_act, true);
       END IF;
       SELECT * INTO head FROM audit_chain ORDER BY position DESC LIMIT 1;
       head.position := coalesce(head.position, 0) + 1;
       INSERT INTO audit_chain (position, event_id, hash)
       VALUES (head.position, NEW.id, audit_link_hash(coalesce(head.hash, decode(repeat('00', 32), 'hex')), head.position, NEW));
       RETURN NULL;
   END $$;

-- Acts of an older version wait here until they are through; their events are chained with the others.
LOCK TABLE audit_events IN SHARE ROW EXCLUSIVE MODE;
DO $$
   DECLARE place bigint := 0; previous bytea := decode(repeat('00', 32), 'hex'); event audit_events;
   BEGIN
       FOR event IN SELECT * FROM audit_events ORDER BY id LOOP
           place := place + 1;
           previous := audit_link_hash(previous, place, event);
           INSERT INTO audit_chain (position, event_id, hash) VALUES (place, event.id, previous);
       END LOOP;
   END $$;
CREATE CONSTRAINT TRIGGER audit_events_chained AFTER INSERT ON audit_events
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chain_audit_event();

CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege'; END $$;
CREATE TRIGGER audit_chain_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_chain
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

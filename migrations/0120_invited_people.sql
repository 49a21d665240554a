-- Whether a person was invited and has not signed in since: they may not become principal manager at another's wish.
ALTER TABLE users ADD COLUMN invited boolean NOT NULL DEFAULT false;
UPDATE users u SET invited = true
 WHERE (u.password_hash IS NULL OR u.login IN (SELECT subject FROM audit_events WHERE action = 'PERSON_INVITED'))
   AND NOT EXISTS (SELECT FROM audit_events e WHERE e.actor_id = u.id AND e.action = 'SIGNED_IN');

-- One form of each identifier, as domain::structure_identifier writes it: capitals without separators for RIDET, TAHITI and the VAT
-- numbers of the Union, capitals for HORS_UE. Until now, each spelling was a structure of its own.
--
-- Of several spellings of one identifier, that of a managed structure is kept, else the one in this form, else the first. Another one
-- that the directory alone knows is merged into it: it has nothing of its own. One to which people, accounts or events belong stays as
-- it is, and is reported: which of the two is right is for the operator to say.
DO $$
DECLARE
    spelling record;
BEGIN
    FOR spelling IN
        SELECT *, row_number() OVER (PARTITION BY identifier_type, form ORDER BY managed DESC, identifier = form DESC, id) AS place,
               first_value(id) OVER (PARTITION BY identifier_type, form ORDER BY managed DESC, identifier = form DESC, id) AS kept_id
          FROM (SELECT id, identifier_type, identifier, managed,
                       upper(CASE identifier_type WHEN 'HORS_UE' THEN identifier ELSE translate(identifier, '-_', '') END) AS form
                  FROM structures WHERE identifier_type IN ('RIDET', 'TAHITI', 'UE_HORS_FRANCE', 'HORS_UE')) s
         WHERE form <> ''
         -- Those that go make room first.
         ORDER BY 6 DESC
    LOOP
        IF spelling.place > 1 THEN
            BEGIN
                IF spelling.managed THEN
                    RAISE foreign_key_violation;
                END IF;
                DELETE FROM structures WHERE id = spelling.id;
                RAISE NOTICE 'structure % (% %) was another spelling of structure %, and is merged into it',
                    spelling.id, spelling.identifier_type, spelling.identifier, spelling.kept_id;
            EXCEPTION WHEN foreign_key_violation THEN
                RAISE WARNING 'structures % and % have one identifier in two spellings (% %), and both are in use: give one of them up',
                    spelling.kept_id, spelling.id, spelling.identifier_type, spelling.identifier;
            END;
        ELSIF spelling.identifier <> spelling.form THEN
            BEGIN
                UPDATE structures SET identifier = spelling.form WHERE id = spelling.id;
            EXCEPTION WHEN unique_violation THEN
                -- The spelling in this form is in use, too; it was reported.
                NULL;
            END;
        END IF;
    END LOOP;
END $$;

-- Requests to be attached name a structure by its identifier.
DELETE FROM membership_requests r USING membership_requests e
 WHERE r.identifier_type IN ('RIDET', 'TAHITI', 'UE_HORS_FRANCE', 'HORS_UE') AND e.identifier_type = r.identifier_type
   AND e.user_id = r.user_id AND e.id < r.id
   AND upper(CASE r.identifier_type WHEN 'HORS_UE' THEN r.identifier ELSE translate(r.identifier, '-_', '') END)
     = upper(CASE e.identifier_type WHEN 'HORS_UE' THEN e.identifier ELSE translate(e.identifier, '-_', '') END);
UPDATE membership_requests
   SET identifier = upper(CASE identifier_type WHEN 'HORS_UE' THEN identifier ELSE translate(identifier, '-_', '') END)
 WHERE identifier_type IN ('RIDET', 'TAHITI', 'UE_HORS_FRANCE', 'HORS_UE') AND translate(identifier, '-_', '') <> '';

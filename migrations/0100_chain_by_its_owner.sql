-- The links of the history are written by the owner of the schema: the role that serves needs no right to write the chain, and a
-- setting or a temporary table of its session does not reach the names in here. Temporary tables come last, so that none stands in
-- for a table of ours. The same function as before, under other rights.
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION chain_audit_event() SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp', current_schema());
END $$;
-- Firing a trigger needs no right on its function; making another trigger with it does.
REVOKE EXECUTE ON FUNCTION chain_audit_event() FROM PUBLIC;

-- Whether every transaction that uses one of these tables now has let go of it a moment later. A lock
-- that is still held then is held for long: asking for the table now would make all others wait behind it.
CREATE OR REPLACE FUNCTION lets_go(VARIADIC p_tables regclass[]) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_holders text[] := ARRAY(
        SELECT l.virtualtransaction FROM pg_locks l
        WHERE l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
          AND l.relation = ANY (p_tables) AND l.pid <> pg_backend_pid());
BEGIN
    IF cardinality(v_holders) > 0 THEN
        PERFORM pg_sleep(0.2);
    END IF;
    RETURN NOT EXISTS (SELECT FROM pg_locks l WHERE l.virtualtransaction = ANY (v_holders));
END $$;

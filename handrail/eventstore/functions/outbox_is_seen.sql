-- Whether nobody needs the rows of an outbox partition again: every checkpoint has seen all of them.
--
-- A rebuild that has not finished its first batch reads events, and will need of the outbox what that
-- batch does not see; before its first page, nobody knows what that will be, so it needs everything.
CREATE OR REPLACE FUNCTION outbox_is_seen(p_partition text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_newest xid8;
    v_seen xid8;
BEGIN
    EXECUTE format('SELECT o.txid FROM %I o ORDER BY o.txid DESC LIMIT 1', p_partition) INTO v_newest;
    SELECT min(pg_snapshot_xmin(
        CASE WHEN c.since::text = '1:1:' THEN coalesce(c.until, c.since) ELSE c.since END))
    INTO v_seen FROM checkpoints c;
    RETURN coalesce(v_newest < v_seen, true);  -- an empty partition, or no checkpoint at all
END $$;

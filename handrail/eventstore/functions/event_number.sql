-- The number by which this server's snapshots tell whether they see an event. That of an event that came
-- from another cluster says nothing here (see begin_epoch): the outbox has one of this cluster's for those
-- that not everybody has seen, and any other event is below all snapshots but the one that sees nothing.
CREATE OR REPLACE FUNCTION event_number(p_position bigint, p_txid xid8) RETURNS xid8
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN p_position > (SELECT coalesce(max(s.restored_position), 0) FROM store_epochs s WHERE s.renumbered)
        THEN p_txid
        ELSE coalesce((SELECT o.txid FROM outbox o WHERE o.position = p_position), '3'::xid8) END
$$;

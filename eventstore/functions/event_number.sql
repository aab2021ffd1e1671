-- The transaction number by which this store's snapshots tell whether they see an event. Events that
-- came from another cluster have its numbers; what the outbox no longer has of them, all have seen.
CREATE OR REPLACE FUNCTION event_number(p_position bigint, p_txid xid8) RETURNS xid8
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN p_position > coalesce((SELECT max(e.restored_position) FROM store_epochs e WHERE e.renumbered), 0)
        THEN p_txid
        ELSE coalesce((SELECT o.txid FROM outbox o WHERE o.position = p_position), '3') END
$$;

-- A page of a rebuild: all events there are, from the first. It reads the events themselves, since
-- the outbox is pruned.
CREATE OR REPLACE FUNCTION feed_history(p_until pg_snapshot, p_after bigint, p_shards smallint[], p_limit int)
RETURNS SETOF events
LANGUAGE sql STABLE AS $$
    SELECT e.* FROM events e
    WHERE e.position > p_after AND pg_visible_in_snapshot(e.txid, p_until)
      AND e.shard = ANY (p_shards)
    ORDER BY e.position LIMIT p_limit
$$;

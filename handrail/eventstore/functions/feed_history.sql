-- A page of a rebuild: all events there are, from the first. It reads the events themselves, since
-- the outbox is pruned. Events that came from another cluster have its numbers, which snapshots of this
-- one say nothing about: the outbox has those that not everybody has seen, under numbers of this one.
CREATE OR REPLACE FUNCTION feed_history(p_until pg_snapshot, p_after bigint, p_shards smallint[], p_limit int)
RETURNS SETOF events
LANGUAGE sql STABLE AS $$
    SELECT e.* FROM events e
    WHERE e.position > p_after
      AND CASE
          WHEN e.position > (SELECT coalesce(max(s.restored_position), 0) FROM store_epochs s WHERE s.renumbered)
          THEN pg_visible_in_snapshot(e.txid, p_until)
          ELSE coalesce((SELECT pg_visible_in_snapshot(o.txid, p_until) FROM outbox o
                         WHERE o.position = e.position), true) END
      AND e.shard = ANY (p_shards)
    ORDER BY e.position LIMIT p_limit
$$;

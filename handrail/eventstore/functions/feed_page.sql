-- A later page of a batch that was too long for one. A long batch is nearly everything that lies
-- behind its first page, so it is read along the positions: that costs as much as the page is long.
--
-- Where the batch turns out to be thin, the rest of the page is found by transactions: behind the
-- early positions of a writer who stayed open for hours lie those hours, delivered already.
CREATE OR REPLACE FUNCTION feed_page(
    p_since pg_snapshot, p_until pg_snapshot, p_after bigint, p_shards smallint[], p_limit int)
RETURNS SETOF outbox
LANGUAGE sql STABLE AS $$
    WITH near AS MATERIALIZED (
        SELECT o.*
        FROM (SELECT * FROM outbox WHERE "position" > p_after ORDER BY "position" LIMIT 32 * p_limit) AS o
        WHERE NOT pg_visible_in_snapshot(o.txid, p_since)
          AND pg_visible_in_snapshot(o.txid, p_until) AND o.shard = ANY (p_shards)
        ORDER BY o.position LIMIT p_limit
    )
    SELECT near.* FROM near
    UNION ALL
    SELECT far.*
    FROM (SELECT count(*)::int AS rows, coalesce(max(near.position), p_after) AS upto FROM near) AS found
    CROSS JOIN LATERAL feed_recent(p_since, p_until, found.upto, p_shards, p_limit - found.rows) AS far
    WHERE found.rows < p_limit
$$;

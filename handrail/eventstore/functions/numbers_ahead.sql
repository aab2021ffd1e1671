-- Whether a number that is stored is one that this server has not given out: then it is of another one.
CREATE OR REPLACE FUNCTION numbers_ahead() RETURNS boolean
LANGUAGE sql STABLE AS $$
    WITH here AS (SELECT pg_snapshot_xmax(pg_current_snapshot()) AS next)
    SELECT EXISTS (SELECT FROM checkpoints c, here WHERE pg_snapshot_xmax(c.since) > here.next
                                                      OR pg_snapshot_xmax(c.until) > here.next)
        OR EXISTS (SELECT FROM outbox o, here WHERE o.txid >= here.next)
        OR EXISTS (SELECT FROM (SELECT txid FROM events ORDER BY position DESC LIMIT 1000) AS e, here
                   WHERE e.txid >= here.next)
$$;

-- What tells this store from every other one: the cluster, the timeline its primary writes on, and the
-- table of events, which is another one where a dump was restored into the same cluster. A promotion and
-- a recovery to a point in time begin a new timeline. A standby has no timeline of its own: there it is
-- null, and nobody may take its feed for a feed.
CREATE OR REPLACE FUNCTION store_identity()
RETURNS TABLE (system_identifier bigint, timeline int, events_oid bigint)
LANGUAGE sql STABLE AS $$
    SELECT (pg_control_system()).system_identifier,
           CASE WHEN NOT pg_is_in_recovery()
               THEN ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int END,
           'events'::regclass::oid::bigint
$$;

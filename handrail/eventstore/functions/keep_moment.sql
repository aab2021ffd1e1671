-- Keeps a moment: what is committed now. Any number of processes may call it once a second; at most every
-- half second it does something. Where nothing came since the last moment, that one lasts until now.
--
-- Moments are kept one after the other, under a lock that is held until the commit: whoever sees one sees all
-- that are earlier. So what the newest moment at some time was is settled once a later one is there, or that
-- one lasts beyond it.
--
-- Times of moments never go back. While the clock is behind the last moment, as it was put back, moments are kept
-- all the same, each a microsecond behind the one before it: what is committed meanwhile is as of times after all
-- that were said before, and never becomes part of one of them.
--
-- The snapshot is taken before `at`, and the look for something new comes after `until`: what a moment sees
-- had been committed by its `at`, and nothing else had been until its `until`.
CREATE OR REPLACE FUNCTION keep_moment() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    v_last moments;
    v_now moments;
    v_earliest timestamptz;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('handrail moments')) THEN
        RETURN false;
    END IF;
    SELECT m.* INTO v_last FROM moments m ORDER BY m.at DESC LIMIT 1;
    v_now.until := clock_timestamp();
    v_earliest := v_last.until + interval '1 microsecond';
    IF v_now.until >= v_last.until AND v_now.until < v_last.until + interval '0.5 seconds' THEN
        RETURN false;
    END IF;
    SELECT pg_current_snapshot(), coalesce((SELECT max(e.position) FROM events e), 0),
           coalesce((SELECT max(s.epoch) FROM store_epochs s), 1)
    INTO v_now.snapshot, v_now.position, v_now.epoch;
    IF v_last.epoch = v_now.epoch AND v_last.position = v_now.position AND NOT EXISTS (
        SELECT FROM outbox o WHERE o.txid >= pg_snapshot_xmin(v_last.snapshot)
          AND NOT pg_visible_in_snapshot(o.txid, v_last.snapshot)) THEN
        UPDATE moments m SET until = greatest(v_now.until, v_last.until) WHERE m.at = v_last.at;
    ELSE
        v_now.at := greatest(clock_timestamp(), v_earliest);
        INSERT INTO moments (at, until, snapshot, position, epoch)
        VALUES (v_now.at, v_now.at, v_now.snapshot, v_now.position, v_now.epoch);
    END IF;
    RETURN true;
END $$;

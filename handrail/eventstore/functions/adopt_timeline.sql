-- Begins a new epoch where nothing but the timeline is new, as after the promotion of a standby: for a
-- process that may decide that by itself (HANDRAIL_NEW_TIMELINE=adopt). Any number may ask at the same time;
-- the first begins it. Answers the epoch that there is then. Raises HR503 where more than the timeline
-- differs.
CREATE OR REPLACE FUNCTION adopt_timeline(p_by text)
RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    v_before store_epochs;
    v_now record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('handrail epoch'));
    SELECT * INTO v_before FROM store_epochs ORDER BY epoch DESC LIMIT 1;
    SELECT * INTO v_now FROM store_identity();
    IF v_before.system_identifier <> v_now.system_identifier OR v_before.events_oid <> v_now.events_oid
       OR v_before.database_oid <> (SELECT d.oid::bigint FROM pg_database d WHERE d.datname = current_database())
       OR v_before.timeline > v_now.timeline OR v_now.timeline IS NULL OR numbers_ahead() THEN
        RAISE EXCEPTION USING ERRCODE = 'HR503', MESSAGE =
            'this is not the same store on a new timeline: handrail restore check';
    END IF;
    IF v_before.timeline = v_now.timeline THEN
        RETURN v_before.epoch;
    END IF;
    RETURN adopt_store(
        format('a standby was promoted: timeline %s after %s', v_now.timeline, v_before.timeline), p_by);
END $$;

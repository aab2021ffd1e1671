-- Begins a new epoch on the server that the store is on now, and answers its number. What was there is
-- brought into a state in which nothing that exists is passed over, or taken for something else:
--
-- Positions go on far beyond any that may have been given out before, and from the time, a million for each
-- second since 2020: also where epochs were lost with a server, and a dump of before them is adopted, none is
-- given out again. They stay below 2^53, which is as far as numbers of JSON go. The gap is one partition of the outbox. Checkpoints are
-- taken from whoever had them. The epoch is later than `p_above`, the last that is known outside.
--
-- Snapshots and the outbox get numbers that are below all of this cluster's, where they came from another
-- cluster or are ahead of this one. Snapshots of one primary are nested, so a row of the outbox belongs to
-- the first snapshot that sees it, and that is all there is to know of its number: what the first snapshot
-- sees becomes 3, what the second one sees beyond that becomes 4, and so on; a snapshot then sees whatever
-- is below a number. Events are never changed: `renumbered` says whose numbers mean nothing here.
--
-- For the owner of the database; nobody may write meanwhile. Raises HR503 where another process writes.
CREATE OR REPLACE FUNCTION begin_epoch(p_cause text, p_by text, p_above int)
RETURNS int
LANGUAGE plpgsql
SET search_path = public, pg_temp
SET lock_timeout = '5s'
AS $$
DECLARE
    v_before store_epochs;
    v_now record;
    v_epoch int;
    v_newest bigint;
    v_first bigint;
    v_upper bigint;
    v_gap_from bigint;
    v_renumber boolean;
    v_ceiling xid8;
BEGIN
    LOCK TABLE events, outbox, checkpoints IN EXCLUSIVE MODE;
    SELECT * INTO v_before FROM store_epochs ORDER BY epoch DESC LIMIT 1;
    SELECT * INTO v_now FROM store_identity();
    v_epoch := greatest(v_before.epoch, p_above, 0) + 1;

    v_ceiling := pg_snapshot_xmax(pg_current_snapshot());
    v_renumber := v_before.system_identifier IS DISTINCT FROM v_now.system_identifier OR numbers_ahead();

    SELECT coalesce(max(e.position), 0) INTO v_newest FROM events e;
    SELECT greatest((greatest(v_newest, s.last_value) / 100000000 + 2) * 100000000,
                    extract(epoch FROM clock_timestamp() - timestamptz '2020-01-01 00:00:00+00')::bigint * 1000000)
    INTO v_first FROM events_position_seq s;
    v_upper := v_first + 1000000;
    SELECT greatest(max(substr(i.inhrelid::regclass::text, 11)::bigint),
                    (SELECT max(o.position) + 1 FROM outbox_default o), 1) INTO v_gap_from
    FROM pg_inherits i
    WHERE i.inhparent = 'outbox'::regclass AND i.inhrelid::regclass::text ~ '^outbox_to_\d+$';
    IF v_gap_from < v_upper
       AND NOT attach_partition('outbox', format('outbox_to_%s', v_upper), v_gap_from::text, v_upper::text) THEN
        RAISE EXCEPTION USING ERRCODE = 'HR503', MESSAGE =
            'the outbox could not be given its next partition, since somebody reads it: try again';
    END IF;
    PERFORM setval('events_position_seq', v_first, false);

    IF v_renumber THEN
        PERFORM renumber_feed();
    END IF;
    UPDATE checkpoints SET epoch = v_epoch, revision = revision + 1, owner = NULL, leased_until = NULL;
    UPDATE lake_batches SET epoch = v_epoch WHERE settled_at IS NULL;
    INSERT INTO store_epochs (epoch, system_identifier, timeline, events_oid, restored_position,
                              first_position, renumbered, cause, decided_by, database_oid)
    VALUES (v_epoch, v_now.system_identifier, v_now.timeline, v_now.events_oid, v_newest,
            v_first, v_renumber, p_cause, p_by,
            (SELECT d.oid::bigint FROM pg_database d WHERE d.datname = current_database()));
    RETURN v_epoch;
END $$;

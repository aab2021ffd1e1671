-- Keeps the partitioned tables in shape; call it every minute from any process.
--
-- Makes the next partitions of the outbox (by position) and of commands (by month) ahead of need, and
-- drops the ones nobody can need again: an outbox partition all of whose rows every checkpoint has
-- seen, and a month of commands older than `p_keep_commands`. A row that comes before its partition
-- goes to the default partition, so nothing fails when this was not called in time.
CREATE OR REPLACE FUNCTION maintain_partitions(p_outbox_rows bigint, p_keep_commands interval)
RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_part record;
    v_next bigint;
    v_month date;
    v_changes int := 0;
    v_unseen boolean;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('maintain_partitions')) THEN
        RETURN 0;
    END IF;
    PERFORM set_config('lock_timeout', '200ms', true);  -- appends queue behind a waiting DROP

    -- Beyond the newest position there must always be one partition in use and one to spare.
    SELECT coalesce(max((regexp_match(c.relname, '^outbox_to_(\d+)$'))[1]::bigint), 0) INTO v_next
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'outbox'::regclass;
    v_next := greatest(v_next, (SELECT coalesce(max(position), 0) + 1 FROM outbox_default));
    WHILE v_next < (SELECT last_value FROM events_position_seq) + 2 * p_outbox_rows LOOP
        EXECUTE format(
            'CREATE TABLE outbox_to_%s PARTITION OF outbox FOR VALUES FROM (%s) TO (%s)',
            v_next + p_outbox_rows, v_next, v_next + p_outbox_rows);
        v_next := v_next + p_outbox_rows;
        v_changes := v_changes + 1;
    END LOOP;

    FOR v_part IN
        SELECT c.relname, (regexp_match(c.relname, '^outbox_to_(\d+)$'))[1]::bigint AS upto
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'outbox'::regclass AND c.relname ~ '^outbox_to_\d+$'
        ORDER BY 2
    LOOP
        CONTINUE WHEN v_part.upto >= (SELECT last_value FROM events_position_seq);
        EXECUTE format(
            'SELECT (SELECT o.txid FROM %I o ORDER BY o.txid DESC LIMIT 1) >= (
                SELECT min(pg_snapshot_xmin(
                    CASE WHEN c.since::text = ''1:1:'' THEN coalesce(c.until, c.since) ELSE c.since END))
                FROM checkpoints c)', v_part.relname) INTO v_unseen;
        EXIT WHEN v_unseen;
        BEGIN
            EXECUTE format('DROP TABLE %I', v_part.relname);
            v_changes := v_changes + 1;
        EXCEPTION WHEN lock_not_available THEN
            EXIT;  -- somebody is still writing to it: next time
        END;
    END LOOP;

    FOR v_month IN
        SELECT m::date FROM generate_series(
            date_trunc('month', current_date), current_date + interval '1 month', '1 month') m
    LOOP
        IF to_regclass(format('commands_%s', to_char(v_month, 'YYYY_MM'))) IS NULL
           AND NOT EXISTS (SELECT FROM commands_default c
                           WHERE c.opened_on >= v_month AND c.opened_on < v_month + interval '1 month')
        THEN
            EXECUTE format('CREATE TABLE commands_%s PARTITION OF commands FOR VALUES FROM (%L) TO (%L)',
                to_char(v_month, 'YYYY_MM'), v_month, (v_month + interval '1 month')::date);
            v_changes := v_changes + 1;
        END IF;
    END LOOP;

    FOR v_part IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'commands'::regclass AND c.relname ~ '^commands_\d{4}_\d{2}$'
          AND to_date(substr(c.relname, 10), 'YYYY_MM') + interval '1 month'
              < current_date - p_keep_commands
    LOOP
        EXECUTE format('DROP TABLE %I', v_part.relname);
        v_changes := v_changes + 1;
    END LOOP;
    RETURN v_changes;
END $$;

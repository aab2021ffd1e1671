-- Keeps the partitioned tables in shape; call it every minute from any process.
--
-- Makes the next partitions of the outbox (by position) and of commands (by month) ahead of need, and
-- drops the ones nobody can need again: an outbox partition all of whose rows every checkpoint has
-- seen, and a month of commands older than `p_keep_commands`. A row that comes before its partition
-- goes to the default partition, so nothing fails when this was not called in time.
--
-- No append ever waits here behind somebody who keeps a transaction open: partitions are attached,
-- which locks no writer out, and dropped only while everybody else lets go of the table at once. What
-- cannot be done now is left for the next call. Answers how many changes it made.
CREATE OR REPLACE FUNCTION maintain_partitions(p_outbox_rows bigint, p_keep_commands interval)
RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
SET lock_timeout = '200ms'
AS $$
DECLARE
    v_newest bigint := (SELECT last_value FROM events_position_seq);
    v_oldest_month date := (current_date - p_keep_commands)::date;
    v_next bigint;
    v_month date;
    v_name text;
    v_droppable text[];
    v_holders text[];
    v_changes int := 0;
BEGIN
    IF p_outbox_rows < 1 THEN
        RAISE EXCEPTION 'an outbox partition of % rows holds nothing', p_outbox_rows;
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtext('maintain_partitions')) THEN
        RETURN 0;
    END IF;

    -- Beyond the newest position there is always the rest of one partition, and a whole one to spare.
    SELECT greatest(max(substr(i.inhrelid::regclass::text, 11)::bigint),
                    (SELECT max(o.position) + 1 FROM outbox_default o), 1) INTO v_next
    FROM pg_inherits i
    WHERE i.inhparent = 'outbox'::regclass AND i.inhrelid::regclass::text ~ '^outbox_to_\d+$';
    WHILE v_next < v_newest + 2 * p_outbox_rows
          AND attach_partition('outbox', format('outbox_to_%s', v_next + p_outbox_rows),
                               v_next::text, (v_next + p_outbox_rows)::text) LOOP
        v_next := v_next + p_outbox_rows;
        v_changes := v_changes + 1;
    END LOOP;

    FOREACH v_month IN ARRAY ARRAY[date_trunc('month', current_date),
                                   date_trunc('month', current_date) + interval '1 month']::date[] LOOP
        v_name := to_char(v_month, '"commands_"YYYY_MM');
        IF to_regclass(v_name) IS NULL
           AND attach_partition('commands', v_name, v_month::text, (v_month + interval '1 month')::date::text)
        THEN
            v_changes := v_changes + 1;
        END IF;
    END LOOP;

    DELETE FROM commands_default c WHERE c.opened_on < v_oldest_month;

    -- commands first: an append locks the tables in that order
    SELECT array_agg(p.name ORDER BY p.name) INTO v_droppable
    FROM (SELECT i.inhrelid::regclass::text AS name FROM pg_inherits i
          WHERE i.inhparent IN ('commands'::regclass, 'outbox'::regclass)) AS p
    WHERE CASE
        WHEN p.name ~ '^commands_\d{4}_\d{2}$'
            THEN to_date(substr(p.name, 10), 'YYYY_MM') + interval '1 month' <= v_oldest_month
        WHEN p.name ~ '^outbox_to_\d+$'
            THEN substr(p.name, 11)::bigint <= v_newest AND outbox_is_seen(p.name)
        WHEN p.name = 'outbox_default'
            THEN EXISTS (SELECT FROM outbox_default) AND outbox_is_seen(p.name)
        ELSE false END;
    IF v_droppable IS NULL THEN
        RETURN v_changes;
    END IF;

    -- A lock that is still held after a moment is held for long.
    SELECT array_agg(l.virtualtransaction) INTO v_holders FROM pg_locks l
    WHERE l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
      AND l.relation IN ('commands'::regclass, 'outbox'::regclass) AND l.pid <> pg_backend_pid();
    PERFORM pg_sleep(0.2);
    IF EXISTS (SELECT FROM pg_locks l WHERE l.virtualtransaction = ANY (v_holders)) THEN
        RETURN v_changes;
    END IF;

    FOREACH v_name IN ARRAY v_droppable LOOP
        BEGIN
            IF v_name ^@ 'outbox' THEN
                LOCK TABLE ONLY outbox IN ACCESS EXCLUSIVE MODE;
                -- Only now is there no row that is not committed yet, and so could not be asked about.
                CONTINUE WHEN NOT outbox_is_seen(v_name);
            ELSE
                LOCK TABLE ONLY commands IN ACCESS EXCLUSIVE MODE;
            END IF;
            EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE NOWAIT', v_name);
            EXECUTE format(CASE WHEN v_name = 'outbox_default' THEN 'TRUNCATE %I' ELSE 'DROP TABLE %I' END, v_name);
            v_changes := v_changes + 1;
        EXCEPTION WHEN lock_not_available THEN
            EXIT;
        END;
    END LOOP;
    RETURN v_changes;
END $$;

-- Keeps the partitioned tables in shape; call it every minute from any process.
--
-- Makes the next partitions of the outbox (by position) and of commands (by month) ahead of need, and
-- drops the ones nobody can need again: an outbox partition all of whose rows every checkpoint has
-- seen, and a month of commands older than `p_keep_commands`. A row that comes before its partition
-- goes to the default partition, so nothing fails when this was not called in time.
--
-- A row of the fence outlives its month where something may still ask for it: `walk_commands` says what
-- that is, and looks at so many attempts in each call. What is left of a month moves to the default
-- partition (`drop_month`), and is looked at again there.
--
-- Where somebody does not move a checkpoint, the outbox grows: from the fifth on, each four partitions
-- are twice as large as those before, so that a poll, which looks into each, costs hardly more.
--
-- No append ever waits here behind somebody who keeps a transaction open: partitions are attached
-- further ahead than any append reaches, which locks no writer out, or else, as those that are seen are
-- dropped, only while everybody else lets go of the table at once. What cannot be done now is left for
-- the next call. Answers how many changes it made.
CREATE OR REPLACE FUNCTION maintain_partitions(p_outbox_rows bigint, p_keep_commands interval)
RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
SET lock_timeout = '200ms'
AS $$
DECLARE
    v_newest bigint;
    v_oldest_month date := (current_date - p_keep_commands)::date;
    v_month text;
    v_next_month date := date_trunc('month', current_date) + interval '1 month';
    v_next bigint;
    v_rows bigint;
    v_partitions int;
    v_budget int := 2000;
    v_name text;
    v_droppable text[];
    v_is_late boolean;
    v_has_commands boolean := false;
    v_has_outbox boolean := false;
    v_changes int := 0;
BEGIN
    IF p_outbox_rows < 1 THEN
        RAISE EXCEPTION 'an outbox partition of % rows holds nothing', p_outbox_rows;
    END IF;
    IF p_keep_commands < interval '1 month' THEN
        RAISE EXCEPTION 'the fence keeps its rows for a month at least, not for %', p_keep_commands;
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtext('maintain_partitions')) THEN
        RETURN 0;
    END IF;

    FOR v_name IN
        SELECT i.inhrelid::regclass::text FROM pg_inherits i
        WHERE i.inhparent = 'commands'::regclass AND i.inhrelid::regclass::text ~ '^commands_\d{4}_\d{2}$'
          AND to_date(substr(i.inhrelid::regclass::text, 10), 'YYYY_MM') + interval '1 month' <= v_oldest_month
        ORDER BY 1
    LOOP
        EXIT WHEN v_budget <= 0;
        v_budget := v_budget - walk_commands(v_name, v_oldest_month, p_keep_commands, v_budget);
    END LOOP;
    PERFORM walk_commands('commands_default', v_oldest_month, p_keep_commands, 1000);

    -- commands first: an append locks the tables in that order
    SELECT array_agg(p.name ORDER BY p.name) INTO v_droppable
    FROM (SELECT i.inhrelid::regclass::text AS name FROM pg_inherits i
          WHERE i.inhparent IN ('commands'::regclass, 'outbox'::regclass)) AS p
    WHERE CASE
        WHEN p.name ~ '^commands_\d{4}_\d{2}$'
            THEN EXISTS (SELECT FROM fence_walks w WHERE w.partition = p.name AND w.finished)
        WHEN p.name ~ '^outbox_to_\d+$'
            THEN substr(p.name, 11)::bigint <= (SELECT last_value FROM events_position_seq)
                 AND outbox_is_seen(p.name)
        WHEN p.name = 'outbox_default'
            THEN EXISTS (SELECT FROM outbox_default) AND outbox_is_seen(p.name)
        ELSE false END;

    SELECT greatest(max(substr(i.inhrelid::regclass::text, 11)::bigint),
                    (SELECT max(o.position) + 1 FROM outbox_default o), 1), count(*)
    INTO v_next, v_partitions
    FROM pg_inherits i
    WHERE i.inhparent = 'outbox'::regclass AND i.inhrelid::regclass::text ~ '^outbox_to_\d+$';
    v_newest := (SELECT last_value FROM events_position_seq);
    v_month := to_char(current_date, '"commands_"YYYY_MM');
    v_is_late := v_next < v_newest + p_outbox_rows;
    IF (v_droppable IS NOT NULL OR v_is_late OR to_regclass(v_month) IS NULL)
       AND lets_go('commands', 'outbox') THEN
        BEGIN
            IF v_droppable[1] ^@ 'commands' OR to_regclass(v_month) IS NULL THEN
                LOCK TABLE ONLY commands IN ACCESS EXCLUSIVE MODE;
                v_has_commands := true;
            END IF;
            IF v_droppable[cardinality(v_droppable)] ^@ 'outbox' OR v_is_late THEN
                LOCK TABLE ONLY outbox IN ACCESS EXCLUSIVE MODE;
                v_has_outbox := true;
            END IF;
        EXCEPTION WHEN lock_not_available THEN
            v_has_commands := false;
            v_has_outbox := false;
        END;
    END IF;

    IF v_has_commands AND to_regclass(v_month) IS NULL
       AND attach_partition('commands', v_month, date_trunc('month', current_date)::date::text,
                            v_next_month::text) THEN
        v_changes := v_changes + 1;
    END IF;
    v_name := to_char(v_next_month, '"commands_"YYYY_MM');
    IF to_regclass(v_name) IS NULL
       AND attach_partition('commands', v_name, v_next_month::text,
                            (v_next_month + interval '1 month')::date::text) THEN
        v_changes := v_changes + 1;
    END IF;

    -- Beyond the newest position there is always the rest of one partition, and a whole one to spare.
    v_newest := (SELECT last_value FROM events_position_seq);
    IF v_has_outbox THEN
        v_next := greatest(v_next, (SELECT max(o.position) + 1 FROM outbox_default o));
    ELSE
        v_next := greatest(v_next, v_newest + p_outbox_rows);
    END IF;
    WHILE v_next < v_newest + 2 * p_outbox_rows LOOP
        v_rows := p_outbox_rows * (1::bigint << least(v_partitions / 4, 20));
        EXIT WHEN NOT attach_partition(
            'outbox', format('outbox_to_%s', v_next + v_rows), v_next::text, (v_next + v_rows)::text);
        v_next := v_next + v_rows;
        v_partitions := v_partitions + 1;
        v_changes := v_changes + 1;
    END LOOP;

    FOREACH v_name IN ARRAY coalesce(v_droppable, '{}') LOOP
        BEGIN
            IF v_name ^@ 'commands' THEN
                CONTINUE WHEN NOT v_has_commands OR NOT drop_month(v_name);
            ELSE
                -- Only now is there no row that is not committed yet, and so could not be asked about.
                CONTINUE WHEN NOT v_has_outbox OR NOT outbox_is_seen(v_name);
                EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE NOWAIT', v_name);
                EXECUTE format(
                    CASE WHEN v_name = 'outbox_default' THEN 'TRUNCATE %I' ELSE 'DROP TABLE %I' END, v_name);
            END IF;
            v_changes := v_changes + 1;
        EXCEPTION WHEN lock_not_available THEN
            EXIT;
        END;
    END LOOP;
    RETURN v_changes;
END $$;

-- Appends one command's events to several streams at once: everything or nothing, in one round trip.
--
--   p_streams, p_shards, p_expected  one entry a stream; a NULL in p_expected accepts any version
--   p_of, p_types, p_schemas, p_data one entry an event; p_of is the event's index in p_streams
--   p_metadata                       shared by all events: who, why, caused by what
--   p_opened_on … p_direction        the fence key; p_saga NULL appends without a fence
--   p_answer                         kept at the fence, and given to whoever asks again
--   p_closes                         forward steps of the same saga and attempt whose door is shut
--
-- Answers `appended`; `repeated` with the first answer where the fence was passed before; or `closed`
-- where its compensation came first. `token` is the transaction that wrote the answer.
-- Raises HR409 when a stream is not at its expected version, before a position is taken.
--
-- The fence is locked before the streams, and the streams in the order of their names, by every
-- caller: two appends cannot wait for each other. Who shuts doors holds several of them, so in one
-- saga only one does that at a time.
--
-- Planning these statements takes longer than running them, so they are planned once a connection.
CREATE OR REPLACE FUNCTION append_events(
    p_streams text[], p_shards smallint[], p_expected bigint[],
    p_of int[], p_types text[], p_schemas smallint[], p_data text[], p_metadata jsonb,
    p_opened_on date, p_saga text, p_attempt int, p_step text, p_direction text,
    p_answer jsonb, p_closes text[]
) RETURNS TABLE (status text, answer jsonb, token xid8)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_at bigint[];
    v_conflict record;
BEGIN
    IF p_saga IS NOT NULL THEN
        IF p_closes <> '{}' THEN
            PERFORM pg_advisory_xact_lock(hashtext('append_events'), hashtext(p_saga));
        END IF;
        INSERT INTO commands AS c (opened_on, saga, attempt, step, direction, answer)
        VALUES (p_opened_on, p_saga, p_attempt, p_step, p_direction, p_answer)
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            RETURN QUERY
            SELECT CASE WHEN c.answer IS NULL THEN 'closed' ELSE 'repeated' END, c.answer, c.txid
            FROM commands c
            WHERE c.opened_on = p_opened_on AND c.saga = p_saga AND c.attempt = p_attempt
              AND c.step = p_step AND c.direction = p_direction;
            RETURN;
        END IF;
        IF p_closes <> '{}' THEN
            INSERT INTO commands AS c (opened_on, saga, attempt, step, direction, closed)
            SELECT DISTINCT p_opened_on, p_saga, p_attempt, s.step, 'do', true
            FROM unnest(p_closes) AS s (step) ORDER BY s.step
            ON CONFLICT ON CONSTRAINT commands_pkey DO UPDATE SET closed = true;
        END IF;
    END IF;

    WITH wanted AS (
        SELECT w.name, w.ord, (SELECT count(*) FROM unnest(p_of) AS o (i) WHERE o.i = w.ord) AS added
        FROM unnest(p_streams) WITH ORDINALITY AS w (name, ord)
    ), moved AS (
        INSERT INTO streams AS s (name, version)
        SELECT w.name, w.added FROM wanted w WHERE w.added > 0 ORDER BY w.name
        ON CONFLICT (name) DO UPDATE SET version = s.version + excluded.version
        RETURNING s.name, s.version
    )
    SELECT array_agg(m.version - w.added ORDER BY w.ord) INTO v_at
    FROM wanted w LEFT JOIN moved m USING (name);

    -- A stream that only has to be unchanged is read after the fence was locked: what a step and its
    -- own undo may race for is behind the fence.
    SELECT p_streams[i.i] AS name, p_expected[i.i] AS expected, found.version INTO v_conflict
    FROM generate_subscripts(p_streams, 1) AS i (i)
    CROSS JOIN LATERAL (
        SELECT coalesce(v_at[i.i], (SELECT s.version FROM streams s WHERE s.name = p_streams[i.i]), 0)
    ) AS found (version)
    WHERE p_expected[i.i] <> found.version
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'HR409', MESSAGE = format(
            'stream %s is at version %s, not %s',
            v_conflict.name, v_conflict.version, v_conflict.expected);
    END IF;

    WITH stored AS (
        INSERT INTO events (stream, version, shard, type, schema, data, metadata)
        SELECT p_streams[e.stream],
               v_at[e.stream] + row_number() OVER (PARTITION BY e.stream ORDER BY e.ord),
               p_shards[e.stream], e.type, e.schema, e.data::jsonb, p_metadata
        FROM unnest(p_of, p_types, p_schemas, p_data)
             WITH ORDINALITY AS e (stream, type, schema, data, ord)
        ORDER BY e.ord
        RETURNING events.position, events.txid, events.shard
    )
    INSERT INTO outbox (position, txid, shard)
    SELECT stored.position, stored.txid, stored.shard FROM stored;

    RETURN QUERY SELECT 'appended', p_answer, pg_current_xact_id();
END $$;

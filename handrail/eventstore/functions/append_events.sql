-- Appends one command's events to several streams at once: everything or nothing, in one round trip.
--
--   p_streams   in the order of their names: {name, shard, expected, added}; an `expected` of null
--               accepts any version, and `added` is how many events of it there are
--   p_events    in the order of their positions: {of, nth, type, schema, data}; the `nth` new one of the
--               stream at the place `of` of p_streams, which are counted from 0
--   p_metadata  shared by all events: who, why, caused by what
--   p_step      the fence, or null: {opened_on, saga, attempt, step, direction, answer, closes}; `answer`
--               is kept and given to whoever asks again, and `closes` names steps of the same saga and
--               attempt whose door is shut, or is missing: forward, or back where `/undo` follows the name
--
-- Answers {status, token}, where the status is `appended`, and the token the transaction, with the epoch of
-- the store before it from the second on. Where the fence was passed before it is `repeated`, with the first
-- `answer` and its token; or `closed` where its compensation came first.
-- Raises HR409 when a stream is not at its expected version, and HR410 when the attempt is over, before
-- a position is taken.
--
-- An attempt is over once its forward key `journal:over` is closed: no forward key of it takes effect
-- any more, whatever its name. That is looked at once the saga's own stream is locked, which every step
-- of a saga appends to: who closes the key, and then appends to that stream at the version it has read,
-- has read all that the attempt will ever have said.
--
-- The fence is locked before the streams, and the streams in the order of their names, by every
-- caller: two appends cannot wait for each other. Who shuts doors holds several of them, so in one
-- saga only one does that at a time.
--
-- A stream that only has to be unchanged is locked in its place of that order too, as shared: it cannot
-- change before this append commits, and what is read under the lock is what every append that held the
-- lock before has left. Any number of appends may check the same stream at once. One that does not exist
-- has no row: its name is locked instead, and a writer locks the name of each stream that it begins.
--
-- An attempt that writes later than two days after it began is noted in `long_attempts`: its rows of the
-- fence outlive their month (maintain_partitions).
--
-- It is the only way to append: no login may write these tables, and the role that owns the function cannot
-- log in (`access/database_roles.py`).
--
-- Planning these statements takes longer than running them, so they are planned once a connection; and a
-- loop over a stream or two costs less than a statement that takes them all.
CREATE OR REPLACE FUNCTION append_events(p_streams jsonb, p_events jsonb, p_metadata jsonb, p_step jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_key commands := jsonb_populate_record(NULL::commands, p_step);
    v_first commands;
    v_stream jsonb;
    v_name text;
    v_before text := '';
    v_added bigint;
    v_version bigint;
    v_at bigint[];
BEGIN
    IF p_step IS NOT NULL THEN
        IF p_step ? 'closes' THEN
            PERFORM pg_advisory_xact_lock(hashtext('append_events'), hashtext(v_key.saga));
        END IF;
        INSERT INTO commands AS c (opened_on, saga, attempt, step, direction, answer)
        VALUES (v_key.opened_on, v_key.saga, v_key.attempt, v_key.step, v_key.direction, v_key.answer)
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            SELECT c.* INTO v_first FROM commands c
            WHERE c.opened_on = v_key.opened_on AND c.saga = v_key.saga AND c.attempt = v_key.attempt
              AND c.step = v_key.step AND c.direction = v_key.direction;
            RETURN jsonb_build_object(
                'status', CASE WHEN v_first.answer IS NULL THEN 'closed' ELSE 'repeated' END,
                'answer', v_first.answer, 'token', store_token(v_first.txid));
        END IF;
        IF p_step ? 'closes' THEN
            INSERT INTO commands AS c (opened_on, saga, attempt, step, direction, closed)
            SELECT DISTINCT v_key.opened_on, v_key.saga, v_key.attempt, split_part(s.step, '/', 1) AS name,
                   CASE WHEN s.step LIKE '%/undo' THEN 'undo' ELSE 'do' END AS direction, true
            FROM jsonb_array_elements_text(p_step -> 'closes') AS s (step) ORDER BY name, direction
            ON CONFLICT ON CONSTRAINT commands_pkey DO UPDATE SET closed = true;
        END IF;
        IF v_key.opened_on < current_date - 2 AND NOT EXISTS (
            SELECT FROM long_attempts l
            WHERE l.opened_on = v_key.opened_on AND l.saga = v_key.saga AND l.attempt = v_key.attempt
              AND l.written_on >= current_date) THEN
            INSERT INTO long_attempts (opened_on, saga, attempt, written_on)
            VALUES (v_key.opened_on, v_key.saga, v_key.attempt, current_date);
        END IF;
    END IF;

    FOR place IN 0 .. jsonb_array_length(p_streams) - 1 LOOP
        v_stream := p_streams -> place;
        v_name := v_stream ->> 'name';
        IF v_name < v_before COLLATE "C" THEN
            RAISE EXCEPTION 'stream % comes after %: somebody else may lock them the other way round',
                v_name, v_before;
        END IF;
        v_before := v_name;
        v_added := (v_stream -> 'added')::bigint;
        IF v_added > 0 THEN
            INSERT INTO streams AS s (name, version) VALUES (v_name, v_added)
            ON CONFLICT (name) DO UPDATE SET version = s.version + excluded.version
            RETURNING s.version - v_added INTO v_version;
            IF v_version = 0 THEN
                PERFORM pg_advisory_xact_lock(hashtextextended(v_name, 0));
            END IF;
        ELSIF v_stream ->> 'expected' IS NULL THEN
            CONTINUE;
        ELSE
            SELECT s.version INTO v_version FROM streams s WHERE s.name = v_name FOR SHARE;
            IF NOT FOUND THEN
                PERFORM pg_advisory_xact_lock_shared(hashtextextended(v_name, 0));
                SELECT s.version INTO v_version FROM streams s WHERE s.name = v_name FOR SHARE;
                v_version := coalesce(v_version, 0);
            END IF;
        END IF;
        v_at[place] := v_version;
    END LOOP;

    IF v_key.direction = 'do' AND EXISTS (
        SELECT FROM commands c
        WHERE c.opened_on = v_key.opened_on AND c.saga = v_key.saga AND c.attempt = v_key.attempt
          AND c.step = 'journal:over' AND c.direction = 'do') THEN
        RAISE EXCEPTION USING ERRCODE = 'HR410', MESSAGE = format(
            'attempt %s of %s is over', v_key.attempt, v_key.saga);
    END IF;

    -- Only now, so that an attempt that is over hears that first.
    FOR place IN 0 .. jsonb_array_length(p_streams) - 1 LOOP
        v_stream := p_streams -> place;
        IF v_at[place] <> (v_stream ->> 'expected')::bigint THEN
            RAISE EXCEPTION USING ERRCODE = 'HR409', MESSAGE = format(
                'stream %s is at version %s, not %s',
                v_stream ->> 'name', v_at[place], v_stream ->> 'expected');
        END IF;
    END LOOP;

    WITH stored AS (
        INSERT INTO events (stream, version, shard, type, schema, data, metadata)
        SELECT p_streams -> e.of ->> 'name', v_at[e.of] + e.nth,
               (p_streams -> e.of ->> 'shard')::smallint, e.type, e.schema, e.data, p_metadata
        FROM jsonb_to_recordset(p_events)
             AS e (of int, nth int, type text, schema smallint, data jsonb)
        RETURNING events.position, events.txid, events.shard
    )
    INSERT INTO outbox (position, txid, shard)
    SELECT stored.position, stored.txid, stored.shard FROM stored;

    RETURN jsonb_build_object('status', 'appended', 'token', concat(
        (SELECT nullif(max(e.epoch), 1) || '-' FROM store_epochs e), pg_current_xact_id()));
END $$;

-- Looks at the next `p_limit` attempts that have rows in one partition of the fence, and were opened before
-- `p_oldest`: may anything still ask for their keys? Those that may are noted in `long_attempts`; of the
-- others nothing is kept there, nor in the default partition. Answers how many attempts it looked at; the
-- next call goes on behind them. A month is walked once, the default partition again and again.
--
-- An attempt may ask
--   until its saga has ended, as the saga's own stream says (`SagaEnded`, of this attempt or a later one),
--   for `p_keep` after its last late row, where it has ended: what was under way then may still land,
--   for three years after its last late row, where no saga's stream knows it: a process around sagas asks
--   under its own id. That is longer than any plan runs, and than Temporal keeps what could be reset.
CREATE OR REPLACE FUNCTION walk_commands(
    p_partition text, p_oldest date, p_keep interval, p_limit int)
RETURNS int
LANGUAGE plpgsql
-- Along the key, and no further than the limit: a month is never read whole.
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashagg = off
SET enable_sort = off
AS $$
DECLARE
    v_from fence_walks;
    v_count int;
    v_last record;
BEGIN
    SELECT w.* INTO v_from FROM fence_walks w WHERE w.partition = p_partition;
    IF v_from.finished THEN
        RETURN 0;
    END IF;
    EXECUTE format($walk$
        WITH seen AS MATERIALIZED (
            SELECT DISTINCT c.opened_on, c.saga, c.attempt FROM %I c
            WHERE c.opened_on < $1 AND (c.opened_on, c.saga, c.attempt) > ($2, $3, $4)
            ORDER BY c.opened_on, c.saga, c.attempt LIMIT $5
        ), judged AS MATERIALIZED (
            SELECT s.opened_on, s.saga, s.attempt, l.written_on, coalesce(CASE
                WHEN EXISTS (SELECT FROM streams j WHERE j.name = 'saga-' || s.saga) THEN
                    coalesce((SELECT (e.data ->> 'attempt')::int FROM events e
                              WHERE e.stream = 'saga-' || s.saga AND e.type = 'SagaEnded'
                              ORDER BY e.version DESC LIMIT 1), 0) < s.attempt
                    OR l.written_on >= current_date - $6
                ELSE l.written_on >= current_date - greatest($6, interval '3 years')
                END, false) AS may_ask
            FROM seen s CROSS JOIN LATERAL (
                SELECT max(l.written_on) AS written_on FROM long_attempts l
                WHERE (l.opened_on, l.saga, l.attempt) = (s.opened_on, s.saga, s.attempt)) AS l
        ), noted AS (
            INSERT INTO long_attempts (opened_on, saga, attempt, written_on)
            SELECT j.opened_on, j.saga, j.attempt, j.opened_on FROM judged j
            WHERE j.may_ask AND j.written_on IS NULL
        ), forgotten AS (
            DELETE FROM long_attempts l USING judged j
            WHERE (l.opened_on, l.saga, l.attempt) = (j.opened_on, j.saga, j.attempt)
              AND (l.written_on < j.written_on OR l.written_on = j.written_on AND NOT j.may_ask)
        ), deleted AS (
            DELETE FROM commands_default c USING judged j
            WHERE %L AND NOT j.may_ask
              AND (c.opened_on, c.saga, c.attempt) = (j.opened_on, j.saga, j.attempt)
        )
        SELECT s.opened_on, s.saga, s.attempt, (SELECT count(*)::int FROM seen) AS count FROM seen s
        ORDER BY s.opened_on DESC, s.saga DESC, s.attempt DESC LIMIT 1
    $walk$, p_partition, p_partition = 'commands_default') INTO v_last
    USING p_oldest, coalesce(v_from.opened_on, '-infinity'), coalesce(v_from.saga, ''),
          coalesce(v_from.attempt, 0), p_limit, p_keep;
    v_count := coalesce(v_last.count, 0);
    INSERT INTO fence_walks AS w (partition, opened_on, saga, attempt, finished)
    SELECT p_partition, f.opened_on, f.saga, f.attempt, p_partition <> 'commands_default' AND v_count < p_limit
    FROM (SELECT v_last.opened_on, v_last.saga, v_last.attempt WHERE v_count = p_limit
          UNION ALL SELECT NULL, NULL, NULL WHERE v_count < p_limit) AS f (opened_on, saga, attempt)
    ON CONFLICT ON CONSTRAINT fence_walks_pkey DO UPDATE
    SET opened_on = excluded.opened_on, saga = excluded.saga, attempt = excluded.attempt,
        finished = excluded.finished;
    RETURN v_count;
END $$;

-- Drops a month of the fence that was walked, but for the attempts that may still ask: their rows go to
-- the default partition. The caller holds `commands`, so that no row of the month is under way.
--
-- False where so many are left that moving them would keep appends waiting: then it is walked anew.
CREATE OR REPLACE FUNCTION drop_month(p_month text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_from date := to_date(substr(p_month, 10), 'YYYY_MM');
    v_left int := (
        SELECT count(*) FROM (
            SELECT FROM long_attempts l
            WHERE l.opened_on >= v_from AND l.opened_on < v_from + interval '1 month' LIMIT 1001) AS l);
BEGIN
    IF v_left > 1000 THEN
        DELETE FROM fence_walks w WHERE w.partition = p_month;
        RETURN false;
    END IF;
    EXECUTE format('LOCK TABLE %I, commands_default IN ACCESS EXCLUSIVE MODE NOWAIT', p_month);
    EXECUTE format('ALTER TABLE commands DETACH PARTITION %I', p_month);
    EXECUTE format(
        'INSERT INTO commands SELECT c.* FROM %I c WHERE EXISTS ('
        ' SELECT FROM long_attempts l'
        ' WHERE (l.opened_on, l.saga, l.attempt) = (c.opened_on, c.saga, c.attempt))', p_month);
    EXECUTE format('DROP TABLE %I', p_month);
    DELETE FROM fence_walks w WHERE w.partition = p_month;
    RETURN true;
END $$;

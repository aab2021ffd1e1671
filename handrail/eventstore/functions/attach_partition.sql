-- Makes a partition for the values from `p_from` up to but not including `p_to`. Attaching lets writers
-- go on, where making it in place would wait for all of them, with everybody else behind.
--
-- An append that has begun to look for the partition of a row knows those there were: where it takes the
-- default one for a row of the new range, and waits there until the new one is attached, it fails
-- (`CheckViolation`). So the range has to be one that no append under way can reach, or the caller has
-- locked the table, and whoever comes waits before it looks.
--
-- False when it cannot be done now: somebody reads the default partition for long, or it holds rows of
-- that range already.
CREATE OR REPLACE FUNCTION attach_partition(p_table text, p_name text, p_from text, p_to text)
RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', p_name, p_table);
    EXECUTE format(
        'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', p_table, p_name, p_from, p_to);
    RETURN true;
EXCEPTION WHEN lock_not_available OR check_violation THEN
    RETURN false;
END $$;

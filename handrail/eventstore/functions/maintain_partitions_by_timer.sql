-- `maintain_partitions` with what is fixed here: a process may call it, and can choose nothing.
CREATE OR REPLACE FUNCTION maintain_partitions()
RETURNS int
LANGUAGE sql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
    SELECT maintain_partitions(1000000, interval '1 year')
$$;

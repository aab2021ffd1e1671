-- Begins a new epoch where nothing outside of the store is asked which epochs there were. See begin_epoch.
CREATE OR REPLACE FUNCTION adopt_store(p_cause text, p_by text)
RETURNS int
LANGUAGE sql
SET search_path = public, pg_temp
AS $$
    SELECT begin_epoch(p_cause, p_by, 0)
$$;

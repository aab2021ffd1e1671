-- Appends acts of operators to the stream of a day, for logins that append nothing else.
--
--   p_stream    {name, shard, expected, added}, as append_events takes it; its name is `audit-{day}`
--   p_events    {of, nth, type, schema, data} each; a type is one of those of `audit/acts.py`
--   p_metadata  who, and of which request
--
-- Raises HR403 for any other stream or type.
CREATE OR REPLACE FUNCTION append_audit(p_stream jsonb, p_events jsonb, p_metadata jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
BEGIN
    IF p_stream ->> 'name' !~ '^audit-[0-9]{4}-[0-9]{2}-[0-9]{2}$' OR EXISTS (
        SELECT FROM jsonb_array_elements(p_events) AS e (event)
        WHERE (event ->> 'type') IS NULL OR event ->> 'type' NOT IN
            ('OperatorActRequested', 'OperatorActAnswered', 'OperatorActRefused')) THEN
        RAISE EXCEPTION USING ERRCODE = 'HR403', MESSAGE = 'this is no act of an operator';
    END IF;
    RETURN append_events(jsonb_build_array(p_stream), p_events, p_metadata, NULL);
END $$;

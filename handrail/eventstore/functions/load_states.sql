-- Everything needed to fold some streams: for each the state that was kept by folds of this revision (its row
-- has no type), then the events after it, or after `p_after` for a caller who has folded that far already. An
-- empty revision has no kept states.
CREATE OR REPLACE FUNCTION load_states(p_streams text[], p_after bigint[], p_revision text)
RETURNS TABLE (stream text, version bigint, type text, schema smallint, data jsonb)
LANGUAGE sql STABLE AS $$
    WITH wanted AS (
        SELECT w.name, greatest(w.seen, coalesce(s.version, 0)) AS seen, s.version, s.state
        FROM unnest(p_streams, p_after) AS w (name, seen)
        LEFT JOIN state_snapshots s
            ON s.stream = w.name AND s.revision = p_revision AND s.version > w.seen
    )
    SELECT w.name, w.version, NULL, NULL::smallint, w.state FROM wanted w WHERE w.state IS NOT NULL
    UNION ALL
    SELECT e.stream, e.version, e.type, e.schema, e.data
    FROM wanted w JOIN events e ON e.stream = w.name AND e.version > w.seen
    ORDER BY 1, 2, 3 NULLS FIRST
$$;

-- The snapshot that sees what the one at the same place of `p_all` saw: whatever has a lower number.
CREATE OR REPLACE FUNCTION renumbered(p_snapshot pg_snapshot, p_all pg_snapshot[]) RETURNS pg_snapshot
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_snapshot::text = '1:1:' THEN p_snapshot
        ELSE (SELECT format('%1$s:%1$s:', 3 + s.place)::pg_snapshot
              FROM unnest(p_all) WITH ORDINALITY AS s (snapshot, place)
              WHERE s.snapshot::text = p_snapshot::text LIMIT 1) END
$$;

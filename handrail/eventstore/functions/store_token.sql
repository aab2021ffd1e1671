-- The token of a transaction that is stored: its number, with the epoch before it from the second on. A
-- number of another cluster may not be reached here yet: then everything that is stored by now is waited for.
CREATE OR REPLACE FUNCTION store_token(p_txid xid8) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT concat((SELECT nullif(max(e.epoch), 1) || '-' FROM store_epochs e),
        CASE WHEN p_txid < pg_snapshot_xmax(pg_current_snapshot()) THEN p_txid::text
             ELSE (pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1)::text END)
$$;

-- Events are never changed: for everybody, the owner of the tables included.
CREATE OR REPLACE FUNCTION forbid_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is forbidden: append a correcting event instead', TG_OP, TG_TABLE_NAME;
END $$;

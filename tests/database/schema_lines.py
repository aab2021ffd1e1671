"""What statements of a release may name: `python -m tests.database.schema_lines URL`."""

from __future__ import annotations

import sys
from typing import Final

import psycopg

_LINES: Final = """
SELECT 'column ' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
  AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'function ' || p.oid::regprocedure || ' returns ' || pg_get_function_result(p.oid)
FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
UNION ALL
SELECT 'unique ' || c.relname || ' (' || (
    SELECT string_agg(a.attname, ', ' ORDER BY k.nth)
    FROM unnest(i.indkey) WITH ORDINALITY AS k (number, nth)
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number) || ')'
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
  AND i.indisunique AND i.indpred IS NULL
"""
_DEMANDED: Final = """
SELECT c.relname || '.' || a.attname
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
  AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
"""


def lines(connection: psycopg.Connection) -> set[str]:
    """Columns with their types, functions with their signatures, what `ON CONFLICT` may name."""
    return {line for (line,) in connection.execute(_LINES.encode()) if line}


def demanded(connection: psycopg.Connection) -> set[str]:
    """The columns that every INSERT has to name."""
    return {column for (column,) in connection.execute(_DEMANDED.encode())}


if __name__ == "__main__":
    with psycopg.connect(sys.argv[1]) as one:
        found = sorted(lines(one) | {f"demanded {name}" for name in demanded(one)})
    sys.stdout.write("\n".join([*found, ""]))

"""Lets nothing but a SELECT through to DuckDB, by what its own parser makes of the text.

The type of a statement does not tell: `EXPLAIN ANALYZE COPY …` is an EXPLAIN and copies, and
`WITH x AS (COPY …) SELECT 1` is a SELECT and copies, too. So every node of the parsed query has to
be one that reads, and every table function one that is known to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import duckdb
import orjson

LONGEST: Final = 100_000
"""Characters of a query."""

_READS: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_FUNCTIONS: Final = frozenset(
    {
        *("range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"),
        *("duckdb_columns", "duckdb_functions", "duckdb_tables", "duckdb_types", "duckdb_views"),
        *("pragma_table_info", "pg_timezone_names"),
        # They find no other files than those of the lake's events: see `open_lake`.
        *("glob", "parquet_scan", "parquet_schema", "parquet_metadata", "parquet_file_metadata"),
        *("read_parquet", "read_text", "read_blob", "read_csv", "read_csv_auto", "sniff_csv"),
        *("read_json", "read_json_auto", "read_json_objects", "read_ndjson", "read_ndjson_auto"),
    }
)
_EXPLAIN: Final = re.compile(
    r"\s*EXPLAIN(?P<analyze>\s+ANALYZE\b)?\s*(?P<options>\([A-Z ,_]*\))?(?P<query>.*)",
    re.IGNORECASE | re.DOTALL,
)


class NotAQuery(ValueError):
    """The lake is read only: one SELECT."""


def only_select(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """What is to be executed for it: a SELECT, or an EXPLAIN of one.

    Raises NotAQuery, and duckdb.Error where DuckDB cannot read the text.
    """
    if len(sql) > LONGEST:
        raise NotAQuery(f"a query has at most {LONGEST} characters")
    if _types(connection, sql) == ["EXPLAIN"]:
        found = _EXPLAIN.fullmatch(sql)
        if found is None:
            raise _refused("an EXPLAIN without comments before its query")
        analyze, options = found["analyze"] or "", found["options"] or ""
        return f"EXPLAIN{analyze} {options} {_select(connection, found['query'])}"
    return _select(connection, sql)


def _select(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    if _types(connection, sql) != ["SELECT"]:
        raise _refused()
    [(text,)] = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()
    parsed = orjson.loads(text)
    if parsed["error"] or len(parsed["statements"]) != 1:
        raise _refused()
    for node in _nodes(parsed["statements"]):
        kind = node.get("type")
        if isinstance(kind, str) and kind.endswith("_NODE") and kind not in _READS:
            raise _refused(f"no {kind.removesuffix('_QUERY_NODE')} in it")
        if kind == "TABLE_FUNCTION":
            name = node["function"].get("function_name", "")
            if name.lower() not in _FUNCTIONS:
                raise _refused(f"the table function {name} is not for it")
    return sql


def _types(connection: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    return [one.type.name for one in connection.extract_statements(sql)]


def _nodes(parsed: Any) -> Iterator[dict[str, Any]]:
    waiting = [parsed]
    while waiting:
        match waiting.pop():
            case dict() as node:
                yield node
                waiting += node.values()
            case list() as several:
                waiting += several
            case _:
                pass


def _refused(why: str = "") -> NotAQuery:
    message = "the lake is asked by one SELECT at a time; nothing in it is changed"
    return NotAQuery(f"{message}: {why}" if why else message)

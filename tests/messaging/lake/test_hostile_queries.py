"""A query reads the lake's events and nothing else, and changes nothing, whatever it says."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pytest
from arro3.core import Array, DataType, Field, Schema, Table
from deltalake import write_deltalake

from consumers.lake_report.plan import LAKE
from domain.identifiers import OrderId
from domain.ordering.events import OrderConfirmed
from handrail.cli import lake_output
from handrail.lake.questions import TooMuch, ask
from handrail.lake.reading import open_lake
from handrail.lake.select_only import LONGEST, NotAQuery
from runtime.app import HANDRAIL
from tests.messaging.lake.place import Place

VIEWS = HANDRAIL.lake_views(LAKE)

pytestmark = pytest.mark.thorough

LOG = "{lake}/events/_delta_log/00000000000000000000.json"
WRITES = [
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{log}' (FORMAT csv)",
    "explain analyze copy (select 1) to '{log}'",
    "EXPLAIN /* a */ ANALYZE /* b */ COPY (SELECT 1) TO '{log}'",
    "EXPLAIN (ANALYZE, FORMAT json) COPY (SELECT 1) TO '{log}'",
    "EXPLAIN -- SELECT\nANALYZE COPY (SELECT 1) TO '{log}'",
    "EXPLAIN ANALYZE WITH x AS (COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)) SELECT 1",
    "EXPLAIN ANALYZE CREATE TABLE t (a int)",
    "WITH x AS (COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)) SELECT 1",
    "WITH x AS MATERIALIZED (COPY (SELECT 1) TO '{log}') SELECT * FROM x",
    "WITH x AS (COPY events TO '{other}/x.parquet') FROM x",
    "FROM (WITH x AS (COPY events TO '{other}/x.parquet') SELECT 1)",
    "SELECT (WITH x AS (COPY events TO '{other}/x.parquet') SELECT 1)",
    "SELECT 1 UNION ALL (WITH x AS (COPY events TO '{other}/x.parquet') SELECT 1)",
    "WITH x AS (INSERT INTO t VALUES (1) RETURNING *) FROM x",
    "WITH x AS (DELETE FROM events RETURNING *) FROM x",
    "WITH x AS (UPDATE events SET type = '' RETURNING *) FROM x",
    "COPY events TO '{other}/x.parquet'",
    "COPY (SELECT 1) TO '{file}'",
    "EXPORT DATABASE '{other}'",
    "FROM query('COPY events TO ''{other}/x.csv''')",
    "FROM query('WITH x AS (COPY events TO ''{other}/x.csv'') SELECT 1')",
    "FROM json_execute_serialized_sql('x')",
    "CREATE TABLE t AS FROM events",
    "CREATE OR REPLACE VIEW events AS SELECT 1",
    "DROP VIEW events",
    "ALTER VIEW events RENAME TO gone",
    "INSERT INTO events SELECT * FROM events",
    "MERGE INTO events USING events AS e ON true WHEN MATCHED THEN DELETE",
    "ATTACH '{other}/x.db'",
    "ATTACH '{other}/x.db' AS x; SELECT 1",
    "SELECT 1; COPY events TO '{other}/x.csv'",
    "SELECT 1; SELECT 2",
    "SET enable_external_access = true",
    "SET VARIABLE as_of = now()",
    "RESET lock_configuration",
    "PRAGMA enable_profiling = 'json'",
    "PRAGMA profile_output = '{other}/x.json'",
    "CALL enable_logging(storage = 'file', storage_path = '{other}')",
    "FROM enable_logging(storage = 'file', storage_path = '{other}')",
    "INSTALL httpfs",
    "LOAD httpfs",
    "USE memory",
    "BEGIN",
    "CHECKPOINT",
    "FROM checkpoint()",
    "FROM force_checkpoint()",
    "PREPARE q AS SELECT 1",
    "EXECUTE q",
    "PIVOT events ON type USING count(*)",
    "",
    ";",
]
READS = [
    "FROM read_text('{log}')",
    "FROM read_blob('{secret}')",
    "FROM read_csv('{secret}')",
    "FROM read_csv_auto(['{secret}'])",
    "FROM sniff_csv('{secret}')",
    "FROM read_json('{log}')",
    "FROM read_parquet('{other}/*.parquet')",
    "FROM parquet_metadata('{secret}')",
    "FROM '{secret}'",
    "FROM '{other}/*.csv'",
    "FROM glob('{other}/*')",
    "FROM read_text('/etc/passwd')",
    "FROM read_csv('https://example.org/x.csv')",
    "FROM read_csv('s3://bucket/x.csv')",
    "SELECT getenv('HOME')",
    "FROM query('FROM read_text(''{secret}'')')",
    "FROM query_table('events')",
    "FROM read_duckdb('{other}/x.db')",
    "FROM pandas_scan(1)",
    "FROM arrow_scan(1, 1, 1)",
    "FROM python_arrow_scan(1)",
    "FROM duckdb_secrets()",
    "FROM rows_of_this_test",
    "SELECT (SELECT content FROM read_text('{secret}'))",
    "SELECT * FROM events WHERE type IN (SELECT content FROM read_text('{secret}'))",
    "EXPLAIN ANALYZE FROM read_text('{secret}')",
]
ANSWERED = [
    "SELECT count(*) FROM events",
    "FROM order_confirmed",
    "TABLE refusals",
    "VALUES (1)",
    "DESCRIBE events",
    "SHOW TABLES",
    "SUMMARIZE events",
    "EXPLAIN SELECT 1",
    "explain analyze select count(*) from events",
    "WITH x AS (FROM events) SELECT type, count(*) FROM x GROUP BY ALL ORDER BY ALL",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) FROM r",
    "SELECT * FROM range(3) UNION ALL SELECT * FROM generate_series(1, 2) -- a comment; and more",
    "SELECT * FROM (FROM events) PIVOT (count(*) FOR type IN ('OrderConfirmed'))",
    "SELECT 'COPY x TO y; EXPLAIN ANALYZE' AS words;",
    "SELECT list_transform([1, 2], lambda x: x + 1), major_units(100, 'EUR')",
    'SELECT "order", row_number() OVER (ORDER BY "position") FROM order_confirmed',
]


def everything_in(*folders: Path) -> Mapping[str, str]:
    """The bytes of every file."""
    return {
        str(file): hashlib.sha256(file.read_bytes()).hexdigest()
        for folder in folders
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture
async def lake(place: Place) -> Place:
    for order in ("a", "b"):
        await place.append(f"order-{order}", OrderConfirmed(order=OrderId(order)))
    await place.export()
    return place


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where nothing may be read or written; it is also where the process is at work."""
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "secret.csv").write_text("a\n1\n")
    monkeypatch.chdir(folder)
    return folder


def spilled(folder: str) -> bool:
    return Path(folder).is_dir()


def said(sql: str, lake: Place, other: Path) -> str:
    file = lake.table().file_uris()[0]
    log = LOG.format(lake=lake.folder)
    return sql.format(log=log, file=file, other=other, secret=other / "secret.csv")


async def test_nothing_is_written_by_whatever_statement(lake: Place, other: Path) -> None:
    before = everything_in(lake.folder, other)
    with open_lake(lake.folder, VIEWS) as connection:
        for sql in WRITES:
            with pytest.raises((NotAQuery, duckdb.Error)):
                pytest.fail(f"{sql}: {ask(connection, said(sql, lake, other)).rows}")
            assert everything_in(lake.folder, other) == before, sql
        assert ask(connection, "SELECT count(*) FROM events").rows == [(2,)]


async def test_no_other_file_is_read_by_whatever_statement(lake: Place, other: Path) -> None:
    rows_of_this_test = Table.from_pydict({"a": Array([1], DataType.int64())})
    with open_lake(lake.folder, VIEWS) as connection:
        for sql in READS:
            with pytest.raises((NotAQuery, duckdb.Error)):
                pytest.fail(f"{sql}: {ask(connection, said(sql, lake, other)).rows}")
    assert rows_of_this_test.num_rows == 1


async def test_every_kind_of_question_is_answered(lake: Place) -> None:
    with open_lake(lake.folder, VIEWS) as connection:
        for sql in ANSWERED:
            assert ask(connection, sql).columns, sql


@pytest.mark.parametrize("sql", ["COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)"])
async def test_even_past_the_parser_the_log_of_the_table_is_out_of_reach(
    lake: Place, other: Path, sql: str
) -> None:
    with open_lake(lake.folder, VIEWS) as connection:
        for target in (LOG.format(lake=lake.folder), f"{lake.folder}/events/x.csv", f"{other}/x"):
            with pytest.raises(duckdb.PermissionException):
                connection.execute(sql.format(file=target))


async def test_a_command_says_why_and_leaves_the_lake_as_it_was(
    lake: Place, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything_in(lake.folder)

    assert (
        lake_output.answer(HANDRAIL, lake.folder, said(WRITES[0], lake, other), None, json=False)
        == 1
    )

    assert "one SELECT at a time" in capsys.readouterr().err
    assert everything_in(lake.folder) == before
    assert lake_output.answer(HANDRAIL, lake.folder, "SELECT 1", None, json=False) == 0


async def test_an_answer_is_bounded_in_size_whatever_its_values_are(lake: Place) -> None:
    with open_lake(lake.folder, VIEWS) as connection:
        for value in ("repeat('x', 100)", "[repeat('x', 100)]", "{'a': repeat('x', 100)}"):
            with pytest.raises(TooMuch, match="more than 50000 characters"):
                ask(connection, f"SELECT {value} FROM range(1000)", characters=50_000)
        few = ask(connection, "SELECT repeat('x', 100) FROM range(400)", characters=50_000)
        assert len(few.rows) == 400


async def test_an_answer_is_bounded_in_time_rows_and_length(lake: Place) -> None:
    endless = (
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r"
    )
    with open_lake(lake.folder, VIEWS) as connection:
        with pytest.raises(TooMuch, match=r"within 0\.2 seconds"):
            ask(connection, endless, seconds=0.2)
        with pytest.raises(TooMuch, match="more than 10 rows"):
            ask(connection, "FROM range(11)", rows=10)
        assert len(ask(connection, "FROM range(10)", rows=10).rows) == 10
        with pytest.raises(NotAQuery, match="characters"):
            ask(connection, f"SELECT '{'x' * LONGEST}'")


async def test_what_does_not_fit_into_memory_goes_to_a_folder_that_is_removed(
    lake: Place,
) -> None:
    with open_lake(lake.folder, VIEWS) as connection:
        [(memory,)] = ask(connection, "SELECT current_setting('memory_limit')").rows
        [(folder,)] = ask(connection, "SELECT current_setting('temp_directory')").rows
        assert spilled(folder)
        assert memory == "1.8 GiB"
    assert not spilled(folder)


async def test_a_column_of_the_table_is_a_name_whatever_it_says(lake: Place) -> None:
    name = 'x", (SELECT 1) AS "y'
    fields = Schema([Field(name, DataType.utf8())])
    rows = Table.from_pydict({name: Array(["z"], DataType.utf8())}, schema=fields)
    write_deltalake(lake.table(), rows, mode="append", schema_mode="merge")

    with open_lake(lake.folder, VIEWS) as connection:
        columns = [one for one, *_ in ask(connection, "DESCRIBE events").rows]
    assert name in columns
    assert "y" not in columns
